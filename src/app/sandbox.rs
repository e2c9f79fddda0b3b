//! A running sandbox as an environment sees it, and where one keeps its things.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::open::STAND_IN_STATE;
use crate::base::paths;
use crate::hcl::Value;
use crate::process;
use crate::settings::{self, Project};
use crate::sim::SandboxFile;
use crate::terraform::{self, Cli};

/// The running sandbox of an environment.
pub(super) fn read(state_dir: &Path, environment: &str) -> Result<SandboxFile, Failure> {
    let absent = || {
        Failure::error(format!("the environment '{environment}' is simulated, and no sandbox runs"))
            .help(format!("start it in another terminal: blackstart sandbox -e {environment}"))
    };
    let path = SandboxFile::path(state_dir);
    let file = SandboxFile::read(state_dir)
        .map_err(|error| Failure::error(format!("{} can't be read: {error}", path.display())))?
        .ok_or_else(absent)?;
    // One that was killed leaves its file behind.
    if process::started(file.pid).is_none() {
        return Err(absent());
    }
    Ok(file)
}

/// `sandbox` in settings.
pub(super) fn value(file: &SandboxFile) -> Value {
    Value::from(BTreeMap::from([
        ("nomad".to_owned(), Value::from(file.nomad.as_str())),
        ("services".to_owned(), Value::from(file.services.as_str())),
        ("database".to_owned(), Value::from(database_url(&file.database.display().to_string()).as_str())),
    ]))
}

/// The simulated database under the schema's name that a PostgreSQL one would have.
pub(super) fn database_url(path: &str) -> String {
    format!("sqlite:{path}?schema=cosims")
}

/// Where a sandbox keeps its things, and which Terraform state it follows.
pub struct SandboxPlace {
    pub state_dir: PathBuf,
    pub terraform_state: Option<PathBuf>,
}

impl SandboxPlace {
    /// Of a project's simulated environment.
    pub fn of(
        project: &Project,
        settings: &settings::Environment,
        state_root: Option<&Path>,
    ) -> Result<Self, Failure> {
        let root = match state_root {
            Some(root) => root.to_owned(),
            None => paths::state_root(|name| std::env::var(name).ok())
                .ok_or_else(|| Failure::error("there is no place for the sandbox's state"))?,
        };
        let state_dir = paths::environment_state_dir(&root, &project.name, &settings.name)
            .map_err(|error| Failure::error(format!("{} can't be made: {error}", root.display())))?;
        let terraform_state = settings.terraform.as_ref().map(|block| {
            let mut probe =
                terraform::Settings::new(project.root.join(&block.dir), state_dir.join("terraform"));
            probe.binary.clone_from(&block.program);
            let real = Cli::new(probe).is_ok_and(|cli| cli.binary().is_ok());
            let dir = project.root.join(&block.dir);
            match block.workspace.as_deref().filter(|name| *name != "default") {
                _ if !real => state_dir.join(STAND_IN_STATE),
                None => dir.join("terraform.tfstate"),
                Some(name) => dir.join("terraform.tfstate.d").join(name).join("terraform.tfstate"),
            }
        });
        Ok(Self { state_dir, terraform_state })
    }

    /// Of no project: everything is up.
    pub fn alone() -> Result<Self, Failure> {
        let root = paths::state_root(|name| std::env::var(name).ok())
            .ok_or_else(|| Failure::error("there is no place for the sandbox's state"))?;
        Ok(Self { state_dir: root.join("sandbox").join("alone"), terraform_state: None })
    }
}
