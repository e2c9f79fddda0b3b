//! Children: their environment, their group, their output.
//!
//! A child gets exactly the environment that was built for it, a process group of its own, so that a
//! terminal's Ctrl-C doesn't reach it, and memory files for its output: killing us neither kills it
//! by a broken pipe nor leaves its output on disk. Linux only.

mod child;
mod environment;
mod identity;
mod memory;
mod run;

pub use child::{Child, Command, Ended, Interrupter};
pub use environment::{environment, is_named, shell};
pub use identity::{ended, is_running, started};
pub use memory::{Lines, Memory};
pub use run::{Finished, Limits, RunError, Stream, run};
