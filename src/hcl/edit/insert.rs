//! New attributes, blocks and members of objects, where a person would put them.

use crate::base::{Source, Span};
use crate::hcl::edit::Change;
use crate::hcl::edit::render::key_text;
use crate::hcl::parse::Cursor;
use crate::hcl::tree::{Attribute, Body, Expr, ExprKind, Item, ObjectItem, ObjectKey};

/// A line of what is put in, and how much further it is indented than its first.
struct Line(usize, String);

/// Adds `name = value` to a block, behind its last attribute, aligned as the lines before it are.
pub fn add_attribute(body: &Body, name: &str, value: &str) -> Change {
    let last = body.attributes().last();
    let pad = last.map_or(0, |_| padding(body, name));
    let line = Line(0, format!("{name}{} = {value}", " ".repeat(pad)));
    let after = body.items.iter().rfind(|item| matches!(item, Item::Attribute(_)));
    insert(body, after, &[line], after.is_none() && !body.items.is_empty())
}

/// Adds a block that holds these lines, name and value, behind what a block holds, or blocks within one
/// another.
pub fn add_block(body: &Body, kinds: &[&str], holds: &[(&str, String)]) -> Change {
    let mut lines: Vec<Line> =
        kinds.iter().enumerate().map(|(depth, kind)| Line(depth, format!("{kind} {{"))).collect();
    let width = holds.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.extend(holds.iter().map(|(name, value)| Line(kinds.len(), format!("{name:width$} = {value}"))));
    lines.extend((0..kinds.len()).rev().map(|depth| Line(depth, "}".to_owned())));
    insert(body, body.items.last(), &lines, apart(body))
}

/// Whether blocks are set apart by an empty line here.
fn apart(body: &Body) -> bool {
    let text = &body.span.source.text;
    let mut gaps = body.items.windows(2).filter(|pair| matches!(pair[1], Item::Block(_))).map(|pair| {
        let between = span(&pair[0]).range.end..span(&pair[1]).range.start;
        text.get(between).unwrap_or_default().matches('\n').count() > 1
    });
    !body.items.is_empty() && gaps.next_back().unwrap_or(true)
}

fn span(item: &Item) -> &Span {
    match item {
        Item::Attribute(attribute) => &attribute.span,
        Item::Block(block) => &block.span,
    }
}

fn insert(body: &Body, after: Option<&Item>, lines: &[Line], blank: bool) -> Change {
    let source = &body.span.source;
    let text = source.text.as_str();
    let (from, to) = (body.span.range.start, body.span.range.end);
    let eol = line_end(text, from);
    let outer = indent(text, from).to_owned();
    let unit = unit(source, from);
    let inner = &text[from..to];
    let write = |own: &str| -> String {
        let lines = lines.iter().map(|Line(depth, line)| format!("{eol}{own}{}{line}", unit.repeat(*depth)));
        lines.collect()
    };
    if !inner.contains('\n') {
        let own = format!("{outer}{unit}");
        let kept = inner.trim();
        let kept = if kept.is_empty() { String::new() } else { format!("{eol}{own}{kept}") };
        let gap = if blank && !kept.is_empty() && lines.len() > 1 { eol } else { "" };
        return Change::new(&body.span, format!("{kept}{gap}{}{eol}{outer}", write(&own)));
    }
    let first = after.or(body.items.first());
    let own = first.map(|item| indent(text, span(item).range.start).to_owned());
    let own = own.unwrap_or_else(|| format!("{outer}{unit}"));
    let (at, new) = if let Some(after) = after {
        let gap = if blank { eol } else { "" };
        (end_of_line(source, span(after).range.end), format!("{gap}{}", write(&own)))
    } else if body.items.is_empty() {
        let brace = text[..to].rfind('\n').map_or(from, |at| at + 1);
        if text[brace..to].trim().is_empty() {
            let at = brace.saturating_sub(if text[..brace].ends_with("\r\n") { 2 } else { 1 });
            (at, write(&own))
        } else {
            (to, format!("{}{eol}{outer}", write(&own)))
        }
    } else {
        let gap = if blank { eol } else { "" };
        (end_of_line(source, from), format!("{}{gap}", write(&own)))
    };
    Change::new(&Span::new(source, at..at), new)
}

/// How many blanks a name needs to be aligned with the attributes right above it.
fn padding(body: &Body, name: &str) -> usize {
    let source = &body.span.source;
    let line = |at: usize| source.position(at).0;
    let attributes: Vec<&Attribute> = body.attributes().collect();
    let mut width = None;
    let mut below = None;
    for attribute in attributes.iter().rev() {
        let (start, end) = (line(attribute.span.range.start), line(attribute.span.range.end));
        if start != end || below.is_some_and(|below| below != start + 1) {
            break;
        }
        below = Some(start);
        let sign = source.text.get(attribute.name.span.range.start..attribute.expr.span.range.start);
        let here = sign.and_then(|text| text.find('='));
        if here.is_none() || width.is_some() && width != here {
            return 0;
        }
        width = here;
    }
    width.unwrap_or_default().saturating_sub(name.len() + 1)
}

/// Adds members, name and value as text, to an object that is written out; none where the expression
/// isn't one.
pub fn add_members(object: &Expr, members: &[(&str, String)]) -> Option<Change> {
    let ExprKind::Object(items) = &object.kind else { return None };
    let source = &object.span.source;
    let text = source.text.as_str();
    let written = |sign: &str, between: &str| {
        let all = members.iter().map(|(name, value)| format!("{}{sign}{value}", key_text(name)));
        all.collect::<Vec<_>>().join(between)
    };
    let Some(last) = items.last() else {
        return Some(first_members(object, &written));
    };
    let key_end = match &last.key {
        ObjectKey::Name(name) => name.span.range.end,
        ObjectKey::Expr(key) => key.span.range.end,
    };
    let start = |item: &ObjectItem| match &item.key {
        ObjectKey::Name(name) => name.span.range.start,
        ObjectKey::Expr(key) => key.span.range.start,
    };
    let end = last.value.span.range.end;
    let sign = text.get(key_end..last.value.span.range.start)?;
    let sign = if sign.contains(':') { ": " } else { " = " };
    let own_line = text[..start(last)].rfind('\n').is_some_and(|at| at >= object.span.range.start);
    if !own_line {
        let members = written(sign, ", ");
        return Some(Change::new(&Span::new(source, end..end), format!(", {members}")));
    }
    let mut cursor = Cursor::new(source);
    cursor.at = end;
    cursor.skip().ok()?;
    let comma = if cursor.take(",") { "," } else { "" };
    cursor.skip().ok()?;
    let line = format!("{}{}", line_end(text, end), indent(text, start(last)));
    let at = if cursor.at_line_end() { cursor.at } else { end };
    let members = written(sign, &format!("{comma}{line}"));
    Some(Change::new(&Span::new(source, at..at), format!("{line}{members}{comma}")))
}

/// Members of an object that has none; comments in it stay.
fn first_members(object: &Expr, written: &dyn Fn(&str, &str) -> String) -> Change {
    let source = &object.span.source;
    let text = source.text.as_str();
    let (from, to) = (object.span.range.start + 1, object.span.range.end - 1);
    let inner = text.get(from..to).unwrap_or_default();
    let kept = inner.trim_end();
    if kept.trim().is_empty() {
        return Change::new(&object.span, format!("{{ {} }}", written(" = ", ", ")));
    }
    let at = from + kept.len();
    let behind = Span::new(source, at..to);
    if !inner.contains('\n') {
        return Change::new(&behind, format!(" {} ", written(" = ", ", ")));
    }
    let (eol, outer) = (line_end(text, from), indent(text, from));
    let line = format!("{eol}{outer}{}", unit(source, from));
    Change::new(&behind, format!("{line}{}{eol}{outer}", written(" = ", &line)))
}

/// Behind the comments that follow on a line.
fn end_of_line(source: &std::sync::Arc<Source>, from: usize) -> usize {
    let mut cursor = Cursor::new(source);
    cursor.at = from;
    match cursor.skip() {
        Ok(()) if cursor.at_line_end() || cursor.done() => cursor.at,
        _ => from,
    }
}

/// The line end that the file has at a place.
pub fn line_end(text: &str, from: usize) -> &'static str {
    let rest = text.get(from..).unwrap_or_default();
    let at = rest.find('\n').map(|at| from + at).or_else(|| text.find('\n'));
    if at.is_some_and(|at| text[..at].ends_with('\r')) { "\r\n" } else { "\n" }
}

/// The white space that the line of a place begins with.
pub fn indent(text: &str, at: usize) -> &str {
    let line = &text[text[..at].rfind('\n').map_or(0, |at| at + 1)..];
    let line = line.trim_start_matches('\u{feff}');
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// One step of the file's indentation.
fn unit(source: &Source, at: usize) -> String {
    let text = source.text.as_str();
    if indent(text, at).starts_with('\t') {
        return "\t".to_owned();
    }
    let first = text.lines().map(|line| &line[..line.len() - line.trim_start().len()]);
    match first.filter(|blank| !blank.is_empty()).find(|blank| blank.len() <= 8) {
        Some(blank) if blank.starts_with('\t') => "\t".to_owned(),
        Some(blank) => blank.to_owned(),
        None => "  ".to_owned(),
    }
}
