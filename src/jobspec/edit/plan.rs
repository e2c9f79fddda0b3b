//! From a pointer into the job's JSON to the attribute that fills it, or the place for a new one.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use crate::base::Span;
use crate::hcl::edit::{
    Change, add_attribute, add_block, add_json_members, is_json, is_name, json_text, remove, text,
};
use crate::hcl::trace::{Frame, Key, Place};
use crate::hcl::{Attribute, Body, Expr, ExprKind};
use crate::jobspec::edit::EditError;
use crate::jobspec::edit::value::{self, Target};
use crate::jobspec::path::Path;
use crate::jobspec::places::{key_of, precedence};
use crate::jobspec::schema::{self, Kind, Struct};
use crate::jobspec::trail::{Holds, Site};

/// What is wanted of one value.
pub struct Goal<'g> {
    pub path: &'g Path,
    /// The job as it is.
    pub job: &'g Json,
    pub old: &'g Json,
    pub new: &'g Json,
    /// The new value as it was given: a length of time may be `"30s"`.
    pub given: &'g Json,
    /// Whether it is written into the job's own expression, whatever that refers to.
    pub here: bool,
}

pub type Changes = Result<Vec<(Change, Place)>, EditError>;

impl Goal<'_> {
    pub fn no_place(&self, why: impl Into<String>, at: &Span) -> EditError {
        EditError::NoPlace { path: self.path.to_string(), why: why.into(), at: Some(at.clone()) }
    }

    fn part<'p>(&'p self, old: &'p Json, new: &'p Json) -> Goal<'p> {
        Goal { old, new, given: new, ..*self }
    }
}

/// The changes that give the job the value, as far as can be seen before it is read again.
pub fn plan(sites: &BTreeMap<String, Site<'_>>, goal: &Goal<'_>) -> Changes {
    let none = |why: &str| EditError::NoPlace { path: goal.path.to_string(), why: why.to_owned(), at: None };
    let pointer = goal.path.pointer(goal.job).ok_or_else(|| none("it leads to nothing"))?;
    let mut outer = pointer.as_str();
    let site = loop {
        if let Some(site) = sites.get(outer) {
            break site;
        }
        outer = outer.rfind('/').map(|at| &outer[..at]).ok_or_else(|| none("no block holds it"))?;
    };
    let rest = &pointer[outer.len()..];
    let rest: Vec<String> =
        rest.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    Planner { site }.at(&rest, goal)
}

/// One block, and what becomes of what it holds.
struct Planner<'s, 'a> {
    site: &'s Site<'a>,
}

impl<'a> Planner<'_, 'a> {
    fn body(&self) -> &'a Body {
        self.site.view.body
    }

    fn at(&self, rest: &[String], goal: &Goal<'_>) -> Changes {
        if rest.is_empty() {
            return self.members(goal);
        }
        match self.site.holds {
            Holds::Struct(of) => self.field(of, rest, goal),
            Holds::Texts => match self.body().attribute(&rest[0]) {
                Some(attribute) => self.value(self.body(), attribute, &rest[1..], None, goal),
                None => self.add(self.body(), &[], &rest[0], None, goal),
            },
            Holds::Free => self.free(self.body(), rest, goal),
        }
    }

    /// All that a block of free names holds.
    fn members(&self, goal: &Goal<'_>) -> Changes {
        let (Json::Object(old), Json::Object(new)) = (goal.old, goal.new) else {
            return Err(goal.no_place("a block can't be taken out by an edit", self.site.view.header));
        };
        let mut changes = Vec::new();
        for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
            let (old, new) = (old.get(name).unwrap_or(&Json::Null), new.get(name).unwrap_or(&Json::Null));
            if old != new {
                changes.extend(self.at(std::slice::from_ref(name), &goal.part(old, new))?);
            }
        }
        Ok(changes)
    }

    fn field(&self, of: &'static Struct, rest: &[String], goal: &Goal<'_>) -> Changes {
        let key = rest[0].as_str();
        let header = self.site.view.header;
        let Some(field) = of.all().find(|field| field.json == key) else {
            return Err(goal.no_place("no attribute sets it", header));
        };
        // Of shorthands for one field, the last counts.
        let written = self.body().attributes().filter(|a| key_of(of, &a.name.text) == Some(key));
        let written = written.max_by_key(|attribute| precedence(of, &attribute.name.text));
        if let Some(attribute) = written {
            return self.value(self.body(), attribute, &rest[1..], Some(field.kind), goal);
        }
        if let [_] = rest {
            if field.kind.of().is_some() || matches!(field.kind, Kind::FreeMap) {
                return Err(goal.no_place("there is no such block", header));
            }
            if field.place == schema::Place::Block {
                return self.add_map(field.name, goal);
            }
            return self.add(self.body(), &[], field.name, Some(field.kind), goal);
        }
        // The block isn't there yet.
        let (mut kinds, mut field) = (vec![field.name], field);
        for (i, key) in rest.iter().enumerate().skip(1) {
            let last = i + 1 == rest.len();
            match field.kind {
                Kind::One(inner) => {
                    let Some(next) = inner.all().find(|field| field.json == key) else { break };
                    if last {
                        return self.add(self.body(), &kinds, next.name, Some(next.kind), goal);
                    }
                    kinds.push(next.name);
                    field = next;
                }
                Kind::TextMap if last && field.place == schema::Place::Either && !is_name(key) => {
                    let map: Json = [(key.clone(), goal.new.clone())].into_iter().collect();
                    let kind = kinds.pop().unwrap_or_default();
                    return self.add(self.body(), &kinds, kind, None, &goal.part(&Json::Null, &map));
                }
                Kind::TextMap | Kind::TextsMap | Kind::FreeMap if last => {
                    return self.add(self.body(), &kinds, key, None, goal);
                }
                _ => break,
            }
        }
        Err(goal.no_place("the blocks that it would need aren't there", header))
    }

    /// A new block of free names.
    fn add_map(&self, kind: &'static str, goal: &Goal<'_>) -> Changes {
        let map = goal.new.as_object().filter(|map| map.len() == 1);
        match map.and_then(|map| map.iter().next()) {
            Some((name, value)) => self.add(self.body(), &[kind], name, None, &goal.part(&Json::Null, value)),
            None => self.add_names(kind, goal),
        }
    }

    /// A new block of several free names.
    fn add_names(&self, kind: &'static str, goal: &Goal<'_>) -> Changes {
        let header = self.site.view.header;
        let names =
            goal.new.as_object().filter(|map| !map.is_empty() && map.keys().all(|name| is_name(name)));
        let Some(names) = names.filter(|_| !is_json(&header.source)) else {
            return Err(goal.no_place(format!("there is no `{kind}` block"), header));
        };
        let lines: Vec<(&str, String)> =
            names.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        Ok(vec![(add_block(self.body(), &[kind], &lines), Place::Literal)])
    }

    /// A free-form block, whose blocks are lists of objects, and so are objects in its attributes.
    fn free(&self, body: &'a Body, rest: &[String], goal: &Goal<'_>) -> Changes {
        let name = rest[0].as_str();
        let blocks: Vec<_> = body.all_blocks().filter(|block| block.kind.text == name).collect();
        if blocks.is_empty() {
            return match body.attribute(name) {
                Some(attribute) if matches!(attribute.expr.kind, ExprKind::Object(_)) => {
                    if rest.get(1).is_some_and(|at| at == "0") {
                        return self.value(body, attribute, &rest[2..], None, goal);
                    }
                    let first = |json: &Json| json.get(0).cloned().unwrap_or_default();
                    let (old, new) = (first(goal.old), first(goal.new));
                    self.value(body, attribute, &[], None, &goal.part(&old, &new))
                }
                Some(attribute) => self.value(body, attribute, &rest[1..], None, goal),
                None if rest.len() == 1 => self.add(body, &[], name, None, goal),
                None => Err(goal.no_place(format!("there is no `{name}` here"), self.site.view.header)),
            };
        }
        let block = rest.get(1).and_then(|at| blocks.get(at.parse::<usize>().ok()?));
        let Some(block) = block else {
            return Err(goal.no_place("blocks can't be added or taken out", &blocks[0].kind.span));
        };
        let rest = rest.get(2 + 2 * block.labels.len()..).unwrap_or_default();
        if rest.is_empty() {
            return Err(goal.no_place("a block can't be changed as a whole", &block.kind.span));
        }
        self.free(&block.body, rest, goal)
    }

    /// The value of an attribute, or one within it.
    fn value(
        &self,
        body: &Body,
        attribute: &'a Attribute,
        rest: &[String],
        kind: Option<Kind>,
        goal: &Goal<'_>,
    ) -> Changes {
        if (goal.new.is_null() || goal.given.is_null()) && rest.is_empty() {
            let change = remove(body, attribute)
                .ok_or_else(|| goal.no_place("it can't be taken out of this line", &attribute.span))?;
            return Ok(vec![(change, Place::Literal)]);
        }
        let frame = Frame::new(Rc::new(self.site.view.context.clone()), Place::Literal);
        let path = rest.iter().map(|key| Key::Name(key.clone())).collect();
        let target: Target<'_, 'a> = Target { expr: &attribute.expr, frame: &frame, path, kind, goal };
        value::change(&target, goal.old, goal.new, goal.given)
    }

    /// A new attribute, in new blocks where these aren't there.
    fn add(&self, body: &Body, kinds: &[&str], name: &str, kind: Option<Kind>, goal: &Goal<'_>) -> Changes {
        let header = self.site.view.header;
        if goal.new.is_null() {
            return Err(goal.no_place("it isn't written here, and can't be taken out", header));
        }
        let new = value::spelled(goal.new, goal.given, kind);
        let change = if is_json(&header.source) {
            let outer: Vec<&str> = kinds.iter().copied().chain([name]).collect();
            let (first, inner) =
                outer.split_first().map_or((name, &[][..]), |(first, inner)| (*first, inner));
            let value = inner
                .iter()
                .rev()
                .fold(json_text(&new, false), |value, name| format!("{{{}: {value}}}", Json::from(*name)));
            add_json_members(&body.span, &[(first, value)])
        } else if !is_name(name) {
            return Err(goal.no_place(format!("{name:?} can't be the name of an attribute"), header));
        } else if kinds.is_empty() {
            Some(add_attribute(body, name, &text(&new)))
        } else {
            Some(add_block(body, kinds, &[(name, text(&new))]))
        };
        let change = change.ok_or_else(|| goal.no_place("there is no object to put it into", header))?;
        Ok(vec![(change, Place::Literal)])
    }
}

/// An expression without the parentheses around it.
pub fn bare(mut expr: &Expr) -> &Expr {
    while let ExprKind::Parens(inner) = &expr.kind {
        expr = inner;
    }
    expr
}
