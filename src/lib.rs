//! Stop, start, restart in waves and patch environments that run on Terraform and Nomad.
//!
//! The modules stand in layers; each uses only those listed below it. `tests/architecture.rs` holds
//! the table of allowed edges.

pub mod app;
pub mod base;
pub mod cli;
pub mod db;
pub mod dialect;
pub mod engine;
pub mod environment;
pub mod event;
pub mod gate;
pub mod hcl;
pub mod http;
pub mod jobspec;
pub mod journal;
pub mod lasting;
pub mod nomad;
pub mod plan;
pub mod process;
pub mod report;
pub mod settings;
pub mod sim;
pub mod step;
pub mod terraform;
