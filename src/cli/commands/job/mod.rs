//! `blackstart job`: job files by themselves.

mod arguments;
mod diff;
mod fmt;
mod graph;
mod parse;
mod validate;
mod verbs;

pub use verbs::{Job, run};
