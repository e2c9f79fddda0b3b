use std::fs;
use std::os::unix::fs::PermissionsExt;

use reqwest::Method;
use serde_json::Value;

use super::site::Site;

/// The jobs that the journal's newest record of them keeps.
fn kept(site: &Site) -> Vec<Value> {
    let records = site.fixture.journal("sandbox");
    let found = records.iter().rev().find(|(_, body)| body["type"] == "jobs_kept");
    let Some((_, body)) = found else { return Vec::new() };
    let path = site.fixture.state_dir("sandbox").join("undo").join(body["undo"].as_str().unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn a_change_by_hand_is_not_lost_at_a_stop() {
    let site = Site::started();
    site.image_by_hand("api", "registry.example.com/api:hot");
    let before = site.job("api");
    let records = site.fixture.journal("sandbox").len();

    let out = site.stop().code(3);
    let line = "api runs other than jobs/api.nomad.hcl says (version 1 of ";
    let out = out.says(line).says("api:hot").says("blackstart drift --save -e sandbox");
    out.says("--discard-patches");
    assert_eq!(site.job("api"), before);
    assert_eq!(site.fixture.journal("sandbox").len(), records, "a refused run left records");
    // A preview says it too, and goes on.
    site.run(&["preview", "stop"]).code(0).says("a run would be refused").says("Decision");

    let jobs: Vec<Value> = ["api", "web", "worker"].iter().map(|id| site.job(id)).collect();
    let out = site.run(&["stop", "--yes", "--discard-patches"]).code(0);
    out.says("this loses what runs: api runs other than");
    assert_eq!(site.job("api")["Stop"], true);
    assert_eq!(kept(&site), jobs, "every job as it was, exactly");
    let answers = site.fixture.journal("sandbox");
    let answer = answers.iter().find(|(_, body)| body["type"] == "answered").unwrap();
    assert_eq!(answer.1["answer"], "--discard-patches");
    assert_eq!(answer.1["who"].as_str().map(|who| who.starts_with("tester@")), Some(true));
}

#[test]
fn a_stop_without_drift_keeps_every_job_and_asks_nothing() {
    let site = Site::started();
    let jobs: Vec<Value> = ["api", "web", "worker"].iter().map(|id| site.job(id)).collect();
    site.stop().code(0).never_says("warning");
    assert_eq!(kept(&site), jobs);
    let types = site.fixture.journal_types("sandbox");
    let place = |name: &str| types.iter().rposition(|kind| kind == name).unwrap();
    assert!(place("approved") < place("jobs_kept") && place("jobs_kept") < place("step_intended"));
    let records = site.fixture.journal("sandbox");
    let (run, _) = records.last().unwrap();
    site.run(&["show", run]).code(0).says("3 jobs kept as they were");
}

#[test]
fn what_was_given_up_holds_no_stop() {
    let site = Site::started();
    for set in ["api env.A=1", "api env.B=1"] {
        let (job, set) = set.split_once(' ').unwrap();
        site.run(&["patch", "set", job, set, "--live-only", "--yes"]).code(0);
    }
    let image = site.image("web");
    site.image_by_hand("web", "registry.example.com/web:hot");
    site.stop().code(3).says("2 unsaved patches").says("web runs other than");
    site.patch(&["drop", "api"]).code(0);
    // What else runs is lost all the same.
    site.stop().code(3).never_says("unsaved").never_says("api runs").says("web runs other than");
    site.image_by_hand("web", &image);
    site.run(&["preview", "stop"]).code(0).never_says("would be refused");
    // Somebody goes back to the file, and later sets the same by hand: that was never given up.
    let env = |job: &Value| job["TaskGroups"][0]["Tasks"][0]["Env"].clone();
    let hot = env(&site.job("api"));
    site.by_hand("api", |job| job["TaskGroups"][0]["Tasks"][0]["Env"] = Value::Null);
    site.by_hand("api", |job| job["TaskGroups"][0]["Tasks"][0]["Env"] = hot);
    site.stop().code(3).says("api runs other than");
}

#[test]
fn what_ran_no_more_at_a_stop_is_not_unsaved_after_it() {
    let site = Site::started();
    let groups = site.job("api")["TaskGroups"].clone();
    site.run(&["patch", "set", "api", "env.A=1", "--live-only", "--yes"]).code(0).says("unsaved");
    site.by_hand("api", |job| job["TaskGroups"] = groups);
    site.run(&["status"]).code(0).never_says("unsaved");
    site.stop().code(0);
    site.ask(Method::DELETE, "/v1/job/api?purge=true", None);
    site.run(&["status"]).never_says("unsaved");
    site.run(&["patch", "save", "--yes"]).code(0).says("nothing");
}

/// Somebody changes a job while the question is open: what was seen before the answer doesn't count.
#[test]
fn a_change_after_the_look_is_seen_too() {
    let site = Site::started();
    let mut terminal = site.terminal(&["stop"]);
    terminal.until("Approve?");
    site.image_by_hand("web", "registry.example.com/web:hot");
    terminal.answers("y");
    let (text, code) = terminal.end();
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("web runs other than jobs/web.nomad.hcl says"), "{text}");
    assert_eq!(site.job("web")["Stop"], false);
}

/// A stop that takes down by a command; its second one waits for a file.
const STOP: &str = r#"plan "stop" {
  operation = "stop"
  wave "w" {
    step "exec" "first" {
      command = ["true"]
    }
    step "exec" "second" {
      command = ["test", "-e", "ready"]
      after   = ["first"]
    }
  }
}
"#;

fn hide_nomad(site: &Site) {
    site.fixture.replace("blackstart.hcl", "address   = sandbox.nomad", "address   = \"http://127.0.0.1:1\"");
}

#[test]
fn what_nomad_does_not_tell_holds_a_stop_until_it_is_given_up() {
    let site = Site::started();
    hide_nomad(&site);
    site.fixture.write("plans/stop.hcl", STOP);
    site.fixture.write("ready", "");
    let refused = site.stop().code(3);
    refused.says("what runs can't be held against the job files: ").says("--discard-patches");
    site.run(&["stop", "--yes", "--discard-patches"]).code(0).says("can't be held against the job files");
    let answered = site
        .fixture
        .journal("sandbox")
        .into_iter()
        .find(|(_, body)| body["type"] == "answered")
        .expect("no answer");
    assert_eq!(answered.1["answer"], "--discard-patches", "{answered:?}");
}

#[test]
fn a_stop_that_kept_the_jobs_goes_on_without_nomad() {
    let site = Site::started();
    site.fixture.write("plans/stop.hcl", STOP);
    site.stop().code(1);
    hide_nomad(&site);
    site.fixture.write("ready", "");
    let out = site.run(&["resume", "--yes"]).code(0);
    out.says("the jobs were kept when this run began");
    assert!(
        !site.fixture.journal("sandbox").iter().any(|(_, body)| body["type"] == "answered"),
        "nobody gave anything up"
    );
}
