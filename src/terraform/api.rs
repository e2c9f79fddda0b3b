//! What Terraform is asked for and what it answers, the same for the real process and for the
//! simulator's stand-in.
//!
//! Guarantees: nothing here holds a secret in plain text except [`Applied::outputs`] and
//! [`State::outputs`], which are values to work with and not to show; everything but
//! [`Planned::file`] can be serialised into a journal.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::TerraformError;

/// Where progress is told. Called from the task that drives the child; it must not block.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// One Terraform root with one state.
#[async_trait]
pub trait Terraform: Send + Sync {
    /// Plans and says what would change. Changes nothing.
    async fn plan(&self, operation: Operation, tell: Tell<'_>) -> Result<Planned, TerraformError>;

    /// Applies exactly what was planned.
    async fn apply(&self, planned: Planned, tell: Tell<'_>) -> Result<Applied, TerraformError>;

    /// The resources and outputs that the state holds now, without a refresh.
    async fn state(&self) -> Result<State, TerraformError>;

    /// Asks the running child, if there is one, to end in order. Only the first call for a child has
    /// an effect, because a second interrupt makes Terraform give up its state.
    fn interrupt(&self);
}

/// What to plan for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    Apply,
    Destroy,
}

/// What Terraform does to one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Create,
    Update,
    /// Destroyed and created, in either order: one to add and one to destroy.
    Replace,
    Destroy,
    /// Leaves the state; the object goes on existing, unmanaged.
    Forget,
    /// A data source that is read during apply. Changes nothing.
    Read,
    /// Only its address changes.
    Move,
    /// Enters the state as it is.
    Import,
    NoOp,
}

impl Action {
    /// The counts that this action adds up to.
    pub fn counts(self) -> Counts {
        let mut counts = Counts::default();
        match self {
            Self::Create => counts.add = 1,
            Self::Update => counts.change = 1,
            Self::Replace => {
                counts.add = 1;
                counts.destroy = 1;
            }
            Self::Destroy => counts.destroy = 1,
            Self::Forget => counts.forget = 1,
            Self::Read | Self::Move | Self::Import | Self::NoOp => {}
        }
        counts
    }

    /// Whether carrying it out leaves the world and the state as they were.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::Read | Self::NoOp)
    }

    /// The word that stands before an address: `create module.core.x`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Destroy => "destroy",
            Self::Forget => "forget",
            Self::Read => "read",
            Self::Move => "move",
            Self::Import => "import",
            Self::NoOp => "leave",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())
    }
}

/// How many resources are added, changed, destroyed and forgotten, as Terraform counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub add: usize,
    pub change: usize,
    pub destroy: usize,
    pub forget: usize,
}

impl Counts {
    /// The counts of all these actions together.
    pub fn of(actions: impl IntoIterator<Item = Action>) -> Self {
        actions.into_iter().map(Action::counts).fold(Self::default(), |sum, one| sum + one)
    }
}

impl std::ops::Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            add: self.add + other.add,
            change: self.change + other.change,
            destroy: self.destroy + other.destroy,
            forget: self.forget + other.forget,
        }
    }
}

/// `13 to add, 0 to change, 0 to destroy`, and `, 1 to forget` where there is one.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to add, {} to change, {} to destroy", self.add, self.change, self.destroy)?;
        if self.forget > 0 {
            write!(f, ", {} to forget", self.forget)?;
        }
        Ok(())
    }
}

/// What is to happen to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// As Terraform writes it: `module.core.terraform_data.instance["tf-tutu"]`
    pub address: String,
    pub action: Action,
    /// Terraform's `action_reason` in words, or where the resource moved from.
    pub reason: Option<String>,
    /// An earlier apply began to make it and didn't finish.
    pub tainted: bool,
    /// A hash of before and after, the same for two plans of one state; secrets go into it keyed.
    pub fingerprint: String,
    /// For people, masked, one attribute a line: `size: 1 -> 2`
    pub detail: Vec<String>,
}

impl Change {
    pub fn adds(&self) -> usize {
        self.action.counts().add
    }

    pub fn changes(&self) -> usize {
        self.action.counts().change
    }

    pub fn destroys(&self) -> usize {
        self.action.counts().destroy
    }

    pub fn forgets(&self) -> usize {
        self.action.counts().forget
    }
}

/// A plan of Terraform's, ready to be shown, guarded, approved and applied.
#[derive(Serialize)]
pub struct Planned {
    /// In the order of their addresses; resources that stay as they are are left out.
    pub changes: Vec<Change>,
    /// Names of the outputs whose values change.
    pub output_changes: Vec<String>,
    /// Of the state that was planned against; none before its first apply.
    pub lineage: Option<String>,
    /// Of the state that was planned against; 0 before its first apply.
    pub serial: u64,
    /// What Terraform warned of, masked.
    pub warnings: Vec<String>,
    /// What [`Terraform::apply`] of the same implementation needs.
    #[serde(skip)]
    pub file: Box<dyn Any + Send>,
}

impl Planned {
    /// Whether applying it would leave everything as it is, outputs included. False for moves,
    /// imports and forgets, which a count of 0/0/0 hides.
    pub fn nothing_to_do(&self) -> bool {
        self.output_changes.is_empty() && self.changes.iter().all(|change| change.action.is_harmless())
    }

    /// What this plan adds up to.
    pub fn counts(&self) -> Counts {
        Counts::of(self.changes.iter().map(|change| change.action))
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Planned")
            .field("changes", &self.changes)
            .field("output_changes", &self.output_changes)
            .field("lineage", &self.lineage)
            .field("serial", &self.serial)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// What happens while Terraform works. Texts are masked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// A child was started: told before anything else, so that a journal can hold it.
    Child {
        pid: u32,
        /// Tells this process from a later one with the same number: see `process::started`.
        started: String,
    },
    /// This resource is being compared with the real object.
    Planning {
        address: String,
    },
    ApplyStart {
        address: String,
        action: Action,
    },
    ApplyProgress {
        address: String,
        elapsed_seconds: u64,
    },
    ApplyDone {
        address: String,
        elapsed_seconds: u64,
    },
    ApplyFailed {
        address: String,
    },
    Diagnostic {
        /// `error` or `warning`
        severity: String,
        summary: String,
        detail: String,
        address: Option<String>,
    },
    Note(String),
}

/// What an apply did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Applied {
    /// In the order in which they were completed. A replacement stands as a destroy and a create.
    pub done: Vec<(String, Action)>,
    /// Values to work with, sensitive ones included where they are known; not for showing.
    pub outputs: BTreeMap<String, Value>,
    /// Sensitive outputs whose values only [`Terraform::state`] tells.
    pub withheld: Vec<String>,
}

/// What the state holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Managed resources in the order of their addresses; data sources are left out.
    pub resources: Vec<StateResource>,
    pub outputs: BTreeMap<String, Output>,
    /// None where the way it was read doesn't tell.
    pub lineage: Option<String>,
    /// None where the way it was read doesn't tell.
    pub serial: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateResource {
    pub address: String,
    /// `terraform_data`, `openstack_compute_instance_v2`
    pub kind: String,
    pub id: Option<String>,
    pub tainted: bool,
}

/// An output value. A sensitive one is plain here: it is known to the process's secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    pub value: Value,
    pub sensitive: bool,
}
