//! From an expression, and steps into its value, to the expression that the value was written as.

use crate::base::{Diagnostic, Span};
use crate::hcl::eval::{elements, truth};
use crate::hcl::trace::calls;
use crate::hcl::trace::frame::{Frame, Key, Lead};
use crate::hcl::tree::{Expr, ExprKind, For, ObjectItem, ObjectKey, Part, Unary};
use crate::hcl::value::{Type, Value, convert};

/// How many names, branches and elements are followed from one place to the next.
const MAX_STEPS: usize = 10_000;

/// Where a value stands.
pub enum Stand<'a> {
    /// It was written as this: a literal, a template, a list, an object, or what makes a value.
    Written(&'a Expr, Frame<'a>),
    /// It was given from outside of all files.
    Outside { what: String, at: Span },
    /// It stays as it is written, for Nomad's agents to fill in.
    Kept(Span),
    /// Something made it that can't be followed.
    Made { how: String, at: Span },
}

/// One step back: an expression that has the value at a path, or the end.
pub(super) enum Back<'a> {
    To(&'a Expr, Frame<'a>, Vec<Key>),
    End(Stand<'a>),
}

/// Follows the value at `path` within `expr` to where it stands.
pub fn stand<'a>(expr: &'a Expr, frame: &Frame<'a>, path: Vec<Key>) -> Result<Stand<'a>, Diagnostic> {
    let (mut expr, mut frame, mut path) = (expr, frame.clone(), path);
    for _ in 0..MAX_STEPS {
        frame.spend(1, &expr.span)?;
        match back(expr, &frame, path)? {
            Back::To(next, within, rest) => (expr, frame, path) = (next, within, rest),
            Back::End(stand) => return Ok(stand),
        }
    }
    Ok(made("more steps than can be followed", &expr.span))
}

pub(super) fn made<'a>(how: impl Into<String>, at: &Span) -> Stand<'a> {
    Stand::Made { how: how.into(), at: at.clone() }
}

fn back<'a>(expr: &'a Expr, frame: &Frame<'a>, path: Vec<Key>) -> Result<Back<'a>, Diagnostic> {
    let here = || frame.clone();
    let end = |how: &str| Ok(Back::End(made(how, &expr.span)));
    Ok(match &expr.kind {
        ExprKind::Parens(inner) => Back::To(inner, here(), path),
        ExprKind::Template(parts) if path.is_empty() => match parts.as_slice() {
            [Part::Interpolation(inner)] => Back::To(inner, here(), path),
            _ => Back::End(Stand::Written(expr, here())),
        },
        ExprKind::Template(parts) => match parts.as_slice() {
            [Part::Interpolation(inner)] => Back::To(inner, here(), path),
            _ => return end("a text"),
        },
        ExprKind::Literal(_) if path.is_empty() => Back::End(Stand::Written(expr, here())),
        ExprKind::Literal(_) => return end("a literal"),
        ExprKind::Conditional { condition, yes, no } => {
            let value = frame.eval(condition)?;
            match truth(&value, &condition.span, "the condition")? {
                Some(true) => Back::To(yes, here(), path),
                Some(false) => Back::To(no, here(), path),
                None => return end("a condition that isn't known"),
            }
        }
        ExprKind::Traversal { root, steps } => {
            let path = steps.iter().map(Key::of_step).chain(path).collect();
            from_lead(frame.lead(&root.text, path), &expr.span)
        }
        ExprKind::Item => from_lead(frame.lead_of_item(path), &expr.span),
        ExprKind::Relative { base, steps } => {
            Back::To(base, here(), steps.iter().map(Key::of_step).chain(path).collect())
        }
        ExprKind::Index { base, key } => {
            let key = Key::of(&frame.eval(key)?);
            Back::To(base, here(), std::iter::once(key).chain(path).collect())
        }
        ExprKind::Call { name, args, expand } => calls::back(expr, name, args, *expand, frame, path)?,
        _ if path.is_empty() => Back::End(Stand::Written(expr, here())),
        ExprKind::Tuple(items) => match element(items, frame, &path[0])? {
            Some(item) => Back::To(item, here(), path[1..].to_vec()),
            None => return end("a list"),
        },
        ExprKind::Object(items) => match member(items, frame, &path[0])? {
            Some(item) => Back::To(&item.value, here(), path[1..].to_vec()),
            None => return end("an object"),
        },
        ExprKind::Splat { base, each } => match splat(base, each, frame, &path)? {
            Some(back) => back,
            None => return end("a splat"),
        },
        ExprKind::For(each) => match turns(each, frame, &path)? {
            Some(back) => back,
            None => return end("a `for`"),
        },
        ExprKind::Unary { .. } | ExprKind::Binary { .. } => return end("an operator"),
    })
}

fn from_lead<'a>(lead: Lead<'a>, at: &Span) -> Back<'a> {
    match lead {
        Lead::Written { expr, frame, path } => Back::To(expr, frame, path),
        Lead::Outside(what) => Back::End(Stand::Outside { what, at: at.clone() }),
        Lead::Kept => Back::End(Stand::Kept(at.clone())),
        Lead::Made(how) => Back::End(made(how, at)),
    }
}

fn element<'a>(items: &'a [Expr], frame: &Frame<'a>, key: &Key) -> Result<Option<&'a Expr>, Diagnostic> {
    if let Some(at) = key.index() {
        return Ok(items.get(at));
    }
    let Key::Equal(wanted) = key else { return Ok(None) };
    for item in items {
        if equal(&frame.eval(item)?, wanted) {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

/// Whether two elements are the same, once they are of one type.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    a == b || convert(a, &Type::of(b)).is_ok_and(|a| a == *b)
}

/// The last member of that name: it is the one that counts.
pub(super) fn member<'a>(
    items: &'a [ObjectItem],
    frame: &Frame<'a>,
    key: &Key,
) -> Result<Option<&'a ObjectItem>, Diagnostic> {
    let Some(wanted) = key.name() else { return Ok(None) };
    for item in items.iter().rev() {
        let name = match &item.key {
            ObjectKey::Name(name) => Value::string(name.text.as_str()),
            ObjectKey::Expr(key) => convert(&frame.eval(key)?, &Type::String).unwrap_or_default(),
        };
        if name.as_str() == Some(wanted.as_str()) {
            return Ok(Some(item));
        }
    }
    Ok(None)
}

fn splat<'a>(
    base: &'a Expr,
    each: &'a Expr,
    frame: &Frame<'a>,
    path: &[Key],
) -> Result<Option<Back<'a>>, Diagnostic> {
    let value = frame.eval(base)?;
    let Some(at) = path[0].index() else { return Ok(None) };
    let (item, key) = match &value {
        Value::List(items) | Value::Tuple(items) => match items.get(at) {
            Some(item) => (item.clone(), Some(Key::At(at))),
            None => return Ok(None),
        },
        Value::Set(items) => match items.get(at) {
            Some(item) => (item.clone(), Some(Key::Equal(item.clone()))),
            None => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(Back::To(each, frame.at_item(item, base, key), path[1..].to_vec())))
}

/// The turn of a `for` that made the element.
fn turns<'a>(each: &'a For, frame: &Frame<'a>, path: &[Key]) -> Result<Option<Back<'a>>, Diagnostic> {
    let collection = frame.eval(&each.over)?;
    let Some(items) = elements(&collection, &each.over.span)? else { return Ok(None) };
    let is_set = matches!(collection, Value::Set(_));
    let (mut count, mut rest) = (0, &path[1..]);
    let wanted = path[0].index();
    let wanted_name = path[0].name();
    // Where values are grouped, the number within the group comes next.
    let in_group = if each.group { rest.first().and_then(Key::index) } else { None };
    if each.group {
        if in_group.is_none() {
            return Ok(None);
        }
        rest = &rest[1..];
    }
    for (key, value) in items {
        frame.spend(1, &each.over.span)?;
        let step = if is_set { Key::Equal(value.clone()) } else { Key::of(&key) };
        let named = each.key_name.as_ref().map(|name| (name.text.as_str(), key));
        let turn = frame.turn(named, (&each.value_name.text, value), (&each.over, step));
        if let Some(condition) = &each.condition
            && truth(&turn.eval(condition)?, &condition.span, "the condition of `for`")? != Some(true)
        {
            continue;
        }
        let found = match &each.key {
            None => wanted == Some(count),
            Some(key) => {
                let name = convert(&turn.eval(key)?, &Type::String).unwrap_or_default();
                if name.as_str() != wanted_name.as_deref() {
                    continue;
                }
                in_group.is_none_or(|at| at == count)
            }
        };
        if found {
            return Ok(Some(Back::To(&each.value, turn, rest.to_vec())));
        }
        count += 1;
    }
    Ok(None)
}

/// What makes an expression's value, as part of a sentence.
pub(super) fn maker(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Call { name, .. } => format!("the function `{}`", name.text),
        ExprKind::Unary { operator: Unary::Negate, .. } => "the operator `-`".to_owned(),
        ExprKind::Unary { operator: Unary::Not, .. } => "the operator `!`".to_owned(),
        ExprKind::Binary { operator, .. } => format!("the operator `{}`", operator.symbol()),
        ExprKind::For(_) => "a `for`".to_owned(),
        ExprKind::Splat { .. } => "a splat".to_owned(),
        ExprKind::Tuple(_) => "a list".to_owned(),
        ExprKind::Object(_) => "an object".to_owned(),
        _ => "an expression".to_owned(),
    }
}
