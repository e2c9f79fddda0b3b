//! How each job of a patch ended, in words and for the journal.

use serde_json::{Value, json};

use super::edits::Edited;
use crate::base::text;
use crate::engine::{Outcome, StepError, Touched};
use crate::nomad::Registered;

/// How one job ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Healthy(Registered),
    /// It didn't become healthy: why, the main thing first, and what became of it.
    Failed(Vec<String>, Back),
    /// It was healthy, or not known not to be, and was put back because another one failed.
    Taken(Back),
    /// The server didn't take it; nothing was changed.
    Refused(String),
    /// Somebody else changed it since it was looked at; nothing was changed.
    Conflict(String),
    /// Somebody else changed it after us.
    Overtaken(String),
    /// Its canaries are healthy, and wait for a person; the index of our registration.
    Promotion(Vec<String>, u64),
    /// What became of it is not known.
    Open(String),
    NotBegun,
}

/// What became of a job that failed.
#[derive(Clone, Debug)]
pub(super) enum Back {
    /// Nomad itself went back to this version.
    ByNomad(u64),
    /// It is as it was before, and healthy.
    Ours,
    /// It is as it was before, and not healthy: why.
    Unhealthy(String),
    /// It is as it was before; whether it is healthy so isn't known: why.
    Unwatched(String),
    /// It is as the patch made it, or as somebody else made it since: why, and the index of our registration.
    Not(String, u64),
    /// Whether it is as it was before is not known: why.
    Unknown(String),
}

impl Back {
    fn words(&self) -> String {
        match self {
            Self::ByNomad(version) => format!("Nomad rolls back to version {version}"),
            Self::Ours => "it was put back as it was".to_owned(),
            Self::Unhealthy(why) => {
                let why = after_not_healthy(why);
                format!("it was put back as it was, and isn't healthy so either{why}")
            }
            Self::Unwatched(why) => {
                format!("it was put back as it was; whether it is healthy so is not known: {why}")
            }
            Self::Not(why, _) => format!("it was NOT put back: {why}"),
            Self::Unknown(why) => format!("whether it was put back is not known: {why}"),
        }
    }

    /// Whether the job is known to be as it was.
    fn is_as_before(&self) -> bool {
        !matches!(self, Self::Not(..) | Self::Unknown(_))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::ByNomad(_) => "rolled_back",
            Self::Ours => "reverted",
            Self::Unhealthy(_) | Self::Unwatched(_) => "reverted_unhealthy",
            Self::Not(..) => "left",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl Ended {
    /// One word for the journal.
    fn name(&self) -> &'static str {
        match self {
            Self::Healthy(_) => "done",
            Self::Failed(_, back) | Self::Taken(back) => back.name(),
            Self::Refused(_) => "refused",
            Self::Conflict(_) => "conflict",
            Self::Overtaken(_) => "overtaken",
            Self::Promotion(..) => "needs_promotion",
            Self::Open(_) => "unknown",
            Self::NotBegun => "not_begun",
        }
    }

    /// On one line: what happened, and why.
    pub fn words(&self) -> String {
        match self {
            Self::Healthy(_) => "changed and healthy".to_owned(),
            Self::Failed(why, back) => {
                let why = after_not_healthy(why.first().map_or("", String::as_str));
                format!("not healthy{why}; {}", back.words())
            }
            Self::Taken(back) => format!("changed, but {}", back.words()),
            Self::Refused(why) => format!("not changed: {why}"),
            Self::Conflict(why) => format!("not changed: {why}"),
            Self::Overtaken(why) => format!("somebody else changed it meanwhile: {why}"),
            Self::Promotion(..) => "its canaries are healthy, and it needs manual promotion".to_owned(),
            Self::Open(why) => format!("what became of it is not known: {why}"),
            Self::NotBegun => "not begun".to_owned(),
        }
    }

    /// What else there is to say, a line each.
    fn details(&self) -> &[String] {
        match self {
            Self::Failed(why, _) => why.get(1..).unwrap_or_default(),
            Self::Promotion(lines, _) => lines.get(1..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Whether somebody has to look what became of it.
    fn is_open(&self) -> bool {
        matches!(self, Self::Open(_) | Self::Failed(_, Back::Unknown(_)) | Self::Taken(Back::Unknown(_)))
    }

    /// The index of our registration, where that may be what is there.
    fn registered(&self) -> Option<u64> {
        match self {
            Self::Healthy(registered) => Some(registered.job_modify_index),
            Self::Failed(_, Back::Not(_, index))
            | Self::Taken(Back::Not(_, index))
            | Self::Promotion(_, index) => Some(*index),
            _ => None,
        }
    }

    fn is_change(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Conflict(_) | Self::NotBegun)
    }
}

/// Why something isn't healthy, behind words that say that it isn't: those may be the reason's own.
fn after_not_healthy(why: &str) -> String {
    match why.strip_prefix("not healthy") {
        Some(rest) if rest.starts_with([' ', ':']) => rest.to_owned(),
        _ => format!(": {why}"),
    }
}

/// The whole patch's outcome; `ended` is that of each of the jobs.
pub(super) fn of_all(jobs: &[Edited], ended: &[Ended]) -> Result<Outcome, StepError> {
    let pairs = || jobs.iter().zip(ended);
    let evidence = json!({ "jobs": pairs().map(|(job, ended)| record(job, ended)).collect::<Vec<_>>() });
    let named = |test: &dyn Fn(&Ended) -> bool| -> Vec<String> {
        pairs().filter(|(_, ended)| test(ended)).map(|(job, _)| text::one_line(&job.id)).collect()
    };
    let done = named(&|ended| matches!(ended, Ended::Healthy(_)));
    if done.len() == jobs.len() {
        let summary = format!("{} changed and healthy", text::count(jobs.len(), "job"));
        return Ok(Outcome { summary, evidence, output: Value::Null });
    }
    let touched = if ended.iter().any(Ended::is_open) {
        Touched::Unknown
    } else if ended.iter().any(Ended::is_change) {
        Touched::Something
    } else {
        Touched::Nothing
    };
    let not_begun = named(&|ended| matches!(ended, Ended::NotBegun));
    let bad = |ended: &Ended| !matches!(ended, Ended::Healthy(_) | Ended::NotBegun | Ended::Taken(_));
    let mut message: Vec<String> = Vec::new();
    for (job, ended) in pairs().filter(|(_, ended)| bad(ended)) {
        message.push(format!("'{}': {}", text::one_line(&job.id), ended.words()));
        message.extend(ended.details().iter().map(|line| format!("  {line}")));
    }
    // The first line stands for all of it where there is room for one only.
    let back = named(&|ended| matches!(ended, Ended::Taken(back) if back.is_as_before()));
    if let (Some(first), false) = (message.first_mut(), back.is_empty()) {
        first.push_str(&format!("; put back too: {}", text::list(&back)));
    }
    for (job, ended) in pairs().filter(|(_, ended)| matches!(ended, Ended::Taken(_))) {
        message.push(format!("'{}': {}", text::one_line(&job.id), ended.words()));
    }
    let interrupted = message.is_empty();
    if interrupted {
        message.push(format!("interrupted after {} of {}", done.len(), text::count(jobs.len(), "job")));
    }
    if !done.is_empty() {
        message.push(format!("changed and healthy: {}", text::list(&done)));
    }
    if !not_begun.is_empty() {
        message.push(format!("not begun: {}", text::list(&not_begun)));
    }
    let again =
        ended.iter().all(|ended| matches!(ended, Ended::Healthy(_) | Ended::NotBegun | Ended::Conflict(_)))
            && !interrupted;
    let first = pairs().find(|(_, ended)| bad(ended));
    let id = first.map(|(job, _)| text::one_line(&job.id)).unwrap_or_default();
    let help = match first.map(|(_, ended)| ended) {
        Some(Ended::Promotion(..)) => {
            let help = "promote it or give it up, then resume: promoted, it follows on and writes the files; given \
                up, the job becomes as it was before";
            Some(help.to_owned())
        }
        Some(Ended::Failed(_, Back::Not(..))) => Some(format!("look at it: nomad job status {id}")),
        Some(ended) if ended.is_open() => Some(format!("look at it (nomad job status {id}), or resume")),
        _ => None,
    };
    let settled = |ended: &Ended| matches!(ended, Ended::Healthy(_) | Ended::NotBegun);
    let waits = !interrupted
        && ended.iter().any(|ended| matches!(ended, Ended::Promotion(..)))
        && ended.iter().all(|ended| settled(ended) || matches!(ended, Ended::Promotion(..)));
    let error = StepError::new(message.join("\n"), touched);
    Err(StepError { help, evidence, again, interrupted, waits, ..error })
}

fn record(job: &Edited, ended: &Ended) -> Value {
    let mut record = json!({
        "id": job.id,
        "index": job.index,
        "changes": job.changes,
        "outcome": ended.name(),
    });
    if let Some(index) = ended.registered() {
        record["registered"] = index.into();
    }
    match ended {
        Ended::Healthy(registered) => {
            record["evaluation"] = json!(registered.eval_id);
        }
        Ended::NotBegun => {}
        other => record["why"] = other.words().into(),
    }
    record
}
