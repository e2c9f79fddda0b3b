//! `nomad_job`: registers job files, each once the jobs it depends on are healthy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{FuturesUnordered, StreamExt};
use serde_json::{Map, Value, json};

use super::build::Inputs;
use super::jobs::{ASK_FOR_LESS, client, fingerprint, healthy, plan_lines, refused};
use crate::base::text;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::environment::Environment;
use crate::event::{Line, Mark};
use crate::jobspec::{self, Job};
use crate::journal::Intent;
use crate::lasting::{Overlay, inputs, read_jobs, submission};
use crate::nomad::{Client, Planned, Registered, canonical, is_stopped, is_unchanged};
use crate::plan::levels;

pub struct NomadJobs(pub Inputs);

struct Wanted {
    files: Vec<String>,
    timeout: Option<Duration>,
    wait: bool,
}

/// One job, looked at.
struct Looked {
    job: Job,
    planned: Planned,
    there: There,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum There {
    No,
    Stopped,
    /// As it should be, and healthy.
    Healthy,
    /// As it should be, and not (yet) healthy.
    Unhealthy,
    /// Running, and other than the file.
    Differs,
}

impl NomadJobs {
    fn wanted(&self, cx: &Context) -> Result<Wanted, StepError> {
        self.0.now(cx, |reader, body| {
            let (timeout, wait) =
                (reader.duration(body, "timeout"), reader.bool(body, "wait").unwrap_or(true));
            Some(Wanted { files: reader.strings(body, "files")?, timeout, wait })
        })
    }

    async fn look(client: &Client, job: Job) -> Result<Looked, StepError> {
        let current = client.job(job.id()).await.map_err(refused)?;
        let planned = client.plan(&job.json).await.map_err(refused)?;
        let there = match &current {
            None => There::No,
            Some(current) if is_stopped(current) => There::Stopped,
            Some(_) if !is_unchanged(&planned.diff) => There::Differs,
            Some(_) => match client.health(job.id()).await.map_err(refused)? {
                Some(health) if health.is_healthy() => There::Healthy,
                _ => There::Unhealthy,
            },
        };
        Ok(Looked { job, planned, there })
    }
}

#[async_trait]
impl Step for NomadJobs {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = self.wanted(cx)?;
        let jobs = read_jobs(&self.0.environment, &wanted.files)?;
        let order = order(&jobs)?;
        for warning in jobs.iter().flat_map(|job| &job.warnings.0) {
            cx.teller.warn(warning.to_string());
        }
        let specs: Map<String, Value> =
            jobs.iter().map(|job| (job.id().to_owned(), fingerprint(&job.json).into())).collect();
        if let Horizon::Later(why) = horizon {
            let summary = format!("{}: registered where they aren't there", text::count(jobs.len(), "job"));
            let lines = order.iter().map(|level| Line::plain(level.join(", "))).collect();
            let decision = json!({ "jobs": specs });
            let bound = Some(decision.clone());
            return Ok(Preview { lines, later: Some(why.clone()), bound, ..Preview::new(summary, decision) });
        }
        let client = client(&self.0.environment).await?;
        let looks = jobs.into_iter().map(|job| Self::look(&client, job));
        let looked = futures::future::try_join_all(looks).await?;
        Ok(shown(&client, looked, &specs))
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let wanted = self.wanted(cx)?;
        let looked = preview.material.and_then(|m| m.downcast::<Vec<Looked>>().ok());
        let looked = looked.ok_or_else(|| StepError::untouched("the jobs were not looked at"))?;
        let client = client(&self.0.environment).await?;
        let inputs = inputs(&self.0.environment, &Overlay::default())?;
        let environment = &self.0.environment;
        let registration =
            Registration { cx, client: &client, wanted: &wanted, environment, inputs: &inputs };
        registration.all(&looked).await
    }

    async fn reconcile(&self, _: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        // What is registered already shows as unchanged when it is looked at again.
        Ok(Reconciled::NotDone("looking at the jobs again".into()))
    }
}

fn shown(client: &Client, looked: Vec<Looked>, specs: &Map<String, Value>) -> Preview {
    let mut lines = Vec::new();
    let mut jobs = Map::new();
    let mut bounded = true;
    for Looked { job, planned, there } in &looked {
        let id = text::one_line(job.id());
        let (mark, what) = match there {
            There::No => (Mark::Add, "is registered"),
            There::Stopped => (Mark::Add, "is stopped; registered again"),
            There::Healthy => (Mark::Plain, "is there and healthy"),
            There::Unhealthy => (Mark::Change, "is there and not healthy; waited for"),
            There::Differs => (Mark::Change, "changes"),
        };
        if *there != There::Healthy {
            lines.push(Line::new(mark, 0, format!("{id} {what}")));
        }
        match there {
            There::Differs => {
                bounded = false;
                lines.extend(plan_lines(planned, 1));
            }
            There::No | There::Stopped => {
                lines.extend(plan_lines(planned, 1).into_iter().filter(|line| line.mark == Mark::Plain));
            }
            There::Healthy | There::Unhealthy => {}
        }
        let decision = json!({
            "spec": specs[job.id()],
            "index": planned.job_modify_index,
            "diff": fingerprint(&canonical(&planned.diff)),
        });
        jobs.insert(job.id().to_owned(), decision);
    }
    let open = looked.iter().filter(|job| job.there != There::Healthy).count();
    let differing = looked.iter().filter(|job| job.there == There::Differs).count();
    let summary = match open {
        0 => format!("{}: all there and healthy", text::count(looked.len(), "job")),
        open if differing == open => {
            format!("{} to change: other than their files", text::count(open, "running job"))
        }
        open if differing > 0 => format!("{} to bring up, {differing} running to change", open - differing),
        open if open == looked.len() => format!("{} to bring up", text::count(open, "job")),
        open => format!("{} of {} to bring up", open, text::count(looked.len(), "job")),
    };
    let decision = json!({ "nomad": client.address(), "jobs": jobs });
    let precondition = json!({ "jobs": specs });
    let material: Option<Box<dyn std::any::Any + Send + Sync>> = Some(Box::new(looked));
    // A job that runs and would be changed is asked about, whatever was said of it before it was known.
    let bound = bounded.then(|| precondition.clone());
    Preview { lines, changes: open > 0, bound, precondition, material, ..Preview::new(summary, decision) }
}

/// The jobs in levels: each waits for the ones it depends on.
fn order(jobs: &[Job]) -> Result<Vec<Vec<String>>, StepError> {
    let names: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
    levels(&names, &dependencies(jobs.iter())).map_err(|cycle| {
        let mut path = cycle.0.clone();
        path.extend(cycle.0.first().cloned());
        StepError::untouched(format!("these jobs depend on one another: {}", path.join(" → ")))
            .help("take one of the names out of a meta.depends_on")
    })
}

fn dependencies<'a>(jobs: impl Iterator<Item = &'a Job>) -> BTreeMap<String, Vec<String>> {
    jobs.map(|job| (job.id().to_owned(), job.depends_on())).collect()
}

struct Registration<'a> {
    cx: &'a Context,
    client: &'a Client,
    wanted: &'a Wanted,
    environment: &'a Environment,
    /// What the job files are read with.
    inputs: &'a jobspec::Inputs,
}

impl Registration<'_> {
    /// Each job once those it depends on are done; after a failure no new one is begun.
    async fn all(&self, looked: &[Looked]) -> Result<Outcome, StepError> {
        let names: BTreeSet<&str> = looked.iter().map(|one| one.job.id()).collect();
        let mut done: BTreeMap<String, Value> = BTreeMap::new();
        let mut begun: BTreeSet<&str> = BTreeSet::new();
        let mut running = FuturesUnordered::new();
        let mut failed: Option<StepError> = None;
        loop {
            let halted = *self.cx.interrupts.borrow() > 0;
            for one in looked {
                let id = one.job.id();
                let ready =
                    one.job.depends_on().iter().all(|d| done.contains_key(d) || !names.contains(d.as_str()));
                if failed.is_none() && !halted && ready && begun.insert(id) {
                    running.push(async move { (id, self.one(one).await) });
                }
            }
            match running.next().await {
                Some((id, Ok(evidence))) => {
                    done.insert(id.to_owned(), evidence);
                    let text = "healthy".to_owned();
                    self.cx.progress(Some(text::one_line(id)), text, Some((done.len(), looked.len())));
                }
                Some((_, Err(error))) => failed = failed.or(Some(error)),
                None => break,
            }
        }
        let evidence = json!({ "jobs": done });
        if let Some(error) = failed {
            let mut missing: Vec<&str> =
                names.iter().filter(|name| !done.contains_key(**name)).copied().collect();
            missing.retain(|name| !begun.contains(name));
            let help = match (error.help, missing.is_empty()) {
                (Some(help), true) => Some(help),
                (Some(help), false) if help == ASK_FOR_LESS => {
                    let missing = text::list(&missing);
                    Some(format!("{help}; not begun, and not counted in what would have a place: {missing}"))
                }
                (Some(help), false) => Some(format!("{help}; not begun: {}", text::list(&missing))),
                (None, false) => Some(format!("not begun: {}", text::list(&missing))),
                (None, true) => None,
            };
            let touched = if done.is_empty() { error.touched } else { worse(error.touched) };
            return Err(StepError { help, touched, evidence, ..error });
        }
        if done.len() < looked.len() {
            let message = format!("interrupted after {} of {}", done.len(), text::count(looked.len(), "job"));
            return Err(StepError {
                interrupted: true,
                evidence,
                ..StepError::new(message, Touched::Something)
            });
        }
        Ok(Outcome {
            summary: format!("{} healthy", text::count(done.len(), "job")),
            output: evidence.clone(),
            evidence,
        })
    }

    async fn one(&self, looked: &Looked) -> Result<Value, StepError> {
        let Looked { job, planned, there } = looked;
        let registered = match there {
            There::Healthy => return Ok(json!({ "unchanged": true, "file": job.source.name })),
            There::Unhealthy => self.client.as_registered(job.id()).await.map_err(refused)?,
            There::No | There::Stopped | There::Differs => {
                self.cx.progress(Some(text::one_line(job.id())), "registering", None);
                let submission = submission(self.environment, job, self.inputs);
                let (job, index) = (&job.json, planned.job_modify_index);
                Some(self.client.register_surely(job, index, Some(&submission)).await.map_err(refused)?)
            }
        };
        let registered: Registered = registered
            .ok_or_else(|| StepError::new(format!("the job '{}' is gone", job.id()), Touched::Unknown))?;
        let evidence = json!({
            "evaluation": registered.eval_id, "index": registered.job_modify_index, "file": job.source.name,
        });
        if self.wanted.wait {
            healthy(self.cx, self.environment, self.client, &registered, self.wanted.timeout).await?;
        }
        Ok(evidence)
    }
}

/// What one job's failure means where others were registered before it.
fn worse(touched: Touched) -> Touched {
    if touched == Touched::Unknown { Touched::Unknown } else { Touched::Something }
}
