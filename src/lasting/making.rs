//! One commit on a branch as it was looked at, or none.
//!
//! Guarantees: the branch moves from the commit that was looked at to the new one and from no other, and
//! never away from anybody's; hooks are asked and signatures made as for any commit here, and what a hook
//! puts in beside is refused; the index goes along, so that a person's next commit doesn't take this one
//! back. Does not: touch the work tree.

use std::path::Path;
use std::time::Duration;

use super::commit::CommitError;
use super::git::{Git, GitError};
use crate::base::text;

/// How often the index is tried, which any git command holds for a moment, and how long in between.
const TRIES: u32 = 15;
const BETWEEN: Duration = Duration::from_millis(100);

/// Where a work tree stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    pub branch: String,
    /// `refs/heads/…`
    reference: String,
    /// The whole id of HEAD.
    pub head: String,
}

/// A file of a commit, and the text that it becomes.
pub(super) struct New<'a> {
    /// Relative to the project's root.
    pub name: &'a str,
    /// Below the top of the work tree.
    pub path: &'a str,
    pub mode: &'a str,
    pub text: &'a str,
    /// The objects that the index may hold in its place; anything else, somebody staged.
    pub stages: Vec<&'a str>,
}

impl Stand {
    pub async fn of(git: &Git) -> Result<Self, CommitError> {
        const GOING_ON: [(&str, &str); 5] = [
            ("MERGE_HEAD", "a merge"),
            ("CHERRY_PICK_HEAD", "a cherry-pick"),
            ("REVERT_HEAD", "a revert"),
            ("rebase-merge", "a rebase"),
            ("rebase-apply", "a rebase"),
        ];
        let mut arguments = vec!["rev-parse", "--path-format=absolute"];
        arguments.extend(GOING_ON.iter().flat_map(|(name, _)| ["--git-path", name]));
        // Its id, then the reference that it stands for.
        arguments.extend(["HEAD", "--symbolic-full-name", "HEAD"]);
        let said = git.line(&arguments).await?;
        let mut lines: Vec<&str> = said.lines().collect();
        let (Some(reference), Some(head)) = (lines.pop(), lines.pop()) else {
            return Err(CommitError::Refused("git doesn't say where HEAD is".into()));
        };
        if reference == "HEAD" {
            return Err(CommitError::Detached);
        }
        for ((_, what), path) in GOING_ON.iter().zip(lines) {
            if Path::new(path).exists() {
                let message = format!("{what} is going on in the work tree: end it first");
                return Err(CommitError::Refused(message));
            }
        }
        let branch = reference.strip_prefix("refs/heads/").unwrap_or(reference).to_owned();
        Ok(Self { branch, head: head.to_owned(), reference: reference.to_owned() })
    }

    /// What has become of it, where it isn't so any more.
    pub async fn moved(&self, git: &Git) -> Result<Option<String>, CommitError> {
        let now = match Self::of(git).await {
            Err(CommitError::Detached) => {
                return Ok(Some(format!("somebody detached HEAD from {}", self.branch)));
            }
            now => now?,
        };
        if now.reference != self.reference {
            return Ok(Some(format!("somebody switched from {} to {}", self.branch, now.branch)));
        }
        if now.head != self.head {
            let log = git.line(&["log", "-1", "--format=%h %s", &now.head]).await?;
            return Ok(Some(format!("{} was moved to {}", now.branch, text::one_line(&log))));
        }
        Ok(None)
    }

    /// The whole id of the commit that was made, which changes these files and nothing else.
    pub async fn commit(&self, git: &Git, files: &[New<'_>], message: &str) -> Result<String, CommitError> {
        let folder = tempfile::tempdir().map_err(GitError::Start)?;
        let index = folder.path().join("index");
        let texts: Vec<&str> = files.iter().map(|file| file.text).collect();
        let read_tree = ["read-tree", self.head.as_str()];
        let (_, objects, customs) = tokio::try_join!(
            git.call(&read_tree, Some(&index)),
            git.objects(&texts, true),
            Customs::of(git)
        )?;
        let entry = |(file, object): (&New<'_>, String)| format!("{},{object},{}", file.mode, file.path);
        let entries: Vec<String> = files.iter().zip(objects).map(entry).collect();
        put(git, &entries, Some(&index)).await?;
        let tree = tree_of(git, &index).await?;
        let text = folder.path().join("COMMIT_EDITMSG");
        std::fs::write(&text, message).map_err(GitError::Start)?;
        let path = text.display().to_string();
        customs.hook(git, &["pre-commit"], Some(&index)).await?;
        customs.hook(git, &["prepare-commit-msg", "--", &path, "message"], Some(&index)).await?;
        customs.hook(git, &["commit-msg", "--", &path], Some(&index)).await?;
        if customs.has_hooks() && tree_of(git, &index).await? != tree {
            return Err(not_committed("a hook put something else into the commit than what was shown"));
        }
        let said = std::fs::read_to_string(&text).map_err(GitError::Start)?;
        let Some(subject) = said.lines().find(|line| !line.trim().is_empty()) else {
            return Err(not_committed("a hook left nothing of the commit's message"));
        };
        let mut arguments = vec!["commit-tree", "-p", &self.head, "-F", &path];
        arguments.extend(customs.signs.then_some("-S"));
        arguments.push(&tree);
        let commit = git.line(&arguments).await?;
        if let Some(what) = self.moved(git).await? {
            return Err(not_committed(&format!("{what} meanwhile")));
        }
        // Hooks and signatures take their time.
        let paths: Vec<&str> = files.iter().map(|file| file.path).collect();
        let staged = git.staged(&paths).await?;
        let is_as_before = |file: &&New<'_>| {
            staged.get(file.path).is_some_and(|now| file.stages.contains(&now.blob.as_str()))
        };
        if let Some(file) = files.iter().find(|file| !is_as_before(file)) {
            return Err(not_committed(&format!("somebody staged {} meanwhile", file.name)));
        }
        // Before the branch moves: an index that is behind it would take the commit back with a person's
        // next one, and one that can't be written now can't be put right afterwards.
        if let Err(error) = put(git, &entries, None).await {
            return Err(not_committed(&format!("git's index can't be written ({error})")));
        }
        let log = format!("commit: {subject}");
        let set = git.call(&["update-ref", "-m", &log, &self.reference, &commit, &self.head], None).await;
        if let Err(error) = set
            && !git.has(&self.reference, &commit).await
        {
            let why = match self.moved(git).await {
                Ok(Some(what)) => format!("{what} meanwhile"),
                _ => error.to_string(),
            };
            return Err(not_committed(&format!("{why}{}", unstaged(git, files).await)));
        }
        // From here on it is made, whatever comes. What the index knows of the files' times is told anew.
        let _ = git.call(&["update-index", "-q", "--refresh"], None).await;
        let _ = customs.hook(git, &["post-commit"], None).await;
        Ok(commit)
    }
}

fn not_committed(why: &str) -> CommitError {
    CommitError::Refused(format!("{why}; nothing is committed"))
}

/// Takes files out of the index again; what to do where it can't be.
async fn unstaged(git: &Git, files: &[New<'_>]) -> String {
    let paths: Vec<&str> = files.iter().map(|file| file.path).collect();
    match unstage(git, &paths).await {
        Ok(()) => String::new(),
        Err(_) => {
            let names: Vec<&str> = files.iter().map(|file| file.name).collect();
            format!("; the index has it staged all the same, until: git reset -q -- {}", names.join(" "))
        }
    }
}

/// Has the index hold files, by their paths below the top, as HEAD does.
async fn unstage(git: &Git, paths: &[&str]) -> Result<(), GitError> {
    let paths: Vec<String> = paths.iter().map(|path| format!(":(top,literal){path}")).collect();
    let mut arguments = vec!["reset", "-q", "--"];
    arguments.extend(paths.iter().map(String::as_str));
    patiently(git, &arguments, None).await
}

/// Puts files into an index, all or none: `MODE,BLOB,PATH` each.
async fn put(git: &Git, entries: &[String], index: Option<&Path>) -> Result<(), GitError> {
    let mut arguments = vec!["update-index"];
    arguments.extend(entries.iter().flat_map(|entry| ["--cacheinfo", entry]));
    patiently(git, &arguments, index).await
}

async fn patiently(git: &Git, arguments: &[&str], index: Option<&Path>) -> Result<(), GitError> {
    for _ in 1..TRIES {
        match git.call(arguments, index).await {
            Err(GitError::Failed { said, .. }) if said.contains(".lock'") => {
                tokio::time::sleep(BETWEEN).await;
            }
            done => return done.map(drop),
        }
    }
    git.call(arguments, index).await.map(drop)
}

async fn tree_of(git: &Git, index: &Path) -> Result<String, GitError> {
    let tree = git.call(&["write-tree"], Some(index)).await?;
    Ok(String::from_utf8_lossy(&tree).trim().to_owned())
}

/// What any commit of the work tree goes through.
struct Customs {
    /// By name, where there is a file of it.
    hooks: Vec<&'static str>,
    /// Hooks that settings name.
    named: bool,
    signs: bool,
}

impl Customs {
    async fn of(git: &Git) -> Result<Self, GitError> {
        const HOOKS: [&str; 4] = ["pre-commit", "prepare-commit-msg", "commit-msg", "post-commit"];
        let files = HOOKS.map(|name| format!("hooks/{name}"));
        let mut arguments = vec!["rev-parse", "--path-format=absolute"];
        arguments.extend(files.iter().flat_map(|file| ["--git-path", file]));
        let paths = git.line(&arguments).await?;
        let there = HOOKS.iter().zip(paths.lines()).filter(|(_, path)| Path::new(path).exists());
        // Fails where there is none.
        let set = git.line(&["config", "--name-only", "--get-regexp", r"^(hook\.|commit\.gpgsign$)"]).await;
        let set = set.unwrap_or_default();
        let signs = set.lines().any(|name| name == "commit.gpgsign")
            && git.line(&["config", "--bool", "commit.gpgSign"]).await? == "true";
        let named = set.lines().any(|name| name.starts_with("hook."));
        Ok(Self { hooks: there.map(|(name, _)| *name).collect(), named, signs })
    }

    fn has_hooks(&self) -> bool {
        self.named || !self.hooks.is_empty()
    }

    /// Runs a hook, if there is one: its name, then what it is given.
    async fn hook(&self, git: &Git, what: &[&str], index: Option<&Path>) -> Result<(), CommitError> {
        let name = what.first().copied().unwrap_or_default();
        if !self.named && !self.hooks.contains(&name) {
            return Ok(());
        }
        let mut arguments = vec!["hook", "run", "--ignore-missing"];
        arguments.extend(what);
        match git.call(&arguments, index).await {
            Ok(_) => Ok(()),
            Err(GitError::Failed { said, .. }) if said.contains("is not a git command") => {
                Err(not_committed(&format!("git 2.36 is needed to run the hook {name}")))
            }
            Err(GitError::Failed { said, .. }) => {
                let said = if said.is_empty() { said } else { format!(": {said}") };
                Err(not_committed(&format!("the hook {name} refused it{said}")))
            }
            Err(error) => Err(error.into()),
        }
    }
}
