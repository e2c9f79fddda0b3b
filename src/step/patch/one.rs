//! One job of a patch: registered, followed, and put back where it doesn't become healthy.

use std::time::Duration;

use super::edits::Edited;
use super::lasting::Lasting;
use super::outcome::{Back, Ended};
use super::taken::Standing;
use crate::base::text;
use crate::engine::Context;
use crate::nomad::{
    CLOSING, Client, FollowOptions, NomadError, Registered, Verdict, follow, is_idle, job_modify_index,
};
use crate::step::jobs::{PATIENCE, back_now, watch};

/// What a job of a patch is changed with.
#[derive(Clone, Copy)]
pub(super) struct Worker<'a> {
    pub cx: &'a Context,
    pub client: &'a Client,
    pub lasting: &'a Lasting,
    pub timeout: Duration,
}

impl Worker<'_> {
    /// Changes a job and waits until it is healthy, by its allocations: the server takes its time to say
    /// so of the deployment.
    pub async fn change(self, job: &Edited) -> Result<Registered, Ended> {
        let registered = match &job.standing {
            Standing::Open => self.register(job).await?,
            Standing::Taken(registered) => registered.clone(),
            Standing::Back(registered) => {
                let back = self.settled(registered).await;
                return Err(Ended::Failed(vec!["it failed since this run changed it".to_owned()], back));
            }
        };
        // There is nothing to wait for.
        if is_idle(&job.prior) && is_idle(&job.job) {
            return Ok(registered);
        }
        match watch(self.cx, self.client, &registered, self.timeout, Duration::ZERO).await {
            Ok(verdict) if verdict.is_healthy() => Ok(registered),
            Ok(verdict) => Err(self.failed(job, &registered, verdict).await),
            Err(error) => Err(Ended::Open(error.to_string())),
        }
    }

    async fn register(self, job: &Edited) -> Result<Registered, Ended> {
        self.cx.progress(Some(text::one_line(&job.id)), "registering", None);
        let source = self.lasting.source(&job.id);
        self.client.register_surely(&job.job, job.index, source).await.map_err(|error| match error {
            NomadError::Conflict { .. } => Ended::Conflict(error.to_string()),
            NomadError::OutcomeUnknown { .. } => Ended::Open(said(&error)),
            _ => Ended::Refused(said(&error)),
        })
    }

    /// Waits until the server has closed the deployment of a healthy job: it may fail after all.
    pub async fn closed(self, job: &Edited, registered: Registered) -> Ended {
        if is_idle(&job.job) {
            return Ended::Healthy(registered);
        }
        let options = FollowOptions { timeout: self.timeout, closing: CLOSING, ..FollowOptions::default() };
        let following = follow(self.client, &self.cx.clock, &registered, &options, &|_| {});
        let verdict = tokio::select! {
            verdict = following => verdict,
            () = self.cx.interrupted_times(2) => return Ended::Healthy(registered),
        };
        match verdict {
            Ok(verdict) if verdict.is_healthy() => Ended::Healthy(registered),
            Ok(verdict) => self.failed(job, &registered, verdict).await,
            // It was healthy when it was last seen.
            Err(_) => Ended::Healthy(registered),
        }
    }

    async fn failed(self, job: &Edited, registered: &Registered, verdict: Verdict) -> Ended {
        match verdict {
            Verdict::NeedsPromotion { .. } => {
                return Ended::Promotion(verdict.lines(), registered.job_modify_index);
            }
            Verdict::Superseded { by } => return Ended::Overtaken(by),
            _ => {}
        }
        let id = text::one_line(&job.id);
        let verdict = back_now(self.cx, self.client, verdict).await;
        if let Verdict::RolledBack { to, failure } = verdict {
            self.cx.progress(Some(id), format!("failed; Nomad rolls back to version {to}"), None);
            let back = match self.rolled_back(job, registered).await {
                Back::Ours => Back::ByNomad(to),
                other => other,
            };
            return Ended::Failed(failure.lines(), back);
        }
        self.cx.progress(Some(id), "failed; putting it back as it was", None);
        let back = self.put_back(job, registered.job_modify_index).await;
        Ended::Failed(verdict.lines(), back)
    }

    /// Waits until what Nomad went back to is healthy.
    async fn rolled_back(self, job: &Edited, failed: &Registered) -> Back {
        for _ in 0..20 {
            match self.client.as_registered(&job.id).await {
                Ok(Some(now)) if now.job_modify_index > failed.job_modify_index => {
                    return self.settled(&now).await;
                }
                Ok(Some(_)) => self.cx.clock.sleep(Duration::from_millis(250)).await,
                Ok(None) => return Back::Unhealthy("the job is gone".to_owned()),
                Err(error) => return Back::Unwatched(said(&error)),
            }
        }
        Back::Unhealthy("Nomad said that it would go back, and did not".to_owned())
    }

    /// Registers the job exactly as it was, over what we registered (`index`) and nothing else.
    pub async fn put_back(self, job: &Edited, index: u64) -> Back {
        let not = |why: String| Back::Not(why, index);
        let now = match self.client.job(&job.id).await {
            Ok(Some(now)) => now,
            Ok(None) => return not("the job is gone".to_owned()),
            Err(error) => return not(said(&error)),
        };
        if job_modify_index(&now) != index {
            return match self.client.is_as(&job.prior, &now).await {
                Ok(true) => Back::Ours,
                Ok(false) => not("somebody else changed it meanwhile".to_owned()),
                Err(error) => not(said(&error)),
            };
        }
        let source = self.lasting.source_before(&job.id);
        match self.client.register_surely(&job.prior, index, source).await {
            Ok(registered) => self.settled(&registered).await,
            Err(error @ NomadError::OutcomeUnknown { .. }) => Back::Unknown(said(&error)),
            Err(error) => not(said(&error)),
        }
    }

    /// Waits until what was there before is healthy again. How long a change may take says nothing of it.
    async fn settled(self, registered: &Registered) -> Back {
        match watch(self.cx, self.client, registered, PATIENCE, Duration::ZERO).await {
            Ok(verdict) if verdict.is_healthy() => Back::Ours,
            Ok(verdict) => Back::Unhealthy(verdict.lines().into_iter().next().unwrap_or_default()),
            Err(error) => Back::Unwatched(error.to_string()),
        }
    }
}

/// An error with its cause on one line.
fn said(error: &NomadError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
