//! The step: what a patch would do, as the server sees it; then doing it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::act::{act, order};
use super::edits::Edited;
use super::files;
use super::lasting::Lasting;
use super::one::Worker;
use super::outcome::{self, Ended};
use super::select::{Jobs, select};
use super::wanted::{OnFailure, Only, Wanted};
use crate::base::text;
use crate::dialect::Reader;
use crate::engine::{
    Breach, Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched, what_changed,
};
use crate::event::{Line, Mark};
use crate::jobspec::Change;
use crate::journal::Intent;
use crate::lasting::{Asked, WriteBack};
use crate::nomad::{
    CLOSING, Client, Planned, Registered, Submission, canonical, is_unchanged, job_version, specification,
};
use crate::step::build::Inputs;
use crate::step::jobs::{
    PATIENCE, check_version, client, fingerprint, plan_lines, refused, unreachable, watch,
};

/// How often a job may change under our eyes before we give up looking at it.
const LOOKS: usize = 3;

pub struct Patch {
    inputs: Inputs,
    /// The jobs as they were when they were shown first: what somebody else changes since is shown too.
    seen: Mutex<BTreeMap<String, Arc<Value>>>,
    /// What this patch changed in earlier attempts.
    taken: Mutex<Vec<(Edited, Registered)>>,
}

/// What `execute` goes by.
pub(super) struct Material {
    pub jobs: Vec<Edited>,
    pub lasting: Lasting,
}

impl Patch {
    pub fn new(inputs: Inputs) -> Self {
        Self { inputs, seen: Mutex::default(), taken: Mutex::default() }
    }

    fn wanted(&self, cx: &Context) -> Result<Wanted, StepError> {
        let read = |reader: &mut Reader<'_>, body: &_| Some(Wanted::read(reader, body));
        self.inputs.now(cx, read)
    }

    /// What somebody else changed in a job since it was seen first; keeps the first sight.
    fn meanwhile(&self, job: &Edited) -> Vec<String> {
        if locked(&self.taken).iter().any(|(taken, _)| taken.id == job.id) {
            return Vec::new();
        }
        let mut seen = locked(&self.seen);
        match seen.get(&job.id) {
            Some(first) => what_changed(&specification(first), &specification(&job.prior)),
            None => {
                seen.insert(job.id.clone(), Arc::clone(&job.prior));
                Vec::new()
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Step for Patch {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = self.wanted(cx)?;
        if let Horizon::Later(why) = horizon {
            let summary = format!("patch {}", text::count(wanted.services.len(), "service"));
            let decision = json!({ "patch": wanted });
            // What it changes can't be known before it is read: asked about then.
            return Ok(Preview { later: Some(why.clone()), ..Preview::new(summary, decision) });
        }
        if wanted.only == Some(Only::File) {
            return files::preview(cx, &self.inputs.environment, &wanted).await;
        }
        let environment = &self.inputs.environment;
        let client = environment.nomad().await.map_err(unreachable)?;
        // Nothing is changed yet: the version is asked for beside the jobs.
        let (checked, looked) = tokio::join!(check_version(&client), looked_at(&client, &wanted));
        checked?;
        let looked = looked?;
        let mut lines = Vec::new();
        let mut decisions = Map::new();
        let mut unplaced = Vec::new();
        let mut changed: Vec<Edited> = Vec::new();
        let order = order(looked.iter().filter(|looked| looked.differs()).map(|looked| &looked.job))?;
        let lasting = Lasting::look(cx, environment, &wanted, &looked).await?;
        for Looked { job, planned, .. } in looked {
            let id = text::one_line(&job.id);
            let meanwhile = self.meanwhile(&job);
            let diff = planned.as_ref().map_or(Value::Null, |planned| canonical(&planned.diff));
            decisions.insert(job.id.clone(), json!({ "index": job.index, "diff": fingerprint(&diff) }));
            match planned.filter(|planned| !is_unchanged(&planned.diff)) {
                Some(planned) => {
                    lines.push(Line::new(Mark::Change, 0, format!("{id} changes")));
                    lines.extend(plan_lines(&planned, 1));
                    lines.extend(lasting.lines(&job.id));
                    unplaced.extend(planned.failed.iter().map(|failure| format!("'{id}': {failure}")));
                    changed.push(job);
                }
                None => {
                    let what = if job.images.is_some() { "has the image already" } else { "is so already" };
                    lines.push(Line::plain(format!("{id} {what}")));
                    lines.extend(lasting.lines(&job.id));
                }
            }
            let told = |change| {
                Line::new(Mark::Offending, 1, format!("somebody else changed it meanwhile: {change}"))
            };
            lines.extend(meanwhile.into_iter().map(told));
        }
        if order.len() > 1 {
            let levels: Vec<String> = order.iter().map(|level| level.join(", ")).collect();
            lines.push(Line::plain(text::one_line(&format!("in this order: {}", levels.join(", then ")))));
        }
        lines.extend(lasting.closing());
        let summary = match changed.len() {
            0 if lasting.changes() => "the jobs are so already; their files are to change".to_owned(),
            0 => "nothing to do: all of it is so already".to_owned(),
            n => format!("{} to change", text::count(n, "job")),
        };
        let record = |job: &Edited| json!({ "id": job.id, "index": job.index, "changes": job.changes });
        let jobs: Vec<Value> = changed.iter().map(record).collect();
        let precondition = json!({ "jobs": jobs, "patch": wanted, "commit": lasting.meant() });
        let decision = json!({ "nomad": client.address(), "jobs": decisions, "lasting": lasting.decision() });
        let priors: Vec<&Value> = changed.iter().map(|job| &*job.prior).collect();
        Ok(Preview {
            lines,
            changes: !changed.is_empty() || lasting.changes(),
            breach: (!unplaced.is_empty()).then(|| no_place(&unplaced)).or_else(|| lasting.breach()),
            precondition,
            undo: (!priors.is_empty()).then(|| serde_json::to_vec(&priors).unwrap_or_default()),
            // The server takes it over the jobs that were seen, and no others.
            settled: true,
            material: Some(Box::new(Material { jobs: changed, lasting })),
            ..Preview::new(summary, decision)
        })
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let wanted = self.wanted(cx)?;
        let material = preview.material.and_then(|m| m.downcast::<Material>().ok());
        let material = material.ok_or_else(|| StepError::untouched("the jobs were not looked at"))?;
        let Material { jobs, lasting } = *material;
        lasting.still().await?;
        if wanted.only == Some(Only::File) {
            return files::execute(cx, &lasting).await;
        }
        // Its version was asked for when the jobs were looked at.
        let client = self.inputs.environment.nomad().await.map_err(unreachable)?;
        let timeout = wanted.timeout.unwrap_or(PATIENCE);
        let worker = Worker { cx, client: &client, lasting: &lasting, timeout };
        let taken = locked(&self.taken).clone();
        let ended = act(worker, &wanted, &jobs, &taken).await;
        for (job, ended) in jobs.iter().zip(&ended) {
            if let Ended::Healthy(registered) = ended {
                locked(&self.taken).push((job.clone(), registered.clone()));
            }
        }
        let outcome = outcome::of_all(&jobs, &ended);
        if outcome.as_ref().is_err_and(|error| error.again) {
            // What is healthy by now is written with the rest.
            return outcome;
        }
        let undone = outcome.is_err() && wanted.on_failure == OnFailure::RevertAll;
        let counts = |id: &str| match jobs.iter().position(|job| job.id == id) {
            Some(at) => matches!(ended[at], Ended::Healthy(_)),
            // It was so before, by this patch or otherwise.
            None => !(undone && taken.iter().any(|(job, _)| job.id == id)),
        };
        let written = lasting.write(cx, counts).await;
        match outcome {
            Ok(mut outcome) => {
                written.record(&mut outcome.evidence);
                let Some(error) = written.error else { return Ok(outcome) };
                let message = format!("{}, but {}", outcome.summary, error.message);
                Err(StepError { message, evidence: outcome.evidence, ..error })
            }
            Err(mut failed) => {
                written.record(&mut failed.evidence);
                if let Some(error) = written.error {
                    failed.message = format!("{}\n{}", failed.message, error.message);
                }
                Err(failed)
            }
        }
    }

    async fn reconcile(&self, cx: &Context, intent: &Intent) -> Result<Reconciled, StepError> {
        let jobs = serde_json::from_value::<Vec<Meant>>(intent.precondition["jobs"].clone());
        let Ok(jobs) = jobs else { return Ok(Reconciled::NotDone("looking at the jobs again".into())) };
        let client = client(&self.inputs.environment).await?;
        let wanted = self.wanted(cx)?;
        let timeout = wanted.timeout.unwrap_or(PATIENCE);
        let mut missing = 0;
        for Meant { id, changes } in &jobs {
            let now = client.job(id).await.map_err(refused)?;
            let is_so = |change: &Change| match &now {
                Some(now) => change.path.get(now).unwrap_or(&Value::Null) == &change.new,
                None => false,
            };
            if !changes.iter().all(is_so) {
                missing += 1;
                continue;
            }
            let Some(registered) = client.as_registered(id).await.map_err(refused)? else { continue };
            let verdict = watch(cx, &client, &registered, timeout, CLOSING).await?;
            if !verdict.is_healthy() {
                let why = verdict.lines().into_iter().next().unwrap_or_default();
                let id = text::one_line(id);
                return Ok(Reconciled::Undecided(format!("'{id}' was changed, and is not healthy: {why}")));
            }
        }
        if missing > 0 || jobs.is_empty() {
            return Ok(Reconciled::NotDone(format!("{} not changed yet", text::count(missing, "job"))));
        }
        if wanted.only != Some(Only::Live) {
            let asked: Vec<Asked> = jobs.iter().map(Meant::asked).collect();
            let back = WriteBack::look(&self.inputs.environment, &asked);
            if wanted.commit || back.is_ok_and(|back| back.has_edits()) {
                return Ok(Reconciled::NotDone("what runs has it; the job files don't have it yet".into()));
            }
        }
        let summary = format!("{} changed and healthy", text::count(jobs.len(), "job"));
        let evidence = intent.precondition.clone();
        Ok(Reconciled::Done(Outcome { summary, evidence, output: Value::Null }))
    }
}

/// What an intent says of a job.
#[derive(Deserialize)]
struct Meant {
    id: String,
    changes: Vec<Change>,
}

impl Meant {
    fn asked(&self) -> Asked {
        let value = |change: &Change| (change.path.clone(), change.new.clone());
        Asked { job: self.id.clone(), values: self.changes.iter().map(value).collect() }
    }
}

/// A job as it would be.
pub(super) struct Looked {
    pub job: Edited,
    /// What the server says of it, where it would be another one than it is.
    pub planned: Option<Planned>,
    /// The source that the server keeps with it; only asked for where it would be another one.
    pub source: Option<Submission>,
}

impl Looked {
    pub fn differs(&self) -> bool {
        self.planned.as_ref().is_some_and(|planned| !is_unchanged(&planned.diff))
    }
}

/// The jobs as they would be; of those that change meanwhile, as they are then. Each goes its own way: it is
/// planned while others are still being read.
async fn looked_at(client: &Client, wanted: &Wanted) -> Result<Vec<Looked>, StepError> {
    let then = |job: Edited| async move {
        if job.changes.is_empty() {
            return Ok(Looked { job, planned: None, source: None });
        }
        let plan = client.plan(&job.job);
        let source = client.submission_of(&job.id, job_version(&job.prior));
        let (planned, source) = tokio::try_join!(plan, source).map_err(refused)?;
        Ok(Looked { job, planned: Some(planned), source })
    };
    for _ in 0..LOOKS {
        let looked = select(Jobs::Running(client), &wanted.services, then).await?;
        let is_same = |looked: &Looked| {
            let planned = looked.planned.as_ref();
            planned.is_none_or(|planned| planned.job_modify_index == looked.job.index)
        };
        if looked.iter().all(is_same) {
            return Ok(looked);
        }
    }
    let error = StepError::new("the jobs change again and again while they are looked at", Touched::Nothing);
    Err(error.help("somebody else is changing them; try again later"))
}

/// What can't be placed isn't begun.
fn no_place(unplaced: &[String]) -> Breach {
    Breach {
        message: format!("there is no place for what would be changed: {}", unplaced.join("; ")),
        help: Some(
            "make room, or ask for less with it (patch resources, or a patch file with both changes)"
                .to_owned(),
        ),
    }
}
