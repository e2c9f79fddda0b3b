//! How long an environment has been down, and who says so.

use std::time::Duration;

use jiff::Timestamp;

use super::failure::Failure;
use super::open::Opened;
use crate::base::text;
use crate::journal::{Downtime, DowntimeSource, Run, RunStatus};

/// A downtime as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    Is(Downtime),
    Unknown,
}

impl Known {
    pub fn seconds(self) -> Option<f64> {
        match self {
            Self::Is(downtime) => Some(downtime.seconds),
            Self::Unknown => None,
        }
    }

    pub fn downtime(self) -> Option<Downtime> {
        match self {
            Self::Is(downtime) => Some(downtime),
            Self::Unknown => None,
        }
    }

    pub fn shown(self) -> String {
        let Self::Is(Downtime { seconds, source }) = self else { return "unknown".into() };
        let length = text::duration(Duration::from_secs_f64(seconds.max(0.0).round()));
        match source {
            DowntimeSource::Person => format!("{length} (--downtime)"),
            DowntimeSource::Journal if seconds <= 0.0 => "none: it is up".into(),
            DowntimeSource::Journal => format!("{length} (since the last stop)"),
            DowntimeSource::Sandbox => format!("{length} (says the sandbox)"),
            DowntimeSource::NeverStarted => "none: it was never started".into(),
        }
    }

    /// The downtime, or why a start can't be chosen without one.
    pub fn needed(self) -> Result<Downtime, Failure> {
        self.downtime().ok_or_else(|| {
            Failure::refused("how long the environment was down is not known: its journal holds no stop")
                .help("say it: --downtime 3d (it decides which plan applies, and is recorded)")
        })
    }
}

/// What the journal's last finished or begun change of the whole environment left it as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    Up,
    /// Down, wholly or in part, since then.
    Down(Timestamp),
}

/// Stops and starts in the order in which they had their effect. Going on with a stop, or stopping what is
/// down, doesn't make it down later.
fn left(runs: &[Run]) -> Option<Left> {
    let mut changes: Vec<(Timestamp, Left)> = Vec::new();
    for run in runs {
        match run.operation.as_deref() {
            Some("stop") if run.may_have_changed() => {
                let since = run.changed_at().unwrap_or(run.started);
                changes.push((since, Left::Down(since)));
            }
            Some("start") if run.status == RunStatus::Done => changes.push((run.last, Left::Up)),
            _ => {}
        }
    }
    changes.sort_by_key(|(at, _)| *at);
    changes.into_iter().fold(None, |before, (_, change)| match (before, change) {
        (Some(Left::Down(since)), Left::Down(_)) => Some(Left::Down(since)),
        (_, change) => Some(change),
    })
}

/// When the environment was last taken down, wholly or in part, and not started since.
pub fn last_stop(runs: &[Run]) -> Option<Timestamp> {
    match left(runs) {
        Some(Left::Down(since)) => Some(since),
        Some(Left::Up) | None => None,
    }
}

/// `--downtime`, else the journal, else the sandbox; 0 for what was never started.
pub async fn find(opened: &Opened, given: Option<Duration>) -> Result<Known, Failure> {
    let is = |seconds: f64, source| Ok(Known::Is(Downtime { seconds, source }));
    if let Some(given) = given {
        return is(given.as_secs_f64(), DowntimeSource::Person);
    }
    let runs = opened.journal.runs()?;
    let now = opened.clock.now();
    match left(&runs) {
        Some(Left::Up) => return is(0.0, DowntimeSource::Journal),
        Some(Left::Down(since)) => {
            return is(now.duration_since(since).as_secs_f64().max(0.0), DowntimeSource::Journal);
        }
        None => {}
    }
    if let Some(since) = opened.sandbox.as_ref().and_then(|sandbox| sandbox.down_since) {
        return is(now.duration_since(since).as_secs_f64().max(0.0), DowntimeSource::Sandbox);
    }
    let Some(terraform) = &opened.settings.terraform else { return Ok(Known::Unknown) };
    if runs.iter().any(|run| run.operation.as_deref() == Some("bootstrap") && run.status == RunStatus::Done) {
        return is(0.0, DowntimeSource::NeverStarted);
    }
    // The journal says nothing: the state may.
    let environment = opened.environment(std::collections::BTreeMap::new(), None)?;
    let Some(driver) = environment.terraform() else { return Ok(Known::Unknown) };
    let state = driver.state().await.map_err(|error| Failure::error(super::failure::chain(&error)))?;
    if state.resources.is_empty() {
        return is(0.0, DowntimeSource::NeverStarted);
    }
    let targeted = |address: &str| {
        terraform.targets.iter().any(|target| address == target || address.starts_with(&format!("{target}.")))
    };
    if state.resources.iter().any(|resource| targeted(&resource.address)) {
        return is(0.0, DowntimeSource::Journal);
    }
    Ok(Known::Unknown)
}
