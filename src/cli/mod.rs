//! The command line: arguments, one file a command, prompts. Nothing here that a library user would miss.

mod args;
mod commands;
mod interrupts;
mod prompt;
mod ui;

pub use args::main;
