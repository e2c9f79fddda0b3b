//! Patches through the real binary: one suite for the sandbox, always, and for a real agent with containers
//! where BLACKSTART_TEST_NOMAD holds its address (in namespaces that are made for it; its garbage is collected).
//! What needs no containers runs on an agent of its own, too, where NOMAD_BIN names the program.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; a skipped one says so"
)]

mod common;
#[path = "patch/operations.rs"]
mod operations;
#[path = "patch/promoting.rs"]
mod promoting;
#[path = "patch/rolling.rs"]
mod rolling;
#[path = "patch/site.rs"]
mod site;
#[path = "patch/taken.rs"]
mod taken;

use operations::{
    a_failed_deployment_is_explained, a_forgotten_one_comes_back, six_services_are_patched,
    the_stock_client_is_not_overwritten, what_has_no_place_gets_one,
    what_the_stock_client_writes_out_is_no_change,
};
use promoting::{what_waits_for_a_promotion_is_gone_on_with, what_was_not_promoted_is_as_it_was};
use rolling::a_rolling_restart_ends_at_the_one_that_ails;
use serde_json::{Value, json};
use site::{REPOSITORY, Site};
use taken::{
    a_no_to_a_resume_names_what_was_done, a_no_to_a_resume_says_what_was_changed,
    a_no_to_the_second_question_puts_all_back, a_put_back_that_was_cut_off_is_ended,
    a_put_back_whose_answer_is_lost_is_not_known, a_refusal_names_what_earlier_attempts_left,
    a_refused_put_back_is_remembered, a_second_interrupt_puts_nothing_back,
    an_interrupted_one_is_remembered_where_a_file_changes, killed_between_two_it_is_gone_on_with,
    killed_while_one_fails_all_go_back, the_stock_client_did_more_meanwhile,
    the_stock_client_did_the_same_meanwhile, what_becomes_of_others_is_no_reason_to_leave_it,
    what_may_go_back_is_in_no_file, what_several_attempts_changed_all_goes_back,
    what_somebody_did_and_undid_is_no_failure,
};

const JOB: &str = "job_creation";

/// Collecting garbage does it for every namespace.
const ALONE: [&str; 1] = ["a_forgotten_one_comes_back"];

macro_rules! suite {
    (containers: $($name:ident),*; raw: $($raw:ident),* $(,)?) => {
        suite![each: $($name,)* $($raw,)*];

        #[test]
        fn on_an_agent_of_its_own() {
            $(println!("not on an agent without containers: {}", stringify!($name));)*
            let Some(agent) = site::Agent::start().map(std::sync::Arc::new) else {
                $(println!("skipped on an agent of its own: {}: NOMAD_BIN is not set", stringify!($raw));)*
                return;
            };
            $(
                println!("{}", stringify!($raw));
                $raw(&Site::raw(&agent));
            )*
        }
    };
    (each: $($name:ident),* $(,)?) => {
        mod sandbox {
            $(#[test]
            fn $name() {
                super::$name(&super::Site::sandbox());
            })*
        }
        mod agent {
            $(#[test]
            fn $name() {
                let name = stringify!($name);
                if let Some(site) = super::Site::agent(name, super::ALONE.contains(&name)) {
                    super::$name(&site);
                }
            })*
        }
    };
}

suite![containers:
    only_the_image_changes,
    an_edit_at_the_prompt_is_not_overwritten,
    a_digest_is_for_the_job_as_it_was,
    a_bad_image_goes_back_at_once,
    a_bad_image_that_nomad_would_leave_is_put_back,
    a_crash_is_told_with_its_exit_code,
    groups_and_tasks_are_selected,
    references_and_digests_are_shown_whole,
    wrong_names_are_refused_with_the_nearest,
    several_jobs_at_once,
    a_stopped_job_stays_stopped,
    events_as_json,
    a_rolling_restart_ends_at_the_one_that_ails;
raw:
    six_services_are_patched,
    the_stock_client_is_not_overwritten,
    what_has_no_place_gets_one,
    a_forgotten_one_comes_back,
    a_failed_deployment_is_explained,
    what_the_stock_client_writes_out_is_no_change,
    the_stock_client_did_the_same_meanwhile,
    the_stock_client_did_more_meanwhile,
    killed_while_one_fails_all_go_back,
    killed_between_two_it_is_gone_on_with,
    a_no_to_the_second_question_puts_all_back,
    a_no_to_a_resume_says_what_was_changed,
    a_no_to_a_resume_names_what_was_done,
    what_waits_for_a_promotion_is_gone_on_with,
    what_was_not_promoted_is_as_it_was,
];

/// On the sandbox alone: requests fare badly, or what is waited for takes its time.
mod faulty {
    macro_rules! faulty {
        ($($name:ident),* $(,)?) => {
            $(#[test]
            fn $name() {
                super::$name(&super::Site::sandbox());
            })*
        };
    }
    faulty![
        an_interrupted_one_is_remembered_where_a_file_changes,
        a_refused_put_back_is_remembered,
        a_put_back_that_was_cut_off_is_ended,
        what_may_go_back_is_in_no_file,
        a_second_interrupt_puts_nothing_back,
        what_somebody_did_and_undid_is_no_failure,
        a_refusal_names_what_earlier_attempts_left,
        a_put_back_whose_answer_is_lost_is_not_known,
        what_becomes_of_others_is_no_reason_to_leave_it,
        what_several_attempts_changed_all_goes_back,
    ];
}

/// A job as somebody wrote it, without what the server keeps in it.
fn written(mut job: Value) -> Value {
    for own in
        ["ModifyIndex", "JobModifyIndex", "Version", "SubmitTime", "Status", "Stable", "StatusDescription"]
    {
        job.as_object_mut().unwrap().remove(own);
    }
    job
}

fn image(service: &str, tag: &str) -> String {
    format!("{REPOSITORY}/{service}:{tag}")
}

/// The reference environment's job, which gives up on a task that can't start, and says it soon.
fn impatient(site: &Site, auto_revert: bool) -> Value {
    let (mut job, _) = site.filed(JOB);
    let group = &mut job["TaskGroups"][0];
    group["RestartPolicy"] =
        json!({ "Attempts": 0, "Mode": "fail", "Interval": 60_000_000_000_u64, "Delay": 1_000_000_000 });
    job["Update"]["AutoRevert"] = auto_revert.into();
    job
}

fn only_the_image_changes(site: &Site) {
    site.start(JOB);
    site.start("job_configuration");
    let (before, other) = (site.job(JOB), site.job("job_configuration"));
    let (_, source) = site.filed(JOB);
    let first = site.running(JOB)[0]["ID"].clone();

    let out = site.patch(&[&format!("{JOB}=git-new"), "--yes"]).code(0);
    // Looked at before anything else: it is healthy, and the server is done with it, when the command ends.
    let (after, running, deployment) = (site.job(JOB), site.running(JOB), site.deployment(JOB));
    assert_eq!(running.len(), 1, "{running:#?}");
    assert_ne!(running[0]["ID"], first);
    assert_eq!(running[0]["JobVersion"], 1);
    assert_eq!(running[0]["ClientStatus"], "running");
    assert_eq!(running[0]["DeploymentStatus"]["Healthy"], true, "{running:#?}");
    assert_eq!((&deployment["JobVersion"], &deployment["Status"]), (&json!(1), &json!("successful")));
    assert_eq!(after["Stable"], true, "a later failure could not go back to it");

    assert_eq!((&before["Version"], &after["Version"]), (&json!(0), &json!(1)));
    let mut expected = written(before);
    let place = expected.pointer_mut("/TaskGroups/0/Tasks/0/Config/image").unwrap();
    assert_eq!(*place, image(JOB, "git-5d20c8f1"));
    *place = image(JOB, "git-new").into();
    assert_eq!(written(after), expected);
    assert_eq!(site.job("job_configuration"), other);

    // Shown first, then approved, then healthy, then done.
    let change = format!("\"{}\" → \"{}\"", image(JOB, "git-5d20c8f1"), image(JOB, "git-new"));
    let places = [&*change, "Approved by", "1 of 1 healthy", "Done:"].map(|text| out.place(text));
    assert!(places.is_sorted(), "{places:?} in {out}");
    assert_eq!(out.stdout.matches(&format!("/ image: {change}")).count(), 1, "{out}");
    out.says("written to nomad-jobs/job_creation.nomad.hcl");

    // The source beside the job says the same, and is otherwise as it was.
    let kept = site.get(&format!("/v1/job/{JOB}/submission?version=1"));
    assert_eq!(kept["Source"], source.replace(":git-5d20c8f1\"", ":git-new\""));
    assert_eq!(kept["Format"], "hcl2");

    // Once more, with nobody to ask.
    let again = site.patch(&[&format!("{JOB}=git-new")]).code(0);
    again.says("nothing to do").says("has the image already").never_says("Approved");
    assert_eq!(site.version(JOB), 1);
}

fn an_edit_at_the_prompt_is_not_overwritten(site: &Site) {
    site.start(JOB);
    let old = site.images(JOB);
    let argument = format!("{JOB}=git-new");
    // First the answer to the second question is no, then it is yes.
    for (number, (answer, code)) in [("n", 4), ("y", 0)].into_iter().enumerate() {
        let mut terminal = site.terminal(&[&argument]);
        let shown = terminal.until("Approve?");
        assert!(shown.contains(&image(JOB, "git-new")), "{shown}");
        let name = format!("COLOUR_{number}");
        site.somebody_sets(JOB, &name, "teal");
        let version = site.version(JOB);
        terminal.answers("y");
        let shown = terminal.until("which is not what was approved") + &terminal.until("Approve?");
        assert_eq!(site.version(JOB), version, "it was overwritten without a question");
        assert_eq!(site.images(JOB), old);
        let told = shown.lines().find(|line| line.contains("somebody else changed it meanwhile"));
        assert!(told.is_some_and(|line| line.contains(&name)), "{shown}");
        // What is asked about is the job as it is now: the image still differs, and only that would change.
        assert!(shown.contains("→") && shown.contains(&image(JOB, "git-new")), "{shown}");
        terminal.answers(answer);
        let (rest, ended) = terminal.end();
        assert_eq!(ended, code, "{rest}");
        assert_eq!(site.environment(JOB)[&name], "teal");
        if answer == "n" {
            assert_eq!((site.version(JOB), site.images(JOB)), (version, old.clone()));
        }
    }
    assert_eq!(site.images(JOB), ["job_creation/job_creation=job_creation:git-new"]);
    let environment = site.environment(JOB);
    assert_eq!((&environment["COLOUR_0"], &environment["COLOUR_1"]), (&json!("teal"), &json!("teal")));
}

fn a_digest_is_for_the_job_as_it_was(site: &Site) {
    site.start(JOB);
    let argument = format!("{JOB}=git-new");
    let old = site.images(JOB);
    let digest = site.patch(&[&argument]).code(4).says("--approve").digest();
    assert_eq!((site.version(JOB), site.images(JOB)), (0, old.clone()));
    assert_eq!(site.patch(&[&argument]).code(4).digest(), digest, "the same look has the same digest");

    site.somebody_sets(JOB, "COLOUR", "teal");
    let refused = site.patch(&[&argument, "--approve", &digest]).code(4);
    assert_eq!((site.version(JOB), site.images(JOB)), (1, old.clone()));
    let fresh = refused.digest();
    assert_ne!(fresh, digest);
    assert!(refused.text().contains("since then: "), "doesn't say what changed: {refused}");
    assert!(refused.text().contains(JOB), "{refused}");
    // Nor is it good for another image.
    site.patch(&[&format!("{JOB}=git-1a2b3c4d"), "--approve", &fresh]).code(4);
    assert_eq!((site.version(JOB), site.images(JOB)), (1, old));

    site.until_rolled_out(JOB);
    site.patch(&[&argument, "--approve", &fresh]).code(0).says("--approve");
    assert_eq!(site.images(JOB), ["job_creation/job_creation=job_creation:git-new"]);
    assert_eq!(site.environment(JOB)["COLOUR"], "teal");
}

fn a_bad_image_goes_back_at_once(site: &Site) {
    site.start_job(&impatient(site, true), None);
    site.patch(&[&format!("{JOB}=git-new"), "--yes"]).code(0);
    let out = site.patch(&[&format!("{JOB}=git-bad"), "--yes"]).code(1);
    // Long before the deployment's own deadline of five minutes.
    let deployment = site.get(&format!("/v1/job/{JOB}/deployments"));
    let bad = deployment.as_array().unwrap().iter().find(|d| d["JobVersion"] == 2).unwrap().clone();
    assert_eq!(bad["Status"], "failed", "{bad:#?}");
    let out = out.says("FAILED").says("Driver Failure").says("Failed to pull").says("git-bad");
    let out = out.never_says("Done:").never_says("changed and healthy");
    // To the version before, not to the one before that.
    assert!(out.text().contains("rolls back to version 1"), "{out}");
    common::wait_until("the way back", || site.version(JOB) == 3);
    assert_eq!(site.images(JOB), ["job_creation/job_creation=job_creation:git-new"]);
    site.until_rolled_out(JOB);
    let mut running = site.running(JOB);
    // The simulated Nomad keeps the one that failed among them.
    running.retain(|allocation| allocation["ClientStatus"] != "failed");
    assert_eq!(running.len(), 1, "{running:#?}");
    assert_eq!(
        (&running[0]["JobVersion"], &running[0]["DeploymentStatus"]["Healthy"]),
        (&json!(3), &json!(true))
    );
    // And one can go on from there.
    site.patch(&[&format!("{JOB}=git-1a2b3c4d"), "--yes"]).code(0);
    assert_eq!(site.images(JOB), ["job_creation/job_creation=job_creation:git-1a2b3c4d"]);
}

fn a_bad_image_that_nomad_would_leave_is_put_back(site: &Site) {
    let (_, source) = site.filed(JOB);
    site.start_job(&impatient(site, false), Some(&source));
    let before = site.job(JOB);
    let out = site.patch(&[&format!("{JOB}=git-bad"), "--live-only", "--yes"]).code(1);
    let out = out.says("Driver Failure").says("Failed to pull").says("it was put back as it was");
    let out = out.never_says("rolls back").never_says("Done:").never_says("don't have this yet");
    // The very last words say what failed and what became of it.
    let failed = out.place("Failed: ");
    assert!(out.stdout[failed..].contains("put back"), "{out}");
    // Exactly as it was, healthy, and with its source.
    let after = site.job(JOB);
    assert_eq!((&before["Version"], &after["Version"]), (&json!(0), &json!(2)));
    assert_eq!(written(after), written(before));
    let running = site.running(JOB);
    let healthy = running.iter().filter(|a| a["JobVersion"] == 2 && a["DeploymentStatus"]["Healthy"] == true);
    assert_eq!(healthy.count(), 1, "{running:#?}");
    let kept = site.get(&format!("/v1/job/{JOB}/submission?version=2"));
    assert_eq!((&kept["Source"], &kept["Format"]), (&json!(source), &json!("hcl2")));
}

fn a_crash_is_told_with_its_exit_code(site: &Site) {
    site.start_job(&impatient(site, true), None);
    let out = site.patch(&[&format!("{JOB}=git-badbad00"), "--yes"]).code(1);
    out.says("Terminated").says("Exit Code: 1").says("rolls back to version 0").never_says("Done:");
}

/// Two groups, one of two tasks, of two repositories; its name has a slash of its own.
fn pair() -> Value {
    let task = |name: &str, service: &str| {
        json!({
            "Name": name, "Driver": "docker", "Config": { "image": image(service, "git-5d20c8f1") },
            "Resources": { "CPU": 50, "MemoryMB": 32 },
        })
    };
    json!({
        "ID": "team/pair", "Name": "team/pair", "Type": "service", "Datacenters": ["*"],
        "Update": {
            "MaxParallel": 1, "HealthCheck": "task_states", "MinHealthyTime": 1_000_000_000,
            "HealthyDeadline": 60_000_000_000_u64, "ProgressDeadline": 120_000_000_000_u64,
        },
        "TaskGroups": [
            { "Name": "left", "Count": 1, "Tasks": [task("x", JOB), task("y", "job_configuration")] },
            { "Name": "right", "Count": 1, "Tasks": [task("z", JOB)] },
        ],
    })
}

fn groups_and_tasks_are_selected(site: &Site) {
    site.start_job(&pair(), None);
    let left = |x: &str, y: &str, z: &str| {
        [
            format!("left/x=job_creation:{x}"),
            format!("left/y=job_configuration:{y}"),
            format!("right/z=job_creation:{z}"),
        ]
    };
    let (old, new, newer) = ("git-5d20c8f1", "git-new", "git-1a2b3c4d");
    // A tag for tasks of several images is no decision.
    for selector in ["team/pair", "team/pair/left"] {
        let out = site.patch(&[&format!("{selector}={new}"), "--yes"]).code(1);
        out.says("different images").says("left/x").says("left/y");
    }
    assert_eq!(site.images("team/pair"), left(old, old, old));
    assert_eq!(site.version("team/pair"), 0);
    site.patch(&[&format!("team/pair/left/x={new}"), "--yes"]).code(0);
    assert_eq!(site.images("team/pair"), left(new, old, old));
    site.patch(&[&format!("team/pair/right={new}"), "--yes"]).code(0);
    assert_eq!(site.images("team/pair"), left(new, old, new));
    // A whole reference means the tasks of that repository.
    site.patch(&[&format!("team/pair={}", image(JOB, newer)), "--yes"]).code(0);
    assert_eq!(site.images("team/pair"), left(newer, old, newer));
    // Two selectors of one job are one registration.
    let version = site.version("team/pair");
    site.patch(&[&format!("team/pair/left/y={new}"), &format!("team/pair/right/z={old}"), "--yes"]).code(0);
    assert_eq!(site.images("team/pair"), left(newer, new, old));
    assert_eq!(site.version("team/pair"), version + 1);
    for (selector, near) in
        [("team/pair/lefd", "left"), ("team/pair/left/yy", "y"), ("team/pear", "team/pair")]
    {
        let out = site.patch(&[&format!("{selector}={new}"), "--yes"]).code(1);
        out.says(&format!("did you mean '{near}'"));
    }
    assert_eq!(site.version("team/pair"), version + 1);
}

fn references_and_digests_are_shown_whole(site: &Site) {
    site.start(JOB);
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let elsewhere = "registry.example.com:5000/mirror/job_creation:git-new";
    let pinned = format!("{REPOSITORY}/{JOB}:git-new@{digest}");
    for (wanted, expected) in [
        (digest.as_str(), format!("{REPOSITORY}/{JOB}@{digest}")),
        (elsewhere, elsewhere.to_owned()),
        (&pinned, pinned.clone()),
    ] {
        site.patch(&[&format!("{JOB}={wanted}")]).code(4).says(&format!("→ \"{expected}\""));
    }
    assert_eq!(site.version(JOB), 0);
    site.patch(&[&format!("{JOB}={}", image(JOB, "git-1a2b3c4d")), "--yes"]).code(0);
    assert_eq!(site.images(JOB), ["job_creation/job_creation=job_creation:git-1a2b3c4d"]);
    // The same image in other words is the same image.
    site.patch(&[&format!("{JOB}/{JOB}/{JOB}=git-1a2b3c4d")]).code(0).says("nothing to do");
    assert_eq!(site.version(JOB), 1);
}

fn wrong_names_are_refused_with_the_nearest(site: &Site) {
    site.start(JOB);
    site.start("job_configuration");
    let untouched = |arguments: &[&str], says: &[&str]| {
        let mut all = arguments.to_vec();
        all.push("--yes");
        let mut out = site.patch(&all).code(1).never_says("Approved").never_says("panicked");
        for text in says {
            out = out.says(text);
        }
        assert_eq!((site.version(JOB), site.version("job_configuration")), (0, 0), "{out}");
    };
    untouched(&["job_craetion=git-new"], &["there is no job 'job_craetion'", "did you mean 'job_creation'?"]);
    untouched(&["elsewhere=git-new"], &["there is no job 'elsewhere'", "job_creation", "job_configuration"]);
    untouched(
        &["job_creation/job_creaton=git-new"],
        &["no group 'job_creaton'", "did you mean 'job_creation'?"],
    );
    untouched(
        &["job_creation/job_creation/job_creaton=git-new"],
        &["no task 'job_creaton'", "did you mean 'job_creation'?"],
    );
    untouched(&["job_creation/a/b/c=git-new"], &["job_creation/a/b/c"]);
    untouched(&["job_creation=git new"], &["'git new'", "space"]);
    untouched(&["job_creation="], &["the image is missing", "write job_creation=git-1a2b3c4d"]);
    untouched(&["job_creation=-x"], &["'-x'", "not an image tag"]);
    untouched(&["job_creation=sha256:12"], &["not a whole digest"]);
    untouched(&["job_creation"], &["the image is missing"]);
    untouched(&["=git-new"], &["the service is missing"]);
    untouched(&["job_creation=git-new", "job_creation=git-old"], &["named twice"]);
    // One wrong name among right ones stops all of them.
    untouched(
        &["job_configuration=git-new", "job_creatoin=git-new"],
        &["there is no job 'job_creatoin'", "did you mean 'job_creation'?"],
    );
}

fn several_jobs_at_once(site: &Site) {
    let names = [JOB, "job_configuration", "job_publication"];
    for name in names {
        site.start(name);
    }
    site.patch(&["job_publication=git-new", "--yes"]).code(0);
    let third = site.job("job_publication");
    let arguments = names.map(|name| format!("{name}=git-new"));
    let out = site.patch(&[&arguments[0], &arguments[1], &arguments[2], "--yes"]).code(0);
    let out = out.says("2 jobs to change").says("job_publication has the image already");
    out.says("2 jobs changed and healthy");
    for name in [JOB, "job_configuration"] {
        assert_eq!(site.images(name), [format!("{name}/{name}={name}:git-new")]);
        assert_eq!(site.version(name), 1);
        let running = site.running(name);
        assert_eq!((running.len(), &running[0]["DeploymentStatus"]["Healthy"]), (1, &json!(true)));
    }
    assert_eq!(site.job("job_publication"), third, "what has the image already is left alone");
}

fn a_stopped_job_stays_stopped(site: &Site) {
    site.start(JOB);
    site.stop(JOB);
    common::wait_until("the stop", || site.job(JOB)["Status"] == "dead");
    let before = site.job(JOB);
    let out = site.patch(&[&format!("{JOB}=git-new"), "--yes"]).code(1);
    out.says("the job 'job_creation' is stopped").says("blackstart service start job_creation");
    assert_eq!(site.job(JOB), before);
    assert_eq!(site.running(JOB), [] as [Value; 0]);
}

fn events_as_json(site: &Site) {
    site.start_job(&impatient(site, true), None);
    let events = |out: &common::Outcome| -> Vec<Value> {
        let lines = out.stdout.lines();
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?}: {e}"))).collect()
    };
    let all = |events: &[Value]| Value::Array(events.to_vec()).to_string();
    let out = site.patch(&[&format!("{JOB}=git-new"), "--yes", "--json"]).code(0);
    let told = events(&out);
    assert!(
        !told.is_empty() && told.iter().all(|event| event["v"] == 1 && event["run"].is_string()),
        "{out}"
    );
    assert!(all(&told).contains(&format!("→ \\\"{}\\\"", image(JOB, "git-new"))), "{out}");
    let types: Vec<&str> = told.iter().filter_map(|event| event["event"]["type"].as_str()).collect();
    let place = |wanted: &str| {
        types.iter().position(|kind| *kind == wanted).unwrap_or_else(|| panic!("no {wanted} in {types:?}"))
    };
    assert!(
        [place("approved"), place("step_started"), place("step_done"), place("finished")].is_sorted(),
        "{types:?}"
    );
    place("finished");
    let out = site.patch(&[&format!("{JOB}=git-bad"), "--yes", "--json"]).code(1);
    let told = events(&out);
    assert!(all(&told).contains("Failed to pull"), "{out}");
    let last = told.iter().find(|event| event["event"]["type"] == "finished").unwrap();
    assert_eq!(last["event"]["ending"], "failed");
}

/// Between the look and the registration, with nobody to ask again.
#[test]
fn an_edit_after_the_look_is_not_overwritten() {
    let site = Site::sandbox();
    site.start(JOB);
    let old = site.images(JOB);
    // What is asked for last of all, once the job is read and planned, takes its time.
    site.fault(&format!("/v1/job/{JOB}/submission"), &json!({ "slow": 3.0 }));
    let patching = site.patching(&[&format!("{JOB}=git-new"), "--yes"]);
    common::wait_until("the fault", || site.faults() == 0);
    site.somebody_sets(JOB, "COLOUR", "teal");
    let out = patching.wait();
    assert_eq!(out.code, Some(4), "{out}");
    let out = out.says("was changed by somebody else").says("COLOUR").never_says("Done:");
    assert_eq!((site.version(JOB), site.images(JOB)), (1, old), "{out}");
    assert_eq!(site.environment(JOB)["COLOUR"], "teal");
    // Nothing happened: the same command goes on from what is there now.
    site.until_rolled_out(JOB);
    site.patch(&[&format!("{JOB}=git-new"), "--yes"]).code(0);
    assert_eq!(site.images(JOB), ["job_creation/job_creation=job_creation:git-new"]);
    assert_eq!(site.environment(JOB)["COLOUR"], "teal");
}
