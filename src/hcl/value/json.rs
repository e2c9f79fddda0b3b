//! To and from JSON.

use serde_json::Value as Json;

use super::{Number, Value};

impl Value {
    /// Arrays become tuples, objects objects.
    pub fn from_json(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => Number::parse(&number.to_string()).map_or(Self::Null, Self::Number),
            Json::String(text) => Self::string(text.as_str()),
            Json::Array(items) => Self::Tuple(items.iter().map(Self::from_json).collect()),
            Json::Object(map) => {
                Self::Object(map.iter().map(|(key, value)| (nfc(key), Self::from_json(value))).collect())
            }
        }
    }

    /// Whole numbers of 64 bits stay whole; others become the nearest float, printed as JavaScript
    /// would. An infinite number and an unknown value become null: look for them first.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null | Self::Unknown => Json::Null,
            Self::Bool(truth) => Json::Bool(*truth),
            Self::Number(number) => number_json(number),
            Self::String(text) => Json::String(text.clone()),
            Self::List(items) | Self::Set(items) | Self::Tuple(items) => {
                Json::Array(items.iter().map(Self::to_json).collect())
            }
            Self::Map(map) | Self::Object(map) => {
                Json::Object(map.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }
}

fn nfc(text: &str) -> String {
    match Value::string(text) {
        Value::String(text) => text,
        _ => String::new(),
    }
}

fn number_json(number: &Number) -> Json {
    if let Some(int) = number.as_i64() {
        return int.into();
    }
    let float = number.as_f64();
    // A large whole float is written out in digits, the last of them zeros.
    if float.fract() == 0.0
        && float.abs() < 1e21
        && let Ok(whole) = format!("{float}").parse::<u64>()
    {
        return whole.into();
    }
    serde_json::Number::from_f64(float).map_or(Json::Null, Json::Number)
}
