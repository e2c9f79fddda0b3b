//! Stops and starts of single services.

use reqwest::Method;
use serde_json::json;

use crate::common::wait_until;
use crate::site::{Site, UP, file, job};

pub fn a_stopped_one_comes_back_as_it_was(site: &Site) {
    let mut web = job("web", 2);
    web["TaskGroups"][0]["Scaling"] = json!({ "Min": 1, "Max": 5, "Enabled": true, "Policy": {} });
    web["Meta"] = json!({ "owner": "team" });
    site.start(&web);
    let before = site.job("web");
    assert_eq!(before["TaskGroups"][0]["Scaling"]["Enabled"], true);

    let out = site.run(&["service", "stop", "web", "--yes"]).code(0);
    out.says("stop web").says("1 job stopped");
    let stopped = site.job("web");
    assert_eq!((&stopped["Stop"], &stopped["Status"]), (&json!(true), &json!("dead")));
    assert!(site.allocations("web").iter().all(|a| a["ClientStatus"] == "complete"), "something still runs");
    assert_eq!(stopped["TaskGroups"][0]["Scaling"]["Enabled"], false);
    // Kept exactly.
    let undo = site.last("step_intended")["undo"].as_str().unwrap().to_owned();
    let kept = std::fs::read(site.fixture.state_dir(site.environment).join("undo").join(undo)).unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept).unwrap();
    assert_eq!(kept[0], before);

    site.run(&["service", "restart", "web", "--yes"])
        .code(1)
        .says("'web' is stopped")
        .says("service start web");
    let out = site.run(&["service", "start", "web", "--yes"]).code(0);
    out.says("registered again as version 0 was").says("1 job healthy");
    let after = site.job("web");
    assert_eq!(after["Stop"], false);
    // The server counts the policy's own changes.
    let groups = |job: &serde_json::Value| {
        let mut groups = job["TaskGroups"].clone();
        groups[0]["Scaling"]["ModifyIndex"] = json!(0);
        groups
    };
    assert_eq!(groups(&after), groups(&before), "the policy is on again, and all else is as it was");
    assert_eq!((&after["Meta"], &after["Update"]), (&before["Meta"], &before["Update"]));
    let running = site.wanted("web");
    assert_eq!(running.iter().filter(|a| a["ClientStatus"] == "running").count(), 2, "{running:#?}");
    // Again: nothing to do.
    let version = after["Version"].clone();
    site.run(&["service", "start", "web", "--yes"]).code(0).says("nothing to do");
    site.run(&["service", "stop", "web", "--yes"]).code(0);
    site.run(&["service", "stop", "web", "--yes"]).code(0).says("none of the jobs runs");
    assert_eq!(site.job("web")["Version"].as_u64(), version.as_u64().map(|version| version + 1));
}

pub fn a_forgotten_one_runs_its_file(site: &Site) {
    site.project(&[
        ("plans/up.hcl", UP),
        ("nomad-jobs/api.nomad.hcl", &file("api", 1, 50, 32, "")),
        ("nomad-jobs/broken.nomad.hcl", "job \"broken\" {"),
    ]);
    // A file that can't be read is in nobody's way but its own.
    site.fixture.write("nomad-jobs/broken.nomad.hcl", &file("other", 1, 50, 32, ""));
    site.run(&["run", "up", "--yes"]).code(0);
    site.run(&["service", "stop", "api", "--yes"]).code(0);
    wait_until("the job to be forgotten", || {
        site.ask(Method::PUT, "/v1/system/gc", None);
        site.find("api").is_none()
    });
    let shown = site.run(&["service", "start", "api"]).code(4);
    shown
        .says("api isn't known to Nomad any more; registered from nomad-jobs/api.nomad.hcl")
        .says("--approve");
    assert!(site.find("api").is_none());
    site.run(&["service", "start", "api", "--yes"]).code(0).says("1 job healthy");
    assert_eq!(site.job("api")["Version"], 0);
    assert_eq!(site.wanted("api").len(), 1);
    let source = site.get("/v1/job/api/submission?version=0");
    assert_eq!(source["Source"], file("api", 1, 50, 32, ""));
}

pub fn a_forgotten_one_keeps_its_variables(site: &Site) {
    let plain = file("api", 1, 50, 32, "").replace("memory = 32", "memory = var.memory");
    let text = format!("variable \"memory\" {{\n  type = number\n}}\n\n{plain}");
    site.project(&[
        ("plans/up.hcl", UP),
        ("nomad-jobs/api.nomad.hcl", &text),
        ("values.hcl", "memory = 33\n"),
    ]);
    let settings = std::fs::read_to_string(site.fixture.project().join("blackstart.hcl")).unwrap();
    let with = settings.replace("  nomad {\n", "  nomad {\n    var_files = [\"values.hcl\"]\n");
    site.fixture.write("blackstart.hcl", &with);
    let out = site.run(&["service", "start", "api", "--yes"]);
    site.fixture.write("blackstart.hcl", &settings);
    out.code(0);
    let kept = site.get("/v1/job/api/submission?version=0");
    assert_eq!(
        (&kept["Source"], kept["Variables"].as_str()),
        (&json!(text), Some("memory = 33\n")),
        "{kept:#}"
    );
}

pub fn a_start_from_the_file_undoes_no_live_change_unasked(site: &Site) {
    site.project(&[("plans/up.hcl", UP), ("nomad-jobs/api.nomad.hcl", &file("api", 1, 50, 32, ""))]);
    site.run(&["run", "up", "--yes"]).code(0);
    let scaled = site.run(&["service", "scale", "api", "2", "--yes"]).code(0);
    scaled.says("unsaved patch").says("group.api.count");
    // As it was, it comes back with the change.
    site.run(&["service", "stop", "api", "--yes"]).code(0);
    site.run(&["service", "start", "api", "--yes"]).code(0);
    assert_eq!(site.job("api")["TaskGroups"][0]["Count"], 2);
    site.run(&["service", "stop", "api", "--yes"]).code(0);
    wait_until("the job to be forgotten", || {
        site.ask(Method::PUT, "/v1/system/gc", None);
        site.find("api").is_none()
    });
    let refused = site.run(&["service", "start", "api", "--yes"]).code(3);
    refused.says("would undo 1 unsaved patch").says("group.api.count").says("--discard-patches");
    assert!(site.find("api").is_none());
    site.run(&["service", "start", "api", "--yes", "--discard-patches"]).code(0);
    assert_eq!(site.job("api")["TaskGroups"][0]["Count"], 1);
}

fn forget(site: &Site, id: &str) {
    wait_until("the job to be forgotten", || {
        site.ask(Method::PUT, "/v1/system/gc", None);
        site.find(id).is_none()
    });
}

pub fn a_change_by_hand_outlives_a_stop(site: &Site) {
    site.project(&[("plans/up.hcl", UP), ("nomad-jobs/api.nomad.hcl", &file("api", 1, 50, 32, ""))]);
    site.run(&["run", "up", "--yes"]).code(0);
    let by_hand = |owner: &str| {
        let mut job = site.job("api");
        job["Meta"] = json!({ "owner": owner });
        site.start(&job);
    };
    by_hand("hand");
    let refused = site.run(&["service", "stop", "api", "--yes"]).code(3);
    let refused = refused.says("api runs other than nomad-jobs/api.nomad.hcl says").says("\"hand\"");
    refused.says("blackstart drift --save").says("--discard-patches");
    assert_eq!(site.job("api")["Stop"], false);
    site.run(&["service", "stop", "api", "--yes", "--discard-patches"]).code(0);
    forget(site, "api");
    let refused = site.run(&["service", "start", "api", "--yes"]).code(3);
    refused.says("api was other when it was stopped").says("Meta[owner]").says("hand").says("--as-it-was");
    site.run(&["service", "start", "api", "--dry-run"]).code(0).says("a run would be refused");
    assert!(site.find("api").is_none());
    let out = site.run(&["service", "start", "api", "--yes", "--as-it-was"]).code(0);
    out.says("registered as it was when it was stopped");
    assert_eq!(site.job("api")["Meta"]["owner"], "hand");

    // The file, where that is said.
    site.run(&["service", "stop", "api", "--yes", "--discard-patches"]).code(0);
    forget(site, "api");
    let out = site.run(&["service", "start", "api", "--yes", "--discard-patches"]).code(0);
    out.says("this runs the file: api was other");
    assert_eq!(site.job("api")["Meta"]["owner"], json!(null));
    // From then on the old copy says nothing any more.
    site.run(&["service", "stop", "api", "--yes"]).code(0);
    forget(site, "api");
    site.run(&["service", "start", "api", "--yes"]).code(0).never_says("was other");

    // Without a file there is only the copy.
    std::fs::write(site.fixture.project().join("nomad-jobs/api.nomad.hcl"), file("web", 1, 50, 32, ""))
        .unwrap();
    by_hand("nobody's");
    site.run(&["service", "stop", "api", "--yes"]).code(0);
    forget(site, "api");
    let out = site.run(&["service", "start", "api", "--yes"]).code(1);
    out.says("Nomad has forgotten 'api', and no file holds it").says("--as-it-was");
    site.run(&["service", "start", "api", "--yes", "--as-it-was"]).code(0);
    assert_eq!(site.job("api")["Meta"]["owner"], "nobody's");
}

pub fn names_are_looked_up(site: &Site) {
    site.project(&[("plans/up.hcl", UP), ("nomad-jobs/api.nomad.hcl", &file("api", 1, 50, 32, ""))]);
    for name in ["job_one", "job_two", "web"] {
        site.register(&job(name, 1));
    }
    let wrong = |arguments: &[&str], says: &[&str]| {
        let mut out = site.run(arguments).code(1).never_says("Approved").never_says("panicked");
        for text in says {
            out = out.says(text);
        }
    };
    wrong(
        &["service", "restart", "job_too", "--yes"],
        &["there is no service 'job_too'", "did you mean 'job_two'?"],
    );
    wrong(&["service", "stop", "nothing*", "--yes"], &["no service matches 'nothing*'"]);
    wrong(&["service", "start", "apj", "--yes"], &["there is no service 'apj'", "did you mean 'api'?"]);
    wrong(&["service", "scale", "wbe", "2", "--yes"], &["did you mean 'web'?"]);
    wrong(&["service", "scale", "job_*", "3", "--yes"], &["scale takes one service, not a pattern"]);
    wrong(&["service", "scale", "web/apj", "2", "--yes"], &["no group 'apj'", "did you mean 'api'?"]);
    wrong(&["service", "restart", "web", "--batch", "0", "--yes"], &["a batch of"]);
    // A pattern means each that it fits.
    let out = site.run(&["service", "stop", "job_*", "--yes"]).code(0);
    out.says("stop job_one").says("stop job_two").never_says("stop web");
    assert_eq!((&site.job("job_one")["Stop"], &site.job("web")["Stop"]), (&json!(true), &json!(false)));
}

pub fn nothing_happens_without_a_yes(site: &Site) {
    site.start(&job("web", 1));
    let first = site.wanted("web")[0].clone();
    let digest = site.run(&["service", "restart", "web", "--dry-run"]).code(0).says("--approve").digest();
    assert_eq!(site.run(&["service", "restart", "web"]).code(4).digest(), digest);
    site.run(&["service", "stop", "web"]).code(4).says("nothing was changed");
    site.run(&["service", "scale", "web", "2"]).code(4).says("web: 1 → 2");
    site.run(&["scale", "web", "2", "--dry-run"]).code(0).says("web: 1 → 2");
    assert!(
        !site.fixture.journal_types(site.environment).contains(&"step_intended".to_owned()) || site.is_real()
    );
    let now = site.wanted("web")[0].clone();
    assert_eq!((&now["ID"], &now["TaskStates"]["server"]["Restarts"]), (&first["ID"], &json!(0)));
    assert_eq!(site.job("web")["Version"], 0);
    site.run(&["service", "restart", "web", "--approve", &digest])
        .code(0)
        .says("1 allocation restarted and healthy");
    assert_eq!(site.wanted("web")[0]["TaskStates"]["server"]["Restarts"], 1);
    // It was for that one restart.
    site.run(&["service", "stop", "web", "--approve", &digest]).code(4);
    assert_eq!(site.job("web")["Stop"], false);
}
