//! Functions of lists, maps and objects.

use std::collections::BTreeMap;

use unicode_segmentation::UnicodeSegmentation;

use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::value::{Number, Type, Value, convert, unify};

pub fn register(table: &mut Table) {
    use Type::{Any, Bool, String};
    table.add("length", &[Any], length);
    table.add("keys", &[Any], |args| {
        let keys = map(args, 0)?.keys().map(|key| Value::String(key.clone())).collect();
        Ok(if matches!(args[0], Value::Map(_)) { Value::List(keys) } else { Value::Tuple(keys) })
    });
    table.add("values", &[Any], |args| {
        let values = map(args, 0)?.values().cloned().collect();
        Ok(if matches!(args[0], Value::Map(_)) { Value::List(values) } else { Value::Tuple(values) })
    });
    table.add("lookup", &[Any, String, Any], lookup);
    table.variadic("merge", &[], Any, merge).with_nulls();
    table.variadic("concat", &[Any], Any, concat);
    table
        .add("contains", &[Any, Any], |args| {
            args[0].as_list().ok_or_else(|| Fault::at(0, "a list is needed"))?;
            Ok(Value::Bool(list(args, 0)?.contains(&args[1])))
        })
        .with_nulls();
    table.add("flatten", &[Any], |args| {
        let mut flat = Vec::new();
        flatten(list(args, 0)?, &mut flat);
        Ok(Value::Tuple(flat))
    });
    table.add("distinct", &[Type::list(Any)], |args| {
        let mut seen: Vec<Value> = Vec::new();
        for item in list(args, 0)? {
            if !seen.contains(item) {
                seen.push(item.clone());
            }
        }
        Ok(Value::List(seen))
    });
    table.add("reverse", &[Any], |args| {
        let items = list(args, 0)?.iter().rev().cloned().collect();
        Ok(if matches!(args[0], Value::Tuple(_)) { Value::Tuple(items) } else { Value::List(items) })
    });
    table.add("sort", &[Type::list(String)], |args| {
        let mut items = list(args, 0)?.to_vec();
        if items.iter().any(Value::is_null) {
            return Err(Fault::at(0, "an element is null"));
        }
        items.sort_by(Value::order);
        Ok(Value::List(items))
    });
    table.variadic("coalesce", &[], Any, coalesce).with_nulls();
    table
        .variadic("coalescelist", &[], Any, |args| {
            let fits = |arg: &Value| matches!(arg, Value::Null | Value::List(_) | Value::Tuple(_));
            if let Some(at) = args.iter().position(|arg| !fits(arg)) {
                return Err(Fault::at(at, format!("a list is needed, not {}", args[at].described())));
            }
            let filled = args.iter().find(|arg| arg.as_list().is_some_and(|items| !items.is_empty()));
            if let Some(filled) = filled {
                return Ok(filled.clone());
            }
            Err("every list is empty".into())
        })
        .with_nulls();
    table.add("compact", &[Type::list(String)], |args| {
        let kept = list(args, 0)?.iter().filter(|item| item.as_str().is_some_and(|text| !text.is_empty()));
        Ok(Value::List(kept.cloned().collect()))
    });
    table.add("element", &[Any, Type::Number], |args| {
        if matches!(args[0], Value::Set(_)) {
            return Err(Fault::at(0, "a set has no order"));
        }
        let items = list(args, 0)?;
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        if length == 0 {
            return Err(Fault::at(0, "the list is empty"));
        }
        let at = whole(args, 1)?.rem_euclid(length);
        Ok(items[usize::try_from(at).unwrap_or(0)].clone())
    });
    table.add("index", &[Any, Any], index);
    table.add("slice", &[Any, Type::Number, Type::Number], slice);
    table.add("chunklist", &[Type::list(Any), Type::Number], |args| {
        let items = list(args, 0)?;
        let size = usize::try_from(whole(args, 1)?).map_err(|_| Fault::at(1, "a size can't be negative"))?;
        let size = if size == 0 { items.len().max(1) } else { size };
        Ok(Value::List(items.chunks(size).map(|chunk| Value::List(chunk.to_vec())).collect()))
    });
    table.variadic("range", &[], Type::Number, range);
    table.add("zipmap", &[Type::list(String), Any], zipmap);
    table.add("alltrue", &[Type::list(Bool)], |args| {
        Ok(Value::Bool(list(args, 0)?.iter().all(|item| item.as_bool() == Some(true))))
    });
    table.add("anytrue", &[Type::list(Bool)], |args| {
        Ok(Value::Bool(list(args, 0)?.iter().any(|item| item.as_bool() == Some(true))))
    });
    table.add("sum", &[Type::list(Type::Number)], |args| {
        let mut total = Number::ZERO;
        for number in list(args, 0)?.iter().filter_map(Value::as_number) {
            total = total.add(number).ok_or("infinities cancel")?;
        }
        Ok(Value::Number(total))
    });
    table.add("one", &[Any], |args| match list(args, 0)? {
        [] => Ok(Value::Null),
        [one] => Ok(one.clone()),
        more => Err(Fault::at(0, format!("one element at most is needed, not {}", more.len()))),
    });
}

pub fn list(args: &[Value], i: usize) -> Result<&[Value], Fault> {
    args[i].as_list().ok_or_else(|| Fault::at(i, format!("a list is needed, not {}", args[i].described())))
}

fn map(args: &[Value], i: usize) -> Result<&BTreeMap<String, Value>, Fault> {
    args[i]
        .as_map()
        .ok_or_else(|| Fault::at(i, format!("a map or object is needed, not {}", args[i].described())))
}

fn whole(args: &[Value], i: usize) -> Result<i64, Fault> {
    args[i].as_i64().ok_or_else(|| Fault::at(i, "a whole number is needed"))
}

fn length(args: &[Value]) -> Outcome {
    let length = match (args[0].as_list(), args[0].as_map(), args[0].as_str()) {
        (Some(items), ..) => items.len(),
        (_, Some(map), _) => map.len(),
        (_, _, Some(text)) => text.graphemes(true).count(),
        _ => return Err(Fault::at(0, format!("{} has no length", args[0].described()))),
    };
    Ok(Value::from(length))
}

fn lookup(args: &[Value]) -> Outcome {
    let key = args[1].as_str().unwrap_or_default();
    let found = map(args, 0)?.get(key).cloned();
    let default = match Type::of(&args[0]) {
        // It must fit the map's elements even if it isn't needed.
        Type::Map(of) => convert(&args[2], &of).map_err(|error| Fault::at(2, error))?,
        _ => args[2].clone(),
    };
    Ok(found.unwrap_or(default))
}

fn merge(args: &[Value]) -> Outcome {
    let mut merged = BTreeMap::new();
    for (i, arg) in args.iter().enumerate() {
        if !arg.is_null() {
            merged.extend(map(args, i)?.clone());
        }
    }
    let all_maps = !args.is_empty() && args.iter().all(|arg| matches!(arg, Value::Map(_)));
    let same = args.windows(2).all(|pair| Type::of(&pair[0]) == Type::of(&pair[1]));
    Ok(if all_maps && same { Value::Map(merged) } else { Value::Object(merged) })
}

fn concat(args: &[Value]) -> Outcome {
    let mut all = Vec::new();
    for (i, arg) in args.iter().enumerate() {
        if matches!(arg, Value::Set(_)) {
            return Err(Fault::at(i, "a set has no order; make a list of it"));
        }
        all.extend_from_slice(list(args, i)?);
    }
    if args.iter().all(|arg| matches!(arg, Value::List(_)))
        && let Some(of) = unify(&args.iter().map(Type::of).collect::<Vec<_>>())
    {
        return convert(&Value::List(all), &of).map_err(Fault::from);
    }
    Ok(Value::Tuple(all))
}

fn coalesce(args: &[Value]) -> Outcome {
    let types: Vec<Type> = args.iter().map(Type::of).collect();
    let of = unify(&types).ok_or("the arguments must be of one type")?;
    match args.iter().position(|value| !value.is_null()) {
        Some(at) => convert(&args[at], &of).map_err(|error| Fault::at(at, error)),
        None => Err("every argument is null".into()),
    }
}

/// The element with a key or number.
fn index(args: &[Value]) -> Outcome {
    match (&args[0], &args[1]) {
        (Value::List(items) | Value::Tuple(items), Value::Number(number)) => number
            .as_u64()
            .and_then(|at| items.get(usize::try_from(at).ok()?))
            .cloned()
            .ok_or_else(|| Fault::at(1, format!("there is no element {number}"))),
        (Value::Map(map), Value::String(key)) => {
            map.get(key).cloned().ok_or_else(|| Fault::at(1, format!("there is no element {key:?}")))
        }
        (Value::Map(_), _) => Err(Fault::at(1, "a key is text")),
        (Value::List(_) | Value::Tuple(_), _) => Err(Fault::at(1, "an index is a number")),
        (other, _) => Err(Fault::at(0, format!("a list or map is needed, not {}", other.described()))),
    }
}

fn slice(args: &[Value]) -> Outcome {
    if matches!(args[0], Value::Set(_)) {
        return Err(Fault::at(0, "a set has no order; make a list of it"));
    }
    let items = list(args, 0)?;
    let bound = |i: usize| {
        let at = usize::try_from(whole(args, i)?).ok().filter(|at| *at <= items.len());
        at.ok_or_else(|| Fault::at(i, format!("an index from 0 to {} is needed", items.len())))
    };
    let (from, to) = (bound(1)?, bound(2)?);
    if from > to {
        return Err(Fault::at(1, "the start lies behind the end"));
    }
    let part = items[from..to].to_vec();
    Ok(if matches!(args[0], Value::List(_)) { Value::List(part) } else { Value::Tuple(part) })
}

fn flatten(items: &[Value], flat: &mut Vec<Value>) {
    for item in items {
        match item.as_list() {
            Some(inner) => flatten(inner, flat),
            None => flat.push(item.clone()),
        }
    }
}

/// At most 1024 numbers, as in cty.
fn range(args: &[Value]) -> Outcome {
    let number = |i: usize| args[i].as_number().cloned().unwrap_or_default();
    let one = |down: bool| Number::from(if down { -1_i64 } else { 1 });
    let (start, end, step) = match args.len() {
        1 => (Number::ZERO, number(0), one(number(0).is_negative())),
        2 => (number(0), number(1), one(number(1) < number(0))),
        3 => (number(0), number(1), number(2)),
        _ => return Err("one, two or three numbers are needed".into()),
    };
    let down = step.is_negative();
    if (down && end > start) || (!down && end < start) {
        return Err(Fault::at(1, "the step leads away from the end"));
    }
    let mut numbers = Vec::new();
    let mut next = start;
    while if down { next > end } else { next < end } {
        if numbers.len() >= 1024 {
            return Err("more than 1024 numbers".into());
        }
        numbers.push(Value::Number(next.clone()));
        next = next.add(&step).ok_or("infinities cancel")?;
    }
    Ok(Value::List(numbers))
}

fn zipmap(args: &[Value]) -> Outcome {
    if matches!(args[1], Value::Set(_)) {
        return Err(Fault::at(1, "a set has no order; make a list of it"));
    }
    let (keys, values) = (list(args, 0)?, list(args, 1)?);
    if keys.len() != values.len() {
        return Err(format!("{} keys don't fit {} values", keys.len(), values.len()).into());
    }
    let mut zipped = BTreeMap::new();
    for (key, value) in keys.iter().zip(values) {
        let key = key.as_str().ok_or_else(|| Fault::at(0, "a key can't be null"))?;
        zipped.insert(key.to_owned(), value.clone());
    }
    Ok(if matches!(args[1], Value::List(_)) { Value::Map(zipped) } else { Value::Object(zipped) })
}
