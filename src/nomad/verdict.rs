//! What following a registration tells on the way, and how it ends.

use serde::{Deserialize, Serialize};

use super::events::{FailedAllocation, TaskReport};
use super::placement::PlacementFailure;
use crate::base::text;

/// How far a group has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupProgress {
    pub group: String,
    pub desired: u64,
    pub placed: u64,
    pub healthy: u64,
    pub unhealthy: u64,
}

/// What happens while a registration is followed; told only when it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "progress", rename_all = "snake_case")]
pub enum Progress {
    /// A scheduler has dealt with the registration.
    Evaluated { evaluation: String, deployment: Option<String> },
    /// Groups that have no place now.
    Waiting { failures: Vec<PlacementFailure> },
    /// Healthy and desired allocations by group.
    Groups { groups: Vec<GroupProgress> },
    /// Something notable happened to a task: it started, failed, restarts, was killed.
    Task(TaskReport),
    /// The server could not be asked just now; following goes on.
    Trouble { message: String },
}

/// A change that came to nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// One sentence: Nomad's own words where it has some.
    pub reason: String,
    /// The newest allocation that failed, with its tasks' last events.
    pub allocation: Option<FailedAllocation>,
    /// The server goes on trying (its deployment still runs): it was given up on before it gave up.
    pub still_trying: bool,
    /// The deployment that still runs.
    pub deployment: Option<String>,
    /// It will end in the last good version by itself, once its progress deadline is over or somebody
    /// fails it ([`super::Client::fail_deployment`]).
    pub will_revert: bool,
}

/// How following ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// What was registered is in place and healthy (or finished, or only waits to be dispatched).
    Healthy {
        groups: Vec<GroupProgress>,
        note: Option<String>,
    },
    Failed(Failure),
    /// No room, and nothing changed for as long as was waited.
    CannotPlace {
        failures: Vec<PlacementFailure>,
    },
    /// The canaries are healthy; a person has to promote the deployment.
    NeedsPromotion {
        deployment: String,
        /// Failed, it ends in the last good version by itself; otherwise the server leaves the job as it is.
        reverts: bool,
    },
    /// It failed, and Nomad goes back to an older version by itself.
    RolledBack {
        to: u64,
        failure: Failure,
    },
    /// Neither healthy nor failed in time; `seen` says how far it was.
    TimedOut {
        seconds: u64,
        seen: String,
    },
    /// Somebody else changed or stopped the job meanwhile.
    Superseded {
        by: String,
    },
}

impl Verdict {
    pub fn is_healthy(&self) -> bool {
        matches!(self, Self::Healthy { .. })
    }

    /// In words, the main thing first.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Healthy { groups, note } => {
                let healthy: u64 = groups.iter().map(|g| g.healthy).sum();
                let all = text::count(usize::try_from(healthy).unwrap_or(usize::MAX), "allocation");
                vec![note.clone().unwrap_or_else(|| format!("healthy ({all})"))]
            }
            Self::Failed(failure) => failure.lines(),
            Self::CannotPlace { failures } if failures.is_empty() => {
                vec!["it cannot be placed: no node is eligible".into()]
            }
            Self::CannotPlace { failures } => {
                let mut lines = vec!["it cannot be placed".to_owned()];
                lines.extend(failures.iter().map(ToString::to_string));
                lines
            }
            Self::NeedsPromotion { deployment, reverts } => {
                let id = text::one_line(deployment);
                let then = if *reverts {
                    "Nomad goes back to the last good version then"
                } else {
                    "Nomad leaves the job as it is now, and goes back to nothing"
                };
                vec![
                    "its canaries are healthy; the deployment needs manual promotion".into(),
                    format!("to take it over: nomad deployment promote {id}"),
                    format!("to give it up: nomad deployment fail {id} ({then})"),
                ]
            }
            Self::RolledBack { to, failure } => {
                let mut lines = vec![format!("it failed, and Nomad rolls back to version {to}")];
                lines.extend(failure.lines());
                lines
            }
            Self::TimedOut { seconds, seen } => {
                let after = text::duration(std::time::Duration::from_secs(*seconds));
                vec![format!("not healthy after {after}: {seen}")]
            }
            Self::Superseded { by } => vec![format!("somebody else changed the job meanwhile: {by}")],
        }
    }
}

impl Failure {
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.reason.clone()];
        lines.extend(self.allocation.iter().flat_map(FailedAllocation::lines));
        if self.will_revert {
            let id = text::one_line(self.deployment.as_deref().unwrap_or_default());
            lines.push(
                "Nomad goes on trying, and goes back to the last good version once its progress deadline is over"
                    .into(),
            );
            lines.push(format!("to go back now: nomad deployment fail {id}"));
        } else if self.still_trying {
            lines.push("Nomad goes on trying by itself".into());
        }
        lines
    }
}
