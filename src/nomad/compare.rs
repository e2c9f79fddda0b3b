//! Two jobs side by side, in the words of the server's diff: for what can't be asked of it any more, such as
//! what a job was before somebody changed it. The server says more of some blocks than is said here.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::diff::{DiffLine, Sign, diff_lines};
use super::facts::specification;
use crate::base::text::{harmless, one_line};

/// What is changed from one job to another, but for what the server keeps in it by itself.
pub fn compared(old: &Value, new: &Value) -> Vec<DiffLine> {
    let mut lines = Vec::new();
    sides(&specification(old), &specification(new), &[], &mut lines);
    lines
}

/// How what two plans of a job would make of it differs, by the server's diffs of the two with one and the
/// same job, or with none: `old` is what the first has, `new` what the second has.
pub fn planned_apart(first: &Value, second: &Value) -> Vec<DiffLine> {
    type Place = (Vec<String>, Option<String>);
    let mut places: Vec<Place> = Vec::new();
    let mut sides: [BTreeMap<Place, Vec<String>>; 2] = Default::default();
    for (side, diff) in sides.iter_mut().zip([first, second]) {
        for line in diff_lines(diff) {
            let place = (line.path, line.field);
            if !places.contains(&place) {
                places.push(place.clone());
            }
            // A block itself is there, without a value.
            side.entry(place).or_default().push(line.new.unwrap_or_default());
        }
    }
    let mut lines = Vec::new();
    for (path, field) in places {
        let [mut old, mut new] =
            [0, 1].map(|at| sides[at].remove(&(path.clone(), field.clone())).unwrap_or_default());
        let both: Vec<String> = old.iter().filter(|value| new.contains(value)).cloned().collect();
        for value in both {
            if let (Some(a), Some(b)) =
                (old.iter().position(|v| *v == value), new.iter().position(|v| *v == value))
            {
                old.remove(a);
                new.remove(b);
            }
        }
        for at in 0..old.len().max(new.len()) {
            let (old, new) = (old.get(at).cloned(), new.get(at).cloned());
            let sign = match (&old, &new) {
                (None, _) => Sign::Added,
                (_, None) => Sign::Removed,
                _ => Sign::Changed,
            };
            let shown = |side: Option<String>| side.filter(|_| field.is_some());
            lines.push(DiffLine {
                sign,
                path: path.clone(),
                field: field.clone(),
                old: shown(old),
                new: shown(new),
                note: None,
            });
        }
    }
    lines
}

fn sides(old: &Value, new: &Value, path: &[String], lines: &mut Vec<DiffLine>) {
    let nothing = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&nothing), new.as_object().unwrap_or(&nothing));
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    // What is the group's own comes before what its tasks have.
    keys.sort_by_key(|key| (*key == "Tasks" || *key == "TaskGroups", *key));
    keys.dedup();
    for key in keys {
        let (old, new) = (old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null));
        let below = |part: String| [path, &[part]].concat();
        match (key.as_str(), old.is_object() || new.is_object()) {
            _ if old == new => {}
            ("TaskGroups", _) => named("group", old, new, path, lines),
            ("Tasks", _) => named("task", old, new, path, lines),
            ("Env" | "Meta", true) => fields(key, old, new, path, lines),
            (_, true) => sides(old, new, &below(one_line(key)), lines),
            _ => lines.extend(field(one_line(key), old, new, path)),
        }
    }
}

/// Groups or tasks, by their names.
fn named(what: &str, old: &Value, new: &Value, path: &[String], lines: &mut Vec<DiffLine>) {
    fn of(list: &Value) -> impl Iterator<Item = (&str, &Value)> {
        let items = list.as_array().into_iter().flatten();
        items.map(|item| (item["Name"].as_str().unwrap_or_default(), item))
    }
    let known = |list: &Value, name: &str| of(list).any(|(other, _)| other == name);
    let at = |name: &str| [path, &[format!("{what} '{}'", one_line(name))]].concat();
    let whole = |sign, name| DiffLine { sign, path: at(name), field: None, old: None, new: None, note: None };
    for (name, item) in of(old) {
        match of(new).find(|(other, _)| *other == name) {
            Some((_, other)) => sides(item, other, &at(name), lines),
            None => lines.push(whole(Sign::Removed, name)),
        }
    }
    for (name, _) in of(new).filter(|(name, _)| !known(old, name)) {
        lines.push(whole(Sign::Added, name));
    }
}

/// What is named freely: `Env[COLOUR]`.
fn fields(key: &str, old: &Value, new: &Value, path: &[String], lines: &mut Vec<DiffLine>) {
    let mut names: Vec<&String> =
        [old, new].into_iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
    names.sort();
    names.dedup();
    for name in names {
        let side = |map: &Value| map.get(name).cloned().unwrap_or_default();
        lines.extend(field(format!("{key}[{}]", one_line(name)), &side(old), &side(new), path));
    }
}

/// One field; a list stands as its JSON.
fn field(name: String, old: &Value, new: &Value, path: &[String]) -> Option<DiffLine> {
    let side = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(harmless(text).into_owned()),
        other => Some(harmless(&other.to_string()).into_owned()),
    };
    let (before, after) = (side(old), side(new));
    let sign = match (&before, &after) {
        _ if before == after => return None,
        (None, _) => Sign::Added,
        (_, None) => Sign::Removed,
        _ => Sign::Changed,
    };
    Some(DiffLine { sign, path: path.to_vec(), field: Some(name), old: before, new: after, note: None })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_has_the_words_of_a_diff() {
        let task = |image: &str, colour: Value| json!({ "Name": "app", "Config": { "image": image, "args": ["a"] }, "Env": colour });
        let job = |count: u64, tasks: Vec<Value>| json!({ "ID": "web", "Version": count, "TaskGroups": [{ "Name": "g", "Count": count, "Tasks": tasks }] });
        let long = "registry.example.com/some/where/web";
        let old = job(1, vec![task(&format!("{long}:1"), json!({ "COLOUR": "red", "OLD": "x" }))]);
        let new = job(
            2,
            vec![
                task(&format!("{long}:2"), json!({ "COLOUR": "teal" })),
                json!({ "Name": "side", "Env": null }),
            ],
        );
        let told: Vec<String> = compared(&old, &new).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "~ group 'g' / Count: \"1\" → \"2\"",
                "~ group 'g' / task 'app' / Config / image: \"registry.example.com/some/where/web:1\" → \
                 \"registry.example.com/some/where/web:2\"",
                "~ group 'g' / task 'app' / Env[COLOUR]: \"red\" → \"teal\"",
                "- group 'g' / task 'app' / Env[OLD]: \"x\"",
                "+ group 'g' / task 'side'",
            ]
        );
        assert_eq!(compared(&old, &old), []);
    }

    #[test]
    fn two_plans_are_held_against_each_other() {
        let field = |name: &str, new: &str| json!({ "Type": "Added", "Name": name, "Old": "", "New": new });
        let diff = |count: &str, values: &[&str]| {
            let objects: Vec<Value> = values
                .iter()
                .map(|value| json!({ "Type": "Added", "Name": "Constraint", "Fields": [field("RTarget", value)] }))
                .collect();
            let group = json!({ "Type": "Added", "Name": "g", "Fields": [field("Count", count)], "Objects": objects });
            json!({ "Type": "Added", "ID": "web", "TaskGroups": [group] })
        };
        let told = |first: &Value, second: &Value| -> Vec<String> {
            planned_apart(first, second).iter().map(ToString::to_string).collect()
        };
        assert_eq!(told(&diff("1", &["a", "b"]), &diff("1", &["b", "a"])), Vec::<String>::new());
        assert_eq!(
            told(&diff("3", &["a", "b"]), &diff("1", &["b"])),
            ["~ group 'g' / Count: \"3\" → \"1\"", "- group 'g' / Constraint / RTarget: \"a\""]
        );
    }
}
