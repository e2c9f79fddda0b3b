//! Looks at a registration again and again: one held request at a time for each job.

use std::time::Duration;

use super::client::Client;
use super::error::NomadError;
use super::facts;
use super::follow::breathe;
use super::judge::{Patience, View, Wanted};
use super::placement::PlacementFailure;
use super::types::{Allocation, Evaluation};
use super::verdict::Verdict;
use super::write::Registered;

/// What is being looked at, and from which indexes on.
pub(super) struct Observer<'a> {
    client: &'a Client,
    registered: &'a Registered,
    pub view: View,
    started: bool,
    evaluation: Option<String>,
    evaluation_index: u64,
    deployment: Option<String>,
    deployment_index: u64,
    allocations_index: u64,
}

impl<'a> Observer<'a> {
    pub fn new(client: &'a Client, registered: &'a Registered) -> Self {
        Self {
            client,
            registered,
            view: View::default(),
            started: false,
            evaluation: registered.eval_id.clone(),
            evaluation_index: 0,
            deployment: None,
            deployment_index: 0,
            allocations_index: 0,
        }
    }

    /// Brings the view up to date, after at most `wait` where nothing changes. A verdict, where the
    /// job itself gives it: it is gone, stopped, or another one by now.
    pub async fn look(&mut self, wait: Duration) -> Result<Option<Verdict>, NomadError> {
        if (!self.started || self.deployment.is_none())
            && let Some(verdict) = self.job().await?
        {
            return Ok(Some(verdict));
        }
        self.started = true;
        if !self.evaluated(wait).await? {
            return Ok(None);
        }
        self.find_deployment().await?;
        self.deployment_and_allocations(wait).await?;
        self.blocked().await?;
        Ok(None)
    }

    async fn job(&mut self) -> Result<Option<Verdict>, NomadError> {
        let superseded = |by: &str| Ok(Some(Verdict::Superseded { by: by.into() }));
        let Some(job) = self.client.job(&self.registered.job_id).await? else {
            return superseded("the job was purged");
        };
        let index = facts::job_modify_index(&job);
        if index > self.registered.job_modify_index {
            if let Some(verdict) = self.rolled_back(&job).await? {
                return Ok(Some(verdict));
            }
            return superseded(&format!("it is at version {} now", facts::job_version(&job)));
        }
        if facts::is_stopped(&job) {
            return superseded("the job was stopped");
        }
        self.view.wanted = Wanted::of(&job);
        Ok(None)
    }

    /// Whether the newer version is the server's own: ours failed, and it went back before we looked.
    async fn rolled_back(&mut self, now: &serde_json::Value) -> Result<Option<Verdict>, NomadError> {
        let id = &self.registered.job_id;
        let index = self.registered.job_modify_index;
        let deployments = self.client.deployments(id).await?;
        let Some(ours) = deployments.into_iter().find(|d| d.job_spec_modify_index == index) else {
            return Ok(None);
        };
        let wanted = Wanted { version: ours.job_version, job_modify_index: index, ..Wanted::of(now) };
        let allocations = self.client.allocations(id).await?;
        let view = View { wanted, deployment: Some(ours), allocations, ..View::default() };
        Ok(view.judge(&Patience::default()).filter(|verdict| matches!(verdict, Verdict::RolledBack { .. })))
    }

    /// Whether the scheduler is done with the registration.
    async fn evaluated(&mut self, wait: Duration) -> Result<bool, NomadError> {
        let Some(id) = self.evaluation.clone() else { return Ok(true) };
        if self.view.evaluation.as_ref().is_some_and(Evaluation::is_done) {
            return Ok(true);
        }
        let asked = self.evaluation_index;
        let since = self.client.clock().now();
        let answer = self.client.evaluation_after(&id, asked, wait).await?;
        self.evaluation_index = answer.index;
        // Collected meanwhile: it was done, and its traces are elsewhere.
        let Some(evaluation) = answer.value else {
            self.evaluation = None;
            return Ok(true);
        };
        let done = evaluation.is_done();
        if evaluation.status == "failed" && !evaluation.next_eval.is_empty() {
            self.evaluation = Some(evaluation.next_eval);
            self.evaluation_index = 0;
            return Ok(false);
        }
        self.view.evaluation = Some(evaluation);
        if !done {
            breathe(self.client.clock(), (asked, answer.index), wait, since).await;
        }
        Ok(done)
    }

    async fn find_deployment(&mut self) -> Result<(), NomadError> {
        if self.deployment.is_some() {
            return Ok(());
        }
        let named =
            self.view.evaluation.as_ref().map(|e| e.deployment_id.clone()).filter(|id| !id.is_empty());
        if named.is_some() {
            self.deployment = named;
        } else if self.view.wanted.may_deploy() {
            // Where the evaluation isn't known, or what came after it has made the deployment.
            let latest = self.client.latest_deployment(&self.registered.job_id).await?;
            let ended = |status: &str| matches!(status, "successful" | "failed" | "cancelled");
            let ours = latest.filter(|d| {
                d.job_spec_modify_index == self.view.wanted.job_modify_index
                    && (self.evaluation.is_none() || !ended(&d.status))
            });
            self.deployment = ours.map(|d| d.id);
        }
        Ok(())
    }

    async fn deployment_and_allocations(&mut self, wait: Duration) -> Result<(), NomadError> {
        let since = self.client.clock().now();
        let job = &self.registered.job_id;
        if let Some(id) = self.deployment.clone() {
            let asked = self.deployment_index;
            let answer = self.client.deployment_after(&id, asked, wait).await?;
            self.deployment_index = answer.index;
            if answer.value.is_none() {
                self.deployment = None;
            }
            self.view.deployment = answer.value;
            breathe(self.client.clock(), (asked, answer.index), wait, since).await;
            self.view.allocations = self.client.allocations(job).await?;
        } else {
            let asked = self.allocations_index;
            let answer = self.client.allocations_after(job, asked, wait).await?;
            self.allocations_index = answer.index;
            self.view.allocations = answer.value;
            breathe(self.client.clock(), (asked, answer.index), wait, since).await;
        }
        Ok(())
    }

    async fn blocked(&mut self) -> Result<(), NomadError> {
        self.view.blocked.clear();
        if !self.view.lacks_place() {
            return Ok(());
        }
        let since = self.view.evaluation.as_ref().map_or(0, |e| e.create_index);
        let evaluations = self.client.evaluations(&self.registered.job_id).await?;
        let waiting = evaluations
            .iter()
            .filter(|e| e.is_blocked_for(self.view.wanted.job_modify_index) && e.create_index >= since);
        if let Some(newest) = waiting.max_by_key(|e| e.create_index) {
            let own = self.view.evaluation.as_ref().map(|e| &e.failed_tg_allocs);
            // One that hasn't been tried yet may not repeat why it was made.
            let why = own.filter(|_| newest.failed_tg_allocs.is_empty()).unwrap_or(&newest.failed_tg_allocs);
            self.view.blocked = PlacementFailure::all(why);
        }
        Ok(())
    }

    /// The allocations whose tasks are worth hearing.
    pub fn audible(&self) -> impl Iterator<Item = &Allocation> {
        self.view.fresh()
    }
}
