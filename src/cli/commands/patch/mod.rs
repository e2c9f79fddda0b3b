//! Patches: of what runs, and of what lasts.

mod drop;
mod live;
mod save;

pub use live::{Patch, run};
pub use save::{Write, write};
