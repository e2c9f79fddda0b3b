//! Reading and writing fields of the untyped JSON in which jobs are kept.

use serde_json::Value;

/// The text of a field; empty where it is missing or something else.
pub fn text<'a>(holder: &'a Value, key: &str) -> &'a str {
    holder[key].as_str().unwrap_or_default()
}

/// The whole number of a field; 0 where it is missing or something else.
pub fn int(holder: &Value, key: &str) -> i64 {
    holder[key].as_i64().unwrap_or_default()
}

/// The unsigned number of a field; 0 where it is missing or something else.
pub fn uint(holder: &Value, key: &str) -> u64 {
    holder[key].as_u64().unwrap_or_default()
}

/// The items of a field; none where it is missing or something else.
pub fn array<'a>(holder: &'a Value, key: &str) -> &'a [Value] {
    holder[key].as_array().map_or(&[], Vec::as_slice)
}

/// Sets a field of an object.
pub fn set(holder: &mut Value, key: &str, value: Value) {
    if let Some(map) = holder.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}

/// Whether there is nothing in it.
pub fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Whether it says something: true, a number other than 0, a text that is not empty.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64().is_some_and(|n| n != 0.0),
        other => !empty(other),
    }
}

/// The group of a job that has this name.
pub fn group<'a>(job: &'a Value, name: &str) -> Option<&'a Value> {
    array(job, "TaskGroups").iter().find(|g| text(g, "Name") == name)
}
