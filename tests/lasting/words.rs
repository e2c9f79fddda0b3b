//! What people are told, and what they can say.

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::wait_until;
use crate::site::Site;

const API: &str = "jobs/api.nomad.hcl";

/// A job that no file holds, which depends on `api`.
fn dependent(site: &Site) {
    let job = json!({ "Job": {
        "ID": "other-front", "Name": "other-front", "Type": "service", "Datacenters": ["*"],
        "Meta": { "depends_on": "api" },
        "TaskGroups": [{ "Name": "g", "Tasks": [{ "Name": "t", "Driver": "docker", "Config": { "image": "x:1" } }] }],
    } });
    site.ask(Method::PUT, "/v1/jobs", Some(&job));
}

#[test]
fn jobs_of_others_are_nobodys_drift() {
    let site = Site::started();
    dependent(&site);
    site.run(&["drift"]).code(2).says("other-front runs and no file holds it");
    site.stop().code(3).says("other-front runs and no file holds it");
    site.fixture.replace(
        "blackstart.hcl",
        "    address   = sandbox.nomad\n",
        "    address   = sandbox.nomad\n    ignore    = [\"other-*\"]\n",
    );
    site.run(&["drift"]).code(0);
    // A pattern doesn't mean them; their names do, and not without a word.
    for verb in ["stop", "restart"] {
        let out = site.run(&["service", verb, "*", "--dry-run"]).code(0);
        out.says("api").says("worker").never_says("stop other-front").never_says("other-front:");
        site.run(&["service", verb, "other*", "--dry-run"]).code(1).says("matches only jobs of others");
        let out = site.run(&["service", verb, "other-front", "--dry-run"]).code(0);
        out.says("other-front is others', says blackstart.hcl");
    }
    let out = site.run(&["patch", "set", "*", "meta.owner=x", "--live-only", "--dry-run"]).code(0);
    out.says("3 jobs to change").never_says("other-front");
    let out = site.run(&["patch", "image", "--all=2", "--live-only", "--dry-run"]).code(0);
    out.says("3 jobs to change").never_says("other-front");
    let out = site.run(&["patch", "image", "other-*=2", "--live-only", "--dry-run"]).code(1);
    out.says("only jobs of others are like 'other-*'");
    let out = site.run(&["patch", "image", "other-front=2", "--live-only", "--dry-run"]).code(0);
    out.says("other-front is others', says blackstart.hcl");
    // It says nothing of jobs that a file holds.
    site.fixture.replace("blackstart.hcl", "[\"other-*\"]", "[\"other-*\", \"api\"]");
    site.image_by_hand("api", "registry.example.com/api:hot");
    site.run(&["drift"]).code(2).says("api runs other than").never_says("other-front");
    site.run(&["stop", "--yes", "--discard-patches"]).code(0);
}

#[test]
fn what_depends_on_a_service_is_named_before_it_is_stopped() {
    let site = Site::started();
    site.run(&["service", "stop", "api"]).code(4).never_says("depends on");
    dependent(&site);
    site.run(&["service", "stop", "api"]).code(4).says("other-front depends on api, and runs on");
    site.run(&["service", "stop", "other-front", "api"]).code(4).never_says("depends on");
    let out = site.run(&["service", "restart", "api"]).code(4);
    out.says("restarts its only allocation: nothing of it runs meanwhile")
        .says("other-front depends on it, and runs on");
    site.patch(&["set", "api", "count=3", "--live-only"]).code(0);
    let out = site.run(&["service", "restart", "api"]).code(4);
    out.says("restarts 3 allocations, one at a time").never_says("depends on");
    let out = site.run(&["service", "restart", "api", "--batch", "100%"]).code(4);
    out.says("restarts 3 allocations, all at once: nothing of it runs meanwhile")
        .says("other-front depends on it, and runs on");
}

#[test]
fn a_restart_that_is_interrupted_has_not_failed() {
    let site = Site::started();
    let all = ["service", "restart", "api", "web", "--delay", "1d", "--yes", "-e", "sandbox"];
    let running = site.fixture.spawn("restart", site.fixture.command(&all));
    wait_until("the first to be healthy", || {
        std::fs::read_to_string(site.fixture.path("restart.stdout"))
            .is_ok_and(|text| text.contains("before the next"))
    });
    running.signal("INT");
    let out = running.wait().code(5);
    out.says("interrupted after 1 of 2 allocations").never_says("FAILED");
}

/// A check without a name has one on the server.
#[test]
fn a_check_without_a_name_is_written_back() {
    let site = Site::new();
    let service = "  group \"api\" {\n    service {\n      name     = \"api\"\n      provider = \"nomad\"\n      port     = \"8080\"\n\n      check {\n        type     = \"tcp\"\n        interval = \"10s\"\n        timeout  = \"2s\"\n      }\n    }\n\n";
    site.fixture.replace(API, "  group \"api\" {\n", service);
    site.start().code(0);
    let name = site.job("api")["TaskGroups"][0]["Services"][0]["Checks"][0]["Name"].clone();
    assert_eq!(name, "service: \"api\" check");
    let by_name = "service.api.check[\"service: \\\"api\\\" check\"].interval=90s";
    for (path, interval) in [
        ("service.api.check[0].interval=1m30s", "90s"),
        (by_name, "90s"),
        ("service.api.check.interval=45s", "45s"),
    ] {
        let out = site.patch(&["set", "api", path]).code(0);
        out.never_says("won't last").never_says("000000000");
        assert!(
            site.fixture.read(API).contains(&format!("interval = \"{interval}\"")),
            "{path}: {}",
            site.fixture.read(API)
        );
        assert_eq!(site.unsaved(), []);
        site.run(&["drift"]).code(0);
    }
}

/// Lengths of time are shown as people write them; machines get them exactly.
#[test]
fn lengths_of_time_are_shown_as_such() {
    let site = Site::started();
    let out = site
        .patch(&["set", "api", "update.min_healthy_time=2500ms", "kill_timeout=1m", "--live-only"])
        .code(0);
    let out = out.says("MinHealthyTime: 1s → 2500ms").says("KillTimeout: 5s → 1m");
    out.says("api group.api.update.min_healthy_time: 1s → 2500ms").never_says("00000000");
    assert!(site.unsaved().iter().any(|patch| patch.1 == 2_500_000_000_u64));
    let out = site.run(&["drift"]).code(2);
    out.says("KillTimeout: runs 1m, the file has 5s").never_says("00000000");
    let out = site.run(&["drift", "--json"]).code(2);
    assert!(out.stdout.contains("\"60000000000\""), "{out}");
    // What only looks like one is left alone.
    site.patch(&["set", "api", "env.Timeout=5000000000", "--live-only"]).code(0).says("\"5000000000\"");
}

#[test]
fn an_unsaved_patch_is_told_in_short_lines() {
    let site = Site::started();
    let long = format!("registry.example.com/{}x:hot", "a-long-name/".repeat(6));
    site.patch(&["image", &format!("api={long}"), "--live-only"]).code(0);
    let out = site.run(&["status"]).code(0);
    let told: Vec<&str> = out.stderr.lines().chain(out.stdout.lines()).collect();
    let first =
        told.iter().position(|line| line.ends_with("unsaved patch: api group.api.task.api.config.image:"));
    let first = first.unwrap_or_else(|| panic!("{out}"));
    let lines: Vec<&str> =
        told[first..first + 5].iter().map(|line| line.trim_start_matches("[simulated]").trim()).collect();
    assert_eq!(lines[1..3], ["\"registry.example.com/api:1\"", &format!("→ \"{long}\"")]);
    assert!(lines[3].starts_with("by tester@") && lines[4] == "not in jobs/api.nomad.hcl", "{lines:?}");
    let refused = site.stop().code(3);
    assert!(refused.stdout.contains(&format!("\n[simulated]       → \"{long}\"\n")), "{refused}");
}

/// Values with characters that JSON and HCL write differently.
#[test]
fn any_text_can_be_set() {
    let site = Site::started();
    let text = "a\u{8}b\u{c}c\u{1}\"${x}%{y}\\n";
    site.patch(&["set", "api", &format!("env.COLOUR={text}")]).code(0);
    assert_eq!(site.job("api")["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"], Value::from(text));
    assert_eq!(site.unsaved(), []);
}

#[test]
fn all_unfinished_runs_are_given_up_at_once() {
    let site = Site::started();
    for image in ["registry.example.com/api:hot", "registry.example.com/api:hotter"] {
        let running = site.slow_patch(image);
        running.signal("KILL");
        running.wait();
    }
    site.run(&["resume", "--yes"]).code(1).says("several runs are unfinished").says("--abandon --all");
    site.run(&["resume", "--all"]).code(1).says("--abandon");
    let out = site.run(&["resume", "--abandon", "--all"]).code(0);
    assert_eq!(out.stdout.matches("is given up").count(), 2, "{out}");
    site.run(&["status"]).code(0).never_says("unfinished");
    site.run(&["resume", "--abandon", "--all"]).code(0).says("No run is unfinished");
}

/// What is protected changes with the files that it shares.
#[test]
fn a_protected_environment_that_reads_the_files_is_approved_by_its_name() {
    let site = Site::started();
    site.fixture.replace(
        "blackstart.hcl",
        "environment \"prod\" {\n",
        "environment \"prod\" {\n  protected = true\n",
    );
    let web = ["patch", "image", "web=hot"];
    let out = site.patch(&web[1..]).code(4);
    out.says("--yes is not enough: this changes files of prod, which is protected").says("--approve");
    assert_eq!(site.image("web"), "registry.example.com/web:1");
    // What runs here alone is nobody else's.
    site.patch(&["image", "web=warm", "--live-only"]).code(0);
    let mut terminal = site.terminal(&web);
    terminal.until("type prod to approve (it changes prod's files); empty refuses:");
    terminal.answers("sandbox");
    terminal.until("'sandbox' is not 'prod'");
    terminal.answers("prod");
    let (text, code) = terminal.end();
    assert_eq!((code, site.image("web").as_str()), (0, "registry.example.com/web:hot"), "{text}");
    // A digest is an approval of all that was shown.
    let digest = site.run(&["patch", "image", "web=hotter"]).code(4).never_says("give --yes").digest();
    site.run(&["patch", "image", "web=hotter", "--approve", &digest]).code(0);
    // Its own line stands over the shared one there.
    site.fixture.write("vars/prod.nomadvars.hcl", "web_tag = \"stays\"\n");
    site.patch(&["image", "web=hottest"]).code(0);
}

#[test]
fn what_is_patched_in_a_stopped_environment_is_told_who_stopped_it() {
    let site = Site::started();
    site.stop().code(0);
    let run = site.fixture.journal("sandbox").last().unwrap().0.clone();
    // Its Nomad answers still: the job is what is stopped.
    let out = site.patch(&["image", "api=hot"]).code(1).says("the job 'api' is stopped");
    out.says("start it as it last ran: blackstart service start api");
    site.fixture.replace("blackstart.hcl", "address   = sandbox.nomad", "address   = \"http://127.0.0.1:1\"");
    for command in [&["patch", "image", "api=hot"][..], &["service", "restart", "api"]] {
        let out = site.run(&[command, &["--yes"]].concat()).code(1);
        out.says("'sandbox' is stopped since ")
            .says(&format!("by the run {run}: nothing listens at http://127.0.0.1:1"))
            .says("bring it up: blackstart start sandbox");
    }
    site.patch(&["image", "api=hot"]).code(1).says("the same with --file-only");
    site.patch(&["image", "api=hot", "--file-only"]).code(0);
    assert!(site.fixture.read(API).contains("/api:hot\""));
    site.run(&["patch", "image", "api="]).code(1).says("the image is missing: write api=git-1a2b3c4d");
}

/// A block that stands deeper needn't be led to, where only one can be meant.
#[test]
fn a_block_in_a_block_is_found() {
    let site = Site::new();
    let service = "  group \"api\" {\n    service {\n      name     = \"api\"\n      provider = \"nomad\"\n      port     = \"8080\"\n\n      check {\n        type     = \"tcp\"\n        interval = \"10s\"\n        timeout  = \"2s\"\n      }\n    }\n\n";
    site.fixture.replace(API, "  group \"api\" {\n", service);
    site.start().code(0);
    site.patch(&["set", "api", "check.interval=5s"]).code(0);
    assert!(site.fixture.read(API).contains("interval = \"5s\""), "{}", site.fixture.read(API));
    site.run(&["drift"]).code(0);
    let out = site.patch(&["set", "worker", "check.interval=5s"]).code(1);
    out.says("`check` stands in a group.service block, and the job has none");
    let out = site.patch(&["set", "api", "provider=consul"]).code(1);
    out.says("is `group.api.service.api.provider` meant?");
}

/// What a failed patch leaves, and how long each had, is said in few words and laid out in the record.
#[test]
fn what_was_put_back_is_named_at_the_end() {
    let site = Site::started();
    let all = ["image", "api=hot", "worker=bad", "web=bad", "--parallel", "1", "--timeout", "90s"];
    let all = [&all[..], &["--on-failure", "revert-all", "--live-only"]].concat();
    let out = site.patch(&all).code(1).says("each has 1m 30s to become healthy, else all go back");
    let out = out.never_says("not healthy: not healthy");
    let last = &out.stdout[out.place("Failed: ")..];
    assert!(last.lines().next().unwrap().ends_with("; put back too: api"), "{out}");
    let run = site.fixture.journal("sandbox").last().unwrap().0.clone();
    let shown = site.run(&["show", &run]).code(0);
    let lines: Vec<&str> = shown.stdout.lines().collect();
    let failed = lines.iter().position(|line| line.contains("patch: failed: 'worker': not healthy")).unwrap();
    assert!(lines[failed + 1].starts_with(&" ".repeat(25)), "{shown}");
    assert!(
        lines.iter().any(|line| line.trim() == "'api': changed, but it was put back as it was"),
        "{shown}"
    );
    let out = site.patch(&["image", "api=hot", "--dry-run"]).code(0);
    out.says("it has 15m to become healthy, else it goes back to what it was");
}

/// On a terminal of 80 columns nothing is wider, and what is broken is broken between words.
#[test]
fn on_eighty_columns_lines_are_wrapped_between_words() {
    let site = Site::started();
    let image = "registry.example.com/a-very-long-team-name/another-long-name/and-one-more-part/api:hot";
    let why = "The registry that the old image comes from is switched off at the end of the week, says ops";
    let text = format!("description = \"{why}\"\nservice \"api\" {{\n  image = \"{image}\"\n}}\n");
    site.fixture.write("patches/long.hcl", &text);
    let mut terminal = site.terminal_of(80, &["patch", "apply", "patches/long.hcl", "--live-only"]);
    let shown = terminal.until("Approve?");
    terminal.answers("y");
    assert_eq!(terminal.end().1, 0);
    let lines: Vec<&str> = shown.lines().filter(|line| !line.contains('\u{1b}')).collect();
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{shown}");
    let asked: Vec<&str> =
        lines.iter().skip_while(|line| !line.starts_with("run patch (")).copied().collect();
    assert!(asked.len() > 1 && asked.join(" ").replace("   ", " ").contains(why), "{asked:?}");
    assert!(lines.iter().any(|line| line.ends_with("/another-long-name/")), "{shown}");
    // A table's images are whole.
    let mut terminal = site.terminal_of(60, &["status"]);
    let shown = terminal.until("last run");
    assert!(shown.contains("api:hot") && !shown.contains('…'), "{shown}");
}

/// What is said next begins on a line of its own, and so does the shell's prompt; the terminal is as it was.
#[test]
fn an_interrupt_at_a_question_ends_its_line() {
    let site = Site::started();
    // By a key, and by a signal from elsewhere.
    for key in [true, false] {
        let mut terminal = site.terminal(&["patch", "image", "api=hot"]);
        terminal.until("Approve? [y/N]");
        terminal.interrupts(key);
        let (rest, code) = terminal.end();
        assert_eq!(code, 4, "{rest}");
        let lines: Vec<&str> = rest.split("\r\n").collect();
        assert_eq!(lines[0], ": ", "{rest:?}");
        assert!(lines.contains(&"[simulated] Not approved: nothing was changed"), "{rest:?}");
        assert_eq!(lines.last(), Some(&""), "{rest:?}");
        assert_eq!(site.image("api"), "registry.example.com/api:1");
    }
}
