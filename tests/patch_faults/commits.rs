//! Job files in a git work tree, and what a patch with `--commit` made of them: held against what runs, what
//! the files say, and what the ledger calls unsaved.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::bench::Outcome;
use crate::scenarios::{Scenario, after, file};

/// A work tree in the end.
pub struct Tree {
    /// The files that each commit after the first changed, the newest first.
    pub commits: Vec<Vec<String>>,
    /// The job files as HEAD has them.
    pub head: BTreeMap<String, String>,
    /// `git status --porcelain`, a line each.
    pub status: Vec<String>,
    /// The jobs that the ledger has unsaved patches of.
    pub unsaved: Vec<String>,
}

pub fn has_git() -> bool {
    Command::new("git").arg("--version").output().is_ok_and(|out| out.status.success())
}

/// Makes a folder a work tree with everything committed.
pub fn begin(folder: &Path) {
    git(folder, &["init", "-q", "-b", "main"]);
    for (name, value) in [("user.name", "A Tester"), ("user.email", "tester@example.com")] {
        git(folder, &["config", name, value]);
    }
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "-m", "Everything"]);
}

pub fn look(folder: &Path, scenario: &Scenario, unsaved: Vec<String>) -> Tree {
    let log = git(folder, &["log", "--format=%x00", "--name-only"]);
    let mut commits: Vec<Vec<String>> =
        log.split('\0').skip(1).map(|one| one.split_whitespace().map(str::to_owned).collect()).collect();
    commits.pop();
    let text = |id: &str| git(folder, &["show", &format!("HEAD:nomad-jobs/{id}.nomad.hcl")]);
    let head = scenario.images.iter().map(|(id, _)| ((*id).to_owned(), text(id))).collect();
    let status = git(folder, &["status", "--porcelain"]).lines().map(str::to_owned).collect();
    Tree { commits, head, status, unsaved }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let out = Command::new("git").args(arguments).current_dir(folder).env("HOME", folder).output().unwrap();
    assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// How the commits contradict the server, the files, the ledger or the words.
pub fn wrong(scenario: &Scenario, outcome: &Outcome, done: bool) -> Option<String> {
    let tree = outcome.tree.as_ref()?;
    if let Some(line) = tree.status.iter().find(|line| !line.starts_with(" M")) {
        return Some(format!("something is left in the index: {line:?}"));
    }
    if tree.commits.iter().any(Vec::is_empty) {
        return Some("a commit holds nothing".into());
    }
    scenario.images.iter().find_map(|(id, looks)| {
        let (before, after) = (file(id), after(id, looks));
        let name = format!("nomad-jobs/{id}.nomad.hcl");
        let committed = tree.commits.iter().filter(|files| files.contains(&name)).count();
        let (head, here) = (&tree.head[*id], &outcome.files[*id]);
        let unsaved = tree.unsaved.iter().any(|job| job == id);
        let runs = outcome.later[*id].tag == *looks;
        let why = match (*head == after, *here == after) {
            _ if *head != before && *head != after => format!("is committed spoilt: {head}"),
            (has, _) if committed != usize::from(has) => format!("is in {committed} commits"),
            (true, false) => "is committed, and its file doesn't have it".to_owned(),
            (true, true) if !runs => "is committed, and doesn't run".to_owned(),
            (true, true) if unsaved => "is committed, and is said to be unsaved".to_owned(),
            (false, _) if done => "is said to be done, and isn't committed".to_owned(),
            (false, _) if runs && !unsaved => {
                "runs, isn't committed, and isn't said to be unsaved".to_owned()
            }
            (false, _) if !runs && unsaved => "doesn't run, and is said to be unsaved".to_owned(),
            _ => return None,
        };
        Some(format!("'{id}' {why}"))
    })
}
