//! What plans and settings share over the HCL evaluator: rules for what may stand where, reading
//! blocks by them with every error gathered, named values, and the functions of our own.

mod reader;
mod rules;
mod scope;

pub use reader::{Reader, list_items, object_items};
pub use rules::{AttributeRule, BlockRule, Phase, Type, block, late, load, required};
pub use scope::{Values, duration_of, functions};
