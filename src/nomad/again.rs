//! Writes that may be sent again: those that a look at the server can tell the outcome of.
//!
//! Guarantees: a registration under check-and-set is carried out at most once, however often it is sent
//! and however late one of the requests arrives. What no look could settle ends as
//! [`NomadError::OutcomeUnknown`]; an error that says otherwise means that nothing was changed.

use std::time::Duration;

use super::client::Client;
use super::diff::is_unchanged;
use super::error::NomadError;
use super::facts::job_id;
use super::write::{Registered, Submission};

/// Waits before the looks: servers that lost their leader elect another within seconds.
const WAITS: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];

/// What a look found of a registration.
enum Found {
    /// The job is what was sent.
    Ours(Registered),
    /// The job is as it was before.
    Before,
    /// It is neither.
    Another,
}

impl Client {
    /// Registers `job`. With `enforce`, only if the job's `JobModifyIndex` still is that number
    /// (0: only if there is no such job; a stopped one counts as there); then a failure that may pass, or
    /// an answer that was lost, is followed by a look, and by another try where nothing had happened.
    /// The version tag is taken off: a tag names one version, and the server would copy it onto the next.
    pub async fn register(
        &self,
        job: &serde_json::Value,
        enforce: Option<u64>,
        submission: Option<&Submission>,
    ) -> Result<Registered, NomadError> {
        let (index, mut error) = match (enforce, self.register_once(job, enforce, submission).await) {
            (Some(index), Err(error)) if error.leaves_open() => (index, error),
            (_, other) => return other,
        };
        for wait in WAITS {
            self.clock().sleep(wait).await;
            let unknown = matches!(error, NomadError::OutcomeUnknown { .. });
            match self.look(job, index).await {
                Ok(Found::Ours(registered)) => return Ok(registered),
                Ok(Found::Another) if unknown => return Err(error),
                Ok(Found::Before | Found::Another) => {}
                // The server can't be asked: the next look may tell.
                Err(_) => continue,
            }
            match self.register_once(job, enforce, submission).await {
                Ok(registered) => return Ok(registered),
                // Whatever it says: an earlier request may have arrived since the look, or may yet.
                Err(_) if unknown => {}
                Err(again) if again.leaves_open() => error = again,
                Err(again) => return Err(again),
            }
        }
        Err(error)
    }

    async fn look(&self, job: &serde_json::Value, before: u64) -> Result<Found, NomadError> {
        let planned = self.plan(job).await?;
        match (is_unchanged(&planned.diff), planned.job_modify_index == before) {
            (false, true) => Ok(Found::Before),
            (true, false) => Ok(self.as_registered(job_id(job)).await?.map_or(Found::Another, Found::Ours)),
            // Where nothing was to be changed, the index doesn't tell whether it was registered.
            (_, _) => Ok(Found::Another),
        }
    }

    /// Ends a running deployment as failed; with auto-revert the server goes back to the last good
    /// version. The version it goes back to, where the server names one.
    pub async fn fail_deployment(&self, id: &str) -> Result<Option<u64>, NomadError> {
        let mut error = match self.fail_deployment_once(id).await {
            Err(error) if error.leaves_open() => error,
            other => return other,
        };
        for wait in WAITS {
            self.clock().sleep(wait).await;
            match self.deployment_after(id, 0, Duration::ZERO).await.map(|found| found.value) {
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
}
