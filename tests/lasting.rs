//! What lasts of a change, through the real binary on the sandbox: drift, unsaved patches, files, git.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; a skipped one says so"
)]

mod common;
#[path = "lasting/drift.rs"]
mod drift;
#[path = "lasting/site.rs"]
mod site;
#[path = "lasting/stop.rs"]
mod stop;
