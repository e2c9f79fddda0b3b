//! The commit that is approved is the commit that is made.

use serde_json::Value;

use crate::common::{Running, wait_until};
use crate::site::Site;

const API: &str = "jobs/api.nomad.hcl";
const HOT: &str = "registry.example.com/api:hot";

fn started_with_git() -> Option<Site> {
    let site = Site::started();
    site.with_git().then_some(site)
}

/// Begins a patch of `api` that is to be committed, and waits until the server has it.
fn committing(site: &Site) -> Running<'_> {
    let values = ["update.min_healthy_time=50s".to_owned(), format!("config.image={HOT}")];
    let all = ["patch", "set", "api"].iter().map(ToString::to_string).chain(values);
    let all: Vec<String> = all.chain(["--commit", "--yes", "-e", "sandbox"].map(str::to_owned)).collect();
    let running = site.fixture.spawn("committing", site.fixture.command(&all));
    wait_until("the registration", || site.image("api") == HOT);
    running
}

/// The digest that a dry run of a patch shows, and all that it says.
fn shown(site: &Site, arguments: &[&str]) -> (String, String) {
    let all: Vec<&str> = arguments.iter().copied().chain(["--dry-run"]).collect();
    let out = site.run(&all).code(0);
    let at = out.stdout.find("Decision ").unwrap() + "Decision ".len();
    (out.stdout[at..at + 24].to_owned(), out.stdout.clone())
}

/// Committed after all that was done so far, by a person.
fn by_a_person(site: &Site, message: &str) -> String {
    site.git(&["commit", "-q", "--allow-empty", "-m", message]);
    site.git(&["rev-parse", "HEAD"]).trim().to_owned()
}

#[test]
fn an_approval_is_for_one_branch_at_one_commit() {
    let Some(site) = started_with_git() else { return };
    let head = site.git(&["rev-parse", "HEAD"]);
    let patch = ["patch", "image", "api=hot", "--commit"];
    let (digest, said) = shown(&site, &patch);
    let words = format!("only while main is at {} and nobody has changed these files", &head[..7]);
    assert!(said.contains(&words), "{said}");
    assert_eq!(shown(&site, &patch).0, digest, "the same twice");

    let approve = |digest: &str| {
        let all: Vec<&str> = patch.iter().copied().chain(["--approve", digest]).collect();
        site.run(&all)
    };
    let before = site.job("api");
    // Another branch at the same commit.
    site.git(&["checkout", "-q", "-b", "other"]);
    let out = approve(&digest).code(4);
    let since = "since then: patch: the branch is other now, not main\n";
    assert!(out.text().contains(since), "more than that, or in no words: {out}");
    site.git(&["checkout", "-q", "main"]);
    // Another commit on the same branch, that touches nothing.
    by_a_person(&site, "Nothing");
    approve(&digest).code(4).says("since then: patch: the branch is at another commit");
    // Another text of the same file, elsewhere in it.
    let (digest, _) = shown(&site, &patch);
    site.fixture.replace(API, "\"blue\"", "\"green\"");
    approve(&digest).code(4).says("since then: patch: jobs/api.nomad.hcl was changed");
    assert_eq!(site.job("api"), before);

    let (digest, _) = shown(&site, &patch);
    approve(&digest).code(0);
    assert_eq!(site.git(&["log", "--oneline"]).lines().count(), 3);
}

/// What is committed isn't what the work tree shows, where somebody works on the same line.
#[test]
fn the_lines_of_the_commit_are_shown_where_they_are_others() {
    let Some(site) = started_with_git() else { return };
    let said = shown(&site, &["patch", "image", "api=hot", "--commit"]).1;
    assert!(!said.contains("as it is committed"), "{said}");
    site.fixture.replace(API, "/api:1\"", "/api:2\"");
    let said = shown(&site, &["patch", "image", "api=hot", "--commit"]).1;
    let line = "as it is committed, jobs/api.nomad.hcl: image = \"registry.example.com/api:1\" # what it runs → image = \"registry.example.com/api:hot\" # what it runs";
    assert!(said.contains(line), "{said}");
    // Written and not committed yet: the commit is all that there is to show.
    site.fixture.replace(API, "/api:2\"", "/api:1\"");
    site.patch(&["image", "api=hot"]).code(0);
    site.run(&["patch", "save", "--commit"]).code(4).says(line);
}

/// What somebody does in the work tree while a patch is rolled out: the commit isn't made, what runs stays.
#[test]
fn a_commit_is_not_made_elsewhere_than_it_was_approved() {
    let Some(site) = started_with_git() else { return };
    let doings: [(&str, &dyn Fn()); 3] = [
        ("somebody switched from main to other since it was shown", &|| {
            site.git(&["checkout", "-q", "-b", "other"]);
        }),
        ("main was moved to ", &|| {
            by_a_person(&site, "Meanwhile");
        }),
        ("jobs/api.nomad.hcl was changed since it was shown", &|| {
            site.fixture.replace(API, "\"blue\"", "\"green\"");
        }),
    ];
    for (why, doing) in doings {
        let running = committing(&site);
        doing();
        let log = site.git(&["log", "--oneline", "--all"]);
        let text = site.fixture.read(API);
        let out = running.wait().code(1);
        out.says(why)
            .says("the files are left alone, and nothing is committed")
            .says("blackstart patch save --commit -e sandbox")
            .says("unsaved patch: api");
        assert_eq!(site.image("api"), HOT, "what runs stays");
        assert_eq!(site.git(&["log", "--oneline", "--all"]), log);
        assert_eq!(site.fixture.read(API), text);
        assert!(!site.unsaved().is_empty());
        // Back to where all began, for the next.
        site.git(&["checkout", "-q", "--", "."]);
        site.git(&["checkout", "-q", "main"]);
        site.patch(&["drop"]).code(0);
        site.image_by_hand("api", "registry.example.com/api:1");
    }
}

/// Hooks put in what they like, and people work on: the branch moves from where it was looked at, or not.
#[test]
fn what_hooks_and_people_do_meanwhile_is_never_lost_or_committed() {
    let Some(site) = started_with_git() else { return };
    let head = site.git(&["rev-parse", "HEAD"]);
    let hook = |name: &str, text: &str| site.fixture.script(&format!("project/.git/hooks/{name}"), text);
    // The branch can't be moved, and the index not put back.
    let meanwhile = "#!/bin/sh\n[ \"$1\" = prepared ] || exit 0\nrm \"$0\"\ntouch .git/index.lock\nexit 1\n";
    let cases = [
        (
            "pre-commit",
            "#!/bin/sh\necho more >more.txt\ngit add more.txt\n",
            "a hook put something else into the commit",
        ),
        (
            "pre-commit",
            "#!/bin/sh\ngit symbolic-ref HEAD refs/heads/other\n",
            "somebody switched from main to other meanwhile",
        ),
        (
            "commit-msg",
            "#!/bin/sh\ngit update-ref --no-deref HEAD HEAD\n",
            "somebody detached HEAD from main meanwhile",
        ),
        ("commit-msg", "#!/bin/sh\necho no ticket\nexit 1\n", "the hook commit-msg refused it: no ticket"),
        ("commit-msg", "#!/bin/sh\n: >\"$1\"\n", "a hook left nothing of the commit's message"),
        ("pre-commit", "#!/bin/sh\ntouch .git/index.lock\n", "git's index can't be written"),
        ("reference-transaction", meanwhile, "until: git reset -q -- jobs/api.nomad.hcl"),
    ];
    for (name, text, why) in cases {
        site.git(&["branch", "-f", "other", "main"]);
        let hook = hook(name, text);
        let out = site.patch(&["image", "api=hot", "--commit"]).code(1);
        out.says(why).says("nothing is committed").says("unsaved patch: api");
        let _ = std::fs::remove_file(hook);
        let _ = std::fs::remove_file(site.fixture.project().join(".git/index.lock"));
        assert_eq!(site.git(&["rev-parse", "main", "other"]), format!("{head}{head}"), "{why}");
        site.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        if name == "reference-transaction" {
            let status = site.git(&["status", "--porcelain", "--untracked-files=no"]);
            assert_eq!(status, "M  jobs/api.nomad.hcl\n");
            site.git(&["reset", "-q", "--", API]);
        }
        let status = site.git(&["status", "--porcelain", "--untracked-files=no"]);
        assert_eq!(status, " M jobs/api.nomad.hcl\n", "written, and not staged: {why}");
        site.git(&["reset", "-q", "--hard"]);
        site.image_by_hand("api", "registry.example.com/api:1");
    }
    site.git(&["branch", "-D", "other"]);

    // A commit of somebody on top, before ours and after it.
    let on_top = "#!/bin/sh\nrm \"$0\"\ntree=$(git rev-parse 'HEAD^{tree}')\ngit update-ref HEAD \"$(git commit-tree -p HEAD -m Theirs \"$tree\")\"\n";
    hook("commit-msg", on_top);
    let out = site.patch(&["image", "api=hot", "--commit"]).code(1);
    out.says("main was moved to ").says("Theirs meanwhile; nothing is committed");
    let subjects = || site.git(&["log", "--format=%s"]);
    assert_eq!(subjects(), "Theirs\nEverything\n");
    hook("post-commit", on_top);
    site.patch(&["save", "--commit"]).code(0).says("committed as ");
    assert_eq!(subjects(), "Theirs\nPatch api\nTheirs\nEverything\n");
    assert_eq!(site.git(&["status", "--porcelain", "--untracked-files=no"]), "");
    let records = site.fixture.journal("sandbox");
    let done = records.iter().rev().find(|(_, body)| body["type"] == "step_done").unwrap();
    assert_eq!(done.1["evidence"]["commit"], Value::from(site.git(&["rev-parse", "HEAD^"]).trim()));
}

/// What a person stages while hooks run, or a signature is waited for, stays staged.
#[test]
fn what_is_staged_meanwhile_stays_staged() {
    let Some(site) = started_with_git() else { return };
    let head = site.git(&["rev-parse", "HEAD"]);
    let stages = "#!/bin/sh\nunset GIT_INDEX_FILE\necho '# Theirs.' >>jobs/api.nomad.hcl\ngit add jobs/api.nomad.hcl\n";
    site.fixture.script("project/.git/hooks/pre-commit", stages);
    let out = site.patch(&["image", "api=hot", "--commit"]).code(1);
    out.says("somebody staged jobs/api.nomad.hcl meanwhile; nothing is committed");
    assert_eq!(site.git(&["rev-parse", "HEAD"]), head);
    assert!(site.git(&["diff", "--cached"]).contains("+# Theirs."));
}

/// After the last look and before the branch is moved: who comes first has it, and nobody's commit is lost.
#[test]
fn a_commit_of_somebody_right_before_ours_stays() {
    let Some(site) = started_with_git() else { return };
    let git = crate::common::program("git").unwrap().display().to_string();
    let (path, mark) = (std::env::var("PATH").unwrap(), site.fixture.path("once"));
    let doings = [
        // From elsewhere, without this index.
        (format!("{git} update-ref HEAD $({git} commit-tree -p HEAD -m Theirs 'HEAD^{{tree}}')"), 0),
        // Here, with what is in the index by then: ours.
        (format!("{git} commit -q -m Theirs"), 1),
    ];
    for (theirs, held) in doings {
        let script = format!(
            "#!/bin/sh\nfor word; do\n  if [ $word = update-ref ] && [ -e {mark} ]; then\n    rm {mark}\n    {theirs} >&2\n  \
             fi\ndone\nexec {git} \"$@\"\n",
            mark = mark.display()
        );
        let script = site.fixture.script("bin/git", &script);
        let before = site.git(&["rev-parse", "HEAD"]).trim().to_owned();
        std::fs::write(&mark, "").unwrap();
        site.fixture.set("PATH", format!("{}:{path}", script.parent().unwrap().display()));
        let out = site.patch(&["image", "api=hot", "--commit"]).code(1);
        site.fixture.set("PATH", &path);
        assert!(!mark.exists(), "nobody came before: {out}");
        let out = out.says("main was moved to ").says("Theirs meanwhile; nothing is committed");
        assert_eq!(site.git(&["log", "--format=%s %P", "-n", "1"]).trim(), format!("Theirs {before}"));
        assert_eq!(site.git(&["diff", "--name-only", "HEAD^"]).lines().count(), held.max(1));
        let status = site.git(&["status", "--porcelain", "--untracked-files=no"]);
        if held == 0 {
            out.says("unsaved patch: api");
            assert_eq!(status, " M jobs/api.nomad.hcl\n", "written, and not staged");
            site.patch(&["save", "--commit"]).code(0).says("committed as ");
            assert_eq!(site.git(&["log", "--format=%s", "-n", "2"]), "Patch api\nTheirs\n");
        } else {
            println!("{out}");
            assert_eq!(status, "", "theirs has it");
        }
        assert_eq!(site.git(&["status", "--porcelain", "--untracked-files=no"]), "");
        assert_eq!((site.image("api").as_str(), site.unsaved()), (HOT, vec![]));
        site.patch(&["image", "api=1", "--commit"]).code(0);
    }
}

/// Hooks that write a message, and signatures, are as with any commit here.
#[test]
fn a_commit_is_made_as_any_other_here() {
    let Some(site) = started_with_git() else { return };
    site.fixture.script(
        "project/.git/hooks/commit-msg",
        "#!/bin/sh\nprintf '\\nChange-Id: I1\\n' >>\"$1\"\ngit diff --cached --name-only >seen.txt\n",
    );
    let signer = "#!/bin/sh\ncat >/dev/null\necho '[GNUPG:] SIG_CREATED ' >&2\necho '-----BEGIN PGP SIGNATURE-----'\necho '-----END PGP SIGNATURE-----'\n";
    let signer = site.fixture.script("signer", signer);
    site.git(&["config", "gpg.program", &signer.display().to_string()]);
    site.git(&["config", "commit.gpgSign", "true"]);
    site.patch(&["image", "api=hot", "--commit"]).code(0);
    let commit = site.git(&["cat-file", "commit", "HEAD"]);
    assert!(commit.contains("gpgsig -----BEGIN PGP") && commit.ends_with("\nChange-Id: I1\n"), "{commit}");
    assert_eq!(site.fixture.read("seen.txt"), "jobs/api.nomad.hcl\n");
    assert!(site.git(&["reflog", "-n", "1"]).contains("commit: Patch api"));
}

/// An index that a commit left behind would take it back with a person's next one.
#[test]
fn an_index_that_was_left_behind_is_repaired() {
    let Some(site) = started_with_git() else { return };
    let staged = |revision: &str| {
        let object = site.git(&["rev-parse", &format!("{revision}:{API}")]);
        site.git(&["update-index", "--cacheinfo", &format!("100644,{},{API}", object.trim())]);
    };
    site.patch(&["image", "api=hot", "--commit"]).code(0);
    staged("HEAD^");
    // A look changes nothing of it.
    let look = ["patch", "image", "api=hotter", "--commit", "--dry-run"];
    site.run(&look).code(0).says("git's index has jobs/api.nomad.hcl as it was before the last commit");
    assert_eq!(site.git(&["diff", "--cached", "--name-only"]), "jobs/api.nomad.hcl\n");
    site.patch(&["image", "api=hotter", "--commit"]).code(0);
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    // Cut off right before the commit: it is staged already.
    site.patch(&["image", "api=hottest"]).code(0);
    site.git(&["add", API]);
    site.patch(&["save", "--commit"]).code(0);
    assert_eq!(site.git(&["status", "--porcelain"]), "");
    // What a person stages is theirs.
    let old = site.git(&["show", &format!("HEAD^:{API}")]);
    site.fixture.write(API, &old);
    site.git(&["add", API]);
    site.patch(&["image", "api=new", "--commit"]).code(3).says("has staged changes: commit or unstage");
    assert_eq!(site.git(&["status", "--porcelain"]), "M  jobs/api.nomad.hcl\n");
}

/// Anybody can write a trailer; what the journal knows is pushed, and nothing else.
#[test]
fn only_commits_of_the_journal_are_pushed_along() {
    let Some(site) = started_with_git() else { return };
    let bare = site.with_remote();
    site.patch(&["image", "worker=hot", "--commit"]).code(0);
    site.names_its_branch();
    site.pushes();
    let there = || site.git(&["ls-remote", "origin", "refs/heads/deploy"])[..40].to_owned();
    let pushed = there();

    // A run that the journal knows, and a commit that it doesn't.
    let run = site.fixture.journal("sandbox").last().unwrap().0.clone();
    site.fixture.append("jobs/worker.nomad.hcl", "# By hand.\n");
    site.git(&["commit", "-q", "-a", "-m", "Patch worker", "-m", &format!("Blackstart-Run: {run}")]);
    let out = site.patch(&["image", "api=hot", "--commit"]).code(3);
    out.says("1 other commit would go to origin/deploy along with it").says("Patch worker");
    assert_eq!((there(), site.image("api")), (pushed, "registry.example.com/api:1".to_owned()));
    site.pushes();

    // One that is only on the way, and amended by a person since.
    let hook = bare.join("hooks/pre-receive");
    site.fixture.script("bare.git/hooks/pre-receive", "#!/bin/sh\nexit 1\n");
    site.patch(&["image", "api=hot", "--commit"]).code(1).says("not pushed to origin/deploy");
    std::fs::remove_file(hook).unwrap();
    let said = shown(&site, &["patch", "image", "web=hot", "--commit"]).1;
    assert!(said.contains("pushed along with it: ") && said.contains(" Patch api"), "{said}");
    site.fixture.append("jobs/worker.nomad.hcl", "# Once more.\n");
    site.git(&["commit", "-q", "-a", "--amend", "--no-edit"]);
    site.patch(&["image", "web=hot", "--commit"]).code(3).says("1 other commit");
}

/// The run was cut off right after the commit: its intent says what it was to be.
#[test]
fn a_commit_without_its_record_is_known_by_the_intent() {
    let Some(site) = started_with_git() else { return };
    site.patch(&["image", "api=hot", "--commit"]).code(0);
    let records = site.fixture.journal("sandbox");
    let intent = records.iter().rev().find(|(_, body)| body["type"] == "step_intended").unwrap();
    let commit = &intent.1["precondition"]["commit"];
    assert_eq!(commit["branch"], "main");
    assert_eq!(commit["head"], Value::from(site.git(&["rev-parse", "HEAD^"]).trim()));
    let object = site.git(&["rev-parse", "HEAD:jobs/api.nomad.hcl"]);
    assert_eq!(commit["files"][API]["after"], Value::from(object.trim()));
    let done = records.iter().rev().find(|(_, body)| body["type"] == "step_done").unwrap();
    assert_eq!(done.1["evidence"]["commit"], Value::from(site.git(&["rev-parse", "HEAD"]).trim()));
}

/// Killed right after the commit, before it is recorded or pushed: it is pushed later all the same.
#[test]
fn a_commit_that_was_cut_off_is_pushed_later() {
    let Some(site) = started_with_git() else { return };
    site.with_remote();
    site.names_its_branch();
    site.pushes();
    // git's parent is the run.
    let script = "#!/bin/sh\nread -r _ _ _ run _ </proc/$PPID/stat\nkill -9 \"$run\"\n";
    let hook = site.fixture.script("project/.git/hooks/post-commit", script);
    let arguments = ["patch", "image", "api=hot", "--commit", "--yes", "-e", "sandbox"];
    let running = site.fixture.spawn("cut-off", site.fixture.command(&arguments));
    assert_eq!(running.wait().signal, Some(9));
    std::fs::remove_file(hook).unwrap();
    assert!(!site.fixture.journal("sandbox").iter().any(|(_, body)| body["evidence"]["commit"].is_string()));
    let head = site.git(&["rev-parse", "HEAD"]);
    assert!(site.git(&["show", "--format=%s", "HEAD"]).starts_with("Patch api\n"));
    assert_eq!(site.git(&["status", "--porcelain"]), "", "the index has it too");
    site.patch(&["save", "--commit"]).code(0).says("pushed to origin/deploy");
    assert_eq!(site.git(&["ls-remote", "origin", "refs/heads/deploy"])[..40], head[..40]);
    assert_eq!(site.unsaved(), []);
}

/// The commit that was made for it saves a patch, whatever is written to the file afterwards.
#[test]
fn a_committed_patch_is_saved_for_good() {
    let Some(site) = started_with_git() else { return };
    site.patch(&["image", "api=hot", "--commit"]).code(0);
    site.patch(&["image", "worker=hot"]).code(0);
    site.patch(&["save", "--commit"]).code(0);
    for (file, old, new) in [(API, "/api:hot\"", "/api:3\""), ("jobs/worker.nomad.hcl", "\"hot\"", "\"3\"")] {
        site.fixture.replace(file, old, new);
    }
    assert_eq!(site.unsaved(), [], "somebody works on the next release");
    // Where the commit isn't, nothing is saved.
    site.git(&["stash", "-q"]);
    site.git(&["checkout", "-q", "-b", "before", "HEAD~2"]);
    assert_eq!(site.unsaved().len(), 2);
}

#[test]
fn who_commits_is_known_before_anything_is_done() {
    let Some(site) = started_with_git() else { return };
    site.git(&["config", "--unset", "user.email"]);
    site.git(&["config", "user.useConfigOnly", "true"]);
    let before = site.job("api");
    let out = site.patch(&["image", "api=hot", "--commit"]).code(3);
    out.says("git doesn't know who commits").says("user.email").never_says("Approved");
    assert_eq!(site.job("api"), before);
}

#[test]
fn what_is_staged_on_the_first_commit_is_named() {
    let Some(site) = started_with_git() else { return };
    assert_eq!(site.git(&["rev-list", "--count", "HEAD"]).trim(), "1");
    site.fixture.replace(API, "\"blue\"", "\"green\"");
    site.git(&["add", API]);
    let out = site.patch(&["image", "api=hot", "--commit"]).code(3);
    out.says("jobs/api.nomad.hcl has staged changes").never_says("ls-tree");
}

#[test]
fn a_file_alone_is_said_to_be_uncommitted() {
    let Some(site) = started_with_git() else { return };
    site.run(&["status"]).code(0).never_says("not committed");
    let out = site.patch(&["image", "api=hot", "--file-only"]).code(0);
    out.says("not committed yet: jobs/api.nomad.hcl");
    site.run(&["status"]).code(0).says("jobs/api.nomad.hcl is not committed");
    site.git(&["commit", "-q", "-a", "-m", "By hand"]);
    site.run(&["status"]).code(0).never_says("not committed");
    let out = site.patch(&["image", "api=hotter", "--file-only", "--commit"]).code(0);
    out.never_says("not committed");
}
