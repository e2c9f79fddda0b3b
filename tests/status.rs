//! What `status` and `runs` say of a run: while another process is at it, and when that is dead.

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
    let begun = fixture.project().join("begun");
    let first = fixture.spawn("run", fixture.command(&["run", "wait", "--yes"]));
    wait_until("the step", || begun.exists());
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
    wait_until("giving it up", || fixture.run(&["resume", &id, "--abandon"]).code == Some(0));
    fixture.ok(&["runs"]).says("given up").never_says("cut off");
}

const JOB: &str = "job \"web\" {\n  group \"g\" {\n    task \"t\" {\n      driver = \"docker\"\n      config {\n        \
                   image = \"x:1\"\n      }\n    }\n  }\n}\n";

fn with_nomad(address: &str) -> Fixture {
    let fixture = Fixture::new();
    let nomad = format!("nomad {{\n    address = \"{address}\"\n    files = [\"jobs/*.nomad.hcl\"]\n  }}");
    let settings = format!("project = \"small\"\nenvironment \"local\" {{\n  {nomad}\n}}\n");
    fixture.write("blackstart.hcl", &settings);
    fixture.write("jobs/web.nomad.hcl", JOB);
    fixture.write(
        "plans/stop.hcl",
        "plan \"stop\" {\n  operation = \"stop\"\n  wave \"one\" {\n    step \"exec\" \"off\" {\n      \
         command = [\"true\"]\n    }\n  }\n}\n",
    );
    fixture
}

#[test]
fn what_is_stopped_is_said_to_be_stopped() {
    // Nothing but root listens on port 1.
    let fixture = with_nomad("http://127.0.0.1:1");
    fixture.run(&["drift"]).code(1).says("nothing listens at").never_says("stopped");
    fixture.ok(&["run", "stop", "--yes", "--discard-patches"]);
    let out = fixture.run(&["drift"]).code(1).says("'local' is stopped since ");
    out.says("nothing listens at http://127.0.0.1:1").says("blackstart start local");
}

#[test]
fn a_server_that_is_not_nomad_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let page = "<!DOCTYPE html><p>no such page";
            let answer = format!(
                "HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
                page.len()
            );
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    let fixture = with_nomad(&address);
    let words = format!("{address} doesn't answer as Nomad does: 404 to /v1/");
    fixture.ok(&["status"]).says(&words).says("check Nomad's address");
    fixture.run(&["drift"]).code(1).says(&words).says("check Nomad's address");
    fixture.run(&["patch", "image", "web=2", "--yes"]).code(1).says(&words).says("check Nomad's address");
}

#[test]
fn success_is_a_document_too() {
    let fixture = with_nomad("http://127.0.0.1:1");
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&fixture.ok(arguments).stdout).unwrap()
    };
    assert_eq!(json(&["validate", "jobs", "--json"]), serde_json::json!({ "checked": 1, "errors": 0 }));
    assert_eq!(json(&["patch", "drop", "--json"]), serde_json::json!({ "dropped": [] }));
}

#[test]
fn job_files_are_checked_wherever_settings_and_plans_name_them() {
    let fixture = with_nomad("http://127.0.0.1:1");
    fixture.write("jobs/bad.nomad.hcl", "job \"bad\" {\n");
    fixture.write("more/worse.nomad.hcl", "job \"worse\" {\n");
    fixture.write("more/unnamed.txt", "job \"unnamed\" {\n");
    fixture.write(
        "plans/start.hcl",
        "plan \"start\" {\n  wave \"one\" {\n    step \"nomad_job\" \"jobs\" {\n      files = [\"more/*.nomad.hcl\"]\n    }\n  }\n}\n",
    );
    let out = fixture.run(&["validate"]).code(1).says("jobs/bad.nomad.hcl").says("more/worse.nomad.hcl");
    out.never_says("unnamed");
}

#[test]
fn what_rests_is_not_counted_as_ill() {
    let fixture = Fixture::with_sandbox();
    let job = |id: &str, kind: &str| {
        serde_json::json!({
            "ID": id, "Name": id, "Type": kind, "Datacenters": ["*"],
            "TaskGroups": [{ "Name": "g", "Tasks": [{ "Name": "t", "Driver": "docker", "Config": { "image": "x:1" } }] }],
        })
    };
    let mut cron = job("cron", "batch");
    cron["Periodic"] = serde_json::json!({ "Enabled": true, "SpecType": "cron", "Spec": "0 3 * * *" });
    fixture.register(&cron);
    let arguments = ["status", "-e", "sandbox"];
    fixture.ok(&arguments).says("no job is to run now: 1 waiting");
    fixture.register(&job("web", "service"));
    wait_until("web to be healthy", || {
        fixture.ok(&arguments).text().contains("1 of 1 job healthy; 1 waiting")
    });
}
