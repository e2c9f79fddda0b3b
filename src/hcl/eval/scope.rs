//! What a dialect gives to the evaluator: names and functions.

use std::cell::Cell;

use crate::hcl::{Functions, Type, Value};

/// What a root name stands for.
pub enum Root {
    Value(Value),
    /// The whole traversal stays as it is written, `${…}` around it: what Nomad's agents fill in later.
    KeepText,
    Missing,
}

/// The names and functions that an expression may use.
pub trait Scope {
    fn root(&self, name: &str) -> Root;
    /// The names there are, for "did you mean".
    fn root_names(&self) -> Vec<String>;
    fn functions(&self) -> &Functions;

    /// The value of a root without a copy, for scopes whose values live long and may be large. Asked
    /// before [`Scope::root`].
    fn root_ref(&self, _name: &str) -> Option<&Value> {
        None
    }

    /// The type that `root.name` was declared with.
    fn declared(&self, _root: &str, _name: &str) -> Option<&Type> {
        None
    }

    /// The count of work that all evaluations in this scope share. Without it each has its own.
    fn work(&self) -> Option<&Cell<u64>> {
        None
    }
}
