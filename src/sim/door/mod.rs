//! The sandbox: a world served over sockets, in scaled real time, with a door for whoever controls it.

mod control;
mod file;
mod listener;
mod sandbox;

pub use control::{Control, ControlError};
pub use file::{ClockFile, SandboxFile};
pub use sandbox::{DoorError, Sandbox, SandboxOptions};
