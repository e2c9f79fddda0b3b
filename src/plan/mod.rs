//! The plan language: what a person writes in plans/*.hcl, validated.
//!
//! Loading checks every block, attribute, type, root and name, and gathers every error. It guarantees
//! that waves and steps can be ordered, that each name in an expression stands for something, and that
//! each `load` attribute has a value. Expressions that are `late` are kept and evaluated when first
//! needed.

mod graph;
mod load;
mod model;
mod references;
mod schema;

pub use graph::{Cycle, levels, order};
pub use load::{input_values, load, summaries};
pub use model::{
    Check, Gate, Input, OnDeadline, Operation, Plan, Probe, ProbeKind, Record, StepKind, StepSpec, Summary,
    Wave,
};
pub use schema::PATCH_FILE;
