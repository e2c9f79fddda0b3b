//! A validated plan.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Source, Span};
use crate::hcl::{Body, Expr, Value};

/// Which verb picks a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Start,
    Stop,
    Bootstrap,
    Patch,
    Other,
}

impl Operation {
    pub const NAMES: [&str; 5] = ["start", "stop", "bootstrap", "patch", "other"];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl FromStr for Operation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Start, Self::Stop, Self::Bootstrap, Self::Patch, Self::Other]
            .into_iter()
            .find(|operation| operation.name() == text)
            .ok_or(())
    }
}

/// A plan's head, read without the values of its inputs: enough to choose one.
#[derive(Clone, Debug)]
pub struct Summary {
    pub name: String,
    pub operation: Option<Operation>,
    pub applies: Option<Expr>,
    pub description: Option<String>,
    pub source: Arc<Source>,
}

/// One plan, ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub description: Option<String>,
    pub operation: Option<Operation>,
    pub applies: Option<Expr>,
    pub inputs: Vec<Input>,
    pub checks: Vec<Check>,
    pub probes: BTreeMap<String, Probe>,
    /// In the order of the file.
    pub waves: Vec<Wave>,
    pub source: Arc<Source>,
}

impl Plan {
    /// Every step with its wave, in the order of the file; `finally` steps last in each wave.
    pub fn steps(&self) -> impl Iterator<Item = (&Wave, &StepSpec)> {
        self.waves.iter().flat_map(|w| w.steps.iter().chain(&w.finally).map(move |s| (w, s)))
    }

    pub fn wave(&self, name: &str) -> Option<&Wave> {
        self.waves.iter().find(|wave| wave.name == name)
    }
}

/// `variable "x" {}`: what `--var x=…` gives.
#[derive(Clone, Debug)]
pub struct Input {
    pub name: String,
    pub description: Option<String>,
    pub default: Option<Value>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Wave {
    pub name: String,
    /// The waves that must be done before.
    pub after: Vec<String>,
    pub checks: Vec<Check>,
    pub steps: Vec<StepSpec>,
    pub records: Vec<Record>,
    pub gates: Vec<Gate>,
    /// Run however the wave ended.
    pub finally: Vec<StepSpec>,
    pub span: Span,
}

/// The kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StepKind {
    TerraformApply,
    TerraformDestroy,
    NomadJob,
    NomadStop,
    NomadStart,
    NomadRestart,
    NomadScale,
    NomadPatch,
    Sql,
    Http,
    Exec,
    Manual,
    Approve,
}

impl StepKind {
    pub const ALL: [Self; 13] = [
        Self::TerraformApply,
        Self::TerraformDestroy,
        Self::NomadJob,
        Self::NomadStop,
        Self::NomadStart,
        Self::NomadRestart,
        Self::NomadScale,
        Self::NomadPatch,
        Self::Sql,
        Self::Http,
        Self::Exec,
        Self::Manual,
        Self::Approve,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::TerraformApply => "terraform_apply",
            Self::TerraformDestroy => "terraform_destroy",
            Self::NomadJob => "nomad_job",
            Self::NomadStop => "nomad_stop",
            Self::NomadStart => "nomad_start",
            Self::NomadRestart => "nomad_restart",
            Self::NomadScale => "nomad_scale",
            Self::NomadPatch => "nomad_patch",
            Self::Sql => "sql",
            Self::Http => "http",
            Self::Exec => "exec",
            Self::Manual => "manual",
            Self::Approve => "approve",
        }
    }

    pub fn is_terraform(self) -> bool {
        matches!(self, Self::TerraformApply | Self::TerraformDestroy)
    }
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One step as it is written. Its attributes are evaluated by its kind, when they are needed.
#[derive(Clone, Debug)]
pub struct StepSpec {
    pub name: String,
    pub kind: StepKind,
    /// Steps of the same wave that must be done before.
    pub after: Vec<String>,
    pub body: Body,
    pub span: Span,
}

/// The kinds of probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    Sql,
    Http,
    Prometheus,
    Nomad,
    Exec,
}

impl ProbeKind {
    pub const ALL: [Self; 5] = [Self::Sql, Self::Http, Self::Prometheus, Self::Nomad, Self::Exec];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Http => "http",
            Self::Prometheus => "prometheus",
            Self::Nomad => "nomad",
            Self::Exec => "exec",
        }
    }
}

/// Where a sample comes from.
#[derive(Clone, Debug)]
pub struct Probe {
    pub name: String,
    pub kind: ProbeKind,
    pub body: Body,
    pub span: Span,
}

/// A condition that must hold.
#[derive(Clone, Debug)]
pub struct Check {
    pub name: String,
    pub probe: Option<Probe>,
    pub condition: Expr,
    pub error: Option<Expr>,
}

/// A value that is kept in the journal.
#[derive(Clone, Debug)]
pub struct Record {
    pub name: String,
    /// A value that can't be had is a warning.
    pub optional: bool,
    pub probe: Probe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDeadline {
    Ask,
    Fail,
    Continue,
}

/// A condition, sampled until it holds.
#[derive(Clone, Debug)]
pub struct Gate {
    pub name: String,
    /// Judged one by one; all must pass in the same sample.
    pub probes: Vec<Probe>,
    pub until: Expr,
    /// Fails the gate at once where it holds.
    pub fail_when: Option<Expr>,
    pub every: Duration,
    pub consecutive: u32,
    pub deadline: Duration,
    pub on_deadline: OnDeadline,
    pub span: Span,
}
