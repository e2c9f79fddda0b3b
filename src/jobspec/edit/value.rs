//! The change of a value that is written: at the pieces its text is made of, its elements, its members.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::base::text::nanoseconds as span;
use crate::base::{Diagnostic, Span};
use crate::hcl::edit::{
    Change, add_json_members, add_members, is_json, json_text, remove_members, replace_elements, rewrite,
    text,
};
use crate::hcl::trace::{Frame, Key, Literal, Origin, Piece, Place, Stand, pieces, stand};
use crate::hcl::{Expr, ExprKind};
use crate::jobspec::edit::EditError;
use crate::jobspec::edit::here::here;
use crate::jobspec::edit::narrow::narrow;
use crate::jobspec::edit::plan::{Changes, Goal, bare};
use crate::jobspec::schema::Kind;

/// A value within an attribute.
pub struct Target<'t, 'a> {
    pub expr: &'a Expr,
    pub frame: &'t Frame<'a>,
    pub path: Vec<Key>,
    /// What the attribute fills, where the table knows it.
    pub kind: Option<Kind>,
    pub goal: &'t Goal<'t>,
}

impl<'a> Target<'_, 'a> {
    fn inner(&self, key: Key) -> Self {
        let path = self.path.iter().cloned().chain([key]).collect();
        Self { path, kind: None, ..*self }
    }

    fn trace(&self, why: Diagnostic) -> EditError {
        EditError::Trace { path: self.goal.path.to_string(), why }
    }

    fn made(&self, how: &str, at: &Span) -> EditError {
        EditError::Made { path: self.goal.path.to_string(), how: how.to_owned(), at: at.clone() }
    }

    fn stand(&self) -> Result<(&'a Expr, Frame<'a>), EditError> {
        let path = self.goal.path.to_string();
        match stand(self.expr, self.frame, self.path.clone()).map_err(|why| self.trace(why))? {
            Stand::Written(expr, frame) => Ok((bare(expr), frame)),
            Stand::Outside { what, at } => Err(EditError::Outside { path, what, at }),
            Stand::Kept(at) => Err(EditError::Kept { path, at }),
            Stand::Made { how, at } => Err(EditError::Made { path, how, at }),
        }
    }
}

/// The value as it is to be written: lengths of time with their unit.
pub fn spelled(new: &Json, given: &Json, kind: Option<Kind>) -> Json {
    match (kind, new.as_i64()) {
        (Some(Kind::Span | Kind::MaybeSpan), Some(nanoseconds)) => match given {
            Json::String(_) => given.clone(),
            _ => span(nanoseconds).into(),
        },
        _ => new.clone(),
    }
}

pub fn change(target: &Target<'_, '_>, old: &Json, new: &Json, given: &Json) -> Changes {
    if old == new {
        return Ok(Vec::new());
    }
    let new = &spelled(new, given, target.kind);
    match (old, new) {
        (Json::Array(old), Json::Array(new)) => elements(target, old, new),
        (Json::Object(old), Json::Object(new)) => members(target, old, new),
        (Json::Null, _) | (_, Json::Null | Json::Array(_) | Json::Object(_)) => whole(target, old, new),
        (Json::Array(_) | Json::Object(_), _) => whole(target, old, new),
        (_, new) => match target.goal.here.then(|| here(target, new)).flatten() {
            Some(change) => Ok(vec![(change, Place::Literal)]),
            None => scalar(target, &new.as_str().map_or_else(|| new.to_string(), str::to_owned)),
        },
    }
}

/// A literal, where it stands, and the pieces it gives with what they become.
type Parts<'p> = (&'p Literal, &'p Place, Vec<(&'p Piece, &'p str)>);

/// Another text, number or bool.
fn scalar(target: &Target<'_, '_>, new: &str) -> Changes {
    let found = pieces(target.expr, target.frame, target.path.clone()).map_err(|why| target.trace(why))?;
    let Some(texts) = narrow(&found, new) else { return Err(blame(target, &found, new)) };
    // Of one literal, several parts may change.
    let mut literals: BTreeMap<(String, usize), Parts<'_>> = BTreeMap::new();
    for (piece, text) in found.iter().zip(&texts) {
        let Origin::Literal(literal) = &piece.origin else { continue };
        let key = (literal.span.source.name.clone(), literal.span.range.start);
        let entry = literals.entry(key).or_insert((literal, &piece.place, Vec::new()));
        entry.2.push((piece, text));
    }
    let mut changes = Vec::new();
    for (literal, place, parts) in literals.into_values() {
        if parts.iter().all(|(piece, text)| piece.text == **text) {
            continue;
        }
        let mut cuts: BTreeMap<usize, (std::ops::Range<usize>, &str)> = BTreeMap::new();
        for (piece, text) in parts {
            let Origin::Literal(part) = &piece.origin else { continue };
            let earlier = cuts.insert(part.cut.start, (part.cut.clone(), text));
            if earlier.is_some_and(|(_, earlier)| earlier != text) {
                let path = target.goal.path.to_string();
                return Err(EditError::Unclear { path, at: literal.span.clone() });
            }
        }
        let mut full = literal.text.clone();
        for (cut, text) in cuts.into_values().rev() {
            full.replace_range(cut, text);
        }
        if let Some(heredoc) = literal.template.as_ref().filter(|template| unfit(template, literal, &full)) {
            // In quotes, any text can stand.
            if found.len() == 1 {
                changes.push((Change::new(heredoc, text(&full.into())), place.clone()));
                continue;
            }
            let why = "its heredoc ends with the end of a line, and can't hold its own mark on one";
            return Err(target.goal.no_place(why, &literal.span));
        }
        let whole = Literal { cut: 0..literal.text.len(), ..literal.clone() };
        match rewrite(&whole, place, &full) {
            Some(change) => changes.push((change, place.clone())),
            None if literal.span.is_replaced() => {
                let path = target.goal.path.to_string();
                return Err(EditError::Substituted { path, at: literal.span.clone() });
            }
            None => return Err(target.made("characters that belong together", &literal.span)),
        }
    }
    Ok(changes)
}

/// Whether a template is a heredoc that can't end as the text of its literal does, or in which the text would
/// end it.
fn unfit(template: &Span, literal: &Literal, new: &str) -> bool {
    let Some(mark) = template.text().strip_prefix("<<") else { return false };
    let mark = mark.trim_start_matches('-').lines().next().unwrap_or_default().trim();
    let ends = literal.text.ends_with('\n') && !new.ends_with('\n');
    ends || new.lines().any(|line| line.trim() == mark)
}

/// Why no piece can take the change: what stands where the texts differ.
fn blame(target: &Target<'_, '_>, pieces: &[Piece], new: &str) -> EditError {
    let path = target.goal.path.to_string();
    let old: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let head = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let limit = old.len().min(new.len()) - head;
    let tail = old.bytes().rev().zip(new.bytes().rev()).take(limit).take_while(|(a, b)| a == b).count();
    let mut at = 0;
    let mut touched = None;
    for piece in pieces {
        let here = at..at + piece.text.len();
        at = here.end;
        let overlaps = here.start <= old.len() - tail && head <= here.end;
        if overlaps && !matches!(piece.origin, Origin::Literal(_)) {
            // The piece that differs most tells most.
            let inside = here.end.min(old.len() - tail).saturating_sub(here.start.max(head));
            if touched.as_ref().is_none_or(|(most, _)| *most < inside) {
                touched = Some((inside, &piece.origin));
            }
        }
    }
    match touched.map(|(_, origin)| origin) {
        Some(Origin::Outside { what, at }) => EditError::Outside { path, what: what.clone(), at: at.clone() },
        Some(Origin::Kept(at)) => EditError::Kept { path, at: at.clone() },
        Some(Origin::Made { how, at }) => EditError::Made { path, how: how.clone(), at: at.clone() },
        _ => EditError::Unclear { path, at: target.expr.span.clone() },
    }
}

/// What was null, or is to be of another kind.
fn whole(target: &Target<'_, '_>, old: &Json, new: &Json) -> Changes {
    let missing = old.is_null() && !target.path.is_empty();
    if missing || new.is_null() {
        // A member that isn't there yet, or that goes.
        let mut outer = Target { path: target.path.clone(), ..*target };
        let Some(Key::Name(name)) = outer.path.pop() else {
            return Err(target.goal.no_place("it can't be taken out", &target.expr.span));
        };
        return match new {
            Json::Null => without_members(&outer, &[&name]),
            new => new_members(&outer, &[(&name, new)]),
        };
    }
    let (expr, frame) = target.stand()?;
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Template(_) | ExprKind::Tuple(_) | ExprKind::Object(_) => {
            Ok(vec![(Change::new(&expr.span, written(expr, &frame, new)), frame.place)])
        }
        ExprKind::Call { name, .. } => Err(target.made(&format!("the function `{}`", name.text), &expr.span)),
        _ => Err(target.made("an expression", &expr.span)),
    }
}

/// A value as it is written beside an expression.
fn written(expr: &Expr, frame: &Frame<'_>, new: &Json) -> String {
    if is_json(&expr.span.source) {
        json_text(new, matches!(frame.place, Place::Default(_) | Place::VarFile(_)))
    } else {
        text(new)
    }
}

fn elements(target: &Target<'_, '_>, old: &[Json], new: &[Json]) -> Changes {
    if old.len() == new.len() {
        let mut changes = Vec::new();
        for (at, (old, new)) in old.iter().zip(new).enumerate() {
            changes.extend(change(&target.inner(Key::At(at)), old, new, new)?);
        }
        return Ok(changes);
    }
    let (expr, frame) = target.stand()?;
    let ExprKind::Tuple(items) = &expr.kind else {
        return Err(match &expr.kind {
            ExprKind::Call { name, .. } => target.made(&format!("the function `{}`", name.text), &expr.span),
            _ => target.made("an expression", &expr.span),
        });
    };
    if items.len() != old.len() {
        return Err(target.made("a list of which some elements don't count", &expr.span));
    }
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let limit = old.len().min(new.len()) - head;
    let tail = old.iter().rev().zip(new.iter().rev()).take(limit).take_while(|(a, b)| a == b).count();
    let texts: Vec<String> =
        new[head..new.len() - tail].iter().map(|item| written(expr, &frame, item)).collect();
    match replace_elements(expr, head..old.len() - tail, &texts) {
        Some(change) => Ok(vec![(change, frame.place)]),
        None => Err(target.made("a list that can't be changed", &expr.span)),
    }
}

type Members = serde_json::Map<String, Json>;

fn members(target: &Target<'_, '_>, old: &Members, new: &Members) -> Changes {
    let (mut changes, mut gone) = (Vec::new(), Vec::new());
    for (name, was) in old {
        match new.get(name) {
            Some(is) => changes.extend(change(&target.inner(Key::Name(name.clone())), was, is, is)?),
            None => gone.push(name.as_str()),
        }
    }
    if !gone.is_empty() {
        changes.extend(without_members(target, &gone)?);
    }
    let added: Vec<_> = new.iter().filter(|(name, _)| !old.contains_key(*name)).collect();
    if !added.is_empty() {
        let added: Vec<(&str, &Json)> = added.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        changes.extend(new_members(target, &added)?);
    }
    Ok(changes)
}

/// The object at the target. Of what is merged, the last object that is written out.
fn object<'a>(target: &Target<'_, 'a>) -> Result<(&'a Expr, Frame<'a>), EditError> {
    let (mut expr, mut frame) = target.stand()?;
    while let ExprKind::Call { name: function, args, expand: false } = &expr.kind
        && function.text == "merge"
        && let Some(last) = args.last()
    {
        let last = Target { expr: last, frame: &frame, path: Vec::new(), kind: None, goal: target.goal };
        (expr, frame) = last.stand()?;
    }
    Ok((expr, frame))
}

fn new_members(target: &Target<'_, '_>, members: &[(&str, &Json)]) -> Changes {
    let (expr, frame) = object(target)?;
    let members: Vec<(&str, String)> =
        members.iter().map(|(name, value)| (*name, written(expr, &frame, value))).collect();
    let change = if is_json(&expr.span.source) {
        add_json_members(&expr.span, &members)
    } else {
        add_members(expr, &members)
    };
    match change {
        Some(change) => Ok(vec![(change, frame.place)]),
        None => Err(target.made("an expression", &expr.span)),
    }
}

fn without_members(target: &Target<'_, '_>, names: &[&str]) -> Changes {
    let (expr, frame) = object(target)?;
    match remove_members(expr, names) {
        Some(all) => Ok(all.into_iter().map(|change| (change, frame.place.clone())).collect()),
        None => Err(target.made("an expression", &expr.span)),
    }
}
