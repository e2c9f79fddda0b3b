//! Everything that is asked without changing anything.
//!
//! Answers come from the leader (no stale reads). A thing that doesn't exist is `None`, not an error.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{Call, Client, escape, json};
use super::error::NomadError;
use super::types::{Allocation, CheckResult, Deployment, Evaluation, JobStub, Node};
use crate::http::Response;

/// The oldest version this works with: job submissions came with 1.6.
pub const MINIMUM_VERSION: &str = "1.6.0";

/// The longest that a server holds a request.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// An answer and the index of the state it was read from.
#[derive(Clone, Debug)]
pub struct Indexed<T> {
    /// `X-Nomad-Index`, to be given to the next blocking query; 0 where the server sent none.
    pub index: u64,
    pub value: T,
}

/// What a cluster needs before it can take jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The servers have elected a leader.
    pub leader: bool,
    /// Nodes that take work, of all that are known.
    pub nodes_ready: usize,
    pub nodes: usize,
}

impl Readiness {
    pub fn is_ready(self) -> bool {
        self.leader && self.nodes_ready > 0
    }
}

impl Client {
    /// The servers' version; none where the agent doesn't tell (or doesn't let this token ask).
    pub async fn version(&self) -> Result<Option<String>, NomadError> {
        let call = Call::get("/v1/agent/self", "its version");
        let agent: Value = match self.read(&call).await {
            Ok(answer) => json(&answer, &call.what)?,
            Err(NomadError::NotFound { .. } | NomadError::Unauthorized { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let places = ["/member/Tags/build", "/config/Version/Version", "/config/Version"];
        let found = places.iter().find_map(|at| agent.pointer(at)?.as_str());
        Ok(found.map(crate::base::text::one_line))
    }

    /// As [`Self::version`]; an error where it is below [`MINIMUM_VERSION`].
    pub async fn check_version(&self) -> Result<Option<String>, NomadError> {
        let found = self.version().await?;
        match &found {
            Some(found) if numbers(found) < numbers(MINIMUM_VERSION) => {
                Err(NomadError::TooOld { found: found.clone(), minimum: MINIMUM_VERSION })
            }
            _ => Ok(found),
        }
    }

    /// The leader's address; none while there is none.
    pub async fn leader(&self) -> Result<Option<String>, NomadError> {
        let call = Call::get("/v1/status/leader", "its leader");
        let leader: String = match self.read(&call).await {
            Ok(answer) => json(&answer, &call.what)?,
            Err(NomadError::Server { text, .. }) if text.contains("No cluster leader") => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(leader).filter(|leader| !leader.is_empty()))
    }

    /// Whether jobs can be given to the cluster now.
    pub async fn readiness(&self) -> Result<Readiness, NomadError> {
        if self.leader().await?.is_none() {
            return Ok(Readiness { leader: false, nodes_ready: 0, nodes: 0 });
        }
        let nodes = self.nodes().await?;
        let nodes_ready = nodes.iter().filter(|node| node.takes_work()).count();
        Ok(Readiness { leader: true, nodes_ready, nodes: nodes.len() })
    }

    /// All jobs of the namespace, page by page.
    pub async fn jobs(&self) -> Result<Vec<JobStub>, NomadError> {
        let mut jobs = Vec::new();
        let mut next = String::new();
        loop {
            let mut call = Call::get("/v1/jobs", "the list of jobs").query("per_page", &100);
            if !next.is_empty() {
                call = call.query("next_token", &next);
            }
            let answer = self.read(&call).await?;
            jobs.extend(json::<Option<Vec<JobStub>>>(&answer, &call.what)?.unwrap_or_default());
            let token = header(&answer, "x-nomad-nexttoken").unwrap_or_default().to_owned();
            if token.is_empty() || token == next {
                return Ok(jobs);
            }
            next = token;
        }
    }

    /// The job as the server holds it, every field kept.
    pub async fn job(&self, id: &str) -> Result<Option<Value>, NomadError> {
        self.optional(&Call::get(job_path(id, ""), format!("job '{}'", shown(id)))).await
    }

    /// The versions of a job that the server still holds, newest first; none where there is no such job.
    pub async fn versions(&self, id: &str) -> Result<Vec<Value>, NomadError> {
        let call = Call::get(job_path(id, "/versions"), format!("the versions of job '{}'", shown(id)));
        let mut answer: Option<Value> = self.optional(&call).await?;
        let versions = answer.as_mut().and_then(|answer| answer.get_mut("Versions")).map(Value::take);
        Ok(match versions {
            Some(Value::Array(versions)) => versions,
            _ => Vec::new(),
        })
    }

    /// One older version of a job, as the server holds it.
    pub async fn job_at(&self, id: &str, version: u64) -> Result<Option<Value>, NomadError> {
        let versions = self.versions(id).await?;
        Ok(versions.into_iter().find(|job| super::facts::job_version(job) == version))
    }

    /// The source that a job's version was registered with (`{Source, Format, VariableFlags, Variables}`).
    pub async fn submission(&self, id: &str, version: u64) -> Result<Option<Value>, NomadError> {
        let what = format!("the source of job '{}'", shown(id));
        self.optional(&Call::get(job_path(id, "/submission"), what).query("version", &version)).await
    }

    /// The job's allocations, those of earlier registrations under the same name left out.
    pub async fn allocations(&self, job: &str) -> Result<Vec<Allocation>, NomadError> {
        let call =
            Call::get(job_path(job, "/allocations"), format!("the allocations of job '{}'", shown(job)));
        Ok(self.optional(&call).await?.unwrap_or_default())
    }

    /// As [`Self::allocations`], answered once something changed after `index` or `wait` is over.
    pub async fn allocations_after(
        &self,
        job: &str,
        index: u64,
        wait: Duration,
    ) -> Result<Indexed<Vec<Allocation>>, NomadError> {
        let call =
            Call::get(job_path(job, "/allocations"), format!("the allocations of job '{}'", shown(job)));
        let answer = self.blocking::<Vec<Allocation>>(call, index, wait).await?;
        Ok(Indexed { index: answer.index, value: answer.value.unwrap_or_default() })
    }

    /// One allocation, answered once it changed after `index` or `wait` is over; `index` 0 answers at once.
    pub async fn allocation_after(
        &self,
        id: &str,
        index: u64,
        wait: Duration,
    ) -> Result<Indexed<Option<Allocation>>, NomadError> {
        let call = Call::get(format!("/v1/allocation/{}", escape(id)), format!("allocation {}", shown(id)));
        self.blocking(call, index, wait).await
    }

    /// What an allocation's node last saw of its checks (of services registered with Nomad itself only).
    pub async fn checks(&self, allocation: &str) -> Result<Vec<CheckResult>, NomadError> {
        let what = format!("the checks of allocation {}", shown(allocation));
        let call = Call::get(format!("/v1/client/allocation/{}/checks", escape(allocation)), what);
        let found: Option<Option<BTreeMap<String, CheckResult>>> = self.optional(&call).await?;
        Ok(found.flatten().unwrap_or_default().into_values().collect())
    }

    pub async fn deployments(&self, job: &str) -> Result<Vec<Deployment>, NomadError> {
        let call =
            Call::get(job_path(job, "/deployments"), format!("the deployments of job '{}'", shown(job)));
        Ok(self.optional(&call).await?.unwrap_or_default())
    }

    /// The deployments of the namespace that aren't over.
    pub async fn open_deployments(&self) -> Result<Vec<Deployment>, NomadError> {
        let over = ["successful", "failed", "cancelled"];
        let filter = over.map(|status| format!("Status != \"{status}\"")).join(" and ");
        let call = Call::get("/v1/deployments", "the deployments").query("filter", &filter);
        let mut found: Vec<Deployment> = self.optional(&call).await?.unwrap_or_default();
        found.retain(|deployment| !over.contains(&deployment.status.as_str()));
        Ok(found)
    }

    /// The newest deployment of a job (of whatever version).
    pub async fn latest_deployment(&self, job: &str) -> Result<Option<Deployment>, NomadError> {
        let call = Call::get(job_path(job, "/deployment"), format!("the deployment of job '{}'", shown(job)));
        self.optional(&call).await
    }

    /// One deployment, answered once it changed after `index` or `wait` is over; `index` 0 answers at once.
    pub async fn deployment_after(
        &self,
        id: &str,
        index: u64,
        wait: Duration,
    ) -> Result<Indexed<Option<Deployment>>, NomadError> {
        let call = Call::get(format!("/v1/deployment/{}", escape(id)), format!("deployment {}", shown(id)));
        self.blocking(call, index, wait).await
    }

    /// One evaluation, answered once it changed after `index` or `wait` is over; `index` 0 answers at once.
    pub async fn evaluation_after(
        &self,
        id: &str,
        index: u64,
        wait: Duration,
    ) -> Result<Indexed<Option<Evaluation>>, NomadError> {
        let call = Call::get(format!("/v1/evaluation/{}", escape(id)), format!("evaluation {}", shown(id)));
        self.blocking(call, index, wait).await
    }

    pub async fn evaluation(&self, id: &str) -> Result<Option<Evaluation>, NomadError> {
        Ok(self.evaluation_after(id, 0, Duration::ZERO).await?.value)
    }

    /// The job's evaluations, newest first where the server sorts them so.
    pub async fn evaluations(&self, job: &str) -> Result<Vec<Evaluation>, NomadError> {
        let call =
            Call::get(job_path(job, "/evaluations"), format!("the evaluations of job '{}'", shown(job)));
        Ok(self.optional(&call).await?.unwrap_or_default())
    }

    pub async fn nodes(&self) -> Result<Vec<Node>, NomadError> {
        let call = Call::get("/v1/nodes", "the list of nodes");
        let answer = self.read(&call).await?;
        Ok(json::<Option<Vec<Node>>>(&answer, &call.what)?.unwrap_or_default())
    }

    /// Every item of a list, page by page.
    pub(super) async fn pages(
        &self,
        path: &str,
        query: &[(&'static str, &str)],
        what: &str,
    ) -> Result<Vec<Value>, NomadError> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let mut call = Call::get(path, what).query("per_page", &500);
            for (key, value) in query {
                call = call.query(key, value);
            }
            if !next.is_empty() {
                call = call.query("next_token", &next);
            }
            let answer = self.read(&call).await?;
            items.extend(json::<Option<Vec<Value>>>(&answer, &call.what)?.unwrap_or_default());
            let token = header(&answer, "x-nomad-nexttoken").unwrap_or_default().to_owned();
            if token.is_empty() || token == next {
                return Ok(items);
            }
            next = token;
        }
    }

    pub(super) async fn optional<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
    ) -> Result<Option<T>, NomadError> {
        match self.read_as(call).await {
            Err(NomadError::NotFound { .. }) => Ok(None),
            read => read,
        }
    }

    /// A blocking query; `wait` is by the client's clock, and the server is told what that is in real time.
    /// It may return without a change. An index that went down (the cluster was rebuilt) is answered
    /// with 0, so that the next query returns at once.
    async fn blocking<T: DeserializeOwned>(
        &self,
        mut call: Call<'_>,
        index: u64,
        wait: Duration,
    ) -> Result<Indexed<Option<T>>, NomadError> {
        if index > 0 {
            let real = wait.div_f64(self.clock().speed()).clamp(Duration::from_millis(1), LONGEST_WAIT);
            call = call.query("index", &index).query("wait", &format_args!("{}ms", real.as_millis()));
            // The server adds up to a sixteenth of jitter.
            call.timeout += real.mul_f64(1.1);
        }
        let answer = match self.read(&call).await {
            Ok(answer) => answer,
            Err(NomadError::NotFound { .. }) => return Ok(Indexed { index: 0, value: None }),
            Err(error) => return Err(error),
        };
        let found = header(&answer, "x-nomad-index").and_then(|index| index.parse().ok()).unwrap_or(0);
        let value = json(&answer, &call.what)?;
        Ok(Indexed { index: if found < index { 0 } else { found }, value })
    }
}

pub(super) fn job_path(id: &str, rest: &str) -> String {
    format!("/v1/job/{}{rest}", escape(id))
}

/// A name that came from outside, for messages.
pub(super) fn shown(name: &str) -> String {
    crate::base::text::one_line(name)
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok()
}

/// `1.10.3-rc.1+ent` → `[1, 10, 3]`; a pre-release counts as its release.
fn numbers(version: &str) -> Vec<u64> {
    let core = version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
    let mut numbers: Vec<u64> = core.split('.').map_while(|part| part.parse().ok()).collect();
    numbers.resize(3, 0);
    numbers
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("1.10.0") > numbers("1.6.0"));
        assert!(numbers("2.0.5-dev") > numbers("1.6.0"));
        assert!(numbers("1.6.0-beta.1+ent") >= numbers("1.6.0"));
        assert!(numbers("1.5.17") < numbers("1.6.0"));
        assert!(numbers("v1.6") >= numbers("1.6.0"));
    }
}
