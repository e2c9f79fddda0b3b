//! What lasts of a patch, beside what runs: the job files, and the source that the server keeps with each
//! job.
//!
//! Files are looked at with the preview, held against what was shown right before anything is done, and
//! written once the jobs that they are for are healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::edits::Edited;
use super::look::Looked;
use super::wanted::{Only, Wanted};
use crate::base::{text, threads};
use crate::engine::{Breach, Context, StepError, Touched};
use crate::environment::Environment;
use crate::event::{Line, Mark};
use crate::jobspec::{Change, Path};
use crate::lasting::{Asked, Commit, CommitError, Committed, OwnCommits, WriteBack, write_flags};
use crate::nomad::Submission;

/// Names the run in a commit's message, for people.
const TRAILER: &str = "Blackstart-Run";

/// The way around the files, of a patch that is live as well.
pub(super) const SPARING: &str = "--live-only leaves the files alone";

pub(super) struct Lasting {
    environment: Arc<Environment>,
    /// By job.
    sources: BTreeMap<String, Sources>,
    asked: Vec<Asked>,
    /// None where the files are left alone.
    back: Option<WriteBack>,
    /// Why the files can't be looked at.
    unreadable: Option<String>,
    /// Whether what runs is changed as well.
    live: bool,
    /// What the patch is for.
    description: Option<String>,
    /// Where the lines are to be committed: what the commit would hold, or why there can be none.
    commit: Option<Result<Commit, CommitError>>,
}

/// The source as it was, and as it is to be; none where the server keeps none.
#[derive(Debug)]
struct Sources {
    before: Option<Submission>,
    after: Option<Submission>,
}

/// What was written, as far as it went.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub files: Vec<String>,
    /// The whole id.
    commit: Option<String>,
    pushed: Option<String>,
    /// The values that the commit holds: `{"job", "path", "value"}`.
    committed: Vec<Value>,
    pub error: Option<StepError>,
}

impl Written {
    /// Adds it to a step's evidence.
    pub fn record(&self, evidence: &mut Value) {
        if let Some(evidence) = evidence.as_object_mut() {
            evidence.insert("files".into(), json!(self.files));
            evidence.insert("commit".into(), json!(self.commit));
            evidence.insert("pushed".into(), json!(self.pushed));
            evidence.insert("committed".into(), json!(self.committed));
        }
    }
}

impl Lasting {
    /// Looks at where the values of running jobs come from.
    pub async fn look(
        cx: &Context,
        environment: &Arc<Environment>,
        wanted: &Wanted,
        looked: &[Looked],
    ) -> Result<Self, StepError> {
        let mut lasting =
            Self::of_files(cx, environment, wanted, looked.iter().map(|looked| &looked.job)).await?;
        let changing: Vec<&Looked> = looked.iter().filter(|looked| looked.differs()).collect();
        let sources = threads::each(threads::cores(), &changing, |Looked { job, source: before, .. }| {
            let written = lasting.back.as_ref().and_then(|back| back.source(environment, &job.id, &job.job));
            let rewritten = || before.as_ref().map(|before| before.after(&job.job, job.images.as_deref()));
            Sources { before: before.clone(), after: written.or_else(rewritten) }
        });
        lasting.sources = changing.iter().map(|looked| looked.job.id.clone()).zip(sources).collect();
        Ok(lasting)
    }

    /// As [`Self::look`], of jobs as their files have them.
    pub async fn of_files(
        cx: &Context,
        environment: &Arc<Environment>,
        wanted: &Wanted,
        jobs: impl Iterator<Item = &Edited>,
    ) -> Result<Self, StepError> {
        let mut asked: Vec<Asked> =
            jobs.map(Edited::asked).filter(|asked| !asked.values.is_empty()).collect();
        asked.sort_by(|a, b| a.job.cmp(&b.job));
        let mut lasting = Self {
            environment: Arc::clone(environment),
            sources: BTreeMap::new(),
            asked,
            back: None,
            unreadable: None,
            live: wanted.only != Some(Only::File),
            description: wanted.description.clone(),
            commit: None,
        };
        if wanted.only != Some(Only::Live) {
            match WriteBack::look(environment, &lasting.asked, wanted.shared) {
                Ok(back) => lasting.back = Some(back),
                Err(found) if wanted.only == Some(Only::File) => return Err(found.into()),
                Err(found) => lasting.unreadable = found.0.first().map(ToString::to_string),
            }
            if wanted.commit {
                let own = OwnCommits::of(&cx.journal.all());
                lasting.commit = Some(Commit::look(environment, &lasting.asked, wanted.shared, &own).await);
            }
        }
        Ok(lasting)
    }

    /// What is shown of a job beside the server's diff, before it is approved.
    pub fn lines(&self, id: &str) -> Vec<Line> {
        let Some(back) = &self.back else { return Vec::new() };
        back.lines(id).into_iter().map(|line| Line::new(Mark::Plain, 1, line)).collect()
    }

    /// What is shown below all jobs.
    pub fn closing(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        if let Some(why) = &self.unreadable {
            lines.push(Line::plain(format!("this won't last: the job files can't be read: {why}")));
        }
        let others = self.back.iter().flat_map(WriteBack::others);
        lines.extend(others.map(|(another, line)| {
            let mark = if another { Mark::Offending } else { Mark::Plain };
            Line::new(mark, 0, text::one_line(line))
        }));
        if let Some(Ok(commit)) = &self.commit {
            lines.extend(commit.words(self.back.as_ref()).into_iter().map(Line::plain));
        }
        lines
    }

    /// Why values of a job have no place.
    pub fn lost(&self, id: &str) -> Vec<String> {
        self.back.as_ref().map(|back| back.lost(id).to_vec()).unwrap_or_default()
    }

    /// Whether the job's file has a value once all is written.
    pub fn lands(&self, id: &str, change: &Change) -> bool {
        self.back.as_ref().is_some_and(|back| back.lands(id, &change.path, &change.new))
    }

    /// Why it can't be done so.
    pub fn breach(&self) -> Option<Breach> {
        let refusal = |back: &WriteBack| back.refusal(self.live);
        if let Some((message, help)) = self.back.as_ref().and_then(refusal) {
            return Some(Breach { message, help: Some(help) });
        }
        if let Some((message, help)) = self.committed().and_then(refusal) {
            return Some(Breach { message: format!("as it is committed, {message}"), help: Some(help) });
        }
        if let Some(Err(error)) = self.back.as_ref().map(|back| back.check(&self.environment)) {
            let help = self.live.then(|| SPARING.to_owned());
            return Some(Breach { message: said(&error), help });
        }
        if let Some(Err(error)) = &self.commit {
            let help = Some("without --commit the files are written, and you commit them".to_owned());
            return Some(Breach { message: format!("it can't be committed: {}", said(error)), help });
        }
        None
    }

    /// Other environments that are protected and have a job that changes, or may, in the work tree or by the
    /// commit.
    pub fn protects(&self) -> Vec<String> {
        let all = self.back.iter().chain(self.committed()).flat_map(WriteBack::protected);
        all.cloned().collect::<BTreeSet<String>>().into_iter().collect()
    }

    /// The edits of the files as they are committed, where there is to be a commit.
    fn committed(&self) -> Option<&WriteBack> {
        self.commit.as_ref()?.as_ref().ok().map(Commit::edits)
    }

    /// Whether there is anything to write or to commit.
    pub fn changes(&self) -> bool {
        let commits = matches!(&self.commit, Some(Ok(commit)) if commit.is_needed());
        commits || self.back.as_ref().is_some_and(WriteBack::has_edits)
    }

    pub fn decision(&self) -> Value {
        let commit = self.commit.as_ref().and_then(|commit| commit.as_ref().ok());
        json!({
            "files": self.back.as_ref().map(WriteBack::decision),
            "commit": commit.map(Commit::decision),
        })
    }

    /// The commit that is meant to be made, for the intent.
    pub fn meant(&self) -> Value {
        match &self.commit {
            Some(Ok(commit)) => commit.intent(),
            _ => Value::Null,
        }
    }

    /// The source to register the changed job with.
    pub fn source(&self, id: &str) -> Option<&Submission> {
        self.sources.get(id)?.after.as_ref()
    }

    /// The source to put the job back with.
    pub fn source_before(&self, id: &str) -> Option<&Submission> {
        self.sources.get(id)?.before.as_ref()
    }

    /// Right before anything is done: the files must be as they were shown, and the branch too where there
    /// is to be a commit.
    pub async fn still(&self) -> Result<(), StepError> {
        let again =
            |error: &dyn std::error::Error| StepError { again: true, ..StepError::untouched(said(error)) };
        if let Some(Err(error)) = self.back.as_ref().map(|back| back.check(&self.environment)) {
            return Err(again(&error));
        }
        if let Some(Ok(commit)) = &self.commit {
            commit.still(&self.environment).await.map_err(|error| again(&error))?;
        }
        Ok(())
    }

    /// Writes what is for the jobs that count, and commits it: as it was shown, or not at all.
    pub async fn write(&self, cx: &Context, counts: impl Fn(&str) -> bool) -> Written {
        let mut written = Written::default();
        let Some(back) = &self.back else {
            if self.unreadable.is_none() && self.asked.iter().any(|asked| counts(&asked.job)) {
                cx.teller.note("the job files don't have this yet: it was for the running jobs only");
            }
            return written;
        };
        let commit = self.commit.as_ref().and_then(|commit| commit.as_ref().ok());
        let end = write_flags(&self.environment);
        let still = match commit {
            Some(commit) => commit.still(&self.environment).await,
            None => Ok(()),
        };
        if let Err(error) = still {
            let message = format!("{}; the files are left alone, and nothing is committed", said(&error));
            let help = format!("look at it, then: blackstart patch save {end}");
            written.error = Some(StepError::new(message, Touched::Something).help(help));
            return written;
        }
        match back.write(&self.environment, &counts) {
            Ok(files) => written.files = files,
            Err(error) => {
                let message = format!("{}; the job files don't have the patch", said(&error));
                let help = format!("look at it, then: blackstart patch save {end}");
                written.error = Some(StepError::new(message, Touched::Something).help(help));
                return written;
            }
        }
        if !written.files.is_empty() {
            cx.teller.note(format!("written to {}", text::list(&written.files)));
        }
        for line in back.undone(&counts).iter().chain(&back.drifting(&counts)) {
            cx.teller.note(text::one_line(line));
        }
        let any = self.asked.iter().any(|asked| counts(&asked.job));
        let Some(commit) = commit.filter(|_| any) else { return written };
        let made = commit.make(&self.environment, &counts, |held| self.message(cx, held)).await;
        let made = made.unwrap_or_else(|error| {
            let message = format!("the files are written, and not saved: {}", said(&error));
            let help = match &error {
                CommitError::Push { to, .. } => format!(
                    "where somebody pushed there meanwhile: git pull --rebase {r} {b} && git push {r} HEAD:{b}; \
                     else: blackstart patch save {end}",
                    r = to.remote,
                    b = to.name
                ),
                _ => format!("then: blackstart patch save {end}"),
            };
            written.error = Some(StepError::new(message, Touched::Something).help(help));
            match error {
                CommitError::Push { made, .. } => made,
                _ => Committed::default(),
            }
        });
        (written.commit, written.pushed) = (made.commit, made.pushed);
        if let Some(id) = &written.commit {
            let values = made
                .held
                .iter()
                .flat_map(|asked| asked.values.iter().map(|(path, value)| (&asked.job, path, value)));
            let one = |(job, path, value): (&String, &Path, &Value)| json!({ "job": job, "path": path.to_string(), "value": value });
            written.committed = values.map(one).collect();
            let pushed = written.pushed.as_ref().map(|to| format!(", pushed to {to}")).unwrap_or_default();
            let short = id.get(..7).unwrap_or_default();
            cx.teller.note(format!("committed as {short} to {}{pushed}", commit.branch()));
        } else if let Some(to) = &written.pushed {
            cx.teller.note(format!("pushed to {to}"));
        }
        written
    }

    /// `Patch api`, what it is for, and each path below; the values are in the lines.
    fn message(&self, cx: &Context, held: &[Asked]) -> String {
        let jobs: Vec<&str> = held.iter().map(|asked| asked.job.as_str()).collect();
        let mut message = format!("Patch {}\n\n", text::list(&jobs));
        if let Some(description) = &self.description {
            message.push_str(&format!("{}\n\n", description.trim()));
        }
        for Asked { job, values, .. } in held {
            for (path, _) in values {
                message.push_str(&format!("{job} {path}\n"));
            }
        }
        let message = self.environment.secrets().mask(message.trim_end());
        let approver = cx.approver.as_deref().unwrap_or("nobody");
        let run = &cx.run.0;
        format!("{}\n\nApproved by {approver}.\n\n{TRAILER}: {run}\n", text::harmless(&message))
    }
}

/// An error with its causes.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}
