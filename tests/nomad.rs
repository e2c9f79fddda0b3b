//! The Nomad client against servers made of functions: manners, following, edits, diffs, health.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "nomad/again.rs"]
mod again;
#[path = "nomad/client.rs"]
mod client;
#[path = "nomad/diff.rs"]
mod diff;
#[path = "nomad/follow.rs"]
mod follow;
#[path = "nomad/health.rs"]
mod health;
#[path = "nomad/image.rs"]
mod image;
#[path = "nomad/support.rs"]
mod support;
