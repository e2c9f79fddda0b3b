//! Ctrl-C and SIGKILL in the middle of an apply on the real `terraform`, and what `resume` makes of it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{CORE, Fixture, Outcome, Running, has_terraform, wait_until};

/// Bootstrapped, with ports of module.core that take their time: they are what runs in the middle.
fn slow(seconds: u32) -> Fixture {
    let fixture = Fixture::with_sandbox();
    fixture.ok(&["run", "bootstrap", "-e", "sandbox", "--yes"]);
    for name in ["tf_tutu", "tf_tete", "tf_tata", "tf_titi"] {
        let address = format!("    name           = \"{}-port\"\n", name.replace('_', "-"));
        let provisioner =
            format!("  provisioner \"local-exec\" {{\n    command = \"sleep {seconds}\"\n  }}\n\n");
        fixture.replace(
            "terraform/modules/core/network.tf",
            &format!("  input = {{\n{address}"),
            &format!("{provisioner}  input = {{\n{address}"),
        );
    }
    fixture
}

/// The start has got to where the ports sleep: what they need is in the state, they are not.
fn in_the_middle(fixture: &Fixture) -> (Running<'_>, u32) {
    let run = fixture.spawn("start", fixture.command(&["start", "sandbox", "--yes"]));
    wait_until("a port that is being made", || {
        assert!(!run.ended(), "the run ended early: {}{}", run.stdout(), run.stderr());
        sleeping(fixture) == 4
    });
    let child =
        fixture.journal("sandbox").into_iter().rev().find(|(_, body)| body["type"] == "step_child").unwrap();
    let child = u32::try_from(child.1["pid"].as_u64().unwrap()).unwrap();
    (run, child)
}

/// How many `sleep`s of provisioners run in the fixture's folder.
fn sleeping(fixture: &Fixture) -> usize {
    let root = fixture.path("");
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let ours = processes.filter(|path| {
        let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
        name.trim() == "sleep"
            && fs::read_link(path.join("cwd")).is_ok_and(|folder| folder.starts_with(&root))
    });
    ours.count()
}

fn is_alive(pid: u32) -> bool {
    // A zombie has ended.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap().starts_with('Z'))
}

fn addresses(fixture: &Fixture, tainted: bool) -> BTreeSet<String> {
    fixture.core().into_iter().filter(|r| r.tainted == tainted).map(|r| r.address).collect()
}

/// Thirteen, none half made, the services healthy, and nothing left to go on with.
fn finished(fixture: &Fixture) {
    assert_eq!(fixture.core().len(), CORE);
    assert_eq!(addresses(fixture, true), BTreeSet::new());
    let jobs = fixture.nomad("/v1/jobs").unwrap();
    assert_eq!(jobs.as_array().unwrap().len(), 6);
    fixture.run(&["resume", "-e", "sandbox", "--yes"]).code(1).says("no unfinished run");
    fixture.ok(&["start", "sandbox", "--yes"]).says("nothing to do");
    // One run, from its start to its end.
    let records = fixture.journal("sandbox");
    let (run, last) = records.last().unwrap();
    assert_eq!(last["type"], "run_done");
    let started = records.iter().find(|(id, body)| id == run && body["type"] == "run_started").unwrap();
    assert_eq!(started.1["plan"], "start");
    assert_eq!(
        records.iter().filter(|(_, body)| body["type"] == "run_started").count(),
        2,
        "bootstrap and start"
    );
}

/// The run that is said to go on by, in the words of the message.
fn says_how_to_go_on(out: &Outcome, fixture: &Fixture) {
    let run = fixture.journal("sandbox").pop().unwrap().0;
    assert!(out.text().contains(&format!("blackstart resume {run} -e sandbox")), "{out}");
}

#[test]
fn two_interrupts_end_terraform_in_order_and_resume_finishes() {
    if !has_terraform() {
        return;
    }
    let fixture = slow(20);
    let (run, child) = in_the_middle(&fixture);
    run.signal("INT");
    // The first starts nothing new, and waits.
    run.until_says("nterrupt");
    assert!(is_alive(child) && !run.ended());
    assert_eq!(sleeping(&fixture), 4, "the first interrupt reached terraform's children");
    run.signal("INT");
    // Another one would make terraform give up at once: it gets one only.
    run.signal("INT");
    let out = run.wait().code(5);
    assert!(!is_alive(child), "blackstart ended before terraform did");
    says_how_to_go_on(&out, &fixture);
    assert_eq!(sleeping(&fixture), 0);
    let (tainted, whole) = (addresses(&fixture, true), addresses(&fixture, false));
    assert_eq!(tainted.len(), 4, "{:?}", fixture.core());
    assert!(!whole.is_empty() && whole.len() + tainted.len() < CORE);
    assert!(!fixture.project().join("terraform/errored.tfstate").exists());
    // Terraform let go of its lock, and the services were not begun.
    let lock = fixture.project().join("terraform/terraform.tfstate.d/sandbox/.terraform.tfstate.lock.info");
    assert!(!lock.exists());
    let types = fixture.journal_types("sandbox");
    assert_eq!(types.last().unwrap(), "run_paused");

    // What was done is fast from here on.
    let ids: Vec<_> = fixture.core().into_iter().filter(|resource| !resource.tainted).collect();
    fixture.replace("terraform/modules/core/network.tf", "sleep 20", "sleep 0");
    let out = fixture.ok(&["resume", "-e", "sandbox", "--yes"]);
    for address in &tainted {
        let line = out.stdout.lines().find(|line| line.contains(address.as_str())).unwrap();
        assert!(line.contains("replace") && line.contains("half made"), "{line}");
    }
    for address in &whole {
        let decision = out.place("Decision ");
        assert!(!out.stdout[..decision].contains(&format!("create {address}\n")), "{address} in {out}");
    }
    // The guard's thirteen are those of the whole run.
    assert!(
        out.place(&format!("this run already did: {} to add", whole.len())) < out.place("Approved by"),
        "{out}"
    );
    assert!(ids.iter().all(|resource| fixture.core().contains(resource)), "what was done was done again");
    finished(&fixture);
}

#[test]
fn one_interrupt_waits_for_what_runs_and_starts_nothing_new() {
    if !has_terraform() {
        return;
    }
    let fixture = slow(2);
    let (run, _) = in_the_middle(&fixture);
    run.signal("INT");
    let out = run.wait().code(5);
    says_how_to_go_on(&out, &fixture);
    assert_eq!(fixture.core().len(), CORE);
    assert_eq!(addresses(&fixture, true), BTreeSet::new());
    assert!(!fixture.journal_types("sandbox").contains(&"gate_passed".to_owned()));
    // Right now Nomad may still be on its way up: that is what the gate waits for, not an error.
    let serial = fixture.serial("sandbox");
    fixture.ok(&["resume", "-e", "sandbox", "--yes"]);
    assert_eq!(fixture.serial("sandbox"), serial);
    finished(&fixture);
}

#[test]
fn the_whole_run_is_held_against_the_guard_after_an_interrupt() {
    if !has_terraform() {
        return;
    }
    let fixture = slow(20);
    let (run, _) = in_the_middle(&fixture);
    run.signal("INT");
    run.until_says("nterrupt");
    run.signal("INT");
    run.wait().code(5);
    fixture.replace("terraform/modules/core/network.tf", "sleep 20", "sleep 0");
    // With a fourteenth in what remains, more than the plan allows would have been made in the end,
    // though what remains alone is far below thirteen.
    let file = "terraform/modules/core/main.tf";
    let text = fixture.read(file);
    fixture.append(file, "\nresource \"terraform_data\" \"tf_extra\" {}\n");
    let (serial, core) = (fixture.serial("sandbox"), fixture.core());
    let out = fixture.run(&["resume", "-e", "sandbox", "--yes"]).code(3).never_says("Approved by");
    let marked: Vec<&str> = out.stdout.lines().filter(|line| line.contains("not expected")).collect();
    assert!(matches!(marked[..], [line] if line.contains("module.core.terraform_data.tf_extra ")), "{out}");
    assert_eq!((fixture.serial("sandbox"), fixture.core()), (serial, core));
    fixture.write(file, &text);
    // One that is missing in the end is no more what was approved than one too many.
    fixture.ok(&["resume", "-e", "sandbox", "--yes"]);
    finished(&fixture);
}

#[test]
fn killed_alone_terraform_finishes_and_resume_sees_that() {
    if !has_terraform() {
        return;
    }
    let fixture = slow(2);
    let (run, child) = in_the_middle(&fixture);
    run.signal("KILL");
    assert_eq!(run.wait().signal, Some(9));
    assert!(is_alive(child), "terraform was taken along");
    wait_until("the end of terraform", || !is_alive(child));
    assert_eq!(fixture.core().len(), CORE);
    assert_eq!(addresses(&fixture, true), BTreeSet::new());
    let (serial, core) = (fixture.serial("sandbox"), fixture.core());

    let out = fixture.ok(&["resume", "-e", "sandbox", "--yes"]);
    assert!(out.place("this run already did: 13 to add") < out.place("services"), "{out}");
    assert_eq!((fixture.serial("sandbox"), fixture.core()), (serial, core), "it was done again");
    finished(&fixture);
}

#[test]
fn killed_alone_resume_waits_for_a_terraform_that_still_runs() {
    if !has_terraform() {
        return;
    }
    let fixture = slow(5);
    let (run, child) = in_the_middle(&fixture);
    run.signal("KILL");
    run.wait();
    // Another run doesn't get in between, though nobody holds the lock.
    let out = fixture.run(&["stop", "sandbox", "--yes"]);
    assert!([Some(5), Some(6)].contains(&out.code), "{out}");
    assert!(out.text().contains(&child.to_string()) && out.text().contains("resume"), "{out}");
    assert!(is_alive(child));
    // Nobody has to stay for it.
    let resume = fixture.spawn("impatient", fixture.command(&["resume", "-e", "sandbox", "--yes"]));
    resume.until_says("still runs");
    resume.signal("INT");
    let out = resume.wait().code(5);
    says_how_to_go_on(&out, &fixture);
    assert!(is_alive(child), "an impatient person ended it");
    let resume = fixture.spawn("resume", fixture.command(&["resume", "-e", "sandbox", "--yes"]));
    resume.until_says("still runs");
    assert!(is_alive(child), "it said so too late to prove anything");
    let out = resume.wait().code(0);
    assert!(!is_alive(child));
    assert!(out.stdout.contains(&format!("process {child}")), "{out}");
    finished(&fixture);
}

#[test]
fn a_stop_that_was_interrupted_goes_on_to_the_last_of_the_thirteen() {
    if !has_terraform() {
        return;
    }
    let fixture = Fixture::with_sandbox();
    fixture.ok(&["run", "bootstrap", "-e", "sandbox", "--yes"]);
    // A provisioner that runs when a volume goes: the two instances above are gone by then.
    fixture.replace(
        "terraform/modules/core/main.tf",
        "resource \"terraform_data\" \"tf_tutu_volume\" {\n",
        "resource \"terraform_data\" \"tf_tutu_volume\" {\n  provisioner \"local-exec\" {\n    when    = destroy\n    command = \"sleep 20\"\n  }\n\n",
    );
    fixture.ok(&["start", "sandbox", "--yes"]);
    let persistent = fixture.persistent();
    let run = fixture.spawn("stop", fixture.command(&["stop", "sandbox", "--yes"]));
    wait_until("the volume's provisioner", || sleeping(&fixture) == 1);
    run.signal("INT");
    run.until_says("nterrupt");
    run.signal("INT");
    let out = run.wait().code(5);
    says_how_to_go_on(&out, &fixture);
    let left = fixture.core();
    assert!(!left.is_empty() && left.len() < CORE, "{left:?}");
    // What is only half down is neither up nor is it a new stop's business.
    fixture.run(&["stop", "sandbox", "--yes"]).code(3);
    assert_eq!(fixture.core(), left);
    fixture.replace("terraform/modules/core/main.tf", "sleep 20", "sleep 0");
    let out = fixture.ok(&["resume", "-e", "sandbox", "--yes"]);
    let did = CORE - left.len();
    assert!(
        out.place(&format!("this run already did: 0 to add, 0 to change, {did} to destroy"))
            < out.place("Approved by"),
        "{out}"
    );
    assert_eq!(fixture.core(), []);
    assert_eq!(fixture.persistent(), persistent);
}
