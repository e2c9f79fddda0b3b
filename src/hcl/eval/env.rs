//! Where an expression is evaluated: the scope, names bound by `for`, and what work is left.

use std::cell::Cell;

use crate::base::{Diagnostic, Span};
use crate::hcl::eval::scope::Scope;
use crate::hcl::tree::Ident;
use crate::hcl::value::Value;

pub type Evaluated = Result<Value, Diagnostic>;

/// How many nodes, elements and sixteen-byte pieces of text one evaluation may visit or make.
pub const MAX_WORK: u64 = 2_000_000;

#[derive(Clone, Copy)]
pub struct Env<'a> {
    pub scope: &'a dyn Scope,
    pub bound: Option<&'a Bound<'a>>,
    /// The element of the innermost splat.
    pub item: Option<&'a Value>,
    pub work: &'a Cell<u64>,
}

/// One name bound by a `for`, and those around it.
pub struct Bound<'a> {
    pub name: &'a str,
    pub value: Value,
    pub outer: Option<&'a Bound<'a>>,
}

impl<'a> Env<'a> {
    pub fn new(scope: &'a dyn Scope, work: &'a Cell<u64>) -> Self {
        Self { scope, bound: None, item: None, work }
    }

    pub fn lookup(&self, name: &str) -> Option<&'a Value> {
        let mut bound = self.bound;
        while let Some(here) = bound {
            if here.name == name {
                return Some(&here.value);
            }
            bound = here.outer;
        }
        None
    }

    /// Counts work done, and stops an expression that would not end in reasonable time or space.
    pub fn spend(&self, work: usize, span: &Span) -> Result<(), Diagnostic> {
        let total = self.work.get().saturating_add(work as u64);
        self.work.set(total);
        if total > MAX_WORK {
            return Err(Diagnostic::error("this expression makes too much of its input")
                .at(span)
                .help("more than two million elements or 32 MB of text would be made"));
        }
        Ok(())
    }

    /// Runs `body` with the names of a `for` bound.
    pub fn bind<T>(
        &self,
        key: Option<(&Ident, Value)>,
        value: (&Ident, Value),
        body: impl FnOnce(&Env<'_>) -> T,
    ) -> T {
        match key {
            None => {
                let bound = Bound { name: &value.0.text, value: value.1, outer: self.bound };
                body(&Env { bound: Some(&bound), ..*self })
            }
            Some((name, key)) => {
                let outer = Bound { name: &name.text, value: key, outer: self.bound };
                let bound = Bound { name: &value.0.text, value: value.1, outer: Some(&outer) };
                body(&Env { bound: Some(&bound), ..*self })
            }
        }
    }
}
