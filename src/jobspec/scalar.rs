//! Attribute values as the fields of the table want them.

use serde_json::Value as Json;

use crate::base::Diagnostic;
use crate::hcl::go_duration;
use crate::hcl::{Attribute, Number, Scope, Type, Value, convert};
use crate::jobspec::schema::{Kind, Width};

/// The JSON of an attribute that fills a field of this kind.
pub fn decode(attribute: &Attribute, kind: Kind, scope: &dyn Scope) -> Result<Json, Diagnostic> {
    let Attribute { name, expr, .. } = attribute;
    let value = expr.eval(scope)?;
    decode_value(&value, kind)
        .map_err(|error| Diagnostic::error(format!("for `{}`, {error}", name.text)).at(&expr.span))
}

/// The JSON of a value that fills a field of this kind.
pub fn decode_value(value: &Value, kind: Kind) -> Result<Json, String> {
    match kind {
        Kind::Text => plain(value, &Type::String),
        Kind::MaybeText => maybe(value, &Type::String),
        Kind::Flag => plain(value, &Type::Bool),
        Kind::MaybeFlag => maybe(value, &Type::Bool),
        Kind::Int(width) => {
            if value.is_null() {
                return Err("a number is needed, not null".to_owned());
            }
            int(value, width)
        }
        Kind::MaybeInt(_) if value.is_null() => Ok(Json::Null),
        Kind::MaybeInt(width) => int(value, width),
        Kind::LowByte => low_byte(value),
        Kind::Span | Kind::MaybeSpan => span(value),
        Kind::Texts => list(value, &Type::String),
        Kind::Ports => match convert(value, &Type::list(Type::Number))? {
            Value::List(items) => items.iter().map(|item| int(item, Width::U16)).collect(),
            _ => Ok(Json::Null),
        },
        Kind::TextMap => match convert(value, &Type::Map(Type::String.into()))? {
            Value::Map(map) => {
                let items = map.iter().map(|(key, item)| match item.as_str() {
                    Some(text) => Ok((key.clone(), text.into())),
                    None => Err(format!("element {key:?} can't be null")),
                });
                items.collect::<Result<serde_json::Map<_, _>, _>>().map(Json::Object)
            }
            _ => Ok(Json::Null),
        },
        Kind::TextsMap | Kind::FreeMap | Kind::One(_) | Kind::Many(_) | Kind::ByLabel(_) => {
            Err("a block is needed here".to_owned())
        }
    }
}

fn plain(value: &Value, to: &Type) -> Result<Json, String> {
    if value.is_null() {
        return Err(format!("a {to} is needed, not null"));
    }
    maybe(value, to)
}

fn maybe(value: &Value, to: &Type) -> Result<Json, String> {
    convert(value, to).map(|value| value.to_json())
}

fn list(value: &Value, of: &Type) -> Result<Json, String> {
    match convert(value, &Type::list(of.clone()))? {
        Value::List(items) if items.iter().any(Value::is_null) => Err("an element can't be null".to_owned()),
        value => Ok(value.to_json()),
    }
}

fn int(value: &Value, width: Width) -> Result<Json, String> {
    let value = convert(value, &Type::Number)?;
    let Some(number) = value.as_number() else {
        return Err("a number is needed, not null".to_owned());
    };
    let truncated;
    let number = if forgives_fraction(number, width) {
        truncated = number.truncated();
        &truncated
    } else {
        number
    };
    if !number.is_whole() {
        return Err(format!("a whole number is needed, not {number}"));
    }
    let (low, high) = match width {
        Width::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        Width::U8 => (0, i64::from(u8::MAX)),
        Width::U16 => (0, i64::from(u16::MAX)),
        Width::U32 => (0, i64::from(u32::MAX)),
        Width::I64 => (i64::MIN, i64::MAX),
        Width::U64 => {
            return number.as_u64().map(Json::from).ok_or_else(|| format!("{number} is out of range"));
        }
    };
    match number.as_i64().filter(|int| (low..=high).contains(int)) {
        Some(int) => Ok(int.into()),
        None => Err(format!("{number} is out of range: {low} to {high}")),
    }
}

/// Of an unsigned number from 1 on, Go drops a fraction that ends within 64 bits (1.5, but not 2.7):
/// its library calls that exact, and so Nomad takes it.
fn forgives_fraction(number: &Number, width: Width) -> bool {
    let unsigned = matches!(width, Width::U8 | Width::U16 | Width::U32 | Width::U64);
    unsigned && !number.is_whole() && *number >= Number::from(1_i64) && number.bits() <= 64
}

fn low_byte(value: &Value) -> Result<Json, String> {
    let value = convert(value, &Type::Number)?;
    let Some(number) = value.as_number() else { return Ok(Json::Null) };
    let edge = if number.is_negative() { i64::MIN } else { i64::MAX };
    let [low, ..] = number.truncated().as_i64().unwrap_or(edge).to_le_bytes();
    Ok(i8::from_le_bytes([low]).into())
}

fn span(value: &Value) -> Result<Json, String> {
    match value {
        Value::String(text) => go_duration(text).map(Json::from),
        Value::Number(number) => match number.as_i64() {
            Some(nanoseconds) => Ok(nanoseconds.into()),
            None => Err(format!("a length of time such as \"30s\" is needed, not {number}")),
        },
        other => Err(format!("a length of time such as \"30s\" is needed, not {}", other.described())),
    }
}
