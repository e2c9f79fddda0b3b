//! One change's before and after: its fingerprint, and its lines for people.
//!
//! Guarantees: a value that Terraform marks as sensitive never stands in a line, whole or in part; a
//! fingerprint depends on everything that the plan says of a resource and on nothing else, and can't
//! be searched for a secret without the key.

use std::collections::BTreeMap;

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::api::Action;
use crate::base::{Secrets, text};

/// More lines than this aren't read by anybody.
const MOST_LINES: usize = 40;
const LONGEST: usize = 120;
const SENSITIVE: &str = "(sensitive)";

/// A keyed hash of what a plan says of one resource, in hex.
pub(super) fn fingerprint(key: &[u8], resource: &Value) -> String {
    // An HMAC takes a key of any length, so this arm is never taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return String::new() };
    feed(&mut mac, resource);
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

/// Lengths and kinds are fed too, so that no two values feed the same bytes.
fn feed(mac: &mut Hmac<Sha256>, value: &Value) {
    let mut piece = |kind: u8, bytes: &[u8]| {
        mac.update(&[kind]);
        mac.update(&(bytes.len() as u64).to_be_bytes());
        mac.update(bytes);
    };
    match value {
        Value::Null => piece(b'z', b""),
        Value::Bool(yes) => piece(b'b', &[u8::from(*yes)]),
        Value::Number(number) => piece(b'n', number.to_string().as_bytes()),
        Value::String(text) => piece(b's', text.as_bytes()),
        Value::Array(items) => {
            piece(b'a', &(items.len() as u64).to_be_bytes());
            for item in items {
                feed(mac, item);
            }
        }
        Value::Object(map) => {
            piece(b'o', &(map.len() as u64).to_be_bytes());
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            for (name, item) in sorted {
                feed(mac, &Value::String(name.clone()));
                feed(mac, item);
            }
        }
    }
}

/// Hands every text in `value` that `marks` says is sensitive to the secrets. Marks have the shape of
/// the value, with `true` where a whole subtree is sensitive.
pub(super) fn collect(value: &Value, marks: &Value, secrets: &Secrets) {
    match (value, marks) {
        (_, Value::Bool(true)) => add_all(value, secrets),
        (Value::Array(items), Value::Array(marks)) => {
            items.iter().zip(marks).for_each(|(item, mark)| collect(item, mark, secrets));
        }
        (Value::Object(map), Value::Object(marks)) => {
            for (name, mark) in marks {
                map.get(name).into_iter().for_each(|item| collect(item, mark, secrets));
            }
        }
        _ => {}
    }
}

fn add_all(value: &Value, secrets: &Secrets) {
    match value {
        Value::String(text) => secrets.add(text),
        Value::Number(number) => secrets.add(&number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| add_all(item, secrets)),
        Value::Object(map) => map.values().for_each(|item| add_all(item, secrets)),
        Value::Null | Value::Bool(_) => {}
    }
}

/// The two sides of a change as plan JSON has them.
pub(super) struct Sides<'a> {
    before: BTreeMap<String, Leaf<'a>>,
    after: BTreeMap<String, Leaf<'a>>,
    replaced_by: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Leaf<'a> {
    Plain(&'a Value),
    /// The value is held only to tell whether it changes.
    Sensitive(&'a Value),
    Unknown,
}

const NULL: &Value = &Value::Null;

impl<'a> Sides<'a> {
    pub(super) fn of(change: &'a Value) -> Self {
        let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
        flatten(&change["before"], &change["before_sensitive"], NULL, String::new(), &mut before);
        let unknown = &change["after_unknown"];
        flatten(&change["after"], &change["after_sensitive"], unknown, String::new(), &mut after);
        let paths = change["replace_paths"].as_array().into_iter().flatten();
        let replaced_by = paths.map(|path| {
            path.as_array().into_iter().flatten().fold(String::new(), |so_far, step| match step {
                Value::String(name) => join(&so_far, name),
                other => format!("{so_far}[{other}]"),
            })
        });
        Self { before, after, replaced_by: replaced_by.collect() }
    }

    /// One line an attribute, masked.
    pub(super) fn lines(&self, action: Action, secrets: &Secrets) -> Vec<String> {
        let show = |leaf: &Leaf<'_>| match leaf {
            Leaf::Plain(value) => text::one_line(&secrets.mask(&plain(value))),
            Leaf::Sensitive(_) => SENSITIVE.to_owned(),
            Leaf::Unknown => "(known after apply)".to_owned(),
        };
        let empty = Leaf::Plain(NULL);
        let mut lines = Vec::new();
        match action {
            Action::Create => {
                let set = self.after.iter().filter(|(_, leaf)| **leaf != empty && **leaf != Leaf::Unknown);
                lines.extend(
                    set.map(|(path, leaf)| format!("{}: {}", named(path, secrets), short(&show(leaf)))),
                );
            }
            Action::Update | Action::Replace | Action::Import => {
                let paths: std::collections::BTreeSet<&String> =
                    self.before.keys().chain(self.after.keys()).collect();
                for path in paths {
                    let old = self.before.get(path).unwrap_or(&empty);
                    let new = self.after.get(path).unwrap_or(&empty);
                    if same(old, new) {
                        continue;
                    }
                    let forces = self.replaced_by.iter().any(|by| path.starts_with(by.as_str()));
                    let forces = if forces { " (forces replacement)" } else { "" };
                    let (old, new) = (short(&show(old)), short(&show(new)));
                    lines.push(format!("{}: {old} -> {new}{forces}", named(path, secrets)));
                }
            }
            Action::Destroy | Action::Forget => {
                let id = self.before.get("id").filter(|leaf| **leaf != empty);
                lines.extend(id.map(|leaf| format!("id: {}", short(&show(leaf)))));
            }
            Action::Read | Action::Move | Action::NoOp => {}
        }
        if lines.len() > MOST_LINES {
            let more = lines.len() - MOST_LINES;
            lines.truncate(MOST_LINES);
            lines.push(format!("and {}", text::count(more, "more attribute")));
        }
        lines
    }
}

/// Whether a line about it would say nothing. A value that only becomes sensitive is a change.
fn same(old: &Leaf<'_>, new: &Leaf<'_>) -> bool {
    old == new && *new != Leaf::Unknown
}

fn flatten<'a>(
    value: &'a Value,
    marks: &'a Value,
    unknown: &'a Value,
    path: String,
    leaves: &mut BTreeMap<String, Leaf<'a>>,
) {
    if *marks == Value::Bool(true) {
        leaves.insert(path, Leaf::Sensitive(value));
        return;
    }
    if *unknown == Value::Bool(true) {
        leaves.insert(path, Leaf::Unknown);
        return;
    }
    match (value, unknown) {
        // Of a container that isn't there yet, the unknown parts are all there is.
        (Value::Object(_) | Value::Null, Value::Object(more)) => {
            let map = value.as_object();
            let names = map.into_iter().flatten().chain(more).map(|(name, _)| name);
            for name in names.collect::<std::collections::BTreeSet<_>>() {
                let item = map.and_then(|map| map.get(name)).unwrap_or(NULL);
                flatten(item, &marks[name], &unknown[name], join(&path, name), leaves);
            }
        }
        (Value::Object(map), _) if !map.is_empty() => {
            for (name, item) in map {
                flatten(item, &marks[name], NULL, join(&path, name), leaves);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(more)) => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            for at in 0..items.len().max(more.len()) {
                let item = items.get(at).unwrap_or(NULL);
                flatten(item, &marks[at], &unknown[at], format!("{path}[{at}]"), leaves);
            }
        }
        (Value::Array(items), _) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                flatten(item, &marks[at], NULL, format!("{path}[{at}]"), leaves);
            }
        }
        _ if path.is_empty() => {}
        _ => {
            leaves.insert(path, Leaf::Plain(value));
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn named(path: &str, secrets: &Secrets) -> String {
    short(&text::one_line(&secrets.mask(path)))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        other => other.to_string(),
    }
}

fn short(line: &str) -> String {
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn lines(change: &Value, action: Action) -> Vec<String> {
        let secrets = Secrets::default();
        collect(&change["before"], &change["before_sensitive"], &secrets);
        collect(&change["after"], &change["after_sensitive"], &secrets);
        Sides::of(change).lines(action, &secrets)
    }

    #[test]
    fn lines_tell_what_changes_and_no_secret() {
        let change = json!({
            "before": {"id": "1", "size": 1, "same": "x", "token": "old", "tags": ["a", "b"], "gone": "g"},
            "after": {"size": 2, "same": "x", "token": "new", "tags": ["a", "c"]},
            "after_unknown": {"id": true, "net": {"ip": true}},
            "before_sensitive": {"token": true, "tags": [false, true]},
            "after_sensitive": {"token": true, "tags": [false, true]},
            "replace_paths": [["size"]],
        });
        assert_eq!(
            lines(&change, Action::Replace),
            [
                "gone: \"g\" -> null",
                "id: \"1\" -> (known after apply)",
                "net.ip: null -> (known after apply)",
                "size: 1 -> 2 (forces replacement)",
                "tags[1]: (sensitive) -> (sensitive)",
                "token: (sensitive) -> (sensitive)",
            ]
        );
        assert_eq!(lines(&change, Action::Destroy), ["id: \"1\""]);
        assert_eq!(
            lines(&change, Action::Create),
            ["same: \"x\"", "size: 2", "tags[0]: \"a\"", "tags[1]: (sensitive)", "token: (sensitive)"]
        );
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn fingerprints_differ_where_values_do(a in json_value(), b in json_value()) {
            prop_assert_eq!(fingerprint(b"k", &a) == fingerprint(b"k", &b), a == b);
            prop_assert_ne!(fingerprint(b"k", &a), fingerprint(b"l", &a));
        }

        /// Whatever the marks' shape, what they cover stands in no line.
        #[test]
        fn what_is_marked_is_not_shown(shape in json_value(), marks in json_value()) {
            fn salt(value: &mut Value) {
                match value {
                    Value::String(text) => *text = format!("swordfish{text}"),
                    Value::Array(items) => items.iter_mut().for_each(salt),
                    Value::Object(map) => map.values_mut().for_each(salt),
                    _ => {}
                }
            }
            let mut after = json!({"top": shape});
            salt(&mut after);
            let whole = json!({"after": after, "after_sensitive": {"top": true}, "before": null});
            prop_assert!(!lines(&whole, Action::Create).join("").contains("swordfish"));
            let odd = json!({"after": after, "after_sensitive": marks, "after_unknown": marks, "before": after});
            lines(&odd, Action::Update);
        }
    }
}
