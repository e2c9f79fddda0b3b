//! Job files by themselves: read, checked, formatted, compared, put in order. No project and no server is
//! needed, but where a running job is named.

mod consumed;
mod diff;
mod files;
mod format;
mod graph;
mod read;

pub use diff::{JobDiff, Side, job_diff};
pub use files::{JobOptions, STDIN};
pub use format::{Formatted, format_files};
pub use graph::{JobGraph, JobNode, Wait, Why, job_graph};
pub use read::{CheckedJobs, check_jobs, job_text, read_job};

pub(super) use graph::{Waiting, dependencies};
