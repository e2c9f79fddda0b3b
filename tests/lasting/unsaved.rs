use serde_json::json;

use super::site::Site;
use crate::common::wait_until;

const API: &str = "jobs/api.nomad.hcl";

#[test]
fn a_live_patch_holds_start_and_stop_until_it_is_saved() {
    let site = Site::started();
    let out = site.patch(&["image", "api=hot", "--live-only"]).code(0);
    let line = "unsaved patch: api group.api.task.api.config.image:";
    out.says(line)
        .says("→ \"registry.example.com/api:hot\"")
        .says("by tester@")
        .says("not in jobs/api.nomad.hcl")
        .says("blackstart patch save -e sandbox");
    let unsaved = site.unsaved();
    assert_eq!(unsaved.len(), 1);
    assert_eq!((&unsaved[0].0, &unsaved[0].1), (&"api".to_owned(), &json!("registry.example.com/api:hot")));
    assert!(unsaved[0].2, "it is certain");
    site.run(&["status"]).code(0).says(line);

    let versions = || [site.job("api"), site.job("web")].map(|job| job["Version"].clone());
    let before = versions();
    for verb in ["start", "stop"] {
        let out = site.run(&[verb, "--downtime", "1h", "--yes"]).code(3);
        out.says("would undo 1 unsaved patch")
            .says(&line["unsaved patch: ".len()..])
            .says("--discard-patches");
    }
    // Other plans: only those that would undo it.
    let plan = |name: &str, step: &str| {
        let text = format!("plan \"{name}\" {{\n  wave \"w\" {{\n    step {step}\n  }}\n}}\n");
        site.fixture.write(&format!("plans/{name}.hcl"), &text);
    };
    plan("again", "\"nomad_job\" \"x\" {\n      files = [\"jobs/a*.nomad.hcl\"]\n    }");
    plan("end", "\"nomad_stop\" \"x\" {\n      jobs = [\"api\"]\n    }");
    plan("other", "\"nomad_job\" \"x\" {\n      files = [\"jobs/w*.nomad.hcl\"]\n    }");
    for (name, code) in [("again", 3), ("end", 3), ("other", 0)] {
        site.run(&["run", name, "--yes"]).code(code);
    }
    assert_eq!(versions(), before);

    site.patch(&["save", "apo"]).code(1).says("did you mean 'api'?");
    site.run(&["patch", "save"]).code(4).says("jobs/api.nomad.hcl:14").says("--approve");
    site.patch(&["save", "api"]).code(0).says("written to jobs/api.nomad.hcl");
    assert!(site.fixture.read(API).contains("/api:hot\""));
    assert_eq!(versions(), before, "what runs was left alone");
    assert_eq!(site.unsaved(), []);
    site.patch(&["save"]).code(0).says("nothing to do");
    site.start().code(0);
    site.stop().code(0);
}

#[test]
fn a_patch_that_is_given_up_holds_nothing() {
    let site = Site::started();
    site.patch(&["image", "api=hot", "worker=hot", "--live-only"]).code(0);
    // What becomes of it is said, and asked about.
    let out = site.run(&["patch", "drop", "api"]).code(4);
    let out = out.says("to give up: api group.api.task.api.config.image").never_says("worker");
    let out = out.says(&format!("it runs so in 'sandbox' (Nomad at {}), and goes on", site.address));
    let out = out.says("the next start takes \"registry.example.com/api:1\" from jobs/api.nomad.hcl");
    let digest = out.says("no terminal to ask at; nothing was given up").says("--yes, or --approve").digest();
    assert_eq!(site.unsaved().len(), 2);
    let mut terminal = site.terminal(&["patch", "drop", "api"]);
    terminal.until("patch drop, decision");
    terminal.until("Approve?");
    terminal.answers("n");
    let (text, code) = terminal.end();
    assert!(code == 4 && text.contains("not approved; nothing was given up"), "{code}: {text}");
    site.run(&["patch", "drop", "--approve", &digest]).code(4).says("is not for this decision");
    assert_eq!(site.unsaved().len(), 2);
    let out = site.run(&["patch", "drop", "api", "--approve", &digest]).code(0);
    out.says("given up: api group.api.task.api.config.image");
    assert_eq!(site.image("api"), "registry.example.com/api:hot", "what runs was left alone");
    assert_eq!(site.unsaved().len(), 1);
    let approved = site.fixture.journal("sandbox").into_iter().rfind(|(_, body)| body["type"] == "approved");
    assert_eq!(approved.unwrap().1["digest"], digest);
    let records = site.fixture.journal("sandbox");
    let dropped = records.iter().find(|(_, body)| body["type"] == "patch_dropped").unwrap();
    assert_eq!((&dropped.1["job"], &dropped.1["how"]), (&json!("api"), &json!("patch drop")));
    site.run(&["runs"]).code(0).says("patch-drop");

    let out = site.run(&["start", "--downtime", "1h", "--yes", "--discard-patches"]).code(0);
    out.says("this gives an unsaved patch up: worker group.worker.task.worker.config.image");
    assert_eq!(site.image("worker"), "registry.example.com/worker:1");
    assert_eq!(site.unsaved(), []);
    let records = site.fixture.journal("sandbox");
    let last = records.iter().rev().find(|(_, body)| body["type"] == "patch_dropped").unwrap();
    assert_eq!((&last.1["job"], &last.1["how"]), (&json!("worker"), &json!("--discard-patches")));
    site.stop().code(0);
}

#[test]
fn a_later_patch_takes_an_earlier_ones_place() {
    let site = Site::started();
    site.patch(&["image", "api=hot", "--live-only"]).code(0);
    site.patch(&["image", "api=hotter", "--live-only"]).code(0);
    let unsaved = site.unsaved();
    assert_eq!(unsaved.len(), 1);
    assert_eq!(unsaved[0].1, "registry.example.com/api:hotter");
    // Back to what the file says: nothing to save.
    site.patch(&["image", "api=1", "--live-only"]).code(0).never_says("unsaved patch:");
    assert_eq!(site.unsaved(), []);
}

/// What nobody runs any more isn't written over what people have since put there.
#[test]
fn a_patch_that_no_longer_runs_is_not_saved() {
    let site = Site::started();
    site.patch(&["image", "api=hot", "--live-only"]).code(0);
    site.image_by_hand("api", "registry.example.com/api:hotter");
    let before = site.fixture.read(API);
    site.patch(&["save"]).code(0).says("nothing to do");
    assert_eq!(site.fixture.read(API), before);
    assert_eq!(site.unsaved(), []);
}

#[test]
fn what_the_server_fills_in_is_saved() {
    let site = Site::started();
    site.patch(&["set", "api", "group.api.count=2", "--live-only"]).code(0).says("unsaved patch:");
    site.patch(&["set", "api", "group.api.count=1", "--live-only"]).code(0).never_says("unsaved patch:");
    assert_eq!(site.unsaved(), []);

    // So is any other value that it fills in, and one that the file says and what runs leaves to it.
    site.patch(&["set", "api", "kill_timeout=30s", "--live-only"]).code(0).says("unsaved patch:");
    site.patch(&["set", "api", "kill_timeout=5s", "--live-only"]).code(0).never_says("unsaved patch:");
    let unset = "service \"api\" {\n  set = {\n    kill_timeout = null\n  }\n}\n";
    site.fixture.write("patches/unset.hcl", unset);
    site.fixture.replace(API, "driver = \"docker\"\n", "driver = \"docker\"\n      kill_timeout = \"5s\"\n");
    assert_eq!(site.unsaved(), []);
    for (own, unsaved) in [("5s", 0), ("10s", 1)] {
        site.fixture.replace(API, "kill_timeout = \"5s\"", &format!("kill_timeout = \"{own}\""));
        site.patch(&["set", "api", "kill_timeout=30s", "--live-only"]).code(0).says("unsaved patch:");
        site.patch(&["apply", "patches/unset.hcl", "--live-only"]).code(0);
        assert_eq!(site.job("api")["TaskGroups"][0]["Tasks"][0]["KillTimeout"], 5_000_000_000_u64);
        assert_eq!(site.unsaved().len(), unsaved, "{own}");
    }
}

/// A start that finds all as the files say registers nothing; the patches are of the past all the same.
#[test]
fn a_start_with_nothing_to_do_settles_what_the_files_have() {
    let site = Site::started();
    site.patch(&["image", "api=hot"]).code(0);
    site.patch(&["image", "worker=hot", "--live-only"]).code(0);
    site.fixture.replace("jobs/worker.nomad.hcl", "\"1\"", "\"hot\"");
    site.start().code(0).says("Nothing to do");
    let dropped =
        site.fixture.journal("sandbox").into_iter().filter(|(_, body)| body["type"] == "patch_dropped");
    assert_eq!(
        dropped.map(|(_, body)| body["how"].clone()).collect::<Vec<_>>(),
        ["its file has it", "its file has it"]
    );
    site.fixture.replace(API, "/api:hot\"", "/api:3\"");
    site.fixture.replace("jobs/worker.nomad.hcl", "\"hot\"", "\"3\"");
    assert_eq!(site.unsaved(), []);
    site.start().code(0);
    assert_eq!(site.image("worker"), "registry.example.com/worker:3");
}

/// Without git, too: once its file was registered, a job's patches are of the past.
#[test]
fn a_release_after_a_saved_patch_is_a_release() {
    let site = Site::started();
    site.patch(&["image", "api=hot"]).code(0);
    site.stop().code(0);
    site.start().code(0);
    site.fixture.replace(API, "/api:hot\"", "/api:3\"");
    assert_eq!(site.unsaved(), []);
    site.patch(&["save"]).code(0).says("nothing to do");
    site.start().code(0);
    assert_eq!(site.image("api"), "registry.example.com/api:3");
}

#[test]
fn patches_and_drift_are_told_together() {
    let site = Site::started();
    site.patch(&["image", "api=hot", "--live-only"]).code(0);
    site.image_by_hand("web", "registry.example.com/web:hot");
    let out = site.stop().code(3);
    let out = out.says("would undo 1 unsaved patch").says("web runs other than jobs/web.nomad.hcl says");
    out.says("blackstart patch save -e sandbox").says("blackstart drift --save -e sandbox");
}

/// Killed after the server took it, and before the file was written.
#[test]
fn a_crash_between_what_runs_and_its_file_is_not_forgotten() {
    let site = Site::started();
    let before = site.fixture.read(API);
    let running = site.slow_patch("registry.example.com/api:hot");
    running.signal("KILL");
    assert_eq!(running.wait().signal, Some(9));
    assert_eq!(site.fixture.read(API), before);
    let unsaved = site.unsaved();
    assert_eq!(unsaved.len(), 2, "{unsaved:?}");
    assert!(unsaved.iter().all(|patch| !patch.2), "nobody knows that it went well: {unsaved:?}");
    site.run(&["status"]).code(0).says("may be live");
    site.start().code(3).says("unsaved patches");
    site.stop().code(3).says("unsaved patches");
    // Going on with it completes it.
    site.run(&["resume", "--yes"]).code(0);
    assert!(site.fixture.read(API).contains("/api:hot\"") && site.fixture.read(API).contains("50s"));
    assert_eq!(site.unsaved(), []);
    site.stop().code(0);
}

/// What was intended and never reached the server isn't asked about.
#[test]
fn a_crash_before_the_server_had_it_leaves_nothing() {
    let site = Site::started();
    site.patch(&["image", "api=hot", "--live-only"]).code(0);
    let running = site.slow_patch("registry.example.com/api:hotter");
    running.signal("KILL");
    running.wait();
    // Somebody puts it back by hand: the server has neither now.
    site.by_hand("api", |job| {
        job["TaskGroups"][0]["Tasks"][0]["Config"]["image"] = "registry.example.com/api:1".into();
        job["TaskGroups"][0]["Update"]["MinHealthyTime"] = 1_000_000_000_u64.into();
        job["Update"]["MinHealthyTime"] = 1_000_000_000_u64.into();
    });
    assert_eq!(site.unsaved(), []);
}

#[test]
fn drift_is_taken_into_the_files() {
    let site = Site::started();
    site.by_hand("api", |job| {
        let group = &mut job["TaskGroups"][0];
        group["Count"] = 2.into();
        let task = &mut group["Tasks"][0];
        task["Config"]["image"] = "registry.example.com/api:hot".into();
        task["Env"]["COLOUR"] = "green".into();
        task["Env"]["SHAPE"] = "round".into();
        task["Resources"]["CPU"] = 300.into();
        task["Config"]["args"] = json!(["-v", "-x"]);
        job["Priority"] = 60.into();
    });
    site.image_by_hand("web", "registry.example.com/web:hot");
    site.stop().code(3);
    let api = site.fixture.read(API);
    let out = site.run(&["drift", "--save", "--yes"]).code(0);
    out.says("vars/shared.nomadvars.hcl:2").says("'prod' reads it too").says("written to");
    let now = site.fixture.read(API);
    for (text, there) in [
        ("count = 2", true),
        ("/api:hot\" # what it runs", true),
        ("COLOUR = \"green\"", true),
        ("SHAPE", true),
        ("cpu = 300", true),
        ("= [\"-v\", \"-x\"]", true),
        ("priority = 60", true),
        ("memory", false),
        ("# The api service.", true),
    ] {
        assert_eq!(now.contains(text), there, "{text:?} in\n{now}");
    }
    assert!(now.lines().count() <= api.lines().count() + 12, "{now}");
    assert!(site.fixture.read("vars/shared.nomadvars.hcl").contains("web_tag = \"hot\""));
    site.run(&["drift"]).code(0);
    site.stop().code(0);
}

#[test]
fn drift_that_no_edit_can_take_is_named() {
    let site = Site::new();
    site.fixture.replace(API, "\"registry.example.com/api:1\"", "sha1(\"x\")");
    site.start().code(0);
    site.image_by_hand("api", "registry.example.com/api:hot");
    site.image_by_hand("worker", "registry.example.com/worker:hot");
    let out = site.run(&["drift", "--save", "--yes"]).code(2);
    out.says("which no edit can turn round");
    assert!(site.fixture.read("jobs/worker.nomad.hcl").contains("default = \"hot\""));
    site.stop().code(3);
}

/// What somebody changed by hand is a patch once it is taken into the files: saved when it is committed.
#[test]
fn drift_that_is_taken_is_saved_once_it_is_committed() {
    let site = Site::started();
    if !site.with_git() {
        return;
    }
    site.image_by_hand("api", "registry.example.com/api:hot");
    site.image_by_hand("worker", "mirror.example.com/worker:hot");
    site.stop().code(3).says("blackstart drift --save --commit -e sandbox");
    let out = site.run(&["drift", "--save", "--yes"]).code(0);
    out.says("unsaved patch: api").says("blackstart patch save --commit -e sandbox");
    let unsaved = site.unsaved();
    let rows: Vec<(&str, bool, &str)> = unsaved.iter().map(|p| (p.0.as_str(), p.2, p.3.as_str())).collect();
    assert_eq!(rows[0], ("api", true, "in jobs/api.nomad.hcl, not committed"));
    assert!(rows.len() == 2 && rows[1].0 == "worker", "{rows:?}");
    let out = site.stop().code(3).says("2 unsaved patches are not committed yet");
    out.says("blackstart patch save --commit -e sandbox");
    site.patch(&["drop", "worker"]).code(0);
    site.patch(&["save", "--commit"]).code(0);
    assert_eq!(site.unsaved(), []);
    // With a commit there is nothing left over, and where the files alone are patched nothing runs so.
    site.image_by_hand("api", "registry.example.com/api:hotter");
    site.run(&["drift", "--save", "--commit", "--yes"]).code(0).never_says("unsaved patch");
    assert_eq!(site.unsaved(), []);
    site.patch(&["image", "web=hot", "--file-only"]).code(0).never_says("unsaved patch");
}

/// A run that was cut off, and that a look finds to be done, is done.
#[test]
fn what_a_resume_found_done_is_certain() {
    let site = Site::started();
    let image = "registry.example.com/api:hot";
    let values = ["update.min_healthy_time=50s".to_owned(), format!("config.image={image}")];
    let all = ["patch", "set", "api", "--live-only", "--yes", "-e", "sandbox"].map(str::to_owned);
    let all: Vec<String> = all.into_iter().chain(values).collect();
    let running = site.fixture.spawn("live", site.fixture.command(&all));
    wait_until("the registration", || site.image("api") == image);
    running.signal("KILL");
    assert_eq!(running.wait().signal, Some(9));
    let certain = || site.unsaved().iter().map(|patch| patch.2).collect::<Vec<_>>();
    assert_eq!(certain(), [false, false], "nobody knows that it went well");
    wait_until("the rollout", || {
        let deployment = site.ask(reqwest::Method::GET, "/v1/job/api/deployment", None);
        deployment["JobVersion"] == 1 && deployment["Status"] == "successful"
    });
    site.run(&["resume", "--yes"]).code(0);
    assert!(site.fixture.journal_types("sandbox").contains(&"step_reconciled".to_owned()));
    assert_eq!(certain(), [true, true]);
    site.run(&["status"]).code(0).says("unsaved patch: api").never_says("may be live");
    site.patch(&["save"]).code(0);
    assert_eq!(site.unsaved(), []);
}
