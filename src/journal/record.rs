//! What one record says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::base::{RunId, Secrets};

/// The version of the record format that is written.
pub const FORMAT: u32 = 2;

/// One record of an environment's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// From 1, without gaps, over all runs of the environment.
    pub seq: u64,
    pub at: Timestamp,
    pub run: RunId,
    pub body: Body,
    /// The hash of the record before, empty for the first.
    pub previous: String,
    pub hash: String,
}

impl Record {
    /// A record with its hash.
    pub fn new(seq: u64, at: Timestamp, run: RunId, body: Body, previous: String) -> Self {
        let mut record = Self { seq, at, run, body, previous, hash: String::new() };
        record.hash = record.computed_hash();
        record
    }

    /// SHA-256 over all other fields, hexadecimal.
    pub fn computed_hash(&self) -> String {
        self.hash_with(&self.body_text())
    }

    /// The body as canonical JSON: without spaces, its maps sorted.
    pub(super) fn body_text(&self) -> String {
        // Through Value, whose maps are sorted.
        serde_json::to_value(&self.body).map(|body| body.to_string()).unwrap_or_default()
    }

    /// The hash with this text in the place of the body's own: that of the whole record as canonical JSON.
    pub(super) fn hash_with(&self, body: &str) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        let mut hash = Sha256::new();
        hash.update(format!("{{\"at\":{},\"body\":", text(&self.at.to_string())));
        hash.update(body);
        let (previous, run) = (text(&self.previous), text(&self.run.0));
        hash.update(format!(",\"previous\":{previous},\"run\":{run},\"seq\":{}}}", self.seq));
        hex(&hash.finalize())
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// How long the environment was down, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Downtime {
    pub seconds: f64,
    pub source: DowntimeSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DowntimeSource {
    /// `--downtime`
    Person,
    /// From the last stop in this journal.
    Journal,
    /// The simulated environment said so.
    Sandbox,
    /// It was never started.
    NeverStarted,
}

/// What a look after a crash found of a step whose outcome isn't in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// All of it had happened.
    Done,
    /// None of it, or a part that doing it again completes.
    NotDone,
}

/// What is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Body {
    RunStarted {
        format: u32,
        /// The version of blackstart that wrote it.
        version: String,
        plan: String,
        operation: Option<String>,
        /// SHA-256 of the plan file.
        plan_hash: String,
        inputs: BTreeMap<String, String>,
        downtime: Option<Downtime>,
        who: String,
        /// The project's root.
        root: String,
    },
    /// A later process went on with the run.
    RunResumed {
        who: String,
        plan_hash: String,
    },
    Approved {
        digest: String,
        who: String,
        how: String,
    },
    Denied {
        digest: String,
        who: String,
    },
    /// A person allowed counts that the plan's guard doesn't.
    GuardSet {
        step: String,
        guard: serde_json::Value,
        who: String,
    },
    WaveStarted {
        wave: String,
    },
    WaveDone {
        wave: String,
    },
    /// Written before the act.
    StepIntended {
        wave: String,
        step: String,
        attempt: u32,
        digest: String,
        who: String,
        /// What was seen right before, and what is meant to be done, in the step kind's own shape.
        precondition: serde_json::Value,
        /// SHA-256 of the undo material, which lies beside the journal.
        undo: Option<String>,
    },
    /// The act runs as a child, which outlives us if we are killed.
    StepChild {
        step: String,
        attempt: u32,
        pid: u32,
        started: String,
    },
    StepDone {
        step: String,
        attempt: u32,
        /// False where there was nothing to do.
        changed: bool,
        evidence: serde_json::Value,
        /// `step.NAME`, for the steps after it.
        output: serde_json::Value,
    },
    /// Failed; `touched` unless nothing at all was done.
    StepFailed {
        step: String,
        attempt: u32,
        error: String,
        touched: bool,
        evidence: serde_json::Value,
    },
    StepReconciled {
        step: String,
        attempt: u32,
        found: Found,
        detail: String,
    },
    GatePassed {
        wave: String,
        gate: String,
        detail: String,
    },
    /// A gate was passed over: by whom, or by the plan's `on_deadline = "continue"`.
    GateWaived {
        wave: String,
        gate: String,
        who: String,
        detail: String,
    },
    Recorded {
        name: String,
        value: serde_json::Value,
    },
    Answered {
        question: String,
        answer: String,
        who: String,
    },
    /// A live change that no file has counts as given up. Since format 2.
    PatchDropped {
        job: String,
        path: String,
        who: String,
        /// `patch drop`, or the flag.
        how: String,
    },
    /// Every job that was registered before a stop, exactly. Since format 2.
    JobsKept {
        /// Their `JobModifyIndex`, by id.
        jobs: BTreeMap<String, u64>,
        /// SHA-256 of the jobs as the server held them: a JSON list beside the journal, with the undo material.
        undo: String,
    },
    RunPaused {
        reason: String,
    },
    RunFailed {
        reason: String,
    },
    RunDone {
        changed: bool,
    },
    /// A person said that it will not be gone on with.
    RunAbandoned {
        who: String,
    },
}

impl Body {
    /// The same with known secrets masked in texts and values. Names, digests and counts are left alone:
    /// the record's meaning hangs on them.
    #[must_use]
    pub fn masked(&self, secrets: &Secrets) -> Self {
        let mut body = self.clone();
        let text = |text: &mut String| *text = secrets.mask(text);
        match &mut body {
            Self::RunStarted { inputs, .. } => inputs.values_mut().for_each(text),
            Self::StepIntended { precondition, .. } => secrets.mask_json(precondition),
            Self::StepDone { evidence, output, .. } => {
                secrets.mask_json(evidence);
                secrets.mask_json(output);
            }
            Self::StepFailed { error, evidence, .. } => {
                text(error);
                secrets.mask_json(evidence);
            }
            Self::StepReconciled { detail, .. }
            | Self::GatePassed { detail, .. }
            | Self::GateWaived { detail, .. } => {
                text(detail);
            }
            Self::Recorded { value, .. } => secrets.mask_json(value),
            Self::Answered { question, answer, .. } => {
                text(question);
                text(answer);
            }
            Self::RunPaused { reason } | Self::RunFailed { reason } => text(reason),
            Self::RunResumed { .. }
            | Self::Approved { .. }
            | Self::Denied { .. }
            | Self::GuardSet { .. }
            | Self::WaveStarted { .. }
            | Self::WaveDone { .. }
            | Self::StepChild { .. }
            | Self::PatchDropped { .. }
            | Self::JobsKept { .. }
            | Self::RunDone { .. }
            | Self::RunAbandoned { .. } => {}
        }
        body
    }
}
