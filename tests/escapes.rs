//! Nothing that a job, a node, a task or a server says steers the terminal, spoofs a line of ours, or buries
//! what matters: the real binary against a Nomad that tries, on a terminal and off one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;
#[path = "escapes/hostile.rs"]
mod hostile;

use std::process::Command;

use common::{Fixture, Outcome, PATIENCE};
use expectrl::{Eof, Expect, Session};
use hostile::{Hostile, NASTY, job, too_big};
use serde_json::Value;

/// Longer than any line that is ours.
const LONGEST: usize = 4000;

struct Bench {
    fixture: Fixture,
    nomad: Hostile,
}

impl Bench {
    fn new(jobs: Vec<Value>) -> Self {
        Self { fixture: Fixture::new(), nomad: Hostile::new(jobs) }
    }

    fn arguments(&self, own: &[&str]) -> Vec<String> {
        let all =
            ["-e", "test", "--nomad-address", &self.nomad.address].into_iter().chain(own.iter().copied());
        all.map(str::to_owned).collect()
    }

    /// Off a terminal, as text and as JSON.
    fn run(&self, own: &[&str]) -> Outcome {
        let out = self.fixture.run(&self.arguments(own));
        for text in [&out.stdout, &out.stderr] {
            harmless(text, &out);
        }
        out
    }

    fn json(&self, own: &[&str]) -> Outcome {
        let mut own = own.to_vec();
        own.push("--json");
        let out = self.fixture.run(&self.arguments(&own));
        harmless(&out.stderr, &out);
        assert!(!out.stdout.is_empty(), "{out}");
        for line in out.stdout.split('\n').filter(|line| !line.is_empty()) {
            let read: Result<Value, _> = serde_json::from_str(line);
            assert!(read.is_ok(), "{read:?}: {line:?}");
            assert!(!line.chars().any(steers), "{line:?}");
        }
        out
    }

    /// On a terminal: answers `y` to each question; everything that was written to it.
    fn terminal(&self, own: &[&str]) -> String {
        let command = self.fixture.command(&self.arguments(own));
        let mut whole = Command::new(command.get_program());
        whole.args(command.get_args()).current_dir(self.fixture.project()).env_clear();
        whole.envs(self.fixture.variables()).env("TERM", "xterm");
        let mut session = Session::spawn(whole).unwrap();
        session.get_process_mut().set_window_size(120, 40).unwrap();
        session.set_expect_timeout(Some(PATIENCE));
        let mut all = Vec::new();
        let asked = session.expect("[y/N]").unwrap();
        all.extend_from_slice(asked.before());
        session.send("y\r").unwrap();
        let rest = session.expect(Eof).unwrap();
        all.extend_from_slice(rest.as_bytes());
        let all = String::from_utf8(all).unwrap();
        drawn(&all);
        all
    }
}

/// Everything that must not reach a terminal as it is; our own line ends aside.
fn steers(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[track_caller]
fn harmless(text: &str, whole: &Outcome) {
    for line in text.split('\n') {
        assert!(!line.chars().any(steers), "{line:?}");
        assert!(!line.starts_with("SPOOFED"), "a line of its own: {whole}");
        let start: String = line.chars().take(200).collect();
        assert!(line.len() <= LONGEST, "{} bytes: {start}", line.len());
    }
}

/// What is drawn on a terminal holds only what we draw with: colours, and the moves of progress lines.
#[track_caller]
fn drawn(all: &str) {
    assert!(!all.contains("\u{1b}[2J"), "the screen is cleared");
    let own = regex::Regex::new("\u{1b}\\[[0-9;]*[mABCDGHKJ]|\u{1b}\\[\\?(25|2004)[hl]|[\r]").unwrap();
    let text = own.replace_all(all, "");
    for line in text.split('\n') {
        assert!(!line.chars().any(steers), "{line:?}");
        assert!(!line.starts_with("SPOOFED"), "a line of its own: {line:?}");
    }
}

fn selector(id: &str, tag: &str) -> String {
    format!("{id}{NASTY}={tag}")
}

#[test]
fn a_patch_and_how_it_is_told() {
    let bench = Bench::new(vec![job("web", "git-old"), job("api", "git-old")]);
    let out = bench.run(&["patch", "image", &selector("web", "git-new"), "--yes"]).code(0);
    // It was there to be shown: names, diff and warnings.
    for text in ["web\\u{1b}[2J", "group\\u{1b}", "task\\u{1b}", "Nomad warns: a warning\\u{1b}"] {
        assert!(out.text().contains(text), "no {text:?} in {out}");
    }
    bench.json(&["patch", "image", &selector("web", "git-newer"), "--yes"]).code(0);
    let shown = bench.terminal(&["patch", "image", &selector("api", "git-new")]);
    assert!(shown.contains("api\\u{1b}[2J") && shown.contains("Done"), "{shown}");
}

#[test]
fn a_failure_and_why() {
    let bench = Bench::new(vec![job("web", "git-old"), job("api", "git-old")]);
    let out = bench.run(&["patch", "image", &selector("web", "git-bad"), "--yes"]).code(1);
    assert!(out.text().contains("Failed to pull") && out.text().contains("on tf-t"), "{out}");
    bench.json(&["patch", "image", &selector("api", "git-bad"), "--yes"]).code(1);
    let shown = bench.terminal(&["patch", "image", &selector("web", "git-worse-bad")]);
    assert!(shown.contains("FAILED") && shown.contains("Failed to pull"), "{shown}");
}

#[test]
fn errors_and_suggestions() {
    let bench = Bench::new(vec![job("web", "git-old")]);
    for wrong in ["wb", "elsewhere"] {
        let out = bench.run(&["patch", "image", &selector(wrong, "git-new"), "--yes"]).code(1);
        assert!(out.text().contains("\\u{1b}"), "{out}");
        bench.json(&["patch", "image", &selector(wrong, "git-new"), "--yes"]);
    }
    for server in ["broken", "refused"] {
        let out = bench.run(&["patch", "image", &format!("{server}=git-new"), "--yes"]).code(1);
        assert!(out.text().contains("\\u{1b}[2J") && out.text().contains("SPOOFED"), "{out}");
        bench.json(&["patch", "image", &format!("{server}=git-new"), "--yes"]);
    }
}

#[test]
fn the_state_of_things() {
    let bench = Bench::new(vec![job("web", "git-old"), too_big("big")]);
    let out = bench.run(&["status"]);
    assert!(out.text().contains("web\\u{1b}[2J") && out.text().contains("big\\u{1b}[2J"), "{out}");
    bench.json(&["status"]);
    // Both run, and no file has them.
    let out = bench.run(&["drift"]);
    assert!(out.text().contains("web\\u{1b}[2J") && out.text().contains("big\\u{1b}[2J"), "{out}");
    bench.json(&["drift"]);
}

/// Job files come from other people too.
#[test]
fn a_preview_of_a_start() {
    let bench = Bench::new(vec![job("web", "git-old")]);
    let nasty: String = NASTY.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    bench.fixture.write(
        "hostile/web.nomad.hcl",
        &format!(
            "job \"web{nasty}\" {{\n  meta {{\n    why = \"because{nasty}\"\n  }}\n  group \"one{nasty}\" {{\n    \
             task \"task{nasty}\" {{\n      driver = \"docker\"\n      config {{\n        \
             image = \"registry.example.com/team/web:git-new\"\n      }}\n    }}\n  }}\n}}\n"
        ),
    );
    bench.fixture.write(
        "plans/hostile.hcl",
        "plan \"hostile\" {\n  operation = \"other\"\n  wave \"all\" {\n    step \"nomad_job\" \"jobs\" {\n      \
         files = [\"hostile/*.nomad.hcl\"]\n    }\n  }\n}\n",
    );
    let out = bench.run(&["preview", "hostile"]).code(0);
    for text in ["web\\u{1b}[2J", "one\\u{1b}[2J", "because\\u{1b}[2J"] {
        assert!(out.text().contains(text), "no {text:?} in {out}");
    }
    bench.json(&["preview", "hostile"]).code(0);
}
