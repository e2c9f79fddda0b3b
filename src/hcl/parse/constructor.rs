//! Calls, tuples, objects and `for`.

use crate::hcl::parse::cursor::{Cursor, Parsed};
use crate::hcl::parse::expr::{expression, free_expression};
use crate::hcl::tree::{Expr, ExprKind, For, Ident, ObjectItem, ObjectKey};
use crate::hcl::value::Value;

pub fn call(cursor: &mut Cursor<'_>, name: Ident) -> Parsed<Expr> {
    let mut args = Vec::new();
    let expand = loop {
        if done(cursor, ")")? {
            break false;
        }
        args.push(free_expression(cursor)?);
        match after_argument(cursor, &name)? {
            After::Next => {}
            After::End => break false,
            After::Expanded => break true,
        }
    };
    let span = cursor.span(name.span.range.start);
    Ok(Expr { kind: ExprKind::Call { name, args, expand }, span })
}

/// Whether the closing bracket comes next; goes past it if so.
fn done(cursor: &mut Cursor<'_>, bracket: &str) -> Parsed<bool> {
    cursor.skip_lines()?;
    Ok(cursor.take(bracket))
}

enum After {
    Next,
    End,
    Expanded,
}

fn after_argument(cursor: &mut Cursor<'_>, name: &Ident) -> Parsed<After> {
    cursor.skip_lines()?;
    if cursor.take(",") {
        return Ok(After::Next);
    }
    if cursor.take(")") {
        return Ok(After::End);
    }
    if cursor.take("...") {
        cursor.skip_lines()?;
        if cursor.take(")") {
            return Ok(After::Expanded);
        }
        return cursor.fail("expected `)` after `...`");
    }
    let found = cursor.found();
    cursor.fail(format!("expected `,` or `)` in the arguments of `{}`, found {found}", name.text))
}

pub fn tuple(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take("[");
    cursor.skip_lines()?;
    if at_for(cursor) {
        return free_for(cursor, from, "]");
    }
    let mut items = Vec::new();
    while !done(cursor, "]")? {
        items.push(free_expression(cursor)?);
        after_element(cursor)?;
    }
    Ok(Expr { kind: ExprKind::Tuple(items), span: cursor.span(from) })
}

fn after_element(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.skip_lines()?;
    if cursor.take(",") || cursor.starts("]") {
        return Ok(());
    }
    let found = cursor.found();
    cursor.fail(format!("expected `,` or `]` in the list, found {found}"))
}

fn free_for(cursor: &mut Cursor<'_>, from: usize, bracket: &str) -> Parsed<Expr> {
    let before = std::mem::replace(&mut cursor.lines, false);
    let result = for_expr(cursor, from, bracket);
    cursor.lines = before;
    result
}

fn at_for(cursor: &mut Cursor<'_>) -> bool {
    let before = cursor.at;
    let found = cursor.word().is_some_and(|word| word.text == "for");
    cursor.at = before;
    found
}

pub fn object(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take("{");
    let start = cursor.at;
    cursor.skip_lines()?;
    if at_for(cursor) {
        return free_for(cursor, from, "}");
    }
    cursor.at = start;
    let before = std::mem::replace(&mut cursor.lines, true);
    let items = object_items(cursor);
    cursor.lines = before;
    Ok(Expr { kind: ExprKind::Object(items?), span: cursor.span(from) })
}

fn object_items(cursor: &mut Cursor<'_>) -> Parsed<Vec<ObjectItem>> {
    let mut items = Vec::new();
    while !done(cursor, "}")? {
        let key = expression(cursor)?;
        let key = object_key(cursor, key)?;
        let value = expression(cursor)?;
        items.push(ObjectItem { key, value });
        after_item(cursor)?;
    }
    Ok(items)
}

fn after_item(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.skip()?;
    if cursor.take(",") || cursor.at_line_end() || cursor.starts("}") {
        return Ok(());
    }
    let found = cursor.found();
    cursor.fail(format!("expected `,`, `}}` or a line end after the value, found {found}"))
}

/// What was read as the key, and the `=` behind it.
fn object_key(cursor: &mut Cursor<'_>, key: Expr) -> Parsed<ObjectKey> {
    let key = match key.kind {
        ExprKind::Traversal { root, steps } if steps.is_empty() => ObjectKey::Name(root),
        // `null`, `true` and `false` are names here.
        ExprKind::Literal(Value::Null | Value::Bool(_)) => {
            ObjectKey::Name(Ident { text: key.span.text().to_owned(), span: key.span })
        }
        kind => ObjectKey::Expr(Expr { kind, span: key.span }),
    };
    cursor.skip()?;
    if cursor.starts("==") || !(cursor.take("=") || cursor.take(":")) {
        let found = cursor.found();
        return cursor.fail(format!("expected `=` after the key, found {found}"));
    }
    Ok(key)
}

fn for_expr(cursor: &mut Cursor<'_>, from: usize, close: &str) -> Parsed<Expr> {
    cursor.word();
    let (key_name, value_name, over) = for_intro(cursor)?;
    cursor.skip()?;
    if !cursor.take(":") {
        let found = cursor.found();
        return cursor.fail(format!("expected `:` of the `for`, found {found}"));
    }
    let mut value = expression(cursor)?;
    let mut key = None;
    let mut group = false;
    cursor.skip()?;
    if cursor.starts("=>") {
        if close == "]" {
            return cursor.fail("`=>` makes an object: write { for … } instead of [ for … ]");
        }
        cursor.take("=>");
        key = Some(std::mem::replace(&mut value, expression(cursor)?));
        cursor.skip()?;
        group = cursor.take("...");
        cursor.skip()?;
    } else if close == "}" {
        let found = cursor.found();
        return cursor.fail(format!("expected `=>` between key and value, found {found}"));
    }
    let mut condition = None;
    let before = cursor.at;
    if cursor.word().is_some_and(|word| word.text == "if") {
        condition = Some(expression(cursor)?);
        cursor.skip()?;
    } else {
        cursor.at = before;
    }
    if !cursor.take(close) {
        let found = cursor.found();
        return cursor.fail(format!("expected `{close}` at the end of the `for`, found {found}"));
    }
    let each = For { key_name, value_name, over, key, value, condition, group };
    Ok(Expr { kind: ExprKind::For(each.into()), span: cursor.span(from) })
}

/// `k, v in collection`, behind the word `for`.
pub fn for_intro(cursor: &mut Cursor<'_>) -> Parsed<(Option<Ident>, Ident, Expr)> {
    let mut value_name = for_name(cursor)?;
    let mut key_name = None;
    cursor.skip()?;
    if cursor.take(",") {
        key_name = Some(std::mem::replace(&mut value_name, for_name(cursor)?));
        cursor.skip()?;
    }
    let before = cursor.at;
    if cursor.word().is_none_or(|word| word.text != "in") {
        cursor.at = before;
        let found = cursor.found();
        return cursor.fail(format!("expected `in` of the `for`, found {found}"));
    }
    let over = expression(cursor)?;
    Ok((key_name, value_name, over))
}

fn for_name(cursor: &mut Cursor<'_>) -> Parsed<Ident> {
    cursor.skip()?;
    match cursor.word() {
        Some(name) => Ok(name),
        None => {
            let found = cursor.found();
            cursor.fail(format!("expected a name after `for`, found {found}"))
        }
    }
}
