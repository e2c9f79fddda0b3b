//! Where a run stands: a fold over its records through total functions.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::record::{Body, Downtime, Found, Record};
use crate::base::RunId;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    New,
    Running,
    Paused,
    Failed,
    Done,
    Abandoned,
}

/// Where a step of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepStatus {
    Pending,
    /// An intent without an outcome: being done, or unknown after a crash.
    Intended(u32),
    Done(u32),
    Failed(u32),
}

/// A record that can't follow what stands before it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the journal says '{event}' of something that is {status}")]
pub struct Illegal {
    pub status: String,
    pub event: String,
}

fn illegal(status: impl std::fmt::Debug, body: &Body) -> Illegal {
    let event = serde_json::to_value(body).ok().and_then(|v| v["type"].as_str().map(str::to_owned));
    Illegal { status: format!("{status:?}"), event: event.unwrap_or_default() }
}

/// The run's status after a record.
pub fn next_run_status(status: RunStatus, body: &Body) -> Result<RunStatus, Illegal> {
    use RunStatus::{Abandoned, Done, Failed, New, Paused, Running};
    match (status, body) {
        (New, Body::RunStarted { .. }) => Ok(Running),
        (Paused | Failed | Running, Body::RunResumed { .. }) => Ok(Running),
        (Paused | Failed | Running, Body::RunAbandoned { .. }) => Ok(Abandoned),
        (Running, Body::RunPaused { .. }) => Ok(Paused),
        (Running, Body::RunFailed { .. }) => Ok(Failed),
        (Running, Body::RunDone { .. }) => Ok(Done),
        (New | Paused | Failed | Done | Abandoned, _) | (Running, Body::RunStarted { .. }) => {
            Err(illegal(status, body))
        }
        (Running, _) => Ok(Running),
    }
}

/// The status of the step a record is about, after it.
pub fn next_step_status(status: StepStatus, body: &Body) -> Result<StepStatus, Illegal> {
    use StepStatus::{Done, Failed, Intended, Pending};
    match (status, body) {
        (Pending, Body::StepIntended { attempt: 1, .. }) => Ok(Intended(1)),
        (Failed(last), Body::StepIntended { attempt, .. }) if *attempt == last + 1 => Ok(Intended(*attempt)),
        (Intended(now), Body::StepChild { attempt, .. }) if *attempt == now => Ok(Intended(now)),
        (Intended(now), Body::StepDone { attempt, .. }) if *attempt == now => Ok(Done(now)),
        (Intended(now), Body::StepFailed { attempt, .. }) if *attempt == now => Ok(Failed(now)),
        (Intended(now), Body::StepReconciled { attempt, found, .. }) if *attempt == now => Ok(match found {
            Found::Done => Done(now),
            Found::NotDone => Failed(now),
        }),
        _ => Err(illegal(status, body)),
    }
}

/// What a step was about to do when its intent was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    pub attempt: u32,
    pub at: Timestamp,
    pub precondition: serde_json::Value,
    pub undo: Option<String>,
    /// What its outcome says of what was done, in the step kind's own shape; none while there is no outcome.
    pub evidence: Option<serde_json::Value>,
    /// The child that did it: process id and start time as the kernel gives it.
    pub child: Option<(u32, String)>,
}

/// The status of a run after a record, and the step it is about with its own.
type After<'r> = (RunStatus, Option<(&'r str, StepStatus)>);

/// A run as its records tell it.
#[derive(Clone, Debug)]
pub struct Run {
    pub id: RunId,
    pub status: RunStatus,
    pub plan: String,
    pub operation: Option<String>,
    pub plan_hash: String,
    pub inputs: BTreeMap<String, String>,
    pub downtime: Option<Downtime>,
    pub who: String,
    pub started: Timestamp,
    /// The time of its last record.
    pub last: Timestamp,
    pub approved: Vec<String>,
    /// Who approved it last.
    pub approver: Option<String>,
    pub steps: BTreeMap<String, StepStatus>,
    /// Every intent of each step, in order.
    pub intents: BTreeMap<String, Vec<Intent>>,
    pub waves_started: BTreeSet<String>,
    pub waves_done: BTreeSet<String>,
    /// (wave, gate)
    pub gates_passed: BTreeSet<(String, String)>,
    pub recorded: BTreeMap<String, serde_json::Value>,
    pub guards: BTreeMap<String, serde_json::Value>,
    pub reason: Option<String>,
    /// Whether anything was changed; false for "nothing to do".
    pub changed: bool,
    /// When the first change was done, or begun with an outcome that isn't known.
    pub first_change: Option<Timestamp>,
    /// What done steps gave to those after them.
    pub outputs: BTreeMap<String, serde_json::Value>,
}

impl Run {
    /// A run from its first record on.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a Record>) -> Result<Option<Self>, Illegal> {
        let mut run: Option<Self> = None;
        for record in records {
            match &mut run {
                Some(run) => run.apply(record)?,
                None => run = Some(Self::first(record)?),
            }
        }
        Ok(run)
    }

    fn first(record: &Record) -> Result<Self, Illegal> {
        let status = next_run_status(RunStatus::New, &record.body)?;
        let Body::RunStarted { plan, operation, plan_hash, inputs, downtime, who, .. } = &record.body else {
            return Err(illegal(RunStatus::New, &record.body));
        };
        Ok(Self {
            id: record.run.clone(),
            status,
            plan: plan.clone(),
            operation: operation.clone(),
            plan_hash: plan_hash.clone(),
            inputs: inputs.clone(),
            downtime: *downtime,
            who: who.clone(),
            started: record.at,
            last: record.at,
            approved: Vec::new(),
            approver: None,
            steps: BTreeMap::new(),
            intents: BTreeMap::new(),
            waves_started: BTreeSet::new(),
            waves_done: BTreeSet::new(),
            gates_passed: BTreeSet::new(),
            recorded: BTreeMap::new(),
            guards: BTreeMap::new(),
            reason: None,
            changed: false,
            first_change: None,
            outputs: BTreeMap::new(),
        })
    }

    /// Whether a record may come next: what [`Self::apply`] would refuse is refused here.
    pub fn permits(&self, record: &Record) -> Result<(), Illegal> {
        self.after(record).map(drop)
    }

    /// The run's status after a record, and that of the step it is about.
    fn after<'r>(&self, record: &'r Record) -> Result<After<'r>, Illegal> {
        let status = next_run_status(self.status, &record.body)?;
        let (Body::StepIntended { step, .. }
        | Body::StepChild { step, .. }
        | Body::StepDone { step, .. }
        | Body::StepFailed { step, .. }
        | Body::StepReconciled { step, .. }) = &record.body
        else {
            return Ok((status, None));
        };
        let next = next_step_status(self.step(step), &record.body)?;
        Ok((status, Some((step, next))))
    }

    /// Takes one more record; on an error nothing has changed.
    pub fn apply(&mut self, record: &Record) -> Result<(), Illegal> {
        let (status, step) = self.after(record)?;
        if let Some((step, next)) = step {
            self.steps.insert(step.to_owned(), next);
        }
        self.status = status;
        self.last = record.at;
        match &record.body {
            Body::RunResumed { plan_hash, .. } => self.plan_hash.clone_from(plan_hash),
            Body::Approved { digest, who, .. } => {
                self.approved.push(digest.clone());
                self.approver = Some(who.clone());
            }
            Body::GuardSet { step, guard, .. } => {
                self.guards.insert(step.clone(), guard.clone());
            }
            Body::WaveStarted { wave } => {
                self.waves_started.insert(wave.clone());
            }
            Body::WaveDone { wave } => {
                self.waves_done.insert(wave.clone());
            }
            Body::StepDone { step, changed, output, .. } => {
                if *changed {
                    self.touched(step);
                }
                self.outputs.insert(step.clone(), output.clone());
            }
            Body::StepFailed { step, touched: true, .. } => self.touched(step),
            Body::StepReconciled { step, found: Found::Done, .. } => self.touched(step),
            Body::StepIntended { step, attempt, precondition, undo, .. } => {
                self.intents.entry(step.clone()).or_default().push(Intent {
                    attempt: *attempt,
                    at: record.at,
                    precondition: precondition.clone(),
                    undo: undo.clone(),
                    evidence: None,
                    child: None,
                });
            }
            Body::StepChild { step, pid, started, .. } => {
                if let Some(intent) = self.intents.get_mut(step).and_then(|all| all.last_mut()) {
                    intent.child = Some((*pid, started.clone()));
                }
            }
            Body::GatePassed { wave, gate, .. } | Body::GateWaived { wave, gate, .. } => {
                self.gates_passed.insert((wave.clone(), gate.clone()));
            }
            Body::Recorded { name, value } => {
                self.recorded.insert(name.clone(), value.clone());
            }
            Body::RunPaused { reason } | Body::RunFailed { reason } => self.reason = Some(reason.clone()),
            _ => {}
        }
        if let Body::StepDone { step, evidence, .. } | Body::StepFailed { step, evidence, .. } = &record.body
            && let Some(intent) = self.intents.get_mut(step).and_then(|all| all.last_mut())
        {
            intent.evidence = Some(evidence.clone());
        }
        Ok(())
    }

    /// A step had an effect: at the earliest when it was begun.
    fn touched(&mut self, step: &str) {
        self.changed = true;
        let begun = self.intents.get(step).and_then(|all| all.last()).map(|intent| intent.at);
        self.first_change = self.first_change.or(begun);
    }

    /// Whether it changed something, or may have: an act was cut off.
    pub fn may_have_changed(&self) -> bool {
        self.changed || !self.unknown_steps().is_empty()
    }

    /// When its first change began, as far as is known.
    pub fn changed_at(&self) -> Option<Timestamp> {
        let cut_off =
            self.unknown_steps().into_iter().filter_map(|step| Some(self.intents.get(step)?.last()?.at));
        self.first_change.or_else(|| cut_off.min())
    }

    pub fn step(&self, name: &str) -> StepStatus {
        self.steps.get(name).copied().unwrap_or(StepStatus::Pending)
    }

    /// Whether `resume` could go on with it.
    pub fn is_unfinished(&self) -> bool {
        match self.status {
            RunStatus::Running | RunStatus::Paused => true,
            // A patch that failed is over: the next one starts from the job as it is then. But what became of
            // one that was cut off is to be found out, and one of several steps is gone on with.
            RunStatus::Failed => {
                let done = self.steps.values().any(|status| matches!(status, StepStatus::Done(_)));
                self.operation.as_deref() != Some("patch") || done || !self.unknown_steps().is_empty()
            }
            RunStatus::New | RunStatus::Done | RunStatus::Abandoned => false,
        }
    }

    /// Steps that were being done when the journal ends.
    pub fn unknown_steps(&self) -> Vec<&str> {
        self.steps
            .iter()
            .filter(|(_, status)| matches!(status, StepStatus::Intended(_)))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body() -> impl Strategy<Value = Body> {
        let step = prop::sample::select(vec!["a", "b"]);
        (step, 0..4_u32, 0..9_u8).prop_map(|(step, attempt, kind)| {
            let step = step.to_owned();
            match kind {
                0 => Body::StepIntended {
                    wave: "w".into(),
                    step,
                    attempt,
                    digest: String::new(),
                    who: String::new(),
                    precondition: serde_json::Value::Null,
                    undo: None,
                },
                1 => Body::StepDone {
                    step,
                    attempt,
                    changed: true,
                    evidence: serde_json::Value::Null,
                    output: serde_json::Value::Null,
                },
                2 => Body::StepFailed {
                    step,
                    attempt,
                    error: String::new(),
                    touched: true,
                    evidence: serde_json::Value::Null,
                },
                3 => Body::StepReconciled { step, attempt, found: Found::NotDone, detail: String::new() },
                4 => Body::RunPaused { reason: String::new() },
                5 => Body::RunResumed { who: String::new(), plan_hash: String::new() },
                6 => Body::RunDone { changed: true },
                7 => Body::StepChild { step, attempt, pid: 1, started: String::new() },
                _ => Body::WaveDone { wave: "w".into() },
            }
        })
    }

    fn started() -> Record {
        let body = Body::RunStarted {
            format: 1,
            version: String::new(),
            plan: "p".into(),
            operation: None,
            plan_hash: String::new(),
            inputs: BTreeMap::new(),
            downtime: None,
            who: "w".into(),
            root: String::new(),
        };
        Record::new(1, Timestamp::UNIX_EPOCH, RunId("r".into()), body, String::new())
    }

    proptest! {
        /// Whatever comes, a step is never done twice, attempts count up by one, and a refused record
        /// leaves no trace.
        #[test]
        fn steps_are_done_once(bodies in prop::collection::vec(body(), 0..60)) {
            let first = started();
            let mut run = Run::replay([&first]).unwrap().unwrap();
            let mut done = BTreeMap::new();
            for (i, body) in bodies.into_iter().enumerate() {
                let before = (run.status, run.steps.clone(), run.intents.clone());
                let record = Record::new(i as u64 + 2, first.at, first.run.clone(), body, String::new());
                match run.apply(&record) {
                    Ok(()) => {
                        if let Body::StepDone { step, .. } = &record.body {
                            *done.entry(step.clone()).or_insert(0) += 1;
                        }
                    }
                    Err(_) => prop_assert_eq!(before, (run.status, run.steps.clone(), run.intents.clone())),
                }
            }
            prop_assert!(done.values().all(|n| *n == 1));
            for intents in run.intents.values() {
                for (i, intent) in intents.iter().enumerate() {
                    prop_assert_eq!(intent.attempt as usize, i + 1);
                }
            }
        }
    }
}
