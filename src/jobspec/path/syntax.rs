//! How a path is written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::walk::PathError;
use crate::jobspec::schema::spans;

/// Where a value stands in a job: names of blocks and attributes as in job files, a block's label or
/// name after its kind, a number in brackets where it has neither: `group.api.count`,
/// `group.api.task.web.template[0].data`, `group.api.task.web.env["A.B"]`.
///
/// `Display` writes it so that it parses back. A number after a dot counts as a name first.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Path {
    pub(super) parts: Vec<Part>,
}

/// One value of a job that becomes another; null where there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub path: Path,
    pub old: serde_json::Value,
    pub new: serde_json::Value,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Part {
    Name(String),
    Index(usize),
}

impl Path {
    /// The job itself, a group of it, or a task of a group.
    pub fn to(group: Option<&str>, task: Option<&str>) -> Self {
        let mut parts = Vec::new();
        for (kind, name) in [("group", group), ("task", task)] {
            if let Some(name) = name {
                parts.extend([Part::Name(kind.to_owned()), Part::Name(name.to_owned())]);
            }
        }
        Self { parts }
    }

    /// This path, and that one from there on.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self { parts: self.parts.iter().chain(&rest.parts).cloned().collect() }
    }

    /// Whether a length of time stands there: nanoseconds in the JSON.
    pub fn is_span(&self) -> bool {
        let inner = self.parts.get(2 * usize::from(self.place().0.is_some())..).unwrap_or_default();
        let inner = inner.get(2 * usize::from(self.place().1.is_some())..).unwrap_or_default();
        let free = |part: &Part| matches!(part, Part::Name(name) if ["env", "meta", "config"].contains(&name.as_str()));
        let Some(Part::Name(last)) = inner.last() else { return false };
        spans().files.contains(last.as_str()) && !inner.iter().any(free)
    }

    /// The group and the task that it leads into, where it does.
    pub fn place(&self) -> (Option<&str>, Option<&str>) {
        let name = |at: usize, kind: &str| match self.parts.get(at..at + 2) {
            Some([Part::Name(k), Part::Name(name)]) if k == kind => Some(name.as_str()),
            _ => None,
        };
        let group = name(0, "group");
        (group, group.and_then(|_| name(2, "task")))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().enumerate() {
            match part {
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Name(name) if is_plain(name) => {
                    let dot = if i == 0 { "" } else { "." };
                    write!(f, "{dot}{name}")?;
                }
                Part::Name(name) => write!(f, "[{}]", serde_json::Value::from(name.as_str()))?,
            }
        }
        Ok(())
    }
}

/// Whether a name needs no quotes.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-/:@+".contains(c))
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let wrong = |rest: &str, why: &'static str| PathError::Syntax {
            path: text.to_owned(),
            column: text[..text.len() - rest.len()].chars().count() + 1,
            why,
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while !rest.is_empty() || parts.is_empty() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (part, after) = bracket(inner).map_err(|why| wrong(inner, why))?;
                parts.push(part);
                rest = after;
                continue;
            }
            let name = match rest.strip_prefix('.') {
                Some(name) if !parts.is_empty() => name,
                _ if parts.is_empty() => rest,
                _ => return Err(wrong(rest, "a '.' or a '[' is needed here")),
            };
            let ends =
                |c: char| matches!(c, '.' | '[' | ']' | '"' | '=') || c.is_whitespace() || c.is_control();
            let end = name.find(ends).unwrap_or(name.len());
            if end == 0 {
                return Err(wrong(name, "a name is needed here"));
            }
            parts.push(Part::Name(name[..end].to_owned()));
            rest = &name[end..];
        }
        Ok(Self { parts })
    }
}

/// What stands in brackets, and the text after them.
fn bracket(inner: &str) -> Result<(Part, &str), &'static str> {
    let (part, end) = if inner.starts_with('"') {
        let mut texts = serde_json::Deserializer::from_str(inner).into_iter::<String>();
        match texts.next() {
            Some(Ok(name)) => (Part::Name(name), texts.byte_offset()),
            _ => return Err("the quoted name has no end"),
        }
    } else {
        let end = inner.find(|c: char| !c.is_ascii_digit()).unwrap_or(inner.len());
        match inner[..end].parse() {
            Ok(index) => (Part::Index(index), end),
            Err(_) => return Err("in brackets stands a number, or a name in quotes"),
        }
    };
    let after = inner[end..].strip_prefix(']').ok_or("the bracket is not closed")?;
    Ok((part, after))
}

impl From<Path> for String {
    fn from(path: Path) -> Self {
        path.to_string()
    }
}

impl TryFrom<String> for Path {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        text.parse()
    }
}
