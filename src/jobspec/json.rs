//! Job files in JSON: HCL's JSON syntax, in which only the table says what is a block.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Diagnostic, Diagnostics, Source, Span};
use crate::hcl::{
    Attribute, Block, Body, Expr, ExprKind, Ident, Item, JsonNode, JsonNodeKind, ObjectItem, ObjectKey,
    Value, parse_json, parse_template,
};
use crate::jobspec::schema::{JOB, Kind, Place, Struct, words};
use crate::jobspec::view::label_count;

/// Reads a JSON job file into the tree that its HCL would have.
pub fn body(source: &Arc<Source>) -> Result<Body, Diagnostics> {
    let root = parse_json(source)?;
    let mut errors = Diagnostics::default();
    let mut items = Vec::new();
    for (name, node) in members(&root, &mut errors) {
        match name.text.as_str() {
            "job" => blocks(name, node, 1, &mut items, &mut errors, &mut |node, errors| {
                Inner::Struct(&JOB).body(node, errors)
            }),
            "variable" => blocks(name, node, 1, &mut items, &mut errors, &mut variable),
            "variables" | "locals" => {
                let constant = name.text == "variables";
                blocks(name, node, 0, &mut items, &mut errors, &mut |node, errors| {
                    Inner::Free { constant }.body(node, errors)
                });
            }
            // Comments, which HCL's JSON has under this name.
            "//" => {}
            _ => items.push(attribute(name, node, false, &mut errors)),
        }
    }
    errors.into_result(Body { items, span: Span::new(source, 0..source.text.len()) })
}

/// What the members of an object mean.
#[derive(Clone, Copy)]
enum Inner {
    Struct(&'static Struct),
    /// Names and values. Constants are not looked at for `${…}`.
    Free {
        constant: bool,
    },
}

impl Inner {
    fn of(kind: Kind) -> Self {
        kind.of().map_or(Self::Free { constant: false }, |of| Self::Struct(words(of)))
    }

    fn body(self, node: &JsonNode, errors: &mut Diagnostics) -> Body {
        let mut items = Vec::new();
        for (name, value) in members(node, errors) {
            if name.text == "//" {
                continue;
            }
            let Self::Struct(of) = self else {
                let Self::Free { constant } = self else { continue };
                items.push(attribute(name, value, constant, errors));
                continue;
            };
            if name.text == "dynamic" {
                dynamic(name, value, of, &mut items, errors);
                continue;
            }
            match of.find(&name.text) {
                // What may be an attribute or a block is taken as an attribute.
                Some(field) if field.place == Place::Block => {
                    let inner = Self::of(field.kind);
                    blocks(name, value, label_count(field), &mut items, errors, &mut |node, errors| {
                        inner.body(node, errors)
                    });
                }
                _ => items.push(attribute(name, value, false, errors)),
            }
        }
        once(&items, errors);
        Body { items, span: node.span.clone() }
    }
}

/// Refuses attributes that are set twice; blocks may be.
fn once(items: &[Item], errors: &mut Diagnostics) {
    let mut seen = BTreeSet::new();
    for item in items {
        if let Item::Attribute(attribute) = item
            && !seen.insert(attribute.name.text.as_str())
        {
            let error = Diagnostic::error(format!("`{}` is set twice", attribute.name.text));
            errors.push(error.at(&attribute.name.span));
        }
    }
}

/// The members of an object, or of all objects of an array.
fn members<'a>(node: &'a JsonNode, errors: &mut Diagnostics) -> Vec<(&'a Ident, &'a JsonNode)> {
    match &node.kind {
        JsonNodeKind::Object(members) => members.iter().map(|(name, node)| (name, node)).collect(),
        JsonNodeKind::Array(items) => items.iter().flat_map(|item| members(item, errors)).collect(),
        JsonNodeKind::Null => Vec::new(),
        _ => {
            errors.push(Diagnostic::error("an object is needed here").at(&node.span));
            Vec::new()
        }
    }
}

type MakeBody<'m> = &'m mut dyn FnMut(&JsonNode, &mut Diagnostics) -> Body;

/// Adds the blocks of one kind: labels are the names of nested objects, repetitions an array.
fn blocks(
    kind: &Ident,
    node: &JsonNode,
    labels: usize,
    items: &mut Vec<Item>,
    errors: &mut Diagnostics,
    body: MakeBody<'_>,
) {
    let mut pending = vec![(node, Vec::new())];
    for _ in 0..labels {
        let outer = std::mem::take(&mut pending);
        for (node, labels) in outer {
            for (name, inner) in members(node, errors) {
                let mut labels: Vec<Ident> = labels.clone();
                labels.push(name.clone());
                pending.push((inner, labels));
            }
        }
    }
    for (node, labels) in pending {
        let each: &[JsonNode] = match &node.kind {
            JsonNodeKind::Array(items) => items,
            JsonNodeKind::Null => &[],
            _ => std::slice::from_ref(node),
        };
        for node in each {
            let body = body(node, errors);
            let span = node.span.clone();
            items.push(Item::Block(Block { kind: kind.clone(), labels: labels.clone(), body, span }));
        }
    }
}

fn dynamic(
    name: &Ident,
    node: &JsonNode,
    of: &'static Struct,
    items: &mut Vec<Item>,
    errors: &mut Diagnostics,
) {
    for (kind, inner) in members(node, errors) {
        let made = of.find(&kind.text).map_or(Inner::Free { constant: false }, |field| Inner::of(field.kind));
        let each: &[JsonNode] = match &inner.kind {
            JsonNodeKind::Array(items) => items,
            _ => std::slice::from_ref(inner),
        };
        for one in each {
            let mut body = Body { items: Vec::new(), span: one.span.clone() };
            for (member, value) in members(one, errors) {
                if member.text == "content" {
                    blocks(member, value, 0, &mut body.items, errors, &mut |node, errors| {
                        made.body(node, errors)
                    });
                } else {
                    body.items.push(attribute(member, value, false, errors));
                }
            }
            let block =
                Block { kind: name.clone(), labels: vec![kind.clone()], body, span: one.span.clone() };
            items.push(Item::Block(block));
        }
    }
}

/// The body of a `variable`: its type and its condition are expressions in text.
fn variable(node: &JsonNode, errors: &mut Diagnostics) -> Body {
    let mut items = Vec::new();
    for (name, value) in members(node, errors) {
        match name.text.as_str() {
            "//" => {}
            "validation" => blocks(name, value, 0, &mut items, errors, &mut |node, errors| {
                Inner::Free { constant: false }.body(node, errors)
            }),
            "type" => {
                let mut expr = value.constant();
                if let JsonNodeKind::String(text) = &value.kind {
                    let source = Source::new(value.span.source.name.clone(), text.as_str());
                    match crate::hcl::parse_expression(&source) {
                        Ok(read) => expr = Expr { kind: read.kind, span: value.span.clone() },
                        Err(error) => errors.push(error.at(&value.span)),
                    }
                }
                items.push(item(name, expr));
            }
            _ => items.push(attribute(name, value, true, errors)),
        }
    }
    Body { items, span: node.span.clone() }
}

fn attribute(name: &Ident, node: &JsonNode, constant: bool, errors: &mut Diagnostics) -> Item {
    let expr = if constant { node.constant() } else { expression(node, errors) };
    item(name, expr)
}

fn item(name: &Ident, expr: Expr) -> Item {
    let span = Span::new(&name.span.source, name.span.range.start..expr.span.range.end);
    Item::Attribute(Attribute { name: name.clone(), expr, span })
}

/// A JSON value as an expression, its texts as templates.
fn expression(node: &JsonNode, errors: &mut Diagnostics) -> Expr {
    let kind = match &node.kind {
        JsonNodeKind::String(text) => return template(text, &node.span, errors),
        JsonNodeKind::Array(items) => {
            ExprKind::Tuple(items.iter().map(|item| expression(item, errors)).collect())
        }
        JsonNodeKind::Object(members) => {
            let items = members.iter().map(|(name, value)| ObjectItem {
                key: ObjectKey::Expr(template(&name.text, &name.span, errors)),
                value: expression(value, errors),
            });
            let object = Expr { kind: ExprKind::Object(items.collect()), span: node.span.clone() };
            // Only what is written in HCL's own syntax counts as a list of one in free-form blocks.
            ExprKind::Parens(object.into())
        }
        _ => return node.constant(),
    };
    Expr { kind, span: node.span.clone() }
}

fn template(text: &str, span: &Span, errors: &mut Diagnostics) -> Expr {
    let constant = || Expr { kind: ExprKind::Literal(Value::from(text)), span: span.clone() };
    if !text.contains("${") && !text.contains("%{") {
        return constant();
    }
    let source = Source::new(span.source.name.clone(), text);
    match parse_template(&source) {
        Ok(mut expr) => {
            // As HashiCorp's parser, which takes no account of escapes.
            expr.relocate(&span.source, span.range.start + 1);
            expr
        }
        Err(error) => {
            errors.push(error.at(span));
            constant()
        }
    }
}
