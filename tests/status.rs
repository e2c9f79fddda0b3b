//! What `status` and `runs` say of a run: while another process is at it, and when that is dead.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use common::{Fixture, wait_until};

const SETTINGS: &str = "project = \"small\"\nenvironment \"local\" {}\n";

/// A step that waits until a file is there.
const PLAN: &str = r#"
plan "wait" {
  wave "one" {
    step "exec" "waits" {
      command = ["sh", "-c", "touch begun; while ! test -e go; do sleep 0.05; done"]
    }
  }
}"#;

#[test]
fn a_run_is_running_while_its_process_has_the_lock_and_cut_off_when_that_is_dead() {
    let fixture = Fixture::new();
    fixture.write("blackstart.hcl", SETTINGS);
    fixture.write("plans/wait.hcl", PLAN);
    // What an earlier run left isn't taken for what runs.
    let begun = fixture.project().join("begun");
    let cut_off = || {
        let run = fixture.spawn("run", fixture.command(&["run", "wait", "--yes"]));
        wait_until("the step", || begun.exists());
        std::fs::remove_file(&begun).unwrap();
        run
    };
    let first = cut_off();
    let out =
        fixture.ok(&["status"]).says("running now: run wait by tester@").says(", process ").says(", since ");
    assert!(out.says("wait by").says(": running now").stdout.matches("resume").count() == 0);
    let out = fixture.ok(&["runs"]).says("running now").never_says("cut off");
    let id = out.stdout.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let json = fixture.ok(&["status", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["running"]["run"], &json["unfinished"]), (&id.as_str().into(), &serde_json::json!([])));

    first.signal("KILL");
    first.wait();
    let resume = format!("blackstart resume {id} -e local");
    fixture.ok(&["status"]).says(": cut off").says(&resume).says("--abandon").never_says("running");
    fixture.ok(&["runs"]).says("cut off").never_says("running");
    fixture.write("go", "");
    wait_until("the end of the step that outlived its run", || {
        fixture.run(&["resume", &id, "--yes"]).code == Some(0)
            || fixture.ok(&["runs"]).stdout.contains("done")
    });
    fixture.ok(&["runs"]).never_says("cut off");
}
