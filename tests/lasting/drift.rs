use reqwest::Method;
use serde_json::{Value, json};

use super::site::Site;

#[test]
fn what_a_hand_changed_is_named_and_defaults_are_not() {
    let site = Site::started();
    site.run(&["drift"]).code(0).says("3 jobs: as the files say");

    site.by_hand("api", |job| {
        job["TaskGroups"][0]["Count"] = 2.into();
        job["TaskGroups"][0]["Tasks"][0]["Config"]["image"] = "registry.example.com/api:hot".into();
    });
    let stranger = json!({ "Job": {
        "ID": "stranger", "Name": "stranger", "Type": "service", "Datacenters": ["*"],
        "TaskGroups": [{ "Name": "g", "Tasks": [{ "Name": "t", "Driver": "docker", "Config": { "image": "x:1" } }] }],
    } });
    site.ask(Method::PUT, "/v1/jobs", Some(&stranger));
    site.ask(Method::DELETE, "/v1/job/web?purge=true", None);
    site.ask(Method::DELETE, "/v1/job/worker", None);

    let out = site.run(&["drift"]).code(2);
    let expected = [
        "api runs other than jobs/api.nomad.hcl says (version 1 of ",
        "Count: runs \"2\", the file has \"1\"",
        "image: runs \"registry.example.com/api:hot\", the file has \"registry.example.com/api:1\"",
        "stranger runs and no file holds it (version 0 of ",
        "web is not registered; jobs/web.nomad.hcl holds it",
        "run it again: blackstart service start web -e sandbox",
        "worker is stopped (version ",
        "0 jobs as the files say, 4 not",
    ];
    for text in expected {
        assert!(out.stdout.contains(text), "no {text:?} in {out}");
    }
    assert_eq!(out.stdout.matches("runs \"").count(), 2, "{out}");

    let out = site.run(&["drift", "--json"]).code(2);
    let document: Value = serde_json::from_str(out.stdout.trim()).unwrap();
    let jobs: Vec<(&str, &str)> = document["drift"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["job"].as_str().unwrap(), job["how"].as_str().unwrap()))
        .collect();
    let expected =
        [("api", "differs"), ("stranger", "no_file"), ("web", "not_registered"), ("worker", "stopped")];
    assert_eq!(jobs, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_not_silence() {
    let site = Site::started();
    site.fixture.replace("jobs/api.nomad.hcl", "driver = \"docker\"", "driver = local.missing");
    site.run(&["drift"])
        .code(1)
        .says("jobs/api.nomad.hcl:")
        .says("2 jobs: as the files say")
        .never_says("no file");
}

#[test]
fn files_are_those_that_the_settings_name() {
    let site = Site::started();
    site.fixture.replace(
        "blackstart.hcl",
        "    address   = sandbox.nomad\n",
        "    address   = sandbox.nomad\n    files     = [\"jobs/w*.nomad.hcl\"]\n",
    );
    site.run(&["drift"]).code(2).says("api runs and no file holds it");
}

#[test]
fn status_tells_of_drift_and_how_to_see_it() {
    let site = Site::started();
    let counted = || -> Value {
        let out = site.run(&["status", "--json"]).code(0);
        serde_json::from_str::<Value>(out.stdout.trim()).unwrap()["drift"].clone()
    };
    site.run(&["status"]).code(0).never_says("drift");
    assert_eq!(counted(), 0);
    site.image_by_hand("api", "registry.example.com/api:hot");
    let out = site.run(&["status"]).code(0);
    out.says("drift      1 job is other than the files say: blackstart drift sandbox\n");
    assert_eq!(counted(), 1);
    site.fixture.run(&["drift", "sandbox"]).code(2).says("api runs other than");
    site.image_by_hand("worker", "registry.example.com/worker:hot");
    site.run(&["status"]).code(0).says("2 jobs are other than the files say");
    assert_eq!(counted(), 2);
    // That it isn't known is no good news.
    site.fixture.replace("blackstart.hcl", "vars/sandbox.nomadvars.hcl", "vars/nowhere.nomadvars.hcl");
    site.run(&["status"]).code(0).says("drift      not known: the job files can't be read: ");
    assert_eq!(counted(), Value::Null);
    site.fixture.replace("blackstart.hcl", "vars/nowhere.nomadvars.hcl", "vars/sandbox.nomadvars.hcl");
    // Where nothing runs, that is no drift.
    site.run(&["stop", "--yes", "--discard-patches"]).code(0);
    site.run(&["status"]).code(0).never_says("drift");
    assert_eq!(counted(), Value::Null);
}
