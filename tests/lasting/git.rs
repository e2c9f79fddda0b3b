use super::site::Site;

const API: &str = "jobs/api.nomad.hcl";

fn started_with_git() -> Option<Site> {
    let site = Site::started();
    site.with_git().then_some(site)
}

#[test]
fn in_a_work_tree_a_patch_is_saved_once_it_is_committed() {
    let Some(site) = started_with_git() else { return };
    let out = site.patch(&["image", "api=hot"]).code(0);
    out.says("unsaved patch: api").says("in jobs/api.nomad.hcl, not committed");
    site.stop().code(3).says("not committed");
    site.git(&["commit", "-q", "-a", "-m", "By hand"]);
    assert_eq!(site.unsaved(), []);
    site.stop().code(0);
    site.start().code(0);

    // A file that git ignores can't be committed: written is saved.
    site.fixture.write(".gitignore", "vars/\n");
    site.git(&["rm", "-q", "-r", "--cached", "vars"]);
    site.git(&["add", ".gitignore"]);
    site.git(&["commit", "-q", "-m", "Ignore the variables"]);
    site.patch(&["image", "web=hot"]).code(0).never_says("unsaved patch");
}

#[test]
fn a_commit_holds_just_those_lines() {
    let Some(site) = started_with_git() else { return };
    // Somebody works on the same file, and has staged another one.
    site.fixture.replace(API, "\"blue\"", "\"green\"");
    site.fixture.append("jobs/worker.nomad.hcl", "# staged\n");
    site.git(&["add", "jobs/worker.nomad.hcl"]);
    let out = site.patch(&["image", "api=hot", "--commit"]).code(0);
    assert!(out.place("committed to main: these lines of jobs/api.nomad.hcl") < out.place("Approved by"));
    out.says("committed as ").never_says("unsaved patch");
    let diff = site.git(&["show", "--format=%B%an", "HEAD"]);
    let body: Vec<&str> = diff.lines().filter(|l| l.starts_with(['+', '-'])).collect();
    let lines = [
        "--- a/jobs/api.nomad.hcl",
        "+++ b/jobs/api.nomad.hcl",
        "-        image = \"registry.example.com/api:1\" # what it runs",
        "+        image = \"registry.example.com/api:hot\" # what it runs",
    ];
    assert_eq!(body, lines, "{diff}");
    let runs = site.fixture.journal("sandbox");
    let run = &runs.last().unwrap().0;
    for text in [
        "Patch api\n\napi group.api.task.api.config.image\n\n",
        &format!("Blackstart-Run: {run}"),
        "Approved by tester@",
        "A Tester",
    ] {
        assert!(diff.contains(text), "no {text:?} in {diff}");
    }
    // Everything else is as it was.
    let status = site.git(&["status", "--porcelain"]);
    assert_eq!(status, " M jobs/api.nomad.hcl\nM  jobs/worker.nomad.hcl\n");
    let rest = site.git(&["diff", "--", API]);
    assert!(rest.contains("green") && !rest.contains("api:hot\"\n-") && !rest.contains("api:1"), "{rest}");
    assert_eq!(site.unsaved(), []);

    // What is staged in the file itself can't be told apart.
    site.git(&["add", API]);
    let out = site.patch(&["image", "api=hotter", "--commit"]).code(3);
    out.says("jobs/api.nomad.hcl has staged changes");
    assert_eq!(site.image("api"), "registry.example.com/api:hot");
}

#[test]
fn what_people_have_committed_since_is_no_unsaved_patch() {
    let Some(site) = started_with_git() else { return };
    site.patch(&["image", "api=hot", "--commit"]).code(0);
    site.patch(&["image", "worker=hot", "--live-only"]).code(0);
    site.fixture.replace(API, "/api:hot\"", "/api:3\"");
    // This one changes something else of the job.
    site.fixture.replace("jobs/worker.nomad.hcl", "\"blue\"", "\"green\"");
    assert_eq!(site.unsaved().len(), 1, "what was committed is saved");
    site.commit_later("A release");
    let unsaved = site.unsaved();
    assert_eq!(unsaved.len(), 1, "{unsaved:?}");
    assert_eq!(unsaved[0].0, "worker");
    site.patch(&["save", "api"]).code(1).says("'api' has no unsaved patch");
    // Back to what it was: that is a decision, too.
    site.fixture.replace(API, "/api:3\"", "/api:1\"");
    site.commit_later("Back");
    assert_eq!(site.unsaved().len(), 1);
}

/// What a patch file says that it is for is shown, asked about, committed and recorded.
#[test]
fn a_description_goes_all_the_way() {
    let Some(site) = started_with_git() else { return };
    let why = "The queue of the old one is too short";
    let text = format!("description = \"{why}\"\nservice \"api\" {{\n  image = \"hot\"\n}}\n");
    site.fixture.write("patches/queue.hcl", &text);
    let apply = ["patch", "apply", "patches/queue.hcl", "--commit"];
    let out = site.run(&apply).code(4).says(&format!("description: {why}"));
    let digest = out.digest();
    // It is a part of what is approved.
    site.fixture.replace("patches/queue.hcl", "too short", "too long");
    let out = site.run(&[&apply[..], &["--approve", &digest]].concat()).code(4);
    out.says("is not for this decision");
    site.fixture.replace("patches/queue.hcl", "too long", "too short");
    let mut terminal = site.terminal(&apply);
    let shown = terminal.until(&format!("run patch ({why}), decision"));
    assert!(shown.contains(&format!("description: {why}")), "{shown}");
    terminal.until("Approve?");
    terminal.answers("y");
    let (text, code) = terminal.end();
    assert_eq!(code, 0, "{text}");
    let message = site.git(&["log", "-1", "--format=%B"]);
    let begins = format!("Patch api\n\n{why}\n\napi group.api.task.api.config.image\n\nApproved by ");
    assert!(message.starts_with(&begins), "{message}");
    let run = site.fixture.journal("sandbox").last().unwrap().0.clone();
    site.run(&["show", &run]).code(0).says(&format!("patch: begun: {why}"));
}

#[test]
fn a_commit_may_come_later() {
    let Some(site) = started_with_git() else { return };
    site.patch(&["image", "api=hot"]).code(0);
    site.patch(&["image", "worker=hot", "--live-only"]).code(0);
    site.patch(&["save"]).code(2).says("not committed");
    site.patch(&["save"]).code(2).says("nothing to write; commit it");
    assert_eq!(site.unsaved().len(), 2);
    site.patch(&["save", "--commit"]).code(0);
    assert_eq!(site.unsaved(), []);
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    assert_eq!(site.git(&["log", "--oneline"]).lines().count(), 2);
}

/// Where the environment names a branch, a patch is saved once it is there.
#[test]
fn a_commit_is_pushed_to_the_branch_that_is_deployed() {
    let Some(site) = started_with_git() else { return };
    let bare = site.with_remote();
    site.names_its_branch();
    site.patch(&["image", "api=hot", "--commit"]).code(3).says("origin/deploy doesn't exist");
    site.pushes();
    let there = || site.git(&["ls-remote", "origin", "refs/heads/deploy"])[..40].to_owned();

    site.patch(&["image", "api=hot", "--commit"]).code(0).says("pushed to origin/deploy");
    assert_eq!(there(), site.git(&["rev-parse", "HEAD"]).trim());
    assert_eq!(site.unsaved(), []);

    // A commit alone isn't enough.
    site.patch(&["image", "api=warm"]).code(0);
    site.git(&["commit", "-q", "-a", "-m", "By hand"]);
    assert_eq!(site.unsaved()[0].3, "in jobs/api.nomad.hcl, not pushed to origin/deploy");
    // And a person's commits don't go along.
    let out = site.patch(&["image", "api=hotter", "--commit"]).code(3);
    out.says("1 other commit would go to origin/deploy along with it").says("By hand");
    site.pushes();
    assert_eq!(site.unsaved(), []);

    // The remote refuses: committed, not pushed, and said; later it works.
    let hook = bare.join("hooks/pre-receive");
    site.fixture.script("bare.git/hooks/pre-receive", "#!/bin/sh\necho not today >&2\nexit 1\n");
    let out = site.patch(&["image", "api=hotter", "--commit"]).code(1);
    out.says("it is committed, and not pushed to origin/deploy").says("not today").says("unsaved patch: api");
    assert_eq!(site.unsaved()[0].3, "in jobs/api.nomad.hcl, not pushed to origin/deploy");
    std::fs::remove_file(hook).unwrap();
    site.patch(&["save", "--commit"]).code(0).says("pushed to origin/deploy");
    assert_eq!(site.unsaved(), []);
    assert_eq!(there(), site.git(&["rev-parse", "HEAD"]).trim());
}
