//! The simulated environment: a Nomad API, a database file, publication and index endpoints and a stand-in
//! for Terraform, all on one given clock and one seed.
//!
//! A `World` starts no thread and opens no socket: it is a value with routers. `world.run()` lets time-bound
//! changes happen when they are due; without it they happen when somebody next looks.

mod door;
mod faults;
mod infrastructure;
mod nomad;
mod production;
mod random;
mod services;
mod stand_in;
mod world;

pub use door::{ClockFile, Control, ControlError, DoorError, Sandbox, SandboxFile, SandboxOptions};
pub use faults::{Fault, FaultKind};
pub use infrastructure::Infrastructure;
pub use nomad::{NodeSize, canonical_job, job_diff};
pub use production::{ProductionError, Report, TypeReport};
pub use stand_in::{StandIn, StandInOptions};
pub use world::{World, WorldOptions};
