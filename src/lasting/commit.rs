//! Committing the edits of a patch, and nothing else.
//!
//! The commit is made of the files as HEAD has them, with the same values taken to their places there: what
//! else is changed in the work tree stays changed there, and out of the commit.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::files::{Overlay, inputs, job_file_names, job_files, read_file, var_files};
use super::git::{Branch, Entry, Git, GitError};
use super::making::{New, Stand};
use super::own::OwnCommits;
use super::replace::Replacement;
use super::writeback::{Asked, WriteBack};
use crate::base::{Diagnostics, text};
use crate::environment::Environment;

/// How many commits of others are named; the rest are counted.
const NAMED: usize = 5;

/// How many commits are compared, file by file, with what was meant to be committed.
const COMPARED: usize = 50;

#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error("the project doesn't lie in a git work tree")]
    NoTree,
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("the job files as they are committed can't be read")]
    Files(#[from] Diagnostics),
    #[error("HEAD is detached: there is no branch to commit to")]
    Detached,
    #[error("{0}")]
    Refused(String),
    /// What was looked at is not what is there now.
    #[error("{0} since it was shown")]
    Stale(String),
    #[error("it is committed, and not pushed to {to}")]
    Push { made: Committed, to: Branch, source: GitError },
}

/// What a commit would hold, and what it would be made on.
#[derive(Debug)]
pub struct Commit {
    git: Git,
    asked: Vec<Asked>,
    /// The files as HEAD has them.
    overlay: Overlay,
    /// The values at their places in the files as HEAD has them.
    back: WriteBack,
    files: Vec<File>,
    stand: Stand,
    push: Option<Push>,
}

/// A file of the commit.
#[derive(Debug)]
struct File {
    /// Relative to the project's root.
    name: String,
    /// Below the top of the work tree.
    path: String,
    /// As HEAD has it.
    entry: Entry,
    /// The object that it becomes.
    after: String,
    /// As it lies in the work tree, which may have more changes.
    here: String,
    /// The object that the index holds, where that was left behind by a run that was cut off.
    left: Option<String>,
}

/// Where a commit is pushed to.
#[derive(Debug)]
struct Push {
    to: Branch,
    /// The commit that is there.
    there: String,
    /// Our own commits that the remote's branch lacks.
    along: Vec<String>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// The whole id.
    pub commit: Option<String>,
    /// The values that it holds.
    pub held: Vec<Asked>,
    pub pushed: Option<String>,
}

impl File {
    /// The objects that the index may hold: as HEAD has it, or what is to be committed and nothing else, which
    /// a run leaves that is cut off right before its commit; or what one left that was cut off right after it.
    fn stages(&self) -> Vec<&str> {
        [&self.entry.blob, &self.after].into_iter().chain(&self.left).map(String::as_str).collect()
    }

    fn may_stage(&self, staged: Option<&Entry>) -> bool {
        staged.is_some_and(|staged| self.stages().contains(&staged.blob.as_str()))
    }
}

impl Commit {
    /// Looks at what would be committed, and at all that would stand against it. Of the commits that a push
    /// would take along, only `own` ones may be.
    pub async fn look(
        environment: &Environment,
        asked: &[Asked],
        shared: bool,
        own: &OwnCommits,
    ) -> Result<Self, CommitError> {
        let git = Git::of(environment).await?.ok_or(CommitError::NoTree)?;
        let refused = |message: String| Err(CommitError::Refused(message));
        let who = ["var", "GIT_COMMITTER_IDENT"];
        let (stand, who) = tokio::join!(Stand::of(&git), git.line(&who));
        let stand = stand?;
        if let Err(GitError::Failed { .. }) = who {
            return refused("git doesn't know who commits: git config user.name, and user.email".into());
        }
        let mut names: Vec<String> = job_file_names(environment)?;
        names.extend(var_files(environment));
        // What the commit changes in other environments is told of the files as it finds them.
        for sibling in environment.siblings() {
            names.extend(job_file_names(sibling).unwrap_or_default());
            names.extend(var_files(sibling));
        }
        names.sort();
        names.dedup();
        let overlay = git.overlay(&stand.head, &names).await?;
        let committed = job_files(environment, &overlay)?;
        let back = WriteBack::over(environment, &committed, &overlay, asked, shared)?;
        if let Some((job, why)) = asked.iter().find_map(|one| Some((&one.job, back.lost(&one.job).first()?)))
        {
            return refused(format!("'{job}' as it is committed: {why}"));
        }
        let files = to_commit(environment, &git, &stand, own, &overlay, &back).await?;
        let push = match git.deployed_from(environment).await? {
            Some(to) => Some(may_push(&git, &stand, to, own).await?),
            None => None,
        };
        Ok(Self { git, asked: asked.to_vec(), overlay, back, files, stand, push })
    }

    pub fn branch(&self) -> &str {
        &self.stand.branch
    }

    /// Whether there is anything to commit or push.
    pub fn is_needed(&self) -> bool {
        !self.files.is_empty() || self.push.as_ref().is_some_and(|push| !push.along.is_empty())
    }

    /// The edits of the files as HEAD has them.
    pub fn edits(&self) -> &WriteBack {
        &self.back
    }

    /// The values that the commit holds where only some jobs count, as its files then evaluate. What lies in
    /// a file that git ignores isn't in it.
    fn held(&self, environment: &Environment, counts: impl Fn(&str) -> bool) -> Vec<Asked> {
        let is_in = |name: &str| self.files.iter().any(|file| file.name == name);
        let mut overlay = self.overlay.clone();
        for file in self.back.replacements(&counts) {
            let text = if is_in(&file.name) { file.after } else { file.before };
            overlay.0.insert(file.name, Some(text));
        }
        let Ok(inputs) = inputs(environment, &overlay) else { return Vec::new() };
        let of = |one: &Asked| {
            self.files.iter().any(|file| self.back.edits(&file.name, &one.job, &counts)).then_some(())?;
            let job = read_file(environment, self.back.file_of(&one.job)?, &inputs, &overlay).ok()?;
            let values = one.values.iter();
            let values = values.filter(|(path, value)| path.get(&job.json).unwrap_or(&Value::Null) == value);
            Some(Asked { values: values.cloned().collect(), ..one.clone() })
        };
        let held = self.asked.iter().filter(|one| counts(&one.job)).filter_map(of);
        held.filter(|one| !one.values.is_empty()).collect()
    }

    /// For the approval, a line each; `shown` are the edits of the work tree, which were shown before.
    pub fn words(&self, shown: Option<&WriteBack>) -> Vec<String> {
        let push = match &self.push {
            Some(push) => format!(", and pushed to {}", push.to),
            None => String::new(),
        };
        let mut words = Vec::new();
        if self.files.is_empty() {
            words.push(format!("committed already{push}"));
        } else {
            let names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
            let (branch, head) = (&self.stand.branch, self.stand.head.get(..7).unwrap_or_default());
            words.push(format!("committed to {branch}: these lines of {}{push}", text::list(&names)));
            words.push(format!("  only while {branch} is at {head} and nobody has changed these files"));
            for file in self.files.iter().filter(|file| file.left.is_some()) {
                words.push(format!(
                    "  git's index has {} as it was before the last commit of blackstart's: it is brought along",
                    file.name
                ));
            }
            if shown.is_none_or(|shown| shown.changes() != self.back.changes()) {
                let changes = self.back.changes().into_iter();
                words.extend(changes.map(|(file, old, new)| {
                    text::one_line(&format!("  as it is committed, {file}: {old} → {new}"))
                }));
            }
            let known: BTreeSet<(bool, &str)> = shown.iter().flat_map(|shown| shown.others()).collect();
            let others = self.back.others().filter(|other| !known.contains(other));
            words.extend(others.map(|(_, line)| text::one_line(&format!("  as it is committed, {line}"))));
        }
        let along = self.push.as_ref().map(|push| push.along.as_slice()).unwrap_or_default();
        words.extend(along.iter().take(NAMED).map(|commit| format!("  pushed along with it: {commit}")));
        if along.len() > NAMED {
            words.push(format!("  and {} more", along.len() - NAMED));
        }
        words
    }

    /// What the person decides on: the branch, the commit that it is at, and each file as it was and as it
    /// becomes, by their objects.
    pub fn decision(&self) -> Value {
        let files: BTreeMap<&str, Value> = self
            .files
            .iter()
            .map(|file| (file.path.as_str(), json!({ "before": file.entry.blob, "after": file.after })))
            .collect();
        let push = self.push.as_ref().map(|push| json!({ "to": push.to.to_string(), "there": push.there }));
        let (others, protected): (Vec<_>, Vec<_>) =
            (self.back.others().collect(), self.back.protected().collect());
        json!({
            "branch": self.stand.branch,
            "head": self.stand.head,
            "files": files,
            "push": push,
            "others": others,
            "protected": protected,
        })
    }

    /// As [`Self::decision`], with the edits that each file is made of: a run that is cut off may have
    /// committed some of them.
    pub fn intent(&self) -> Value {
        let mut intent = self.decision();
        for file in &self.files {
            intent["files"][&file.path]["parts"] = json!(self.back.parts(&file.name));
        }
        intent
    }

    /// Whether all is as it was when it was looked at; asked right before anything is done with it.
    pub async fn still(&self, environment: &Environment) -> Result<(), CommitError> {
        let stale = |what: String| Err(CommitError::Stale(what));
        let paths: Vec<&str> = self.files.iter().map(|file| file.path.as_str()).collect();
        let staged = async { Ok(self.git.staged(&paths).await?) };
        let (moved, staged) = tokio::try_join!(self.stand.moved(&self.git), staged)?;
        if let Some(what) = moved {
            return stale(what);
        }
        for file in &self.files {
            let here = Overlay::default().read(environment.root(), &file.name).ok();
            if here.as_ref() != Some(&file.here) || !file.may_stage(staged.get(&file.path)) {
                return stale(format!("{} was changed", file.name));
            }
        }
        Ok(())
    }

    /// Commits the lines of the jobs that count, and pushes them where the settings name a branch. `message`
    /// makes its words of what it holds.
    pub async fn make(
        &self,
        environment: &Environment,
        counts: impl Fn(&str) -> bool,
        message: impl FnOnce(&[Asked]) -> String,
    ) -> Result<Committed, CommitError> {
        let mut made = Committed::default();
        let texts = self.back.replacements(&counts);
        let texts: BTreeMap<&str, &str> =
            texts.iter().map(|file| (file.name.as_str(), file.after.as_str())).collect();
        let mut files = Vec::new();
        for file in &self.files {
            if let Some(text) = texts.get(file.name.as_str()) {
                let File { name, path, entry, .. } = file;
                files.push(New { name, path, mode: &entry.mode, text, stages: file.stages() });
            }
        }
        if !files.is_empty() {
            let held = self.held(environment, &counts);
            let counting: Vec<Asked> = self.asked.iter().filter(|one| counts(&one.job)).cloned().collect();
            let text = message(if held.is_empty() { &counting } else { &held });
            made.commit = Some(self.stand.commit(&self.git, &files, &text).await?);
            made.held = held;
        }
        let along = self.push.as_ref().is_some_and(|push| !push.along.is_empty());
        if let Some(Push { to, there, .. }) = self.push.as_ref().filter(|_| made.commit.is_some() || along) {
            let commit = made.commit.clone().unwrap_or_else(|| self.stand.head.clone());
            let reference = format!("refs/heads/{}", to.name);
            // Only over what was looked at.
            let lease = format!("--force-with-lease={reference}:{there}");
            let what = format!("{commit}:{reference}");
            let pushed = self.git.call(&["push", "--quiet", &lease, "--", &to.remote, &what], None).await;
            if let Err(source) = pushed {
                return Err(CommitError::Push { made, to: to.clone(), source });
            }
            made.pushed = Some(to.to_string());
        }
        Ok(made)
    }
}

/// The files of a commit with those edits, none of them staged with anything else.
async fn to_commit(
    environment: &Environment,
    git: &Git,
    stand: &Stand,
    own: &OwnCommits,
    overlay: &Overlay,
    back: &WriteBack,
) -> Result<Vec<File>, CommitError> {
    let refused = |message: String| Err(CommitError::Refused(message));
    let mut edited = Vec::new();
    for file in back.replacements(|_| true) {
        edited.push((git.below_top(&file.name).ok_or(CommitError::NoTree)?, file));
    }
    let paths: Vec<&str> = edited.iter().map(|(path, _)| path.as_str()).collect();
    let texts: Vec<&str> = edited.iter().map(|(_, file)| file.after.as_str()).collect();
    let (mut entries, staged, objects) =
        tokio::try_join!(git.entries(&stand.head, &paths), git.staged(&paths), git.objects(&texts, false))?;
    let mut files = Vec::new();
    for ((path, Replacement { name, .. }), after) in edited.into_iter().zip(objects) {
        let Some(entry) = entries.remove(&path) else {
            if overlay.0.contains_key(&name) {
                return refused(format!("{name} isn't in git yet: add and commit it first"));
            }
            // Ignored: no commit holds it.
            continue;
        };
        let here = Overlay::default().read(environment.root(), &name).map_err(GitError::Start)?;
        let mut file = File { name, path, entry, after, here, left: None };
        let staged = staged.get(&file.path);
        if !file.may_stage(staged) {
            if !is_left_behind(git, stand, own, &file, staged).await? {
                let name = &file.name;
                return refused(format!("{name} has staged changes: commit or unstage them first"));
            }
            file.left = staged.map(|staged| staged.blob.clone());
        }
        files.push(file);
    }
    Ok(files)
}

/// Whether the index holds a file as it was before the last commit of it, which is one of our own, and the
/// work tree doesn't: nobody staged that, it was left behind, and would take that commit back.
async fn is_left_behind(
    git: &Git,
    stand: &Stand,
    own: &OwnCommits,
    file: &File,
    staged: Option<&Entry>,
) -> Result<bool, GitError> {
    let last = git.line(&["log", "-n", "1", "--format=%H %P", &stand.head, "--", &file.path]).await?;
    let Some((id, parent)) =
        last.split_once(' ').filter(|(_, parent)| !parent.is_empty() && !parent.contains(' '))
    else {
        return Ok(false);
    };
    let behind = staged.is_some() && git.entries(parent, &[&file.path]).await?.get(&file.path) == staged;
    let here = git.objects(&[&file.here], false).await?;
    Ok(behind
        && staged.is_some_and(|staged| !here.contains(&staged.blob))
        && is_own(git, own, id, parent).await?)
}

async fn is_own(git: &Git, own: &OwnCommits, id: &str, parent: &str) -> Result<bool, GitError> {
    if own.is_recorded(id) {
        return Ok(true);
    }
    if !own.was_meant_on(parent) {
        return Ok(false);
    }
    let changed = git.changed_by(id).await?;
    if own.was_meant(parent, &changed, &BTreeMap::new()) {
        return Ok(true);
    }
    // Some of the edits may be all that it has.
    let (before, after) = (git.texts(parent, changed.keys()).await?, git.texts(id, changed.keys()).await?);
    let both = |(path, before): (String, String)| Some((path.clone(), (before, after.get(&path)?.clone())));
    let texts = before.into_iter().filter_map(both).collect();
    Ok(own.was_meant(parent, &changed, &texts))
}

/// Nothing but the journal's own commits may go along with a push.
async fn may_push(git: &Git, stand: &Stand, to: Branch, own: &OwnCommits) -> Result<Push, CommitError> {
    let reference = format!("refs/heads/{}", to.name);
    let listed = git.line(&["ls-remote", "--", &to.remote, &reference]).await?;
    let Some(there) = listed.split_whitespace().next().map(str::to_owned) else {
        return Err(CommitError::Refused(format!("{to} doesn't exist: push it once by hand")));
    };
    let ancestor = git.call(&["merge-base", "--is-ancestor", &there, &stand.head], None).await;
    if ancestor.is_err() {
        let branch = &stand.branch;
        let message = format!("{to} has commits that {branch} hasn't: fetch and merge them first");
        return Err(CommitError::Refused(message));
    }
    let range = format!("{there}..{}", stand.head);
    let log = git.line(&["log", "--format=%H %P%x00%h %s", &range]).await?;
    let (mut others, mut along, mut compared) = (Vec::new(), Vec::new(), 0);
    for (ids, subject) in log.lines().filter_map(|line| line.split_once('\0')) {
        let ids: Vec<&str> = ids.split(' ').collect();
        let known = match ids.as_slice() {
            [id, ..] if own.is_recorded(id) => true,
            [id, parent] if own.was_meant_on(parent) && compared < COMPARED => {
                compared += 1;
                is_own(git, own, id, parent).await?
            }
            _ => false,
        };
        if known { along.push(text::one_line(subject)) } else { others.push(text::one_line(subject)) }
    }
    if others.is_empty() {
        return Ok(Push { to, there, along });
    }
    let mut named = others.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if others.len() > NAMED {
        named.push_str(&format!(" and {} more", others.len() - NAMED));
    }
    Err(CommitError::Refused(format!(
        "{} would go to {to} along with it, which this environment's journal doesn't know: push them \
         yourself first ({named})",
        text::count(others.len(), "other commit"),
    )))
}
