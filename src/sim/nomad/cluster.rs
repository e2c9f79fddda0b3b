//! What a Nomad cluster knows: jobs, evaluations, allocations, deployments and nodes, each change under an
//! index of its own, and the agenda of what is still to happen.
//!
//! Nothing here reads a clock: `advance` is told the time and lets everything that is due happen at the
//! moment it was due. The same calls in the same order give the same cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::records::{Allocation, Deployment, Evaluation, Job, JobKey, Node};
use crate::sim::random::Chance;

/// One Nomad cluster of one region.
pub struct Cluster {
    pub now: Timestamp,
    pub index: u64,
    pub jobs: BTreeMap<JobKey, Job>,
    pub evaluations: BTreeMap<String, Evaluation>,
    pub allocations: BTreeMap<String, Allocation>,
    pub deployments: BTreeMap<String, Deployment>,
    pub nodes: BTreeMap<String, Node>,
    pub chance: Chance,
    /// Deployments whose changes of health are being gathered.
    pub gathering: BTreeSet<String>,
    /// Allocations that don't get well any more once they are restarted.
    pub ailing: BTreeSet<String>,
    tables: BTreeMap<Table, u64>,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    drawn: u64,
}

/// The tables of the state, each with the index of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    Jobs,
    Evaluations,
    Allocations,
    Deployments,
    Nodes,
}

/// Something that is due at a time.
#[derive(Clone, Debug)]
pub enum Happening {
    /// The scheduler takes up an evaluation.
    Evaluate(String),
    /// A client goes on with an allocation; the number tells stale orders from the current one.
    Client {
        allocation: String,
        step: Step,
        life: u64,
    },
    /// A client's health watch of an allocation in a deployment.
    Healthy {
        allocation: String,
        life: u64,
    },
    /// Of an allocation in this very deployment.
    HealthyDeadline {
        allocation: String,
        deployment: String,
    },
    ProgressDeadline(String),
    /// A deployment's changes of health are to be acted on.
    Gathered(String),
    /// A stopped job is forgotten, if it is still the one that was stopped.
    Collect {
        job: JobKey,
        version: u64,
    },
    /// A periodic job's next launch.
    Launch(JobKey),
}

/// Stations of an allocation on its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Receive,
    Start,
    Fail,
    Exit,
    Killed,
}

impl Cluster {
    pub fn new(now: Timestamp, chance: Chance) -> Self {
        let mut cluster = Self {
            now,
            index: 10,
            jobs: BTreeMap::new(),
            evaluations: BTreeMap::new(),
            allocations: BTreeMap::new(),
            deployments: BTreeMap::new(),
            nodes: BTreeMap::new(),
            chance,
            gathering: BTreeSet::new(),
            ailing: BTreeSet::new(),
            tables: BTreeMap::new(),
            agenda: BTreeMap::new(),
            drawn: 0,
        };
        // Every cluster that began anew has other ids.
        cluster.drawn = u64::try_from(now.as_millisecond()).unwrap_or_default() << 16;
        cluster
    }

    /// When the next thing happens by itself.
    pub fn next(&self) -> Option<Timestamp> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Lets everything due by `now` happen, each at its own time.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.happen(happening);
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Evaluate(id) => self.evaluate(&id),
            Happening::Client { allocation, step, life } => self.client_step(&allocation, step, life),
            Happening::Healthy { allocation, life } => self.client_healthy(&allocation, life),
            Happening::HealthyDeadline { allocation, deployment } => {
                self.client_unhealthy(&allocation, &deployment);
            }
            Happening::ProgressDeadline(id) => self.progress_deadline(&id),
            Happening::Collect { job, version } => self.collect_stopped(&job, version),
            Happening::Gathered(id) => self.gathered(&id),
            Happening::Launch(key) => self.launch(&key),
        }
    }

    /// Puts something on the agenda.
    pub fn after(&mut self, delay: Duration, happening: Happening) {
        let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::MAX);
        let at = self.now.checked_add(delay).unwrap_or(Timestamp::MAX);
        self.at(at, happening);
    }

    /// Puts something on the agenda.
    pub fn at(&mut self, at: Timestamp, happening: Happening) {
        self.drawn += 1;
        self.agenda.insert((at, self.drawn), happening);
    }

    /// The index under which a change to these tables is made.
    pub fn change(&mut self, tables: &[Table]) -> u64 {
        self.index += 1;
        for table in tables {
            self.tables.insert(*table, self.index);
        }
        self.index
    }

    /// The index of a table's last change; never 0.
    pub fn table(&self, table: Table) -> u64 {
        self.tables.get(&table).copied().unwrap_or(1)
    }

    /// A fresh id.
    pub fn id(&mut self) -> String {
        self.drawn += 1;
        self.chance.uuid(&format!("id {}", self.drawn))
    }

    /// Now, as Nomad's integer times are: nanoseconds since 1970.
    pub fn nanos(&self) -> i64 {
        nanos(self.now)
    }

    pub fn job(&self, key: &JobKey) -> Option<&Value> {
        self.jobs.get(key).map(Job::spec)
    }

    /// The allocations of a job.
    pub fn of_job<'a>(&'a self, key: &'a JobKey) -> impl Iterator<Item = &'a Allocation> {
        self.allocations.values().filter(move |a| a.job == *key)
    }

    /// The jobs that have an allocation running.
    pub fn running_jobs(&self) -> BTreeSet<String> {
        let running = self.allocations.values().filter(|a| a.client == "running" && a.desired == "run");
        running.map(|a| a.job.id.clone()).collect()
    }

    /// The newest deployment of a job.
    pub fn deployment_of(&self, key: &JobKey) -> Option<&Deployment> {
        self.deployments.values().filter(|d| d.job == *key).max_by_key(|d| d.create_index)
    }
}

/// Nanoseconds since 1970.
pub fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

/// A duration of a job file, which counts nanoseconds.
pub fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}
