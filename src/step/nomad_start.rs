//! `nomad_start`: brings single jobs up again, each once those it depends on are healthy.
//!
//! A job that was stopped is registered as it was before its stop, by check-and-set: the stopped version has
//! its scaling policies switched off. One that Nomad has forgotten (a stopped job is collected after hours, or
//! by any garbage collection) runs its file again; or, where that is said, the copy that the journal kept of it
//! when it was stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::build::Inputs;
use super::jobs::{client, fingerprint, healthy, of_others, plan_lines, refused, registered_job};
use crate::base::text;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::environment::Environment;
use crate::event::{Line, Mark};
use crate::jobspec::Job;
use crate::journal::Intent;
use crate::lasting::{self, Overlay, inputs, read_jobs, submission};
use crate::nomad::{Client, Submission, canonical, depends_on, is_stopped, job_version};
use crate::plan::levels;

pub struct NomadStart(pub Inputs);

struct Wanted {
    jobs: Vec<String>,
    files: Vec<String>,
    /// Jobs that are brought back as the journal kept them, where Nomad has forgotten them.
    kept: Vec<String>,
    timeout: Option<Duration>,
}

/// Where a job comes from.
enum From {
    /// It is on already, healthy or not.
    On {
        healthy: bool,
    },
    /// The version that ran before it was stopped.
    Version {
        version: u64,
        policies_lost: bool,
    },
    File(String),
    /// As it was when it was stopped.
    Kept {
        at: Timestamp,
    },
}

/// One job as it is to be registered.
struct Starting {
    id: String,
    from: From,
    job: Value,
    submission: Option<Submission>,
    /// The index it must have; 0: there must be none.
    index: u64,
}

impl NomadStart {
    fn wanted(&self, cx: &Context) -> Result<Wanted, StepError> {
        self.0.now(cx, |reader, body| {
            let files = reader.strings(body, "files").unwrap_or_default();
            Some(Wanted {
                jobs: reader.strings(body, "jobs")?,
                files,
                kept: reader.strings(body, "kept").unwrap_or_default(),
                timeout: reader.duration(body, "timeout"),
            })
        })
    }

    async fn look(
        &self,
        cx: &Context,
        client: &Client,
        wanted: &Wanted,
        id: &str,
    ) -> Result<Starting, StepError> {
        let starting =
            |from, job, submission, index| Starting { id: id.to_owned(), from, job, submission, index };
        let Some(job) = client.job(id).await.map_err(refused)? else {
            if wanted.kept.iter().any(|kept| kept == id) {
                let kept = lasting::kept(&cx.journal.all(), |name| cx.kept(name), id).ok_or_else(|| {
                    let message =
                        format!("there is no copy of '{}' from before its stop", text::one_line(id));
                    StepError::untouched(message).help("without --as-it-was it runs its file")
                })?;
                return Ok(starting(From::Kept { at: kept.at }, kept.job, None, 0));
            }
            let job = self.file(client, wanted, id).await?;
            let inputs = inputs(&self.0.environment, &Overlay::default())?;
            let source = submission(&self.0.environment, &job, &inputs);
            return Ok(starting(From::File(job.source.name.clone()), job.json, Some(source), 0));
        };
        let index = crate::nomad::job_modify_index(&job);
        if !is_stopped(&job) {
            let health = client.health(id).await.map_err(refused)?;
            let healthy = health.is_some_and(|health| health.is_healthy());
            return Ok(starting(From::On { healthy }, job, None, index));
        }
        let versions = client.versions(id).await.map_err(refused)?;
        let before = versions.into_iter().filter(|version| !is_stopped(version)).max_by_key(job_version);
        let policies_lost = before.is_none() && has_policies(&job);
        let mut job = before.unwrap_or(job);
        job["Stop"] = json!(false);
        let version = job_version(&job);
        let submission = client.submission_of(id, version).await.map_err(refused)?;
        Ok(starting(From::Version { version, policies_lost }, job, submission, index))
    }

    /// The job file of a job that Nomad doesn't know.
    async fn file(&self, client: &Client, wanted: &Wanted, id: &str) -> Result<Job, StepError> {
        let jobs =
            if wanted.files.is_empty() { Vec::new() } else { read_jobs(&self.0.environment, &wanted.files)? };
        if let Some(job) = jobs.iter().find(|job| job.id() == id) {
            return Ok(job.clone());
        }
        let known: Vec<&str> = jobs.iter().map(Job::id).collect();
        if let Some(near) = text::nearest(id, known.iter().copied()) {
            let error = StepError::untouched(format!("there is no job '{}'", text::one_line(id)));
            return Err(error.help(format!("did you mean '{}'?", text::one_line(near))));
        }
        registered_job(client, id).await?;
        Err(StepError::untouched(format!("there is no job '{}'", text::one_line(id))))
    }
}

fn has_policies(job: &Value) -> bool {
    let groups = job["TaskGroups"].as_array().into_iter().flatten();
    groups.into_iter().any(|group| group["Scaling"].is_object())
}

#[async_trait]
impl Step for NomadStart {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = self.wanted(cx)?;
        if let Horizon::Later(why) = horizon {
            let summary = format!("start {}", text::list(&wanted.jobs));
            let decision = json!({ "jobs": wanted.jobs });
            return Ok(Preview { later: Some(why.clone()), ..Preview::new(summary, decision) });
        }
        let client = client(&self.0.environment).await?;
        let looks = wanted.jobs.iter().map(|id| self.look(cx, &client, &wanted, id));
        let starting = try_join_all(looks).await?;
        order(&starting)?;
        let mut lines = Vec::new();
        let mut decisions = Map::new();
        for one in &starting {
            let id = text::one_line(&one.id);
            let (mark, what) = match &one.from {
                From::On { healthy: true } => (Mark::Plain, "is on, and healthy".to_owned()),
                From::On { healthy: false } => (Mark::Change, "is on and not healthy; waited for".to_owned()),
                From::Version { version, .. } => {
                    (Mark::Add, format!("is stopped; registered again as version {version} was"))
                }
                From::Kept { at } => {
                    let at = at.strftime("%Y-%m-%d %H:%M UTC");
                    let what = format!(
                        "isn't known to Nomad any more; registered as it was when it was stopped ({at})"
                    );
                    (Mark::Add, what)
                }
                From::File(file) => {
                    (Mark::Add, format!("isn't known to Nomad any more; registered from {file}"))
                }
            };
            lines.push(Line::new(mark, 0, format!("{id} {what}")));
            lines.extend(of_others(&self.0.environment, &one.id).filter(|_| mark != Mark::Plain));
            let mut diff = Value::Null;
            if !matches!(one.from, From::On { .. }) {
                let planned = client.plan(&one.job).await.map_err(refused)?;
                if planned.job_modify_index != one.index {
                    let message = format!("'{id}' was changed while it was being looked at");
                    return Err(StepError::untouched(message).help("try again"));
                }
                lines.extend(plan_lines(&planned, 1).into_iter().filter(|line| line.mark == Mark::Plain));
                diff = canonical(&planned.diff);
            }
            if matches!(one.from, From::Version { policies_lost: true, .. }) {
                let text =
                    "Nomad doesn't hold the version before its stop any more: its scaling policies stay off";
                lines.push(Line::new(Mark::Plain, 1, text));
            }
            decisions.insert(one.id.clone(), json!({ "index": one.index, "spec": fingerprint(&written(&one.job)), "diff": fingerprint(&diff) }));
        }
        let open = starting.iter().filter(|one| !matches!(one.from, From::On { healthy: true })).count();
        let summary = match open {
            0 => "nothing to do".to_owned(),
            open => format!("{} to start", text::count(open, "job")),
        };
        let decision = json!({ "nomad": client.address(), "jobs": decisions });
        let precondition = json!({ "jobs": wanted.jobs });
        Ok(Preview {
            lines,
            changes: open > 0,
            precondition,
            material: Some(Box::new(starting)),
            ..Preview::new(summary, decision)
        })
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let wanted = self.wanted(cx)?;
        let starting = preview.material.and_then(|m| m.downcast::<Vec<Starting>>().ok());
        let starting = starting.ok_or_else(|| StepError::untouched("the jobs were not looked at"))?;
        let client = client(&self.0.environment).await?;
        let mut done = Map::new();
        for level in order(&starting)? {
            let of_level = || starting.iter().filter(|one| level.contains(&one.id));
            let results =
                join_all(of_level().map(|one| start(cx, &self.0.environment, &client, &wanted, one))).await;
            let mut failed = None;
            for (one, result) in of_level().zip(results) {
                match result {
                    Ok(evidence) => drop(done.insert(one.id.clone(), evidence)),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                let touched = match error.touched {
                    Touched::Nothing if !done.is_empty() => Touched::Something,
                    touched => touched,
                };
                return Err(StepError { touched, evidence: json!({ "jobs": done }), ..error });
            }
            if *cx.interrupts.borrow() > 0 && done.len() < starting.len() {
                let message =
                    format!("interrupted after {} of {}", done.len(), text::count(starting.len(), "job"));
                let evidence = json!({ "jobs": done });
                return Err(StepError {
                    interrupted: true,
                    evidence,
                    ..StepError::new(message, Touched::Something)
                });
            }
        }
        let summary = format!("{} healthy", text::count(done.len(), "job"));
        Ok(Outcome { summary, evidence: json!({ "jobs": done }), output: Value::Null })
    }

    async fn reconcile(&self, _: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        Ok(Reconciled::NotDone("looking at the jobs again".into()))
    }
}

async fn start(
    cx: &Context,
    environment: &Environment,
    client: &Client,
    wanted: &Wanted,
    one: &Starting,
) -> Result<Value, StepError> {
    let registered = match one.from {
        From::On { healthy: true } => return Ok(json!({ "unchanged": true })),
        From::On { healthy: false } => client.as_registered(&one.id).await.map_err(refused)?,
        From::Version { .. } | From::File(_) | From::Kept { .. } => {
            cx.progress(Some(text::one_line(&one.id)), "registering", None);
            let registered = client.register_surely(&one.job, one.index, one.submission.as_ref()).await;
            Some(registered.map_err(refused)?)
        }
    };
    let registered = registered.ok_or_else(|| {
        StepError::new(format!("the job '{}' is gone", text::one_line(&one.id)), Touched::Unknown)
    })?;
    healthy(cx, environment, client, &registered, wanted.timeout).await?;
    let mut evidence = json!({ "evaluation": registered.eval_id, "index": registered.job_modify_index });
    if let From::File(file) = &one.from {
        evidence["file"] = json!(file);
    }
    Ok(evidence)
}

/// The jobs in levels: each waits for the ones it depends on.
fn order(starting: &[Starting]) -> Result<Vec<Vec<String>>, StepError> {
    let names: Vec<String> = starting.iter().map(|one| one.id.clone()).collect();
    let after: BTreeMap<String, Vec<String>> =
        starting.iter().map(|one| (one.id.clone(), depends_on(&one.job))).collect();
    levels(&names, &after).map_err(|cycle| {
        StepError::untouched(format!("these jobs depend on one another: {}", cycle.0.join(" → ")))
            .help("take one of the names out of a meta.depends_on")
    })
}

/// A job without what the server keeps in it by itself.
fn written(job: &Value) -> Value {
    let mut job = job.clone();
    if let Some(fields) = job.as_object_mut() {
        for own in ["ModifyIndex", "JobModifyIndex", "Status", "StatusDescription", "Stable", "SubmitTime"] {
            fields.remove(own);
        }
    }
    job
}
