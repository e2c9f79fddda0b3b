//! `nomad_patch`: changes values of running jobs by check-and-set, follows them to health, and puts back
//! what doesn't get there.
//!
//! Guarantees: a job is registered only as it was shown, and only over the job that was seen; one that
//! doesn't become healthy ends as it was before, or it is said why not; fields that no table knows
//! survive. Does not: put back what somebody else changed meanwhile.

mod act;
mod edits;
mod files;
mod lasting;
mod look;
mod one;
mod order;
mod outcome;
mod problems;
mod select;
mod taken;
mod wanted;

pub use look::Patch;
pub use wanted::{MADE, OnFailure, Only, ServiceChange, Wanted};
