//! One command a file: its arguments, whose comment is its help, then what it does.

pub mod demo;
pub mod drift;
pub mod job;
pub mod patch;
pub mod preflight;
pub mod preview;
pub mod rehearse;
pub mod resume;
pub mod run;
pub mod runs;
pub mod sandbox;
pub mod service;
pub mod show;
pub mod status;
pub mod updown;
pub mod validate;

mod common;
