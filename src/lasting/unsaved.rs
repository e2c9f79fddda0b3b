//! Which live changes the files don't have yet.
//!
//! A change is saved once the job's file evaluates to the new value at its path; in a git work tree, once
//! the file as it is committed does; and where the settings name a branch, once that of the remote does,
//! as far as this work tree knows. It stays so: what people put there later, they decided.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use serde_json::Value;

use super::changed::shown;
use super::files::{JobFile, Overlay, inputs, job_files, read_file, var_files};
use super::git::{Git, GitError};
use super::ledger::Change;
use crate::base::secret::MASK;
use crate::base::{RunId, Secrets, text};
use crate::environment::Environment;
use crate::jobspec::{Job, Path};
use crate::nomad::Client;

/// What stands on one line: beside `warning: unsaved patch: ` and the mark of a simulated environment it
/// stays within 80 columns or little more.
const SHORT: usize = 56;

/// Jobs read at once.
const AT_ONCE: usize = 8;

/// How many commits are looked at for a value that people have changed since.
const LOOKED_AT: &str = "50";

/// A job as the server would fill it in.
pub type Filled = fn(&Value) -> Value;

/// A live change that isn't saved.
#[derive(Clone, Debug)]
pub struct Unsaved {
    pub change: Change,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    NoFile,
    /// Several files hold the job.
    Several(Vec<String>),
    /// The file can't be read, or has no such place.
    Unreadable {
        file: String,
        reason: String,
    },
    NotInFile {
        file: String,
    },
    NotCommitted {
        file: String,
    },
    NotPushed {
        file: String,
        to: String,
    },
    /// git doesn't tell.
    Git {
        file: String,
        reason: String,
    },
}

impl Why {
    pub fn words(&self) -> String {
        match self {
            Self::NoFile => "no job file holds it".into(),
            Self::Several(files) => format!("several files hold the job: {}", text::list(files)),
            Self::Unreadable { file, reason } => format!("{file} doesn't tell: {reason}"),
            Self::NotInFile { file } => format!("not in {file}"),
            Self::NotCommitted { file } => format!("in {file}, not committed"),
            Self::NotPushed { file, to } => format!("in {file}, not pushed to {to}"),
            Self::Git { file, reason } => {
                format!("in {file}; whether it is committed can't be told: {reason}")
            }
        }
    }

    /// Whether the files of the work tree have it.
    pub fn in_file(&self) -> bool {
        matches!(self, Self::NotCommitted { .. } | Self::NotPushed { .. } | Self::Git { .. })
    }
}

impl Unsaved {
    /// `api group.api.count: 1 → 3 (by ann at …, run …): not in jobs/api.nomad.hcl`, on as many lines as it
    /// takes to keep each short.
    pub fn words(&self) -> String {
        let Change { job, path, old, new, at, who, run, certain, .. } = &self.change;
        let maybe = if *certain { "" } else { " may be live" };
        let at = at.strftime("%Y-%m-%d %H:%M UTC");
        let (job, path) = (text::one_line(job), text::one_line(path));
        let (old, new) = (text::one_line(&self.shown(old)), text::one_line(&self.shown(new)));
        let by = text::one_line(&format!("by {who} at {at}, run {run}"));
        let why = text::one_line(&self.why.words());
        let what = format!("{job} {path}: {old} → {new}{maybe}");
        if what.chars().count() <= SHORT {
            return format!("{what}\n{by}\n{why}");
        }
        format!("{job} {path}:\n{old}\n→ {new}{maybe}\n{by}\n{why}")
    }
}

impl Unsaved {
    /// A value as one of its place is shown.
    pub fn shown(&self, value: &Value) -> String {
        shown(&self.change.path.parse().unwrap_or_default(), value)
    }
}

/// Those of the changes that aren't saved. With a client, the ones that the server doesn't have are left out:
/// there is nothing to lose; it isn't asked about what `done`, a run that ended well just now, has changed.
/// In a git work tree, those whose value people have committed to the file since.
pub async fn unsaved(
    environment: &Environment,
    changes: Vec<Change>,
    client: Option<&Client>,
    filled: Filled,
    done: Option<&RunId>,
) -> Vec<Unsaved> {
    if changes.is_empty() {
        return Vec::new();
    }
    let mut open: Vec<(Change, Result<String, Why>)> = Vec::new();
    let git = Git::of(environment).await.ok().flatten();
    let branches = match &git {
        Some(git) => branches(environment, git).await,
        None => Vec::new(),
    };
    let files = job_files(environment, &Overlay::default());
    let saying = Saying { secrets: environment.secrets(), filled };
    let looks: Vec<_> = changes
        .iter()
        .map(|change| async move { !change.is_of(done) && is_gone(client, change, saying).await })
        .collect();
    let gone: Vec<bool> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    // One commit holds many changes.
    let mut in_all: BTreeMap<String, bool> = BTreeMap::new();
    for (change, _) in changes.into_iter().zip(gone).filter(|(_, gone)| !gone) {
        if let (Some(git), Some(commit)) = (&git, &change.commit) {
            let known = match in_all.get(commit) {
                Some(known) => *known,
                None => is_in_all(git, &branches, commit).await,
            };
            in_all.insert(commit.clone(), known);
            if known {
                continue;
            }
        }
        let why = match &files {
            Err(found) => Err(Why::Unreadable {
                file: "the job files".into(),
                reason: found.0.first().map(|problem| problem.message.clone()).unwrap_or_default(),
            }),
            Ok(files) => held(files, &change, saying),
        };
        open.push((change, why));
    }
    let in_file: Vec<String> = open.iter().filter_map(|(_, why)| why.clone().ok()).collect();
    let kept = if in_file.is_empty() { Kept::All } else { Kept::find(environment, &in_file).await };
    let mut unsaved = Vec::new();
    for (change, why) in open {
        if let (Err(Why::NotInFile { file }), Some(git)) = (&why, &git)
            && is_settled(environment, git, file, &change).await.unwrap_or(false)
        {
            continue;
        }
        let why = match why {
            Err(why) => Some(why),
            Ok(file) => kept.lacks(environment, file, &change, saying),
        };
        unsaved.extend(why.map(|why| Unsaved { change, why }));
    }
    unsaved
}

/// Where a commit has to be for its change to be saved.
async fn branches(environment: &Environment, git: &Git) -> Vec<String> {
    let mut branches = vec!["HEAD".to_owned()];
    branches.extend(git.deployed_from(environment).await.ok().flatten().map(|to| to.tracking()));
    branches
}

async fn is_in_all(git: &Git, branches: &[String], commit: &str) -> bool {
    for branch in branches {
        if !git.has(branch, commit).await {
            return false;
        }
    }
    true
}

/// Whether the server is known not to have a change. Of a job that isn't there at all nothing is lost if the
/// change may not even have been done; otherwise it comes back from its file, without the change.
async fn is_gone(client: Option<&Client>, change: &Change, saying: Saying<'_>) -> bool {
    let Some(client) = client else { return false };
    let Ok(path) = change.path.parse::<Path>() else { return false };
    match client.job(&change.job).await {
        Ok(Some(job)) => {
            // A secret that isn't known any more can't be compared.
            let masked = change.certain && change.new.to_string().contains(MASK);
            !(masked || saying.says(&job, &path, &change.new))
        }
        Ok(None) => !change.certain,
        Err(_) => false,
    }
}

/// Whether people have committed another value to the file since the change was made: they decided what it
/// is to be. Commits that leave the value alone decide nothing.
async fn is_settled(
    environment: &Environment,
    git: &Git,
    file: &str,
    change: &Change,
) -> Result<bool, GitError> {
    let names: Vec<String> = std::iter::once(file.to_owned()).chain(var_files(environment)).collect();
    let at = change.at.as_second();
    let until = format!("--min-age={at}");
    let then = git.line(&["rev-list", "-n", "1", "--first-parent", &until, "HEAD"]).await?;
    let value = |overlay: &Overlay| {
        let job = read_file(environment, file, &inputs(environment, overlay).ok()?, overlay).ok()?;
        Some(change.path.parse::<Path>().ok()?.get(&job.json).cloned().unwrap_or_default())
    };
    if then.is_empty() {
        return Ok(false);
    }
    let Some(then) = value(&git.overlay(&then, &names).await?) else { return Ok(false) };
    let since = format!("--max-age={}", at.saturating_add(1));
    let paths: Vec<String> = names.iter().filter_map(|name| git.below_top(name)).collect();
    let mut arguments = vec!["rev-list", "-n", LOOKED_AT, "--first-parent", &since, "HEAD", "--"];
    arguments.extend(paths.iter().map(String::as_str));
    for revision in git.line(&arguments).await?.lines() {
        if value(&git.overlay(revision, &names).await?).is_some_and(|value| value != then) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The file that has the change; why there is none otherwise.
fn held(files: &[JobFile], change: &Change, saying: Saying<'_>) -> Result<String, Why> {
    let holding: Vec<&JobFile> = files.iter().filter(|file| holds(file, &change.job)).collect();
    let file = match holding.as_slice() {
        [one] => *one,
        [] => return Err(Why::NoFile),
        several => return Err(Why::Several(several.iter().map(|file| file.name.clone()).collect())),
    };
    let name = file.name.clone();
    let unreadable = |reason: String| Why::Unreadable { file: file.name.clone(), reason };
    let job = match &file.job {
        Ok(job) => job,
        Err(found) => {
            return Err(unreadable(
                found.0.first().map(|problem| problem.message.clone()).unwrap_or_default(),
            ));
        }
    };
    let path: Path =
        change.path.parse().map_err(|error: crate::jobspec::PathError| unreadable(error.to_string()))?;
    if saying.says(&job.json, &path, &change.new) { Ok(name) } else { Err(Why::NotInFile { file: name }) }
}

/// Whether a file holds a job; of one that can't be read, whether its name says so.
fn holds(file: &JobFile, id: &str) -> bool {
    match &file.job {
        Ok(job) => job.id() == id,
        Err(_) => {
            let name = file.name.rsplit('/').next().unwrap_or(&file.name);
            name.split('.').next() == Some(id)
        }
    }
}

/// How a job is asked whether it has a value.
#[derive(Clone, Copy)]
struct Saying<'a> {
    secrets: &'a Secrets,
    filled: Filled,
}

impl Saying<'_> {
    /// Whether a job has the value there, be it by leaving it to the server: it has where it is the same job
    /// to the server with the value and without.
    fn says(self, job: &Value, path: &Path, wanted: &Value) -> bool {
        let value = path.get(job);
        if is(value, wanted, self.secrets) {
            return true;
        }
        let mut with = job.clone();
        !wanted.to_string().contains(MASK)
            && path.set(&mut with, wanted).is_ok()
            && (self.filled)(&with) == (self.filled)(job)
    }
}

/// Whether a value is that of a record, which holds no secrets.
fn is(value: Option<&Value>, wanted: &Value, secrets: &Secrets) -> bool {
    let mut value = value.cloned().unwrap_or_default();
    if wanted.to_string().contains(MASK) {
        secrets.mask_json(&mut value);
    }
    value == *wanted || (value.as_f64().is_some() && value.as_f64() == wanted.as_f64())
}

/// What counts as saved besides the work tree.
enum Kept {
    /// Everything in the work tree.
    All,
    /// The files of a revision; where it is a remote's branch, what to call it, and those of HEAD.
    Committed {
        overlay: Overlay,
        pushed: Option<(String, Overlay)>,
    },
    Unknown(String),
}

impl Kept {
    async fn find(environment: &Environment, files: &[String]) -> Self {
        match Self::look(environment, files).await {
            Ok(kept) => kept,
            // Without git nobody commits here.
            Err(GitError::NotFound) => Self::All,
            Err(error) => Self::Unknown(error.to_string()),
        }
    }

    async fn look(environment: &Environment, files: &[String]) -> Result<Self, GitError> {
        let Some(git) = Git::of(environment).await? else { return Ok(Self::All) };
        let mut names = files.to_vec();
        names.extend(var_files(environment));
        names.sort();
        names.dedup();
        let overlay = git.overlay("HEAD", &names).await?;
        let pushed = match git.deployed_from(environment).await? {
            Some(branch) => {
                let overlay = git.overlay(&branch.tracking(), &names).await?;
                Some((branch.to_string(), overlay))
            }
            None => None,
        };
        Ok(Self::Committed { overlay, pushed })
    }

    /// Why a change that the work tree has isn't saved.
    fn lacks(
        &self,
        environment: &Environment,
        file: String,
        change: &Change,
        saying: Saying<'_>,
    ) -> Option<Why> {
        let has = |overlay: &Overlay| {
            let inputs = inputs(environment, overlay).ok()?;
            let job: Job = read_file(environment, &file, &inputs, overlay).ok()?;
            let path: Path = change.path.parse().ok()?;
            Some(saying.says(&job.json, &path, &change.new))
        };
        match self {
            Self::All => None,
            Self::Unknown(reason) => Some(Why::Git { file, reason: reason.clone() }),
            Self::Committed { overlay, .. } if has(overlay) != Some(true) => {
                Some(Why::NotCommitted { file: lacking(environment, file.clone(), overlay, has) })
            }
            Self::Committed { pushed: Some((to, overlay)), .. } if has(overlay) != Some(true) => {
                Some(Why::NotPushed {
                    file: lacking(environment, file.clone(), overlay, has),
                    to: to.clone(),
                })
            }
            Self::Committed { .. } => None,
        }
    }
}

/// Of a job's file and its var files, the one that has the value and isn't in the overlay so: the job's, unless it
/// is another one alone.
fn lacking(
    environment: &Environment,
    file: String,
    overlay: &Overlay,
    has: impl Fn(&Overlay) -> Option<bool>,
) -> String {
    let alone = |name: &String| {
        let mut with = overlay.clone();
        with.0.remove(name);
        has(&with) == Some(true)
    };
    if alone(&file) {
        return file;
    }
    var_files(environment).find(alone).unwrap_or(file)
}
