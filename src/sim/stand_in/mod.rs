//! A stand-in for Terraform: it reads the `.tf` files, counts what they ask for, and keeps a state of the
//! same shape as Terraform's.

mod config;
mod driver;
mod evaluate;
mod plan;
mod state;

pub use driver::{StandIn, StandInOptions};
