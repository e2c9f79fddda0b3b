//! The kinds of steps, one file each: `preview` reads only, `execute` does what was previewed,
//! `reconcile` looks after a crash whether it happened.

mod build;
mod command;
mod jobs;
mod named;
mod nomad_job;
mod nomad_restart;
mod nomad_scale;
mod nomad_start;
mod nomad_stop;
mod patch;
mod person;
mod request;
mod statement;
mod terraform;

pub use build::{Inputs, build};
pub use named::{Named, named};
pub use patch::{MADE, OnFailure, Only, Patch, ServiceChange, Wanted};
