//! The step: what a patch would do, as the server sees it; then doing it.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};

use super::act::{act, withdraw};
use super::edits::Edited;
use super::files;
use super::lasting::{Lasting, SPARING};
use super::one::Worker;
use super::order::After;
use super::outcome::{self, Ended};
use super::select::{AT_ONCE, Jobs, select};
use super::taken::{Earlier, Standing};
use super::wanted::{OnFailure, Only, Wanted};
use crate::base::text;
use crate::dialect::Reader;
use crate::engine::{Breach, Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::environment::Environment;
use crate::event::{Line, Mark};
use crate::journal::Intent;
use crate::lasting::{Asked, WriteBack};
use crate::nomad::{Client, Planned, Submission, canonical, is_unchanged, job_version};
use crate::step::build::Inputs;
use crate::step::jobs::{
    PATIENCE, check_version, client, fingerprint, of_others, plan_lines, refused, unreachable, watch,
};

/// How often a job may change under our eyes before we give up looking at it.
const LOOKS: usize = 3;

/// How long a look after a crash waits for the health of what was changed: as long as it takes to see what is
/// there. What isn't healthy by then is followed once that is approved.
const GLANCE: Duration = Duration::from_secs(15);

pub struct Patch {
    inputs: Inputs,
}

/// What `execute` goes by.
pub(super) struct Material {
    pub jobs: Vec<Edited>,
    pub after: After,
    pub lasting: Lasting,
    /// They are to be as they were again.
    pub back: bool,
}

impl Patch {
    pub fn new(inputs: Inputs) -> Self {
        Self { inputs }
    }

    fn wanted(&self, cx: &Context) -> Result<Wanted, StepError> {
        let read = |reader: &mut Reader<'_>, body: &_| Some(Wanted::read(reader, body));
        self.inputs.now(cx, read)
    }
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
        let earlier = Earlier::of(cx);
        // What was being put back goes back, before anything else is begun.
        if earlier.is_withdrawing()
            && let Some(preview) = self.withdrawal(cx).await?
        {
            return Ok(preview);
        }
        // Nothing is changed yet: the version is asked for beside the jobs.
        let (checked, looked, deployments) = tokio::join!(
            check_version(&client),
            looked_at(&client, environment, &wanted, &earlier),
            client.open_deployments()
        );
        // Where they may not be seen, nothing is said of them.
        let deployments = deployments.unwrap_or_default();
        checked?;
        let looked = looked?;
        let mut lines = described(&wanted);
        let mut decisions = Map::new();
        let mut unplaced = Vec::new();
        let mut changed: Vec<Edited> = Vec::new();
        // One that failed before the run was cut off: no other is begun.
        let failed = looked.iter().any(|looked| matches!(looked.job.standing, Standing::Back(_)));
        let open = looked.iter().filter(|looked| looked.differs() && looked.job.standing == Standing::Open);
        let changing = looked.iter().filter(|looked| looked.differs());
        let after = After::look(&client, changing.map(|looked| &looked.job)).await?;
        let order = after.levels(open.map(|looked| &looked.job))?;
        let lasting = Lasting::look(cx, environment, &wanted, &looked).await?;
        for Looked { job, planned, .. } in looked {
            let id = text::one_line(&job.id);
            let meanwhile = earlier.meanwhile(cx, &job);
            let diff = planned.as_ref().map_or(Value::Null, |planned| canonical(&planned.diff));
            let decision = match job.standing {
                Standing::Open => json!({ "index": job.index, "diff": fingerprint(&diff) }),
                // It was approved, and done.
                Standing::Taken(_) => json!({ "index": job.index, "diff": earlier.diff(&job.id) }),
                Standing::Back(_) => {
                    json!({ "index": job.index, "diff": earlier.diff(&job.id), "failed": true })
                }
            };
            decisions.insert(job.id.clone(), decision);
            match planned.filter(|planned| !is_unchanged(&planned.diff)) {
                _ if job.standing != Standing::Open => {
                    let back = wanted.on_failure == OnFailure::RevertAll;
                    lines.push(Line::plain(format!("{id} {}", job.standing.words(failed, back))));
                    lines.extend(lasting.lines(&job.id));
                    changed.push(job);
                }
                Some(_) if failed => {
                    lines.push(Line::plain(format!("{id} is left as it is, since another one failed")));
                    changed.push(job);
                }
                Some(planned) => {
                    lines.push(Line::new(Mark::Change, 0, format!("{id} changes")));
                    lines.extend(of_others(environment, &job.id));
                    lines.extend(plan_lines(&planned, 1));
                    let open = deployments.iter().filter(|deployment| deployment.job_id == job.id);
                    lines.extend(open.map(|deployment| {
                        let text = format!("this cancels a deployment: {}", deployment.words());
                        Line::new(Mark::Offending, 1, text)
                    }));
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
            lines.extend(meanwhile);
        }
        if order.len() > 1 {
            let levels: Vec<String> = order.iter().map(|level| level.join(", ")).collect();
            lines.push(Line::plain(text::one_line(&format!("in this order: {}", levels.join(", then ")))));
        }
        if !changed.is_empty() {
            lines.push(Line::plain(patience(&wanted, changed.len())));
        }
        lines.extend(lasting.closing());
        let summary = match changed.len() {
            0 if lasting.changes() => "the jobs are so already; their files are to change".to_owned(),
            0 => "nothing to do: all of it is so already".to_owned(),
            n => format!("{} to change", text::count(n, "job")),
        };
        let jobs = records(&changed, &decisions);
        let precondition = json!({ "jobs": jobs, "patch": wanted, "commit": lasting.meant() });
        let decision = json!({ "nomad": client.address(), "jobs": decisions, "lasting": lasting.decision() });
        Ok(Preview {
            lines,
            changes: !changed.is_empty() || lasting.changes(),
            breach: (!unplaced.is_empty()).then(|| no_place(&unplaced)).or_else(|| lasting.breach()),
            precondition,
            undo: undo(&changed),
            // The server takes it over the jobs that were seen, and no others.
            settled: true,
            protects: lasting.protects(),
            sparing: Some(SPARING),
            material: Some(Box::new(Material { jobs: changed, after, lasting, back: false })),
            ..Preview::new(summary, decision)
        })
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let wanted = self.wanted(cx)?;
        let material = preview.material.and_then(|m| m.downcast::<Material>().ok());
        let material = material.ok_or_else(|| StepError::untouched("the jobs were not looked at"))?;
        let Material { jobs, after, lasting, back } = *material;
        lasting.still().await?;
        if wanted.only == Some(Only::File) {
            return files::execute(cx, &self.inputs.environment, &lasting, &preview.precondition).await;
        }
        // Its version was asked for when the jobs were looked at.
        let client = self.inputs.environment.nomad().await.map_err(unreachable)?;
        let timeout = wanted.timeout.unwrap_or(PATIENCE);
        let worker = Worker { cx, client: &client, lasting: &lasting, timeout };
        if back {
            return outcome::of_all(&jobs, &withdraw(worker, &jobs, &after).await);
        }
        let ended = act(worker, &wanted, &jobs, &after).await;
        let mut outcome = outcome::of_all(&jobs, &ended);
        if outcome.as_ref().is_err_and(|error| error.again) {
            // What is healthy by now is written with the rest.
            return outcome;
        }
        if let (OnFailure::RevertAll, Err(failed)) = (wanted.on_failure, &mut outcome) {
            let live = ended.iter().any(|ended| matches!(ended, Ended::Healthy(_)));
            // It is to be gone on with, or put back.
            failed.interrupted |= live && *cx.interrupts.borrow() > 0;
            if live && wanted.only != Some(Only::Live) {
                failed.message.push_str("\nthe job files are left alone: they get it once all of it is done");
            }
            return outcome;
        }
        let counts = |id: &str| match jobs.iter().position(|job| job.id == id) {
            Some(at) => matches!(ended[at], Ended::Healthy(_)),
            // It was so before.
            None => true,
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
        let wanted = self.wanted(cx)?;
        if intent.undo.is_none() {
            return Ok(Reconciled::NotDone("looking at the files again".into()));
        }
        let Some(earlier) = Earlier::kept(cx) else {
            let message = "what the jobs were before it isn't kept any more, so they could not be put back";
            return Ok(Reconciled::Undecided(message.into()));
        };
        let client = client(&self.inputs.environment).await?;
        let jobs = earlier.jobs(&client, &wanted).await?;
        if let Some(failed) = jobs.iter().find(|job| matches!(job.standing, Standing::Back(_))) {
            let id = text::one_line(&failed.id);
            return Ok(Reconciled::NotDone(format!("'{id}' was changed, and is as it was before again")));
        }
        if earlier.is_withdrawing() {
            let taken = jobs.iter().filter(|job| matches!(job.standing, Standing::Taken(_)));
            let ids: Vec<String> = taken.map(|job| text::one_line(&job.id)).collect();
            return Ok(Reconciled::NotDone(match ids.as_slice() {
                [] => "what this run had changed is as it was before again".to_owned(),
                ids => format!("still to be put back as before: {}", text::list(ids)),
            }));
        }
        let mut taken = 0;
        for job in &jobs {
            let Standing::Taken(registered) = &job.standing else { continue };
            taken += 1;
            let timeout = wanted.timeout.unwrap_or(PATIENCE).min(GLANCE);
            let verdict = watch(cx, &client, registered, timeout, Duration::ZERO).await?;
            if !verdict.is_healthy() {
                let id = text::one_line(&job.id);
                return Ok(Reconciled::NotDone(format!("'{id}' was changed, and is not healthy yet")));
            }
        }
        if taken < earlier.len() || taken == 0 {
            let missing = text::count(earlier.len() - taken, "job");
            return Ok(Reconciled::NotDone(format!("{missing} not changed yet")));
        }
        if wanted.only != Some(Only::Live) {
            let asked: Vec<Asked> = jobs.iter().map(Edited::asked).collect();
            let back = WriteBack::look(&self.inputs.environment, &asked, wanted.shared);
            if wanted.commit || back.is_ok_and(|back| back.has_edits()) {
                return Ok(Reconciled::NotDone("what runs has it; the job files don't have it yet".into()));
            }
        }
        let summary = format!("{} changed and healthy", text::count(jobs.len(), "job"));
        let evidence = intent.precondition.clone();
        Ok(Reconciled::Done(Outcome { summary, evidence, output: Value::Null }))
    }

    async fn withdrawal(&self, cx: &Context) -> Result<Option<Preview>, StepError> {
        let wanted = self.wanted(cx)?;
        if wanted.on_failure != OnFailure::RevertAll || wanted.only == Some(Only::File) {
            return Ok(None);
        }
        let client = client(&self.inputs.environment).await?;
        let mut jobs = Earlier::of(cx).jobs(&client, &wanted).await?;
        jobs.retain(|job| matches!(job.standing, Standing::Taken(_)));
        if jobs.is_empty() {
            return Ok(None);
        }
        let live = Wanted { only: Some(Only::Live), ..wanted.clone() };
        let looked = looks(&client, jobs.clone()).await?;
        let lasting = Lasting::look(cx, &self.inputs.environment, &live, &looked).await?;
        let after = After::look(&client, jobs.iter()).await?;
        let summary = format!("{} to put back as before", text::count(jobs.len(), "job"));
        let records = records(&jobs, &Map::new());
        let line = |job: &Edited| {
            Line::plain(format!("{} {}", text::one_line(&job.id), job.standing.words(true, true)))
        };
        Ok(Some(Preview {
            lines: jobs.iter().map(line).collect(),
            settled: true,
            precondition: json!({ "jobs": records, "patch": wanted, "withdrawal": true }),
            undo: undo(&jobs),
            material: Some(Box::new(Material { jobs, after, lasting, back: true })),
            ..Preview::new(summary, json!({ "withdrawal": records }))
        }))
    }
}

/// How long what changes may take, and what becomes of it otherwise.
fn patience(wanted: &Wanted, jobs: usize) -> String {
    let time = text::duration(wanted.timeout.unwrap_or(PATIENCE));
    match (jobs, wanted.on_failure) {
        (1, _) => format!("it has {time} to become healthy, else it goes back to what it was"),
        (_, OnFailure::Stop) => format!(
            "each has {time} to become healthy, else it goes back to what it was; those done before it stay"
        ),
        (_, OnFailure::RevertAll) => {
            format!("each has {time} to become healthy, else all go back to what they were")
        }
    }
}

/// What a patch is for, as it was written.
pub(super) fn described(wanted: &Wanted) -> Vec<Line> {
    let line = |text: &String| Line::plain(format!("description: {}", text::one_line(text.trim())));
    wanted.description.iter().map(line).collect()
}

/// What an intent says of jobs.
fn records(jobs: &[Edited], decisions: &Map<String, Value>) -> Vec<Value> {
    let record = |job: &Edited| {
        let diff = decisions.get(&job.id).map(|decision| &decision["diff"]);
        json!({ "id": job.id, "index": job.index, "changes": job.changes, "diff": diff })
    };
    jobs.iter().map(record).collect()
}

/// The jobs exactly as they were.
fn undo(jobs: &[Edited]) -> Option<Vec<u8>> {
    let priors: Vec<&Value> = jobs.iter().map(|job| &*job.prior).collect();
    (!priors.is_empty()).then(|| serde_json::to_vec(&priors).unwrap_or_default())
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
    /// Looks at a job: what the server says of it, and its source, at once.
    async fn at(client: &Client, job: Edited) -> Result<Self, StepError> {
        if job.changes.is_empty() {
            return Ok(Self { job, planned: None, source: None });
        }
        let source = async { client.submission_of(&job.id, job_version(&job.prior)).await };
        let plan = async {
            match job.standing {
                Standing::Open => client.plan(&job.job).await.map(Some),
                // It is registered.
                Standing::Taken(_) | Standing::Back(_) => Ok(None),
            }
        };
        let (planned, source) = tokio::try_join!(plan, source).map_err(refused)?;
        Ok(Self { job, planned, source })
    }

    pub fn differs(&self) -> bool {
        let planned = self.planned.as_ref();
        self.job.standing != Standing::Open || planned.is_some_and(|planned| !is_unchanged(&planned.diff))
    }
}

async fn looks(client: &Client, jobs: Vec<Edited>) -> Result<Vec<Looked>, StepError> {
    stream::iter(jobs).map(|job| Looked::at(client, job)).buffered(AT_ONCE).try_collect().await
}

/// The jobs as they would be; of those that change meanwhile, as they are then. Each goes its own way: it is
/// planned while others are still being read, but where an earlier attempt has to be known first.
async fn looked_at(
    client: &Client,
    environment: &Environment,
    wanted: &Wanted,
    earlier: &Earlier,
) -> Result<Vec<Looked>, StepError> {
    let from = Jobs::Running(client, environment);
    for _ in 0..LOOKS {
        let looked = if earlier.is_empty() {
            select(from, &wanted.services, |job| Looked::at(client, job)).await?
        } else {
            let jobs = select(from, &wanted.services, |job| async { Ok(job) }).await?;
            looks(client, earlier.recognise(client, wanted, jobs).await?).await?
        };
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
