//! Where an expression is followed: its scope, and where the names bound around it come from.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use crate::base::{Diagnostic, Span};
use crate::hcl::eval::{Env, Root, Scope, evaluate};
use crate::hcl::tree::{Expr, Step};
use crate::hcl::value::{Type, Value};
use crate::hcl::{Functions, MAX_WORK};

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Name(String),
    At(usize),
    /// The element of a set that equals this.
    Equal(Value),
}

/// What kind of place a text stands at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Right where it is used.
    #[default]
    Literal,
    Local(String),
    /// The default of a variable.
    Default(String),
    /// The line of a var file that sets a variable.
    VarFile(String),
}

/// As part of a sentence: `the default of var.tag`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal => f.write_str("the value itself"),
            Self::Local(name) => write!(f, "local.{name}"),
            Self::Default(name) => write!(f, "the default of var.{name}"),
            Self::VarFile(name) => write!(f, "the var file's {name}"),
        }
    }
}

/// Where a root name leads.
pub enum Lead<'a> {
    /// To an expression, and on from it.
    Written { expr: &'a Expr, frame: Frame<'a>, path: Vec<Key> },
    /// Out of all files: `-var tag`, `NOMAD_VAR_tag`.
    Outside(String),
    /// Nowhere: the reference stays in the text.
    Kept,
    /// To what was never written by itself, such as the number of an element.
    Made(&'static str),
}

/// A scope that knows where its names come from.
pub trait Origins<'a>: Scope {
    /// Where `root` with these steps leads.
    fn lead(&self, root: &str, path: &[Key]) -> Lead<'a>;
}

/// A scope, and the names bound by `for` and splats on the way to an expression.
#[derive(Clone)]
pub struct Frame<'a> {
    pub(super) scope: Rc<dyn Origins<'a> + 'a>,
    pub place: Place,
    bound: Option<Rc<Bound<'a>>>,
    item: Option<Rc<Bound<'a>>>,
}

struct Bound<'a> {
    name: String,
    value: Value,
    /// The collection that it is an element of; none for a key.
    of: Option<(&'a Expr, Frame<'a>, Key)>,
    outer: Option<Rc<Bound<'a>>>,
}

impl<'a> Frame<'a> {
    pub fn new(scope: Rc<dyn Origins<'a> + 'a>, place: Place) -> Self {
        Self { scope, place, bound: None, item: None }
    }

    /// The value of an expression, by the evaluator.
    pub fn eval(&self, expr: &Expr) -> Result<Value, Diagnostic> {
        let own = Cell::new(0);
        let item = self.item.as_ref().map(|item| &item.value);
        evaluate(expr, &Env { item, ..Env::new(self, self.work().unwrap_or(&own)) })
    }

    /// Counts a step, as the evaluator does.
    pub(super) fn spend(&self, work: usize, span: &Span) -> Result<(), Diagnostic> {
        let Some(total) = self.work() else { return Ok(()) };
        total.set(total.get().saturating_add(work as u64));
        if total.get() > MAX_WORK {
            return Err(Diagnostic::error("this value comes from too many places").at(span));
        }
        Ok(())
    }

    /// The frame of one turn of a `for` over `over`: its names and their values.
    pub(super) fn turn(
        &self,
        key: Option<(&str, Value)>,
        (name, value): (&str, Value),
        of: (&'a Expr, Key),
    ) -> Self {
        let mut turn = self.clone();
        if let Some((name, value)) = key {
            turn.bind(name, value, None);
        }
        turn.bind(name, value, Some((of.0, self.clone(), of.1)));
        turn
    }

    fn bind(&mut self, name: &str, value: Value, of: Option<(&'a Expr, Frame<'a>, Key)>) {
        let bound = Bound { name: name.to_owned(), value, of, outer: self.bound.take() };
        self.bound = Some(Rc::new(bound));
    }

    /// The frame within a splat, at one element of `base`.
    pub(super) fn at_item(&self, value: Value, base: &'a Expr, key: Option<Key>) -> Self {
        let of = key.map(|key| (base, self.clone(), key));
        let item = Bound { name: String::new(), value, of, outer: None };
        Self { item: Some(Rc::new(item)), ..self.clone() }
    }

    fn find(&self, name: &str) -> Option<&Rc<Bound<'a>>> {
        let mut bound = self.bound.as_ref();
        while let Some(here) = bound {
            if here.name == name {
                return Some(here);
            }
            bound = here.outer.as_ref();
        }
        None
    }

    pub(super) fn lead(&self, root: &str, path: Vec<Key>) -> Lead<'a> {
        match self.find(root) {
            Some(bound) => bound.lead(path),
            None => self.scope.lead(root, &path),
        }
    }

    pub(super) fn lead_of_item(&self, path: Vec<Key>) -> Lead<'a> {
        self.item.as_ref().map_or(Lead::Made("an element"), |item| item.lead(path))
    }
}

impl<'a> Bound<'a> {
    fn lead(&self, path: Vec<Key>) -> Lead<'a> {
        let Some((expr, frame, key)) = &self.of else { return Lead::Made("the key of an element") };
        let path = std::iter::once(key.clone()).chain(path).collect();
        Lead::Written { expr, frame: frame.clone(), path }
    }
}

impl Scope for Frame<'_> {
    fn root(&self, name: &str) -> Root {
        self.scope.root(name)
    }

    fn root_names(&self) -> Vec<String> {
        self.scope.root_names()
    }

    fn functions(&self) -> &Functions {
        self.scope.functions()
    }

    fn root_ref(&self, name: &str) -> Option<&Value> {
        match self.find(name) {
            Some(bound) => Some(&bound.value),
            None => self.scope.root_ref(name),
        }
    }

    fn declared(&self, root: &str, name: &str) -> Option<&Type> {
        if self.find(root).is_some() { None } else { self.scope.declared(root, name) }
    }

    fn work(&self) -> Option<&Cell<u64>> {
        self.scope.work()
    }
}

impl Key {
    /// The key that an index or attribute stands for.
    pub fn of(value: &Value) -> Self {
        match value {
            Value::String(name) => Self::Name(name.clone()),
            Value::Number(number) => {
                match number.as_u64().and_then(|at| usize::try_from(at).ok()).filter(|_| number.is_whole()) {
                    Some(at) => Self::At(at),
                    None => Self::Equal(value.clone()),
                }
            }
            other => Self::Equal(other.clone()),
        }
    }

    pub(super) fn of_step(step: &Step) -> Self {
        match step {
            Step::Name(ident) => Self::Name(ident.text.clone()),
            Step::Key(value, _) => Self::of(value),
        }
    }

    /// The value it means within another.
    pub fn within<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        match (value, self) {
            (Value::Set(items) | Value::List(items) | Value::Tuple(items), Self::Equal(wanted)) => {
                items.iter().find(|item| *item == wanted)
            }
            (Value::Set(items) | Value::List(items) | Value::Tuple(items), key) => items.get(key.index()?),
            (Value::Map(map) | Value::Object(map), key) => map.get(&key.name()?),
            _ => None,
        }
    }

    /// The number of the element it means.
    pub fn index(&self) -> Option<usize> {
        match self {
            Self::At(at) => Some(*at),
            Self::Name(name) => name.parse().ok(),
            Self::Equal(_) => None,
        }
    }

    /// The name of the attribute it means.
    pub fn name(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::At(at) => Some(at.to_string()),
            // Of an object's element that equals its key.
            Self::Equal(value) => value.as_str().map(str::to_owned),
        }
    }
}
