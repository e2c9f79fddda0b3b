//! What changes the cluster: each request goes out once, and says so if its outcome isn't known.
//!
//! Registering is check-and-set where an index is given. Stopping has no check-and-set in Nomad:
//! whoever stops a job must have looked at it just before.

use http::Method;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json as object};

use super::client::{Call, Client, escape, json};
use super::error::NomadError;
use super::facts::job_id;
use super::placement::PlacementFailure;
use super::read::{job_path, shown};
use super::types::{PlacementMetric, nullable};

/// What a registration would do (`POST /v1/job/:id/plan`). The server reserves nothing for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// The server's `JobDiff`; null where it sent none.
    pub diff: Value,
    /// `JobModifyIndex` of the job it was compared with; 0 where there is none.
    pub job_modify_index: u64,
    /// What could not be placed now.
    pub failed: Vec<PlacementFailure>,
    pub warnings: Vec<String>,
    /// `Annotations` (`DesiredTGUpdates`: counts by group: `Place`, `Stop`, `InPlaceUpdate`, …).
    pub annotations: Value,
}

/// A registration that the server has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registered {
    pub job_id: String,
    /// None for what waits to be dispatched (periodic, parameterized).
    pub eval_id: Option<String>,
    /// The job's new `JobModifyIndex`; its `ModifyIndex` where the specification was the same.
    pub job_modify_index: u64,
    pub warnings: Vec<String>,
}

/// The source of a job, kept by the server for its web page. Readable by everyone who may read the
/// job: no secret values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    pub source: String,
    /// `hcl2` or `json`.
    pub format: String,
    /// Values given one by one, by name.
    pub variable_flags: std::collections::BTreeMap<String, String>,
    /// The text of the variable files.
    pub variables: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct PlanAnswer {
    #[serde(deserialize_with = "nullable")]
    diff: Value,
    #[serde(deserialize_with = "nullable")]
    annotations: Value,
    #[serde(rename = "FailedTGAllocs", deserialize_with = "nullable")]
    failed_tg_allocs: std::collections::BTreeMap<String, PlacementMetric>,
    #[serde(deserialize_with = "nullable")]
    job_modify_index: u64,
    #[serde(deserialize_with = "nullable")]
    warnings: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RegisterAnswer {
    #[serde(rename = "EvalID", deserialize_with = "nullable")]
    eval_id: String,
    #[serde(deserialize_with = "nullable")]
    job_modify_index: u64,
    #[serde(deserialize_with = "nullable")]
    warnings: String,
}

impl RegisterAnswer {
    fn into_registered(self, job: &str) -> Registered {
        Registered {
            job_id: job.to_owned(),
            eval_id: Some(self.eval_id).filter(|id| !id.is_empty()),
            job_modify_index: self.job_modify_index,
            warnings: warnings(&self.warnings),
        }
    }
}

impl Client {
    /// What registering `job` (a whole job object) would change. Changes nothing.
    pub async fn plan(&self, job: &Value) -> Result<Planned, NomadError> {
        let id = job_id(job);
        let mut call =
            Call::write(Method::POST, job_path(id, "/plan"), format!("the plan of job '{}'", shown(id)))
                .body(&PlanRequest { job: Untagged(job), diff: true, policy_override: false });
        call.timeout = std::time::Duration::from_secs(60);
        let plan: PlanAnswer = self.read_as(&call).await?;
        Ok(Planned {
            diff: plan.diff,
            job_modify_index: plan.job_modify_index,
            failed: PlacementFailure::all(&plan.failed_tg_allocs),
            warnings: warnings(&plan.warnings),
            annotations: plan.annotations,
        })
    }

    /// Registers `job` by one request. With `enforce`, only if the job's `JobModifyIndex` still is that
    /// number (0: only if there is no such job; a stopped one counts as there). The version tag is taken
    /// off: a tag names one version, and the server would copy it onto the next.
    pub async fn register(
        &self,
        job: &Value,
        enforce: Option<u64>,
        submission: Option<&Submission>,
    ) -> Result<Registered, NomadError> {
        let id = job_id(job);
        let body = RegisterRequest {
            job: Untagged(job),
            enforce_index: enforce.map(|_| true),
            job_modify_index: enforce,
            submission: submission.map(|kept| SubmissionRequest {
                source: &kept.source,
                format: &kept.format,
                variable_flags: &kept.variable_flags,
                variables: &kept.variables,
            }),
        };
        let call = Call::write(Method::POST, job_path(id, ""), format!("registering job '{}'", shown(id)))
            .body(&body);
        let answer = self.write(&call).await.map_err(|e| conflict(e, id, enforce.unwrap_or_default()))?;
        Ok(taken(&answer, &call.what)?.into_registered(id))
    }

    /// Stops a job; with `purge`, forgets it and its versions at once. The evaluation that does it;
    /// none where there was no such job.
    pub async fn stop(&self, id: &str, purge: bool) -> Result<Option<String>, NomadError> {
        let call = Call::write(Method::DELETE, job_path(id, ""), format!("stopping job '{}'", shown(id)))
            .query("purge", &purge);
        let answer = self.write(&call).await?;
        let answer = taken(&answer, &call.what)?;
        Ok(Some(answer.eval_id).filter(|id| !id.is_empty()))
    }

    /// Has an allocation's running tasks end and start again on its node. Answered once that has begun; health
    /// is another matter ([`super::follow_restart`]).
    pub async fn restart_allocation(&self, id: &str) -> Result<(), NomadError> {
        let what = format!("restarting allocation {}", shown(id));
        let path = format!("/v1/client/allocation/{}/restart", escape(id));
        // Of a task with shutdown_delay the node answers only after that.
        let call =
            Call { timeout: std::time::Duration::from_secs(600), ..Call::write(Method::PUT, path, what) };
        self.write(&call.body(&object!({ "TaskName": "", "AllTasks": false }))).await.map(drop)
    }

    /// Ends a deployment by one request; see [`Self::fail_deployment`].
    pub(super) async fn fail_deployment_once(&self, id: &str) -> Result<Option<u64>, NomadError> {
        let what = format!("failing deployment {}", shown(id));
        let call = Call::write(Method::PUT, format!("/v1/deployment/fail/{}", escape(id)), what)
            .body(&object!({ "DeploymentID": id }));
        let answer = self.write(&call).await?;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(answer.get("RevertedJobVersion").and_then(Value::as_u64))
    }

    /// Registers an older version anew; with `enforce`, only if the current version still is that one.
    pub async fn revert(
        &self,
        id: &str,
        version: u64,
        enforce: Option<u64>,
    ) -> Result<Registered, NomadError> {
        let call =
            Call::write(Method::POST, job_path(id, "/revert"), format!("reverting job '{}'", shown(id)))
                .body(&object!({ "JobID": id, "JobVersion": version, "EnforcePriorVersion": enforce }));
        let answer = self.write(&call).await.map_err(|e| conflict(e, id, enforce.unwrap_or_default()))?;
        Ok(taken(&answer, &call.what)?.into_registered(id))
    }

    /// The registration that made a job what it is now, for following a change whose answer was lost;
    /// none where there is no such job.
    pub async fn as_registered(&self, id: &str) -> Result<Option<Registered>, NomadError> {
        let Some(job) = self.job(id).await? else { return Ok(None) };
        let index = super::facts::job_modify_index(&job);
        let mut evaluations = self.evaluations(id).await?;
        evaluations.retain(|e| e.job_modify_index == index && e.triggered_by == "job-register");
        let newest = evaluations.into_iter().max_by_key(|e| e.create_index);
        Ok(Some(Registered {
            job_id: id.to_owned(),
            eval_id: newest.map(|e| e.id),
            job_modify_index: index,
            warnings: Vec::new(),
        }))
    }
}

/// The answer to a write that was taken; one that can't be read leaves open what was.
fn taken(answer: &crate::http::Response, what: &str) -> Result<RegisterAnswer, NomadError> {
    json(answer, what)
        .map_err(|error| NomadError::OutcomeUnknown { what: what.to_owned(), reason: error.to_string() })
}

/// A job, sent without its version tag.
struct Untagged<'a>(&'a Value);

impl Serialize for Untagged<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Some(fields) = self.0.as_object() else { return self.0.serialize(to) };
        let untagged = |(name, value)| (name, if name == "VersionTag" { &Value::Null } else { value });
        to.collect_map(fields.iter().map(untagged))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PlanRequest<'a> {
    job: Untagged<'a>,
    diff: bool,
    policy_override: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RegisterRequest<'a> {
    job: Untagged<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enforce_index: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_modify_index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    submission: Option<SubmissionRequest<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SubmissionRequest<'a> {
    source: &'a str,
    format: &'a str,
    variable_flags: &'a std::collections::BTreeMap<String, String>,
    variables: &'a str,
}

/// Nomad answers a lost check-and-set with a plain 500.
fn conflict(error: NomadError, job: &str, enforced: u64) -> NomadError {
    match error {
        NomadError::Server { text, .. }
            if text.contains("Enforcing job modify index") || text.contains("enforcing version") =>
        {
            let tail = text.rsplit_once("conflicting job modify index: ").map(|(_, tail)| tail);
            let actual = tail.and_then(|t| t.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
            NomadError::Conflict { job: shown(job), enforced, actual, text }
        }
        other => other,
    }
}

/// The server's warnings, one each: it joins several into one text of bullet points.
fn warnings(text: &str) -> Vec<String> {
    let text = crate::base::text::harmless(text);
    let mut found: Vec<String> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(item) = line.strip_prefix("* ") {
            found.push(item.to_owned());
        } else if line.ends_with("warning:") || line.ends_with("warnings:") {
            // The heading says how many follow.
        } else {
            found.push(line.to_owned());
        }
    }
    found
}
