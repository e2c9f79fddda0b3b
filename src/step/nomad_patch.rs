//! `nomad_patch`: changes images of running jobs by check-and-set, and waits for health.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::build::Inputs;
use super::jobs::{client, fingerprint, healthy, plan_lines, refused};
use crate::base::text;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched, what_changed};
use crate::event::{Line, Mark};
use crate::journal::Intent;
use crate::nomad::{
    Client, EditError, ImageChange, Selector, canonical, is_stopped, is_unchanged, job_modify_index,
    set_image,
};

pub struct Patch {
    inputs: Inputs,
    /// The jobs as they were when they were shown first: what somebody else changes since is shown too.
    seen: Mutex<BTreeMap<String, Value>>,
}

/// Selectors, and the image each sets.
type Images = Vec<(String, String)>;

/// One job with its changed images, and what the server says of it.
struct Edited {
    job: Value,
    id: String,
    index: u64,
    changes: Vec<ImageChange>,
    /// What somebody else changed since it was shown first.
    meanwhile: Vec<String>,
}

impl Patch {
    pub fn new(inputs: Inputs) -> Self {
        Self { inputs, seen: Mutex::default() }
    }

    /// What changed in a job since it was seen first, other than by us; keeps the first sight.
    fn meanwhile(&self, id: &str, now: &Value) -> Vec<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(id) {
            Some(first) => what_changed(&written(first), &written(now)),
            None => {
                seen.insert(id.to_owned(), now.clone());
                Vec::new()
            }
        }
    }

    fn wanted(&self, cx: &Context) -> Result<(Images, Option<Duration>), StepError> {
        self.inputs.now(cx, |reader, body| {
            let images = reader.string_map(body, "images")?;
            Some((images.into_iter().collect(), reader.duration(body, "timeout")))
        })
    }
}

#[async_trait]
impl Step for Patch {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let (images, _) = self.wanted(cx)?;
        if let Horizon::Later(why) = horizon {
            let summary = format!("change {}", text::count(images.len(), "image"));
            let decision = json!({ "images": images });
            // What it changes can't be known before it is read: asked about then.
            return Ok(Preview { later: Some(why.clone()), ..Preview::new(summary, decision) });
        }
        let client = client(&self.inputs.environment).await?;
        let mut jobs: Vec<Edited> = Vec::new();
        for (selector, wanted) in &images {
            self.edit(&client, &mut jobs, selector, wanted).await?;
        }
        let mut lines = Vec::new();
        let mut decisions = Map::new();
        let mut edited = Vec::new();
        let mut priors = Vec::new();
        for job in jobs {
            let planned = client.plan(&job.job).await.map_err(refused)?;
            if planned.job_modify_index != job.index {
                let message = format!("'{}' was changed while it was being looked at", job.id);
                return Err(StepError::untouched(message).help("try again"));
            }
            let same = is_unchanged(&planned.diff);
            let what = if same { "has the image already" } else { "changes" };
            let mark = if same { Mark::Plain } else { Mark::Change };
            lines.push(Line::new(mark, 0, format!("{} {what}", text::one_line(&job.id))));
            lines.extend(plan_lines(&planned, 1));
            for change in &job.meanwhile {
                lines.push(Line::new(
                    Mark::Offending,
                    1,
                    format!("somebody else changed it meanwhile: {change}"),
                ));
            }
            let decision = json!({ "index": job.index, "diff": fingerprint(&canonical(&planned.diff)) });
            decisions.insert(job.id.clone(), decision);
            if !same {
                priors.push(json!({ "id": job.id, "index": job.index, "changes": job.changes.len() }));
                edited.push(job);
            }
        }
        let summary = match edited.len() {
            0 => "nothing to do: the images are there already".to_owned(),
            n => format!("{} to change", text::count(n, "job")),
        };
        let undo = self.undo(&client, &edited).await?;
        let decision = json!({ "nomad": client.address(), "jobs": decisions });
        let precondition = json!({ "jobs": priors, "images": images.into_iter().collect::<std::collections::BTreeMap<_, _>>() });
        Ok(Preview {
            lines,
            changes: !edited.is_empty(),
            precondition,
            undo,
            material: Some(Box::new(edited)),
            ..Preview::new(summary, decision)
        })
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let (_, timeout) = self.wanted(cx)?;
        let edited = preview.material.and_then(|m| m.downcast::<Vec<Edited>>().ok());
        let edited = edited.ok_or_else(|| StepError::untouched("the jobs were not looked at"))?;
        let client = client(&self.inputs.environment).await?;
        let mut evidence = Map::new();
        for (done, Edited { job, id, index, changes, .. }) in edited.iter().enumerate() {
            let partly = |error: StepError| {
                let touched = if done > 0 && error.touched == Touched::Nothing {
                    Touched::Something
                } else {
                    error.touched
                };
                StepError { touched, ..error }
            };
            cx.progress(Some(text::one_line(id)), "registering", Some((done, edited.len())));
            // The server's own page shows this source; without it the page would offer the old image again.
            let submission = client.submission_after(job, changes).await.map_err(refused).map_err(partly)?;
            let registered = client.register(job, Some(*index), submission.as_ref()).await;
            let registered = registered.map_err(refused).map_err(partly)?;
            let seen = json!({ "evaluation": registered.eval_id, "index": registered.job_modify_index });
            evidence.insert(id.clone(), seen);
            healthy(cx, &client, &registered, timeout).await?;
        }
        cx.teller.note("the job files don't have this yet: set it there too, or the next start undoes it");
        let summary = format!("{} changed and healthy", text::count(edited.len(), "job"));
        Ok(Outcome { summary, evidence: json!({ "jobs": evidence }), output: Value::Null })
    }

    async fn reconcile(&self, _: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        Ok(Reconciled::NotDone("looking at the images again".into()))
    }
}

impl Patch {
    /// The jobs as they are, exactly.
    async fn undo(&self, client: &Client, edited: &[Edited]) -> Result<Option<Vec<u8>>, StepError> {
        let mut priors = Vec::new();
        for job in edited {
            priors.extend(client.job(&job.id).await.map_err(refused)?);
        }
        Ok((!priors.is_empty()).then(|| Value::Array(priors).to_string().into_bytes()))
    }
}

impl Patch {
    /// Reads the job a selector names, unless another selector did, and sets the image in it.
    async fn edit(
        &self,
        client: &Client,
        jobs: &mut Vec<Edited>,
        selector: &str,
        wanted: &str,
    ) -> Result<(), StepError> {
        let readings = Selector::readings(selector);
        // A job's id may hold slashes: the longest reading that names a job is meant.
        for reading in &readings {
            let known = jobs.iter().position(|edited| edited.id == reading.job);
            let at = match known {
                Some(at) => at,
                None => match client.job(&reading.job).await.map_err(refused)? {
                    None => continue,
                    Some(job) if is_stopped(&job) => {
                        let message = format!("the job '{}' is stopped", reading.job);
                        return Err(StepError::untouched(message).help("start it from its file instead"));
                    }
                    Some(job) => {
                        let index = job_modify_index(&job);
                        let meanwhile = self.meanwhile(&reading.job, &job);
                        jobs.push(Edited {
                            id: reading.job.clone(),
                            job,
                            index,
                            changes: Vec::new(),
                            meanwhile,
                        });
                        jobs.len() - 1
                    }
                },
            };
            let edited = &mut jobs[at];
            edited.changes.extend(set_image(&mut edited.job, reading, wanted).map_err(wrong)?);
            return Ok(());
        }
        let stubs = client.jobs().await.map_err(refused)?;
        let names: Vec<&str> = stubs.iter().map(|stub| stub.id.as_str()).collect();
        let whole = text::one_line(selector);
        let first = selector.split('/').next().unwrap_or(selector);
        if names.contains(&first) {
            let error =
                StepError::untouched(format!("there is no job '{whole}', nor is it JOB[/GROUP[/TASK]]"));
            return Err(error.help(format!("'{first}' is a job")));
        }
        let near = |reading: &Selector| text::nearest(&reading.job, names.iter().copied());
        let mistyped = readings.iter().find_map(|reading| Some((reading.job.as_str(), near(reading)?)));
        let job = mistyped.map_or(first, |(job, _)| job);
        let error = StepError::untouched(format!("there is no job '{}'", text::one_line(job)));
        let error = error.help(match mistyped {
            Some((_, near)) => format!("did you mean '{}'?", text::one_line(near)),
            None if names.is_empty() => "no job is registered".into(),
            None => format!("the jobs are {}", text::one_line(&text::list(&names))),
        });
        Err(error)
    }
}

/// A job without what the server keeps in it by itself.
fn written(job: &Value) -> Value {
    let mut job = job.clone();
    if let Some(fields) = job.as_object_mut() {
        for own in [
            "ModifyIndex",
            "JobModifyIndex",
            "CreateIndex",
            "Version",
            "SubmitTime",
            "Status",
            "Stable",
            "VersionTag",
        ] {
            fields.remove(own);
        }
    }
    job
}

fn wrong(error: EditError) -> StepError {
    StepError::untouched(error.to_string())
}
