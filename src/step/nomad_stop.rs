//! `nomad_stop`: stops jobs and waits until their allocations have ended.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::build::Inputs;
use super::jobs::{client, dependents, depending, of_others, refused};
use crate::base::text;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::event::{Line, Mark};
use crate::journal::Intent;
use crate::nomad::{FollowOptions, Stopped, follow_stop, is_stopped, job_modify_index};

pub struct NomadStop(pub Inputs);

struct Wanted {
    jobs: Vec<String>,
    purge: bool,
    timeout: Duration,
}

impl NomadStop {
    fn wanted(&self, cx: &Context) -> Result<Wanted, StepError> {
        self.0.now(cx, |reader, body| {
            let purge = reader.bool(body, "purge").unwrap_or(false);
            let timeout = reader.duration(body, "timeout").unwrap_or(Duration::from_secs(600));
            Some(Wanted { jobs: reader.strings(body, "jobs")?, purge, timeout })
        })
    }
}

#[async_trait]
impl Step for NomadStop {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = self.wanted(cx)?;
        if let Horizon::Later(why) = horizon {
            let summary = format!("stop {}", text::list(&wanted.jobs));
            let decision = json!({ "jobs": wanted.jobs, "purge": wanted.purge });
            let bound = Some(decision.clone());
            return Ok(Preview { later: Some(why.clone()), bound, ..Preview::new(summary, decision) });
        }
        let client = client(&self.0.environment).await?;
        let mut lines = Vec::new();
        let mut jobs = serde_json::Map::new();
        let mut undo = Vec::new();
        for id in &wanted.jobs {
            let job = client.job(id).await.map_err(refused)?;
            let index = job.as_ref().map(job_modify_index);
            let running = job.as_ref().is_some_and(|job| !is_stopped(job));
            if running {
                lines.push(Line::new(Mark::Remove, 0, format!("stop {}", text::one_line(id))));
                lines.extend(of_others(&self.0.environment, id));
                undo.extend(job);
            }
            jobs.insert(id.clone(), json!({ "index": index, "running": running }));
        }
        if !undo.is_empty() {
            for (need, dependents) in dependents(&client, &wanted.jobs).await? {
                let line = depending(&dependents, &text::one_line(&need));
                lines.push(Line::new(Mark::Offending, 0, line));
            }
        }
        let summary = if undo.is_empty() {
            "none of the jobs runs".to_owned()
        } else {
            format!("{} to stop", text::count(undo.len(), "job"))
        };
        let changes = !undo.is_empty();
        let undo = changes.then(|| Value::Array(undo).to_string().into_bytes());
        let decision = json!({ "nomad": client.address(), "jobs": jobs, "purge": wanted.purge });
        let bound = Some(json!({ "jobs": wanted.jobs, "purge": wanted.purge }));
        // By this the copies are found again.
        let precondition = json!({ "stopping": wanted.jobs });
        Ok(Preview { lines, changes, bound, precondition, undo, ..Preview::new(summary, decision) })
    }

    async fn execute(&self, cx: &Context, _: Preview) -> Result<Outcome, StepError> {
        let wanted = self.wanted(cx)?;
        let client = client(&self.0.environment).await?;
        let mut stopped = 0;
        for id in &wanted.jobs {
            let running = client.job(id).await.map_err(refused)?.is_some_and(|job| !is_stopped(&job));
            if running {
                cx.progress(Some(text::one_line(id)), "stopping", Some((stopped, wanted.jobs.len())));
                let result = client.stop(id, wanted.purge).await.map_err(refused);
                result.map_err(|error| match error.touched {
                    Touched::Nothing if stopped > 0 => StepError { touched: Touched::Something, ..error },
                    _ => error,
                })?;
                stopped += 1;
            }
        }
        let options = FollowOptions { timeout: wanted.timeout, ..FollowOptions::default() };
        for id in &wanted.jobs {
            let quiet = |_| {};
            let following = follow_stop(&client, &cx.clock, id, &options, &quiet);
            let ended = tokio::select! {
                ended = following => ended.map_err(refused)?,
                () = cx.interrupted_times(2) => {
                    let error = StepError::new("interrupted while jobs were ending", Touched::Something);
                    return Err(StepError { interrupted: true, ..error });
                }
            };
            let left = match ended {
                Stopped::Done => continue,
                Stopped::StillRunning { allocations } => {
                    format!("{} of '{id}' still run", text::count(allocations.len(), "allocation"))
                }
                Stopped::Superseded => format!("somebody registered '{id}' again"),
            };
            return Err(StepError::new(left, Touched::Something));
        }
        let summary = format!("{} stopped", text::count(stopped, "job"));
        Ok(Outcome { summary, evidence: json!({ "stopped": wanted.jobs }), output: Value::Null })
    }

    async fn reconcile(&self, _: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        Ok(Reconciled::NotDone("looking at which jobs still run".into()))
    }
}
