//! Where a value stands in a job, in the words of job files: `group.api.task.web.config.image`.
//!
//! Guarantees: a path reads, sets and points at the same value in the JSON of a job file and in the
//! JSON that a server gives, fields that no table knows included; what is set has the type that the
//! field has. Does not: make blocks that there can be many of, nor judge whether Nomad takes a value.

mod deeper;
mod every;
mod find;
mod set;
mod syntax;
#[cfg(test)]
mod tests;
mod walk;

pub use syntax::{Change, Path};
pub use walk::PathError;
