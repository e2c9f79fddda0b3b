//! The journal's format 1, held by a checked-in journal that every later version must read: its hash chain
//! was computed by another program, from the documented form. And which records may follow which.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use blackstart::base::{Clock, Secrets};
use blackstart::journal::{
    Body, DowntimeSource, FORMAT, Journal, JournalError, MemoryStore, Record, Run, RunStatus, SqliteStore,
    StepStatus, Store,
};
use rusqlite::{Connection, params};

const FORMAT_1: &str = include_str!("data/journal-1.jsonl");
/// What format 2 has besides: only new types of records.
const FORMAT_2: &str = include_str!("data/journal-2.jsonl");

/// As version 0.1.0 made it.
const TABLE_1: &str = "create table records (
    seq integer primary key, run text not null, at text not null, body text not null,
    previous text not null, hash text not null) strict; pragma user_version = 1;";

/// Every type of record that format 2 has.
const TYPES: [&str; 22] = [
    "answered",
    "approved",
    "denied",
    "gate_passed",
    "gate_waived",
    "guard_set",
    "jobs_kept",
    "patch_dropped",
    "recorded",
    "run_abandoned",
    "run_done",
    "run_failed",
    "run_paused",
    "run_resumed",
    "run_started",
    "step_child",
    "step_done",
    "step_failed",
    "step_intended",
    "step_reconciled",
    "wave_done",
    "wave_started",
];

fn documents() -> Vec<serde_json::Value> {
    FORMAT_1.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn records() -> Vec<Record> {
    FORMAT_1.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A journal file of format 1.
fn file(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(TABLE_1).unwrap();
    for record in documents() {
        let text = |name: &str| record[name].as_str().unwrap().to_owned();
        let row = params![
            record["seq"].as_u64().unwrap(),
            text("run"),
            text("at"),
            record["body"].to_string(),
            text("previous"),
            text("hash")
        ];
        connection.execute("insert into records values (?1, ?2, ?3, ?4, ?5, ?6)", row).unwrap();
    }
    connection
}

fn open(path: &Path) -> Result<Journal, JournalError> {
    Journal::open(Box::new(SqliteStore::open(path)?), Clock::real(), Secrets::default())
}

#[test]
fn format_1_is_read_and_says_what_it_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    drop(file(&path));
    let journal = open(&path).unwrap();
    assert_eq!(*journal.all(), records());
    assert_eq!(journal.head(), records().last().unwrap().hash);

    let runs = journal.runs().unwrap();
    let [stop, start, patch, abandoned] = runs.as_slice() else { panic!("{} runs", runs.len()) };
    assert_eq!((stop.plan.as_str(), stop.status, stop.changed), ("stop", RunStatus::Done, true));
    assert_eq!(stop.recorded["newest_job"]["newest"], 528);
    assert_eq!(stop.intents["core"][0].child, Some((4711, "123456".to_owned())));
    assert!(!stop.is_unfinished());

    assert_eq!((start.status, start.step("core")), (RunStatus::Paused, StepStatus::Done(2)));
    assert_eq!(start.downtime.map(|d| (d.seconds, d.source)), Some((262_730.0, DowntimeSource::Journal)));
    assert_eq!(start.inputs["tag"], "git-1");
    assert_eq!(start.plan_hash, "cd".repeat(32), "of the last who went on");
    assert_eq!(start.guards["core"]["add"], 11);
    assert_eq!(start.reason.as_deref(), Some("interrupted"));
    assert!(start.gates_passed.contains(&("infrastructure".to_owned(), "nomad-is-ready".to_owned())));
    assert!(start.is_unfinished() && start.waves_done.contains("infrastructure"));

    assert_eq!((patch.status, patch.is_unfinished(), patch.changed), (RunStatus::Failed, false, false));
    assert_eq!((abandoned.status, abandoned.is_unfinished()), (RunStatus::Abandoned, false));
    assert_eq!(abandoned.step("services"), StepStatus::Failed(1), "found not done");
}

#[test]
fn format_2_is_read_and_says_what_it_said() {
    let records: Vec<Record> = FORMAT_2.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let journal =
        Journal::open(Box::new(MemoryStore::with(records.clone())), Clock::real(), Secrets::default())
            .unwrap();
    let runs = journal.runs().unwrap();
    let [stop] = runs.as_slice() else { panic!("{} runs", runs.len()) };
    assert_eq!((stop.status, stop.approver.as_deref()), (RunStatus::Done, Some("ann@ops")));
    assert!(matches!(&records[2].body, Body::JobsKept { jobs, .. } if jobs["monitor"] == 21));
}

/// What is written today is format 2 to the letter, as long as that is what it calls itself; and every type
/// of record is in a checked-in journal.
#[test]
fn what_is_written_is_the_format_it_says() {
    if FORMAT != 2 {
        return;
    }
    let mut found = BTreeSet::new();
    for line in FORMAT_1.lines().chain(FORMAT_2.lines()) {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        let record: Record = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_value(&record).unwrap(), document, "written otherwise: raise FORMAT");
        assert_eq!(record.computed_hash(), record.hash);
        found.insert(document["body"]["type"].as_str().unwrap().to_owned());
    }
    assert_eq!(Vec::from_iter(found), TYPES);
}

#[test]
fn a_newer_format_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    file(&path).execute_batch("pragma user_version = 99").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(open(&path), Err(JournalError::Newer { found: 99, known: FORMAT })));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// Whatever is changed, taken out or put in another order in the middle is noticed.
#[test]
fn an_edit_anywhere_breaks_the_chain() {
    let edits = [
        "update records set body = replace(body, 'quota', 'qu0ta') where seq = 17",
        "update records set at = '2026-01-05T08:00:02.1Z' where seq = 3",
        "update records set run = '20260105-080000-aaab' where seq = 1",
        "delete from records where seq = 9",
        "update records set seq = 99 where seq = 20",
        "update records set previous = '' where seq = 2",
    ];
    for edit in edits {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        assert_eq!(file(&path).execute(edit, []).unwrap(), 1, "{edit}");
        assert!(matches!(open(&path), Err(JournalError::BrokenChain { .. })), "{edit}");
    }
}

/// A run may end anywhere: every beginning of it replays. No record may come twice, and none of a step may
/// be left out.
#[test]
fn only_legal_orders_replay() {
    let all = records();
    let runs: BTreeSet<&str> = all.iter().map(|record| record.run.0.as_str()).collect();
    for run in runs {
        let own: Vec<&Record> = all.iter().filter(|record| record.run.0 == run).collect();
        for end in 1..=own.len() {
            Run::replay(own[..end].iter().copied()).unwrap();
        }
        let kind = |record: &Record| serde_json::to_value(&record.body).unwrap()["type"].clone();
        for (at, record) in own.iter().enumerate() {
            let kind = kind(record);
            let kind = kind.as_str().unwrap();
            let outcome = ["step_intended", "step_done", "step_failed", "step_reconciled"].contains(&kind);
            if outcome || ["run_started", "run_done", "run_abandoned"].contains(&kind) {
                let mut twice = own.clone();
                twice.insert(at + 1, record);
                assert!(Run::replay(twice).is_err(), "{kind} twice in {run}");
            }
            let next_of_step = own[at + 1..].iter().any(|next| {
                let (a, b) =
                    (serde_json::to_value(&next.body).unwrap(), serde_json::to_value(&record.body).unwrap());
                a["step"] == b["step"] && a["type"] != "guard_set"
            });
            if kind == "run_started" && own.len() > 1 || kind == "step_intended" && next_of_step {
                let mut without = own.clone();
                without.remove(at);
                assert!(Run::replay(without).is_err(), "without {kind} in {run}");
            }
        }
    }
}

/// After its end nothing more can be said of a run.
#[test]
fn an_ended_run_takes_no_more() {
    let all = records();
    let stop: Vec<&Record> = all.iter().filter(|record| record.run == all[0].run).collect();
    let ended = Run::replay(stop.iter().copied()).unwrap().unwrap();
    for record in &all {
        let mut run = ended.clone();
        assert!(run.apply(record).is_err(), "{:?} after the end", record.body);
        assert_eq!((run.status, run.last), (ended.status, ended.last), "a refused record leaves no trace");
    }
}

/// The two stores keep the same.
#[test]
fn stores_agree() {
    let folder = tempfile::tempdir().unwrap();
    let mut stores: [Box<dyn Store>; 2] = [
        Box::new(SqliteStore::open(&folder.path().join("journal.db")).unwrap()),
        Box::new(MemoryStore::default()),
    ];
    for store in &mut stores {
        for some in records().chunks(3) {
            store.append(some).unwrap();
        }
        assert_eq!(store.read().unwrap(), records());
    }
}

/// What is noted reaches the store with the next that is appended, in one piece; what the store doesn't take
/// leaves no trace.
#[test]
fn what_is_noted_goes_with_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let journal = open(&path).unwrap();
    let on_disk = || SqliteStore::open(&path).unwrap().read().unwrap().len();
    let all = records();
    let run = &all[0].run;
    journal.note(run, &all[0].body, |_| Ok(())).unwrap();
    journal.note(run, &all[1].body, |_| Ok(())).unwrap();
    assert_eq!((journal.all().len(), on_disk()), (2, 0));
    journal.append(run, &all[2].body, |_| Ok(())).unwrap();
    assert_eq!((journal.all().len(), on_disk()), (3, 3));
    journal.note(run, &all[3].body, |_| Ok(())).unwrap();
    journal.flush().unwrap();
    assert_eq!(on_disk(), 4);
    assert_eq!(open(&path).unwrap().all(), journal.all());

    let head = journal.head();
    Connection::open(&path).unwrap().execute("drop table records", []).unwrap();
    assert!(journal.append(run, &all[4].body, |_| Ok(())).is_err());
    assert_eq!((journal.all().len(), journal.head()), (4, head));
}
