//! Registering by check-and-set, and ending a deployment, whatever happens to single requests.
//!
//! Guarantees: the job is registered once at most, since every try carries the same index and the server
//! takes one of them only; where an answer was lost, the job is looked at before anything is said or done.

use serde_json::Value;

use super::client::{Client, pause};
use super::error::NomadError;
use super::facts::{is_stopped, job_id, job_modify_index};
use super::read::shown;
use super::write::{Registered, Submission};
use super::{diff, facts};

/// What stands in the place of a registration whose answer wasn't had.
enum Found {
    /// What was to be registered.
    Ours(Registered),
    /// What was there before.
    Before,
    /// Something else: the index of it, none where the job is gone.
    Other(Option<u64>),
}

impl Client {
    /// As [`Self::register`] with `index` enforced. Errors: as there; `Conflict` only where the job is
    /// another one by now, `OutcomeUnknown` only where it could not be looked at or stayed open.
    pub async fn register_surely(
        &self,
        job: &Value,
        index: u64,
        submission: Option<&Submission>,
    ) -> Result<Registered, NomadError> {
        let mut tries = 0;
        // Whether a try may have been carried out, and nobody said so.
        let mut lost = false;
        loop {
            let error = match self.register(job, Some(index), submission).await {
                Ok(registered) => return Ok(registered),
                Err(error) => error,
            };
            lost |= error.leaves_open();
            let open = matches!(error, NomadError::OutcomeUnknown { .. } | NomadError::Conflict { .. });
            if open || error.is_transient() {
                match self.found(job, index, lost, &error).await? {
                    Found::Ours(registered) => return Ok(registered),
                    Found::Before => {}
                    Found::Other(actual) => {
                        let NomadError::Conflict { .. } = error else {
                            let text = match actual {
                                Some(actual) => format!("its index is {actual} now, not {index}"),
                                None => "there is no such job any more".to_owned(),
                            };
                            return Err(NomadError::Conflict {
                                job: shown(job_id(job)),
                                enforced: index,
                                actual,
                                text,
                            });
                        };
                        return Err(error);
                    }
                }
            }
            // Nothing is lost by trying the same again: of several tries the server takes one.
            let wait = match (&error, open) {
                (_, true) => super::client::BACKOFF.get(tries).copied(),
                (error, false) => pause(error, tries),
            };
            let Some(wait) = wait else { return Err(error) };
            self.clock().sleep(wait).await;
            tries += 1;
        }
    }

    async fn found(
        &self,
        job: &Value,
        index: u64,
        lost: bool,
        because: &NomadError,
    ) -> Result<Found, NomadError> {
        let unknown = |error: NomadError| NomadError::OutcomeUnknown {
            what: format!("registering job '{}'", shown(job_id(job))),
            reason: format!("{because}; and then: {error}"),
        };
        let id = job_id(job);
        let Some(now) = self.job(id).await.map_err(unknown)? else {
            return Ok(if index == 0 { Found::Before } else { Found::Other(None) });
        };
        let actual = job_modify_index(&now);
        if actual == index {
            return Ok(Found::Before);
        }
        if is_stopped(&now) != is_stopped(job) {
            return Ok(Found::Other(Some(actual)));
        }
        // The server knows what of the two is the same to it.
        let planned = self.plan(job).await.map_err(unknown)?;
        if planned.job_modify_index != actual || !diff::is_unchanged(&planned.diff) {
            let ours = if lost { self.overtaken(job, index).await.map_err(unknown)? } else { None };
            return Ok(ours.map_or(Found::Other(Some(actual)), Found::Ours));
        }
        match self.as_registered(id).await.map_err(unknown)? {
            Some(registered) => Ok(Found::Ours(registered)),
            None => Ok(Found::Other(None)),
        }
    }

    /// The registration of a job over the version that it was read from, where another one has followed it
    /// already: the server's own, that goes back, or somebody else's.
    async fn overtaken(&self, job: &Value, index: u64) -> Result<Option<Registered>, NomadError> {
        let Some(version) = job.get("Version").and_then(Value::as_u64) else { return Ok(None) };
        let then = self.was_at(job, version + 1).await?.map(|then| job_modify_index(&then));
        let then = then.filter(|then| *then > index);
        Ok(then.map(|job_modify_index| Registered {
            job_id: job_id(job).to_owned(),
            job_modify_index,
            ..Registered::default()
        }))
    }

    /// An older version of a job, if it was this one: in the server's own words, who fills in what isn't said. A
    /// version that the server has forgotten was not.
    pub async fn was_at(&self, job: &Value, version: u64) -> Result<Option<Value>, NomadError> {
        let Some(then) = self.job_at(job_id(job), version).await? else { return Ok(None) };
        if facts::specification(&then) == facts::specification(job) {
            return Ok(Some(then));
        }
        let (was, is) = tokio::try_join!(self.plan(&then), self.plan(job))?;
        Ok((diff::canonical(&was.diff) == diff::canonical(&is.diff)).then_some(then))
    }

    /// Ends a running deployment as failed; with auto-revert the server goes back to the last good
    /// version. The version it goes back to, where the server names one.
    pub async fn fail_deployment(&self, id: &str) -> Result<Option<u64>, NomadError> {
        let mut error = match self.fail_deployment_once(id).await {
            Err(error) if error.leaves_open() => error,
            other => return other,
        };
        for wait in super::client::BACKOFF {
            self.clock().sleep(wait).await;
            match self.deployment_after(id, 0, std::time::Duration::ZERO).await.map(|found| found.value) {
                Ok(Some(deployment)) if deployment.status == "failed" => {
                    return Ok(deployment.rolls_back_to());
                }
                Ok(Some(_)) => match self.fail_deployment_once(id).await {
                    // Nor does a deployment that has ended meanwhile end again.
                    Err(again @ NomadError::Server { .. }) => error = again,
                    Err(again) if again.leaves_open() => error = again,
                    other => return other,
                },
                Ok(None) => return Err(error),
                Err(_) => {}
            }
        }
        Err(error)
    }

    /// Whether the job is as `wanted` by now, but for what the server keeps in it by itself.
    pub async fn is_as(&self, wanted: &Value, now: &Value) -> Result<bool, NomadError> {
        if facts::specification(now) == facts::specification(wanted) {
            return Ok(true);
        }
        let planned = self.plan(wanted).await?;
        Ok(planned.job_modify_index == job_modify_index(now) && diff::is_unchanged(&planned.diff))
    }
}
