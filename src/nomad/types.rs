//! What is read of Nomad's answers, in Nomad's own words and shapes (Nomad's `api` package).
//!
//! Every field may be missing or null: Go writes null for empty lists and maps, and servers between
//! the oldest supported version and the newest differ in what they send.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Reads null as the default.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// One job of `GET /v1/jobs`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct JobStub {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub namespace: String,
    /// `service`, `batch`, `system` or `sysbatch`.
    #[serde(rename = "Type", deserialize_with = "nullable")]
    pub kind: String,
    /// `pending`, `running` or `dead`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    /// Somebody stopped it (a job with count 0 is `dead` too, but not stopped).
    #[serde(deserialize_with = "nullable")]
    pub stop: bool,
    #[serde(deserialize_with = "nullable")]
    pub job_modify_index: u64,
    #[serde(rename = "ParentID", deserialize_with = "nullable")]
    pub parent_id: String,
}

/// One allocation of `GET /v1/job/:id/allocations`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Allocation {
    #[serde(rename = "ID")]
    pub id: String,
    /// `JOB.GROUP[NUMBER]`
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(rename = "EvalID", deserialize_with = "nullable")]
    pub eval_id: String,
    #[serde(rename = "JobID", deserialize_with = "nullable")]
    pub job_id: String,
    #[serde(rename = "NodeID", deserialize_with = "nullable")]
    pub node_id: String,
    #[serde(deserialize_with = "nullable")]
    pub node_name: String,
    #[serde(deserialize_with = "nullable")]
    pub task_group: String,
    #[serde(deserialize_with = "nullable")]
    pub job_version: u64,
    /// `run`, `stop` or `evict`.
    #[serde(deserialize_with = "nullable")]
    pub desired_status: String,
    #[serde(deserialize_with = "nullable")]
    pub desired_description: String,
    /// `pending`, `running`, `complete`, `failed`, `lost` or `unknown`.
    #[serde(deserialize_with = "nullable")]
    pub client_status: String,
    #[serde(deserialize_with = "nullable")]
    pub client_description: String,
    #[serde(deserialize_with = "nullable")]
    pub task_states: BTreeMap<String, TaskState>,
    pub deployment_status: Option<DeploymentStatus>,
    #[serde(rename = "FollowupEvalID", deserialize_with = "nullable")]
    pub followup_eval_id: String,
    #[serde(deserialize_with = "nullable")]
    pub next_allocation: String,
    #[serde(deserialize_with = "nullable")]
    pub create_index: u64,
    #[serde(deserialize_with = "nullable")]
    pub modify_index: u64,
    /// Nanoseconds since 1970, by the server's clock.
    #[serde(deserialize_with = "nullable")]
    pub create_time: i64,
}

impl Allocation {
    /// Whether nothing of it runs any more.
    pub fn has_ended(&self) -> bool {
        matches!(self.client_status.as_str(), "complete" | "failed" | "lost")
    }

    /// The number in its name.
    pub fn number(&self) -> u64 {
        let number = self.name.rsplit_once('[').and_then(|(_, number)| number.strip_suffix(']'));
        number.and_then(|number| number.parse().ok()).unwrap_or_default()
    }
}

/// What a client last saw of one check of a service that is registered with Nomad itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CheckResult {
    #[serde(deserialize_with = "nullable")]
    pub check: String,
    #[serde(deserialize_with = "nullable")]
    pub service: String,
    /// `healthiness`, or `readiness`: that one says nothing about health.
    #[serde(deserialize_with = "nullable")]
    pub mode: String,
    /// `success`, `failure` or `pending`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    #[serde(deserialize_with = "nullable")]
    pub output: String,
    /// Seconds since 1970, by the node's clock.
    #[serde(deserialize_with = "nullable")]
    pub timestamp: i64,
}

/// An allocation's standing in its deployment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeploymentStatus {
    /// None until the client has decided.
    pub healthy: Option<bool>,
    #[serde(deserialize_with = "nullable")]
    pub canary: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TaskState {
    /// `pending`, `running` or `dead`.
    #[serde(deserialize_with = "nullable")]
    pub state: String,
    #[serde(deserialize_with = "nullable")]
    pub failed: bool,
    #[serde(deserialize_with = "nullable")]
    pub restarts: u64,
    /// RFC 3339, by the client's clock; none before the first start.
    pub started_at: Option<String>,
    #[serde(deserialize_with = "nullable")]
    pub events: Vec<TaskEvent>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct TaskEvent {
    /// `Received`, `Started`, `Terminated`, `Driver Failure`, …
    #[serde(rename = "Type", deserialize_with = "nullable")]
    pub kind: String,
    /// Nanoseconds since 1970, by the client's clock.
    #[serde(deserialize_with = "nullable")]
    pub time: i64,
    #[serde(deserialize_with = "nullable")]
    pub display_message: String,
    #[serde(deserialize_with = "nullable")]
    pub details: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    pub exit_code: i64,
    #[serde(deserialize_with = "nullable")]
    pub fails_task: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Deployment {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "JobID", deserialize_with = "nullable")]
    pub job_id: String,
    #[serde(deserialize_with = "nullable")]
    pub job_version: u64,
    /// The `JobModifyIndex` of the job it rolls out.
    #[serde(deserialize_with = "nullable")]
    pub job_spec_modify_index: u64,
    /// `running`, `paused`, `failed`, `successful`, `cancelled`, `initializing`, `pending`, `blocked`, `unblocking`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    #[serde(deserialize_with = "nullable")]
    pub status_description: String,
    #[serde(deserialize_with = "nullable")]
    pub task_groups: BTreeMap<String, DeploymentGroup>,
    #[serde(deserialize_with = "nullable")]
    pub create_index: u64,
    #[serde(deserialize_with = "nullable")]
    pub modify_index: u64,
}

impl Deployment {
    /// How far it is, on one line: `version 3 is being rolled out: 1 of 2 healthy`.
    pub fn words(&self) -> String {
        let groups = self.task_groups.values();
        let (healthy, wanted) =
            groups.clone().fold((0, 0), |(h, d), g| (h + g.healthy_allocs, d + g.desired_total));
        if self.status_description.contains("requires manual promotion") {
            return format!("version {} has its canaries and waits for a promotion", self.job_version);
        }
        format!("version {} is being rolled out: {healthy} of {wanted} healthy", self.job_version)
    }

    /// The version that the server goes back to: only its words tell.
    pub(super) fn rolls_back_to(&self) -> Option<u64> {
        let (_, version) = self.status_description.rsplit_once("rolling back to job version ")?;
        version.trim().parse().ok()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct DeploymentGroup {
    #[serde(deserialize_with = "nullable")]
    pub auto_revert: bool,
    /// Nanoseconds; 0 means that the first unhealthy allocation fails the deployment.
    #[serde(deserialize_with = "nullable")]
    pub progress_deadline: i64,
    #[serde(deserialize_with = "nullable")]
    pub promoted: bool,
    #[serde(deserialize_with = "nullable")]
    pub placed_canaries: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub desired_canaries: u64,
    #[serde(deserialize_with = "nullable")]
    pub desired_total: u64,
    #[serde(deserialize_with = "nullable")]
    pub placed_allocs: u64,
    #[serde(deserialize_with = "nullable")]
    pub healthy_allocs: u64,
    #[serde(deserialize_with = "nullable")]
    pub unhealthy_allocs: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Evaluation {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(rename = "JobID", deserialize_with = "nullable")]
    pub job_id: String,
    #[serde(deserialize_with = "nullable")]
    pub job_modify_index: u64,
    #[serde(rename = "DeploymentID", deserialize_with = "nullable")]
    pub deployment_id: String,
    #[serde(deserialize_with = "nullable")]
    pub triggered_by: String,
    /// `blocked`, `pending`, `complete`, `failed` or `canceled`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
    #[serde(deserialize_with = "nullable")]
    pub status_description: String,
    #[serde(deserialize_with = "nullable")]
    pub next_eval: String,
    #[serde(deserialize_with = "nullable")]
    pub blocked_eval: String,
    /// Groups that could not be placed, and why (shape: [`super::PlacementFailure`]).
    #[serde(rename = "FailedTGAllocs", deserialize_with = "nullable")]
    pub failed_tg_allocs: BTreeMap<String, PlacementMetric>,
    #[serde(deserialize_with = "nullable")]
    pub create_index: u64,
    #[serde(deserialize_with = "nullable")]
    pub modify_index: u64,
}

impl Evaluation {
    /// Whether it waits for room for the job as it has been since that `JobModifyIndex`. Those of
    /// earlier versions may stay `blocked` for ever.
    pub fn is_blocked_for(&self, job_modify_index: u64) -> bool {
        // Woken to be tried again, it may be pending for a moment.
        let waits =
            self.status == "blocked" || (self.status == "pending" && self.triggered_by == "queued-allocs");
        waits && (self.job_modify_index == 0 || self.job_modify_index >= job_modify_index)
    }

    /// Whether a scheduler has dealt with it.
    pub fn is_done(&self) -> bool {
        matches!(self.status.as_str(), "complete" | "failed" | "canceled" | "cancelled")
    }
}

/// Why a group could not be placed, as the scheduler counted (`AllocationMetric`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct PlacementMetric {
    #[serde(deserialize_with = "nullable")]
    pub nodes_evaluated: u64,
    #[serde(deserialize_with = "nullable")]
    pub nodes_filtered: u64,
    #[serde(deserialize_with = "nullable")]
    pub nodes_in_pool: u64,
    #[serde(deserialize_with = "nullable")]
    pub nodes_exhausted: u64,
    #[serde(deserialize_with = "nullable")]
    pub nodes_available: BTreeMap<String, u64>,
    #[serde(deserialize_with = "nullable")]
    pub class_filtered: BTreeMap<String, u64>,
    #[serde(deserialize_with = "nullable")]
    pub constraint_filtered: BTreeMap<String, u64>,
    #[serde(deserialize_with = "nullable")]
    pub class_exhausted: BTreeMap<String, u64>,
    #[serde(deserialize_with = "nullable")]
    pub dimension_exhausted: BTreeMap<String, u64>,
    #[serde(deserialize_with = "nullable")]
    pub quota_exhausted: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    pub resources_exhausted: BTreeMap<String, serde_json::Value>,
    #[serde(deserialize_with = "nullable")]
    pub coalesced_failures: u64,
}

/// One node of `GET /v1/nodes`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Node {
    #[serde(rename = "ID")]
    pub id: String,
    #[serde(deserialize_with = "nullable")]
    pub name: String,
    #[serde(deserialize_with = "nullable")]
    pub datacenter: String,
    #[serde(deserialize_with = "nullable")]
    pub node_pool: String,
    #[serde(deserialize_with = "nullable")]
    pub node_class: String,
    #[serde(deserialize_with = "nullable")]
    pub version: String,
    #[serde(deserialize_with = "nullable")]
    pub drain: bool,
    /// `eligible` or `ineligible`.
    #[serde(deserialize_with = "nullable")]
    pub scheduling_eligibility: String,
    /// `initializing`, `ready`, `down` or `disconnected`.
    #[serde(deserialize_with = "nullable")]
    pub status: String,
}

impl Node {
    /// Whether the scheduler may place on it.
    pub fn takes_work(&self) -> bool {
        self.status == "ready" && !self.drain && self.scheduling_eligibility != "ineligible"
    }
}
