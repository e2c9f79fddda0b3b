//! Evaluation of expressions in a scope.

mod access;
mod env;
mod expr;
mod operators;
mod scope;
mod template;
mod typing;

pub use env::{Env, Evaluated, MAX_WORK};
pub use expr::{elements, evaluate, truth};
pub use scope::{Root, Scope};
pub use typing::type_of;
