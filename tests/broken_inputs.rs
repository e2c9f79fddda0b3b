//! What is wrong, where, and what to do next: every broken input through the real binary, word for word.
//!
//! Each leaves nothing changed beyond what it says to have done.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use blackstart::sim::{Infrastructure, NodeSize, Sandbox, SandboxOptions};
use common::{Fixture, Outcome, has_terraform};
use regex::Regex;
use serde_json::{Value, json};

const COLD: &str = "plans/cold-start.hcl";
const START: &str = "plans/start.hcl";
const MONITOR: &str = "nomad-jobs/monitor.nomad.hcl";
const SECRETS: &str = "tfvars-examples/test_env_secrets.tfvars";

/// How it ended, without what differs from run to run.
fn said(fixture: &Fixture, outcome: &Outcome) -> String {
    let text = outcome.text();
    let mut lines: Vec<&str> = text.lines().collect();
    // Of a run, only its end.
    let end = |line: &&str| {
        let line = line.trim_start_matches("[simulated] ");
        ["Failed", "Refused", "Paused", "error:"].iter().any(|word| line.starts_with(word))
    };
    if let Some(at) = lines.iter().position(end) {
        lines.drain(..at);
    }
    let mut text = lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n");
    text = text.replace(&fixture.path("").display().to_string(), "[DIR]/");
    for (pattern, with) in [
        (r"\d{8}-\d{6}-[a-z0-9]{4}", "[RUN]"),
        (r"127\.0\.0\.1:\d+", "[ADDRESS]"),
        (r"[0-9a-f]{24,}", "[HASH]"),
        (r"took +.*", "took [TIME]"),
        (r"after [0-9][0-9a-z ]*", "after [TIME]"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    format!("exit {}\n{text}", outcome.code.unwrap())
}

/// A fixture that has no terraform on its PATH: the stand-in takes its place.
fn simulated() -> Fixture {
    let fixture = Fixture::new();
    fixture.set("PATH", fixture.path("home").display().to_string());
    fixture
}

/// One edit of one file, and what `validate` and a command that needs the file say.
fn broken(name: &str, file: &str, edit: (&str, &str), place: &str) {
    let fixture = simulated();
    fixture.replace(file, edit.0, edit.1);
    let validated = fixture.run(&["validate"]).code(1).says(place);
    insta::assert_snapshot!(name, said(&fixture, &validated));
    if file == "blackstart.hcl" || file == COLD {
        fixture.run(&["rehearse", "cold-start"]).code(1).says(place);
    }
    if file == MONITOR {
        fixture.run(&["rehearse", "start"]).code(1).says(place).says("nothing was changed");
    }
    assert!(fs::read_dir(fixture.state_root()).unwrap().next().is_none(), "the state directory was used");
}

#[test]
fn a_typo_in_a_block() {
    let edit = ("environment \"test\"", "enviroment \"test\"");
    broken("typo_in_settings", "blackstart.hcl", edit, "blackstart.hcl:33:1");
    broken("typo_in_plan", COLD, ("wave \"light\"", "wav \"light\""), "plans/cold-start.hcl:104:3");
}

#[test]
fn names_that_nothing_has() {
    let edit = ("applies     = downtime >", "applies     = downtme >");
    broken("unknown_root", COLD, edit, "plans/cold-start.hcl:7:17");
    let edit = ("result.days * duration(\"24h\")", "result.days * var.day");
    broken("unknown_variable", COLD, edit, "plans/cold-start.hcl:111:33");
    let edit = ("probe.published, probe.indexed", "probe.publishd, probe.indexed");
    broken("unknown_probe", COLD, edit, "plans/cold-start.hcl:96:44");
    broken("unknown_step", COLD, ("step.gfsc-daily", "step.gfsc-dayly"), "plans/cold-start.hcl:145:25");
}

#[test]
fn steps_that_wait_for_one_another() {
    let edit =
        ("'rlies1_job']\" }\n      repeatable = true", "'rlies1_job']\" }\n      after = [step.services]");
    broken("cycle", COLD, edit, "plans/cold-start.hcl:83:5");
}

#[test]
fn a_step_twice() {
    broken(
        "step_twice",
        COLD,
        ("\"sql\" \"light-types\"", "\"sql\" \"first-types\""),
        "plans/cold-start.hcl:115:5",
    );
}

#[test]
fn two_environments_on_one_state() {
    let edit = ("workspace = \"prod\"", "workspace = \"test\"");
    broken("two_on_one_state", "blackstart.hcl", edit, "blackstart.hcl:36:3");
}

#[test]
fn job_files() {
    broken(
        "job_syntax",
        MONITOR,
        ("driver = \"docker\"", "driver = \"docker"),
        "nomad-jobs/monitor.nomad.hcl:40:23",
    );
    broken("job_attribute", MONITOR, ("driver =", "drivr  ="), "nomad-jobs/monitor.nomad.hcl:40:7");
}

#[test]
fn everything_wrong_is_told_in_one_go() {
    let fixture = simulated();
    fixture.replace("blackstart.hcl", "environment \"test\"", "enviroment \"test\"");
    fixture.replace(COLD, "wave \"light\"", "wav \"light\"");
    fixture.replace(COLD, "applies     = downtime", "applies     = downtme");
    fixture.replace(MONITOR, "driver =", "drivr  =");
    fixture.append(SECRETS, "x = y\n");
    let outcome = fixture.run(&["validate"]).code(1);
    insta::assert_snapshot!("everything_in_one_go", said(&fixture, &outcome));
}

#[test]
fn no_project() {
    let fixture = simulated();
    fs::remove_file(fixture.project().join("blackstart.hcl")).unwrap();
    let outcome = fixture.run(&["start", "sandbox", "--yes"]).code(1);
    insta::assert_snapshot!("no_project", said(&fixture, &outcome));
    fixture.run(&["validate"]).code(1).says("there is no blackstart.hcl");
}

#[test]
fn a_missing_var_file() {
    let fixture = simulated();
    fs::remove_file(fixture.project().join(SECRETS)).unwrap();
    let outcome = fixture.run(&["validate"]).code(1);
    insta::assert_snapshot!("missing_var_file", said(&fixture, &outcome));
    fixture.set("DATABASE_URL", "sqlite:none");
    fixture.run(&["start", "test", "--yes"]).code(1).says("blackstart.hcl:42:7");
    assert!(fixture.journal("test").is_empty());
}

#[test]
fn no_terraform() {
    let fixture = simulated();
    fixture.set("DATABASE_URL", "sqlite:none");
    let outcome = fixture.run(&["start", "test", "--yes", "--downtime", "1h"]).code(1);
    insta::assert_snapshot!("no_terraform", said(&fixture, &outcome));
    assert!(fixture.journal("test").is_empty());
}

#[test]
fn words_on_the_command_line() {
    let fixture = simulated();
    let mut all = String::new();
    let cases: &[(&[&str], i32)] = &[
        (&["start", "sandbx", "--yes"], 1),
        (&["rehearse", "cold-stat"], 1),
        (&["-e", "sandbox", "resume", "--guard", "nonsense", "--yes"], 1),
        (&["-e", "sandbox", "resume", "--guard", "add=lots", "--yes"], 1),
        (&["start", "sandbox", "--downtime", "soon", "--yes"], 1),
        (&["rehearse", "start", "--var", "a"], 1),
        (&["rehearse", "start", "--var", "a=1"], 1),
        (&["start", "sandbox", "-auto-approve"], 1),
        (&["start", "sandbox", "--yes"], 1),
        (&["stop", "prod"], 4),
    ];
    for (arguments, code) in cases {
        let outcome = fixture.run(arguments).code(*code);
        all.push_str(&format!("$ blackstart {}\n{}\n\n", arguments.join(" "), said(&fixture, &outcome)));
    }
    insta::assert_snapshot!("words", all);
}

/// What goes wrong outside a run is a document, too, and nothing else is said.
#[test]
fn errors_are_documents_where_documents_are_asked_for() {
    let fixture = simulated();
    let document = |arguments: &[&str], code: i32| -> Value {
        let outcome = fixture.run(&[arguments, &["--json"]].concat()).code(code);
        assert_eq!(outcome.stderr, "", "{outcome}");
        serde_json::from_str(outcome.stdout.trim()).unwrap()
    };
    let found = document(&["start", "sandbx", "--yes"], 1);
    assert_eq!((&found["type"], &found["exit"]), (&json!("failed"), &json!(1)), "{found}");
    assert!(found["message"].as_str().unwrap().contains("sandbx"), "{found}");
    assert!(found["help"].as_str().unwrap().contains("sandbox"), "{found}");
    assert_eq!(document(&["patch", "save", "-e", "nowhere"], 1)["exit"], 1);

    fixture.replace(START, "operation", "operatoin");
    let found = document(&["rehearse", "start"], 1);
    let first = &found["diagnostics"][0];
    assert_eq!((&first["file"], &first["line"]), (&json!(START), &json!(3)), "{found}");
    assert_eq!(found["message"], Value::Null, "{found}");
}

#[test]
fn a_variable_given_twice() {
    let fixture = simulated();
    fixture.replace(
        START,
        "  wave \"services\"",
        "  variable \"a\" {\n    default = \"\"\n  }\n\n  wave \"services\"",
    );
    fixture.ok(&["rehearse", "start", "--var", "a=1"]);
    let outcome = fixture.run(&["rehearse", "start", "--var", "a=1", "--var", "a=2"]).code(1);
    insta::assert_snapshot!("variable_twice", said(&fixture, &outcome));
}

/// Gates that don't pass in time stop the run where it stands; the command that it names goes on from there.
#[test]
fn a_gate_past_its_deadline() {
    for on_deadline in ["fail", "ask"] {
        let fixture = simulated();
        fixture.sandbox(&["--speed", "600"]);
        let gate = format!(
            "\n    gate \"workers\" {{\n      sql {{\n        database = \"main\"\n        query    = \"select \
             max_number_of_worker_instances as n from cosims.system_parameters\"\n      }}\n      \
             until       = result.n > 1000\n      every       = \"5s\"\n      deadline    = \"1m\"\n      \
             on_deadline = \"{on_deadline}\"\n    }}\n  }}\n}}\n"
        );
        let plan = fixture.read(START);
        let plan =
            plan.trim_end().strip_suffix('}').unwrap().trim_end().strip_suffix('}').unwrap().to_owned();
        fixture.write(START, &format!("{}{gate}", plan.trim_end_matches(' ')));
        let outcome = fixture.run(&["start", "sandbox", "--yes"]).code(5);
        insta::assert_snapshot!(format!("gate_{on_deadline}"), said(&fixture, &outcome));
        assert_eq!(fixture.journal_types("sandbox").last().map(String::as_str), Some("run_paused"));

        let database = fixture.sandbox_file()["database"].as_str().unwrap().to_owned();
        let database = rusqlite::Connection::open(database).unwrap();
        database.busy_timeout(common::PATIENCE).unwrap();
        database.execute("update system_parameters set max_number_of_worker_instances = 2000", []).unwrap();
        let text = outcome.text();
        let hint = text.lines().find_map(|line| line.split_once("go on with  blackstart ")).unwrap().1;
        let mut arguments: Vec<&str> = hint.split_whitespace().collect();
        arguments.push("--yes");
        fixture.ok(&arguments);
        let types = fixture.journal_types("sandbox");
        assert_eq!(types.last().map(String::as_str), Some("run_done"));
        let intents = types.iter().filter(|kind| *kind == "step_intended").count();
        assert_eq!(intents, 2, "steps that were done are done once: {types:?}");
    }
}

#[test]
fn nomad_is_unreachable() {
    if !has_terraform() {
        return;
    }
    let fixture = Fixture::new();
    fixture.set("DATABASE_URL", "sqlite:none");
    // Free a moment ago, and nothing else asks for it: ports are handed out in turn.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let arguments = ["-e", "test", "--nomad-address", &address, "patch", "image", "monitor=git-x", "--yes"];
    let outcome = fixture.run(&arguments).code(1).says(&address);
    insta::assert_snapshot!("nomad_unreachable", said(&fixture, &outcome));
}

/// A sandbox of this process, made as the test wants it; everything is up.
fn within(fixture: &Fixture, change: impl FnOnce(&mut SandboxOptions), then: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut options = SandboxOptions::new(fixture.state_dir("sandbox"));
    options.listen = (Ipv4Addr::LOCALHOST, 0).into();
    options.speed = 600.0;
    options.without_state = Infrastructure::whole();
    change(&mut options);
    fs::create_dir_all(fixture.state_dir("sandbox")).unwrap();
    let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
    then();
    runtime.block_on(sandbox.shut_down()).unwrap();
}

#[test]
fn the_token_is_refused() {
    let fixture = simulated();
    within(
        &fixture,
        |options| options.token = Some("open-sesame".into()),
        || {
            let outcome = fixture.run(&["-e", "sandbox", "patch", "image", "monitor=git-x", "--yes"]).code(1);
            insta::assert_snapshot!("token_refused", said(&fixture, &outcome));
            assert!(!fixture.journal_types("sandbox").contains(&"step_intended".to_owned()));
        },
    );
}

#[test]
fn the_cluster_is_full() {
    let fixture = simulated();
    let small = NodeSize { cpu: 1000, memory: 4096, disk: 50_000 };
    within(
        &fixture,
        |options| options.nodes = BTreeMap::from([("*".to_owned(), small)]),
        || {
            // Which job comes too late for a place isn't the same every time.
            fixture
                .run(&["-e", "sandbox", "start", "--downtime", "1h", "--yes"])
                .code(1)
                .says("': it cannot be placed")
                .says("no place for 1 allocation (2 nodes looked at): too little cpu on 2 nodes")
                .says("cpu: too little on 2 of 2 nodes; ")
                .says("make room, or ask for less in the job file")
                .says("go on with  blackstart resume ");
            assert_eq!(fixture.journal_types("sandbox").last().map(String::as_str), Some("run_failed"));
        },
    );
}

/// What outlives every stop is there, the core isn't, and no journal says since when.
#[test]
fn the_downtime_is_unknown() {
    if !has_terraform() {
        return;
    }
    let fixture = Fixture::new();
    fixture.set("DATABASE_URL", "sqlite:none");
    fixture.ok(&["run", "bootstrap", "-e", "test", "--yes"]);
    fixture.set("BLACKSTART_STATE_DIR", fixture.path("elsewhere").display().to_string());
    let serial = fixture.serial("test");
    let outcome = fixture.run(&["start", "test", "--yes"]).code(3);
    insta::assert_snapshot!("unknown_downtime", said(&fixture, &outcome));
    assert_eq!(fixture.serial("test"), serial);
}

#[test]
fn a_journal_that_was_edited() {
    let fixture = simulated();
    fixture.sandbox(&["--speed", "600"]);
    fixture.ok(&["run", "bootstrap", "-e", "sandbox", "--yes"]);
    fixture.run(&["-e", "sandbox", "show", "20260101"]).code(1).says("there is no run '20260101'");
    let path = fixture.state_dir("sandbox").join("journal.db");
    let edit = rusqlite::Connection::open(&path).unwrap();
    edit.execute("update records set body = replace(body, 'bootstrap', 'bootstrop') where seq = 1", [])
        .unwrap();
    let before = fs::read(&path).unwrap();
    for arguments in [&["-e", "sandbox", "runs"][..], &["-e", "sandbox", "start", "--yes"]] {
        let outcome = fixture.run(arguments).code(1);
        insta::assert_snapshot!("edited_journal", said(&fixture, &outcome));
    }
    assert_eq!(fs::read(&path).unwrap(), before);
}
