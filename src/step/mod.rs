//! The kinds of steps, one file each: `preview` reads only, `execute` does what was previewed,
//! `reconcile` looks after a crash whether it happened.

mod build;
mod command;
mod jobs;
mod nomad_job;
mod nomad_stop;
mod patch;
mod person;
mod request;
mod statement;
mod terraform;

pub use build::{Inputs, build};
pub use patch::{MADE, OnFailure, Only, Patch, ServiceChange, Wanted};
