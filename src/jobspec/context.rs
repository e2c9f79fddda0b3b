//! The names that expressions of a job file know: `var`, `local`, the iterators of `dynamic` blocks,
//! and everything else, which stays as it is written for Nomad's agents.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::{Diagnostic, Span};
use crate::hcl::trace::{Frame, Key, Lead, Origins, Place};
use crate::hcl::{Expr, Functions, MAX_WORK, Root, Scope, Type, Value};
use crate::jobspec::trail::{Given, Trail};

/// The whole file's names.
pub struct Names {
    pub variables: Value,
    pub locals: Value,
    /// The types that variables were declared with, and those of locals where they say more than the values.
    pub variable_types: BTreeMap<String, Type>,
    pub local_types: BTreeMap<String, Type>,
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

    fn declared(&self, root: &str, name: &str) -> Option<&Type> {
        let mut iteration = self.iteration.as_ref();
        while let Some(here) = iteration {
            if here.name == root {
                return None;
            }
            iteration = here.outer.as_ref();
        }
        match root {
            "var" => self.names.variable_types.get(name),
            "local" => self.names.local_types.get(name),
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

impl<'a> Context<'a> {
    /// The same names outside of all `dynamic` blocks.
    fn outside(&self) -> Self {
        Self { iteration: None, ..self.clone() }
    }

    fn written(self, expr: &'a Expr, place: Place, path: &[Key]) -> Lead<'a> {
        Lead::Written { expr, frame: Frame::new(Rc::new(self), place), path: path.to_vec() }
    }
}

/// Of a set, elements are known by what they are.
fn settled(root: &Value, path: &[Key]) -> Vec<Key> {
    let mut path = path.to_vec();
    if let [first, Key::At(at), ..] = path.as_slice()
        && let Some(Value::Set(items)) = first.within(root)
        && let Some(item) = items.get(*at)
    {
        path[1] = Key::Equal(item.clone());
    }
    path
}

impl<'a> Origins<'a> for Context<'a> {
    fn lead(&self, root: &str, path: &[Key]) -> Lead<'a> {
        let mut iteration = self.iteration.as_ref();
        while let Some(here) = iteration {
            if here.name == root {
                return here.lead(self, path);
            }
            iteration = here.outer.as_ref();
        }
        let values = match root {
            "var" => &self.names.variables,
            "local" => &self.names.locals,
            _ => return Lead::Kept,
        };
        let path = settled(values, path);
        let Some((Key::Name(name), rest)) = path.split_first() else {
            return Lead::Made("all of them together");
        };
        let Some(trail) = self.trail else { return Lead::Made("a value that wasn't kept") };
        if root == "local" {
            return match trail.locals.get(name.as_str()) {
                Some(expr) => self.outside().written(expr, Place::Local(name.clone()), rest),
                None => Lead::Made("a local that isn't there"),
            };
        }
        match trail.variables.get(name) {
            Some(Given::Default(expr)) => self.outside().written(expr, Place::Default(name.clone()), rest),
            Some(Given::File(expr)) => self.outside().written(expr, Place::VarFile(name.clone()), rest),
            Some(Given::Outside(what)) => Lead::Outside(what.clone()),
            None => Lead::Made("a variable that isn't there"),
        }
    }
}

impl<'a> Iteration<'a> {
    fn lead(&self, context: &Context<'a>, path: &[Key]) -> Lead<'a> {
        let Some((Key::Name(part), rest)) = path.split_first() else {
            return Lead::Made("an element and its key");
        };
        let Some(element) = self.value.as_map() else { return Lead::Made("an element") };
        let (Some(key), Some(value)) = (element.get("key"), element.get("value")) else {
            return Lead::Made("an element");
        };
        // Only in a set a key equals its element, and there it is what the element is known by.
        let key = match key {
            Value::Number(_) => Key::of(key),
            _ if key == value => Key::Equal(value.clone()),
            _ if part == "key" => return Lead::Made("the key of an element"),
            _ => Key::of(key),
        };
        if part == "key" && !matches!(key, Key::Equal(_)) {
            return Lead::Made("the number of an element");
        }
        let path: Vec<Key> = std::iter::once(key).chain(rest.iter().cloned()).collect();
        let outer = Context { iteration: self.outer.clone(), ..context.clone() };
        outer.written(self.each, Place::Literal, &path)
    }
}
