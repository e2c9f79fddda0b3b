//! What people and machines see of a run.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "report/events.rs"]
mod events;
#[path = "report/machine.rs"]
mod machine;
#[path = "report/story.rs"]
mod story;
