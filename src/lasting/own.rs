//! The commits that a journal knows as its own.
//!
//! By their ids, which stand in the evidence of the steps that made them. Where a run was cut off between a
//! commit and that record, by what its intent said that it would be: the same files, changed to the same
//! objects, on the same commit; or to texts with some of the edits that were meant and nothing else, where a
//! job of several in one file wasn't healthy. A message proves nothing: anybody can write one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::journal::{Body, Record};

/// Objects by path below the top of the work tree.
pub type Objects = BTreeMap<String, String>;

/// An edit of a text: bytes from, bytes to, what comes there.
pub(super) type Part = (usize, usize, String);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCommits {
    recorded: BTreeSet<String>,
    /// The commit that each was to be made on, and what it was to change.
    meant: Vec<(String, BTreeMap<String, Meant>)>,
}

/// What a commit was to make of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Meant {
    after: String,
    /// In the order of the text.
    parts: Vec<Part>,
}

impl OwnCommits {
    pub fn of(records: &[Record]) -> Self {
        let mut own = Self::default();
        for record in records {
            match &record.body {
                Body::StepIntended { precondition, .. } => own.meant.extend(meant(precondition)),
                Body::StepDone { evidence, .. } | Body::StepFailed { evidence, .. } => {
                    own.recorded.extend(evidence["commit"].as_str().map(str::to_owned));
                }
                _ => {}
            }
        }
        own
    }

    /// Whether a commit of this whole id was recorded.
    pub(super) fn is_recorded(&self, id: &str) -> bool {
        self.recorded.contains(id)
    }

    pub(super) fn was_meant_on(&self, parent: &str) -> bool {
        self.meant.iter().any(|(on, _)| on == parent)
    }

    /// Whether a commit on that one which changes these files, and no others, was meant. A run that failed
    /// for some of its jobs commits the files of the others only, or only the edits for them: `texts` are
    /// those of a file before and after.
    pub(super) fn was_meant(
        &self,
        parent: &str,
        changed: &Objects,
        texts: &BTreeMap<String, (String, String)>,
    ) -> bool {
        let is_meant = |meant: &Meant, path: &String, object: &String| {
            meant.after == *object
                || texts.get(path).is_some_and(|(before, after)| has_parts(before, after, &meant.parts))
        };
        let all = |files: &BTreeMap<String, Meant>| {
            let one = |(path, object)| files.get(path).is_some_and(|meant| is_meant(meant, path, object));
            changed.iter().all(one)
        };
        !changed.is_empty() && self.meant.iter().any(|(on, files)| on == parent && all(files))
    }
}

/// Whether a text became another one by some of the edits, and nothing else.
fn has_parts(before: &str, after: &str, parts: &[Part]) -> bool {
    // Where in `after` it may go on: with an edit or without may look the same for a while.
    let mut at = BTreeSet::from([0]);
    let mut from = 0;
    let go_on = |at: &BTreeSet<usize>, text: &str| -> BTreeSet<usize> {
        let fits = |at: &&usize| after.get(**at..).is_some_and(|rest| rest.starts_with(text));
        at.iter().filter(fits).map(|at| at + text.len()).collect()
    };
    for (start, end, new) in parts {
        let (Some(same), Some(old)) = (before.get(from..*start), before.get(*start..*end)) else {
            return false;
        };
        at = go_on(&at, same);
        at = go_on(&at, old).union(&go_on(&at, new)).copied().collect();
        from = *end;
    }
    before.get(from..).is_some_and(|rest| go_on(&at, rest).contains(&after.len()))
}

fn meant(precondition: &Value) -> Option<(String, BTreeMap<String, Meant>)> {
    let commit = precondition.get("commit")?;
    let files = commit["files"].as_object()?;
    let part = |part: &Value| serde_json::from_value::<Part>(part.clone()).ok();
    let object = |(path, file): (&String, &Value)| {
        let parts = file["parts"].as_array().into_iter().flatten().filter_map(part).collect();
        Some((path.clone(), Meant { after: file["after"].as_str()?.to_owned(), parts }))
    };
    Some((commit["head"].as_str()?.to_owned(), files.iter().filter_map(object).collect()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::base::RunId;

    fn record(body: Body) -> Record {
        Record::new(1, Timestamp::UNIX_EPOCH, RunId("r".into()), body, String::new())
    }

    fn changed(files: &[(&str, &str)]) -> Objects {
        files.iter().map(|(path, object)| ((*path).to_owned(), (*object).to_owned())).collect()
    }

    #[test]
    fn recorded_and_meant_commits_are_own_ones() {
        let files = json!({ "a": { "before": "a0", "after": "a1" }, "b": { "before": "b0", "after": "b1" } });
        let intent = Body::StepIntended {
            wave: "w".into(),
            step: "s".into(),
            attempt: 1,
            digest: String::new(),
            who: String::new(),
            precondition: json!({ "commit": { "branch": "main", "head": "h", "files": files } }),
            undo: None,
        };
        let done = Body::StepDone {
            step: "s".into(),
            attempt: 1,
            changed: true,
            evidence: json!({ "commit": "c" }),
            output: Value::Null,
        };
        let own = OwnCommits::of(&[record(intent), record(done)]);
        assert!(own.is_recorded("c") && !own.is_recorded("h"));
        assert!(own.was_meant_on("h") && !own.was_meant_on("c"));
        for (files, is) in [
            (vec![("a", "a1"), ("b", "b1")], true),
            (vec![("b", "b1")], true),
            (vec![("a", "a2"), ("b", "b1")], false),
            (vec![("a", "a1"), ("c", "c1")], false),
            (vec![], false),
        ] {
            assert_eq!(own.was_meant("h", &changed(&files), &BTreeMap::new()), is, "{files:?}");
        }
        assert!(!own.was_meant("other", &changed(&[("a", "a1")]), &BTreeMap::new()));
    }

    #[test]
    fn some_of_the_edits_and_nothing_else() {
        let before = "a = 1\nb = 1\nc = 1\n";
        let parts: Vec<Part> = vec![(4, 5, "11".into()), (10, 11, "2".into()), (18, 18, "d = 1\n".into())];
        for (after, is) in [
            ("a = 11\nb = 2\nc = 1\nd = 1\n", true),
            ("a = 11\nb = 1\nc = 1\n", true),
            ("a = 1\nb = 2\nc = 1\n", true),
            ("a = 1\nb = 1\nc = 1\nd = 1\n", true),
            ("a = 1\nb = 3\nc = 1\n", false),
            ("a = 11\nb = 1\nc = 2\n", false),
            ("a = 11\nb = 2\nc = 1\nd = 1\ne = 1\n", false),
            ("a = 11\n", false),
        ] {
            assert_eq!(has_parts(before, after, &parts), is, "{after}");
        }
        assert!(!has_parts("é", "e", &[(1, 1, String::new())]));
    }
}
