//! From text to settings, every error in one go.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::model::{Environment, GitSettings, NomadSettings, Project, TerraformSettings, TokenSource};
use crate::base::{Diagnostic, Diagnostics, Source, Span};
use crate::dialect::{
    BlockRule, Reader, Type, Values, block, late, list_items, load as known, object_items, required,
};
use crate::hcl::{self, Block, Body, Expr, Value};

/// What the file is called.
pub const FILE_NAME: &str = "blackstart.hcl";

const TERRAFORM: BlockRule = block(
    "terraform",
    &[],
    &[
        known("dir", Type::String),
        known("workspace", Type::String),
        known("backend_config", Type::Strings),
        known("targets", Type::Strings),
        known("var_files", Type::Strings),
        known("program", Type::String),
    ],
    &[],
);

const NOMAD: BlockRule = block(
    "nomad",
    &[],
    &[
        late("address", Type::String),
        late("token", Type::String),
        known("token_file", Type::String),
        known("namespace", Type::String),
        known("region", Type::String),
        known("ca_cert", Type::String),
        known("client_cert", Type::String),
        known("client_key", Type::String),
        known("tls_server_name", Type::String),
        known("var_files", Type::Strings),
        known("envsubst", Type::Strings),
        known("files", Type::Strings),
        known("ignore", Type::Strings),
    ],
    &[],
);

const GIT: BlockRule =
    block("git", &[], &[known("branch", Type::String), known("remote", Type::String)], &[]);

const DATABASE: BlockRule = block("database", &["NAME"], &[required(late("url", Type::String))], &[]);

const ENVIRONMENT: BlockRule = block(
    "environment",
    &["NAME"],
    &[
        known("protected", Type::Bool),
        known("simulated", Type::Bool),
        known("env_file", Type::String),
        known("inherit", Type::Strings),
        late("values", Type::Object),
    ],
    &[TERRAFORM, NOMAD, GIT, DATABASE],
);

const FILE: BlockRule = block("", &[], &[required(known("project", Type::String))], &[ENVIRONMENT]);

/// The folder of the nearest blackstart.hcl, from `start` upwards.
pub fn find_root(start: &Path) -> Option<PathBuf> {
    start.ancestors().find(|dir| dir.join(FILE_NAME).is_file()).map(Path::to_owned)
}

/// Reads the settings of a root.
pub fn read(root: &Path, scope: &Values) -> Result<Project, Diagnostics> {
    let path = root.join(FILE_NAME);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Diagnostic::error(format!("there is no {FILE_NAME} here: {error}")).help(
            "go to the project's folder, or name it with -C DIR; the README shows a first blackstart.hcl",
        )
    })?;
    load(&Source::new(FILE_NAME, text), root, scope)
}

/// Settings from their text.
pub fn load(source: &Arc<Source>, root: &Path, scope: &Values) -> Result<Project, Diagnostics> {
    let body = hcl::parse(source)?;
    let mut loader = Loader { reader: Reader::new(scope) };
    loader.reader.check(&body, &FILE, &Span::new(source, 0..0));
    let name = loader.reader.string(&body, "project").unwrap_or_default();
    if let Some(attribute) = body.attribute("project") {
        loader.plain_name(&name, &attribute.expr.span, "project");
    }
    let environments: Vec<Environment> = body.blocks("environment").map(|b| loader.environment(b)).collect();
    loader.unique(&environments);
    loader.one_state_each(&environments, root);
    if environments.is_empty() && !loader.reader.problems.has_errors() {
        let help = "add `environment \"test\" { … }`; the README shows one".to_owned();
        loader.reader.error("there is no environment", &Span::new(source, 0..0), Some(help));
    }
    let project = Project { name, root: root.to_owned(), environments, source: Arc::clone(source) };
    loader.reader.finish(project)
}

struct Loader<'a> {
    reader: Reader<'a>,
}

impl Loader<'_> {
    fn environment(&mut self, block: &Block) -> Environment {
        let body = &block.body;
        self.reader.check(body, &ENVIRONMENT, &block.kind.span);
        let label = block.labels.first();
        let name = label.map(|label| label.text.clone()).unwrap_or_default();
        if let Some(label) = label {
            self.plain_name(&name, &label.span, "environment");
        }
        let mut databases = BTreeMap::new();
        for block in body.blocks("database") {
            self.reader.check(&block.body, &DATABASE, &block.kind.span);
            if let (Some(name), Some(url)) = (block.labels.first(), block.body.attribute("url")) {
                databases.insert(name.text.clone(), url.expr.clone());
            }
        }
        Environment {
            name,
            protected: self.reader.bool(body, "protected").unwrap_or(false),
            simulated: self.reader.bool(body, "simulated").unwrap_or(false),
            env_file: self.reader.string(body, "env_file").map(PathBuf::from),
            inherit: self.reader.strings(body, "inherit").unwrap_or_default(),
            terraform: self.one(body, "terraform").map(|b| self.terraform(b)),
            nomad: self.one(body, "nomad").map(|b| self.nomad(b)),
            git: self.one(body, "git").map(|b| self.git(b)),
            databases,
            values: self.values(body),
            span: label.map_or(&block.kind.span, |label| &label.span).clone(),
        }
    }

    fn one<'b>(&mut self, body: &'b Body, kind: &'b str) -> Option<&'b Block> {
        let mut blocks = body.blocks(kind);
        let first = blocks.next()?;
        if let Some(second) = blocks.next() {
            let message = format!("an environment has one '{kind}' block");
            self.reader.error(message, &second.kind.span, None);
        }
        Some(first)
    }

    fn values(&mut self, body: &Body) -> BTreeMap<String, Expr> {
        let Some(attribute) = body.attribute("values") else { return BTreeMap::new() };
        let Some(items) = object_items(&attribute.expr) else {
            let help = "write it as `values = { name = \"…\" }`".to_owned();
            self.reader.error("'values' must be an object", &attribute.expr.span, Some(help));
            return BTreeMap::new();
        };
        items.into_iter().map(|(name, expr)| (name, expr.clone())).collect()
    }

    fn terraform(&mut self, block: &Block) -> TerraformSettings {
        let body = &block.body;
        self.reader.check(body, &TERRAFORM, &block.kind.span);
        TerraformSettings {
            dir: self.reader.string(body, "dir").map_or_else(|| PathBuf::from("."), PathBuf::from),
            workspace: self.reader.string(body, "workspace"),
            backend_config: self
                .reader
                .strings(body, "backend_config")
                .unwrap_or_default()
                .into_iter()
                .map(PathBuf::from)
                .collect(),
            targets: self.reader.strings(body, "targets").unwrap_or_default(),
            var_files: self.files(body, "var_files"),
            program: self.reader.string(body, "program"),
            span: block.kind.span.clone(),
        }
    }

    fn nomad(&mut self, block: &Block) -> NomadSettings {
        let body = &block.body;
        self.reader.check(body, &NOMAD, &block.kind.span);
        let file = self.reader.string(body, "token_file");
        let token = match (body.attribute("token"), file) {
            (Some(attribute), None) => Some(TokenSource::Value(attribute.expr.clone())),
            (None, Some(path)) => {
                let span = body.attribute("token_file").map_or(&block.kind.span, |a| &a.expr.span);
                Some(TokenSource::File(PathBuf::from(path), span.clone()))
            }
            (Some(attribute), Some(_)) => {
                self.reader.error("there is both a token and a token_file", &attribute.name.span, None);
                None
            }
            (None, None) => None,
        };
        for (one, other) in [("client_cert", "client_key"), ("client_key", "client_cert")] {
            if let (Some(attribute), None) = (body.attribute(one), body.attribute(other)) {
                let message = format!("`{one}` needs a `{other}` beside it");
                self.reader.error(message, &attribute.name.span, None);
            }
        }
        NomadSettings {
            address: body.attribute("address").map(|attribute| attribute.expr.clone()),
            token,
            namespace: self.reader.string(body, "namespace"),
            region: self.reader.string(body, "region"),
            ca_cert: self.reader.string(body, "ca_cert").map(PathBuf::from),
            client_cert: self.reader.string(body, "client_cert").map(PathBuf::from),
            client_key: self.reader.string(body, "client_key").map(PathBuf::from),
            tls_server_name: self.reader.string(body, "tls_server_name"),
            var_files: self.files(body, "var_files"),
            envsubst: self.variable_names(body, "envsubst"),
            files: self.reader.strings(body, "files"),
            ignore: self.reader.strings(body, "ignore").unwrap_or_default(),
            span: block.kind.span.clone(),
        }
    }

    fn git(&mut self, block: &Block) -> GitSettings {
        let body = &block.body;
        self.reader.check(body, &GIT, &block.kind.span);
        for name in ["branch", "remote"] {
            let odd = |text: &String| {
                text.is_empty() || text.starts_with('-') || text.contains(char::is_whitespace)
            };
            if let (Some(text), Some(attribute)) =
                (self.reader.string(body, name).filter(odd), body.attribute(name))
            {
                self.reader.error(
                    format!("'{text}' can't be the name of a {name}"),
                    &attribute.expr.span,
                    None,
                );
            }
        }
        GitSettings {
            branch: self.reader.string(body, "branch"),
            remote: self.reader.string(body, "remote"),
            span: block.kind.span.clone(),
        }
    }

    /// Names of environment variables, without a `$`.
    fn variable_names(&mut self, body: &Body, name: &str) -> Vec<String> {
        let Some(names) = self.reader.strings(body, name) else { return Vec::new() };
        let Some(attribute) = body.attribute(name) else { return Vec::new() };
        let items = list_items(&attribute.expr).unwrap_or_default();
        for (i, name) in names.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
                let span = items.get(i).map_or(&attribute.expr.span, |item| &item.span);
                let help = "write the name alone, as in IMAGE_TAG".to_owned();
                self.reader.error(format!("'{name}' can't name an environment variable"), span, Some(help));
            }
        }
        names
    }

    /// Paths with the place that names each, so that a missing one can be pointed at.
    fn files(&mut self, body: &Body, name: &str) -> Vec<(PathBuf, Span)> {
        let Some(files) = self.reader.strings(body, name) else { return Vec::new() };
        let Some(attribute) = body.attribute(name) else { return Vec::new() };
        let items = list_items(&attribute.expr).unwrap_or_default();
        let span_of = |i: usize| items.get(i).map_or(&attribute.expr.span, |item| &item.span).clone();
        files.into_iter().enumerate().map(|(i, file)| (PathBuf::from(file), span_of(i))).collect()
    }

    /// Names become folders of the state directory and words of commands.
    fn plain_name(&mut self, name: &str, span: &Span, what: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(plain) || name.starts_with(['.', '-']) {
            let help = "use letters, digits, '-', '_' and '.'; begin with a letter or digit".to_owned();
            self.reader.error(format!("'{name}' can't be the name of a {what}"), span, Some(help));
        }
    }

    fn unique(&mut self, environments: &[Environment]) {
        for (i, environment) in environments.iter().enumerate() {
            if let Some(first) = environments[..i].iter().find(|other| other.name == environment.name) {
                let message = format!("there are two environments '{}'", environment.name);
                self.reader.error(
                    message,
                    &environment.span,
                    Some(format!("the first is at {}", first.span)),
                );
            }
        }
    }

    /// Two environments on one state: a stop of one would take the other down.
    fn one_state_each(&mut self, environments: &[Environment], root: &Path) {
        let mut seen: Vec<(PathBuf, Option<String>, Vec<PathBuf>, &Environment)> = Vec::new();
        for environment in environments {
            let Some(terraform) = &environment.terraform else { continue };
            let workspace = terraform.workspace.clone().filter(|name| name != "default");
            let state = (plain_path(&root.join(&terraform.dir)), workspace, terraform.backend_config.clone());
            let taken = seen
                .iter()
                .find(|(dir, name, backend, _)| *dir == state.0 && *name == state.1 && *backend == state.2);
            if let Some((.., other)) = taken {
                let help = format!(
                    "give each a workspace (or a backend_config) of its own, such as workspace = \"{}\"",
                    environment.name
                );
                let message = format!(
                    "the environments '{}' and '{}' have one Terraform state",
                    other.name, environment.name
                );
                self.reader.error(message, &terraform.span, Some(help));
            }
            seen.push((state.0, state.1, state.2, environment));
        }
    }
}

/// The path without `.` and with `..` taken back, links not followed.
fn plain_path(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// The roots that settings can name, all unknown: what loading checks names against.
pub fn unknown_roots(values: Values) -> Values {
    ["env", "terraform", "sandbox"].into_iter().fold(values, |values, root| values.with(root, Value::Unknown))
}
