//! Committing the edits of a patch, and nothing else.
//!
//! The commit is made of the files as HEAD has them, with the same values taken to their places there: what
//! else is changed in the work tree stays changed there, and out of the commit.

use std::path::Path;

use super::files::{Overlay, job_files};
use super::git::{Branch, Entry, Git, GitError};
use super::replace::Replacement;
use super::writeback::{Asked, WriteBack};
use crate::base::{Diagnostics, text};
use crate::environment::Environment;

/// What a person's commits have that a push may take along: those of earlier patches.
const TRAILER: &str = "Blackstart-Run";

#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("the project doesn't lie in a git work tree")]
    NoTree,
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("the job files as they are committed can't be read")]
    Files(#[from] Diagnostics),
    #[error("{0}")]
    Refused(String),
    #[error("it is committed, and not pushed to {to}")]
    Push { to: Branch, source: GitError },
}

/// What a commit would hold.
#[derive(Debug)]
pub struct Commit {
    git: Git,
    files: Vec<(Replacement, String, Entry)>,
    pub branch: String,
    pub push: Option<Branch>,
    /// Whether the remote's branch lacks what is committed already.
    behind: bool,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    pub commit: Option<String>,
    pub pushed: Option<String>,
}

impl Commit {
    /// Looks at what would be committed, and at all that would stand against it.
    pub async fn look(environment: &Environment, asked: &[Asked]) -> Result<Self, CommitError> {
        let git = Git::of(environment).await?.ok_or(CommitError::NoTree)?;
        let refused = |message: String| Err(CommitError::Refused(message));
        let Ok(branch) = git.line(&["symbolic-ref", "-q", "--short", "HEAD"]).await else {
            return refused("HEAD is detached: there is no branch to commit to".into());
        };
        for (name, what) in [
            ("MERGE_HEAD", "a merge"),
            ("CHERRY_PICK_HEAD", "a cherry-pick"),
            ("REVERT_HEAD", "a revert"),
            ("rebase-merge", "a rebase"),
            ("rebase-apply", "a rebase"),
        ] {
            if Path::new(&git.line(&["rev-parse", "--path-format=absolute", "--git-path", name]).await?)
                .exists()
            {
                return refused(format!("{what} is going on in the work tree: end it first"));
            }
        }
        let here = job_files(environment, &Overlay::default())?;
        let mut names: Vec<String> = here.into_iter().map(|file| file.name).collect();
        let nomad = environment.settings().nomad.as_ref();
        names.extend(
            nomad.iter().flat_map(|nomad| &nomad.var_files).map(|(path, _)| path.display().to_string()),
        );
        let overlay = git.overlay("HEAD", &names).await?;
        let committed = job_files(environment, &overlay)?;
        let back = WriteBack::over(environment, &committed, &overlay, asked)?;
        if let Some((job, why)) = asked.iter().find_map(|one| Some((&one.job, back.lost(&one.job).first()?)))
        {
            return refused(format!("'{job}' as it is committed: {why}"));
        }
        let mut files = Vec::new();
        for file in back.replacements(|_| true) {
            let path = git.below_top(&file.name).ok_or(CommitError::NoTree)?;
            let Some(entry) = git.entry("HEAD", &path).await? else {
                if overlay.0.contains_key(&file.name) {
                    return refused(format!("{} isn't in git yet: add and commit it first", file.name));
                }
                // Ignored: no commit holds it.
                continue;
            };
            if git.call(&["diff", "--cached", "--quiet", "--", &path], None).await.is_err() {
                return refused(format!("{} has staged changes: commit or unstage them first", file.name));
            }
            files.push((file, path, entry));
        }
        let push = git.deployed_from(environment).await?;
        let mut commit = Self { git, files, branch, push, behind: false };
        if let Some(to) = commit.push.clone() {
            commit.behind = commit.may_push(&to).await?;
        }
        Ok(commit)
    }

    /// Whether there is anything to commit or push.
    pub fn is_needed(&self) -> bool {
        !self.files.is_empty() || self.behind
    }

    /// For the approval.
    pub fn words(&self) -> String {
        let push = match &self.push {
            Some(to) => format!(", and pushed to {to}"),
            None => String::new(),
        };
        if self.files.is_empty() {
            return format!("committed already{push}");
        }
        let names: Vec<&str> = self.files.iter().map(|(file, ..)| file.name.as_str()).collect();
        format!("committed to {}: these lines of {}{push}", self.branch, text::list(&names))
    }

    /// Nothing but patches may go along with a push. Whether any of them waits for one.
    async fn may_push(&self, to: &Branch) -> Result<bool, CommitError> {
        let reference = format!("refs/heads/{}", to.name);
        let listed = self.git.line(&["ls-remote", "--", &to.remote, &reference]).await?;
        let Some(there) = listed.split_whitespace().next() else {
            return Err(CommitError::Refused(format!("{to} doesn't exist: push it once by hand")));
        };
        let range = format!("{there}..HEAD");
        let ancestor = self.git.call(&["merge-base", "--is-ancestor", there, "HEAD"], None).await;
        if ancestor.is_err() {
            let message = format!("{to} has commits that {} hasn't: fetch and merge them first", self.branch);
            return Err(CommitError::Refused(message));
        }
        let format = format!("--format=%h %s%x00%(trailers:key={TRAILER},valueonly,separator=%x20)");
        let log = self.git.line(&["log", &format, &range]).await?;
        let others: Vec<&str> = log
            .lines()
            .filter_map(|line| line.split_once('\0'))
            .filter(|(_, run)| run.trim().is_empty())
            .map(|(subject, _)| subject)
            .collect();
        if others.is_empty() {
            return Ok(!log.is_empty());
        }
        let others: Vec<String> = others.into_iter().map(text::one_line).collect();
        Err(CommitError::Refused(format!(
            "{} would go to {to} along with it: push them yourself first ({})",
            text::count(others.len(), "other commit"),
            others.join("; ")
        )))
    }

    /// Commits the lines, and pushes them where the settings name a branch.
    pub async fn make(&self, subject: &str, run: &str, approver: &str) -> Result<Committed, CommitError> {
        let mut made = Committed::default();
        if !self.files.is_empty() {
            made.commit = Some(self.commit(subject, run, approver).await?);
        }
        if let Some(to) = self.push.as_ref().filter(|_| self.is_needed()) {
            let to_branch = format!("HEAD:refs/heads/{}", to.name);
            let pushed = self.git.call(&["push", "--quiet", "--", &to.remote, &to_branch], None).await;
            pushed.map_err(|source| CommitError::Push { to: to.clone(), source })?;
            made.pushed = Some(to.to_string());
        }
        Ok(made)
    }

    async fn commit(&self, subject: &str, run: &str, approver: &str) -> Result<String, CommitError> {
        let io = |error: std::io::Error| CommitError::Git(GitError::Start(error));
        let folder = tempfile::tempdir().map_err(io)?;
        let index = folder.path().join("index");
        self.git.call(&["read-tree", "HEAD"], Some(&index)).await?;
        let mut entries = Vec::new();
        for (at, (file, path, entry)) in self.files.iter().enumerate() {
            let text = folder.path().join(at.to_string());
            std::fs::write(&text, &file.after).map_err(io)?;
            let text = text.display().to_string();
            // As it is in the repository: filters were passed when HEAD's text was made.
            let blob = self.git.line(&["hash-object", "-w", "--no-filters", "--", &text]).await?;
            entries.push(format!("{},{blob},{path}", entry.mode));
        }
        for entry in &entries {
            self.git.call(&["update-index", "--cacheinfo", entry], Some(&index)).await?;
        }
        let message = format!("{subject}\n\nApproved by {approver}.\n\n{TRAILER}: {run}\n");
        // Through `commit`, so that hooks run and signatures are made as for any commit here.
        self.git.call(&["commit", "--quiet", "-m", &message], Some(&index)).await?;
        for entry in &entries {
            self.git.call(&["update-index", "--cacheinfo", entry], None).await?;
        }
        // What the index knows of the files' times is told anew.
        let _ = self.git.call(&["update-index", "-q", "--refresh"], None).await;
        Ok(self.git.line(&["rev-parse", "--short", "HEAD"]).await?)
    }
}
