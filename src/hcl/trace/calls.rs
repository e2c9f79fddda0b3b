//! Functions that hand on what they are given: to which argument a value leads back.

use crate::base::Diagnostic;
use crate::hcl::trace::frame::{Frame, Key};
use crate::hcl::trace::stand::{Back, Stand, equal, made};
use crate::hcl::tree::{Expr, Ident};
use crate::hcl::value::Value;

/// The argument that holds the value at `path` of a call's result. A call of another function is where
/// the value stands.
pub(super) fn back<'a>(
    expr: &'a Expr,
    name: &Ident,
    args: &'a [Expr],
    expand: bool,
    frame: &Frame<'a>,
    path: Vec<Key>,
) -> Result<Back<'a>, Diagnostic> {
    let found = if expand { None } else { argument(expr, name.text.as_str(), args, frame, &path)? };
    Ok(match found {
        Some((arg, path)) => Back::To(arg, frame.clone(), path),
        None if path.is_empty() => Back::End(Stand::Written(expr, frame.clone())),
        None => Back::End(made(format!("the function `{}`", name.text), &expr.span)),
    })
}

type Found<'a> = Option<(&'a Expr, Vec<Key>)>;

fn argument<'a>(
    call: &Expr,
    name: &str,
    args: &'a [Expr],
    frame: &Frame<'a>,
    path: &[Key],
) -> Result<Found<'a>, Diagnostic> {
    let whole = |arg: &'a Expr| Some((arg, path.to_vec()));
    Ok(match (name, args) {
        ("convert" | "tostring" | "tonumber" | "tobool" | "tolist" | "tomap", [arg, ..]) => {
            match (frame.eval(arg)?, path.split_first()) {
                (Value::Set(items), Some((key, rest))) => {
                    let item = key.index().and_then(|at| items.get(at)).cloned();
                    item.map(|item| (arg, with(Key::Equal(item), rest)))
                }
                _ => whole(arg),
            }
        }
        ("try", _) => args.iter().find(|arg| frame.eval(arg).is_ok()).and_then(whole),
        ("coalesce", _) => {
            let first = args.iter().find(|arg| frame.eval(arg).is_ok_and(|value| !value.is_null()));
            first.and_then(whole)
        }
        ("coalescelist", _) => {
            let filled = |value: Value| value.as_list().is_some_and(|items| !items.is_empty());
            args.iter().find(|arg| frame.eval(arg).is_ok_and(filled)).and_then(whole)
        }
        ("lookup", [map, key, default]) => {
            let key = frame.eval(key)?;
            let key = key.as_str().unwrap_or_default();
            if frame.eval(map)?.as_map().is_some_and(|map| map.contains_key(key)) {
                Some((map, with(Key::Name(key.to_owned()), path)))
            } else {
                whole(default)
            }
        }
        ("index", [list, key]) => Some((list, with(Key::of(&frame.eval(key)?), path))),
        ("element", [list, at]) => {
            let length = frame.eval(list)?.as_list().map_or(0, <[Value]>::len);
            let at = frame.eval(at)?.as_i64().unwrap_or(0);
            let at = i64::try_from(length).ok().filter(|n| *n > 0).map(|n| at.rem_euclid(n));
            let at = at.and_then(|at| usize::try_from(at).ok());
            at.map(|at| (list, with(Key::At(at), path)))
        }
        ("merge", _) => {
            let Some(name) = path.first().and_then(Key::name) else { return Ok(None) };
            let mut found = None;
            for arg in args {
                if frame.eval(arg)?.as_map().is_some_and(|map| map.contains_key(&name)) {
                    found = whole(arg);
                }
            }
            found
        }
        ("concat", _) => {
            let Some(mut at) = path.first().and_then(Key::index) else { return Ok(None) };
            for arg in args {
                let length = frame.eval(arg)?.as_list().map_or(0, <[Value]>::len);
                if at < length {
                    return Ok(Some((arg, with(Key::At(at), &path[1..]))));
                }
                at -= length;
            }
            None
        }
        ("values", [map]) => {
            let value = frame.eval(map)?;
            let key = path.first().and_then(Key::index);
            let name = key.and_then(|at| value.as_map()?.keys().nth(at).cloned());
            name.map(|name| (map, with(Key::Name(name), &path[1..])))
        }
        // These hand on some of the elements: the one that equals it is meant.
        ("toset" | "distinct" | "compact" | "sort" | "slice" | "setunion", [list, ..])
            if !path.is_empty() =>
        {
            let wanted = match &path[0] {
                Key::Equal(value) => Some(value.clone()),
                key => {
                    let made = frame.eval(call)?;
                    key.index().and_then(|at| made.as_list()?.get(at).cloned())
                }
            };
            let Some(wanted) = wanted else { return Ok(None) };
            let value = frame.eval(list)?;
            let at = value.as_list().and_then(|items| items.iter().position(|item| equal(item, &wanted)));
            match (&value, at) {
                (Value::Set(_), Some(_)) => Some((list, with(Key::Equal(wanted), &path[1..]))),
                (_, Some(at)) => Some((list, with(Key::At(at), &path[1..]))),
                (_, None) => None,
            }
        }
        _ => None,
    })
}

fn with(key: Key, rest: &[Key]) -> Vec<Key> {
    std::iter::once(key).chain(rest.iter().cloned()).collect()
}
