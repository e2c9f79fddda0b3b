//! How the jobs that are there stand: for `status`, and to know that a wave is healthy.

use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::error::NomadError;
use super::facts;
use super::image::task_images;
use super::judge::{healthy_flag, is_up};
use super::placement::PlacementFailure;
use super::types::{Allocation, Deployment, Evaluation};
use crate::base::text;

/// Jobs asked about at once.
const AT_ONCE: usize = 8;

/// The image of one task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskImage {
    pub group: String,
    pub task: String,
    pub image: String,
}

/// One group: how many allocations it should have, how many of them run, and how many of those are
/// of the current version and healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupHealth {
    pub group: String,
    pub desired: u64,
    pub running: u64,
    pub healthy: u64,
}

/// How a job is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Everything that should run does, at the current version. A job with count 0 is healthy.
    Healthy,
    /// On its way: placed but not healthy yet, or a deployment is going on.
    Starting,
    /// Something that should run doesn't, and nothing is on its way.
    Degraded,
    /// Something has no place.
    Unplaced,
    /// A batch job that has run.
    Finished,
    Stopped,
    /// Waits for its time or for a dispatch.
    Waiting,
}

impl std::fmt::Display for JobState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Healthy => "healthy",
            Self::Starting => "starting",
            Self::Degraded => "degraded",
            Self::Unplaced => "unplaced",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
        })
    }
}

/// One job at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobHealth {
    pub id: String,
    /// `service`, `batch`, `system`, `sysbatch`
    pub kind: String,
    pub version: u64,
    pub job_modify_index: u64,
    /// Nomad's word: `pending`, `running`, `dead`.
    pub status: String,
    pub state: JobState,
    /// The version's tag.
    pub tag: Option<String>,
    pub images: Vec<TaskImage>,
    pub groups: Vec<GroupHealth>,
    /// Why something isn't there yet, where Nomad says.
    pub pending: Option<String>,
}

impl JobHealth {
    pub fn is_healthy(&self) -> bool {
        self.state == JobState::Healthy
    }

    /// Whether nothing of it is to run now, and nothing of it failed.
    pub fn rests(&self) -> bool {
        matches!(self.state, JobState::Finished | JobState::Stopped | JobState::Waiting)
    }

    pub fn desired(&self) -> u64 {
        self.groups.iter().map(|g| g.desired).sum()
    }

    pub fn running(&self) -> u64 {
        self.groups.iter().map(|g| g.running).sum()
    }

    pub fn healthy(&self) -> u64 {
        self.groups.iter().map(|g| g.healthy).sum()
    }
}

/// How a job stands, from what the server says about it. Pure.
pub fn health_of(
    job: &Value,
    allocations: &[Allocation],
    deployment: Option<&Deployment>,
    evaluations: &[Evaluation],
) -> JobHealth {
    let version = facts::job_version(job);
    let kind = facts::kind(job);
    let stopped = facts::is_stopped(job);
    let batch = kind == "batch" || kind == "sysbatch";
    let per_node = kind == "system" || kind == "sysbatch";
    let deploying = deployment.is_some_and(|d| {
        d.job_version == version
            && matches!(d.status.as_str(), "running" | "paused" | "pending" | "initializing")
    });
    let well = |a: &&Allocation| {
        let judged = healthy_flag(a) == Some(true) || (healthy_flag(a).is_none() && !deploying);
        a.job_version == version && ((is_up(a) && judged) || (batch && a.client_status == "complete"))
    };
    let groups: Vec<GroupHealth> = facts::groups(job)
        .into_iter()
        .map(|(group, count)| {
            let of_group = || allocations.iter().filter(|a| a.task_group == group);
            let meant =
                of_group().filter(|a| a.desired_status == "run" && a.job_version == version).count() as u64;
            let desired = if per_node { meant } else { count };
            GroupHealth {
                desired: if stopped { 0 } else { desired },
                running: of_group().filter(|a| a.client_status == "running").count() as u64,
                healthy: of_group().filter(well).count() as u64,
                group,
            }
        })
        .collect();
    let index = facts::job_modify_index(job);
    let blocked = evaluations.iter().filter(|e| e.is_blocked_for(index)).max_by_key(|e| e.create_index);
    let complete = groups.iter().all(|g| g.healthy >= g.desired);
    let coming = allocations.iter().any(|a| {
        a.desired_status == "run"
            && a.job_version == version
            && matches!(a.client_status.as_str(), "pending" | "running")
            && healthy_flag(a) != Some(false)
    });
    let over = facts::list(job, "TaskGroups").count() > 0
        && job.get("Status").and_then(Value::as_str) == Some("dead")
        && !allocations.is_empty();
    let state = if stopped {
        JobState::Stopped
    } else if facts::waits_for_dispatch(job) {
        JobState::Waiting
    } else if batch && over {
        if complete { JobState::Finished } else { JobState::Degraded }
    } else if complete {
        JobState::Healthy
    } else if blocked.is_some() {
        JobState::Unplaced
    } else if coming || deploying || evaluations.iter().any(|e| e.status == "pending") {
        JobState::Starting
    } else {
        JobState::Degraded
    };
    let word = |key: &str| text::one_line(job.get(key).and_then(Value::as_str).unwrap_or_default());
    JobHealth {
        id: word("ID"),
        kind: kind.to_owned(),
        version,
        job_modify_index: index,
        status: word("Status"),
        state,
        tag: facts::version_tag(job).map(text::one_line),
        images: task_images(job),
        pending: reason(state, blocked, deployment.filter(|d| d.job_version == version)),
        groups,
    }
}

fn reason(state: JobState, blocked: Option<&Evaluation>, deployment: Option<&Deployment>) -> Option<String> {
    match state {
        JobState::Unplaced => {
            let failures = PlacementFailure::all(&blocked?.failed_tg_allocs);
            let reasons: Vec<String> = failures.iter().map(ToString::to_string).collect();
            (!reasons.is_empty()).then(|| reasons.join("; "))
        }
        JobState::Starting | JobState::Degraded => {
            let deployment = deployment.filter(|d| d.status != "successful")?;
            Some(text::one_line(&deployment.status_description)).filter(|text| !text.is_empty())
        }
        _ => None,
    }
}

impl Client {
    /// How one job stands; none where there is no such job.
    pub async fn health(&self, id: &str) -> Result<Option<JobHealth>, NomadError> {
        let Some(job) = self.job(id).await? else { return Ok(None) };
        let allocations = self.allocations(id).await?;
        let deployment = self.latest_deployment(id).await?;
        let health = health_of(&job, &allocations, deployment.as_ref(), &[]);
        if matches!(health.state, JobState::Starting | JobState::Degraded) {
            let evaluations = self.evaluations(id).await?;
            return Ok(Some(health_of(&job, &allocations, deployment.as_ref(), &evaluations)));
        }
        Ok(Some(health))
    }

    /// How all jobs stand, by name; children of periodic and parameterized jobs left out.
    pub async fn healths(&self) -> Result<Vec<JobHealth>, NomadError> {
        let jobs = self.jobs().await?;
        let ids: Vec<String> = jobs.into_iter().filter(|j| j.parent_id.is_empty()).map(|j| j.id).collect();
        let asked =
            stream::iter(ids).map(|id| async move { self.health(&id).await }).buffer_unordered(AT_ONCE);
        let mut healths: Vec<JobHealth> =
            asked.try_filter_map(|health| async { Ok(health) }).try_collect().await?;
        healths.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(healths)
    }
}
