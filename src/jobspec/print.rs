//! A job as text, byte for byte as the stock client prints it.

use serde_json::{Map, Value as Json};

use crate::hcl::json_string;
use crate::jobspec::schema::{JOB, Kind, Struct};

/// `{"Job": …}` as `nomad job run -output` prints it: keys in the order of the API's structs (of free
/// maps by name), four blanks a level, numbers and escapes as Go writes them, a line end. Keys that the
/// API doesn't know come last.
pub fn print(job: &Json) -> String {
    let mut out = String::from("{\n    \"Job\": ");
    structure(&mut out, &JOB, job, 1);
    out.push_str("\n}\n");
    out
}

fn structure(out: &mut String, of: &'static Struct, json: &Json, depth: usize) {
    let Json::Object(map) = json else { return value(out, json, depth) };
    let fields =
        of.fields.iter().filter_map(|field| map.get_key_value(field.json).map(|one| (one, field.kind)));
    let known = fields.map(|((key, json), kind)| (key, json, Some(kind)));
    let others = map.iter().filter(|(key, _)| !of.fields.iter().any(|field| field.json == key.as_str()));
    members(out, known.chain(others.map(|(key, json)| (key, json, None))), depth);
}

fn members<'a>(
    out: &mut String,
    members: impl Iterator<Item = (&'a String, &'a Json, Option<Kind>)>,
    depth: usize,
) {
    out.push('{');
    let mut empty = true;
    for (key, json, kind) in members {
        line(out, &mut empty, depth + 1);
        json_string(key, out);
        out.push_str(": ");
        field(out, kind, json, depth + 1);
    }
    end(out, empty, '}', depth);
}

fn field(out: &mut String, kind: Option<Kind>, json: &Json, depth: usize) {
    match (kind, json) {
        (Some(Kind::One(of)), json) => structure(out, of, json, depth),
        (Some(Kind::Many(of)), Json::Array(items)) => {
            array(out, items, depth, |out, item, depth| structure(out, of, item, depth));
        }
        (Some(Kind::ByLabel(of)), Json::Object(map)) => {
            members(out, sorted(map).map(|(key, json)| (key, json, Some(Kind::One(of)))), depth);
        }
        _ => value(out, json, depth),
    }
}

fn value(out: &mut String, json: &Json, depth: usize) {
    match json {
        Json::Object(map) => members(out, sorted(map).map(|(key, json)| (key, json, None)), depth),
        Json::Array(items) => array(out, items, depth, value),
        Json::String(string) => json_string(string, out),
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => out.push_str(&go_float(float)),
            None => out.push_str(&number.to_string()),
        },
        Json::Bool(_) | Json::Null => out.push_str(&json.to_string()),
    }
}

/// By name, whatever order the map keeps.
fn sorted(map: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    let mut members: Vec<(&String, &Json)> = map.iter().collect();
    members.sort_by_key(|(key, _)| *key);
    members.into_iter()
}

fn array(out: &mut String, items: &[Json], depth: usize, each: impl Fn(&mut String, &Json, usize)) {
    out.push('[');
    let mut empty = true;
    for item in items {
        line(out, &mut empty, depth + 1);
        each(out, item, depth + 1);
    }
    end(out, empty, ']', depth);
}

fn line(out: &mut String, first: &mut bool, depth: usize) {
    if !std::mem::take(first) {
        out.push(',');
    }
    new_line(out, depth);
}

fn end(out: &mut String, empty: bool, bracket: char, depth: usize) {
    if !empty {
        new_line(out, depth);
    }
    out.push(bracket);
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("    ", depth));
}

/// The shortest digits that read back as the same number, with an exponent where Go has one.
fn go_float(float: f64) -> String {
    let size = float.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return if float == 0.0 && float.is_sign_negative() { "-0".to_owned() } else { format!("{float}") };
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_those_of_go() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (0.000_001, "0.000001"),
            (-2.5e300, "-2.5e+300"),
        ];
        for (float, text) in cases {
            assert_eq!(go_float(float), text);
        }
    }

    #[test]
    fn keys_stand_in_the_api_s_order() {
        let job = json!({"Type": null, "ID": "<a&b>\u{2028}\u{1}\u{7f}", "Meta": {"b": "1", "a": "2"}, "Own": {},
            "TaskGroups": [{"Count": 1, "Name": "g", "Volumes": {"v": {"Type": "host", "Name": "v"}}}], "Datacenters": []});
        insta::assert_snapshot!(print(&job));
    }
}
