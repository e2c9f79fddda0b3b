//! Runs plans: looks, asks, acts, waits, records.
//!
//! Guarantees: nothing is done that was not shown and approved, or bounded by what was; an intent is on
//! the disk before its act and its outcome right after; a record that can't be written stops the run; a
//! step whose outcome is unknown is looked at before it is done again. One dispatcher owns the state of
//! a run; waves run as tasks that ask it for every transition. It knows no kind of step, no database, no
//! terminal: those come in through traits.

mod approval;
mod begin;
mod blobs;
mod decision;
mod dispatch;
mod explain;
mod gates;
mod latch;
mod look;
mod run;
mod steps;
mod traits;
mod wave;

pub use approval::{Answer, Approver, Question};
pub use blobs::Blobs;
pub use decision::{Decision, digest_of};
pub use latch::Latch;
pub use look::Looked;
pub use run::{Approval, Finished, Resume, Run, look, run};
pub use traits::{
    Breach, Context, Facts, Horizon, Outcome, Preview, Reconciled, Samples, Step, StepError, Touched,
};
