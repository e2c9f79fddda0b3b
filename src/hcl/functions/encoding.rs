//! JSON, YAML, base64, URLs, what RSA encrypted, and conversion by name.

use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::functions::rsa;
use crate::hcl::functions::strings::text;
use crate::hcl::functions::yaml_decode::yaml_value;
use crate::hcl::functions::yaml_encode::yaml_text;
use crate::hcl::json_syntax::json_value;
use crate::hcl::value::{Type, Value, convert};

pub fn register(table: &mut Table) {
    use Type::{Any, String};
    table
        .add("jsonencode", &[Any], |args| {
            Ok(Value::from(json_text(&args[0]).map_err(|error| Fault::at(0, error))?))
        })
        .with_nulls();
    table.add("jsondecode", &[String], |args| {
        json_value(text(args, 0)?).map_err(|error| Fault::at(0, format!("this is not JSON: {error}")))
    });
    table
        .add("yamlencode", &[Any], |args| {
            Ok(Value::string(yaml_text(&args[0]).map_err(|error| Fault::at(0, error))?))
        })
        .with_nulls();
    table.add("yamldecode", &[String], |args| {
        yaml_value(text(args, 0)?).map_err(|error| Fault::at(0, format!("this is not YAML: {error}")))
    });
    table.add("rsadecrypt", &[String, String], |args| {
        let bytes = rsa::decrypt(text(args, 0)?, text(args, 1)?)?;
        let text = std::string::String::from_utf8(bytes);
        text.map(Value::from).map_err(|_| Fault::at(0, "what it stands for is not text"))
    });
    table.add("base64encode", &[String], |args| Ok(Value::from(base64(text(args, 0)?.as_bytes()))));
    table.add("base64decode", &[String], |args| {
        let bytes = from_base64(text(args, 0)?).ok_or_else(|| Fault::at(0, "this is not base64"))?;
        let text = std::string::String::from_utf8(bytes);
        text.map(Value::from).map_err(|_| Fault::at(0, "what it stands for is not text"))
    });
    table.add("urlencode", &[String], |args| Ok(Value::from(url_encode(text(args, 0)?))));
    table.add("tostring", &[Any], |args| to(args, &Type::String)).with_nulls();
    table.add("tonumber", &[Any], |args| to(args, &Type::Number)).with_nulls();
    table.add("tobool", &[Any], |args| to(args, &Type::Bool)).with_nulls();
    table.add("tolist", &[Any], |args| to(args, &Type::list(Any))).with_nulls();
    table.add("toset", &[Any], |args| to(args, &Type::Set(Any.into()))).with_nulls();
    table.add("tomap", &[Any], |args| to(args, &Type::Map(Any.into()))).with_nulls();
}

fn to(args: &[Value], of: &Type) -> Outcome {
    convert(&args[0], of).map_err(|error| Fault::at(0, error))
}

/// A value as JSON in cty's spelling: numbers in full, and what Go escapes for HTML escaped.
pub fn json_text(value: &Value) -> Result<String, String> {
    let mut out = String::new();
    write_json(value, &mut out)?;
    Ok(out)
}

fn write_json(value: &Value, out: &mut String) -> Result<(), String> {
    match value {
        Value::Null | Value::Unknown => out.push_str("null"),
        Value::Bool(truth) => out.push_str(&truth.to_string()),
        Value::Number(number) if number.is_infinite() => {
            return Err("an infinite number can't be written as JSON".to_owned());
        }
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => json_string(text, out),
        Value::List(items) | Value::Set(items) | Value::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(item, out)?;
            }
            out.push(']');
        }
        Value::Map(map) | Value::Object(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json_string(key, out);
                out.push(':');
                write_json(item, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

/// Appends a text as Go's JSON has it: what could end a script in HTML is escaped, too.
pub fn json_string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
    out.push('"');
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i)) as usize & 63];
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// What base64 stands for; line ends in it don't count.
pub fn from_base64(text: &str) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    if !letters.len().is_multiple_of(4) {
        return None;
    }
    let padding = letters.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3);
    for four in letters[..letters.len() - padding].chunks(4) {
        let mut bits = 0_u32;
        for letter in four {
            bits = bits << 6 | u32::try_from(LETTERS.iter().position(|known| known == letter)?).ok()?;
        }
        bits <<= 6 * (4 - four.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

/// As in the query of a URL: a blank is a plus.
fn url_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
