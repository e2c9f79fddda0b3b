//! Which live changes the files don't have yet.
//!
//! A change is saved once the job's file evaluates to the new value at its path; in a git work tree, once
//! the file as it is committed does; and where the settings name a branch, once that of the remote does,
//! as far as this work tree knows. It stays so: what people put there later, they decided.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use serde_json::Value;

use super::changed::shown;
use super::files::{JobFile, Overlay, inputs, job_files, read_file, var_files};
use super::git::{Git, GitError};
use super::ledger::Change;
use crate::base::secret::MASK;
use crate::base::{RunId, Secrets, text, threads};
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
    let git = Git::of(environment).await;
    let tree = git.as_ref().ok().and_then(Option::as_ref);
    let branches = match tree {
        Some(git) => branches(environment, git).await,
        None => Vec::new(),
    };
    let saying = Saying { secrets: environment.secrets(), filled };
    let looks: Vec<_> = changes
        .iter()
        .map(|change| async move { !change.is_of(done) && is_gone(client, change, saying).await })
        .collect();
    let gone: Vec<bool> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    // One commit holds many changes.
    let mut in_all: BTreeMap<String, bool> = BTreeMap::new();
    let mut left: Vec<Change> = Vec::new();
    for (change, _) in changes.into_iter().zip(gone).filter(|(_, gone)| !gone) {
        if let (Some(git), Some(commit)) = (tree, &change.commit) {
            let known = match in_all.get(commit) {
                Some(known) => *known,
                None => is_in_all(git, &branches, commit).await,
            };
            in_all.insert(commit.clone(), known);
            if known {
                continue;
            }
        }
        left.push(change);
    }
    if left.is_empty() {
        return Vec::new();
    }
    let whys: Vec<Result<String, Why>> = match job_files(environment, &Overlay::default()) {
        Err(found) => {
            let reason = found.0.first().map(|problem| problem.message.clone()).unwrap_or_default();
            let why = Why::Unreadable { file: "the job files".into(), reason };
            left.iter().map(|_| Err(why.clone())).collect()
        }
        Ok(files) => {
            let holding = Holding::of(&files);
            left.iter().map(|change| held(&holding, change, saying)).collect()
        }
    };
    let in_file: BTreeSet<&String> = whys.iter().filter_map(|why| why.as_ref().ok()).collect();
    let kept = match &git {
        _ if in_file.is_empty() => Kept::All,
        Ok(None) | Err(GitError::NotFound) => Kept::All,
        Ok(Some(git)) => match Kept::look(environment, git, &in_file).await {
            Ok(kept) => kept,
            Err(error) => Kept::Unknown(error.to_string()),
        },
        Err(error) => Kept::Unknown(error.to_string()),
    };
    let mut unsaved = Vec::new();
    for (change, why) in left.into_iter().zip(whys) {
        if let (Err(Why::NotInFile { file }), Some(git)) = (&why, tree)
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

/// Which files hold which jobs; of one that can't be read, which its name says.
struct Holding<'f>(BTreeMap<&'f str, Vec<&'f JobFile>>);

impl<'f> Holding<'f> {
    fn of(files: &'f [JobFile]) -> Self {
        let mut by_job: BTreeMap<&str, Vec<&JobFile>> = BTreeMap::new();
        for file in files {
            let id = match &file.job {
                Ok(job) => job.id(),
                Err(_) => {
                    let name = file.name.rsplit('/').next().unwrap_or(&file.name);
                    name.split('.').next().unwrap_or(name)
                }
            };
            by_job.entry(id).or_default().push(file);
        }
        Self(by_job)
    }
}

/// The file that has the change; why there is none otherwise.
fn held(files: &Holding<'_>, change: &Change, saying: Saying<'_>) -> Result<String, Why> {
    let file = match files.0.get(change.job.as_str()).map_or(&[][..], Vec::as_slice) {
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
        if value.is_some_and(|value| are_others(value, wanted)) {
            return false;
        }
        let mut with = job.clone();
        !wanted.to_string().contains(MASK)
            && path.set(&mut with, wanted).is_ok()
            && (self.filled)(&with) == (self.filled)(job)
    }
}

/// Whether two texts are both written out, with nothing to be put in, and aren't one in another case: then
/// neither is what the server makes of the other.
fn are_others(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_str(), other.as_str()) else { return false };
    let (one, other) = (one.trim(), other.trim());
    let plain = |text: &str| !text.is_empty() && !text.contains("${");
    plain(one) && plain(other) && one.to_lowercase() != other.to_lowercase()
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
    /// As a revision has it; where that is a remote's branch, what to call it, and as HEAD has it.
    Committed {
        head: Revision,
        pushed: Option<(String, Revision)>,
    },
    Unknown(String),
}

struct Revision {
    /// By file; none of a file that isn't there, or can't be read.
    jobs: BTreeMap<String, Option<Value>>,
    /// The job files and var files that are something else in the work tree.
    differing: BTreeSet<String>,
}

impl Revision {
    fn of(environment: &Environment, files: &BTreeSet<&String>, overlay: &Overlay) -> Self {
        let files: Vec<&String> = files.iter().copied().collect();
        let inputs = inputs(environment, overlay);
        let read = |name: &&String| {
            let job: Job = read_file(environment, name, inputs.as_ref().ok()?, overlay).ok()?;
            Some(job.json)
        };
        let read = threads::each(threads::cores(), &files, read);
        let text = |overlay: &Overlay, name: &str| overlay.read(environment.root(), name).ok();
        let here = Overlay::default();
        let differs = |name: &&String| text(overlay, name) != text(&here, name);
        Self {
            jobs: files.iter().copied().cloned().zip(read).collect(),
            differing: overlay.0.keys().filter(differs).cloned().collect(),
        }
    }
}

impl Kept {
    async fn look(environment: &Environment, git: &Git, files: &BTreeSet<&String>) -> Result<Self, GitError> {
        let mut names: Vec<String> = files.iter().copied().cloned().chain(var_files(environment)).collect();
        names.sort();
        names.dedup();
        let head = Revision::of(environment, files, &git.overlay("HEAD", &names).await?);
        let pushed = match git.deployed_from(environment).await? {
            Some(branch) => {
                let overlay = git.overlay(&branch.tracking(), &names).await?;
                Some((branch.to_string(), Revision::of(environment, files, &overlay)))
            }
            None => None,
        };
        Ok(Self::Committed { head, pushed })
    }

    /// Why a change that the work tree has isn't saved.
    fn lacks(
        &self,
        environment: &Environment,
        file: String,
        change: &Change,
        saying: Saying<'_>,
    ) -> Option<Why> {
        let has = |revision: &Revision| {
            let job = revision.jobs.get(&file)?.as_ref()?;
            let path: Path = change.path.parse().ok()?;
            Some(saying.says(job, &path, &change.new))
        };
        // What differs of all that the job is read from.
        let named = |revision: &Revision| {
            let all = std::iter::once(file.clone()).chain(var_files(environment));
            let differing: Vec<String> = all.filter(|name| revision.differing.contains(name)).collect();
            if differing.is_empty() { file.clone() } else { text::list(&differing) }
        };
        match self {
            Self::All => None,
            Self::Unknown(reason) => Some(Why::Git { file, reason: reason.clone() }),
            Self::Committed { head, .. } if has(head) != Some(true) => {
                Some(Why::NotCommitted { file: named(head) })
            }
            Self::Committed { pushed: Some((to, there)), .. } if has(there) != Some(true) => {
                Some(Why::NotPushed { file: named(there), to: to.clone() })
            }
            Self::Committed { .. } => None,
        }
    }
}
