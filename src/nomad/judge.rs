//! From what was seen of a registration to a verdict. Pure: no request, no clock.
//!
//! With a deployment, its own counts decide, and health is called as soon as they are complete (the
//! server closes the deployment more than a second later). Without one (batch, system on older
//! servers, count 0, an unchanged specification) the allocations decide.

use super::error::one_short_line;
use super::events::FailedAllocation;
use super::facts;
use super::follow::BatchGoal;
use super::placement::PlacementFailure;
use super::types::{Allocation, Deployment, DeploymentGroup, Evaluation};
use super::verdict::{Failure, GroupProgress, Verdict};
use crate::base::text;

/// The job as it was registered.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    pub version: u64,
    pub job_modify_index: u64,
    pub kind: String,
    pub groups: Vec<(String, u64)>,
    pub waits_for_dispatch: bool,
}

impl Wanted {
    pub fn of(job: &serde_json::Value) -> Self {
        Self {
            version: facts::job_version(job),
            job_modify_index: facts::job_modify_index(job),
            kind: facts::kind(job).to_owned(),
            groups: facts::groups(job),
            waits_for_dispatch: facts::waits_for_dispatch(job),
        }
    }

    /// Whether it may get a deployment: batch jobs never do.
    pub fn may_deploy(&self) -> bool {
        !self.is_batch() && !self.waits_for_dispatch
    }

    fn is_batch(&self) -> bool {
        self.kind == "batch" || self.kind == "sysbatch"
    }

    /// Whether the number of allocations follows from the nodes, not from a count.
    pub fn is_per_node(&self) -> bool {
        self.kind == "system" || self.kind == "sysbatch"
    }
}

/// Everything that was seen at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub wanted: Wanted,
    /// The evaluation of the registration; none where it isn't known.
    pub evaluation: Option<Evaluation>,
    pub deployment: Option<Deployment>,
    /// The job's allocations, of all versions.
    pub allocations: Vec<Allocation>,
    /// What evaluations of this registration wait for, blocked.
    pub blocked: Vec<PlacementFailure>,
}

/// What time adds to a view.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    /// No place, and no change in that, for as long as one waits.
    pub place_over: bool,
    /// The same tasks have been running, without a restart, for as long as is wanted.
    pub steady: bool,
    /// What is wrong beyond what one bears, though the server has had its moment to say so itself.
    pub lost: Option<String>,
    pub batch: BatchGoal,
}

impl View {
    /// The registration's own allocations.
    pub fn own(&self) -> impl Iterator<Item = &Allocation> {
        self.allocations.iter().filter(|a| a.job_version == self.wanted.version)
    }

    /// Those that came into being by it: what failed before says nothing about it.
    pub fn fresh(&self) -> impl Iterator<Item = &Allocation> {
        let since = self.evaluation.as_ref().map_or(0, |e| e.create_index);
        self.own().filter(move |a| a.create_index >= since)
    }

    /// How far each group is.
    pub fn groups(&self) -> Vec<GroupProgress> {
        let own: Vec<&Allocation> = self.own().collect();
        let one = |group: &str, desired: u64| {
            let of = |test: &dyn Fn(&Allocation) -> bool| {
                own.iter().filter(|a| a.task_group == group && test(a)).count() as u64
            };
            GroupProgress {
                group: group.to_owned(),
                desired,
                placed: of(&|a| a.desired_status == "run"),
                healthy: of(&|a| self.counts(a)),
                unhealthy: of(&|a| a.client_status == "failed"),
            }
        };
        let by_count = self.wanted.groups.iter().map(|(group, count)| {
            let placed =
                || own.iter().filter(|a| a.task_group == *group && a.desired_status == "run").count();
            one(group, if self.wanted.is_per_node() { placed() as u64 } else { *count })
        });
        let Some(deployment) = &self.deployment else { return by_count.collect() };
        let by_deployment = |(group, state): (&String, &DeploymentGroup)| GroupProgress {
            group: group.clone(),
            desired: state.desired_total,
            placed: state.placed_allocs,
            healthy: state.healthy_allocs,
            unhealthy: state.unhealthy_allocs,
        };
        deployment.task_groups.iter().map(by_deployment).collect()
    }

    /// Whether an allocation does what it is for.
    fn counts(&self, allocation: &Allocation) -> bool {
        if self.wanted.is_batch() && allocation.client_status == "complete" {
            return true;
        }
        is_up(allocation)
    }

    /// Tasks and their restarts: while this stays the same, nothing crashes.
    pub fn pulse(&self) -> Vec<(String, u64)> {
        let own = self.own().filter(|a| self.counts(a));
        own.map(|a| (a.id.clone(), a.task_states.values().map(|t| t.restarts).sum())).collect()
    }

    /// How much has a place: the wait for a place starts anew when this changes.
    pub fn placed(&self) -> u64 {
        match &self.deployment {
            Some(deployment) => deployment.task_groups.values().map(|g| g.placed_allocs).sum(),
            None => self.own().filter(|a| a.desired_status == "run").count() as u64,
        }
    }

    /// Whether the server is still busy with the deployment.
    pub fn is_open(&self) -> bool {
        self.deployment.as_ref().is_some_and(|deployment| deployment.status == "running")
    }

    /// Whether something has no place (yet).
    pub fn lacks_place(&self) -> bool {
        let failed = self.evaluation.as_ref().is_some_and(|e| !e.failed_tg_allocs.is_empty());
        failed || self.groups().iter().any(|g| g.placed < g.desired)
    }

    /// Nothing is blocked, and yet there is nothing: no node may take it.
    pub fn has_no_node(&self) -> bool {
        self.wanted.is_per_node() && self.deployment.is_none() && self.own().next().is_none()
    }

    /// How it stands, for a report that it took too long.
    pub fn seen(&self) -> String {
        let mut parts: Vec<String> = self
            .groups()
            .iter()
            .map(|g| {
                format!("{} of {} healthy in group '{}'", g.healthy, g.desired, text::one_line(&g.group))
            })
            .collect();
        if let Some(deployment) = &self.deployment {
            parts.push(one_short_line(&deployment.status_description).to_lowercase());
        }
        parts.extend(self.blocked.iter().map(ToString::to_string));
        parts.join("; ")
    }

    /// The verdict, once there is one.
    pub fn judge(&self, patience: &Patience) -> Option<Verdict> {
        if let Some(evaluation) = &self.evaluation {
            if !evaluation.is_done() {
                return None;
            }
            // One that fails for want of agreement with others goes on as its blocked or next one.
            let last = evaluation.next_eval.is_empty() && evaluation.blocked_eval.is_empty();
            if evaluation.status == "failed" && last {
                let why = one_short_line(&evaluation.status_description);
                return Some(self.failed(format!("the scheduler gave up on it: {why}"), false));
            }
        }
        let verdict = match &self.deployment {
            Some(deployment) => self.by_deployment(deployment, patience),
            None => self.by_allocations(patience),
        };
        verdict.or_else(|| {
            let stuck = patience.place_over && (!self.blocked.is_empty() || self.has_no_node());
            stuck.then(|| Verdict::CannotPlace { failures: self.blocked.clone() })
        })
    }

    fn by_deployment(&self, deployment: &Deployment, patience: &Patience) -> Option<Verdict> {
        // A scheduler that comes late finds the newer job, and the evaluation names its deployment.
        if deployment.job_version > self.wanted.version {
            let by = format!("version {} is being rolled out", deployment.job_version);
            return Some(Verdict::Superseded { by });
        }
        let description = one_short_line(&deployment.status_description);
        // An allocation that was healthy and has died since is not counted as unhealthy by the server.
        let died = |a: &Allocation| {
            healthy_flag(a) == Some(true) && matches!(a.client_status.as_str(), "failed" | "lost")
        };
        match deployment.status.as_str() {
            // What has died since is the deployment's business no more: nothing of it goes back.
            "successful" if self.fresh().any(|a| died(a) && a.desired_status == "run") => {
                return Some(self.failed("an allocation failed after it had been healthy".into(), false));
            }
            "successful" => return Some(self.healthy(None)),
            "failed" => {
                let failure = self.failure(description.clone(), false);
                return Some(match deployment.rolls_back_to() {
                    Some(to) => Verdict::RolledBack { to, failure },
                    None => Verdict::Failed(failure),
                });
            }
            "cancelled" => return Some(Verdict::Superseded { by: description }),
            _ => {}
        }
        let groups = deployment.task_groups.values();
        let waiting: Vec<&DeploymentGroup> =
            groups.clone().filter(|g| g.desired_canaries > 0 && !g.promoted).collect();
        let complete = groups.clone().all(|g| g.healthy_allocs >= g.desired_total);
        if waiting.is_empty() && complete && !deployment.task_groups.is_empty() && !self.fresh().any(died) {
            return Some(self.healthy(None));
        }
        if !waiting.is_empty()
            && deployment.status_description.contains("requires manual promotion")
            && waiting.iter().all(|g| g.healthy_allocs >= g.desired_canaries)
        {
            return Some(Verdict::NeedsPromotion {
                deployment: deployment.id.clone(),
                reverts: groups.clone().any(|g| g.auto_revert),
            });
        }
        patience.lost.as_ref().map(|reason| self.failed(reason.clone(), true))
    }

    /// A group with too many unhealthy allocations. With a progress deadline the server replaces what is
    /// unhealthy until the deadline is over, and only then goes back, where it is to do that by itself.
    pub fn lost(&self, limit: u64, await_revert: bool) -> Option<String> {
        let lost = |g: &DeploymentGroup| {
            g.unhealthy_allocs >= limit.max(1) && g.progress_deadline != 0 && !(g.auto_revert && await_revert)
        };
        let (group, state) = self.deployment.as_ref()?.task_groups.iter().find(|(_, g)| lost(g))?;
        let count = text::count(usize::try_from(state.unhealthy_allocs).unwrap_or(usize::MAX), "allocation");
        Some(format!("{count} of group '{}' became unhealthy", text::one_line(group)))
    }

    fn by_allocations(&self, patience: &Patience) -> Option<Verdict> {
        if self.wanted.waits_for_dispatch {
            return Some(self.healthy(Some("registered; it runs when its time comes or when dispatched")));
        }
        if !self.wanted.is_per_node() && self.wanted.groups.iter().all(|(_, count)| *count == 0) {
            return Some(self.healthy(Some("registered; nothing to run (count 0)")));
        }
        if let Some(newer) = self.allocations.iter().map(|a| a.job_version).find(|v| *v > self.wanted.version)
        {
            return Some(Verdict::Superseded { by: format!("version {newer} is being placed") });
        }
        let replaced = |a: &Allocation| !a.next_allocation.is_empty() || !a.followup_eval_id.is_empty();
        let dead = |a: &&Allocation| {
            a.client_status == "failed"
                && !(self.wanted.is_batch() && replaced(a))
                && a.desired_status != "evict"
        };
        if self.fresh().any(|a| dead(&a)) {
            return Some(self.failed("an allocation failed".into(), !self.wanted.is_batch()));
        }
        if self.has_no_node() {
            return None;
        }
        let groups = self.groups();
        if groups.iter().any(|g| g.healthy < g.desired) || !self.blocked.is_empty() {
            return None;
        }
        if self.wanted.is_batch() {
            let finished =
                self.own().filter(|a| a.desired_status == "run").all(|a| a.client_status == "complete");
            // One that has only just begun may end badly in a moment.
            let begun = patience.batch == BatchGoal::Started && patience.steady;
            let wanted = begun || finished;
            let note = if finished { "finished" } else { "running" };
            return wanted.then(|| self.healthy(Some(note)));
        }
        let known = self.own().filter(|a| a.desired_status == "run").all(|a| healthy_flag(a) == Some(true));
        (known || patience.steady).then(|| self.healthy(None))
    }

    fn healthy(&self, note: Option<&str>) -> Verdict {
        Verdict::Healthy { groups: self.groups(), note: note.map(str::to_owned) }
    }

    fn failed(&self, reason: String, still_trying: bool) -> Verdict {
        Verdict::Failed(self.failure(reason, still_trying))
    }

    fn failure(&self, reason: String, still_trying: bool) -> Failure {
        let bad = |a: &&Allocation| {
            a.client_status == "failed"
                || healthy_flag(a) == Some(false)
                || a.task_states.values().any(|task| task.failed)
        };
        let newest = self.fresh().filter(bad).max_by_key(|a| (a.create_index, a.modify_index));
        let deployment = self.deployment.as_ref().filter(|_| still_trying);
        Failure {
            reason,
            allocation: newest.map(FailedAllocation::of),
            still_trying,
            deployment: deployment.map(|d| d.id.clone()),
            will_revert: deployment.is_some_and(|d| d.task_groups.values().any(|g| g.auto_revert)),
        }
    }
}

/// Whether an allocation runs with all that should run of it, and wasn't found unhealthy.
pub(super) fn is_up(allocation: &Allocation) -> bool {
    let tasks = &allocation.task_states;
    // A task that has ended well is a prestart task; one that waits to be restarted is `pending`.
    let task_is_up = |t: &super::types::TaskState| t.state == "running" || (t.state == "dead" && !t.failed);
    allocation.desired_status == "run"
        && allocation.client_status == "running"
        && healthy_flag(allocation) != Some(false)
        && tasks.values().all(task_is_up)
}

pub(super) fn healthy_flag(allocation: &Allocation) -> Option<bool> {
    allocation.deployment_status.as_ref().and_then(|status| status.healthy)
}
