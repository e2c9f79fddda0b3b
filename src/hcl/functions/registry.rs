//! Which functions there are, and what they take.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::hcl::functions::{
    collection, csv, dates, encoding, format, hashes, network, numeric, regexes, sets, strings,
};
use crate::hcl::value::{Type, Value};

/// Why a function has no result, and which argument is to blame where one is.
pub struct Fault {
    pub message: String,
    pub argument: Option<usize>,
}

impl Fault {
    pub fn at(argument: usize, message: impl Into<String>) -> Self {
        Self { message: message.into(), argument: Some(argument) }
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { message, argument: None }
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self { message: message.to_owned(), argument: None }
    }
}

pub type Outcome = Result<Value, Fault>;

#[derive(Clone)]
pub struct Function {
    /// Types of the arguments; the call converts to them.
    pub parameters: Vec<Type>,
    /// Type of further arguments, where there may be any number.
    pub more: Option<Type>,
    /// Whether null may be passed.
    pub nulls: bool,
    /// Whether the function deals with values known later by itself.
    pub unknowns: bool,
    pub body: Body,
}

pub type Plain = dyn Fn(&[Value]) -> Outcome + Send + Sync;

#[derive(Clone)]
pub enum Body {
    Plain(Arc<Plain>),
    /// The first argument that has a value.
    Try,
    /// Whether the argument has a value.
    Can,
    /// The second argument names a type.
    Convert,
}

/// A set of functions by name. Cheap to clone, and to add to: a reader of many files does both for each.
#[derive(Clone)]
pub struct Functions(Arc<BTreeMap<Arc<str>, Arc<Function>>>);

impl Functions {
    /// No function at all.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// The pure functions of HCL, cty, Terraform and Nomad: none reads a file, the clock or the network.
    pub fn standard() -> Self {
        static STANDARD: OnceLock<Functions> = OnceLock::new();
        STANDARD
            .get_or_init(|| {
                let mut table = Table(BTreeMap::new());
                for register in [
                    collection::register,
                    csv::register,
                    dates::register,
                    encoding::register,
                    format::register,
                    hashes::register,
                    network::register,
                    numeric::register,
                    regexes::register,
                    sets::register,
                    strings::register,
                ] {
                    register(&mut table);
                }
                table.special("try", Body::Try);
                table.special("can", Body::Can);
                table.special("convert", Body::Convert);
                let shared = table.0.into_iter().map(|(name, function)| (name.into(), Arc::new(function)));
                Self(Arc::new(shared.collect()))
            })
            .clone()
    }

    /// Adds a function, or puts it in another's place. It is called with any number of arguments of
    /// any type, null included; where one is not wholly known, the result is unknown without a call.
    pub fn add(
        &mut self,
        name: &str,
        function: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) {
        let body = Body::Plain(Arc::new(move |values: &[Value]| function(values).map_err(Fault::from)));
        let function =
            Function { parameters: Vec::new(), more: Some(Type::Any), nulls: true, unknowns: false, body };
        Arc::make_mut(&mut self.0).insert(name.into(), Arc::new(function));
    }

    /// Keeps only the functions that a dialect has.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        Arc::make_mut(&mut self.0).retain(|name, _| keep(name));
    }

    /// Gives a function a second name, in another's place if need be.
    pub fn rename(&mut self, from: &str, to: &str) {
        if let Some(function) = self.0.get(from).cloned() {
            Arc::make_mut(&mut self.0).insert(to.into(), function);
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name).map(AsRef::as_ref)
    }
}

/// The standard functions while they are gathered.
pub struct Table(BTreeMap<String, Function>);

impl Table {
    /// A function of exactly these parameters that takes no null.
    pub fn add(&mut self, name: &str, parameters: &[Type], body: fn(&[Value]) -> Outcome) -> &mut Function {
        self.insert(name, parameters, None, body)
    }

    /// A function of these parameters and any number of further ones.
    pub fn variadic(
        &mut self,
        name: &str,
        parameters: &[Type],
        more: Type,
        body: fn(&[Value]) -> Outcome,
    ) -> &mut Function {
        self.insert(name, parameters, Some(more), body)
    }

    fn insert(
        &mut self,
        name: &str,
        parameters: &[Type],
        more: Option<Type>,
        body: fn(&[Value]) -> Outcome,
    ) -> &mut Function {
        let function = Function {
            parameters: parameters.to_vec(),
            more,
            nulls: false,
            unknowns: false,
            body: Body::Plain(Arc::new(body)),
        };
        self.0.entry(name.to_owned()).insert_entry(function).into_mut()
    }

    fn special(&mut self, name: &str, body: Body) {
        let function =
            Function { parameters: Vec::new(), more: Some(Type::Any), nulls: true, unknowns: true, body };
        self.0.insert(name.to_owned(), function);
    }
}

impl Function {
    /// Lets null through.
    pub fn with_nulls(&mut self) -> &mut Self {
        self.nulls = true;
        self
    }
}
