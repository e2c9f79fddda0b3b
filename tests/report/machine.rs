//! JSON lines, masking, and that nothing steers a terminal.

use blackstart::base::Secrets;
use blackstart::event::{Ending, Event, Line, Mark, StepShown, Verdict, What};
use blackstart::report::{Options, Reporter, Table};
use proptest::prelude::*;

use super::events::{cold_start, event, pause, prose, refusal, terminal, written};

fn json() -> Options {
    Options { json: true, ..Options::default() }
}

fn show(reporter: &Reporter, events: &[Event]) {
    for event in events {
        reporter.event(event);
    }
}

#[test]
fn with_json_stdout_holds_events_and_nothing_else() {
    let events: Vec<Event> = [cold_start(), refusal(), pause()].concat();
    let (out, err) = written(json(), &Secrets::default(), |reporter| {
        show(reporter, &events);
        reporter.say("for people");
        reporter.table(&Table::new(["A"]).row(["b"]));
        reporter.error("wrong", None);
    });
    let read: Vec<Event> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |events: &[Event]| events.iter().map(|e| format!("{e:?}\n")).collect::<String>();
    assert_eq!(text(&read), text(&events));
    assert_eq!(err, "error: wrong\n");
}

#[test]
fn secrets_are_masked_by_value() {
    let secrets = Secrets::default();
    secrets.add("s3cret\"value\nsecond line");
    // Words of the format stay readable even when somebody's password is one of them.
    secrets.add("step_failed");
    let error = "login with s3cret\"value\nsecond line failed".to_owned();
    let failed =
        event(0, false, What::StepFailed { step: "db".into(), error, seconds: 1.0, interrupted: false });
    for options in [json(), Options::default()] {
        let machine = options.json;
        let (out, err) = written(options, &secrets, |reporter| {
            reporter.event(&failed);
            reporter.error("again s3cret\"value", None);
            reporter.table(&Table::new(["A"]).row(["s3cret\"value"]));
            reporter.json(&serde_json::json!({ "s3cret\"value": ["s3cret\"value"] }));
        });
        for text in [&out, &err] {
            assert!(
                text.contains("(secret)") && !text.contains("s3cret") && !text.contains("second line"),
                "{text}"
            );
        }
        assert!(!machine || serde_json::from_str::<Event>(out.lines().next().unwrap()).is_ok());
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    struct Closed;
    impl std::io::Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let reporter = Reporter::with_output(Options::default(), Secrets::default(), Closed, Closed);
    show(&reporter, &cold_start());
    reporter.error("wrong", Some("help"));
}

fn text() -> impl Strategy<Value = String> {
    "(\\PC|[\u{0}-\u{9f}]|[\u{200e}\u{202a}-\u{202e}\u{2066}-\u{2069}\u{2028}]|\u{1b}\\[31m){0,30}"
}

fn whats() -> impl Strategy<Value = Vec<What>> {
    (text(), text(), text(), text(), 0_u32..4, prop::option::of(text())).prop_map(|(a, b, c, d, n, o)| {
        let line = |mark| Line::new(mark, u8::try_from(n).unwrap(), d.clone());
        let lines = vec![line(Mark::Plain), line(Mark::Offending), line(Mark::Replace)];
        let step = StepShown {
            wave: a.clone(),
            step: b.clone(),
            kind: c.clone(),
            summary: d.clone(),
            lines,
            later: o.clone(),
        };
        let (verdict, passes) = (Verdict::NoData, n);
        vec![
            What::Target {
                project: a.clone(),
                environment: b.clone(),
                protected: n == 1,
                plan: c.clone(),
                details: vec![(d.clone(), a.clone()), (b.clone(), c.clone())],
            },
            What::Note { text: a.clone() },
            What::Warning { text: b.clone() },
            What::CheckPassed { name: a.clone(), wave: o.clone() },
            What::CheckFailed { name: a.clone(), wave: o.clone(), error: b.clone() },
            What::Looking { step: a.clone(), doing: b.clone() },
            What::Shown { step },
            What::Decision { digest: a.clone(), waves: vec![b.clone(), c.clone()], later: n as usize },
            What::Approved { who: a.clone(), how: b.clone() },
            What::WaveStarted { wave: a.clone(), index: 1, of: 2 },
            What::StepStarted { wave: a.clone(), step: b.clone(), kind: c.clone(), summary: d.clone() },
            What::StepProgress {
                step: b.clone(),
                item: o.clone(),
                text: d.clone(),
                done: Some(n as usize),
                of: Some(3),
            },
            What::StepProgress { step: b.clone(), item: o.clone(), text: c.clone(), done: None, of: None },
            What::GateStarted { wave: a.clone(), gate: b.clone(), every: 0.5, deadline: 3e9, consecutive: n },
            What::GateSampled {
                wave: a.clone(),
                gate: b.clone(),
                verdict,
                detail: c.clone(),
                passes,
                needed: 3,
                waited: 7.0,
            },
            What::GatePassed { wave: a.clone(), gate: b.clone(), detail: c.clone(), waited: 1.5 },
            What::GateFailed { wave: a.clone(), gate: b.clone(), error: d.clone(), waited: 1.5 },
            What::Recorded { name: a.clone(), value: serde_json::json!({ b.clone(): [c.clone()] }) },
            What::StepDone { step: b.clone(), summary: a.clone(), seconds: 2.0 },
            What::StepFailed { step: b.clone(), error: c.clone(), seconds: 2.0, interrupted: false },
            What::Interrupted { text: d.clone() },
            What::WaveDone { wave: a.clone(), seconds: 2.0 },
            What::Finished {
                ending: Ending::Failed,
                summary: a.clone(),
                done: vec![b.clone()],
                not_done: vec![c.clone()],
                next: o.clone(),
                help: None,
                head: o,
                seconds: 1.0,
            },
        ]
    })
}

fn steers(c: char) -> bool {
    c != '\n' && c.is_control()
        || matches!(c, '\u{200e}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}')
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_control_character_passes(whats in whats(), simulated: bool) {
        let events: Vec<Event> = whats.into_iter().map(|what| event(0, simulated, what)).collect();
        for options in [Options::default(), terminal(), Options { verbose: 2, ..Options::default() }] {
            let shown = prose(&options, &events);
            prop_assert!(!shown.chars().any(steers), "{shown:?}");
            prop_assert!(!simulated || shown.lines().all(|line| line.starts_with("[simulated] ")));
        }
        let (lines, _) = written(json(), &Secrets::default(), |reporter| {
            show(reporter, &events);
        });
        prop_assert!(!lines.chars().any(steers), "{lines:?}");
        let read: Result<Vec<Event>, _> = lines.lines().map(serde_json::from_str::<Event>).collect();
        prop_assert_eq!(format!("{:?}", read.unwrap()), format!("{:?}", events));
    }
}
