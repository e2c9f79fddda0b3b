//! The copies of running jobs that a journal keeps when it stops them: how a job was whose server has
//! forgotten it since.
//!
//! A copy counts until the job is registered again by a run: from then on it is as that says. What somebody
//! registers by other means meanwhile isn't known here.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::ledger::jobs;
use crate::journal::{Body, Record};
use crate::nomad::{is_stopped, job_id};

/// A job as it was right before it was stopped.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub at: Timestamp,
    /// As the server held it.
    pub job: Value,
}

/// The jobs of which there may be a copy.
pub fn kept_jobs(records: &[Record]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for record in records {
        all.extend(stopping(&record.body).map(|(ids, _)| ids).into_iter().flatten().map(str::to_owned));
    }
    all
}

/// The last copy of a job, by what `find` holds under a name.
pub fn kept(records: &[Record], find: impl Fn(&str) -> Option<Vec<u8>>, id: &str) -> Option<Kept> {
    let mut copies: Vec<(Timestamp, &str)> = Vec::new();
    for record in records {
        if let Some((ids, undo)) = stopping(&record.body) {
            if ids.contains(&id) {
                copies.push((record.at, undo));
            }
        } else if let Body::StepDone { evidence, .. } | Body::StepFailed { evidence, .. } = &record.body
            && jobs(evidence).any(|(job, _)| job == id)
        {
            copies.clear();
        }
    }
    let read = |(at, undo): &(Timestamp, &str)| {
        let all: Vec<Value> = serde_json::from_slice(&find(undo)?).ok()?;
        // Where all jobs were kept, those that were stopped already are among them.
        let job = all.into_iter().find(|job| job_id(job) == id && !is_stopped(job))?;
        Some(Kept { at: *at, job })
    };
    copies.iter().rev().find_map(read)
}

/// The jobs that a record keeps before they are stopped, and under what name.
fn stopping(body: &Body) -> Option<(Vec<&str>, &str)> {
    match body {
        Body::JobsKept { jobs, undo } => Some((jobs.keys().map(String::as_str).collect(), undo)),
        Body::StepIntended { precondition, undo: Some(undo), .. } => {
            let ids = precondition["stopping"].as_array()?;
            Some((ids.iter().filter_map(Value::as_str).collect(), undo))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::RunId;

    fn record(seq: i64, body: Body) -> Record {
        let at = Timestamp::from_second(seq).unwrap();
        Record::new(seq.unsigned_abs(), at, RunId("r".into()), body, String::new())
    }

    fn stop(seq: i64, undo: &str) -> Record {
        record(
            seq,
            Body::StepIntended {
                wave: "w".into(),
                step: "s".into(),
                attempt: 1,
                digest: String::new(),
                who: "ann".into(),
                precondition: json!({ "stopping": ["api"] }),
                undo: Some(undo.into()),
            },
        )
    }

    #[test]
    fn the_last_copy_counts_until_the_job_is_registered_again() {
        let find = |name: &str| {
            let copy = json!([{ "ID": "api", "Name": name, "Stop": name == "stopped" }]);
            (name != "gone").then(|| copy.to_string().into_bytes())
        };
        let of = |records: &[Record]| kept(records, find, "api").map(|kept| kept.job["Name"].clone());
        let all = |seq, undo: &str| {
            record(seq, Body::JobsKept { jobs: [("api".to_owned(), 3)].into(), undo: undo.into() })
        };
        assert_eq!(of(&[stop(1, "a"), stop(2, "b")]), Some("b".into()));
        assert_eq!(of(&[stop(1, "a"), all(2, "stopped")]), Some("a".into()));
        assert_eq!(of(&[stop(1, "a"), stop(2, "gone")]), Some("a".into()));
        assert_eq!(kept(&[stop(1, "a")], find, "web"), None);
        let started = Body::StepDone {
            step: "s".into(),
            attempt: 1,
            changed: true,
            evidence: json!({ "jobs": { "api": { "index": 7 } } }),
            output: Value::Null,
        };
        assert_eq!(of(&[stop(1, "a"), record(2, started.clone())]), None);
        assert_eq!(of(&[record(1, started), all(2, "c")]), Some("c".into()));
        assert_eq!(kept_jobs(&[stop(1, "a"), all(2, "c")]), BTreeSet::from(["api".to_owned()]));
    }
}
