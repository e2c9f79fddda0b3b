//! What the engine asks of the kinds of steps, of gates and of the environment's facts.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use super::blobs::Blobs;
use super::dispatch::Request;
use crate::base::{Clock, Diagnostics, RunId};
use crate::dialect::Values;
use crate::event::{Line, Teller, Verdict, What};
use crate::journal::{Body, Intent, Journal, JournalError};
use crate::plan::{Check, Gate, Record};

/// How far a preview can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// What is there now is what the step will meet.
    Now,
    /// Steps before it will change what it meets: only what doesn't depend on that is known. Why.
    Later(String),
}

/// What a step would do.
#[derive(Debug)]
pub struct Preview {
    /// One line: "13 to add, all under module.core.*".
    pub summary: String,
    pub lines: Vec<Line>,
    /// What the person decides on, canonical: no timestamps, secrets only as keyed hashes.
    pub decision: Value,
    /// False where there is nothing to do.
    pub changes: bool,
    /// Why it isn't all known yet, where it isn't.
    pub later: Option<String>,
    /// What holds of it whenever it is looked at: a step approved as known later is done without asking
    /// again only if this is the same then. None: always asked.
    pub bound: Option<Value>,
    /// What a guard refuses.
    pub breach: Option<Breach>,
    /// Other environments that are protected, and change with it: approved as their own changes are.
    pub protects: Vec<String>,
    /// What leaves those alone, as a whole clause, where there is such a way.
    pub sparing: Option<&'static str>,
    /// What was seen, and what is meant: kept in the intent, for reconciling and for guards that count
    /// a whole run.
    pub precondition: Value,
    /// What it takes to undo it exactly.
    pub undo: Option<Vec<u8>>,
    /// What `execute` goes by, such as a saved plan.
    pub material: Option<Box<dyn Any + Send + Sync>>,
    /// Whether the look's own preview is executed, since what it holds can only be done as it was shown.
    /// Any other is taken again right before acting, and held against what was approved.
    pub settled: bool,
}

impl Preview {
    /// A preview of something to do, to be filled in.
    pub fn new(summary: impl Into<String>, decision: Value) -> Self {
        Self {
            summary: summary.into(),
            lines: Vec::new(),
            decision,
            changes: true,
            later: None,
            bound: None,
            breach: None,
            protects: Vec::new(),
            sparing: None,
            precondition: Value::Null,
            undo: None,
            material: None,
            settled: false,
        }
    }
}

/// A guard's refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub message: String,
    pub help: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub summary: String,
    /// For the journal: evaluation ids, indexes, exit codes, counts.
    pub evidence: Value,
    /// `step.NAME` from now on.
    pub output: Value,
}

/// How much was done when a step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    Nothing,
    Something,
    /// It may still be going on, or may or may not have happened.
    Unknown,
}

/// Why a step failed. `Display` tells only this error; the cause is its source.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
#[expect(clippy::struct_excessive_bools, reason = "any of them may hold beside the others")]
pub struct StepError {
    pub message: String,
    pub help: Option<String>,
    pub touched: Touched,
    pub evidence: Value,
    /// Errors in what a person wrote, with their places.
    pub diagnostics: Option<Diagnostics>,
    /// A person's no, or nobody to ask.
    pub denied: bool,
    /// What it met is not what was approved: it is to be looked at, and asked about, again.
    pub again: bool,
    /// It stopped because somebody pressed Ctrl-C, not because something failed.
    pub interrupted: bool,
    /// It waits for what a person has to do elsewhere: the run is gone on with once that is done.
    pub waits: bool,
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StepError {
    pub fn new(message: impl Into<String>, touched: Touched) -> Self {
        Self {
            message: message.into(),
            help: None,
            touched,
            evidence: Value::Null,
            diagnostics: None,
            denied: false,
            again: false,
            interrupted: false,
            waits: false,
            source: None,
        }
    }

    /// Nothing was done.
    pub fn untouched(message: impl Into<String>) -> Self {
        Self::new(message, Touched::Nothing)
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    #[must_use]
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl From<Diagnostics> for StepError {
    fn from(diagnostics: Diagnostics) -> Self {
        let first = diagnostics.0.first().map(ToString::to_string).unwrap_or_default();
        Self { diagnostics: Some(diagnostics), ..Self::untouched(first) }
    }
}

/// What a look after a crash found.
#[derive(Clone, Debug)]
pub enum Reconciled {
    /// All of it happened.
    Done(Outcome),
    /// Some or none of it happened; doing the step (anew previewed) completes it.
    NotDone(String),
    /// Looking can't tell; a person has to.
    Undecided(String),
}

/// One action on the environment.
#[async_trait]
pub trait Step: Send + Sync {
    /// Looks at what would be done. Changes nothing.
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError>;
    /// Does what was previewed.
    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError>;
    /// After a crash between intent and outcome: looks whether it happened. Changes nothing.
    async fn reconcile(&self, cx: &Context, intent: &Intent) -> Result<Reconciled, StepError>;
    /// Earlier attempts of this run changed something, and there won't be another: what it takes to put that
    /// back, where the step is to. `execute` of it ends with an error that says what became of it.
    async fn withdrawal(&self, _cx: &Context) -> Result<Option<Preview>, StepError> {
        Ok(None)
    }
}

/// Takes samples and judges them.
#[async_trait]
pub trait Samples: Send + Sync {
    /// One sample of a gate: its verdict, and what it is judged by in a few words.
    async fn gate(&self, gate: &Gate, scope: &Values) -> (Verdict, String);
    /// Nothing where the check holds; the error to show where it doesn't.
    async fn check(&self, check: &Check, scope: &Values) -> Result<(), String>;
    async fn record(&self, record: &Record, scope: &Values) -> Result<Value, String>;
}

/// What expressions can name, as it is now.
pub trait Facts: Send + Sync {
    fn scope(&self) -> Values;
    /// `step.NAME` from now on.
    fn step_done(&self, step: &str, output: &Value);
    /// `step.NAME` is unknown until that step is done.
    fn expect_steps(&self, steps: &[String]);
    /// `recorded.NAME` from now on.
    fn recorded(&self, name: &str, value: &Value);
    /// Terraform outputs are unknown until read again.
    fn forget_outputs(&self);
}

/// What a step has at hand.
#[derive(Clone)]
pub struct Context {
    pub run: RunId,
    /// Who approved the run last; none while it is only looked at.
    pub approver: Option<String>,
    pub step: String,
    /// The environment's name, for commands that are offered.
    pub environment: String,
    pub attempt: u32,
    pub clock: Clock,
    pub teller: Teller,
    pub facts: Arc<dyn Facts>,
    /// What was done here before, by any run.
    pub journal: Journal,
    /// Intents of this run's earlier attempts at this step.
    pub earlier: Vec<Intent>,
    /// What the last run of the same plan that went well meant to do in this step: its precondition.
    pub last: Option<Value>,
    /// What a person set in place of the plan's guard.
    pub guard: Option<Value>,
    /// 0 until the first Ctrl-C, then the number of them.
    pub interrupts: watch::Receiver<u32>,
    pub(super) blobs: Arc<Blobs>,
    pub(super) dispatcher: Option<mpsc::UnboundedSender<Request>>,
}

impl Context {
    pub fn progress(&self, item: Option<String>, text: impl Into<String>, of: Option<(usize, usize)>) {
        self.teller.tell(What::StepProgress {
            step: self.step.clone(),
            item,
            text: text.into(),
            done: of.map(|(done, _)| done),
            of: of.map(|(_, of)| of),
        });
    }

    /// Journals the child that does the work, before anything that the step says after this. A record that
    /// can't be written stops the run.
    pub fn child(&self, pid: u32, started: String) {
        let Some(dispatcher) = &self.dispatcher else { return };
        let body = Body::StepChild { step: self.step.clone(), attempt: self.attempt, pid, started };
        let (reply, _) = oneshot::channel();
        // Once nobody receives any more, the run is over.
        let _ = dispatcher.send(Request::Append { body, reply });
    }

    /// Asks the person.
    pub async fn ask(&self, question: super::Question) -> super::Answer {
        let Some(dispatcher) = &self.dispatcher else { return super::Answer::Nobody };
        let (reply, answer) = oneshot::channel();
        if dispatcher.send(Request::Ask { question, reply }).is_err() {
            return super::Answer::Nobody;
        }
        answer.await.unwrap_or(super::Answer::Nobody)
    }

    /// What an intent can be undone with; none where it kept nothing, or it is gone.
    pub fn undo_of(&self, intent: &Intent) -> Option<Vec<u8>> {
        self.kept(intent.undo.as_ref()?)
    }

    /// Undo material of any run, by its name.
    pub fn kept(&self, name: &str) -> Option<Vec<u8>> {
        self.blobs.find(name)
    }

    /// Returns once Ctrl-C was pressed that often.
    pub async fn interrupted_times(&self, times: u32) {
        let mut interrupts = self.interrupts.clone();
        if interrupts.wait_for(|count| *count >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) async fn append(&self, body: Body) -> Result<(), JournalError> {
        let Some(dispatcher) = &self.dispatcher else { return Ok(()) };
        super::dispatch::append(dispatcher, body).await
    }
}
