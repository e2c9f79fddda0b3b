//! One chosen environment, made reachable: its clients, its late addresses and credentials, and what
//! expressions can name of it.
//!
//! Nothing is contacted before it is asked for. Terraform outputs are read when an address needs them,
//! unknown while a Terraform step that would change them still stands before, and read again after it.

mod facts;
mod reach;

pub use facts::{Environment, JobFiles, Parts, TerraformMaker};
pub use reach::ReachError;
