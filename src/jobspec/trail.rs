//! What a job was made of: kept only while somebody asks where its values were written.
//!
//! Each object that a block fills gets one more member, [`MARK`], with the number of its [`Site`]. So
//! it stays known where the block stands, however hooks move the object around, and plain reading
//! pays nothing for it. [`Trail::collect`] takes the marks out again.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::base::Span;
use crate::hcl::{Attribute, Body, Expr, Ident};
use crate::jobspec::schema::Struct;
use crate::jobspec::view::View;

/// The name of the member; no name of a job can be it.
pub const MARK: &str = "\0site";

/// What a block fills.
#[derive(Clone, Copy)]
pub enum Holds {
    Struct(&'static Struct),
    /// Free names, each with a text or a list of texts.
    Texts,
    /// Whatever a driver wants.
    Free,
}

/// One block of the job, a turn of a `dynamic` one included.
#[derive(Clone)]
pub struct Site<'a> {
    pub holds: Holds,
    pub labels: Vec<Ident>,
    pub view: View<'a>,
}

#[derive(Default)]
pub struct Trail<'a> {
    sites: RefCell<Vec<Site<'a>>>,
    pub locals: BTreeMap<&'a str, &'a Expr>,
    pub variables: BTreeMap<String, Given<'a>>,
}

/// What set a variable.
pub enum Given<'a> {
    Default(&'a Expr),
    File(&'a Expr),
    /// `-var NAME` or `NOMAD_VAR_NAME`.
    Outside(String),
}

impl<'a> Given<'a> {
    fn at(place: &Span, body: &'a Body, files: &'a [Body]) -> Self {
        let is_in = |body: &Body| std::sync::Arc::ptr_eq(&body.span.source, &place.source);
        if let Some(file) = files.iter().find(|file| is_in(file)) {
            let covers = |attribute: &&Attribute| attribute.span == *place;
            if let Some(attribute) = file.attributes().find(covers) {
                return Self::File(&attribute.expr);
            }
        }
        if is_in(body) {
            let mut defaults = body.blocks("variable").filter_map(|block| block.body.attribute("default"));
            let mut short = body.blocks("variables").flat_map(|block| block.body.attributes());
            let covers = |attribute: &&Attribute| attribute.expr.span.range == place.range;
            if let Some(attribute) = defaults.find(covers).or_else(|| short.find(covers)) {
                return Self::Default(&attribute.expr);
            }
        }
        Self::Outside(place.source.name.clone())
    }
}

/// Notes which block filled `object`.
pub fn mark(object: &mut Map<String, Json>, holds: Holds, labels: &[Ident], view: &View<'_>) {
    if let Some(trail) = view.context.trail() {
        let mut sites = trail.sites.borrow_mut();
        object.insert(MARK.to_owned(), sites.len().into());
        sites.push(Site { holds, labels: labels.to_vec(), view: view.clone() });
    }
}

impl<'a> Trail<'a> {
    /// The trail of a job file; `set` tells where its variables were set, `files` are its var files.
    pub fn new(body: &'a Body, files: &'a [Body], set: &BTreeMap<String, Span>) -> Self {
        let mut trail = Self::default();
        for block in body.blocks("locals") {
            for attribute in block.body.attributes() {
                trail.locals.insert(&attribute.name.text, &attribute.expr);
            }
        }
        for (name, place) in set {
            trail.variables.insert(name.clone(), Given::at(place, body, files));
        }
        trail
    }

    /// Takes the marks out of a finished job: the sites of its objects, by JSON pointer. A block that
    /// counts for several tasks stands at each of them.
    pub fn collect(&self, json: &mut Json) -> BTreeMap<String, Site<'a>> {
        let mut found = BTreeMap::new();
        self.take_marks(json, &mut String::new(), &mut found);
        found
    }

    fn take_marks(&self, json: &mut Json, pointer: &mut String, found: &mut BTreeMap<String, Site<'a>>) {
        let length = pointer.len();
        match json {
            Json::Object(map) => {
                let mark = map.remove(MARK).and_then(|mark| usize::try_from(mark.as_u64()?).ok());
                if let Some(site) = mark.and_then(|mark| self.sites.borrow().get(mark).cloned()) {
                    found.insert(pointer.clone(), site);
                }
                for (name, inner) in map {
                    push(pointer, name);
                    self.take_marks(inner, pointer, found);
                    pointer.truncate(length);
                }
            }
            Json::Array(items) => {
                for (i, inner) in items.iter_mut().enumerate() {
                    push(pointer, &i.to_string());
                    self.take_marks(inner, pointer, found);
                    pointer.truncate(length);
                }
            }
            _ => {}
        }
    }
}

/// Adds a name to a JSON pointer.
pub fn push(pointer: &mut String, name: &str) {
    pointer.push('/');
    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
}
