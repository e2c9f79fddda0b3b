//! Conversion between types, and the one type that several can be converted to.

use std::collections::BTreeMap;

use super::{Number, Type, Value};

/// `value` as a value of type `to`, by cty's rules. The error is half a sentence: what was wanted. It
/// never quotes the value, which may be a secret.
pub fn convert(value: &Value, to: &Type) -> Result<Value, String> {
    let refuse = || Err(format!("{} is needed, not {}", article(to), value.described()));
    Ok(match (value, to) {
        (_, Type::Any) | (Value::Null | Value::Unknown, _) => value.clone(),
        (Value::Bool(_), Type::Bool)
        | (Value::Number(_), Type::Number)
        | (Value::String(_), Type::String) => value.clone(),
        (Value::Bool(truth), Type::String) => Value::from(if *truth { "true" } else { "false" }),
        (Value::Number(number), Type::String) => Value::String(number.to_string()),
        (Value::String(text), Type::Number) => match Number::parse(text) {
            Some(number) => Value::Number(number),
            None => return Err("a number is needed, and this text is not one".to_owned()),
        },
        (Value::String(text), Type::Bool) => match text.as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => return Err("a bool is needed, and this text is neither \"true\" nor \"false\"".to_owned()),
        },
        (Value::List(items) | Value::Set(items) | Value::Tuple(items), Type::List(of)) => {
            Value::List(elements(items, of)?)
        }
        (Value::List(items) | Value::Set(items) | Value::Tuple(items), Type::Set(of)) => {
            Value::set(elements(items, of)?)
        }
        (Value::List(items) | Value::Tuple(items), Type::Tuple(types)) => {
            if items.len() != types.len() {
                return Err(format!("a tuple of {} elements is needed, not of {}", types.len(), items.len()));
            }
            let items = items.iter().zip(types).map(|(item, of)| convert(item, of));
            Value::Tuple(items.collect::<Result<_, _>>()?)
        }
        (Value::Map(map) | Value::Object(map), Type::Map(of)) => {
            let of = settled(of, map.values())?;
            let items = map.iter().map(|(key, item)| match convert(item, &of) {
                Ok(item) => Ok((key.clone(), item)),
                Err(error) => Err(format!("element {key:?}: {error}")),
            });
            Value::Map(items.collect::<Result<_, _>>()?)
        }
        (Value::Map(map) | Value::Object(map), Type::Object(types)) => {
            let mut object = BTreeMap::new();
            for (name, of) in types {
                let item = map.get(name).ok_or_else(|| format!("attribute {name:?} is needed"))?;
                let item = convert(item, of).map_err(|error| format!("attribute {name:?}: {error}"))?;
                object.insert(name.clone(), item);
            }
            Value::Object(object)
        }
        _ => return refuse(),
    })
}

fn article(of: &Type) -> String {
    match of {
        Type::Object(_) => "an object".to_owned(),
        Type::Any => "any value".to_owned(),
        _ => format!("a {of}"),
    }
}

fn elements(items: &[Value], of: &Type) -> Result<Vec<Value>, String> {
    let of = settled(of, items.iter())?;
    let items = items
        .iter()
        .enumerate()
        .map(|(i, item)| convert(item, &of).map_err(|error| format!("element {i}: {error}")));
    items.collect()
}

/// The element type, where it is left open the one that all elements can have.
fn settled<'a>(of: &Type, items: impl Iterator<Item = &'a Value>) -> Result<Type, String> {
    if *of != Type::Any {
        return Ok(of.clone());
    }
    let types: Vec<Type> = items.map(Type::of).collect();
    unify(&types).ok_or_else(|| "all elements must be of one type".to_owned())
}

/// The type that all of these can be converted to without loss; `None` where there is none.
pub fn unify(types: &[Type]) -> Option<Type> {
    let mut known = types.iter().filter(|of| **of != Type::Any);
    let Some(first) = known.next() else { return Some(Type::Any) };
    // Beside what isn't settled, a list, map or the like isn't settled either.
    let single = matches!(first, Type::Bool | Type::Number | Type::String);
    if !single && types.contains(&Type::Any) {
        return Some(Type::Any);
    }
    let primitive = |of: &Type| matches!(of, Type::Bool | Type::Number | Type::String);
    if types.contains(&Type::String) && types.iter().all(|of| primitive(of) || *of == Type::Any) {
        return Some(Type::String);
    }
    let found = known.try_fold(first.clone(), |so_far, next| pair(&so_far, next));
    // As a last resort, all of them are of a type that isn't settled, where one isn't.
    found.or_else(|| types.contains(&Type::Any).then_some(Type::Any))
}

fn pair(a: &Type, b: &Type) -> Option<Type> {
    use Type::{Any, Bool, List, Map, Number, Object, Set, String, Tuple};
    if a == b {
        return Some(a.clone());
    }
    Some(match (a, b) {
        (Any, other) | (other, Any) => other.clone(),
        (String, Number | Bool) | (Number | Bool, String) => String,
        (List(x), List(y) | Set(y)) | (Set(x), List(y)) => List(pair(x, y)?.into()),
        (Set(x), Set(y)) => Set(pair(x, y)?.into()),
        (Map(x), Map(y)) => Map(pair(x, y)?.into()),
        (Tuple(x), Tuple(y)) if x.len() == y.len() => {
            let types = x.iter().zip(y).map(|(x, y)| pair(x, y)).collect::<Option<_>>()?;
            Tuple(types)
        }
        (Tuple(x), Tuple(y)) => {
            let all: Vec<Type> = x.iter().chain(y).cloned().collect();
            List(unify(&all)?.into())
        }
        (Tuple(x), List(y)) | (List(y), Tuple(x)) => List(pair(&unify(x)?, y)?.into()),
        (Tuple(x), Set(y)) | (Set(y), Tuple(x)) => Set(pair(&unify(x)?, y)?.into()),
        (Object(x), Object(y)) if x.keys().eq(y.keys()) => {
            let types = x.iter().zip(y.values()).map(|((name, x), y)| Some((name.clone(), pair(x, y)?)));
            Object(types.collect::<Option<_>>()?)
        }
        (Object(x), Object(y)) => {
            let all: Vec<Type> = x.values().chain(y.values()).cloned().collect();
            Map(unify(&all)?.into())
        }
        (Object(x), Map(y)) | (Map(y), Object(x)) => {
            let all: Vec<Type> = x.values().cloned().collect();
            Map(pair(&unify(&all)?, y)?.into())
        }
        _ => return None,
    })
}
