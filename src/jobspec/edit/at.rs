//! Edits by place: another value for what stands at a byte of a file, whatever the file comes to.
//!
//! Guarantees: the file reads as before but for that value, label or key; a text without
//! interpolations keeps its quotes or its heredoc. Does not: look what the job makes of it, so that a
//! file that Nomad refuses can be edited too.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::base::{Diagnostics, Source, Span};
use crate::hcl::edit::{Change, is_json, is_name, json_text, rewrite, text};
use crate::hcl::trace::{Literal, Place};
use crate::hcl::{Block, Body, Expr, ExprKind, Item, JsonNode, JsonNodeKind, Part, Value, constants};
use crate::hcl::{parse, parse_json, parse_template};
use crate::jobspec::edit::EditError;
use crate::jobspec::edit::edits::{Edit, apply};

/// What stands at a place.
enum Found {
    /// A value of an attribute, a list or an object; the text of one that is written out.
    Value { span: Span, now: Option<Value>, literal: Option<Literal>, plain: bool },
    /// A block's label, or the name of a member.
    Name { span: Span, now: String, bare: bool },
}

/// The edit after which the value at byte `at` of a file in HCL or JSON is `value`. Where no single
/// text, number or bool stands there, all of the attribute's, element's or member's expression is
/// replaced; a label takes a text only. In JSON the text means itself, never an interpolation.
pub fn edit_at(file: &Arc<Source>, at: usize, value: &Json) -> Result<Edit, EditError> {
    let none = |why: &str| EditError::NoPlace {
        path: "the place".to_owned(),
        why: why.to_owned(),
        at: Some(Span::new(file, at..at)),
    };
    let found = find(file, at)?.ok_or_else(|| none("no value or label stands here"))?;
    let mut tried = Vec::new();
    match &found {
        Found::Name { span, bare, .. } => {
            let name = value.as_str().ok_or_else(|| none("a label is a text"))?;
            let keep = *bare && is_name(name);
            let json = is_json(file).then(|| json_text(value, true));
            let new = if keep { name.to_owned() } else { json.unwrap_or_else(|| text(value)) };
            tried.push(Change::new(span, new));
        }
        Found::Value { span, literal, plain, .. } => {
            if let (Some(literal), Json::String(new)) = (literal, value) {
                tried.extend(rewrite(literal, &Place::Literal, new));
            }
            let new = if is_json(file) { json_text(value, *plain) } else { text(value) };
            tried.push(Change::new(span, new));
        }
    }
    let edits = tried.into_iter().map(|change| Edit {
        file: file.name.clone(),
        old: change.span.text().to_owned(),
        range: change.span.range,
        new: change.new,
        place: Place::Literal,
    });
    let start = found.span().range.start;
    edits
        .into_iter()
        .find(|edit| {
            says(&Source::new(file.name.clone(), apply(&file.text, std::slice::from_ref(edit))), start, value)
        })
        .ok_or_else(|| none("it can't be written so that it reads as that"))
}

/// The edits that lead back, of the text that `edits` of one or several files have led to.
pub fn undo(edits: &[Edit]) -> Vec<Edit> {
    let mut sorted: Vec<&Edit> = edits.iter().collect();
    sorted.sort_by(|a, b| (&a.file, a.range.start).cmp(&(&b.file, b.range.start)));
    let (mut back, mut file, mut shift) = (Vec::new(), "", 0_isize);
    for edit in sorted {
        if file != edit.file {
            (file, shift) = (&edit.file, 0);
        }
        let start = edit.range.start.saturating_add_signed(shift);
        shift += edit.new.len().cast_signed() - edit.range.len().cast_signed();
        back.push(Edit {
            range: start..start + edit.new.len(),
            old: edit.new.clone(),
            new: edit.old.clone(),
            ..edit.clone()
        });
    }
    back
}

/// Whether the value that begins at a place of an edited file is the one wanted.
fn says(file: &Arc<Source>, start: usize, wanted: &Json) -> bool {
    match find(file, start) {
        Ok(Some(Found::Value { now: Some(now), span, .. })) => {
            span.range.start == start && now.to_json() == Value::from_json(wanted).to_json()
        }
        Ok(Some(Found::Name { now, span, .. })) => {
            span.range.start == start && wanted.as_str() == Some(now.as_str())
        }
        _ => false,
    }
}

impl Found {
    fn span(&self) -> &Span {
        match self {
            Self::Value { span, .. } | Self::Name { span, .. } => span,
        }
    }

    fn value(expr: &Expr) -> Self {
        let now = expr.eval(&constants()).ok();
        let literal = match &expr.kind {
            ExprKind::Template(parts) => match parts.as_slice() {
                [] => Some((expr.span.clone(), "")),
                [Part::Literal(text, span)] => Some((span.clone(), text.as_str())),
                _ => None,
            },
            _ => None,
        };
        let literal = literal.map(|(span, text)| Literal {
            span,
            template: Some(expr.span.clone()),
            text: text.to_owned(),
            cut: 0..text.len(),
        });
        Self::Value { span: expr.span.clone(), now, literal, plain: false }
    }
}

fn find(file: &Arc<Source>, at: usize) -> Result<Option<Found>, EditError> {
    if is_json(file) {
        let node = parse_json(file).map_err(|error| EditError::Job(error.into()))?;
        return Ok(in_file(&node, at));
    }
    let body = parse(file).map_err(|errors: Diagnostics| EditError::Job(errors))?;
    Ok(in_body(&body, at))
}

fn covers(span: &Span, at: usize) -> bool {
    span.range.contains(&at)
}

fn in_body(body: &Body, at: usize) -> Option<Found> {
    body.items.iter().find_map(|item| match item {
        Item::Attribute(attribute) => in_expr(&attribute.expr, at),
        Item::Block(block) => in_block(block, at),
    })
}

fn in_block(block: &Block, at: usize) -> Option<Found> {
    let label = block.labels.iter().find(|label| covers(&label.span, at));
    label
        .map(|label| Found::Name {
            span: label.span.clone(),
            now: label.text.clone(),
            bare: !label.span.text().starts_with('"'),
        })
        .or_else(|| in_body(&block.body, at))
}

/// The innermost value that is written out.
fn in_expr(expr: &Expr, at: usize) -> Option<Found> {
    if !covers(&expr.span, at) {
        return None;
    }
    let inner = match &expr.kind {
        ExprKind::Tuple(items) => items.iter().find_map(|item| in_expr(item, at)),
        ExprKind::Object(items) => items.iter().find_map(|item| in_expr(&item.value, at)),
        ExprKind::Parens(inner) => in_expr(inner, at),
        _ => None,
    };
    Some(inner.unwrap_or_else(|| Found::value(expr)))
}

/// A JSON file. What constants stand for is never looked at for `${…}`: defaults of variables, and
/// all of a var file.
fn in_file(root: &JsonNode, at: usize) -> Option<Found> {
    let JsonNodeKind::Object(members) = &root.kind else { return in_node(root, at, true) };
    let is_job = members.iter().any(|(name, _)| name.text == "job");
    let member = members.iter().find(|(name, node)| covers(&name.span, at) || covers(&node.span, at));
    let constant = member.is_some_and(|(name, _)| matches!(name.text.as_str(), "variable" | "variables"));
    in_node(root, at, constant || !is_job)
}

fn in_node(node: &JsonNode, at: usize, plain: bool) -> Option<Found> {
    if !covers(&node.span, at) {
        return None;
    }
    let inner = match &node.kind {
        JsonNodeKind::Array(items) => items.iter().find_map(|item| in_node(item, at, plain)),
        JsonNodeKind::Object(members) => members.iter().find_map(|(name, node)| {
            let key = Found::Name { span: name.span.clone(), now: name.text.clone(), bare: false };
            if covers(&name.span, at) { Some(key) } else { in_node(node, at, plain) }
        }),
        _ => None,
    };
    Some(inner.unwrap_or_else(|| {
        let now = if plain { node.constant().eval(&constants()).ok() } else { templates(node) };
        Found::Value { span: node.span.clone(), now, literal: None, plain }
    }))
}

/// The value of a list or an object in which texts are templates.
fn templates(node: &JsonNode) -> Option<Value> {
    Some(match &node.kind {
        JsonNodeKind::String(text) => {
            parse_template(&Source::new("", text.as_str())).ok()?.eval(&constants()).ok()?
        }
        JsonNodeKind::Array(items) => Value::Tuple(items.iter().map(templates).collect::<Option<_>>()?),
        JsonNodeKind::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, node)| Some((name.text.clone(), templates(node)?)))
                .collect::<Option<_>>()?,
        ),
        _ => node.constant().eval(&constants()).ok()?,
    })
}
