//! Edits of a job's files so that the job gets other values: at the attribute, or at the local, the
//! variable's default or the var file's line that its text comes from.
//!
//! Guarantees: the edited files were read again, and give the job with exactly the values wanted; what
//! else of the job changes with them is told; no byte is touched that needn't be. Does not: write
//! files, know which other jobs read them, or change what was given by `-var` or the environment.

mod at;
mod draft;
mod edits;
mod error;
mod here;
mod narrow;
mod plan;
mod value;

pub use at::{edit_at, undo};
pub use edits::{Edit, Edits, Wanted, apply, edits, edits_of};
pub use error::EditError;
