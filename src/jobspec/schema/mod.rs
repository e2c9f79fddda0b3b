//! Every struct of Nomad's API that a job file can fill, as one static table: what Nomad 2.0.6 has.

mod job;
mod row;
mod service;
mod spans;
mod task;
mod words;

pub use job::JOB;
pub use row::{Field, Kind, Place, Struct, Width};
pub use spans::spans;
pub use words::words;
