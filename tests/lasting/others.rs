//! A commit holds what it says, and what it changes in other environments is told before.

use serde_json::Value;

use super::site::{Site, job};

const API: &str = "jobs/api.nomad.hcl";
const SHARED: &str = "vars/shared.nomadvars.hcl";
const SETTINGS: &str = "blackstart.hcl";

fn started_with_git() -> Option<Site> {
    let site = Site::started();
    site.with_git().then_some(site)
}

/// Two jobs take one value, and one of them isn't healthy with what it gets besides.
#[test]
fn a_commit_names_what_it_holds_and_nothing_else() {
    let site = Site::new();
    for (name, declared) in [("api", ""), ("web", "variable \"web_tag\" {}\n")] {
        let image = if name == "web" { "${var.web_tag}" } else { "1" };
        let image = format!("\"registry.example.com/{name}:{image}\"");
        let file = job(name, &format!("variable \"colour\" {{}}\n{declared}\n"), &image);
        let file = file.replace("\"blue\"", "var.colour");
        site.fixture.write(&format!("jobs/{name}.nomad.hcl"), &file);
    }
    site.fixture.append(SHARED, "colour = \"blue\"\n");
    site.start().code(0);
    if !site.with_git() {
        return;
    }
    let patch = r#"service "api" { set = { "env.COLOUR" = "red" } }
service "worker" { image = "hot" }
service "web" {
  image = "bad"
  set   = { "env.COLOUR" = "red" }
}
"#;
    site.fixture.write("patches/three.hcl", patch);
    let out = site.patch(&["apply", "patches/three.hcl", "--commit", "--parallel", "1"]).code(1);
    out.says(
        "vars/shared.nomadvars.hcl:3 stays as it is, and api unsaved: web takes it from there too, and \
         isn't healthy",
    );
    assert_eq!(site.job("api")["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"], "red");
    assert_eq!(site.git(&["diff", "--name-only", "HEAD^", "HEAD"]), "jobs/worker.nomad.hcl\n");
    let said = site.git(&["show", "-s", "--format=%B", "HEAD"]);
    assert!(
        said.starts_with("Patch worker\n\nworker group.worker.task.worker.config.image\n\nAppr"),
        "{said}"
    );
    let records = site.fixture.journal("sandbox");
    let evidence = &records.iter().rev().find(|(_, body)| body["evidence"]["commit"].is_string()).unwrap().1;
    let jobs: Vec<&Value> =
        evidence["evidence"]["committed"].as_array().unwrap().iter().map(|value| &value["job"]).collect();
    assert_eq!(jobs, ["worker"]);
    let unsaved: Vec<String> = site.unsaved().into_iter().map(|patch| patch.0).collect();
    assert_eq!(unsaved, ["api"]);
}

/// Killed right after a commit of some of the lines of a shared file: the intent knows each of them.
#[test]
fn a_part_of_a_shared_file_is_known_by_the_intent() {
    let site = Site::new();
    for name in ["api", "web"] {
        let image = format!("\"registry.example.com/{name}:${{var.{name}_tag}}\"");
        let file = job(name, &format!("variable \"{name}_tag\" {{}}\n\n"), &image);
        site.fixture.write(&format!("jobs/{name}.nomad.hcl"), &file);
    }
    site.fixture.append(SHARED, "api_tag = \"1\"\n");
    site.start().code(0);
    if !site.with_git() {
        return;
    }
    site.with_remote();
    site.names_its_branch();
    site.pushes();
    // git's parent is the run.
    let script = "#!/bin/sh\nread -r _ _ _ run _ </proc/$PPID/stat\nkill -9 \"$run\"\n";
    let hook = site.fixture.script("project/.git/hooks/post-commit", script);
    let arguments = ["patch", "image", "api=hot", "web=bad", "--commit", "--yes", "-e", "sandbox"];
    let running = site.fixture.spawn("cut-off", site.fixture.command(&arguments));
    assert_eq!(running.wait().signal, Some(9));
    std::fs::remove_file(hook).unwrap();
    let shared = "# Of all environments.\nweb_tag = \"1\"\napi_tag = \"hot\"\n";
    assert_eq!(site.git(&["show", &format!("HEAD:{SHARED}")]), shared);
    site.patch(&["save", "--commit"]).code(0).says("pushed to origin/deploy");
    assert_eq!(site.git(&["rev-parse", "HEAD"]), site.git(&["rev-parse", "origin/deploy"]));
    // Somebody's own line beside it is somebody's commit.
    site.patch(&["image", "api=hotter", "--commit"]).code(0);
    site.fixture.append(SHARED, "other = \"1\"\n");
    site.git(&["reset", "-q", "--soft", "HEAD^"]);
    site.git(&["commit", "-q", "-a", "-m", "Patch api"]);
    site.git(&["push", "-q", "-f", "origin", "HEAD^:deploy"]);
    site.patch(&["image", "web=hot", "--commit"]).code(3).says("1 other commit would go to origin/deploy");
}

/// `prod` is protected, and reads the same files.
fn protect(site: &Site) {
    site.fixture.replace(SETTINGS, "environment \"prod\" {", "environment \"prod\" {\n  protected = true");
}

/// What nobody can look at may change: it counts as if it did.
#[test]
fn a_protected_environment_that_cannot_be_read_counts() {
    let site = Site::started();
    protect(&site);
    std::fs::remove_file(site.fixture.project().join("vars/prod.nomadvars.hcl")).unwrap();
    let text = site.fixture.read(API);
    let before = site.job("api");
    let out = site.patch(&["image", "api=hot"]).code(4);
    out.says("whether it changes can't be told").says("prod").says("--live-only");
    assert_eq!((site.fixture.read(API), site.job("api")), (text, before));
    // There is no such way out for what only writes files.
    let out = site.patch(&["image", "api=hot", "--file-only"]).code(4);
    out.says("give --approve").never_says("--live-only");
    site.patch(&["image", "api=hot", "--live-only"]).code(0);
    // What it doesn't read doesn't matter to it.
    site.fixture.write("vars/sandbox.nomadvars.hcl", "other_tag = \"1\"\n");
    let file = job("api", "variable \"other_tag\" {}\n\n", "\"registry.example.com/api:${var.other_tag}\"");
    site.fixture.write(API, &file);
    site.patch(&["image", "api=hotter"]).code(0).says("written to vars/sandbox.nomadvars.hcl");
}

/// The work tree has it already, by hand: it is the commit that changes what others read.
#[test]
fn what_only_the_commit_changes_elsewhere_is_told() {
    let Some(site) = started_with_git() else { return };
    protect(&site);
    site.git(&["commit", "-q", "-a", "-m", "Protect"]);
    let head = site.git(&["rev-parse", "HEAD"]);
    site.patch(&["image", "web=hot", "--live-only"]).code(0);
    site.fixture.replace(SHARED, "\"1\"", "\"hot\"");
    let out = site.run(&["patch", "save", "--commit", "--yes"]).code(4);
    out.says("as it is committed, 'prod' reads it too: web (jobs/web.nomad.hcl): group.web.task.web");
    assert_eq!(site.git(&["rev-parse", "HEAD"]), head);

    // Another job that reads it changes by the commit alone: that has to be meant.
    let text = site.fixture.read(API);
    let file = job("api", "variable \"web_tag\" {}\n\n", "\"registry.example.com/api:${var.web_tag}\"");
    site.fixture.write(API, &file);
    site.git(&["commit", "-q", "-m", "By a variable", "--", API]);
    site.fixture.write(API, &text);
    let out = site.run(&["patch", "save", "--commit", "--yes"]).code(3);
    out.says("as it is committed, other jobs read the same place").says("--shared");
    let out = site.run(&["patch", "save", "--commit", "--shared", "--yes"]).code(4);
    out.says("api (jobs/api.nomad.hcl): group.api.task.api.config.image changes too");
}

/// What isn't text can't be committed as it was.
#[test]
fn a_committed_file_in_another_encoding_is_left_alone() {
    let Some(site) = started_with_git() else { return };
    let text = site.fixture.read(API);
    let path = site.fixture.project().join(API);
    std::fs::write(&path, [text.as_bytes(), b"# caf\xe9\n"].concat()).unwrap();
    site.git(&["commit", "-q", "-a", "-m", "Latin-1"]);
    let head = site.git(&["rev-parse", "HEAD"]);
    std::fs::write(&path, format!("{text}# café\n")).unwrap();
    let out = site.patch(&["image", "api=hot", "--commit"]).code(3);
    out.says("it can't be committed: jobs/api.nomad.hcl as it is committed isn't UTF-8");
    assert_eq!(
        (site.git(&["rev-parse", "HEAD"]), site.image("api")),
        (head, "registry.example.com/api:1".into())
    );
}

/// Two hundred commits of others are counted, and a few named.
#[test]
fn of_many_commits_a_few_are_named() {
    let Some(site) = started_with_git() else { return };
    site.with_remote();
    site.names_its_branch();
    site.pushes();
    let commits = |n: usize| {
        for at in 0..n {
            site.git(&["commit", "-q", "--allow-empty", "-m", &format!("Work {at}")]);
        }
    };
    commits(8);
    let out = site.patch(&["image", "api=hot", "--commit"]).code(3);
    out.says("8 other commits would go to origin/deploy")
        .says("Work 7; ")
        .says("Work 3 and 3 more)")
        .never_says("Work 2");
    site.pushes();
    // Our own ones that couldn't be pushed.
    let hook = site.fixture.script("bare.git/hooks/pre-receive", "#!/bin/sh\nexit 1\n");
    for at in 0..6 {
        site.patch(&["image", &format!("api=v{at}"), "--commit"]).code(1);
    }
    std::fs::remove_file(hook).unwrap();
    let out = site.patch(&["image", "web=hot", "--commit"]).code(0);
    assert_eq!(out.stdout.matches("pushed along with it: ").count(), 5, "{out}");
    out.says("  and 1 more");
}

/// Put back by hand: a start that finds it so has nothing of it in a file.
#[test]
fn what_runs_no_longer_is_not_said_to_be_in_a_file() {
    let site = Site::started();
    site.patch(&["image", "api=hot", "--live-only"]).code(0);
    site.patch(&["image", "worker=hot", "--live-only"]).code(0);
    site.image_by_hand("api", "registry.example.com/api:1");
    site.fixture.replace("jobs/worker.nomad.hcl", "\"1\"", "\"hot\"");
    site.start().code(0);
    let records = site.fixture.journal("sandbox");
    let dropped = records.iter().filter(|(_, body)| body["type"] == "patch_dropped");
    let mut dropped: Vec<(&str, &str)> =
        dropped.map(|(_, body)| (body["job"].as_str().unwrap(), body["how"].as_str().unwrap())).collect();
    dropped.sort_unstable();
    assert_eq!(dropped, [("api", "what runs doesn't have it any more"), ("worker", "its file has it")]);
}
