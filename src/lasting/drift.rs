//! The job files held against what runs, by the server's own plan: what a file leaves out and the server
//! fills in is no difference.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;

use super::files::{JobFile, Overlay, job_files};
use super::ledger::Change;
use crate::base::{Diagnostics, text};
use crate::environment::Environment;
use crate::jobspec::{Job, Path};
use crate::nomad::{
    Client, DiffLine, NomadError, Sign, diff_lines, is_stopped, is_unchanged, job_id, job_version,
};

/// Jobs asked about at once.
const AT_ONCE: usize = 8;

/// What was found of an environment.
#[derive(Debug, Default)]
pub struct Drift {
    /// In the order of their ids.
    pub jobs: Vec<Drifted>,
    /// How many are as their files say.
    pub same: usize,
    /// Job files that can't be read: nothing is known of their jobs.
    pub unreadable: Vec<(String, Diagnostics)>,
    /// Whether the environment has job files at all.
    pub has_files: bool,
}

impl Drift {
    /// What of it would be lost if everything was started again from the files: not what is missing or
    /// stopped, which they bring back.
    pub fn unsaved(&self) -> impl Iterator<Item = &Drifted> {
        self.jobs.iter().filter(|job| matches!(job.how, How::Differs | How::NoFile))
    }

    /// Leaves out the jobs that differ by nothing but changes that are known: those that are `asked` about
    /// elsewhere, and those that were given up, as long as the job wasn't registered again since.
    pub async fn without(
        mut self,
        asked: &[Change],
        given_up: &[Change],
        client: &Client,
    ) -> Result<Self, NomadError> {
        let mut jobs = Vec::new();
        for job in std::mem::take(&mut self.jobs) {
            let given_up = given_up.iter().filter(|change| job.since.is_none_or(|at| at <= change.at));
            let known = asked.iter().chain(given_up);
            let mut written = job.written.clone().unwrap_or_default();
            let mut set = false;
            for change in known.filter(|change| job.how == How::Differs && change.job == job.id) {
                let path = change.path.parse::<Path>();
                set |= path.is_ok_and(|path| path.set(&mut written, &change.new).is_ok());
            }
            if !set || !is_unchanged(&client.plan(&written).await?.diff) {
                jobs.push(job);
            }
        }
        self.jobs = jobs;
        Ok(self)
    }
}

/// One job that is not as its file says.
#[derive(Clone, Debug)]
pub struct Drifted {
    pub id: String,
    /// Its file, relative to the root.
    pub file: Option<String>,
    pub how: How,
    /// What the server would change if the file was registered: `old` is what runs, `new` what the file has.
    pub lines: Vec<DiffLine>,
    /// Of the version that runs.
    pub version: Option<u64>,
    pub since: Option<Timestamp>,
    /// Whose token registered it, where Nomad's ACLs are on.
    pub token: Option<String>,
    /// The job as the server holds it.
    pub running: Option<Value>,
    /// The job as the file has it.
    pub written: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It runs, and other than its file says.
    Differs,
    /// It runs, and no file holds it.
    NoFile,
    /// It is registered and stopped; its file would start it.
    Stopped,
    /// There is a file, and the server knows no such job.
    NotRegistered,
}

impl How {
    pub fn word(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::NoFile => "no_file",
            Self::Stopped => "stopped",
            Self::NotRegistered => "not_registered",
        }
    }
}

impl Drifted {
    fn of(id: &str, how: How) -> Self {
        Self {
            id: id.to_owned(),
            file: None,
            how,
            lines: Vec::new(),
            version: None,
            since: None,
            token: None,
            running: None,
            written: None,
        }
    }

    fn running(mut self, job: Value) -> Self {
        self.version = Some(job_version(&job));
        let nanos = job.get("SubmitTime").and_then(Value::as_i64).filter(|nanos| *nanos > 0);
        self.since = nanos.and_then(|nanos| Timestamp::from_nanosecond(nanos.into()).ok());
        let token = job.get("NomadTokenID").and_then(Value::as_str).filter(|token| !token.is_empty());
        self.token = token.map(text::one_line);
        self.running = Some(job);
        self
    }

    /// `version 3 of 2026-11-21 06:01 UTC, by the token 4f…`
    pub fn when(&self) -> Option<String> {
        let mut words = format!("version {}", self.version?);
        if let Some(since) = self.since {
            words.push_str(&format!(" of {} UTC", since.strftime("%Y-%m-%d %H:%M")));
        }
        if let Some(token) = &self.token {
            words.push_str(&format!(", by the token {token}"));
        }
        Some(words)
    }

    /// Each difference in words, `group 'web' / count: runs "3", the file has "1"`; a long text by its lines.
    pub fn differences(&self) -> Vec<String> {
        let mut words = Vec::new();
        for line in self.lines.iter().filter(|line| line.field.is_some() || line.sign != Sign::Changed) {
            let parts: Vec<&str> =
                line.path.iter().map(String::as_str).chain(line.field.as_deref()).collect();
            let place = parts.join(" / ");
            let long = [&line.old, &line.new].into_iter().flatten().any(|text| text.contains('\n'));
            if long {
                words.extend(line.lines().into_iter().map(|line| line.trim_start_matches("~ ").to_owned()));
                continue;
            }
            let quoted = |text: &str| line.shown(&text::one_line(text));
            words.push(match (&line.old, &line.new) {
                (Some(old), Some(new)) => {
                    format!("{place}: runs {}, the file has {}", quoted(old), quoted(new))
                }
                (Some(old), None) => format!("{place}: runs {}, the file has nothing", quoted(old)),
                (None, Some(new)) => format!("{place}: runs nothing, the file has {}", quoted(new)),
                (None, None) if line.sign == Sign::Added => format!("{place}: only the file has it"),
                (None, None) => format!("{place}: the file doesn't have it"),
            });
        }
        words
    }
}

/// Holds every job file of the environment against the server, and the server's jobs against the files.
pub async fn drift(environment: &Environment, client: &Client) -> Result<Drift, DriftError> {
    drift_of(environment, client, |_| true).await
}

/// The same of those jobs alone.
pub async fn drift_of(
    environment: &Environment,
    client: &Client,
    meant: impl Fn(&str) -> bool,
) -> Result<Drift, DriftError> {
    let files = job_files(environment, &Overlay::default())?;
    let mut drift = Drift { has_files: !files.is_empty(), ..Drift::default() };
    let mut held: BTreeSet<String> = BTreeSet::new();
    let mut jobs: Vec<(String, Job)> = Vec::new();
    for JobFile { name, job } in files {
        match job {
            Ok(job) => {
                held.insert(job.id().to_owned());
                if meant(job.id()) {
                    jobs.push((name, job));
                }
            }
            Err(found) => drift.unreadable.push((name, found)),
        }
    }
    let looks = jobs.into_iter().map(|(name, job)| async move { held_against(client, name, job).await });
    let looked: Vec<Option<Drifted>> =
        stream::iter(looks).buffered(AT_ONCE).try_collect().await.map_err(DriftError::Nomad)?;
    drift.same = looked.iter().filter(|found| found.is_none()).count();
    drift.jobs = looked.into_iter().flatten().collect();
    drift.jobs.sort_by(|a, b| a.id.cmp(&b.id));
    if !drift.unreadable.is_empty() {
        // Whose file it is that can't be read isn't known: a job without a file may have that one.
        return Ok(drift);
    }
    let stubs = client.jobs().await.map_err(DriftError::Nomad)?;
    let strangers = stubs.into_iter().filter(|stub| {
        let runs = stub.parent_id.is_empty() && !stub.stop && stub.status != "dead";
        runs && meant(&stub.id) && !held.contains(&stub.id) && !environment.ignores(&stub.id)
    });
    for stub in strangers {
        if let Some(job) = client.job(&stub.id).await.map_err(DriftError::Nomad)? {
            drift.jobs.push(Drifted::of(&stub.id, How::NoFile).running(job));
        }
    }
    drift.jobs.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(drift)
}

async fn held_against(client: &Client, name: String, job: Job) -> Result<Option<Drifted>, NomadError> {
    let found = |how| Drifted {
        file: Some(name.clone()),
        written: Some(job.json.clone()),
        ..Drifted::of(job_id(&job.json), how)
    };
    let Some(running) = client.job(job.id()).await? else { return Ok(Some(found(How::NotRegistered))) };
    if is_stopped(&running) {
        return Ok(Some(found(How::Stopped).running(running)));
    }
    let planned = client.plan(&job.json).await?;
    if is_unchanged(&planned.diff) {
        return Ok(None);
    }
    let lines = diff_lines(&planned.diff);
    Ok(Some(Drifted { lines, ..found(How::Differs) }.running(running)))
}

#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    #[error("the job files can't be read")]
    Files(#[from] Diagnostics),
    #[error(transparent)]
    Nomad(NomadError),
}
