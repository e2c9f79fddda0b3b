//! Attributes and elements of values.

use crate::base::{Diagnostic, Span, text};
use crate::hcl::tree::Step;
use crate::hcl::value::{Type, Value, convert};

static UNKNOWN: Value = Value::Unknown;

type Found<'v> = Result<&'v Value, Diagnostic>;

pub fn steps<'v>(mut value: &'v Value, steps: &[Step]) -> Found<'v> {
    for step in steps {
        value = match step {
            Step::Name(name) => attribute(value, &name.text, &name.span)?,
            Step::Key(key, span) => element(value, key, span)?,
        };
    }
    Ok(value)
}

fn attribute<'v>(value: &'v Value, name: &str, span: &Span) -> Found<'v> {
    match value {
        Value::Unknown => Ok(&UNKNOWN),
        Value::Object(map) | Value::Map(map) => match map.get(name) {
            Some(item) => Ok(item),
            None => Err(missing(value, name, span)),
        },
        Value::Null => Err(Diagnostic::error(format!("`{name}` can't be read from null")).at(span)),
        Value::List(_) | Value::Tuple(_) | Value::Set(_) => {
            let error = format!("{} has no attribute `{name}`", value.described());
            Err(Diagnostic::error(error).at(span).help(format!("[*].{name} reads it from every element")))
        }
        _ => Err(Diagnostic::error(format!("{} has no attribute `{name}`", value.described())).at(span)),
    }
}

fn missing(value: &Value, name: &str, span: &Span) -> Diagnostic {
    let names: Vec<&str> = value.as_map().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    let error = Diagnostic::error(format!("there is no `{name}` in this {}", value.type_name())).at(span);
    match text::nearest(name, names.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if names.is_empty() => error.help("it is empty"),
        None if names.len() <= 12 => error.help(format!("it has {}", text::list(&names))),
        None => error,
    }
}

pub fn element<'v>(value: &'v Value, key: &Value, span: &Span) -> Found<'v> {
    match (value, key) {
        (Value::Unknown, _) | (_, Value::Unknown) => return Ok(&UNKNOWN),
        (Value::Null, _) => return Err(Diagnostic::error("null has no elements").at(span)),
        (_, Value::Null) => return Err(Diagnostic::error("an index can't be null").at(span)),
        _ => {}
    }
    match value {
        Value::List(items) | Value::Tuple(items) => {
            let key = convert(key, &Type::Number)
                .map_err(|error| Diagnostic::error(format!("as an index, {error}")).at(span))?;
            let Some(number) = key.as_number().filter(|number| number.is_whole()) else {
                return Err(Diagnostic::error("an index must be a whole number").at(span));
            };
            let found = number.as_u64().and_then(|i| usize::try_from(i).ok()).and_then(|i| items.get(i));
            found.ok_or_else(|| {
                let error = format!("there is no element {number} in this {}", value.type_name());
                let help = match items.len() {
                    0 => "it is empty".to_owned(),
                    n => format!("it has {}, the first is 0", text::count(n, "element")),
                };
                Diagnostic::error(error).at(span).help(help)
            })
        }
        Value::Map(map) | Value::Object(map) => {
            let key = convert(key, &Type::String)
                .map_err(|error| Diagnostic::error(format!("as a key, {error}")).at(span))?;
            let key = key.as_str().unwrap_or_default();
            map.get(key).ok_or_else(|| missing(value, key, span))
        }
        Value::Set(_) => Err(Diagnostic::error("a set has no order to index")
            .at(span)
            .help("make a list of it: tolist(…)")),
        _ => Err(Diagnostic::error(format!("{} has no elements", value.described())).at(span)),
    }
}
