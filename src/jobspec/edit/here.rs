//! A value written into the job's own expression, in the place of the references that it came from.

use std::ops::Range;

use serde_json::Value as Json;

use crate::base::Span;
use crate::hcl::edit::{Change, is_json, text};
use crate::hcl::{Expr, ExprKind, ObjectItem, ObjectKey, Part, Type, Value, convert};
use crate::jobspec::edit::plan::bare;
use crate::jobspec::edit::value::Target;

/// The one change of the expression that stands in the job after which it says `new`: of a text, from the
/// first part that differs to the last. None where it holds no reference that could go, or holds a branch
/// that others take, a heredoc, or what a function makes; nor in JSON.
pub fn here(target: &Target<'_, '_>, new: &Json) -> Option<Change> {
    let expr = own(target)?;
    match &expr.kind {
        ExprKind::Traversal { .. } | ExprKind::Relative { .. } | ExprKind::Index { .. } => {
            Some(Change::new(&expr.span, text(new)))
        }
        ExprKind::Template(parts) => {
            let new = new.as_str().map_or_else(|| new.to_string(), str::to_owned);
            within(target, expr, parts, &new)
        }
        _ => None,
    }
}

/// The expression of the value as it stands in the job, through lists and objects that are written there.
fn own<'a>(target: &Target<'_, 'a>) -> Option<&'a Expr> {
    let mut expr = bare(target.expr);
    for key in &target.path {
        expr = bare(match &expr.kind {
            ExprKind::Tuple(items) => items.get(key.index()?)?,
            ExprKind::Object(items) => {
                let name = key.name()?;
                let named = |item: &&ObjectItem| match &item.key {
                    ObjectKey::Name(own) => own.text == name,
                    ObjectKey::Expr(own) => {
                        target.frame.eval(own).is_ok_and(|own| own.as_str() == Some(name.as_str()))
                    }
                };
                // The last one counts.
                &items.iter().rev().find(named)?.value
            }
            _ => return None,
        });
    }
    Some(expr)
}

fn within(target: &Target<'_, '_>, template: &Expr, parts: &[Part], new: &str) -> Option<Change> {
    if !parts.iter().any(|part| matches!(part, Part::Interpolation(_))) {
        return None;
    }
    let source = &template.span.source;
    if is_json(source) || !template.span.text().starts_with('"') {
        return None;
    }
    let mut pieces: Vec<(String, &Span)> = Vec::new();
    for part in parts {
        pieces.push(match part {
            Part::Literal(text, span) => (text.clone(), span),
            Part::Interpolation(inner) => {
                let value = target.frame.eval(inner).ok()?;
                let Ok(Value::String(text)) = convert(&value, &Type::String) else { return None };
                (text, &inner.span)
            }
            _ => return None,
        });
    }
    let old: String = pieces.iter().map(|(text, _)| text.as_str()).collect();
    let (first, last) = differing(&pieces, &old, new);
    let texts = |range: Range<usize>| -> usize { pieces[range].iter().map(|(text, _)| text.len()).sum() };
    let (head, tail) = (texts(0..first), texts(last..pieces.len()));
    let said = new.get(head..new.len().checked_sub(tail)?)?;
    // An interpolation begins before its expression and ends behind it: where its neighbours, or the
    // template's quotes, say.
    let whole = &template.span.range;
    let start = match first.checked_sub(1).map(|at| (&parts[at], pieces[at].1)) {
        None => whole.start + 1,
        Some((Part::Literal(..), span)) => span.range.end,
        Some((_, span)) => closing(source.text.get(span.range.end..whole.end)?)? + span.range.end,
    };
    let end = match parts.get(last).map(|part| (part, pieces[last].1)) {
        None => whole.end - 1,
        Some((Part::Literal(..), span)) => span.range.start,
        Some((_, span)) => source.text.get(..span.range.start)?.rfind("${")?,
    };
    let written = text(&said.into());
    let written = written.get(1..written.len() - 1)?;
    let was = source.text.get(start..end)?;
    // What stays at both ends is left alone.
    let same = |pairs: &mut dyn Iterator<Item = (char, char)>| -> usize {
        pairs.take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let head = same(&mut was.chars().zip(written.chars()));
    let tail = same(&mut was[head..].chars().rev().zip(written[head..].chars().rev()));
    let span = Span::new(source, start + head..end - tail);
    Some(Change::new(&span, written.get(head..written.len() - tail)?))
}

/// The parts from the first that can't stay to behind the last.
fn differing(pieces: &[(String, &Span)], old: &str, new: &str) -> (usize, usize) {
    let (mut first, mut head) = (0, 0);
    while first < pieces.len() && new[head..].starts_with(&pieces[first].0) {
        head += pieces[first].0.len();
        first += 1;
    }
    // A registry that goes on is another one: the port belongs to it.
    if first > 0 && old[head..].starts_with('/') && !new[head..].starts_with('/') {
        first -= 1;
        head -= pieces[first].0.len();
    }
    let room = old.len().min(new.len()) - head;
    let (mut last, mut tail) = (pieces.len(), 0);
    while last > first {
        let piece = &pieces[last - 1].0;
        if tail + piece.len() > room || !new[..new.len() - tail].ends_with(piece.as_str()) {
            break;
        }
        tail += piece.len();
        last -= 1;
    }
    (first, last)
}

/// Behind the `}` that closes an interpolation, past blanks and `~`.
fn closing(rest: &str) -> Option<usize> {
    let at = rest.find('}')?;
    rest[..at].chars().all(|c| c.is_whitespace() || c == '~' || c == ')').then_some(at + 1)
}
