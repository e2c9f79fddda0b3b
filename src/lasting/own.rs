//! The commits that a journal knows as its own.
//!
//! By their ids, which stand in the evidence of the steps that made them. Where a run was cut off between a
//! commit and that record, by what its intent said that it would be: the same files, changed to the same
//! objects, on the same commit. A message proves nothing: anybody can write one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::journal::{Body, Record};

/// Objects by path below the top of the work tree.
pub type Objects = BTreeMap<String, String>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnCommits {
    recorded: BTreeSet<String>,
    /// The commit that each was to be made on, and what it was to change.
    meant: Vec<(String, Objects)>,
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
    /// for some of its jobs commits the files of the others only.
    pub(super) fn was_meant(&self, parent: &str, changed: &Objects) -> bool {
        let all = |objects: &Objects| changed.iter().all(|(path, object)| objects.get(path) == Some(object));
        !changed.is_empty() && self.meant.iter().any(|(on, objects)| on == parent && all(objects))
    }
}

fn meant(precondition: &Value) -> Option<(String, Objects)> {
    let commit = precondition.get("commit")?;
    let files = commit["files"].as_object()?;
    let object = |(path, file): (&String, &Value)| Some((path.clone(), file["after"].as_str()?.to_owned()));
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
            assert_eq!(own.was_meant("h", &changed(&files)), is, "{files:?}");
        }
        assert!(!own.was_meant("other", &changed(&[("a", "a1")])));
    }
}
