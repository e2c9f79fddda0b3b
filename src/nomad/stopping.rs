//! Follows a stop until nothing of the job runs any more.
//!
//! Nomad calls a job dead as soon as it has decided so; its tasks may take their `kill_timeout` to end.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::error::NomadError;
use super::facts::is_stopped;
use super::follow::{FollowOptions, Trouble, breathe, elapsed, longest_wait};
use super::types::Allocation;
use super::verdict::Progress;
use crate::base::Clock;

/// How a stop ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stopped", rename_all = "snake_case")]
pub enum Stopped {
    /// Nothing of it runs.
    Done,
    /// These allocations still ran when the time was over.
    StillRunning { allocations: Vec<String> },
    /// Somebody registered it again.
    Superseded,
}

/// Waits until every allocation of a job that was stopped (or purged) has ended.
/// Of the options, `timeout` and `trouble` count.
pub async fn follow_stop(
    client: &Client,
    clock: &Clock,
    job: &str,
    options: &FollowOptions,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Stopped, NomadError> {
    let start = clock.now();
    let mut trouble = Trouble::default();
    let mut index = 0;
    loop {
        let left = options.timeout.saturating_sub(elapsed(clock, start));
        let since = clock.now();
        match look(client, job, index, left.min(longest_wait(clock))).await {
            Ok(None) => return Ok(Stopped::Superseded),
            Ok(Some((_, running))) if running.is_empty() => return Ok(Stopped::Done),
            Ok(Some((_, running))) if left.is_zero() => {
                return Ok(Stopped::StillRunning {
                    allocations: running.into_iter().map(|a| a.id).collect(),
                });
            }
            Ok(Some((next, _))) => {
                trouble.over();
                breathe(clock, (index, next), left.min(longest_wait(clock)), since).await;
                index = next;
            }
            Err(error) => trouble.bear(error, clock, options.trouble, tell).await?,
        }
    }
}

/// What still runs, and the index for the next look; none where the job is on again.
async fn look(
    client: &Client,
    job: &str,
    index: u64,
    wait: std::time::Duration,
) -> Result<Option<(u64, Vec<Allocation>)>, NomadError> {
    let answer = client.allocations_after(job, index, wait).await?;
    if client.job(job).await?.is_some_and(|job| !is_stopped(&job)) {
        return Ok(None);
    }
    let ended = |a: &Allocation| matches!(a.client_status.as_str(), "complete" | "failed" | "lost");
    let running = answer.value.into_iter().filter(|a| !ended(a)).collect();
    Ok(Some((answer.index, running)))
}
