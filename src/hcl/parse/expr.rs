//! Expressions.

use std::sync::Arc;

use crate::base::{Diagnostic, Source, Span};
use crate::hcl::parse::constructor::{call, object, tuple};
use crate::hcl::parse::cursor::{Cursor, Parsed};
use crate::hcl::parse::template;
use crate::hcl::tree::{Binary, Expr, ExprKind, Ident, Step, Unary};
use crate::hcl::value::{Number, Value};

/// How many operators, or steps that aren't constant, may stand in a row: each makes the tree deeper.
const MAX_CHAIN: usize = 1_000;

/// Reads a text that is one expression, such as the value of `-var`.
pub fn parse_expression(source: &Arc<Source>) -> Result<Expr, Diagnostic> {
    let mut cursor = Cursor::new(source);
    let expr = expression(&mut cursor)?;
    cursor.skip()?;
    if !cursor.done() {
        let found = cursor.found();
        return cursor.fail(format!("expected the end of the expression, found {found}"));
    }
    Ok(expr)
}

// The functions that call one another for each level of nesting do little themselves and leave the
// rest to others: what they have on the stack counts a hundred times.

pub fn expression(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    cursor.enter()?;
    let result = maybe_conditional(cursor);
    cursor.leave();
    result
}

/// An expression in which line ends are white space.
pub fn free_expression(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let before = std::mem::replace(&mut cursor.lines, false);
    let result = expression(cursor);
    cursor.lines = before;
    result
}

fn maybe_conditional(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let condition = binary(cursor, 0)?;
    if at_question(cursor)? { branches(cursor, condition) } else { Ok(condition) }
}

fn at_question(cursor: &mut Cursor<'_>) -> Parsed<bool> {
    cursor.skip()?;
    Ok(cursor.take("?"))
}

fn branches(cursor: &mut Cursor<'_>, condition: Expr) -> Parsed<Expr> {
    let yes = expression(cursor)?.into();
    expect_colon(cursor)?;
    let no: Box<Expr> = expression(cursor)?.into();
    let span = join(&condition.span, &no.span);
    Ok(Expr { kind: ExprKind::Conditional { condition: condition.into(), yes, no }, span })
}

fn expect_colon(cursor: &mut Cursor<'_>) -> Parsed<()> {
    cursor.skip()?;
    if cursor.take(":") {
        return Ok(());
    }
    let found = cursor.found();
    Err(Diagnostic::error(format!("expected `:` of the conditional, found {found}"))
        .at(&cursor.here())
        .help("a conditional is written `condition ? value : other`"))
}

/// Goes past a closing bracket; line ends before it are white space.
fn close(cursor: &mut Cursor<'_>, bracket: &str) -> Parsed<()> {
    cursor.skip_lines()?;
    if cursor.take(bracket) {
        return Ok(());
    }
    let found = cursor.found();
    cursor.fail(format!("expected `{bracket}`, found {found}"))
}

fn join(first: &Span, last: &Span) -> Span {
    Span::new(&first.source, first.range.start..last.range.end.max(first.range.start))
}

/// The operators by how tightly they bind, loosest first. A longer one comes before its own start.
const LEVELS: [&[(&str, Binary)]; 6] = [
    &[("||", Binary::Or)],
    &[("&&", Binary::And)],
    &[("==", Binary::Equal), ("!=", Binary::NotEqual)],
    &[
        (">=", Binary::GreaterOrEqual),
        ("<=", Binary::LessOrEqual),
        (">", Binary::Greater),
        ("<", Binary::Less),
    ],
    &[("+", Binary::Add), ("-", Binary::Subtract)],
    &[("*", Binary::Multiply), ("/", Binary::Divide), ("%", Binary::Modulo)],
];

/// The operator that comes next, with its level.
fn operator(cursor: &Cursor<'_>) -> Option<(usize, &'static str, Binary)> {
    // In a template, `%{` would begin a directive: it never divides.
    LEVELS.iter().enumerate().find_map(|(level, operators)| {
        operators
            .iter()
            .find(|(text, _)| cursor.starts(text))
            .map(|(text, operator)| (level, *text, *operator))
    })
}

fn binary(cursor: &mut Cursor<'_>, lowest: usize) -> Parsed<Expr> {
    let left = with_steps(cursor)?;
    if at_operator(cursor, lowest)?.is_some() { operations(cursor, left, lowest) } else { Ok(left) }
}

fn at_operator(cursor: &mut Cursor<'_>, lowest: usize) -> Parsed<Option<(usize, &'static str, Binary)>> {
    cursor.skip()?;
    Ok(operator(cursor).filter(|(level, ..)| *level >= lowest))
}

/// The operators behind `left` that bind at least as tightly as `lowest`.
fn operations(cursor: &mut Cursor<'_>, mut left: Expr, lowest: usize) -> Parsed<Expr> {
    let mut count = 0;
    while let Some((level, text, operator)) = at_operator(cursor, lowest)? {
        count += 1;
        if count > MAX_CHAIN {
            return cursor.fail(format!("more than {MAX_CHAIN} operators in a row"));
        }
        cursor.take(text);
        let right: Box<Expr> = binary(cursor, level + 1)?.into();
        let span = join(&left.span, &right.span);
        left = Expr { kind: ExprKind::Binary { operator, left: left.into(), right }, span };
    }
    Ok(left)
}

fn with_steps(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let base = term(cursor)?;
    if at_step(cursor)? { steps(cursor, base) } else { Ok(base) }
}

fn at_step(cursor: &mut Cursor<'_>) -> Parsed<bool> {
    cursor.skip()?;
    Ok(cursor.starts("[") || cursor.starts(".") && !cursor.starts("..."))
}

/// Reads the `.name`, `[key]` and splats behind `base`.
fn steps(cursor: &mut Cursor<'_>, mut base: Expr) -> Parsed<Expr> {
    let mut count = 0;
    while at_step(cursor)? {
        count += 1;
        if count > MAX_CHAIN {
            return cursor.fail(format!("more than {MAX_CHAIN} steps in a row"));
        }
        base = if cursor.starts("[") { bracket(cursor, base)? } else { dot(cursor, base)? };
    }
    Ok(base)
}

fn dot(cursor: &mut Cursor<'_>, base: Expr) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take(".");
    cursor.skip()?;
    if cursor.take("*") {
        let item = Expr { kind: ExprKind::Item, span: cursor.span(from) };
        let each = dotted(cursor, item)?;
        return Ok(splat(base, each));
    }
    let step = dot_step(cursor, from)?;
    Ok(extend(base, step))
}

fn splat(base: Expr, each: Expr) -> Expr {
    let span = join(&base.span, &each.span);
    Expr { kind: ExprKind::Splat { base: base.into(), each: each.into() }, span }
}

/// The `.name` steps that an old splat (`.*`) applies to each element.
fn dotted(cursor: &mut Cursor<'_>, mut item: Expr) -> Parsed<Expr> {
    loop {
        cursor.skip()?;
        let from = cursor.at;
        if cursor.starts("...") || !cursor.take(".") {
            return Ok(item);
        }
        cursor.skip()?;
        if cursor.starts("*") {
            return cursor.fail("a `.*` can't stand within another; use `[*]`");
        }
        let step = dot_step(cursor, from)?;
        item = extend(item, step);
    }
}

fn dot_step(cursor: &mut Cursor<'_>, from: usize) -> Parsed<Step> {
    if let Some(name) = cursor.word() {
        let span = cursor.span(from);
        return Ok(Step::Name(Ident { text: name.text, span }));
    }
    let digits_from = cursor.at;
    let number = number(cursor)?;
    let Some(number) = number else {
        let found = cursor.found();
        return cursor.fail(format!("expected a name after the dot, found {found}"));
    };
    if cursor.text[digits_from..cursor.at].contains('.') {
        return Err(Diagnostic::error("two indexes in a row need brackets")
            .at(&cursor.span(from))
            .help("write [0][1] instead of .0.1"));
    }
    Ok(Step::Key(Value::Number(number), cursor.span(from)))
}

fn bracket(cursor: &mut Cursor<'_>, base: Expr) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take("[");
    cursor.skip()?;
    if cursor.take("*") {
        return full_splat(cursor, base, from);
    }
    let key = free_expression(cursor)?;
    close(cursor, "]")?;
    Ok(index(base, key, cursor.span(from)))
}

fn full_splat(cursor: &mut Cursor<'_>, base: Expr, from: usize) -> Parsed<Expr> {
    cursor.skip()?;
    if !cursor.take("]") {
        return cursor.fail("expected `]` after `[*`");
    }
    let item = Expr { kind: ExprKind::Item, span: cursor.span(from) };
    cursor.enter()?;
    let each = steps(cursor, item);
    cursor.leave();
    Ok(splat(base, each?))
}

fn index(base: Expr, key: Expr, span: Span) -> Expr {
    let constant = match &key.kind {
        ExprKind::Literal(value) => Some(value.clone()),
        _ => key.as_plain_string().map(Value::string),
    };
    if let Some(value) = constant {
        return extend(base, Step::Key(value, span));
    }
    let span = join(&base.span, &span);
    Expr { kind: ExprKind::Index { base: base.into(), key: key.into() }, span }
}

/// `base` with one more constant step.
fn extend(base: Expr, step: Step) -> Expr {
    let span = join(&base.span, step.span());
    let kind = match base.kind {
        ExprKind::Traversal { root, mut steps } => {
            steps.push(step);
            ExprKind::Traversal { root, steps }
        }
        ExprKind::Relative { base, mut steps } => {
            steps.push(step);
            ExprKind::Relative { base, steps }
        }
        kind => {
            let base = Expr { kind, span: base.span };
            ExprKind::Relative { base: base.into(), steps: vec![step] }
        }
    };
    Expr { kind, span }
}

fn term(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    cursor.skip()?;
    match cursor.peek() {
        Some('(') => parens(cursor),
        Some('[') => tuple(cursor),
        Some('{') => object(cursor),
        Some('"') => template::quoted(cursor),
        Some('<') if cursor.starts("<<") => template::heredoc(cursor),
        Some('-') => unary(cursor, "-", Unary::Negate),
        Some('!') => unary(cursor, "!", Unary::Not),
        Some(c) if c.is_ascii_digit() => literal_number(cursor),
        _ => named(cursor),
    }
}

fn parens(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take("(");
    let inner = free_expression(cursor)?.into();
    close(cursor, ")")?;
    Ok(Expr { kind: ExprKind::Parens(inner), span: cursor.span(from) })
}

fn literal_number(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let from = cursor.at;
    let number = number(cursor)?.unwrap_or_default();
    Ok(Expr { kind: ExprKind::Literal(Value::Number(number)), span: cursor.span(from) })
}

fn no_value(cursor: &Cursor<'_>) -> Diagnostic {
    let error = Diagnostic::error(format!("expected a value, found {}", cursor.found())).at(&cursor.here());
    if cursor.starts("'") { error.help("strings are written with double quotes") } else { error }
}

fn unary(cursor: &mut Cursor<'_>, text: &str, operator: Unary) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take(text);
    cursor.enter()?;
    let operand = with_steps(cursor);
    cursor.leave();
    let operand = operand?;
    let span = Span::new(cursor.source, from..operand.span.range.end);
    Ok(Expr { kind: ExprKind::Unary { operator, operand: operand.into() }, span })
}

/// A name: a literal, a function call or the root of a traversal.
fn named(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let name = cursor.word().ok_or_else(|| no_value(cursor))?;
    let after = cursor.at;
    let name = function_name(cursor, name)?;
    if cursor.take("(") {
        return call(cursor, name);
    }
    cursor.at = after;
    Ok(literal_or_root(name))
}

/// `name` with the parts that follow `::`, and white space behind it.
fn function_name(cursor: &mut Cursor<'_>, mut name: Ident) -> Parsed<Ident> {
    cursor.skip()?;
    while cursor.starts("::") {
        cursor.take("::");
        cursor.skip()?;
        let Some(next) = cursor.word() else {
            return cursor.fail("expected the name of a function after `::`");
        };
        name = Ident { text: format!("{}::{}", name.text, next.text), span: join(&name.span, &next.span) };
        cursor.skip()?;
        if !cursor.starts("(") && !cursor.starts("::") {
            return cursor.fail("expected `(` after the name of a function");
        }
    }
    Ok(name)
}

fn literal_or_root(name: Ident) -> Expr {
    let span = name.span.clone();
    let kind = match name.text.as_str() {
        "true" => ExprKind::Literal(Value::Bool(true)),
        "false" => ExprKind::Literal(Value::Bool(false)),
        "null" => ExprKind::Literal(Value::Null),
        _ => ExprKind::Traversal { root: name, steps: Vec::new() },
    };
    Expr { kind, span }
}

/// `12`, `1.5`, `1e9`: a digit, and then what could belong to a number, but for dots at the end. What
/// makes no number of it, such as a second dot, is an error, not the end of it.
fn number(cursor: &mut Cursor<'_>) -> Parsed<Option<Number>> {
    let bytes = cursor.rest().as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    if !digit(0) {
        return Ok(None);
    }
    let (mut at, mut end) = (1, 1);
    loop {
        match bytes.get(at) {
            Some(b'0'..=b'9') => at += 1,
            Some(b'.') => {
                at += 1;
                continue;
            }
            Some(b'e' | b'E') if digit(at + 1) => at += 2,
            Some(b'e' | b'E') if matches!(bytes.get(at + 1), Some(b'+' | b'-')) && digit(at + 2) => at += 3,
            _ => break,
        }
        end = at;
    }
    let from = cursor.at;
    cursor.at += end;
    match Number::parse(&cursor.text[from..cursor.at]) {
        Some(number) => Ok(Some(number)),
        None => {
            Err(Diagnostic::error("this is not a number, or one beyond all range").at(&cursor.span(from)))
        }
    }
}
