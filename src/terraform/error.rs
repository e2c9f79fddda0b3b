//! What goes wrong with Terraform, told apart by what it leaves behind.
//!
//! Guarantees: every text in an error is masked; [`TerraformError::effect`] says whether anything was
//! changed. Where that isn't certain it says so rather than guess.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::api::Action;

/// Why Terraform couldn't do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TerraformError {
    #[error(
        "{binary} was not found: install Terraform {minimum} or later, or set `program` in the terraform block"
    )]
    NotFound { binary: String, minimum: &'static str },

    #[error("{dir} is not a folder with Terraform files")]
    NoConfiguration { dir: String },

    #[error("Terraform {found} is too old: {minimum} or later is needed")]
    TooOld { found: String, minimum: &'static str },

    #[error("Terraform speaks version {found} of its streaming format; only major version 1 is known")]
    UnknownFormat { found: String },

    #[error(
        "TF_WORKSPACE is {shell:?} in this shell, but the terraform block says workspace {configured:?}: unset it, or correct one of the two"
    )]
    WorkspaceContradicts { shell: String, configured: String },

    #[error("target {target} is neither in the configuration nor in the state{}", did_you_mean(nearest.as_deref()))]
    NoSuchTarget { target: String, nearest: Option<String> },

    #[error("the state is locked{lock}")]
    Locked { lock: Box<Lock> },

    /// The state changed since the plan was made; nothing was applied.
    #[error("the plan is stale: {reason}")]
    Stale { reason: String },

    /// An earlier apply couldn't save its state and left it beside the configuration.
    #[error(
        "{path} holds a newer state that was never saved: look at it, then `terraform state push` it before anything else"
    )]
    UnsavedState { path: PathBuf },

    /// A command that changes nothing failed.
    #[error("terraform {command} failed{}", listed(problems))]
    Failed { command: &'static str, problems: Vec<Problem> },

    /// An apply ended without having done all of it.
    #[error("terraform apply did not finish: {} done, {} failed{}", done.len(), unfinished.len(), listed(problems))]
    Incomplete {
        /// Completed, in order. A replacement stands as a destroy and a create.
        done: Vec<(String, Action)>,
        /// Begun and not completed: a creation is tainted, or doesn't exist.
        unfinished: Vec<(String, Action)>,
        problems: Vec<Problem>,
        /// It ended because it was asked to.
        interrupted: bool,
        /// A state that couldn't be saved, left beside the configuration.
        unsaved_state: Option<PathBuf>,
    },

    /// An apply ended, and what it did isn't known: it was killed, or its stream breaks off.
    #[error("what terraform apply did is not known: {reason}")]
    Unknown {
        reason: String,
        /// What it is known to have completed.
        done: Vec<(String, Action)>,
        unfinished: Vec<(String, Action)>,
    },

    #[error("terraform {command} was interrupted")]
    Interrupted { command: &'static str },

    #[error("terraform {command} answered with something that could not be read: {reason}")]
    Unreadable { command: &'static str, reason: String },

    #[error("terraform could not be run")]
    Child(#[source] std::io::Error),

    #[error("the plan was made by something else than this driver")]
    ForeignPlan,
}

/// What an error leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing was changed.
    Nothing,
    /// Something was changed, and the error says what.
    Partly,
    /// Only a fresh plan or the state can tell.
    Unknown,
}

impl TerraformError {
    /// Whether anything was changed.
    pub fn effect(&self) -> Effect {
        match self {
            // An unfinished action may have had its effect on the real object.
            Self::Incomplete { done, unfinished, unsaved_state, .. } => {
                if done.is_empty() && unfinished.is_empty() && unsaved_state.is_none() {
                    Effect::Nothing
                } else {
                    Effect::Partly
                }
            }
            Self::Unknown { .. } => Effect::Unknown,
            _ => Effect::Nothing,
        }
    }

    /// What an apply is known to have completed; empty for every other error.
    pub fn done(&self) -> &[(String, Action)] {
        match self {
            Self::Incomplete { done, .. } | Self::Unknown { done, .. } => done,
            _ => &[],
        }
    }

    /// What an apply is known to have begun and not completed; empty for every other error.
    pub fn unfinished(&self) -> &[(String, Action)] {
        match self {
            Self::Incomplete { unfinished, .. } | Self::Unknown { unfinished, .. } => unfinished,
            _ => &[],
        }
    }
}

/// One error that Terraform reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub summary: String,
    pub detail: String,
    /// `main.tf:12:3`, relative to the root module.
    pub place: Option<String>,
    pub address: Option<String>,
}

/// `main.tf:12:3: Unsupported argument (module.core.x): An argument named …`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.summary)?;
        if let Some(address) = &self.address {
            write!(f, " ({address})")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

/// Who holds the state's lock, as far as Terraform says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub id: Option<String>,
    pub path: Option<String>,
    pub operation: Option<String>,
    pub who: Option<String>,
    pub version: Option<String>,
    pub created: Option<String>,
}

/// ` by ann@bastion since 2026-01-02 03:04:05 UTC for OperationTypeApply (ID …)`
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, value) in [
            (" by", &self.who),
            (" since", &self.created),
            (" for", &self.operation),
            (", lock ID", &self.id),
        ] {
            if let Some(value) = value {
                write!(f, "{word} {value}")?;
            }
        }
        Ok(())
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |text, problem| text + "\n  " + &problem.to_string())
}
