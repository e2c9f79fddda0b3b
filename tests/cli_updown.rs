//! Stop and start of the reference environment's sandbox on the real `terraform`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{CORE, Fixture, Outcome, Resource, has_terraform, outcome, program};
use serde_json::Value;

const SERVICES: [&str; 6] = [
    "job_configuration",
    "job_creation",
    "job_execution",
    "job_publication",
    "monitor",
    "worker_pool_management",
];

/// What a refused command must not have touched.
#[derive(Debug, PartialEq)]
struct Untouched {
    serial: u64,
    core: Vec<Resource>,
    persistent: Vec<Resource>,
    records: usize,
}

fn now(fixture: &Fixture) -> Untouched {
    Untouched {
        serial: fixture.serial("sandbox"),
        core: fixture.core(),
        persistent: fixture.persistent(),
        records: fixture.journal("sandbox").len(),
    }
}

fn bootstrapped() -> Fixture {
    let fixture = Fixture::with_sandbox();
    fixture.ok(&["run", "bootstrap", "-e", "sandbox", "--yes"]);
    fixture
}

/// The addresses on lines that say what is not expected.
fn marked(out: &Outcome) -> BTreeSet<String> {
    let lines = out.stdout.lines().filter(|line| line.contains("not expected"));
    lines
        .map(|line| line.split_whitespace().find(|word| word.contains("terraform_data.")).unwrap().to_owned())
        .collect()
}

/// Each of the addresses is shown before the decision, which stands before the approval, which stands
/// before the first wave.
fn shown_then_approved(out: &Outcome, addresses: &[Resource], counts: &str) {
    let (decision, approved) = (out.place("Decision "), out.place("Approved by tester@"));
    let began = out.place("wave 1 of 2");
    assert!(out.place(counts) < decision && decision < approved && approved < began, "{out}");
    for resource in addresses {
        let line = out.stdout.lines().position(|line| line.ends_with(&format!(" {}", resource.address)));
        let decision = out.stdout.lines().position(|line| line.contains("Decision ")).unwrap();
        assert!(line.is_some_and(|line| line < decision), "{} in {out}", resource.address);
    }
}

/// Nomad's own view: the six jobs run, and every allocation of theirs is healthy.
fn six_healthy_jobs(fixture: &Fixture) {
    let jobs = fixture.nomad("/v1/jobs").unwrap();
    let ids: BTreeSet<&str> =
        jobs.as_array().unwrap().iter().map(|job| job["ID"].as_str().unwrap()).collect();
    assert_eq!(ids, BTreeSet::from(SERVICES));
    for id in SERVICES {
        let job = fixture.nomad(&format!("/v1/job/{id}")).unwrap();
        assert_eq!((&job["Status"], &job["Stop"]), (&Value::from("running"), &Value::from(false)), "{id}");
        let allocations = fixture.nomad(&format!("/v1/job/{id}/allocations")).unwrap();
        let allocations = allocations.as_array().unwrap();
        let wanted: u64 =
            job["TaskGroups"].as_array().unwrap().iter().map(|group| group["Count"].as_u64().unwrap()).sum();
        assert_eq!(allocations.len() as u64, wanted, "{id}");
        for allocation in allocations {
            assert_eq!(allocation["ClientStatus"], "running", "{id}");
            assert_eq!(allocation["DeploymentStatus"]["Healthy"], true, "{id}");
        }
    }
}

#[test]
fn a_start_and_a_stop_move_the_thirteen_and_leave_the_rest() {
    if !has_terraform() {
        return;
    }
    let fixture = Fixture::with_sandbox();
    let out = fixture.ok(&["run", "bootstrap", "-e", "sandbox", "--yes"]);
    assert!(out.place("4 to add, 0 to change, 0 to destroy") < out.place("Approved by"));
    let persistent = fixture.persistent();
    assert_eq!(persistent.len(), 4);
    assert_eq!(fixture.core(), []);

    let out = fixture.ok(&["start", "sandbox", "--yes"]);
    let core = fixture.core();
    assert_eq!(core.len(), CORE);
    assert!(core.iter().all(|resource| !resource.tainted && !resource.id.is_empty()), "{core:?}");
    shown_then_approved(&out, &core, "13 to add, 0 to change, 0 to destroy");
    six_healthy_jobs(&fixture);
    assert_eq!(fixture.persistent(), persistent);

    let before = now(&fixture);
    fixture.ok(&["start", "sandbox", "--yes"]).says("nothing to do").never_says("Approved");
    assert_eq!(now(&fixture), before, "a start of what is up");

    let out = fixture.ok(&["stop", "sandbox", "--yes"]);
    shown_then_approved(&out, &core, "0 to add, 0 to change, 13 to destroy");
    assert_eq!(fixture.core(), []);
    assert_eq!(fixture.persistent(), persistent);
    assert_eq!(fixture.nomad("/v1/jobs"), None, "Nomad answers after the stop");

    let before = now(&fixture);
    fixture.ok(&["stop", "sandbox", "--yes"]).says("nothing to do").never_says("Approved");
    assert_eq!(now(&fixture), before, "a stop of what is down");

    // Approval before intent before outcome, in each run.
    let types = fixture.journal_types("sandbox");
    for run in types.split(|kind| kind == "run_started").skip(1) {
        let at = |kind: &str| run.iter().position(|found| found == kind).unwrap();
        assert!(at("approved") < at("step_intended") && at("step_intended") < at("step_done"), "{run:?}");
        assert_eq!(run.last().unwrap(), "run_done");
    }
}

/// A resource of module.core, or of the root, that the plans don't know of.
fn resource(name: &str, input: &str) -> String {
    format!("\nresource \"terraform_data\" \"{name}\" {{\n  input = {input}\n}}\n")
}

#[test]
fn a_stranger_among_the_thirteen_is_refused_before_approval() {
    if !has_terraform() {
        return;
    }
    let fixture = bootstrapped();
    let (core_file, root_file) = ("terraform/modules/core/main.tf", "terraform/main.tf");
    let (core_text, root_text) = (fixture.read(core_file), fixture.read(root_file));
    let refused = |verb: &str, address: &str, counts: &str| {
        let before = now(&fixture);
        let out = fixture.run(&[verb, "sandbox", "--yes"]).code(3).never_says("Approved").says(counts);
        assert_eq!(marked(&out), BTreeSet::from([address.to_owned()]), "{out}");
        assert_eq!(now(&fixture), before, "after a refused {verb}");
        // A person is not asked either, and a preview says the same.
        let out = fixture.run(&["preview", verb, "-e", "sandbox"]).code(3).never_says("Decision");
        assert_eq!(marked(&out), BTreeSet::from([address.to_owned()]), "{out}");
    };

    // Start: a 14th resource.
    fixture.append(core_file, &resource("tf_extra", "\"extra\""));
    refused("start", "module.core.terraform_data.tf_extra", "14 to add");
    assert_eq!(fixture.core(), []);
    // Start: still 13, but one of them is another.
    fixture.replace(core_file, "\"tf_tete_volume\"", "\"tf_other_volume\"");
    fixture.replace(core_file, "terraform_data.tf_tete_volume.id", "terraform_data.tf_other_volume.id");
    fixture.replace(core_file, &resource("tf_extra", "\"extra\""), "");
    refused("start", "module.core.terraform_data.tf_other_volume", "13 to add");
    fixture.write(core_file, &core_text);

    fixture.ok(&["start", "sandbox", "--yes"]);
    assert_eq!(fixture.core().len(), CORE);
    // Stop: a 14th that was made by other means.
    fixture.append(core_file, &resource("tf_extra", "\"extra\""));
    fixture.terraform(&["apply", "-target=module.core.terraform_data.tf_extra"]);
    assert_eq!(fixture.core().len(), CORE + 1);
    refused("stop", "module.core.terraform_data.tf_extra", "14 to destroy");
    fixture.terraform(&["destroy", "-target=module.core.terraform_data.tf_extra"]);
    fixture.write(core_file, &core_text);
    // Stop: one outside, which Terraform takes along since it depends on the core.
    fixture.append(root_file, &resource("outside", "module.core.nomad_address"));
    fixture.terraform(&["apply", "-target=terraform_data.outside"]);
    refused("stop", "terraform_data.outside", "14 to destroy");
    assert_eq!(fixture.resources("sandbox", "").len(), 1);
    fixture.terraform(&["destroy", "-target=terraform_data.outside"]);
    fixture.write(root_file, &root_text);

    fixture.ok(&["stop", "sandbox", "--yes"]);
    assert_eq!(fixture.core(), []);
    assert_eq!(fixture.persistent().len(), 4);
}

#[test]
fn what_a_shell_holds_does_not_steer_terraform() {
    if !has_terraform() {
        return;
    }
    let fixture = bootstrapped();
    fixture.set(
        "TF_CLI_ARGS_plan",
        "-target=module.persistent.terraform_data.tf_toto -replace=module.persistent.terraform_data.tf_toto",
    );
    fixture.set("TF_VAR_network_prefix", "10.99.0");
    let out = fixture.ok(&["preview", "start", "-e", "sandbox"]).says("13 to add, 0 to change, 0 to destroy");
    for name in ["TF_CLI_ARGS_plan", "TF_VAR_network_prefix"] {
        assert!(out.text().lines().any(|line| line.contains(name) && line.contains("not used")), "{out}");
    }
    fixture.unset("TF_CLI_ARGS_plan");

    fixture.set("TF_WORKSPACE", "prod");
    let before = now(&fixture);
    let trace = fixture.path("trace");
    let path = fixture.variables()["PATH"].clone();
    fixture.script("trap/terraform", &format!("#!/bin/sh\ntouch {}\nexit 1\n", trace.display()));
    fixture.set("PATH", format!("{}:{path}", fixture.path("trap").display()));
    let out = fixture.run(&["start", "sandbox", "--yes"]).code(1).says("TF_WORKSPACE");
    assert!(out.text().contains("prod") && out.text().contains("sandbox"), "{out}");
    assert!(!trace.exists(), "terraform was started");
    assert_eq!(now(&fixture), before);
    fixture.set("PATH", path);
    fixture.set("TF_WORKSPACE", "sandbox");
    fixture.ok(&["preview", "start", "-e", "sandbox"]).says("13 to add");
    fixture.unset("TF_WORKSPACE");

    for flag in ["-auto-approve", "--auto-approve"] {
        fixture.run(&["stop", "sandbox", flag]).code(1).says("--yes").says("--approve");
    }
    for flag in ["-target=module.core", "--target"] {
        fixture.run(&["stop", "sandbox", flag, "module.core"]).code(1).says("targets").says("blackstart.hcl");
    }
    assert_eq!(now(&fixture), before);
}

#[test]
fn a_stop_and_a_start_take_at_most_seven_terraform_processes() {
    if !has_terraform() {
        return;
    }
    let fixture = Fixture::with_sandbox();
    let log = fixture.path("calls");
    let real = program("terraform").unwrap();
    fixture.script(
        "counting/terraform",
        &format!("#!/bin/sh\necho \"$*\" >> {}\nexec {} \"$@\"\n", log.display(), real.display()),
    );
    fixture.set("PATH", format!("{}:{}", fixture.path("counting").display(), fixture.variables()["PATH"]));
    fixture.ok(&["run", "bootstrap", "-e", "sandbox", "--yes"]);
    fixture.ok(&["start", "sandbox", "--yes"]);
    fs::remove_file(&log).unwrap();
    fixture.ok(&["stop", "sandbox", "--yes"]);
    assert_eq!(fixture.core(), []);
    fixture.ok(&["start", "sandbox", "--yes"]);
    assert_eq!(fixture.core().len(), CORE);
    let calls = fs::read_to_string(&log).unwrap();
    let calls: Vec<&str> = calls.lines().filter(|call| !call.starts_with("init")).collect();
    // A plan, a look at it and its apply, twice: what is fewer didn't hold the very plan against the guard.
    assert!((6..=7).contains(&calls.len()), "{calls:#?}");
}

#[test]
fn a_second_checkout_meets_the_lock() {
    if !has_terraform() {
        return;
    }
    let fixture = bootstrapped();
    let slow = "\n  provisioner \"local-exec\" {\n    command = \"sleep 3\"\n  }\n}\n";
    let core_file = "terraform/modules/core/network.tf";
    fixture.replace(
        core_file,
        "    name = \"${var.environment}-network\"\n  }\n}\n",
        &format!("    name = \"${{var.environment}}-network\"\n  }}\n{slow}"),
    );
    let second = fixture.checkout("second");
    let first = fixture.spawn("first", fixture.command(&["start", "sandbox", "--yes"]));
    first.until_says("wave 1 of 2");
    let before = fixture.journal("sandbox").len();
    for arguments in [
        &["stop", "sandbox", "--yes"][..],
        &["run", "bootstrap", "-e", "sandbox", "--yes"],
        &["resume", "-e", "sandbox", "--yes"],
    ] {
        let mut command = fixture.command_in(&second, arguments);
        let out = outcome(command.env("USER", "somebody")).code(6);
        let text = out.text();
        assert!(text.contains("tester@") && !text.contains("somebody@"), "who: {out}");
        assert!(text.contains("start") && text.contains(&first.pid.to_string()), "what: {out}");
        let (_, since) = text.split_once("since ").unwrap();
        let (day, _) = since.split_once(' ').unwrap();
        assert!(day.parse::<jiff::civil::Date>().is_ok(), "since when: {out}");
    }
    assert!(!first.ended(), "the first run ended too early to prove anything");
    assert!(fixture.journal("sandbox").len() >= before);
    first.wait().code(0);
    assert_eq!(fixture.core().len(), CORE);
    // Nothing holds it any more.
    outcome(&mut fixture.command_in(&second, &["resume", "-e", "sandbox", "--yes"]))
        .code(1)
        .says("no unfinished run");
}
