//! Values as they are written.

use serde_json::Value as Json;

use crate::base::Source;
use crate::hcl::edit::encode::{encode, json_inside};
use crate::hcl::edit::units::Form;
use crate::hcl::parse::{continues_name, starts_name};

/// Whether a file is read as JSON: its first character other than a space is `{`.
pub fn is_json(source: &Source) -> bool {
    source.text.trim_start_matches(' ').starts_with('{')
}

/// A value in HCL's own syntax, on one line.
pub fn text(value: &Json) -> String {
    match value {
        Json::String(text) => quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(", ")),
        Json::Object(map) if map.is_empty() => "{}".to_owned(),
        Json::Object(map) => {
            let items = map.iter().map(|(key, item)| format!("{} = {}", key_text(key), text(item)));
            format!("{{ {} }}", items.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A value in JSON, on one line. Where texts are read as templates, not `plain`, theirs are escaped.
pub fn json_text(value: &Json, plain: bool) -> String {
    let form = if plain { Form::Plain } else { Form::Text };
    let string = |text: &str| format!("\"{}\"", json_inside(&encode(text, form, "", "", "")));
    let json_text = |value: &Json| json_text(value, plain);
    match value {
        Json::String(text) => string(text),
        Json::Array(items) => format!("[{}]", items.iter().map(json_text).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let items = map.iter().map(|(key, item)| format!("{}: {}", string(key), json_text(item)));
            format!("{{{}}}", items.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

pub fn quoted(text: &str) -> String {
    format!("\"{}\"", encode(text, Form::Quoted, "", "", ""))
}

/// A key of an object: bare where it is a name.
pub fn key_text(key: &str) -> String {
    if is_name(key) { key.to_owned() } else { quoted(key) }
}

/// Whether a text can stand as a name.
pub fn is_name(text: &str) -> bool {
    text.starts_with(starts_name) && text.chars().all(continues_name) && text != "for"
}
