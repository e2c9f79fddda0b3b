//! Deployments: counting health, promotion, deadlines, success, failure and rolling back.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::admission::spec_changed;
use super::cluster::{Cluster, Happening, Table, duration};
use super::failure::Failure;
use super::records::Deployment;
use super::register::Registration;
use super::value::{set, truthy, uint};

/// From a change of health to the evaluation that acts on it: Nomad gathers for 250 ms across deployments and
/// 1 s for a job; the evaluation itself then takes a moment.
const GATHERING: Duration = Duration::from_millis(1235);

const BY_DEADLINE: &str = "Failed due to progress deadline";
const BY_HEALTH: &str = "Failed due to unhealthy allocations";
const BY_USER: &str = "Deployment marked as failed";

impl Cluster {
    /// An allocation was placed for a deployment.
    pub fn count_placed(&mut self, id: &str, group: &str, canary: Option<&str>, index: u64) {
        let now = self.now;
        self.change_deployment_at(id, index);
        let Some(state) = self.deployments.get_mut(id).and_then(|d| d.groups.get_mut(group)) else { return };
        state.placed += 1;
        if let Some(canary) = canary {
            state.placed_canaries.push(canary.to_owned());
        }
        if state.require_progress_by.is_none() && state.progress_deadline > 0 {
            let deadline = SignedDuration::from_nanos(state.progress_deadline);
            state.require_progress_by = now.checked_add(deadline).ok();
            self.after(
                duration(deadline.as_nanos().try_into().unwrap_or(i64::MAX)),
                Happening::ProgressDeadline(id.to_owned()),
            );
        }
    }

    /// The client says whether an allocation of a deployment is healthy.
    pub fn report_health(&mut self, allocation: &str, healthy: bool) {
        let now = self.now;
        let Some(a) = self.allocations.get(allocation) else { return };
        if a.deployment.is_empty() || a.healthy.is_some_and(|(old, _)| old == healthy) {
            return;
        }
        let before = a.healthy;
        let (deployment, group) = (a.deployment.clone(), a.group.clone());
        let index = self.change(&[Table::Allocations, Table::Deployments]);
        if let Some(a) = self.allocations.get_mut(allocation) {
            a.healthy = Some((healthy, now));
            a.modify_index = index;
            a.modify_time = now;
        }
        self.change_deployment_at(&deployment, index);
        let Some(d) = self.deployments.get_mut(&deployment) else { return };
        let active = d.active();
        let Some(state) = d.groups.get_mut(&group) else { return };
        if healthy {
            state.healthy += 1;
            if before == Some((false, now)) {
                state.unhealthy = state.unhealthy.saturating_sub(1);
            }
            if state.progress_deadline > 0 {
                state.require_progress_by =
                    now.checked_add(SignedDuration::from_nanos(state.progress_deadline)).ok();
            }
        } else {
            state.unhealthy += 1;
            if before.is_some() {
                state.healthy = state.healthy.saturating_sub(1);
            }
        }
        let by_progress = state.progress_deadline > 0;
        if !active {
            return;
        }
        if !healthy && !by_progress {
            self.fail_deployment(&deployment, BY_HEALTH);
            return;
        }
        if !healthy && let Some(a) = self.allocations.get_mut(allocation) {
            a.reschedule = true;
        }
        self.promote_automatically(&deployment);
        self.progress(&deployment);
    }

    /// Has the scheduler look at a deployment's job again, as soon as Nomad would.
    fn progress(&mut self, deployment: &str) {
        if self.gathering.insert(deployment.to_owned()) {
            self.after(GATHERING, Happening::Gathered(deployment.to_owned()));
        }
    }

    /// Changes of health have been gathered long enough.
    pub fn gathered(&mut self, deployment: &str) {
        self.gathering.remove(deployment);
        let Some(key) = self.deployments.get(deployment).filter(|d| d.active()).map(|d| d.job.clone()) else {
            return;
        };
        let id = self.new_evaluation(&key, "deployment-watcher", 0);
        if let Some(e) = self.evaluations.get_mut(&id) {
            deployment.clone_into(&mut e.deployment);
            e.job_modify_index = 0;
        }
    }

    fn promote_automatically(&mut self, id: &str) {
        let Some(d) = self.deployments.get(id) else { return };
        let canaries: Vec<_> = d.groups.values().filter(|g| g.desired_canaries > 0 && !g.promoted).collect();
        let ready = !canaries.is_empty()
            && canaries.iter().all(|g| g.auto_promote && g.healthy >= g.desired_canaries);
        if ready {
            let _ = self.promote(id, None);
        }
    }

    /// Promotes the canaries of all groups, or of some.
    pub fn promote(&mut self, id: &str, groups: Option<&[String]>) -> Result<(String, u64), Failure> {
        let d = self.deployments.get(id).ok_or_else(|| Failure::missing("deployment not found"))?;
        if !d.active() {
            return Err(Failure::server("can't promote terminal deployment"));
        }
        let chosen: Vec<String> = d
            .groups
            .iter()
            .filter(|(name, g)| {
                groups.is_none_or(|only| only.contains(name)) && g.desired_canaries > 0 && !g.promoted
            })
            .map(|(name, _)| name.clone())
            .collect();
        if chosen.is_empty() {
            return Err(Failure::server("no canaries to promote"));
        }
        for name in &chosen {
            let group = &d.groups[name];
            if group.healthy < group.desired_canaries {
                return Err(Failure::server(format!(
                    "Task group {name:?} has {}/{} healthy allocations",
                    group.healthy, group.desired_canaries
                )));
            }
        }
        let key = d.job.clone();
        let index = self.change(&[Table::Deployments]);
        self.change_deployment_at(id, index);
        if let Some(d) = self.deployments.get_mut(id) {
            for name in &chosen {
                if let Some(g) = d.groups.get_mut(name) {
                    g.promoted = true;
                }
            }
            if !d.needs_promotion() {
                d.description = "Deployment is running".into();
            }
        }
        let canaries: Vec<String> = self
            .allocations
            .values()
            .filter(|a| a.deployment == id && a.canary)
            .map(|a| a.id.clone())
            .collect();
        for canary in canaries {
            if let Some(a) = self.allocations.get_mut(&canary) {
                a.canary = false;
                a.modify_index = index;
            }
        }
        Ok((self.new_evaluation(&key, "deployment-watcher", 0), index))
    }

    /// Fails a deployment by a person's word.
    pub fn fail_by_hand(&mut self, id: &str) -> Result<(String, u64), Failure> {
        let d = self.deployments.get(id).ok_or_else(|| Failure::missing("deployment not found"))?;
        if !d.active() {
            return Err(Failure::server("can't fail terminal deployment"));
        }
        let key = d.job.clone();
        self.fail_deployment(id, BY_USER);
        Ok((self.new_evaluation(&key, "deployment-watcher", 0), self.index))
    }

    /// The version that a failed deployment went back to, as its description has it.
    pub fn reverted_to(&self, id: &str) -> Option<u64> {
        let (_, version) =
            self.deployments.get(id)?.description.rsplit_once("rolling back to job version ")?;
        version.parse().ok()
    }

    /// Pauses a deployment, or lets it go on.
    pub fn pause(&mut self, id: &str, pause: bool) -> Result<(String, u64), Failure> {
        let d = self.deployments.get(id).ok_or_else(|| Failure::missing("deployment not found"))?;
        if !d.active() {
            return Err(Failure::server("can't pause terminal deployment"));
        }
        let key = d.job.clone();
        let index = self.change(&[Table::Deployments]);
        self.change_deployment_at(id, index);
        if let Some(d) = self.deployments.get_mut(id) {
            d.status = if pause { "paused".into() } else { "running".into() };
            d.description =
                if pause { "Deployment is paused".into() } else { "Deployment is running".into() };
        }
        let evaluation =
            if pause { String::new() } else { self.new_evaluation(&key, "deployment-watcher", 0) };
        Ok((evaluation, index))
    }

    /// No allocation became healthy in time?
    pub fn progress_deadline(&mut self, id: &str) {
        let Some(d) = self.deployments.get(id).filter(|d| d.active()) else { return };
        let waiting = d.groups.values().filter(|g| {
            let enough = g.healthy >= g.desired_total && g.unhealthy == 0;
            let for_people = g.desired_canaries > 0 && !g.promoted && g.healthy >= g.desired_canaries;
            g.placed > 0 && !enough && !for_people
        });
        let Some(first) = waiting.filter_map(|g| g.require_progress_by).min() else { return };
        if first <= self.now {
            self.fail_deployment(id, BY_DEADLINE);
        } else {
            self.at(first, Happening::ProgressDeadline(id.to_owned()));
        }
    }

    /// Fails a deployment, and rolls back where a group says so.
    fn fail_deployment(&mut self, id: &str, why: &str) {
        let Some(d) = self.deployments.get(id).cloned() else { return };
        let wants_revert = d.groups.values().any(|g| g.auto_revert);
        if !wants_revert {
            self.end_deployment(id, "failed", why);
            if why == BY_DEADLINE || why == BY_HEALTH {
                self.new_evaluation(&d.job, "deployment-watcher", 0);
            }
            return;
        }
        let Some(stable) = self.stable_before(&d) else {
            self.end_deployment(id, "failed", &format!("{why} - no stable job version to auto revert to"));
            self.new_evaluation(&d.job, "deployment-watcher", 0);
            return;
        };
        let version = uint(&stable, "Version");
        let current = self.job(&d.job).cloned().unwrap_or_default();
        let mut again = stable.clone();
        set(&mut again, "VersionTag", current["VersionTag"].clone());
        if !spec_changed(&current, &again) {
            let text = format!(
                "{why} - not rolling back to stable job version {version} as current job has same specification"
            );
            self.end_deployment(id, "failed", &text);
            self.new_evaluation(&d.job, "deployment-watcher", 0);
            return;
        }
        self.end_deployment(id, "failed", &format!("{why} - rolling back to job version {version}"));
        let mut again = stable;
        set(&mut again, "VersionTag", Value::Null);
        let submission =
            self.jobs.get(&d.job).and_then(|j| j.submissions.get(&version)).cloned().unwrap_or_default();
        let how = Registration { submission, ..Registration::default() };
        let _ = self.register(&again, &how);
    }

    fn stable_before(&self, d: &Deployment) -> Option<Value> {
        let job = self.jobs.get(&d.job)?;
        job.versions.iter().find(|v| truthy(&v["Stable"]) && uint(v, "Version") != d.version).cloned()
    }

    /// Closes a deployment whose work is done: its version is stable from now on.
    pub fn succeed(&mut self, id: &str) {
        let Some(d) = self.deployments.get(id).filter(|d| d.active()) else { return };
        let (key, version) = (d.job.clone(), d.version);
        self.end_deployment(id, "successful", "Deployment completed successfully");
        let index = self.change(&[Table::Jobs]);
        if let Some(job) = self.jobs.get_mut(&key)
            && let Some(v) = job.versions.iter_mut().find(|v| uint(v, "Version") == version)
        {
            set(v, "Stable", json!(true));
            set(v, "ModifyIndex", json!(index));
        }
    }

    /// Gives a deployment its last status.
    pub fn end_deployment(&mut self, id: &str, status: &str, why: &str) {
        let index = self.change(&[Table::Deployments]);
        self.change_deployment_at(id, index);
        let Some(d) = self.deployments.get_mut(id) else { return };
        status.clone_into(&mut d.status);
        why.clone_into(&mut d.description);
        let key = d.job.clone();
        self.settle_status(&key);
    }

    fn change_deployment_at(&mut self, id: &str, index: u64) {
        let now = self.now;
        if let Some(d) = self.deployments.get_mut(id) {
            d.modify_index = index;
            d.modify_time = now;
        }
    }
}
