//! The server's diff of a job (`JobDiff` of a plan's answer): as lines for people, and reduced to what
//! a decision is bound to.
//!
//! Values are passed on as the server has them, environment variables included: whoever shows or
//! stores them masks secrets. Lines are harmless to terminals.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

use super::facts::{list, name};
use crate::base::text::{harmless, nanoseconds, one_line};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    Added,
    Removed,
    Changed,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "+",
            Self::Removed => "-",
            Self::Changed => "~",
        })
    }
}

/// One change: of a field, or of a whole group, task or block (then `field` is none).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffLine {
    pub sign: Sign,
    /// From the outside in: `group 'web'`, `task 'app'`, `Config`.
    pub path: Vec<String>,
    pub field: Option<String>,
    pub old: Option<String>,
    pub new: Option<String>,
    /// What the server adds: `forces create/destroy update`.
    pub note: Option<String>,
}

/// The fields of the server's structs that are lengths of time, in nanoseconds.
pub const SPANS: [&str; 21] = [
    "ConnectTimeout",
    "Delay",
    "Grace",
    "HealthTimeout",
    "HealthyDeadline",
    "Interval",
    "KillTimeout",
    "LostAfter",
    "MaxClientDisconnect",
    "MaxDelay",
    "MaxRunDuration",
    "MinHealthyTime",
    "ProgressDeadline",
    "ShutdownDelay",
    "Splay",
    "Stagger",
    "StopAfterClientDisconnect",
    "StopOnClientAfter",
    "TTL",
    "Timeout",
    "VaultGrace",
];

/// Whether the server saw no difference.
pub fn is_unchanged(diff: &Value) -> bool {
    match diff.get("Type").and_then(Value::as_str) {
        Some(kind) => kind == "None",
        None => diff.is_null(),
    }
}

/// The changes of a `JobDiff`, in the server's order; what is unchanged is left out.
pub fn diff_lines(diff: &Value) -> Vec<DiffLine> {
    let mut lines = Vec::new();
    if let Some(sign) = sign(diff).filter(|sign| *sign != Sign::Changed) {
        let id = diff.get("ID").and_then(Value::as_str).unwrap_or_default();
        lines.push(whole(sign, vec![format!("job '{}'", one_line(id))], None));
    }
    node(diff, &[], &mut lines);
    for group in list(diff, "TaskGroups") {
        let path = vec![format!("group '{}'", one_line(name(group)))];
        let updates = updates(group);
        match sign(group) {
            Some(sign) if sign != Sign::Changed || updates.is_some() => {
                lines.push(whole(sign, path.clone(), updates));
            }
            None if updates.is_some() => lines.push(whole(Sign::Changed, path.clone(), updates)),
            _ => {}
        }
        node(group, &path, &mut lines);
        for task in list(group, "Tasks") {
            let mut path = path.clone();
            path.push(format!("task '{}'", one_line(name(task))));
            let note = notes(task);
            match sign(task) {
                Some(sign) if sign != Sign::Changed || note.is_some() => {
                    lines.push(whole(sign, path.clone(), note));
                }
                _ => {}
            }
            node(task, &path, &mut lines);
        }
    }
    lines
}

/// Fields and blocks of anything that has them.
fn node(value: &Value, path: &[String], lines: &mut Vec<DiffLine>) {
    for field in list(value, "Fields") {
        let Some(sign) = sign(field) else { continue };
        let side = |key: &str| {
            let text = field.get(key).and_then(Value::as_str).unwrap_or_default();
            harmless(text).into_owned()
        };
        lines.push(DiffLine {
            sign,
            path: path.to_vec(),
            field: Some(one_line(name(field))),
            old: (sign != Sign::Added).then(|| side("Old")),
            new: (sign != Sign::Removed).then(|| side("New")),
            note: notes(field),
        });
    }
    for object in list(value, "Objects") {
        if sign(object).is_none() {
            continue;
        }
        let mut path = path.to_vec();
        path.push(one_line(name(object)));
        node(object, &path, lines);
    }
}

fn whole(sign: Sign, path: Vec<String>, note: Option<String>) -> DiffLine {
    DiffLine { sign, path, field: None, old: None, new: None, note }
}

fn sign(value: &Value) -> Option<Sign> {
    match value.get("Type").and_then(Value::as_str) {
        Some("Added") => Some(Sign::Added),
        Some("Deleted") => Some(Sign::Removed),
        Some("Edited") => Some(Sign::Changed),
        _ => None,
    }
}

fn notes(value: &Value) -> Option<String> {
    let notes: Vec<String> = list(value, "Annotations").filter_map(Value::as_str).map(one_line).collect();
    (!notes.is_empty()).then(|| notes.join(", "))
}

/// What the scheduler would do with a group's allocations; allocations that it leaves alone are not told.
fn updates(group: &Value) -> Option<String> {
    let updates = group.get("Updates")?.as_object()?;
    let told = |(what, count): (&String, &Value)| {
        let count = count.as_u64().filter(|n| *n > 0)?;
        (what != "ignore").then(|| format!("{count} {}", one_line(what)))
    };
    let told: Vec<String> = updates.iter().filter_map(told).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

impl DiffLine {
    /// The change the other way round, as the server tells it of a step back; what the server would do then is
    /// left out.
    #[must_use]
    pub fn reversed(self) -> Self {
        let sign = match self.sign {
            Sign::Added => Sign::Removed,
            Sign::Removed => Sign::Added,
            Sign::Changed => Sign::Changed,
        };
        Self { sign, old: self.new, new: self.old, note: None, ..self }
    }

    /// As lines for people: one, and for texts of several lines those that differ below it.
    pub fn lines(&self) -> Vec<String> {
        let (Some(old), Some(new)) = (self.old.as_deref().or(Some("")), self.new.as_deref().or(Some("")))
        else {
            return vec![self.to_string()];
        };
        if !old.contains('\n') && !new.contains('\n') {
            return vec![self.to_string()];
        }
        let mut lines = vec![format!("{} {}:{}", self.sign, self.place(), self.note_text())];
        for change in TextDiff::from_lines(old, new).iter_all_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => continue,
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines.push(format!("    {sign} {}", change.value().trim_end_matches('\n')));
        }
        lines
    }

    /// A side as it is shown: a length of time as people write it, and on one line.
    pub fn shown(&self, side: &str) -> String {
        let field = self.field.as_deref().unwrap_or_default();
        let name = field.rsplit(['.', '[']).next().unwrap_or(field).trim_end_matches(']');
        match side.parse() {
            Ok(length) if SPANS.contains(&name) => nanoseconds(length),
            _ => format!("\"{}\"", side.replace('\n', "\\n").replace('\t', "\\t")),
        }
    }

    fn place(&self) -> String {
        let parts: Vec<&str> = self.path.iter().map(String::as_str).chain(self.field.as_deref()).collect();
        parts.join(" / ")
    }

    fn note_text(&self) -> String {
        self.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default()
    }
}

/// `~ group 'web' / task 'app' / Config / image: "app:1" → "app:2" (forces create/destroy update)`
impl fmt::Display for DiffLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sign, self.place())?;
        let quoted = |text: &str| self.shown(text);
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, ": {} → {}", quoted(old), quoted(new))?,
            (Some(only), None) | (None, Some(only)) => write!(f, ": {}", quoted(only))?,
            (None, None) => {}
        }
        f.write_str(&self.note_text())
    }
}

/// What of a diff a decision is bound to: every change with its old and new value, in one order
/// whatever the server's; without the scheduler's annotations, which move with the cluster's state.
pub fn canonical(diff: &Value) -> Value {
    reduce(diff).unwrap_or(Value::Null)
}

fn reduce(value: &Value) -> Option<Value> {
    const KEPT: [&str; 5] = ["ID", "Name", "New", "Old", "Type"];
    let mut parts = Map::new();
    for key in ["Fields", "Objects", "TaskGroups", "Tasks"] {
        let mut items: Vec<Value> = list(value, key).filter_map(reduce).collect();
        if !items.is_empty() {
            items.sort_by_cached_key(Value::to_string);
            parts.insert(key.into(), Value::Array(items));
        }
    }
    let changed = sign(value).is_some();
    if !changed && parts.is_empty() {
        return None;
    }
    for key in KEPT {
        if let Some(kept) = value.get(key).filter(|v| !v.is_null()) {
            parts.insert(key.into(), kept.clone());
        }
    }
    // Sorted by hand: the map may keep the order of insertion.
    let mut sorted: Vec<(String, Value)> = parts.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    Some(Value::Object(sorted.into_iter().collect()))
}
