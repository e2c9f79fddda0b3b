//! What of a run that was left has been overtaken: values that a later act of the same journal decided
//! otherwise.
//!
//! By job and path, as the ledger counts. What somebody did by other means isn't in the journal: the look at
//! the server shows that.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ledger::{DROP, changes_of, jobs, ledger};
use crate::base::RunId;
use crate::journal::{Body, Record};

/// One value that a run meant to set, and that was decided on since.
#[derive(Clone, Debug, PartialEq)]
pub struct Overtaken {
    pub job: String,
    pub path: String,
    pub meant: Value,
    /// The value that was set since; none where the change was given up.
    pub now: Option<Value>,
    pub by: RunId,
    pub who: String,
}

/// The values of a run that were decided on since it was left, and how many it meant to set in all.
pub fn overtaken(records: &[Record], run: &RunId) -> (Vec<Overtaken>, usize) {
    let Some(last) = records.iter().rposition(|record| record.run == *run) else { return (Vec::new(), 0) };
    // A step that is done isn't done again: what it set is of the past.
    let mut by_step: BTreeMap<&str, BTreeMap<(&str, &str), &Value>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.run == *run) {
        match &record.body {
            Body::StepIntended { step, precondition, .. } => {
                let changes = jobs(precondition).flat_map(|(id, job)| changes_of(id, job));
                by_step.entry(step).or_default().extend(changes.map(|(key, _, new)| (key, new)));
            }
            Body::StepDone { step, .. } => drop(by_step.remove(step.as_str())),
            _ => {}
        }
    }
    let meant: BTreeMap<(&str, &str), &Value> = by_step.into_values().flatten().collect();
    let all = meant.len();
    let since = records.get(last + 1..).unwrap_or_default();
    let book = ledger(records);
    let mut found = Vec::new();
    for ((job, path), value) in meant {
        let newer = book.iter().find(|change| {
            let later = || since.iter().any(|record| record.run == change.run);
            change.job == job && change.path == path && change.run != *run && later()
        });
        let dropped = since.iter().rev().find_map(|record| match &record.body {
            Body::PatchDropped { job: of, path: at, who, how }
                if *of == job && *at == path && how == DROP =>
            {
                Some((record.run.clone(), who.clone()))
            }
            _ => None,
        });
        let (now, by, who) = match (newer, dropped) {
            // The same value again undoes nothing.
            (Some(change), _) if change.new == *value => continue,
            (Some(change), _) => (Some(change.new.clone()), change.run.clone(), change.who.clone()),
            (None, Some((by, who))) => (None, by, who),
            (None, None) => continue,
        };
        let (job, path) = (job.to_owned(), path.to_owned());
        found.push(Overtaken { job, path, meant: value.clone(), now, by, who });
    }
    (found, all)
}

/// The run of this journal that registered a job under that index, and who approved it.
pub fn registered_by(records: &[Record], job: &str, index: u64) -> Option<(RunId, String)> {
    let mut who: BTreeMap<&RunId, &str> = BTreeMap::new();
    let mut found = None;
    for record in records {
        match &record.body {
            Body::StepIntended { who: by, .. } => drop(who.insert(&record.run, by)),
            Body::StepDone { evidence, .. } | Body::StepFailed { evidence, .. } => {
                let ours = |(id, job_of): (&str, &Value)| id == job && job_of["registered"] == index;
                if jobs(evidence).any(ours) {
                    found = Some(&record.run);
                }
            }
            _ => {}
        }
    }
    found.map(|run| (run.clone(), who.get(run).copied().unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    fn document(value: &str, index: u64) -> Value {
        json!({ "jobs": [{ "id": "api", "registered": index, "changes": [{ "path": "p", "old": "0", "new": value }] }] })
    }

    fn book(of: &[(&str, &str, bool)]) -> Vec<Record> {
        let mut records = Vec::new();
        let mut add = |run: &str, body: Body| {
            let seq = records.len() as u64 + 1;
            let at = Timestamp::from_second(i64::try_from(seq).unwrap()).unwrap();
            records.push(Record::new(seq, at, RunId(run.into()), body, String::new()));
        };
        for (index, (run, value, done)) in of.iter().enumerate() {
            let evidence = document(value, index as u64 + 1);
            if *value == "dropped" {
                let (job, path, who, how) = ("api".into(), "p".into(), "bob".into(), DROP.into());
                add(run, Body::PatchDropped { job, path, who, how });
                continue;
            }
            add(
                run,
                Body::StepIntended {
                    wave: "w".into(),
                    step: "s".into(),
                    attempt: 1,
                    digest: String::new(),
                    who: format!("{run}'s"),
                    precondition: evidence.clone(),
                    undo: None,
                },
            );
            if *done {
                let (step, output) = ("s".into(), Value::Null);
                add(run, Body::StepDone { step, attempt: 1, changed: true, evidence, output });
            }
        }
        records
    }

    #[test]
    fn a_later_value_overtakes_and_the_same_one_does_not() {
        let of = |records: &[Record]| -> Vec<(Option<Value>, String)> {
            overtaken(records, &RunId("a".into())).0.into_iter().map(|o| (o.now, o.by.0)).collect()
        };
        assert_eq!(of(&book(&[("a", "3", false), ("b", "4", true)])), [(Some("4".into()), "b".into())]);
        assert_eq!(of(&book(&[("a", "3", false), ("b", "4", false)])), [(Some("4".into()), "b".into())]);
        assert_eq!(of(&book(&[("a", "3", false), ("b", "3", true)])), []);
        assert_eq!(of(&book(&[("b", "4", true), ("a", "3", false)])), [], "that was before");
        assert_eq!(of(&book(&[("a", "3", false), ("d", "dropped", true)])), [(None, "d".into())]);
        assert_eq!(of(&book(&[("a", "3", true), ("b", "4", true)])), [], "its step was done");
        assert_eq!(overtaken(&book(&[("a", "3", false)]), &RunId("a".into())), (Vec::new(), 1));
        let records = book(&[("a", "3", true), ("b", "4", true)]);
        assert_eq!(registered_by(&records, "api", 2), Some((RunId("b".into()), "b's".into())));
        assert_eq!(registered_by(&records, "api", 7), None);
    }
}
