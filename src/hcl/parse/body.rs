//! Bodies: attributes and blocks.

use std::collections::HashMap;
use std::sync::Arc;

use crate::base::{Diagnostic, Diagnostics, Source, Span};
use crate::hcl::parse::cursor::{Cursor, MAX_DEPTH, Parsed};
use crate::hcl::parse::{expr, template};
use crate::hcl::tree::{Attribute, Block, Body, Ident, Item};

/// Bytes of a file; a larger one is refused.
pub const MAX_SIZE: usize = 8 << 20;

/// Errors told of one file; after so many the rest isn't looked at.
const MAX_ERRORS: usize = 100;

/// Reads a file in HCL's native syntax. After an error it goes on behind the item that holds it, so
/// that all of them are told in one go.
pub fn parse(source: &Arc<Source>) -> Result<Body, Diagnostics> {
    let mut cursor = Cursor::new(source);
    let mut errors = Diagnostics::default();
    if source.text.len() > MAX_SIZE {
        let error = format!("the file is larger than {} MB", MAX_SIZE >> 20);
        return Err(Diagnostic::error(error).at(&Span::new(source, 0..0)).into());
    }
    let items = items(&mut cursor, None, &mut errors);
    let body = Body { items, span: Span::new(source, 0..source.text.len()) };
    errors.into_result(body)
}

/// Items up to the closing brace of the block that began at `open`, or to the end of the file.
fn items(cursor: &mut Cursor<'_>, open: Option<&Span>, errors: &mut Diagnostics) -> Vec<Item> {
    let mut items = Vec::new();
    let mut seen: HashMap<String, Span> = HashMap::new();
    loop {
        if let Err(error) = cursor.skip_lines() {
            errors.push(error);
            cursor.at = cursor.text.len();
        }
        if errors.0.len() >= MAX_ERRORS {
            cursor.at = cursor.text.len();
        }
        if cursor.done() {
            // After another error, brackets may only seem to be open.
            if let Some(open) = open
                && errors.0.is_empty()
            {
                errors.push(Diagnostic::error("this block is not closed").at(open).help("end it with }"));
            }
            return items;
        }
        if open.is_some() && cursor.starts("}") {
            return items;
        }
        let start = cursor.at;
        let count = errors.0.len();
        let read = item(cursor, errors).and_then(|item| {
            if errors.0.len() == count {
                end_of_item(cursor)?;
            }
            Ok(item)
        });
        match read {
            Ok(item) => {
                if let Item::Attribute(attribute) = &item
                    && let Some(first) = seen.insert(attribute.name.text.clone(), attribute.name.span.clone())
                {
                    let (line, _) = first.source.position(first.range.start);
                    let name = &attribute.name.text;
                    errors.push(
                        Diagnostic::error(format!("`{name}` is set twice"))
                            .at(&attribute.name.span)
                            .help(format!("it is already set in line {line}; keep one of them")),
                    );
                }
                items.push(item);
            }
            Err(error) => {
                errors.push(error);
                cursor.lines = true;
                recover(cursor, start, open.is_some());
            }
        }
    }
}

fn end_of_item(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.skip()?;
    if cursor.done() || cursor.at_line_end() {
        return Ok(());
    }
    let found = cursor.found();
    Err(Diagnostic::error(format!("expected the end of the line, found {found}"))
        .at(&cursor.here())
        .help("each attribute and block needs a line of its own"))
}

/// Goes to the next line at which an item may start: the first line end after `start` that is not
/// inside brackets.
fn recover(cursor: &mut Cursor<'_>, start: usize, in_block: bool) {
    let failed = cursor.at;
    let mut depth = 0_i32;
    for (i, c) in cursor.text[start..].char_indices() {
        let at = start + i;
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' if depth == 0 && at >= failed && in_block => {
                cursor.at = at;
                return;
            }
            '}' | ']' | ')' => depth -= 1,
            '\n' if depth <= 0 && at >= failed => {
                cursor.at = at;
                return;
            }
            _ => {}
        }
    }
    cursor.at = cursor.text.len();
}

fn item(cursor: &mut Cursor<'_>, errors: &mut Diagnostics) -> Parsed<Item> {
    let from = cursor.at;
    let Some(name) = cursor.word() else {
        let found = cursor.found();
        let mut error =
            Diagnostic::error(format!("expected the name of an attribute or block, found {found}"))
                .at(&cursor.here());
        if cursor.starts("\"") {
            error = error.help("names are written without quotes");
        } else if cursor.starts("}") {
            error = error.help("there is no open block here for it to close");
        }
        return Err(error);
    };
    cursor.skip()?;
    if cursor.starts("=") && !cursor.starts("==") {
        return attribute(cursor, name, from).map(Item::Attribute);
    }
    let labels = labels(cursor, &name)?;
    block(cursor, name, labels, from, errors).map(Item::Block)
}

fn attribute(cursor: &mut Cursor<'_>, name: Ident, from: usize) -> Parsed<Attribute> {
    cursor.take("=");
    let expr = expr::expression(cursor)?;
    let span = Span::new(cursor.source, from..expr.span.range.end);
    Ok(Attribute { name, expr, span })
}

fn labels(cursor: &mut Cursor<'_>, name: &Ident) -> Parsed<Vec<Ident>> {
    let mut labels = Vec::new();
    loop {
        cursor.skip()?;
        if cursor.starts("{") {
            return Ok(labels);
        }
        if labels.len() >= MAX_DEPTH {
            return cursor.fail(format!("a block has at most {MAX_DEPTH} labels"));
        }
        if cursor.starts("\"") {
            labels.push(template::plain_string(cursor)?);
        } else if let Some(label) = cursor.word() {
            labels.push(label);
        } else {
            let found = cursor.found();
            let message = if labels.is_empty() {
                format!("expected `=` or `{{` after `{}`, found {found}", name.text)
            } else {
                format!("expected a label or `{{`, found {found}")
            };
            return cursor.fail(message);
        }
    }
}

fn block(
    cursor: &mut Cursor<'_>,
    kind: Ident,
    labels: Vec<Ident>,
    from: usize,
    errors: &mut Diagnostics,
) -> Parsed<Block> {
    let open = cursor.at;
    let header = Span::new(cursor.source, from..open + 1);
    cursor.take("{");
    let items = cursor.deeper(|cursor| {
        cursor.within(true, |cursor| {
            cursor.skip()?;
            if cursor.at_line_end() || cursor.done() {
                return Ok(items(cursor, Some(&header), errors));
            }
            if cursor.starts("}") { Ok(Vec::new()) } else { one_line(cursor).map(|item| vec![item]) }
        })
    })?;
    let inner = Span::new(cursor.source, open + 1..cursor.at);
    if !cursor.take("}") && !cursor.done() {
        let found = cursor.found();
        return Err(Diagnostic::error(format!("expected `}}`, found {found}"))
            .at(&cursor.here())
            .help("a block on one line holds one attribute at most"));
    }
    let span = cursor.span(from);
    Ok(Block { kind, labels, body: Body { items, span: inner }, span })
}

/// The one attribute of a block that is written on one line.
fn one_line(cursor: &mut Cursor<'_>) -> Parsed<Item> {
    let from = cursor.at;
    let Some(name) = cursor.word() else {
        let found = cursor.found();
        return cursor.fail(format!("expected an attribute or `}}`, found {found}"));
    };
    cursor.skip()?;
    if !cursor.starts("=") {
        return Err(Diagnostic::error("a block on one line holds one attribute at most")
            .at(&name.span)
            .help("put a line break after {"));
    }
    let attribute = attribute(cursor, name, from)?;
    cursor.skip()?;
    Ok(Item::Attribute(attribute))
}
