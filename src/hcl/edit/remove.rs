//! What is taken out, with the line it stands on where nothing else does.

use std::ops::Range;

use crate::base::Span;
use crate::hcl::edit::Change;
use crate::hcl::edit::render::is_json;
use crate::hcl::tree::{Attribute, Body, Expr, ExprKind, ObjectItem, ObjectKey};

/// Takes an attribute out of its block; none where something else shares its line.
pub fn remove(body: &Body, attribute: &Attribute) -> Option<Change> {
    let source = &attribute.span.source;
    let text = source.text.as_str();
    let range = attribute.span.range.clone();
    if is_json(source) {
        return Some(Change::new(&Span::new(source, without_comma(text, range)), ""));
    }
    let inner = text.get(body.span.range.clone())?;
    if !inner.contains('\n') {
        return (body.items.len() == 1).then(|| Change::new(&body.span, ""));
    }
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[range.end..].find('\n').map_or(text.len(), |at| range.end + at + 1);
    let before = text[start..range.start].trim_start_matches('\u{feff}');
    let after = text[range.end..end].trim();
    let alone = before.trim().is_empty()
        && (after.is_empty() || after.starts_with(['#', '/']) && !after.contains("/*"));
    alone.then(|| Change::new(&Span::new(source, start..end), ""))
}

/// Takes members out of an object that is written out; none where one of them isn't written there.
pub fn remove_members(object: &Expr, names: &[&str]) -> Option<Vec<Change>> {
    let ExprKind::Object(items) = &object.kind else { return None };
    let goes: Vec<bool> =
        items.iter().map(|item| key(item).is_some_and(|key| names.contains(&key.as_str()))).collect();
    let written = |name: &&&str| items.iter().any(|item| key(item).is_some_and(|key| key == ***name));
    if names.iter().filter(written).count() < names.len() {
        return None;
    }
    let source = &object.span.source;
    let text = source.text.as_str();
    let inside = object.span.range.start + 1..object.span.range.end - 1;
    let mut changes = Vec::new();
    let mut from = 0;
    // Members that stand one behind another go in one piece.
    for run in goes.chunk_by(|a, b| a == b) {
        let (first, last) = (from, from + run.len() - 1);
        from += run.len();
        if !run[0] {
            continue;
        }
        let range = span(&items[first]).start..span(&items[last]).end;
        let around = [text.get(inside.start..range.start)?, text.get(range.end..inside.end)?];
        let blank = |text: &&str| text.trim_matches(|c: char| c.is_whitespace() || c == ',').is_empty();
        if run.len() == items.len() && around.iter().all(blank) {
            return Some(vec![Change::new(&object.span, "{}")]);
        }
        let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[range.end..].find('\n').map_or(text.len(), |at| range.end + at + 1);
        let own_line =
            text[start..range.start].trim().is_empty() && matches!(text[range.end..end].trim(), "" | ",");
        let range = if own_line && !is_json(source) && start > inside.start && end <= inside.end + 1 {
            start..end
        } else {
            without_comma(text, range)
        };
        changes.push(Change::new(&Span::new(source, range), ""));
    }
    Some(changes)
}

fn key(item: &ObjectItem) -> Option<String> {
    match &item.key {
        ObjectKey::Name(name) => Some(name.text.clone()),
        ObjectKey::Expr(key) => key.as_plain_string(),
    }
}

fn span(item: &ObjectItem) -> Range<usize> {
    let start = match &item.key {
        ObjectKey::Name(name) => name.span.range.start,
        ObjectKey::Expr(key) => key.span.range.start,
    };
    start..item.value.span.range.end
}

/// A member with the comma behind it or, of the last, the one before it.
fn without_comma(text: &str, range: Range<usize>) -> Range<usize> {
    let behind = text[range.end..].trim_start();
    if let Some(rest) = behind.strip_prefix(',') {
        return range.start..text.len() - rest.trim_start().len();
    }
    match text[..range.start].trim_end().strip_suffix(',') {
        Some(before) => before.trim_end().len()..range.end,
        None => range,
    }
}
