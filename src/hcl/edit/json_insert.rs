//! New members of JSON objects.

use crate::base::Span;
use crate::hcl::edit::Change;
use crate::hcl::edit::insert::{indent, line_end};
use crate::hcl::json_syntax::{Node, NodeKind, parse_node};

/// Adds members, their values as JSON text, to the object that stands at a place; none where there is no
/// object.
pub fn add_json_members(object: &Span, new: &[(&str, String)]) -> Option<Change> {
    let source = &object.source;
    let text = source.text.as_str();
    let root = parse_node(source).ok()?;
    let members = find(&root, object)?;
    let written = |between: &str| {
        let all = new.iter().map(|(name, value)| format!("{}: {value}", serde_json::Value::from(*name)));
        all.collect::<Vec<_>>().join(between)
    };
    let Some((first, last)) = members.last() else {
        let at = object.range.start + 1;
        return Some(Change::new(&Span::new(source, at..at), written(", ")));
    };
    let start = first.span.range.start;
    let at = last.span.range.end;
    let own_line = text[..start].trim_end_matches([' ', '\t']).ends_with('\n');
    let between =
        if own_line { format!(",{}{}", line_end(text, start), indent(text, start)) } else { ", ".to_owned() };
    Some(Change::new(&Span::new(source, at..at), format!("{between}{}", written(&between))))
}

type Members = [(crate::hcl::tree::Ident, Node)];

/// The members of the object at a place; of an array, those of its last object.
fn find<'n>(node: &'n Node, place: &Span) -> Option<&'n Members> {
    let here = node.span.range == place.range;
    match &node.kind {
        NodeKind::Object(members) if here => Some(members),
        NodeKind::Object(members) => within(members.iter().map(|(_, node)| node), place),
        NodeKind::Array(items) if here => items.last().and_then(|item| find(item, &item.span)),
        NodeKind::Array(items) => within(items.iter(), place),
        _ => None,
    }
}

fn within<'n>(mut nodes: impl Iterator<Item = &'n Node>, place: &Span) -> Option<&'n Members> {
    let covers =
        |node: &&Node| node.span.range.start <= place.range.start && place.range.end <= node.span.range.end;
    find(nodes.find(covers)?, place)
}
