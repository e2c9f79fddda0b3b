//! The kinds of events and their parts.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::RunId;

/// The version of the event format.
pub const VERSION: u32 = 1;

/// One event, as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// [`VERSION`].
    pub v: u32,
    /// On the run's clock: simulated time where `simulated`.
    pub at: Timestamp,
    pub run: Option<RunId>,
    pub simulated: bool,
    pub event: What,
}

/// How a line of a preview is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    Add,
    Change,
    Remove,
    Replace,
    Plain,
    /// What a guard refuses.
    Offending,
}

/// One line of what is shown to a person: how deep, what kind, what text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub mark: Mark,
    pub depth: u8,
    pub text: String,
}

impl Line {
    pub fn new(mark: Mark, depth: u8, text: impl Into<String>) -> Self {
        Self { mark, depth, text: text.into() }
    }

    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(Mark::Plain, 0, text)
    }
}

/// What a step would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepShown {
    pub wave: String,
    pub step: String,
    pub kind: String,
    /// One line: "13 to add, all under module.core.*".
    pub summary: String,
    pub lines: Vec<Line>,
    /// Why it can't be known before the run gets there, where it can't.
    pub later: Option<String>,
}

/// What one sample said of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    NotYet,
    Fail,
    Error,
    NoData,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Done,
    NothingToDo,
    /// A check or guard refused.
    Refused,
    Denied,
    Failed,
    /// Unfinished and resumable.
    Paused,
}

/// What happened. Lengths of time are seconds on the run's clock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// The first of a run: what it works on, and who asked.
    Target {
        project: String,
        environment: String,
        protected: bool,
        plan: String,
        details: Vec<(String, String)>,
    },
    Note {
        text: String,
    },
    Warning {
        text: String,
    },
    CheckPassed {
        name: String,
        wave: Option<String>,
    },
    CheckFailed {
        name: String,
        wave: Option<String>,
        error: String,
    },
    /// A step is being looked at; on a terminal this is what the person sees meanwhile.
    Looking {
        step: String,
        doing: String,
    },
    Shown {
        step: StepShown,
    },
    /// Everything is shown; this is what approval binds to.
    Decision {
        digest: String,
        waves: Vec<String>,
        later: usize,
    },
    Approved {
        who: String,
        how: String,
    },
    WaveStarted {
        wave: String,
        index: usize,
        of: usize,
    },
    WaveDone {
        wave: String,
        seconds: f64,
    },
    StepStarted {
        wave: String,
        step: String,
        kind: String,
        summary: String,
    },
    /// Something the step did. `item` names what it is about, where it is one of several.
    StepProgress {
        step: String,
        item: Option<String>,
        text: String,
        done: Option<usize>,
        of: Option<usize>,
    },
    StepDone {
        step: String,
        summary: String,
        seconds: f64,
    },
    StepFailed {
        step: String,
        error: String,
        seconds: f64,
        /// It was stopped by Ctrl-C, and nothing of it failed.
        #[serde(default)]
        interrupted: bool,
    },
    GateStarted {
        wave: String,
        gate: String,
        every: f64,
        deadline: f64,
        consecutive: u32,
    },
    GateSampled {
        wave: String,
        gate: String,
        verdict: Verdict,
        detail: String,
        passes: u32,
        needed: u32,
        waited: f64,
    },
    GatePassed {
        wave: String,
        gate: String,
        detail: String,
        waited: f64,
    },
    GateFailed {
        wave: String,
        gate: String,
        error: String,
        waited: f64,
    },
    Recorded {
        name: String,
        value: serde_json::Value,
    },
    Interrupted {
        text: String,
    },
    Finished {
        ending: Ending,
        summary: String,
        done: Vec<String>,
        not_done: Vec<String>,
        /// The command that goes on from here.
        next: Option<String>,
        /// What else a person can do about how it ended.
        #[serde(default)]
        help: Option<String>,
        /// The head of the journal's hash chain, to be kept elsewhere.
        head: Option<String>,
        seconds: f64,
    },
}
