//! A run from its first look to its end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::{mpsc, watch};

use super::approval::Approver;
use super::begin::{approve, start};
use super::blobs::Blobs;
use super::dispatch::{self, Request};
use super::latch::Latch;
use super::look::{Looked, look_at};
use super::steps;
use super::traits::{Breach, Context, Facts, Samples, Step, StepError};
use super::wave::Stop;
use crate::base::{Clock, Diagnostics, RunId, Secrets};
use crate::event::{Ending, Teller, What};
use crate::journal::{self, Body, Downtime, Journal, JournalError, StepStatus};
use crate::plan::Plan;

/// How the decision is approved.
#[derive(Clone, Debug)]
pub enum Approval {
    /// A person is asked.
    Ask,
    /// `--yes`, by whom.
    Yes,
    /// `--approve`: exactly this digest, with the document it was the digest of where that is kept.
    Digest { given: String, old: Option<Value> },
}

/// Whether a run goes on with records that are there.
#[derive(Clone, Debug)]
pub enum Resume {
    New { downtime: Option<Downtime> },
    Of(Box<journal::Run>),
}

/// Everything a run needs.
pub struct Run {
    pub id: RunId,
    pub plan: Plan,
    pub environment: String,
    pub protected: bool,
    pub who: String,
    pub root: String,
    pub inputs: BTreeMap<String, String>,
    pub plan_hash: String,
    /// What the decision is about besides its steps.
    pub about: Value,
    pub steps: BTreeMap<String, Arc<dyn Step>>,
    pub samples: Arc<dyn Samples>,
    pub facts: Arc<dyn Facts>,
    pub journal: Journal,
    pub clock: Clock,
    pub teller: Teller,
    pub approver: Arc<dyn Approver>,
    /// How often Ctrl-C was pressed.
    pub interrupts: watch::Receiver<u32>,
    /// Where undo material is kept.
    pub blobs: Arc<Blobs>,
    /// A guard that a person set in place of the plan's, by step.
    pub guards: BTreeMap<String, Value>,
    /// By step: the preconditions of the last run of this plan that went well.
    pub last: BTreeMap<String, Value>,
    pub resume: Resume,
    /// What may hold the run back as a whole.
    pub latch: Option<Arc<dyn Latch>>,
    /// The command that would go on with this run.
    pub next: String,
    /// Masked in decisions, which stand for them by a keyed hash.
    pub secrets: Secrets,
    pub key: Vec<u8>,
    state: Mutex<Option<journal::Run>>,
    halt: watch::Sender<bool>,
}

/// How a run ended, for the exit code and the last words.
#[derive(Clone, Debug)]
pub struct Finished {
    pub ending: Ending,
    pub summary: String,
    pub help: Option<String>,
    pub diagnostics: Option<Diagnostics>,
    pub done: Vec<String>,
    pub not_done: Vec<String>,
    pub next: Option<String>,
}

impl Run {
    #[expect(clippy::too_many_arguments, reason = "built in one place, field by field")]
    pub fn new(
        id: RunId,
        plan: Plan,
        resume: Resume,
        steps: BTreeMap<String, Arc<dyn Step>>,
        samples: Arc<dyn Samples>,
        facts: Arc<dyn Facts>,
        journal: Journal,
        clock: Clock,
        teller: Teller,
        approver: Arc<dyn Approver>,
        interrupts: watch::Receiver<u32>,
    ) -> Self {
        let state = match &resume {
            Resume::New { .. } => None,
            Resume::Of(run) => Some((**run).clone()),
        };
        Self {
            id,
            plan,
            environment: String::new(),
            protected: false,
            who: String::new(),
            root: String::new(),
            inputs: BTreeMap::new(),
            plan_hash: String::new(),
            about: Value::Null,
            steps,
            samples,
            facts,
            journal,
            clock,
            teller,
            approver,
            interrupts,
            blobs: Arc::default(),
            guards: BTreeMap::new(),
            last: BTreeMap::new(),
            resume,
            latch: None,
            next: String::new(),
            secrets: Secrets::default(),
            key: Vec::new(),
            state: Mutex::new(state),
            halt: watch::Sender::new(false),
        }
    }

    fn guarded(&self) -> MutexGuard<'_, Option<journal::Run>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the state; only meaningful once the run has started.
    pub(super) fn state(&self) -> journal::Run {
        self.guarded().clone().unwrap_or_else(|| journal::Run {
            id: self.id.clone(),
            status: journal::RunStatus::New,
            plan: self.plan.name.clone(),
            operation: None,
            plan_hash: String::new(),
            inputs: BTreeMap::new(),
            downtime: None,
            who: self.who.clone(),
            started: self.clock.now(),
            last: self.clock.now(),
            approved: Vec::new(),
            approver: None,
            steps: BTreeMap::new(),
            intents: BTreeMap::new(),
            waves_started: std::collections::BTreeSet::new(),
            waves_done: std::collections::BTreeSet::new(),
            gates_passed: std::collections::BTreeSet::new(),
            recorded: BTreeMap::new(),
            guards: BTreeMap::new(),
            reason: None,
            changed: false,
            first_change: None,
            outputs: BTreeMap::new(),
        })
    }

    pub(super) fn status_of(&self, step: &str) -> StepStatus {
        self.guarded().as_ref().map_or(StepStatus::Pending, |run| run.step(step))
    }

    pub(super) fn wave_done(&self, wave: &str) -> bool {
        self.guarded().as_ref().is_some_and(|run| run.waves_done.contains(wave))
    }

    pub(super) fn gate_passed(&self, wave: &str, gate: &str) -> bool {
        let key = (wave.to_owned(), gate.to_owned());
        self.guarded().as_ref().is_some_and(|run| run.gates_passed.contains(&key))
    }

    /// Journals one record, then takes it into the state. What announces no effect reaches the disk together
    /// with the next that does (the intent before anything is changed), or once [`Self::settle`] is called:
    /// where a crash comes before that, nothing has been done since.
    pub(super) fn append(&self, body: &Body) -> Result<(), JournalError> {
        let mut state = self.guarded();
        // What the state refuses never reaches the disk.
        let check = |record: &journal::Record| match state.as_ref() {
            Some(run) => run.permits(record),
            None => journal::Run::replay([record]).map(drop),
        };
        let record = match body {
            Body::RunStarted { .. }
            | Body::Approved { .. }
            | Body::WaveStarted { .. }
            | Body::StepDone { .. }
            | Body::WaveDone { .. } => self.journal.note(&self.id, body, check)?,
            _ => self.journal.append(&self.id, body, check)?,
        };
        match state.as_mut() {
            Some(run) => run.apply(&record)?,
            None => *state = journal::Run::replay([&record])?,
        }
        Ok(())
    }

    /// Brings what was journaled to the disk.
    pub(super) fn settle(&self) -> Result<(), JournalError> {
        self.journal.flush()
    }

    pub(super) fn find_step(&self, name: &str) -> Option<Arc<dyn Step>> {
        self.steps.get(name).map(Arc::clone)
    }

    pub(super) fn step(&self, name: &str) -> Arc<dyn Step> {
        self.find_step(name).unwrap_or_else(|| Arc::new(Missing(name.to_owned())))
    }

    pub(super) fn context(&self, step: &str, dispatcher: Option<mpsc::UnboundedSender<Request>>) -> Context {
        let state = self.guarded();
        let earlier: Vec<_> =
            state.as_ref().and_then(|run| run.intents.get(step).cloned()).unwrap_or_default();
        let journaled = state.as_ref().and_then(|run| run.guards.get(step).cloned());
        Context {
            run: self.id.clone(),
            approver: state.as_ref().and_then(|run| run.approver.clone()),
            step: step.to_owned(),
            environment: self.environment.clone(),
            attempt: u32::try_from(earlier.len()).unwrap_or(u32::MAX).saturating_add(1),
            clock: self.clock.clone(),
            teller: self.teller.clone(),
            facts: Arc::clone(&self.facts),
            journal: self.journal.clone(),
            earlier,
            last: self.last.get(step).cloned(),
            guard: self.guards.get(step).cloned().or(journaled),
            interrupts: self.interrupts.clone(),
            blobs: Arc::clone(&self.blobs),
            dispatcher,
        }
    }

    /// A step's decision as it may be kept: secrets masked, and where there were any, a keyed hash of
    /// the whole in their place.
    pub(super) fn sealed(&self, decision: &Value) -> Value {
        let mut masked = decision.clone();
        self.secrets.mask_json(&mut masked);
        if masked == *decision {
            return masked;
        }
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return masked };
        mac.update(decision.to_string().as_bytes());
        let keyed: String = mac.finalize().into_bytes().iter().take(12).map(|b| format!("{b:02x}")).collect();
        serde_json::json!({ "decision": masked, "secrets": keyed })
    }

    /// Whether nothing new may start.
    pub(super) fn halted(&self) -> bool {
        *self.halt.borrow() || *self.interrupts.borrow() > 0
    }

    pub(super) fn halt(&self) {
        self.halt.send_replace(true);
    }

    /// Returns once nothing new may start.
    pub(super) async fn halting(&self) {
        let mut halt = self.halt.subscribe();
        let mut interrupts = self.interrupts.clone();
        tokio::select! {
            _ = halt.wait_for(|halted| *halted) => {}
            Ok(_) = interrupts.wait_for(|count| *count > 0) => {}
        }
    }

    pub(super) fn progress(&self) -> (Vec<String>, Vec<String>) {
        let is_done = |name: &String| matches!(self.status_of(name), StepStatus::Done(_));
        self.plan.steps().map(|(_, spec)| spec.name.clone()).partition(is_done)
    }
}

/// A step of the journal or plan that has no implementation: an error that says so, never a panic.
struct Missing(String);

impl Missing {
    fn error(&self) -> StepError {
        StepError::untouched(format!("there is nothing to do the step '{}' with", self.0))
    }
}

#[async_trait::async_trait]
impl Step for Missing {
    async fn preview(&self, _: &Context, _: &super::Horizon) -> Result<super::Preview, StepError> {
        Err(self.error())
    }

    async fn execute(&self, _: &Context, _: super::Preview) -> Result<super::Outcome, StepError> {
        Err(self.error())
    }

    async fn reconcile(&self, _: &Context, _: &journal::Intent) -> Result<super::Reconciled, StepError> {
        Err(self.error())
    }
}

impl Finished {
    /// Ended before anything was started.
    pub(super) fn nothing_done(run: &Run, ending: Ending, summary: String) -> Self {
        let (done, not_done) = run.progress();
        Self { ending, summary, help: None, diagnostics: None, done, not_done, next: None }
    }

    pub(super) fn step_failed(run: &Run, step: &str, error: StepError) -> Self {
        let summary = format!("{step}: {}", steps::chain(&error));
        let ending = if error.denied { Ending::Denied } else { Ending::Failed };
        let (help, diagnostics) = (error.help, error.diagnostics);
        Self { help, diagnostics, ..Self::nothing_done(run, ending, summary) }
    }

    fn held(run: &Run, breach: Breach) -> Self {
        Self { help: breach.help, ..Self::nothing_done(run, Ending::Refused, breach.message) }
    }

    fn stopped(run: &Run, stop: Stop) -> Self {
        let (ending, summary, help, diagnostics) = match stop {
            Stop::Failed { what, error, help, diagnostics } => {
                (Ending::Failed, format!("{what}: {error}"), help, diagnostics)
            }
            Stop::Refused { error, help } => (Ending::Refused, error, help, None),
            Stop::Denied { what } => (Ending::Denied, format!("not approved: {what}"), None, None),
            Stop::Interrupted => (Ending::Paused, "interrupted".to_owned(), None, None),
            Stop::Deadline { gate, place, deadline, detail } => {
                let deadline = crate::base::text::duration(deadline);
                let summary =
                    format!("the gate '{gate}' ({place}) is past its deadline of {deadline}: {detail}");
                (Ending::Paused, summary, None, None)
            }
            Stop::Waits { what, error, help } => (Ending::Paused, format!("{what}: {error}"), help, None),
            Stop::Undecided { step, detail } => {
                let help = "look for yourself, then resume in a terminal and answer the question".to_owned();
                let summary = format!("it is not known whether '{step}' happened: {detail}");
                (Ending::Paused, summary, Some(help), None)
            }
            Stop::Journal(error) => {
                (Ending::Failed, format!("the journal could not be written: {error}"), None, None)
            }
        };
        let next = Some(run.next.clone());
        Self { help, diagnostics, next, ..Self::nothing_done(run, ending, summary) }
    }

    pub(super) fn journal(run: &Run, error: &JournalError) -> Self {
        Self::stopped(run, Stop::Journal(error.to_string()))
    }
}

/// Looks only: for `preview`.
pub async fn look(run: &Run) -> Result<Looked, Finished> {
    look_at(run).await
}

/// Runs, or goes on with, a run; tells how it ended.
pub async fn run(run: &Run, approval: Approval) -> Finished {
    let began = run.clock.now();
    let finished = match whole(run, approval).await {
        Ok(finished) | Err(finished) => finished,
    };
    let finished = match run.settle() {
        Ok(()) => finished,
        Err(error) => Finished::journal(run, &error),
    };
    run.teller.tell(What::Finished {
        ending: finished.ending,
        summary: finished.summary.clone(),
        done: finished.done.clone(),
        not_done: finished.not_done.clone(),
        next: finished.next.clone(),
        help: finished.help.clone(),
        head: Some(run.journal.head()).filter(|head| !head.is_empty()),
        seconds: run.clock.now().duration_since(began).as_secs_f64(),
    });
    finished
}

async fn whole(run: &Run, approval: Approval) -> Result<Finished, Finished> {
    let resumed = matches!(run.resume, Resume::Of(_));
    let failed = |error: JournalError| Finished::journal(run, &error);
    if resumed {
        let (who, plan_hash) = (run.who.clone(), run.plan_hash.clone());
        run.append(&Body::RunResumed { who, plan_hash }).map_err(failed)?;
        if let Err(stop) = steps::reconcile(run).await {
            return Err(end(run, Err(stop)));
        }
    }
    let looked = match look_at(run).await {
        Ok(looked) => looked,
        Err(finished) => return refused(run, resumed, finished),
    };
    if run.halted() {
        let summary = "interrupted before anything was done".to_owned();
        return Err(Finished::nothing_done(run, Ending::Paused, summary));
    }
    let to_approve = looked.previews.values().any(|p| p.changes || p.later.is_some());
    if !resumed && !looked.previews.is_empty() && !to_approve {
        let summary = "nothing to do".to_owned();
        return Ok(Finished::nothing_done(run, Ending::NothingToDo, summary));
    }
    // Only now: what has nothing to do loses nothing.
    if let Some(latch) = &run.latch
        && let Err(breach) = latch.look(&run.teller).await
    {
        return refused(run, resumed, Finished::held(run, breach));
    }
    if to_approve {
        approve(run, &looked, approval).await?;
    } else {
        start(run).map_err(failed)?;
    }
    if let Some(latch) = &run.latch {
        match latch.keep().await {
            Ok(records) => {
                for record in &records {
                    run.append(record).map_err(failed)?;
                }
            }
            Err(Breach { message, help }) => {
                return Err(end(run, Err(Stop::Refused { error: message, help })));
            }
        }
    }
    for (step, guard) in &run.guards {
        let (step, guard, who) = (step.clone(), guard.clone(), run.who.clone());
        run.append(&Body::GuardSet { step, guard, who }).map_err(failed)?;
    }
    let result = dispatch::waves(run, looked.previews).await;
    Ok(end(run, result))
}

/// What can't be begun; of a run that is gone on with, the journal says so.
fn refused(run: &Run, resumed: bool, finished: Finished) -> Result<Finished, Finished> {
    if !resumed {
        return Err(finished);
    }
    let reason = finished.summary.clone();
    // Nothing was tried, and a patch that failed would be over.
    let last = match run.plan.operation {
        Some(crate::plan::Operation::Patch) => Body::RunPaused { reason },
        _ => Body::RunFailed { reason },
    };
    run.append(&last).map_err(|error| Finished::journal(run, &error))?;
    Err(Finished { next: Some(run.next.clone()), ..finished })
}

/// Journals the end and says it.
pub(super) fn end(run: &Run, result: Result<(), Stop>) -> Finished {
    let finished = match result {
        Ok(()) => {
            let changed = run.state().changed;
            let summary = format!("{} is done", run.plan.name);
            let finished = Finished::nothing_done(run, Ending::Done, summary);
            return match run.append(&Body::RunDone { changed }) {
                Ok(()) => finished,
                Err(error) => Finished::journal(run, &error),
            };
        }
        Err(stop @ Stop::Journal(_)) => return Finished::stopped(run, stop),
        Err(stop) => Finished::stopped(run, stop),
    };
    let reason = finished.summary.clone();
    let finished = match finished.ending {
        Ending::Failed
            if run.plan.operation == Some(crate::plan::Operation::Patch)
                && run.state().unknown_steps().is_empty() =>
        {
            Finished { next: None, ..finished }
        }
        _ => finished,
    };
    let body = match finished.ending {
        Ending::Paused | Ending::Denied | Ending::Refused => Body::RunPaused { reason },
        _ => Body::RunFailed { reason },
    };
    match run.append(&body) {
        Ok(()) => finished,
        Err(error) => Finished::journal(run, &error),
    }
}
