//! The names that expressions of a job file know: `var`, `local`, the iterators of `dynamic` blocks,
//! and everything else, which stays as it is written for Nomad's agents.

use std::cell::Cell;
use std::rc::Rc;

use crate::base::{Diagnostic, Span};
use crate::hcl::{Expr, Functions, MAX_WORK, Root, Scope, Value};
use crate::jobspec::trail::Trail;

/// The whole file's names.
pub struct Names {
    pub variables: Value,
    pub locals: Value,
    pub functions: Functions,
    /// Work done so far in the whole file.
    pub work: Cell<u64>,
}

/// Names at one place of the file.
#[derive(Clone)]
pub struct Context<'a> {
    names: &'a Names,
    iteration: Option<Rc<Iteration<'a>>>,
    trail: Option<&'a Trail<'a>>,
}

/// One turn of a `dynamic` block, and those around it.
struct Iteration<'a> {
    name: String,
    value: Value,
    /// The `for_each` that it is a turn of.
    #[expect(dead_code, reason = "edits follow it")]
    each: &'a Expr,
    outer: Option<Rc<Iteration<'a>>>,
}

impl<'a> Context<'a> {
    pub fn new(names: &'a Names) -> Self {
        Self { names, iteration: None, trail: None }
    }

    /// Names that also keep what the job is made of.
    pub fn tracked(names: &'a Names, trail: &'a Trail<'a>) -> Self {
        Self { names, iteration: None, trail: Some(trail) }
    }

    pub fn trail(&self) -> Option<&'a Trail<'a>> {
        self.trail
    }

    /// Counts the work of filling one struct; the error says that it was too much.
    pub fn spend(&self, work: u64, place: &Span) -> Result<(), Diagnostic> {
        let total = self.names.work.get().saturating_add(work);
        self.names.work.set(total);
        if total > MAX_WORK {
            return Err(Diagnostic::error("this job is beyond all measure").at(place));
        }
        Ok(())
    }

    /// The names within one turn: `name.key` and `name.value` besides those here.
    pub fn turn(&self, name: &str, key: Value, value: Value, each: &'a Expr) -> Self {
        let value = Value::Object([("key".to_owned(), key), ("value".to_owned(), value)].into());
        let iteration = Iteration { name: name.to_owned(), value, each, outer: self.iteration.clone() };
        Self { names: self.names, iteration: Some(Rc::new(iteration)), trail: self.trail }
    }
}

impl Scope for Context<'_> {
    fn root(&self, _: &str) -> Root {
        Root::KeepText
    }

    fn root_ref(&self, name: &str) -> Option<&Value> {
        let mut iteration = self.iteration.as_ref();
        while let Some(here) = iteration {
            if here.name == name {
                return Some(&here.value);
            }
            iteration = here.outer.as_ref();
        }
        match name {
            "var" => Some(&self.names.variables),
            "local" => Some(&self.names.locals),
            _ => None,
        }
    }

    fn work(&self) -> Option<&Cell<u64>> {
        Some(&self.names.work)
    }

    fn root_names(&self) -> Vec<String> {
        vec!["var".to_owned(), "local".to_owned()]
    }

    fn functions(&self) -> &Functions {
        &self.names.functions
    }
}
