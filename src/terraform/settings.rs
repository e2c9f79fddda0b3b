//! What a Terraform root is driven with, and the environment its children see.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::error::TerraformError;
use crate::base::Secrets;
use crate::process;

/// The oldest Terraform that is driven: the first whose plans say whether they are errored.
pub const MINIMUM: &str = "1.6.0";

/// What a root is driven with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A path, or a name that is looked for on the PATH. None: `terraform`.
    pub binary: Option<String>,
    /// Where the root module's `*.tf` files are.
    pub dir: PathBuf,
    /// `TF_DATA_DIR`: absolute, private to the environment. Made with mode 0700 when it is needed.
    pub data_dir: PathBuf,
    /// None: `default`.
    pub workspace: Option<String>,
    /// Files, absolute.
    pub backend_config: Vec<PathBuf>,
    pub targets: Vec<String>,
    /// Files, absolute.
    pub var_files: Vec<PathBuf>,
    /// What the children see besides what every program may see: credentials, `TF_VAR_…`.
    pub environment: BTreeMap<String, String>,
    /// Names that cross from `shell`, `AWS_PROFILE` or `AWS_*`.
    pub inherit: Vec<String>,
    /// The shell's environment: see [`process::shell`].
    pub shell: BTreeMap<String, String>,
    /// Learns what Terraform marks as sensitive, and masks everything that leaves the driver.
    pub secrets: Secrets,
    /// Keys the fingerprints. Two plans can be compared if they were made with one key.
    pub key: Vec<u8>,
}

impl Settings {
    /// A root without targets, var files or credentials.
    pub fn new(dir: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: None,
            dir: dir.into(),
            data_dir: data_dir.into(),
            workspace: None,
            backend_config: Vec::new(),
            targets: Vec::new(),
            var_files: Vec::new(),
            environment: BTreeMap::new(),
            inherit: Vec::new(),
            shell: process::shell(),
            secrets: Secrets::default(),
            key: Vec::new(),
        }
    }

    /// An error where `TF_WORKSPACE` in the shell or in the given environment names another workspace
    /// than the block: somebody believes to be elsewhere.
    pub fn check_workspace(&self) -> Result<(), TerraformError> {
        let configured = self.workspace();
        for from in [&self.shell, &self.environment] {
            if let Some(shell) =
                from.get("TF_WORKSPACE").filter(|name| !name.is_empty() && *name != configured)
            {
                return Err(TerraformError::WorkspaceContradicts {
                    shell: shell.clone(),
                    configured: configured.to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The workspace that is worked in.
    pub fn workspace(&self) -> &str {
        self.workspace.as_deref().filter(|name| !name.is_empty()).unwrap_or("default")
    }

    /// Names of Terraform's own variables that are set in the shell and don't reach Terraform.
    pub fn scrubbed(&self) -> Vec<String> {
        let kept = self.children();
        let names = self.shell.iter().chain(&self.environment).filter(|(name, value)| {
            name.starts_with("TF_") && !value.is_empty() && kept.get(*name) != Some(value)
        });
        let names: std::collections::BTreeSet<String> = names.map(|(name, _)| name.clone()).collect();
        names.into_iter().collect()
    }

    /// The environment of every child.
    pub(super) fn children(&self) -> BTreeMap<String, String> {
        let mut all = process::environment(&self.shell, &self.inherit, &self.environment);
        all.retain(|name, _| !steers(name));
        for (name, value) in [
            ("TF_IN_AUTOMATION", "1"),
            ("TF_INPUT", "0"),
            ("CHECKPOINT_DISABLE", "1"),
            ("TF_WORKSPACE", self.workspace()),
            ("TF_DATA_DIR", &self.data_dir.to_string_lossy()),
        ] {
            all.insert(name.to_owned(), value.to_owned());
        }
        all
    }
}

/// Variables that change what Terraform does behind the back of what was asked. Never handed on, even
/// where they are named; logs could hold secrets.
fn steers(name: &str) -> bool {
    name.starts_with("TF_CLI_ARGS")
        || name.starts_with("TF_LOG")
        || matches!(
            name,
            "TF_WORKSPACE" | "TF_DATA_DIR" | "TF_INPUT" | "TF_REATTACH_PROVIDERS" | "TF_IN_AUTOMATION"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(shell: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::new("/t", "/d");
        settings.shell = shell.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        settings
    }

    #[test]
    fn what_steers_is_scrubbed_and_said() {
        let mut settings = settings(&[
            ("TF_CLI_ARGS_plan", "-target=x"),
            ("TF_LOG", "trace"),
            ("TF_DATA_DIR", "/elsewhere"),
            ("TF_VAR_secret", "s"),
            ("TF_VAR_wanted", "w"),
            ("TF_PLUGIN_CACHE_DIR", "/c"),
            ("PATH", "/bin"),
            ("AWS_PROFILE", "p"),
        ]);
        settings.inherit = vec!["TF_VAR_wanted".into(), "TF_CLI_ARGS_plan".into()];
        assert_eq!(settings.scrubbed(), ["TF_CLI_ARGS_plan", "TF_DATA_DIR", "TF_LOG", "TF_VAR_secret"]);
        let names: Vec<String> = settings.children().into_keys().collect();
        let expected = [
            "CHECKPOINT_DISABLE",
            "PATH",
            "TF_DATA_DIR",
            "TF_INPUT",
            "TF_IN_AUTOMATION",
            "TF_PLUGIN_CACHE_DIR",
            "TF_VAR_wanted",
            "TF_WORKSPACE",
        ];
        assert_eq!(names, expected);
        assert_eq!(settings.children()["TF_DATA_DIR"], "/d");
    }

    #[test]
    fn a_contradicting_workspace_is_an_error() {
        let mut settings = settings(&[("TF_WORKSPACE", "test")]);
        settings.workspace = Some("prod".into());
        let error = settings.check_workspace().unwrap_err();
        assert!(error.to_string().starts_with("TF_WORKSPACE is \"test\" in this shell, but"), "{error}");
        settings.workspace = Some("test".into());
        settings.check_workspace().unwrap();
        settings.workspace = None;
        settings.check_workspace().unwrap_err();
    }
}
