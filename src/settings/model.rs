//! Typed settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::{Source, Span};
use crate::hcl::Expr;

/// A whole blackstart.hcl.
#[derive(Clone, Debug)]
pub struct Project {
    pub name: String,
    /// The folder that holds it.
    pub root: PathBuf,
    pub environments: Vec<Environment>,
    pub source: Arc<Source>,
}

impl Project {
    pub fn environment(&self, name: &str) -> Option<&Environment> {
        self.environments.iter().find(|environment| environment.name == name)
    }

    /// The environment that `sandbox` and `rehearse` use, where exactly one is simulated.
    pub fn simulated(&self) -> Option<&Environment> {
        let mut simulated = self.environments.iter().filter(|environment| environment.simulated);
        let first = simulated.next()?;
        simulated.next().is_none().then_some(first)
    }
}

/// One environment. Expressions are late: they may name `env`, `terraform.output` and `sandbox`.
#[derive(Clone, Debug)]
pub struct Environment {
    pub name: String,
    pub protected: bool,
    pub simulated: bool,
    pub env_file: Option<PathBuf>,
    /// Variables of the shell that cross, though they belong to a credential family.
    pub inherit: Vec<String>,
    pub terraform: Option<TerraformSettings>,
    pub nomad: Option<NomadSettings>,
    pub git: Option<GitSettings>,
    /// URLs by name.
    pub databases: BTreeMap<String, Expr>,
    /// `environment.values.NAME` in plans.
    pub values: BTreeMap<String, Expr>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct TerraformSettings {
    /// Relative to the root.
    pub dir: PathBuf,
    pub workspace: Option<String>,
    pub backend_config: Vec<PathBuf>,
    pub targets: Vec<String>,
    pub var_files: Vec<(PathBuf, Span)>,
    /// The program: `terraform` on PATH where it isn't named.
    pub program: Option<String>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct NomadSettings {
    pub address: Option<Expr>,
    pub token: Option<TokenSource>,
    pub namespace: Option<String>,
    pub region: Option<String>,
    /// Certificates, PEM, relative to the root.
    pub ca_cert: Option<PathBuf>,
    pub client_cert: Option<PathBuf>,
    pub client_key: Option<PathBuf>,
    /// The name in the server's certificate, where it isn't the address's host.
    pub tls_server_name: Option<String>,
    pub var_files: Vec<(PathBuf, Span)>,
    /// Variables of the environment that are put into job files before they are read.
    pub envsubst: Vec<String>,
    /// Patterns of the environment's job files, relative to the root; none where its plans' `nomad_job`
    /// steps say which they are.
    pub files: Option<Vec<String>>,
    /// Jobs that others own, by name or pattern: that no file holds them says nothing.
    pub ignore: Vec<String>,
    pub span: Span,
}

/// What it takes for a change of the environment's files to be saved, where they lie in a git work tree.
#[derive(Clone, Debug)]
pub struct GitSettings {
    /// The branch that the environment is deployed from: a commit counts once it is pushed there.
    pub branch: Option<String>,
    /// The remote that has it; the one that git would push to where it isn't named.
    pub remote: Option<String>,
    pub span: Span,
}

/// Where the Nomad token comes from.
#[derive(Clone, Debug)]
pub enum TokenSource {
    /// An expression such as `env.NOMAD_TOKEN`.
    Value(Expr),
    /// A file that only its owner can read.
    File(PathBuf, Span),
}
