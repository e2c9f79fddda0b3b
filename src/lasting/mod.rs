//! What lasts: the job files of an environment, and what of a live change is in them.
//!
//! Guarantees: which files and environments read a place is found by evaluating them, not by guessing; a
//! file is replaced whole or not at all, below the project's root only, and only while it still is what
//! was shown. Does not: read the env files of other environments; follow what `file()` reads.

mod changed;
mod choice;
mod commit;
mod drift;
mod files;
mod git;
mod kept;
mod ledger;
mod making;
mod overtaken;
mod own;
mod reach;
mod replace;
mod submission;
mod taken;
mod told;
mod uncommitted;
mod unsaved;
mod writeback;

pub use commit::{Commit, CommitError, Committed};
pub use drift::{Drift, DriftError, Drifted, How, drift, drift_of};
pub use files::{JobFile, Overlay, inputs, job_files, read_file, read_jobs};
pub use git::{Branch, Entry, Git, GitError, write_flags};
pub use kept::{Kept, kept, kept_jobs};
pub use ledger::{Change, DROP, given_up, ledger};
pub use overtaken::{Overtaken, overtaken, registered_by};
pub use own::OwnCommits;
pub use replace::{ReplaceError, Replacement};
pub use submission::submission;
pub use taken::{Taken, taken};
pub use uncommitted::uncommitted;
pub use unsaved::{Filled, Unsaved, Why, unsaved};
pub use writeback::{Asked, WriteBack};
