//! Texts without number through everything that reads job files: no panic, no hang, no overflow of the stack,
//! and what each stage promises.
//!
//!     BLACKSTART_FUZZ=1000000 cargo test --release --test fuzz -- --nocapture
//!
//! BLACKSTART_FUZZ says how many; BLACKSTART_FUZZ_FIRST from which on, to come back to one: each number always
//! stands for the same text over the same corpus (the repository's files, and the conformance corpus where it is).

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use blackstart::base::Source;
use blackstart::hcl;
use blackstart::jobspec::{self, Inputs, Job, Wanted};
use mutation::Mutator;
use serde_json::{Value as Json, json};

mod mutation;

/// Far beyond what the limits of the reader let any text take.
const HANGS: Duration = Duration::from_secs(60);

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn text(mutator: &mut Mutator, i: usize) -> String {
    mutator.reseed(i as u64);
    match i % 20 {
        0 => mutator.noise(),
        1..=3 => mutator.layout(),
        4..=11 => mutator.values(),
        _ => mutator.broken(),
    }
}

/// Every stage, as far as the text gets.
fn through(text: &str, seen: &mut BTreeMap<&'static str, usize>) {
    let mut count = |what| *seen.entry(what).or_default() += 1;
    let source = Source::new("f.nomad.hcl", text);
    let inputs = Inputs { root: PathBuf::from("/nonexistent"), ..Inputs::default() };
    if let Ok(once) = hcl::format(&source) {
        count("formatted");
        let bare = |text: &str| text.trim_start_matches('\u{feff}').replace([' ', '\t'], "");
        assert_eq!(bare(&once), bare(text), "formatting changes blanks only");
        let again = hcl::format(&Source::new("f", once.as_str())).expect("what is formatted is right");
        assert_eq!(again, once, "once is enough");
    }
    let _ = hcl::var_file(&source);
    let _ = hcl::parse_expression(&source);
    let _ = hcl::parse_template(&source);
    let _ = hcl::parse_json(&source);
    let read = jobspec::parse(&source, &inputs);
    let places = jobspec::places(&source, &inputs);
    match read {
        Ok(job) => {
            count("jobs");
            let printed = jobspec::print(&job.json);
            let back: serde_json::Value = serde_json::from_str(&printed).expect("it is JSON");
            assert_eq!(back["Job"]["ID"], job.json["ID"]);
            places.expect("what can be read has places");
            for diagnostic in jobspec::check(&job, &inputs).0 {
                assert!(diagnostic.span.is_some(), "a place is missing: {diagnostic}");
            }
            if edited(&source, &inputs, &job) {
                count("edited");
            }
        }
        Err(found) => {
            count("refused");
            assert!(found.has_errors());
            for diagnostic in &found.0 {
                assert!(diagnostic.span.is_some(), "a place is missing: {diagnostic}");
                let _ = diagnostic.to_string();
            }
        }
    }
}

/// Sets one value of the job anew; whether that took an edit of the file, which can then be read.
fn edited(source: &Arc<Source>, inputs: &Inputs, job: &Job) -> bool {
    let every = jobspec::Path::every(&job.json);
    // Which one hangs on the text, so that the same number always does the same.
    let Some((path, old)) = every.get(source.text.len() % every.len().max(1)) else { return false };
    let again: jobspec::Path = path.to_string().parse().expect("a path reads back");
    assert_eq!(again.get(&job.json), Some(*old), "{path}");
    let new = match old {
        Json::String(text) => json!(format!("{text}2")),
        Json::Number(number) => json!(number.as_i64().unwrap_or(0).wrapping_add(1)),
        Json::Bool(flag) => json!(!flag),
        other => (*other).clone(),
    };
    let wanted = |value: &Json| [Wanted { path: path.clone(), value: value.clone() }];
    let Ok(edits) = jobspec::edits(source, inputs, &wanted(&new)) else { return false };
    if edits.edits.iter().any(|edit| edit.file != source.name) {
        return false;
    }
    let there = Source::new("f.nomad.hcl", jobspec::apply(&source.text, &edits.edits));
    let read = jobspec::parse(&there, inputs).expect("an edited file can be read");
    if edits.also.is_empty() {
        let mut expected = job.json.clone();
        path.set(&mut expected, &new).expect("it was set before");
        // A path by number may lead to another port once this one has a number of its own.
        if path.get(&expected) == Some(&new) {
            assert_eq!(read.json, expected, "{path} and nothing else");
        }
    }
    !edits.edits.is_empty()
}

#[test]
fn no_text_does_harm() {
    let count = number("BLACKSTART_FUZZ").unwrap_or(500);
    let first = number("BLACKSTART_FUZZ_FIRST").unwrap_or(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(first);
    let (beat, beats) = mpsc::channel();
    let (mut harmed, mut all) = (Vec::new(), BTreeMap::new());
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        let work = |beat: mpsc::Sender<()>| {
            let mut mutator = Mutator::new(0);
            let (mut harmed, mut seen) = (Vec::new(), BTreeMap::new());
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= first + count {
                    return (harmed, seen);
                }
                let text = text(&mut mutator, i);
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| through(&text, &mut seen))) {
                    let said = panic.downcast_ref::<String>().cloned();
                    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                    harmed.push((i, said.unwrap_or_default(), text));
                }
                let _ = beat.send(());
            }
        };
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn({
                    let beat = beat.clone();
                    move || work(beat)
                })
            })
            .collect();
        drop(beat);
        let mut done = 0;
        loop {
            match beats.recv_timeout(HANGS) {
                Ok(()) => done += 1,
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("one of the {threads} texts before {} hangs", next.load(Ordering::Relaxed));
                    std::process::abort();
                }
            }
            if done % 50_000 == 0 {
                println!("{done} of {count}");
            }
        }
        for worker in workers {
            let (more, seen): (Vec<_>, BTreeMap<&'static str, usize>) = worker.join().unwrap();
            harmed.extend(more);
            for (what, count) in seen {
                *all.entry(what).or_insert(0) += count;
            }
        }
    });
    let _ = std::panic::take_hook();
    println!("{count} texts: {all:?}; {} did harm", harmed.len());
    // Enough of them get through that the stages behind the first are tried as well.
    assert!(all.get("jobs").is_some_and(|jobs| *jobs > count / 50), "{all:?}");
    let shown: Vec<String> =
        harmed.iter().take(5).map(|(i, said, text)| format!("{i}: {said}\n{text:?}")).collect();
    assert!(harmed.is_empty(), "{} of {count}\n{}", harmed.len(), shown.join("\n"));
}
