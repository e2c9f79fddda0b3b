//! One wave: its checks, its steps as far as `after` lets them run together, its gates, what it
//! records, and what it does finally.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use super::dispatch::{Request, append};
use super::run::Run;
use super::traits::Preview;
use super::{gates, steps};
use crate::base::Diagnostics;
use crate::event::What;
use crate::journal::{Body, JournalError, StepStatus};
use crate::plan::{StepSpec, Wave};

/// Why a run stopped before its end.
#[derive(Clone, Debug)]
pub enum Stop {
    Failed {
        what: String,
        error: String,
        help: Option<String>,
        diagnostics: Option<Diagnostics>,
    },
    /// A check or a guard, while running.
    Refused {
        error: String,
        help: Option<String>,
    },
    Denied {
        what: String,
    },
    Interrupted,
    /// A gate past its deadline.
    Deadline {
        gate: String,
        /// Where the gate stands, and its deadline.
        place: String,
        deadline: Duration,
        detail: String,
    },
    /// A step waits for what a person has to do elsewhere.
    Waits {
        what: String,
        error: String,
        help: Option<String>,
    },
    /// Nobody can say whether a step happened.
    Undecided {
        step: String,
        detail: String,
    },
    Journal(String),
}

impl Stop {
    /// The same, with something more to say.
    pub(super) fn and(mut self, words: Option<String>) -> Self {
        if let (
            Self::Failed { error: text, .. }
            | Self::Refused { error: text, .. }
            | Self::Waits { error: text, .. }
            | Self::Denied { what: text },
            Some(words),
        ) = (&mut self, words)
        {
            text.push('\n');
            text.push_str(&words);
        }
        self
    }

    /// Of two reasons the one that a person has to know first.
    pub(super) fn worse(self, other: Self) -> Self {
        let rank = |stop: &Self| match stop {
            Self::Journal(_) => 7,
            Self::Failed { .. } => 6,
            Self::Undecided { .. } => 5,
            Self::Refused { .. } => 4,
            Self::Denied { .. } => 3,
            Self::Waits { .. } => 2,
            Self::Deadline { .. } => 1,
            Self::Interrupted => 0,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Self::Journal(error.to_string())
    }
}

/// The previews of the look, until each is used, and the decisions that were approved.
pub(super) struct Shelf {
    previews: Mutex<BTreeMap<String, Preview>>,
    approved: BTreeMap<String, serde_json::Value>,
    /// Of the steps that were approved as known later, what they must stay within.
    later: BTreeMap<String, Option<serde_json::Value>>,
}

impl Shelf {
    pub(super) fn new(previews: BTreeMap<String, Preview>) -> Self {
        let approved = previews.iter().map(|(name, p)| (name.clone(), p.decision.clone())).collect();
        let later = previews
            .iter()
            .filter(|(_, p)| p.later.is_some())
            .map(|(name, p)| (name.clone(), p.bound.clone()))
            .collect();
        Self { previews: Mutex::new(previews), approved, later }
    }

    /// The look's preview, where that is what is to be executed.
    pub(super) fn take(&self, step: &str) -> Option<Preview> {
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        previews.remove(step).filter(|preview| preview.settled)
    }

    /// What was approved for a step.
    pub(super) fn decision(&self, step: &str) -> Option<&serde_json::Value> {
        self.approved.get(step).filter(|_| !self.later.contains_key(step))
    }

    /// Whether this very decision was approved.
    pub(super) fn approved(&self, step: &str, decision: &serde_json::Value) -> bool {
        self.approved.get(step) == Some(decision)
    }

    /// Whether a step that was approved as known later stays within what was approved.
    pub(super) fn within(&self, step: &str, bound: Option<&serde_json::Value>) -> bool {
        bound.is_some() && self.later.get(step).is_some_and(|approved| approved.as_ref() == bound)
    }
}

/// Runs a wave and says its name with how it ended.
pub(super) async fn run_wave(
    run: &Run,
    index: usize,
    shelf: &Shelf,
    requests: mpsc::UnboundedSender<Request>,
) -> (String, Result<(), Stop>) {
    let wave = &run.plan.waves[index];
    let result = Task { run, wave, shelf, requests }.run(index).await;
    (wave.name.clone(), result)
}

struct Task<'a> {
    run: &'a Run,
    wave: &'a Wave,
    shelf: &'a Shelf,
    requests: mpsc::UnboundedSender<Request>,
}

impl Task<'_> {
    async fn run(&self, index: usize) -> Result<(), Stop> {
        let (run, wave) = (self.run, self.wave);
        let began = run.clock.now();
        let name = wave.name.clone();
        run.teller.tell(What::WaveStarted { wave: name.clone(), index: index + 1, of: run.plan.waves.len() });
        append(&self.requests, Body::WaveStarted { wave: name.clone() }).await?;
        let ended = self.body().await;
        let pressed = *run.interrupts.borrow();
        let finally = match &ended {
            Err(Stop::Journal(_)) => Ok(()),
            _ if pressed >= 2 => Ok(()),
            _ => self.finally().await,
        };
        match (ended, finally) {
            (Err(first), Err(second)) => return Err(first.worse(second)),
            (Err(stop), Ok(())) | (Ok(()), Err(stop)) => return Err(stop),
            (Ok(()), Ok(())) => {}
        }
        append(&self.requests, Body::WaveDone { wave: name.clone() }).await?;
        run.teller.tell(What::WaveDone {
            wave: name,
            seconds: run.clock.now().duration_since(began).as_secs_f64(),
        });
        Ok(())
    }

    async fn body(&self) -> Result<(), Stop> {
        self.checks().await?;
        self.steps().await?;
        gates::pass(self.run, self.wave, &self.requests).await?;
        self.records().await
    }

    async fn checks(&self) -> Result<(), Stop> {
        for check in &self.wave.checks {
            let (name, wave) = (check.name.clone(), Some(self.wave.name.clone()));
            match self.run.samples.check(check, &self.run.facts.scope()).await {
                Ok(()) => self.run.teller.tell(What::CheckPassed { name, wave }),
                Err(error) => {
                    self.run.teller.tell(What::CheckFailed { name, wave, error: error.clone() });
                    let error = format!("the check '{}' doesn't hold: {error}", check.name);
                    return Err(Stop::Refused { error, help: None });
                }
            }
        }
        Ok(())
    }

    /// Each step once those it comes after are done; after a failure nothing new starts, and what runs
    /// is waited for.
    async fn steps(&self) -> Result<(), Stop> {
        let is_done = |name: &str| matches!(self.run.status_of(name), StepStatus::Done(_));
        let mut started: BTreeSet<&str> = BTreeSet::new();
        let mut running = FuturesUnordered::new();
        let mut stop: Option<Stop> = None;
        loop {
            for step in &self.wave.steps {
                let open = !is_done(&step.name) && !started.contains(step.name.as_str());
                if open && stop.is_none() && !self.run.halted() && step.after.iter().all(|name| is_done(name))
                {
                    started.insert(&step.name);
                    running.push(self.step(step));
                }
            }
            match running.next().await {
                Some(Ok(())) => {}
                Some(Err(reason)) => stop = Some(stop.take().map_or(reason.clone(), |s| s.worse(reason))),
                None => break,
            }
        }
        match stop {
            Some(stop) => Err(stop),
            None if self.wave.steps.iter().all(|step| is_done(&step.name)) => Ok(()),
            None => Err(Stop::Interrupted),
        }
    }

    async fn step(&self, spec: &StepSpec) -> Result<(), Stop> {
        steps::run_step(self.run, self.wave, spec, self.shelf, &self.requests).await
    }

    async fn finally(&self) -> Result<(), Stop> {
        for step in &self.wave.finally {
            if !matches!(self.run.status_of(&step.name), StepStatus::Done(_)) {
                self.step(step).await?;
            }
        }
        Ok(())
    }

    async fn records(&self) -> Result<(), Stop> {
        for record in &self.wave.records {
            let value = match self.run.samples.record(record, &self.run.facts.scope()).await {
                Ok(value) => value,
                Err(error) if record.optional => {
                    self.run.teller.warn(format!("{} is not recorded: {error}", record.name));
                    continue;
                }
                Err(error) => {
                    let help = Some("a later run needs the value; see to it that it can be read".to_owned());
                    let what = format!("record {}", record.name);
                    return Err(Stop::Failed { what, error, help, diagnostics: None });
                }
            };
            let name = record.name.clone();
            append(&self.requests, Body::Recorded { name: name.clone(), value: value.clone() }).await?;
            self.run.facts.recorded(&name, &value);
            self.run.teller.tell(What::Recorded { name, value });
        }
        Ok(())
    }
}
