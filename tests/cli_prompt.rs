//! Who may say yes, to what, and what becomes of a yes that is out of date.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::fs;

use common::{CORE, Fixture, PATIENCE, has_terraform};
use expectrl::process::unix::WaitStatus;
use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Session};

/// A command on a terminal of its own, 200 columns wide.
struct Terminal(OsSession);

impl Terminal {
    fn new(fixture: &Fixture, arguments: &[&str]) -> Self {
        let mut command = common::on_columns(200, env!("CARGO_BIN_EXE_blackstart").as_ref());
        command.args(arguments).current_dir(fixture.project()).env_clear().envs(fixture.variables());
        command.env("TERM", "xterm").env("NO_COLOR", "1");
        let mut session = Session::spawn(command).unwrap();
        session.get_process_mut().set_window_size(200, 50).unwrap();
        session.set_expect_timeout(Some(PATIENCE));
        Self(session)
    }

    /// Waits for the text and gives what came before it.
    #[track_caller]
    fn until(&mut self, text: &str) -> String {
        match self.0.expect(text) {
            Ok(found) => String::from_utf8_lossy(found.before()).into_owned(),
            Err(error) => panic!("no {text:?} on the terminal: {error}; it has {:?}", self.rest()),
        }
    }

    fn types(&mut self, line: &str) {
        self.0.send(format!("{line}\r")).unwrap();
    }

    fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = self.0.try_read(&mut buffer) {
            rest.extend_from_slice(&buffer[..read]);
        }
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Waits for its end; gives what it still said, and its exit code.
    #[track_caller]
    fn end(mut self) -> (String, i32) {
        let found = self.0.expect(Eof).unwrap();
        let text = String::from_utf8_lossy(found.as_bytes()).into_owned();
        match self.0.get_process().wait().unwrap() {
            WaitStatus::Exited(_, code) => (text, code),
            other => panic!("ended with {other:?} after {text:?}"),
        }
    }
}

/// The sandbox as a protected environment.
fn protected() -> Fixture {
    let fixture = Fixture::new();
    fixture.replace("blackstart.hcl", "simulated = true", "simulated = true\n  protected = true");
    fixture.sandbox(&[]);
    fixture
}

#[test]
fn nobody_to_ask_is_said_before_anything_is_touched() {
    let fixture = Fixture::new();
    let trace = fixture.path("trace");
    // Whatever would be started or sourced leaves a trace, and nothing else of the project is there.
    for name in ["terraform", "bash", "sh", "nomad", "git"] {
        fixture.script(&format!("trap/{name}"), &format!("#!/bin/sh\necho {name} >> {}\n", trace.display()));
    }
    fixture.set("PATH", fixture.path("trap"));
    fixture.replace(
        "blackstart.hcl",
        "environment \"prod\" {",
        "environment \"prod\" {\n  env_file = \"openrc.sh\"",
    );
    fixture.write("openrc.sh", &format!("export A=$(echo sourced >> {})\n", trace.display()));
    for folder in ["terraform", "plans", "nomad-jobs", "tfvars-examples"] {
        fs::remove_dir_all(fixture.project().join(folder)).unwrap();
    }
    let untouched = |arguments: &[&str]| {
        let out = fixture.run(arguments).code(4).says("--approve");
        assert!(out.stderr.contains("error") && out.stderr.contains("help"), "{out}");
        assert!(!trace.exists(), "{} was started by {out}", fs::read_to_string(&trace).unwrap());
        let left = fs::read_dir(fixture.state_root()).unwrap().count();
        assert_eq!(left, 0, "the state directory was written to by {out}");
    };
    untouched(&["stop", "prod"]);
    untouched(&["start", "-e", "prod"]);
    untouched(&["-e", "prod", "run", "cold-start"]);
    // A bare yes is not enough for a protected environment.
    untouched(&["stop", "prod", "--yes"]);
    // Nor is it ever a default, nor can its Nomad be another.
    fixture
        .run(&["stop", "prod", "--approve", "0", "--nomad-address", "http://127.0.0.1:1"])
        .code(1)
        .says("protected");
    fixture.run(&["stop"]).code(1).says("-e");
    assert!(!trace.exists());
}

#[test]
fn a_protected_environment_wants_its_name() {
    if !has_terraform() {
        return;
    }
    let fixture = protected();
    fixture.run(&["run", "bootstrap", "-e", "sandbox", "--yes"]).code(4);
    assert_eq!(fixture.persistent(), []);
    let mut terminal = Terminal::new(&fixture, &["run", "bootstrap", "-e", "sandbox"]);
    terminal.until("4 to add");
    terminal.until("type sandbox to approve (it is protected); empty refuses:");
    for wrong in ["prod", "y", "sandbax"] {
        assert_eq!(fixture.persistent(), []);
        terminal.types(wrong);
        terminal.until(&format!("'{wrong}' is not 'sandbox'"));
    }
    let (_, code) = terminal.end();
    assert_eq!((code, fixture.persistent().len()), (4, 0), "three wrong names");
    assert_eq!(fixture.serial("sandbox"), 0);
    // That no is on record, and leaves nothing to go on with.
    assert!(fixture.journal_types("sandbox").contains(&"denied".to_owned()));
    fixture.run(&["resume", "-e", "sandbox", "--approve", "0"]).code(1).says("no unfinished run");

    let mut terminal = Terminal::new(&fixture, &["run", "bootstrap", "-e", "sandbox"]);
    let shown = terminal.until("type sandbox to approve (it is protected); empty refuses:");
    assert!(shown.contains("module.persistent.terraform_data.tf_toto"), "{shown}");
    terminal.types("sandbax");
    terminal.until("'sandbax' is not 'sandbox'");
    terminal.until("try again");
    terminal.types("sandbox");
    terminal.until("Approved by");
    let (text, code) = terminal.end();
    assert_eq!(code, 0, "{text}");
    assert_eq!(fixture.persistent().len(), 4);
    let approved =
        fixture.journal("sandbox").into_iter().find(|(_, body)| body["type"] == "approved").unwrap().1;
    assert_eq!(approved["how"], "at the prompt");
    assert!(approved["who"].as_str().unwrap().starts_with("tester@"));

    // Ctrl-C at the question is a no.
    let mut terminal = Terminal::new(&fixture, &["start", "sandbox"]);
    terminal.until("type sandbox to approve (it is protected); empty refuses:");
    terminal.0.send("\x03").unwrap();
    let (text, code) = terminal.end();
    assert!([4, 5].contains(&code), "{code}: {text}");
    assert_eq!(fixture.core(), []);
}

#[test]
fn an_unprotected_one_wants_a_yes_and_a_breach_is_not_even_asked_about() {
    if !has_terraform() {
        return;
    }
    let fixture = Fixture::with_sandbox();
    fixture.run(&["run", "bootstrap", "-e", "sandbox"]).code(4).says("--yes");
    let mut terminal = Terminal::new(&fixture, &["run", "bootstrap", "-e", "sandbox"]);
    terminal.until("Approve?");
    // A word with a y in it is no yes, nor is one key without Enter.
    terminal.types("maybe");
    terminal.until("answer yes or no");
    terminal.types("n");
    assert_eq!(terminal.end().1, 4);
    assert_eq!(fixture.persistent(), []);
    let mut terminal = Terminal::new(&fixture, &["run", "bootstrap", "-e", "sandbox"]);
    terminal.until("Approve?");
    terminal.types("y");
    assert_eq!(terminal.end().1, 0);
    assert_eq!(fixture.persistent().len(), 4);

    fixture.append("terraform/modules/core/main.tf", "\nresource \"terraform_data\" \"tf_extra\" {}\n");
    let (text, code) = Terminal::new(&fixture, &["start", "sandbox"]).end();
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("tf_extra") && !text.contains("Approve?"), "{text}");
}

#[test]
fn a_digest_is_good_for_what_it_was_the_digest_of() {
    if !has_terraform() {
        return;
    }
    let fixture = protected();
    let digest = |plan: &str| fixture.ok(&["preview", plan, "-e", "sandbox"]).digest();
    let approve = |verb: &str, digest: &str| fixture.run(&[verb, "sandbox", "--approve", digest]);
    let bootstrap = digest("bootstrap");
    fixture.run(&["run", "bootstrap", "-e", "sandbox", "--approve", &bootstrap]).code(0);
    assert_eq!(fixture.persistent().len(), 4);
    // That yes has been used: what would be done now is nothing.
    fixture
        .run(&["run", "bootstrap", "-e", "sandbox", "--approve", &bootstrap])
        .code(0)
        .says("nothing to do");

    let first = digest("start");
    assert_eq!(digest("start"), first, "two looks at one state are one decision");
    let refused = |digest: &str, what: &str| {
        let (serial, records) = (fixture.serial("sandbox"), fixture.journal("sandbox").len());
        let out = approve("start", digest).code(4).never_says("Approved by").says(digest);
        let said = out.text();
        let (_, since) = said.split_once("since then").unwrap_or_else(|| panic!("not what changed: {out}"));
        assert!(since.contains(what), "no {what:?} in what changed: {out}");
        assert_eq!((fixture.serial("sandbox"), fixture.journal("sandbox").len()), (serial, records));
        assert_eq!(fixture.core(), []);
    };
    // Each file, and back again.
    for (file, old, new, what) in [
        ("nomad-jobs/job_creation.nomad.hcl", "git-", "git-9", "job_creation"),
        ("plans/start.hcl", "deadline = \"15m\"", "deadline = \"16m\"", "plan"),
        ("blackstart.hcl", "project = \"cosims\"", "project = \"cosims\" # ours", "blackstart.hcl"),
        (
            "tfvars-examples/test_env_configuration.tfvars",
            "eo1.large",
            "eo1.xlarge",
            "test_env_configuration.tfvars",
        ),
        (
            "tfvars-examples/test_env_secrets.tfvars",
            "example-test-database",
            "other-test-database",
            "test_env_secrets.tfvars",
        ),
        ("terraform/modules/core/main.tf", "size_gb = 20", "size_gb = 21", "tf_tete_volume"),
    ] {
        let text = fixture.read(file);
        fixture.replace(file, old, new);
        refused(&first, what);
        assert_ne!(digest("start"), first, "{file}");
        fixture.write(file, &text);
    }
    assert_eq!(digest("start"), first);
    // One that nobody ever saw, and that of another plan.
    approve("start", "0123456789abcdef01234567").code(4).never_says("Approved by");
    approve("start", &bootstrap).code(4).never_says("Approved by");
    // The state, though the changes to come are the same.
    fixture.terraform(&[
        "apply",
        "-target=module.persistent",
        "-replace=module.persistent.terraform_data.tf_toto",
    ]);
    refused(&first, "serial");
    let second = digest("start");
    assert_ne!(second, first);
    approve("start", &second).code(0).says("Approved by tester@");
    assert_eq!(fixture.core().len(), CORE);

    // A job on the server, and one with its file, between the look and the yes.
    let file = "nomad-jobs/job_creation.nomad.hcl";
    fixture.replace(file, ":git-", ":git-9");
    let third = digest("start");
    let mut terminal = Terminal::new(&fixture, &["patch", "image", "monitor=git-other", "-e", "sandbox"]);
    terminal.until("type sandbox to approve (it is protected); empty refuses:");
    terminal.types("sandbox");
    // prod, which is protected too, reads the same file.
    terminal.until("it changes prod's files");
    terminal.types("prod");
    let (text, code) = terminal.end();
    assert_eq!(code, 0, "{text}");
    let mut job = fixture.nomad("/v1/job/job_creation").unwrap();
    job["TaskGroups"][0]["Tasks"][0]["Env"]["BY_HAND"] = "1".into();
    fixture.register(&job);
    let out = approve("start", &third).code(4).says("since then").never_says("Approved by");
    assert!(out.text().contains("job_creation") && out.text().contains("monitor"), "{out}");
    let mut job = fixture.nomad("/v1/job/job_creation").unwrap();
    assert!(job.to_string().contains("BY_HAND"), "{job}");
    // As its file says again, so that a stop loses nothing.
    fixture.replace(file, ":git-9", ":git-");
    job["TaskGroups"][0]["Tasks"][0]["Env"].as_object_mut().unwrap().remove("BY_HAND");
    fixture.register(&job);

    let stop = digest("stop");
    assert_ne!(stop, third);
    approve("stop", &third).code(4);
    approve("stop", &stop).code(0);
    assert_eq!(fixture.core(), []);
}
