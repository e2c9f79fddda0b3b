//! What lasts of a change, through the real binary on the sandbox: drift, unsaved patches, files, git.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; a skipped one says so"
)]

#[path = "lasting/commit.rs"]
mod commit;
mod common;
#[path = "lasting/drift.rs"]
mod drift;
#[path = "lasting/git.rs"]
mod git;
#[path = "lasting/others.rs"]
mod others;
#[path = "lasting/overtaken.rs"]
mod overtaken;
#[path = "lasting/patch.rs"]
mod patch;
#[path = "lasting/places.rs"]
mod places;
#[path = "lasting/site.rs"]
mod site;
#[path = "lasting/stop.rs"]
mod stop;
#[path = "lasting/unsaved.rs"]
mod unsaved;
#[path = "lasting/words.rs"]
mod words;
