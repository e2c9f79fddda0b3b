//! Terraform: what the engine asks of it, the guard over what it plans, and the driver on the real
//! process.

mod api;
mod cli;
mod detail;
mod error;
mod guard;
mod init;
mod invoke;
mod planfile;
mod settings;
mod shown;
mod stream;

pub use api::{
    Action, Applied, Change, Counts, Operation, Output, Planned, Progress, State, StateResource, Tell,
    Terraform,
};
pub use cli::Cli;
pub use error::{Effect, Lock, Problem, TerraformError};
pub use guard::{
    Breach, Count, Deed, Earlier, Guard, GuardReport, Offence, Offender, Verdict, WrongCount, matches,
};
pub use settings::{MINIMUM, Settings};
