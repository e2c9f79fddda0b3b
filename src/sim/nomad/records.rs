//! The records of a cluster, and how Nomad writes each as JSON.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::cluster::nanos;
use super::value::{text, uint};

/// Namespace and ID of a job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobKey {
    pub namespace: String,
    pub id: String,
}

impl JobKey {
    pub fn of(job: &Value) -> Self {
        Self { namespace: text(job, "Namespace").to_owned(), id: text(job, "ID").to_owned() }
    }
}

/// A job: its versions, newest first (the first is the one that counts), and what they were sent as.
pub struct Job {
    pub versions: Vec<Value>,
    pub submissions: BTreeMap<u64, Value>,
}

impl Job {
    pub fn spec(&self) -> &Value {
        self.versions.first().unwrap_or(&Value::Null)
    }

    pub fn spec_mut(&mut self) -> Option<&mut Value> {
        self.versions.first_mut()
    }

    pub fn version(&self, number: u64) -> Option<&Value> {
        self.versions.iter().find(|v| uint(v, "Version") == number)
    }
}

/// One evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    pub id: String,
    pub job: JobKey,
    pub priority: i64,
    pub kind: String,
    pub triggered_by: String,
    pub job_modify_index: u64,
    pub deployment: String,
    pub status: String,
    pub description: String,
    pub wait_until: Option<Timestamp>,
    pub next: String,
    pub previous: String,
    pub blocked: String,
    pub related: BTreeSet<String>,
    pub failed_groups: BTreeMap<String, Value>,
    pub queued: BTreeMap<String, u64>,
    pub plan_annotations: Value,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: Timestamp,
    pub modify_time: Timestamp,
}

impl Evaluation {
    /// Whether nothing more comes of it.
    pub fn terminal(&self) -> bool {
        !matches!(self.status.as_str(), "pending" | "blocked")
    }

    pub fn json(&self, related: Option<Vec<Value>>) -> Value {
        let mut out = json!({
            "ID": self.id, "Namespace": self.job.namespace, "Priority": self.priority, "Type": self.kind,
            "TriggeredBy": self.triggered_by, "JobID": self.job.id, "Status": self.status,
            "CreateIndex": self.create_index, "ModifyIndex": self.modify_index,
            "CreateTime": nanos(self.create_time), "ModifyTime": nanos(self.modify_time),
            "QueuedAllocations": self.queued, "SnapshotIndex": self.create_index,
        });
        // Nomad leaves empty fields of evaluations out.
        if let Some(map) = out.as_object_mut() {
            let texts = [
                ("DeploymentID", &self.deployment),
                ("StatusDescription", &self.description),
                ("NextEval", &self.next),
                ("PreviousEval", &self.previous),
                ("BlockedEval", &self.blocked),
            ];
            for (key, value) in texts {
                if !value.is_empty() {
                    map.insert(key.into(), json!(value));
                }
            }
            if self.job_modify_index > 0 {
                map.insert("JobModifyIndex".into(), json!(self.job_modify_index));
            }
            if let Some(wait) = self.wait_until {
                map.insert("WaitUntil".into(), json!(wait.to_string()));
            }
            if !self.failed_groups.is_empty() {
                map.insert("FailedTGAllocs".into(), json!(self.failed_groups));
            }
            if !self.plan_annotations.is_null() {
                map.insert("PlanAnnotations".into(), self.plan_annotations.clone());
            }
            if let Some(related) = related.filter(|r| !r.is_empty()) {
                map.insert("RelatedEvals".into(), Value::Array(related));
            }
        }
        out
    }
}

/// What an allocation's task is doing.
#[derive(Clone, Debug, Default)]
pub struct TaskState {
    pub state: String,
    pub failed: bool,
    pub restarts: u64,
    pub last_restart: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    pub events: Vec<Value>,
}

impl TaskState {
    fn json(&self) -> Value {
        let time = |at: Option<Timestamp>| at.map_or(Value::Null, |t| json!(t.to_string()));
        json!({
            "State": self.state, "Failed": self.failed, "Restarts": self.restarts,
            "LastRestart": time(self.last_restart), "StartedAt": time(self.started),
            "FinishedAt": time(self.finished), "Events": self.events, "Paused": "",
        })
    }
}

/// One allocation, with the job as it was when it was placed.
#[derive(Clone, Debug)]
pub struct Allocation {
    pub id: String,
    pub job: JobKey,
    pub spec: std::sync::Arc<Value>,
    pub group: String,
    pub name: String,
    pub evaluation: String,
    pub node: String,
    pub node_name: String,
    pub desired: String,
    pub desired_description: String,
    pub client: String,
    pub client_description: String,
    pub tasks: BTreeMap<String, TaskState>,
    pub previous: String,
    pub next: String,
    pub deployment: String,
    /// Health in the deployment, and since when.
    pub healthy: Option<(bool, Timestamp)>,
    pub canary: bool,
    /// Whether the server wants it replaced: by a failed deployment's rules, or moved off its node.
    pub reschedule: bool,
    pub migrate: bool,
    pub followup: String,
    /// Times at which its line was rescheduled before.
    pub rescheduled: Vec<Timestamp>,
    pub resources: Value,
    pub metrics: Value,
    /// Counts orders to the client; steps of an older order are stale.
    pub life: u64,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: Timestamp,
    pub modify_time: Timestamp,
}

impl Allocation {
    pub fn client_terminal(&self) -> bool {
        matches!(self.client.as_str(), "complete" | "failed" | "lost")
    }

    pub fn terminal(&self) -> bool {
        self.desired != "run" || self.client_terminal()
    }

    pub fn version(&self) -> u64 {
        uint(&self.spec, "Version")
    }

    fn status(&self) -> Value {
        if self.deployment.is_empty() || (self.healthy.is_none() && !self.canary) {
            return Value::Null;
        }
        json!({
            "Healthy": self.healthy.map(|(yes, _)| yes),
            "Timestamp": self.healthy.map_or(Value::Null, |(_, at)| json!(at.to_string())),
            "Canary": self.canary, "ModifyIndex": self.modify_index,
        })
    }

    fn reschedule_tracker(&self) -> Value {
        if self.rescheduled.is_empty() {
            return Value::Null;
        }
        let events: Vec<Value> = self
            .rescheduled
            .iter()
            .map(|at| json!({"RescheduleTime": nanos(*at), "PrevAllocID": self.previous, "PrevNodeID": self.node, "Delay": 0}))
            .collect();
        json!({"Events": events, "LastReschedule": ""})
    }

    fn transition(&self) -> Value {
        let yes = |flag: bool| if flag { json!(true) } else { Value::Null };
        json!({"Migrate": yes(self.migrate), "Reschedule": yes(self.reschedule), "ForceReschedule": null,
            "NoShutdownDelay": null, "MigrateDisablePlacement": null})
    }

    fn task_states(&self) -> Value {
        if self.tasks.is_empty() {
            return Value::Null;
        }
        Value::Object(self.tasks.iter().map(|(n, t)| (n.clone(), t.json())).collect())
    }

    fn common(&self) -> Map<String, Value> {
        let fields = json!({
            "ID": self.id, "EvalID": self.evaluation, "Name": self.name, "Namespace": self.job.namespace,
            "NodeID": self.node, "NodeName": self.node_name, "JobID": self.job.id, "TaskGroup": self.group,
            "AllocatedResources": self.resources, "DesiredStatus": self.desired,
            "DesiredDescription": self.desired_description, "ClientStatus": self.client,
            "ClientDescription": self.client_description, "DesiredTransition": self.transition(),
            "TaskStates": self.task_states(), "DeploymentStatus": self.status(),
            "FollowupEvalID": self.followup, "NextAllocation": self.next,
            "RescheduleTracker": self.reschedule_tracker(), "PreemptedAllocations": null,
            "PreemptedByAllocation": "", "CreateIndex": self.create_index,
            "ModifyIndex": self.modify_index, "CreateTime": nanos(self.create_time),
            "ModifyTime": nanos(self.modify_time),
        });
        match fields {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }

    /// As lists show it.
    pub fn stub(&self, resources: bool, states: bool) -> Value {
        let mut map = self.common();
        map.insert("JobType".into(), self.spec["Type"].clone());
        map.insert("JobVersion".into(), self.spec["Version"].clone());
        if !resources {
            map.remove("AllocatedResources");
        }
        if !states {
            map.insert("TaskStates".into(), Value::Null);
        }
        Value::Object(map)
    }

    /// The whole of it, the old form of its resources included, which the stock client still reads.
    pub fn json(&self) -> Value {
        let mut map = self.common();
        let mut sum = (0, 0);
        let mut tasks = Map::new();
        if let Some(of_tasks) = self.resources["Tasks"].as_object() {
            for (name, task) in of_tasks {
                let cpu = task["Cpu"]["CpuShares"].as_i64().unwrap_or_default();
                let memory = task["Memory"]["MemoryMB"].as_i64().unwrap_or_default();
                sum = (sum.0 + cpu, sum.1 + memory);
                tasks.insert(name.clone(), legacy(cpu, memory, 0));
            }
        }
        let disk = self.resources["Shared"]["DiskMB"].as_i64().unwrap_or_default();
        map.insert("Resources".into(), legacy(sum.0, sum.1, disk));
        map.insert("SharedResources".into(), legacy(0, 0, disk));
        map.insert("TaskResources".into(), Value::Object(tasks));
        map.insert("Job".into(), (*self.spec).clone());
        map.insert("Metrics".into(), self.metrics.clone());
        map.insert("PreviousAllocation".into(), json!(self.previous));
        map.insert("DeploymentID".into(), json!(self.deployment));
        map.insert("AllocModifyIndex".into(), json!(self.create_index));
        let network = json!({"InterfaceName": "", "Address": "", "AddressIPv6": "", "DNS": null});
        map.insert("NetworkStatus".into(), if self.client == "pending" { Value::Null } else { network });
        map.insert("SigningKeyID".into(), json!("6e0d2f3c-8a54-4c1b-9d6e-7f1a2b3c4d5e"));
        // Nomad leaves these out of a whole allocation where there is nothing to say.
        for key in [
            "DesiredDescription",
            "FollowupEvalID",
            "NextAllocation",
            "PreemptedAllocations",
            "PreemptedByAllocation",
            "PreviousAllocation",
            "RescheduleTracker",
            "DeploymentStatus",
            "DeploymentID",
            "TaskStates",
            "ClientDescription",
        ] {
            if map.get(key).is_some_and(super::value::empty) {
                map.remove(key);
            }
        }
        if !self.migrate && !self.reschedule {
            map.remove("DesiredTransition");
        }
        Value::Object(map)
    }
}

fn legacy(cpu: i64, memory: i64, disk: i64) -> Value {
    json!({"CPU": cpu, "Cores": 0, "MemoryMB": memory, "MemoryMaxMB": memory, "DiskMB": disk, "IOPS": 0,
        "Networks": null, "Devices": null, "NUMA": null, "SecretsMB": 0})
}

/// One group's part of a deployment.
#[derive(Clone, Debug, Default)]
pub struct GroupDeployment {
    pub auto_revert: bool,
    pub auto_promote: bool,
    pub progress_deadline: i64,
    pub require_progress_by: Option<Timestamp>,
    pub promoted: bool,
    pub placed_canaries: Vec<String>,
    pub desired_canaries: u64,
    pub desired_total: u64,
    pub placed: u64,
    pub healthy: u64,
    pub unhealthy: u64,
}

/// One deployment of one version of a job.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub id: String,
    pub job: JobKey,
    pub version: u64,
    pub job_modify_index: u64,
    pub job_spec_modify_index: u64,
    pub job_create_index: u64,
    pub groups: BTreeMap<String, GroupDeployment>,
    pub status: String,
    pub description: String,
    pub priority: i64,
    pub create_index: u64,
    pub modify_index: u64,
    pub create_time: Timestamp,
    pub modify_time: Timestamp,
}

impl Deployment {
    pub fn active(&self) -> bool {
        matches!(
            self.status.as_str(),
            "running" | "paused" | "initializing" | "pending" | "blocked" | "unblocking"
        )
    }

    /// Whether canaries wait for somebody to promote them.
    pub fn needs_promotion(&self) -> bool {
        self.active() && self.groups.values().any(|g| g.desired_canaries > 0 && !g.promoted)
    }

    pub fn json(&self) -> Value {
        let groups: Map<String, Value> = self
            .groups
            .iter()
            .map(|(name, g)| {
                let canaries =
                    if g.placed_canaries.is_empty() { Value::Null } else { json!(g.placed_canaries) };
                let group = json!({
                    "AutoRevert": g.auto_revert, "AutoPromote": g.auto_promote,
                    "ProgressDeadline": g.progress_deadline,
                    "RequireProgressBy": g.require_progress_by.map_or(Value::Null, |t| json!(t.to_string())),
                    "Promoted": g.promoted, "PlacedCanaries": canaries, "DesiredCanaries": g.desired_canaries,
                    "DesiredTotal": g.desired_total, "PlacedAllocs": g.placed, "HealthyAllocs": g.healthy,
                    "UnhealthyAllocs": g.unhealthy,
                });
                (name.clone(), group)
            })
            .collect();
        json!({
            "ID": self.id, "Namespace": self.job.namespace, "JobID": self.job.id, "JobVersion": self.version,
            "JobModifyIndex": self.job_modify_index, "JobSpecModifyIndex": self.job_spec_modify_index,
            "JobCreateIndex": self.job_create_index, "IsMultiregion": false, "TaskGroups": groups,
            "Status": self.status, "StatusDescription": self.description, "EvalPriority": self.priority,
            "CreateIndex": self.create_index, "ModifyIndex": self.modify_index,
            "CreateTime": nanos(self.create_time), "ModifyTime": nanos(self.modify_time),
        })
    }
}

/// One client node.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: String,
    pub name: String,
    pub cpu: i64,
    pub memory: i64,
    pub disk: i64,
    pub drivers: Vec<String>,
    pub eligible: bool,
    pub draining: bool,
    pub ready: bool,
    /// Images that needn't be fetched again.
    pub images: BTreeSet<String>,
    /// Where its HTTP API answers, as the sandbox serves it.
    pub http: String,
    pub since: Timestamp,
    pub create_index: u64,
    pub modify_index: u64,
}
