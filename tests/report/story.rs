//! Prose: snapshots of whole runs, and what holds for every line.

use blackstart::base::Secrets;
use blackstart::event::{Verdict, What};
use blackstart::report::Options;
use unicode_width::UnicodeWidthStr;

use super::events::{cold_start, event, gate, pause, progress, prose, refusal, sampled, terminal, written};

#[test]
fn a_cold_start_off_a_terminal() {
    let text = prose(&Options::default(), &cold_start());
    assert!(text.lines().all(|line| line.starts_with("[simulated] ")));
    assert!(text.matches("gate caught-up: not yet").count() < 30, "samples collapse");
    assert!(!text.contains("still at it") && !text.contains("refreshing") && !text.contains('\u{1b}'));
    insta::assert_snapshot!(text);
}

#[test]
fn a_cold_start_on_eighty_columns() {
    let text = prose(&terminal(), &cold_start());
    for line in text.lines() {
        assert!(line.width() <= 80 && line.starts_with("[simulated] "), "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_refusal() {
    let text = prose(&terminal(), &refusal());
    assert_eq!(text.matches("-->").count(), 1, "the one address that offends stands out without colour");
    insta::assert_snapshot!(text);
    let colored = prose(&Options { color: true, ..terminal() }, &refusal());
    let offending = colored.lines().find(|line| line.contains("-->")).unwrap();
    assert!(offending.contains("\u{1b}[1;31m"), "{offending:?}");
    assert_eq!(strip(&colored), text);
}

#[test]
fn a_pause() {
    insta::assert_snapshot!(prose(&Options::default(), &pause()));
}

#[test]
fn every_sample_is_told_when_asked_for() {
    let mut events = vec![event(0, false, gate())];
    events.extend((0..9).map(|i| event(i, false, sampled(Verdict::NotYet, "lag 2h", 0, 1))));
    let lines = |verbose| prose(&Options { verbose, ..Options::default() }, &events).lines().count();
    assert_eq!(lines(0), 2);
    assert_eq!(lines(1), 10);
}

#[test]
fn a_command_s_output_is_told_line_by_line_and_repetition_is_not() {
    let started = What::StepStarted {
        wave: "w".into(),
        step: "s".into(),
        kind: "exec".into(),
        summary: "./backup.sh".into(),
    };
    let events = [
        event(0, false, started),
        event(1, false, progress("s", None, "copied", None)),
        event(2, false, progress("s", None, "copied", None)),
        event(3, false, progress("s", Some("a"), "waits for a place", None)),
        event(4, false, progress("s", Some("a"), "waits for a place", None)),
        event(400, false, progress("s", Some("a"), "waits for a place", None)),
    ];
    let text = prose(&Options::default(), &events);
    assert_eq!(text.matches("s: copied").count(), 2);
    assert_eq!(text.matches("waits for a place").count(), 2, "once, and once as a sign of life");
}

#[test]
fn errors_go_to_stderr_and_name_the_remedy() {
    let options = Options { simulated: true, ..Options::default() };
    let (out, err) = written(options, &Secrets::default(), |reporter| {
        reporter
            .error("terraform is not found\nit is looked for in PATH", Some("install it, or set `binary`"));
    });
    assert_eq!(out, "");
    insta::assert_snapshot!(err, @r"
    [simulated] error: terraform is not found
    [simulated]   it is looked for in PATH
    [simulated]   help: install it, or set `binary`
    ");
}

#[test]
fn what_is_told_during_a_prompt_comes_after_it() {
    let (out, _) = written(Options::default(), &Secrets::default(), |reporter| {
        let held = reporter.hold();
        reporter.event(&event(0, false, What::Note { text: "meanwhile".into() }));
        reporter.say("more");
        drop(held);
        reporter.say("after");
    });
    assert_eq!(out, "meanwhile\nmore\nafter\n");
}

fn strip(text: &str) -> String {
    let mut out = String::new();
    let mut parts = text.split("\u{1b}[");
    out.push_str(parts.next().unwrap());
    for part in parts {
        out.push_str(part.split_once('m').unwrap().1);
    }
    out
}
