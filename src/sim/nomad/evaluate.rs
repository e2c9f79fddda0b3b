//! Evaluations: the scheduler's work on one job, applied to the cluster at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::{Cluster, Happening, Step, Table, duration};
use super::placement::{Draft, allocated};
use super::reconcile::{Changes, Place, Situation, reconcile};
use super::records::{Allocation, Deployment, Evaluation, GroupDeployment, JobKey};
use super::value::{array, group, int, set, text, truthy, uint};

const NEWER: &str = "Cancelled due to newer version of job";
const STOPPED: &str = "Cancelled because job is stopped";

impl Cluster {
    /// Takes up an evaluation, unless somebody ended it.
    pub fn evaluate(&mut self, id: &str) {
        let Some(evaluation) = self.evaluations.get(id).filter(|e| e.status == "pending").cloned() else {
            return;
        };
        if evaluation.wait_until.is_some_and(|at| at > self.now) {
            return;
        }
        let key = evaluation.job.clone();
        let job = self.job(&key).filter(|j| !truthy(&j["Stop"])).cloned();
        self.drop_outdated(&key, job.as_ref());
        let mut changes = self.reconciled(&key, job.as_ref(), id);
        let counts: serde_json::Map<String, Value> =
            changes.iter().map(|(name, c)| (name.clone(), c.counts.json())).collect();
        let finished = job.is_some() && changes.values().all(|c| c.complete);
        let mut deployment = self.current_deployment(&key, job.as_ref()).map(|d| d.id.clone());
        if let Some(job) = &job
            && changes.values().any(|c| c.deploys)
        {
            deployment = Some(self.new_deployment(&key, job, &changes));
        }
        let active = deployment.clone().filter(|d| self.deployments.get(d).is_some_and(Deployment::active));
        let mut draft = Draft::default();
        let mut failed: BTreeMap<String, Value> = BTreeMap::new();
        let mut queued: BTreeMap<String, u64> = BTreeMap::new();
        for (name, change) in &mut changes {
            if job.as_ref().is_some_and(|j| group(j, name).is_some()) {
                queued.insert(name.clone(), 0);
            }
            self.retire(change, &mut draft, id);
            let Some(job) = &job else { continue };
            let spec = Arc::new(job.clone());
            for allocation in &change.in_place {
                self.update_in_place(allocation, &spec, id, active.as_deref());
            }
            for place in std::mem::take(&mut change.place) {
                let mut attempt = draft.clone();
                attempt.gone.extend(place.replaces.clone());
                let (node, metrics) = self.place(job, name, place.node.as_deref(), &attempt);
                if let Some(node) = node {
                    draft = attempt;
                    self.put(&spec, name, &place, &node, metrics, id, active.as_deref());
                    continue;
                }
                *queued.entry(name.clone()).or_default() += 1;
                match failed.get_mut(name) {
                    Some(first) => {
                        let more = int(first, "CoalescedFailures") + 1;
                        set(first, "CoalescedFailures", json!(more));
                    }
                    None => {
                        failed.insert(name.clone(), metrics);
                    }
                }
            }
            for (allocation, when) in std::mem::take(&mut change.later) {
                self.follow_up(&key, &allocation, when, id);
            }
        }
        if finished && let Some(active) = &active {
            self.succeed(active);
        }
        if let Some(e) = self.evaluations.get_mut(id) {
            e.plan_annotations = json!({"DesiredTGUpdates": counts, "PreemptedAllocs": null});
        }
        let latest = deployment.or_else(|| self.deployment_of(&key).map(|d| d.id.clone()));
        self.finish(id, &evaluation, failed, queued, latest.unwrap_or_default());
        self.settle_status(&key);
    }

    /// What each group of a job needs.
    pub fn reconciled(
        &self,
        key: &JobKey,
        job: Option<&Value>,
        evaluation: &str,
    ) -> BTreeMap<String, Changes> {
        let deployment = self.current_deployment(key, job);
        let mut names: BTreeSet<String> = self.of_job(key).map(|a| a.group.clone()).collect();
        if let Some(job) = job {
            names.extend(array(job, "TaskGroups").iter().map(|g| text(g, "Name").to_owned()));
        }
        let system = job.is_some_and(|j| matches!(text(j, "Type"), "system" | "sysbatch"));
        names
            .into_iter()
            .map(|name| {
                let situation = Situation {
                    job,
                    allocations: self.of_job(key).filter(|a| a.group == name && a.desired == "run").collect(),
                    deployment,
                    nodes: self.nodes.values().filter(|n| !system || (n.ready && n.eligible)).collect(),
                    evaluation,
                    now: self.now,
                };
                let changes = reconcile(&name, &situation);
                (name, changes)
            })
            .collect()
    }

    /// The newest deployment, if it is about this very version and not over.
    fn current_deployment(&self, key: &JobKey, job: Option<&Value>) -> Option<&Deployment> {
        let job = job?;
        self.deployment_of(key).filter(|d| {
            d.version == uint(job, "Version")
                && d.job_create_index == uint(job, "CreateIndex")
                && d.status != "successful"
        })
    }

    /// Cancels the deployment of an older version, or of a job that was stopped.
    fn drop_outdated(&mut self, key: &JobKey, job: Option<&Value>) {
        let Some(latest) = self.deployment_of(key).filter(|d| d.active()) else { return };
        let id = latest.id.clone();
        match job {
            None => self.end_deployment(&id, "cancelled", STOPPED),
            Some(job)
                if latest.version != uint(job, "Version")
                    || latest.job_create_index != uint(job, "CreateIndex") =>
            {
                self.end_deployment(&id, "cancelled", NEWER);
            }
            Some(_) => {}
        }
    }

    fn retire(&mut self, change: &Changes, draft: &mut Draft, evaluation: &str) {
        for (allocation, why) in &change.stop {
            draft.gone.insert(allocation.clone());
            self.stop_allocation(allocation, why, evaluation);
        }
        for allocation in &change.lost {
            draft.gone.insert(allocation.clone());
            let index = self.change(&[Table::Allocations]);
            let now = self.now;
            if let Some(a) = self.allocations.get_mut(allocation) {
                a.desired = "stop".into();
                a.desired_description = "alloc is lost since its node is down".into();
                a.client = "lost".into();
                a.life += 1;
                a.modify_index = index;
                a.modify_time = now;
            }
        }
    }

    /// Tells the client to end an allocation.
    pub fn stop_allocation(&mut self, id: &str, why: &str, _evaluation: &str) {
        let index = self.change(&[Table::Allocations]);
        let now = self.now;
        let Some(a) = self.allocations.get_mut(id) else { return };
        a.desired = "stop".into();
        why.clone_into(&mut a.desired_description);
        a.modify_index = index;
        a.modify_time = now;
        if a.client_terminal() {
            return;
        }
        a.life += 1;
        let life = a.life;
        self.after(
            Duration::from_millis(600),
            Happening::Client { allocation: id.to_owned(), step: Step::Killed, life },
        );
    }

    fn update_in_place(&mut self, id: &str, spec: &Arc<Value>, evaluation: &str, deployment: Option<&str>) {
        let index = self.change(&[Table::Allocations, Table::Deployments]);
        let now = self.now;
        let Some(a) = self.allocations.get_mut(id) else { return };
        a.spec = Arc::clone(spec);
        evaluation.clone_into(&mut a.evaluation);
        a.modify_index = index;
        a.modify_time = now;
        a.resources = group(spec, &a.group).map(allocated).unwrap_or_default();
        a.healthy = None;
        deployment.unwrap_or_default().clone_into(&mut a.deployment);
        let (name, running) = (a.group.clone(), a.client == "running");
        if let Some(deployment) = deployment {
            self.count_placed(deployment, &name, None, index);
            let update = group(spec, &name).map(|g| g["Update"].clone()).unwrap_or_default();
            self.health_is_due(id, deployment, &update);
            if running {
                self.watch_health(id);
            }
        }
    }

    /// When an allocation must have become healthy in a deployment at the latest.
    fn health_is_due(&mut self, id: &str, deployment: &str, update: &Value) {
        let deadline = duration(int(update, "HealthyDeadline"));
        if !deadline.is_zero() {
            let (allocation, deployment) = (id.to_owned(), deployment.to_owned());
            self.after(deadline, Happening::HealthyDeadline { allocation, deployment });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "an allocation is made of all of these")]
    fn put(
        &mut self,
        spec: &Arc<Value>,
        name: &str,
        place: &Place,
        node: &str,
        metrics: Value,
        evaluation: &str,
        deployment: Option<&str>,
    ) {
        if let Some(old) = &place.replaces {
            self.stop_allocation(old, "alloc not needed due to job update", evaluation);
        }
        let id = self.id();
        let index = self.change(&[Table::Allocations]);
        let mut rescheduled = Vec::new();
        if let Some(old) = place.previous.as_ref().and_then(|old| self.allocations.get_mut(old)) {
            old.next.clone_from(&id);
            old.modify_index = index;
            if place.rescheduled {
                rescheduled.clone_from(&old.rescheduled);
                rescheduled.push(self.now);
                old.desired = "stop".into();
                old.desired_description = "alloc was rescheduled because it failed".into();
            }
        }
        let group_spec = group(spec, name).cloned().unwrap_or_default();
        let allocation = Allocation {
            id: id.clone(),
            job: JobKey::of(spec),
            spec: Arc::clone(spec),
            group: name.to_owned(),
            name: place.name.clone(),
            evaluation: evaluation.to_owned(),
            node: node.to_owned(),
            node_name: self.nodes.get(node).map(|n| n.name.clone()).unwrap_or_default(),
            desired: "run".into(),
            desired_description: String::new(),
            client: "pending".into(),
            client_description: String::new(),
            tasks: BTreeMap::new(),
            previous: place.previous.clone().unwrap_or_default(),
            next: String::new(),
            deployment: deployment.unwrap_or_default().to_owned(),
            healthy: None,
            canary: place.canary,
            reschedule: false,
            migrate: false,
            followup: String::new(),
            rescheduled,
            resources: allocated(&group_spec),
            metrics,
            life: 1,
            create_index: index,
            modify_index: index,
            create_time: self.now,
            modify_time: self.now,
        };
        self.allocations.insert(id.clone(), allocation);
        if let Some(deployment) = deployment {
            self.count_placed(deployment, name, place.canary.then_some(id.as_str()), index);
            self.health_is_due(&id, deployment, &group_spec["Update"]);
        }
        self.after(
            Duration::from_millis(120),
            Happening::Client { allocation: id, step: Step::Receive, life: 1 },
        );
    }

    fn new_deployment(&mut self, key: &JobKey, job: &Value, changes: &BTreeMap<String, Changes>) -> String {
        let id = self.id();
        let index = self.change(&[Table::Deployments]);
        let groups: BTreeMap<String, GroupDeployment> = changes
            .iter()
            .filter(|(_, c)| c.deploys)
            .map(|(name, change)| {
                let update = group(job, name).map(|g| g["Update"].clone()).unwrap_or_default();
                let state = GroupDeployment {
                    auto_revert: truthy(&update["AutoRevert"]),
                    auto_promote: truthy(&update["AutoPromote"]),
                    progress_deadline: int(&update, "ProgressDeadline"),
                    desired_canaries: change.desired_canaries,
                    desired_total: change.desired_total,
                    ..GroupDeployment::default()
                };
                (name.clone(), state)
            })
            .collect();
        let canaries = groups.values().any(|g| g.desired_canaries > 0);
        let automatic = groups.values().filter(|g| g.desired_canaries > 0).all(|g| g.auto_promote);
        let description = match (canaries, automatic) {
            (true, true) => "Deployment is running pending automatic promotion",
            (true, false) => "Deployment is running but requires manual promotion",
            (false, _) => "Deployment is running",
        };
        let deployment = Deployment {
            id: id.clone(),
            job: key.clone(),
            version: uint(job, "Version"),
            job_modify_index: uint(job, "ModifyIndex"),
            job_spec_modify_index: uint(job, "JobModifyIndex"),
            job_create_index: uint(job, "CreateIndex"),
            groups,
            status: "running".into(),
            description: description.into(),
            priority: int(job, "Priority"),
            create_index: index,
            modify_index: index,
            create_time: self.now,
            modify_time: self.now,
        };
        self.deployments.insert(id.clone(), deployment);
        id
    }

    fn follow_up(&mut self, key: &JobKey, allocation: &str, when: jiff::Timestamp, previous: &str) {
        let id = self.new_evaluation(key, "alloc-reschedule", 0);
        if let Some(e) = self.evaluations.get_mut(&id) {
            e.wait_until = Some(when);
            previous.clone_into(&mut e.previous);
            e.description = "created for delayed rescheduling".into();
        }
        self.at(when, Happening::Evaluate(id.clone()));
        let index = self.change(&[Table::Allocations]);
        if let Some(a) = self.allocations.get_mut(allocation) {
            a.followup = id;
            a.modify_index = index;
        }
    }

    /// Ends an evaluation; what found no node waits in a blocked one.
    fn finish(
        &mut self,
        id: &str,
        before: &Evaluation,
        failed: BTreeMap<String, Value>,
        queued: BTreeMap<String, u64>,
        deployment: String,
    ) {
        let reblock = before.triggered_by == "queued-allocs" && !failed.is_empty();
        let mut blocked = String::new();
        self.cancel_blocked(&before.job, id);
        if !failed.is_empty() && !reblock {
            blocked = self.new_evaluation(&before.job, "queued-allocs", before.priority);
            if let Some(e) = self.evaluations.get_mut(&blocked) {
                e.status = "blocked".into();
                e.description = "created to place remaining allocations".into();
                id.clone_into(&mut e.previous);
                e.related.insert(id.to_owned());
            }
        }
        let index = self.change(&[Table::Evaluations]);
        let now = self.now;
        let Some(e) = self.evaluations.get_mut(id) else { return };
        e.status = if reblock { "blocked".into() } else { "complete".into() };
        e.description = String::new();
        if !blocked.is_empty() {
            e.related.insert(blocked.clone());
        }
        e.blocked = blocked;
        e.failed_groups = failed;
        e.queued = queued;
        e.deployment = deployment;
        e.modify_index = index;
        e.modify_time = now;
    }

    fn cancel_blocked(&mut self, key: &JobKey, except: &str) {
        let old: Vec<String> = self
            .evaluations
            .values()
            .filter(|e| e.job == *key && e.status == "blocked" && e.id != except)
            .map(|e| e.id.clone())
            .collect();
        for id in old {
            let index = self.change(&[Table::Evaluations]);
            let now = self.now;
            if let Some(e) = self.evaluations.get_mut(&id) {
                e.status = "canceled".into();
                e.description = "canceled after more recent eval was processed".into();
                e.modify_index = index;
                e.modify_time = now;
            }
        }
    }

    /// Room was made: what waits for it is tried again.
    pub fn unblock(&mut self) {
        let blocked: Vec<String> =
            self.evaluations.values().filter(|e| e.status == "blocked").map(|e| e.id.clone()).collect();
        for id in blocked {
            let index = self.change(&[Table::Evaluations]);
            if let Some(e) = self.evaluations.get_mut(&id) {
                e.status = "pending".into();
                e.modify_index = index;
            }
            self.after(Duration::from_millis(15), Happening::Evaluate(id));
        }
    }

    /// Sets a job's status to what follows from its deployments, allocations and evaluations.
    pub fn settle_status(&mut self, key: &JobKey) {
        let Some(job) = self.job(key) else { return };
        let stopped = truthy(&job["Stop"]);
        let lasting =
            text(job, "Type") == "system" || !job["Periodic"].is_null() || !job["ParameterizedJob"].is_null();
        let status = if lasting {
            if stopped { "dead" } else { "running" }
        } else if self.deployments.values().any(|d| d.job == *key && d.active())
            || self.of_job(key).any(|a| !a.terminal())
        {
            "running"
        } else if self.evaluations.values().any(|e| e.job == *key && !e.terminal()) {
            "pending"
        } else if stopped || self.evaluations.values().any(|e| e.job == *key) {
            "dead"
        } else {
            "pending"
        };
        if text(job, "Status") != status {
            let index = self.change(&[Table::Jobs]);
            if let Some(job) = self.jobs.get_mut(key).and_then(super::records::Job::spec_mut) {
                set(job, "Status", json!(status));
                set(job, "ModifyIndex", json!(index));
            }
        }
    }
}
