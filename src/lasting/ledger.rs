//! What live changes a journal tells of: the newest of each value, unless it was dropped.
//!
//! A change is certain once its step ended well; one that was cut off, or that failed after it had begun,
//! may be live or not, and only a look at the server tells. Superseding is by job and path; a job that is
//! registered from its file supersedes all that was changed in it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::base::RunId;
use crate::journal::{Body, Found, Record};

/// How changes are given up that may run on.
pub const DROP: &str = "patch drop";

/// One value that was changed in a running job.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub job: String,
    /// As [`crate::jobspec::Path`] reads it.
    pub path: String,
    /// With known secrets masked, as everything in a journal is.
    pub old: Value,
    pub new: Value,
    pub at: Timestamp,
    pub who: String,
    pub run: RunId,
    /// Whether it is known to have been done.
    pub certain: bool,
    /// The whole id of the commit that was made for it.
    pub commit: Option<String>,
}

impl Change {
    /// Whether this run is known to have done it.
    pub fn is_of(&self, run: Option<&RunId>) -> bool {
        self.certain && run == Some(&self.run)
    }
}

/// A job, and a path in it.
pub(super) type Key<'r> = (&'r str, &'r str);

/// A change as the records have it.
#[derive(Clone, Copy)]
struct Seen<'r> {
    old: &'r Value,
    new: &'r Value,
    record: &'r Record,
    step: &'r str,
    who: &'r str,
    certain: bool,
    commit: Option<&'r str>,
}

type Book<'r> = BTreeMap<Key<'r>, Seen<'r>>;

impl Seen<'_> {
    fn change(self, (job, path): Key<'_>) -> Change {
        Change {
            job: job.to_owned(),
            path: path.to_owned(),
            old: self.old.clone(),
            new: self.new.clone(),
            at: self.record.at,
            who: self.who.to_owned(),
            run: self.record.run.clone(),
            certain: self.certain,
            commit: self.commit.map(str::to_owned),
        }
    }
}

/// What the book held under a key.
struct Before<'r> {
    key: Key<'r>,
    /// Right before an intent.
    last: Option<Seen<'r>>,
    /// Before the step's first attempt at it: as that is what it puts back.
    first: Option<Seen<'r>>,
}

/// The values that were changed live, each as it was changed last, in the order of that.
pub fn ledger(records: &[Record]) -> Vec<Change> {
    in_order(read(records).0)
}

/// The changes that were given up, and when: they may be live yet, and nobody wants them kept.
pub fn given_up(records: &[Record]) -> Vec<Change> {
    in_order(read(records).1)
}

fn in_order(book: Book<'_>) -> Vec<Change> {
    let mut all: Vec<Change> = book.into_iter().map(|(key, seen)| seen.change(key)).collect();
    all.sort_by(|a, b| (a.at, &a.job, &a.path).cmp(&(b.at, &b.job, &b.path)));
    all
}

/// The changes that stand, and those that were given up since.
fn read(records: &[Record]) -> (Book<'_>, Book<'_>) {
    let (mut book, mut given_up) = (Book::new(), Book::new());
    // What stood in the book before an intent whose outcome isn't known yet.
    let mut open: BTreeMap<(&RunId, &str), Vec<Before<'_>>> = BTreeMap::new();
    // What stood there before a step's first attempt at it.
    let mut first: BTreeMap<(&RunId, &str, Key<'_>), Option<Seen<'_>>> = BTreeMap::new();
    for record in records {
        match &record.body {
            Body::StepIntended { step, precondition, who, .. } => {
                let mut before = Vec::new();
                let intended = jobs(precondition).flat_map(|(id, job)| changes_of(id, job));
                for (key, old, new) in intended {
                    let seen = Seen { old, new, record, step, who, certain: false, commit: None };
                    let last = book.insert(key, seen);
                    let first_of = (&record.run, step.as_str(), key);
                    let old = match last {
                        Some(own) if own.record.run == record.run && own.step == step => {
                            first.get(&first_of).copied().flatten()
                        }
                        other => other,
                    };
                    first.insert(first_of, old);
                    before.push(Before { key, last, first: old });
                }
                open.insert((&record.run, step), before);
            }
            Body::StepDone { step, evidence, .. } => {
                settle(&mut book, open.remove(&(&record.run, step.as_str())), evidence, true);
                committed(&mut book, evidence);
                from_files(&mut book, evidence);
                from_files(&mut given_up, evidence);
            }
            Body::StepFailed { step, touched, evidence, .. } => {
                let before = open.remove(&(&record.run, step.as_str()));
                if *touched {
                    settle(&mut book, before, evidence, false);
                } else {
                    // What earlier attempts of the run did stands.
                    before.into_iter().flatten().for_each(|b| restore(&mut book, b.key, b.last));
                }
                committed(&mut book, evidence);
                from_files(&mut book, evidence);
                from_files(&mut given_up, evidence);
            }
            // A look after a crash found that all of it had happened.
            Body::StepReconciled { step, found: Found::Done, .. } => {
                let before = open.remove(&(&record.run, step.as_str()));
                for Before { key, .. } in before.into_iter().flatten() {
                    if let Some(seen) = book.get_mut(&key).filter(|seen| seen.record.run == record.run) {
                        seen.certain = true;
                    }
                }
            }
            Body::PatchDropped { job, path, how, .. } => {
                let key = (job.as_str(), path.as_str());
                if let Some(seen) = book.remove(&key).filter(|_| how == DROP) {
                    given_up.insert(key, Seen { record, ..seen });
                }
            }
            _ => {}
        }
    }
    // What is wanted again was not given up.
    given_up.retain(|key, _| !book.contains_key(key));
    (book, given_up)
}

/// What an outcome says of the changes that were intended. Of a job that it doesn't name they weren't done
/// if all went well, and nothing is known of them otherwise.
fn settle<'r>(book: &mut Book<'r>, before: Option<Vec<Before<'r>>>, evidence: &'r Value, done: bool) {
    let ended: BTreeMap<Key<'r>, (Left, &Value, &Value)> = jobs(evidence)
        .flat_map(|(id, job)| changes_of(id, job).map(|(key, old, new)| (key, (Left::of(job), old, new))))
        .collect();
    for Before { key, first: old, .. } in before.into_iter().flatten() {
        match ended.get(&key) {
            Some((Left::Live, was, is)) => {
                if let Some(change) = book.get_mut(&key) {
                    // What was done, which may be less than what was intended.
                    (change.old, change.new) = (*was, *is);
                    change.certain = true;
                }
            }
            Some((Left::AsBefore, ..)) => restore(book, key, old),
            Some((Left::Unknown, ..)) => {}
            None if done => restore(book, key, old),
            None => {}
        }
    }
}

/// What a step committed, of this run or of an earlier one: `{"commit", "committed": [{"job", "path", "value"}]}`.
fn committed<'r>(book: &mut Book<'r>, evidence: &'r Value) {
    let Some(commit) = evidence["commit"].as_str() else { return };
    for one in evidence["committed"].as_array().into_iter().flatten() {
        let (Some(job), Some(path)) = (one["job"].as_str(), one["path"].as_str()) else { continue };
        if let Some(change) = book.get_mut(&(job, path))
            && *change.new == one["value"]
        {
            change.commit = Some(commit);
        }
    }
}

/// A job that was registered from its file is as that says: its earlier changes are in there, or were given up
/// before.
fn from_files(book: &mut Book<'_>, evidence: &Value) {
    for (id, _) in jobs(evidence).filter(|(_, job)| job["file"].is_string()) {
        book.retain(|(job, _), _| *job != id);
    }
}

/// How a step left a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Live,
    AsBefore,
    Unknown,
}

impl Left {
    fn of(job: &Value) -> Self {
        match job["outcome"].as_str() {
            None | Some("done" | "left" | "needs_promotion") => Self::Live,
            Some(
                "rolled_back" | "reverted" | "reverted_unhealthy" | "refused" | "conflict" | "not_begun",
            ) => Self::AsBefore,
            Some(_) => Self::Unknown,
        }
    }
}

fn restore<'r>(book: &mut Book<'r>, key: Key<'r>, old: Option<Seen<'r>>) {
    match old {
        Some(old) => book.insert(key, old),
        None => book.remove(&key),
    };
}

/// The jobs of an intent or of evidence: `{"jobs": [{"id", "changes": [{"path", "old", "new"}], "outcome"}]}`;
/// they may be by id, too.
pub(super) fn jobs(document: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let list = document["jobs"].as_array().into_iter().flatten();
    let list = list.filter_map(|job| Some((job["id"].as_str()?, job)));
    let map = document["jobs"].as_object().into_iter().flatten();
    list.chain(map.map(|(id, job)| (id.as_str(), job)))
}

pub(super) fn changes_of<'d>(
    id: &'d str,
    job: &'d Value,
) -> impl Iterator<Item = (Key<'d>, &'d Value, &'d Value)> {
    let changes = job["changes"].as_array().into_iter().flatten();
    changes.filter_map(move |change| {
        let key = (id, change["path"].as_str()?);
        Some((key, change.get("old")?, change.get("new")?))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A journal of one step a run.
    #[derive(Default)]
    struct Book(Vec<Record>);

    impl Book {
        fn add(&mut self, run: &str, body: Body) {
            let seq = self.0.len() as u64 + 1;
            let at = Timestamp::from_second(i64::try_from(seq).unwrap()).unwrap();
            self.0.push(Record::new(seq, at, RunId(run.into()), body, String::new()));
        }

        fn document(changes: &[(&str, &str)]) -> Value {
            let job = |(id, new): &(&str, &str)| json!({ "id": id, "index": 1, "changes": [{ "path": "p", "old": "0", "new": new }] });
            json!({ "jobs": changes.iter().map(job).collect::<Vec<_>>() })
        }

        fn intends(&mut self, run: &str, changes: &[(&str, &str)]) {
            let body = Body::StepIntended {
                wave: "w".into(),
                step: "s".into(),
                attempt: 1,
                digest: String::new(),
                who: "ann".into(),
                precondition: Self::document(changes),
                undo: None,
            };
            self.add(run, body);
        }

        fn done(&mut self, run: &str, changes: &[(&str, &str)]) {
            let (evidence, output) = (Self::document(changes), Value::Null);
            self.add(run, Body::StepDone { step: "s".into(), attempt: 1, changed: true, evidence, output });
        }

        fn failed(&mut self, run: &str, touched: bool, evidence: Value) {
            let error = String::new();
            self.add(run, Body::StepFailed { step: "s".into(), attempt: 1, error, touched, evidence });
        }

        fn says(&self) -> Vec<(String, String, bool)> {
            let one = |c: Change| (c.job, c.new.as_str().unwrap().to_owned(), c.certain);
            ledger(&self.0).into_iter().map(one).collect()
        }
    }

    fn row(job: &str, new: &str, certain: bool) -> (String, String, bool) {
        (job.into(), new.into(), certain)
    }

    #[test]
    fn the_last_change_of_a_value_counts() {
        let mut book = Book::default();
        book.intends("r1", &[("a", "1"), ("b", "1")]);
        assert_eq!(book.says(), [row("a", "1", false), row("b", "1", false)], "cut off");
        book.done("r1", &[("a", "1"), ("b", "1")]);
        book.intends("r2", &[("a", "2")]);
        book.done("r2", &[("a", "2")]);
        assert_eq!(book.says(), [row("b", "1", true), row("a", "2", true)]);
        let drop =
            || Body::PatchDropped { job: "b".into(), path: "p".into(), who: "ann".into(), how: DROP.into() };
        book.add("r3", drop());
        assert_eq!(book.says(), [row("a", "2", true)]);
        let dropped =
            |book: &Book| -> Vec<Value> { given_up(&book.0).into_iter().map(|change| change.new).collect() };
        assert_eq!(dropped(&book), ["1"]);
        book.intends("r4", &[("b", "3")]);
        assert_eq!(dropped(&book), [] as [&str; 0], "it is wanted again");
        book.failed("r4", false, Value::Null);
        assert_eq!(dropped(&book), ["1"], "nothing came of it");
        book.intends("r4", &[("b", "3")]);
        book.done("r4", &[("b", "3")]);
        book.add("r5", drop());
        book.done("r6", &[]);
        assert_eq!(dropped(&book), ["3"]);
        let Some(Record { body: Body::StepDone { evidence, .. }, .. }) = book.0.last_mut() else { panic!() };
        *evidence = json!({ "jobs": { "b": { "index": 3, "file": "jobs/b.hcl" } } });
        assert_eq!(dropped(&book), [] as [&str; 0], "it runs as its file says");
    }

    #[test]
    fn what_failed_leaves_what_was_before() {
        let mut book = Book::default();
        book.intends("r1", &[("a", "1")]);
        book.done("r1", &[("a", "1")]);
        book.intends("r2", &[("a", "2"), ("b", "2"), ("c", "2")]);
        book.failed("r2", false, Value::Null);
        assert_eq!(book.says(), [row("a", "1", true)]);
        book.intends("r3", &[("a", "3"), ("b", "3"), ("c", "3")]);
        // One is live, one was put back, of one nobody knows.
        let mut evidence = Book::document(&[("a", "3"), ("b", "3"), ("c", "3")]);
        for (at, outcome) in ["done", "rolled_back", "unknown"].into_iter().enumerate() {
            evidence["jobs"][at]["outcome"] = outcome.into();
        }
        book.failed("r3", true, evidence);
        assert_eq!(book.says(), [row("a", "3", true), row("c", "3", false)]);
    }

    #[test]
    fn what_a_run_puts_back_later_is_what_was_before_it() {
        let outcome = |outcome: &str| {
            let mut evidence = Book::document(&[("a", "2")]);
            evidence["jobs"][0]["outcome"] = outcome.into();
            evidence
        };
        for (earlier, left) in [(true, vec![row("a", "1", true)]), (false, vec![])] {
            let mut book = Book::default();
            if earlier {
                book.intends("r1", &[("a", "1")]);
                book.done("r1", &[("a", "1")]);
            }
            book.intends("r2", &[("a", "2")]);
            book.failed("r2", true, outcome("done"));
            assert_eq!(book.says(), [row("a", "2", true)]);
            book.intends("r2", &[("a", "2")]);
            book.failed("r2", true, outcome("reverted"));
            assert_eq!(book.says(), left);
        }
    }

    #[test]
    fn what_a_look_found_done_is_certain() {
        for (found, certain) in [(Found::NotDone, false), (Found::Done, true)] {
            let mut book = Book::default();
            book.intends("r1", &[("a", "1")]);
            let (step, detail) = ("s".into(), String::new());
            book.add("r1", Body::StepReconciled { step, attempt: 1, found, detail });
            assert_eq!(book.says(), [row("a", "1", certain)]);
        }
    }

    /// A later step of a run puts back what it found, which an earlier one had made.
    #[test]
    fn what_an_earlier_step_did_stands() {
        let mut book = Book::default();
        let step = |book: &mut Book, name: &str| {
            for body in book.0.iter_mut().rev().take(2).map(|record| &mut record.body) {
                if let Body::StepIntended { step, .. }
                | Body::StepDone { step, .. }
                | Body::StepFailed { step, .. } = body
                {
                    name.clone_into(step);
                }
            }
        };
        book.intends("r1", &[("a", "2")]);
        book.done("r1", &[("a", "2")]);
        book.intends("r1", &[("a", "4")]);
        let mut evidence = Book::document(&[("a", "4")]);
        evidence["jobs"][0]["outcome"] = "reverted".into();
        book.failed("r1", true, evidence);
        step(&mut book, "t");
        assert_eq!(book.says(), [row("a", "2", true)]);
    }

    #[test]
    fn an_attempt_that_did_nothing_leaves_what_earlier_ones_did() {
        let mut book = Book::default();
        book.intends("r1", &[("a", "1"), ("b", "1")]);
        let mut evidence = Book::document(&[("a", "1"), ("b", "1")]);
        evidence["jobs"][1]["outcome"] = "not_begun".into();
        book.failed("r1", true, evidence);
        assert_eq!(book.says(), [row("a", "1", true)]);
        book.intends("r1", &[("a", "1"), ("b", "1")]);
        book.failed("r1", false, Value::Null);
        assert_eq!(book.says(), [row("a", "1", true)]);
    }

    #[test]
    fn what_was_done_counts_not_what_was_intended() {
        let mut book = Book::default();
        book.intends("r1", &[("a", "4")]);
        book.failed("r1", true, Book::document(&[("a", "2")]));
        assert_eq!(book.says(), [row("a", "2", true)]);
    }

    #[test]
    fn what_was_committed_is_known_by_its_commit() {
        let mut book = Book::default();
        book.intends("r1", &[("a", "1"), ("b", "1")]);
        book.done("r1", &[("a", "1"), ("b", "1")]);
        let commits = |id: &str, value: &str| {
            let one = |job: &str| json!({ "job": job, "path": "p", "value": value });
            json!({ "commit": id, "committed": [one("a"), one("c")] })
        };
        let of = |book: &Book| -> Vec<Option<String>> {
            ledger(&book.0).into_iter().map(|change| change.commit).collect()
        };
        book.failed("r2", true, commits("c0", "another"));
        assert_eq!(of(&book), [None, None]);
        book.failed("r3", true, commits("c1", "1"));
        assert_eq!(of(&book), [Some("c1".to_owned()), None]);
        // A later change is another one.
        book.intends("r4", &[("a", "2")]);
        book.done("r4", &[("a", "2")]);
        assert_eq!(of(&book), [None, None]);
    }

    #[test]
    fn a_job_that_is_registered_from_its_file_has_no_changes() {
        let mut book = Book::default();
        book.intends("r1", &[("a", "1"), ("b", "1"), ("c", "1")]);
        book.done("r1", &[("a", "1"), ("b", "1"), ("c", "1")]);
        // The second was started as it was, the third failed.
        let evidence = json!({ "jobs": { "a": { "index": 3, "file": "jobs/a.hcl" }, "b": { "index": 3 } } });
        book.failed("r2", true, evidence);
        assert_eq!(book.says(), [row("b", "1", true), row("c", "1", true)]);
        book.intends("r3", &[("a", "2")]);
        assert_eq!(book.says().len(), 3, "a later one counts");
    }

    #[test]
    fn jobs_may_be_by_id_and_other_steps_say_nothing() {
        fn keys(document: &Value) -> Vec<Key<'_>> {
            jobs(document).flat_map(|(id, job)| changes_of(id, job)).map(|(key, ..)| key).collect()
        }

        let document = json!({ "jobs": { "a": { "changes": [{ "path": "p", "old": 1, "new": 2 }] } } });
        assert_eq!(keys(&document), [("a", "p")]);
        for other in [json!({ "jobs": { "a": "hash" } }), json!(null), json!({ "jobs": [3] })] {
            assert_eq!(keys(&other), []);
        }
    }
}
