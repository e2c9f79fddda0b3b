//! Whether the jobs of a plan's waves fit the cluster as it is now, added up.
//!
//! The server plans one job at a time and reserves nothing: so the free room of the nodes is taken once, and
//! the jobs of each wave are put into it one after another, those of earlier waves staying there. What runs
//! as its file says takes nothing. See [`crate::nomad::pack`] for what that can't know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::failure::{Failure, chain};
use super::open::Opened;
use super::plans;
use super::runs::Request;
use crate::engine::StepError;
use crate::environment::{Environment, ReachError};
use crate::hcl::Value;
use crate::jobspec::Job;
use crate::nomad::{
    Amounts, Ask, Capacity, Client, NomadError, Room, Shortage, asked_by_group, is_stopped, is_unchanged,
    kind, pack, pack_largest_first, waits_for_dispatch,
};
use crate::plan::{Wave, input_values, levels};
use crate::step::{self, Named};

/// How a plan's jobs fit.
#[derive(Clone, Debug, Serialize)]
pub struct Preflight {
    pub plan: String,
    pub fits: bool,
    /// The nodes that take work, with what they have free before the plan.
    pub nodes: Vec<Room>,
    /// In the order in which they run.
    pub waves: Vec<WaveFit>,
    /// What can't be known before the plan runs.
    pub unknown: Vec<String>,
}

/// How one wave's jobs fit beside those of the waves before it.
#[derive(Clone, Debug, Serialize)]
pub struct WaveFit {
    pub wave: String,
    /// None where a wave before it doesn't fit: it was not looked at.
    pub fits: Option<bool>,
    pub jobs: Vec<JobFit>,
    pub shortage: Option<Shortage>,
    /// It doesn't fit in the order in which the jobs are registered, but would with the largest first.
    pub fits_largest_first: bool,
}

/// What a job needs.
#[derive(Clone, Debug, Serialize)]
pub struct JobFit {
    pub job: String,
    /// `there`, `to place`, `changes` or `waits` (for its time, or to be dispatched).
    pub state: &'static str,
    pub groups: Vec<GroupFit>,
}

/// Allocations of a group that need room.
#[derive(Clone, Debug, Serialize)]
pub struct GroupFit {
    pub group: String,
    pub count: u64,
    pub each: Amounts,
}

/// Holds a plan's waves against the cluster. Changes nothing.
pub async fn preflight(opened: &Opened, request: &Request) -> Result<Preflight, Failure> {
    let name = request.plan.as_deref().unwrap_or_default();
    let chosen = plans::by_name(&opened.root, name, &opened.plan_scope(Value::Unknown, None))?;
    let plan = chosen.plan;
    let inputs = input_values(&plan, &request.inputs)?;
    let environment = opened.environment(inputs, None)?;
    let client = reach(&environment, &plan.waves).await?;
    let capacity = client.capacity().await.map_err(|error| asking(&error))?;
    let names: Vec<String> = plan.waves.iter().map(|wave| wave.name.clone()).collect();
    let after = plan.waves.iter().map(|wave| (wave.name.clone(), wave.after.clone())).collect();
    let order = levels(&names, &after).unwrap_or_else(|_| vec![names.clone()]);
    let nodes = capacity.rooms.clone();
    let mut looking =
        Looking { environment, client, capacity, stopped: BTreeSet::new(), unknown: Vec::new() };
    let mut waves = Vec::new();
    let mut fits = true;
    for wave in order.iter().flatten().filter_map(|name| plan.wave(name)) {
        let found = if fits { looking.wave(wave).await? } else { WaveFit::not_looked_at(wave) };
        fits &= found.fits != Some(false);
        waves.push(found);
    }
    Ok(Preflight { plan: plan.name, fits, nodes, waves, unknown: looking.unknown })
}

/// The environment's Nomad, if it is there.
async fn reach(environment: &Arc<Environment>, waves: &[Wave]) -> Result<Client, Failure> {
    let maker = waves.iter().find(|wave| wave.steps.iter().any(|step| step.kind.is_terraform()));
    let later = |reason: String| {
        let failure = Failure::error(format!("what fits can't be said yet: {reason}"));
        match maker {
            Some(wave) => failure.help(format!(
                "Terraform makes the nodes in the wave '{}': ask again once that is done",
                wave.name
            )),
            None => failure,
        }
    };
    let client = match environment.nomad().await {
        Ok(client) => client,
        Err(ReachError::NotKnownYet(_) | ReachError::NotUp { .. } | ReachError::Wrong(_)) => {
            return Err(later("Nomad's address is not known: nothing is up".into()));
        }
        Err(other) => return Err(Failure::error(chain(&other))),
    };
    match client.check_version().await {
        Ok(_) => Ok(client),
        Err(error @ NomadError::Unreachable(_)) => Err(later(chain(&error))),
        Err(error) => Err(asking(&error)),
    }
}

fn asking(error: &NomadError) -> Failure {
    let failure = Failure::error(chain(error));
    match error.help() {
        Some(help) => failure.help(help),
        None => failure,
    }
}

fn wrong(error: StepError) -> Failure {
    let message = if error.diagnostics.is_some() { String::new() } else { error.message.clone() };
    Failure { help: error.help, diagnostics: error.diagnostics, ..Failure::error(message) }
}

impl WaveFit {
    fn of(wave: &Wave, fits: Option<bool>) -> Self {
        let (wave, jobs) = (wave.name.clone(), Vec::new());
        Self { wave, fits, jobs, shortage: None, fits_largest_first: false }
    }

    fn not_looked_at(wave: &Wave) -> Self {
        Self::of(wave, None)
    }
}

struct Looking {
    environment: Arc<Environment>,
    client: Client,
    /// What is free once the waves before have done their work.
    capacity: Capacity,
    /// Jobs that the plan has stopped by then.
    stopped: BTreeSet<String>,
    unknown: Vec<String>,
}

impl Looking {
    async fn wave(&mut self, wave: &Wave) -> Result<WaveFit, Failure> {
        let mut jobs: Vec<Job> = Vec::new();
        for spec in &wave.steps {
            if spec.kind.is_terraform() {
                self.unknown.push(format!(
                    "the wave '{}' runs {} '{}': nodes that it makes or removes are not counted",
                    wave.name, spec.kind, spec.name
                ));
            }
            match step::named(spec, &self.environment).map_err(wrong)? {
                Named::Registers(found) => jobs.extend(found),
                Named::Stops(names) => {
                    self.capacity.release(|held| names.contains(&held.job));
                    self.stopped.extend(names);
                }
                Named::NotYet(what) => self.unknown.push(format!(
                    "the step '{}' of the wave '{}' depends on {what}, which has no value yet: not counted",
                    spec.name, wave.name
                )),
                Named::Nothing => {}
            }
        }
        let mut found = WaveFit::of(wave, Some(true));
        let mut asks = Vec::new();
        for job in in_order(jobs) {
            let (fit, wanted) = self.job(&job).await?;
            found.jobs.push(fit);
            asks.extend(wanted);
        }
        let before = self.capacity.rooms.clone();
        if let Err(shortage) = pack(&mut self.capacity.rooms, &asks) {
            found.fits = Some(false);
            found.shortage = Some(shortage);
            found.fits_largest_first = pack_largest_first(&mut before.clone(), &asks).is_ok();
        }
        Ok(found)
    }

    /// What of a job needs room beside what of it is there.
    async fn job(&mut self, job: &Job) -> Result<(JobFit, Vec<Ask>), Failure> {
        let id = job.id().to_owned();
        let fit = |state, groups| JobFit { job: id.clone(), state, groups };
        if waits_for_dispatch(&job.json) {
            return Ok((fit("waits", Vec::new()), Vec::new()));
        }
        let current = self.client.job(&id).await.map_err(|error| asking(&error))?;
        let there = current.filter(|job| !is_stopped(job) && !self.stopped.contains(&id));
        let planned = self.client.plan(&job.json).await.map_err(|error| asking(&error))?;
        let everywhere = matches!(kind(&job.json), "system" | "sysbatch");
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for group in job.json["TaskGroups"].as_array().into_iter().flatten() {
            let name = group["Name"].as_str().unwrap_or_default().to_owned();
            let count = group["Count"].as_u64().unwrap_or(1);
            let updates = &planned.annotations["DesiredTGUpdates"][&name];
            let updated = |key: &str| updates[key].as_u64().unwrap_or_default();
            let needed = match &there {
                None => count,
                Some(_) if everywhere && is_unchanged(&planned.diff) => 0,
                // What is replaced makes room for what replaces it, one after another.
                Some(_) if everywhere || updated("DestructiveUpdate") + updated("Canary") > 0 => {
                    self.capacity.release(|held| held.job == id && held.group == name);
                    count
                }
                Some(_) => updated("Place"),
            };
            if needed > 0 {
                counts.insert(name, needed);
            }
        }
        let state = match (&there, counts.is_empty()) {
            (_, true) => "there",
            (Some(_), false) if !is_unchanged(&planned.diff) => "changes",
            _ => "to place",
        };
        if counts.is_empty() {
            return Ok((fit(state, Vec::new()), Vec::new()));
        }
        let rooms = &self.capacity.rooms;
        let feasible = self.client.feasible(&job.json, rooms).await.map_err(|error| asking(&error))?;
        let amounts = asked_by_group(&job.json);
        let asks: Vec<Ask> = counts
            .into_iter()
            .map(|(group, count)| Ask {
                job: id.clone(),
                amounts: amounts.get(&group).copied().unwrap_or_default(),
                count,
                ruled_out: rooms
                    .iter()
                    .filter(|room| !feasible.may(&group, &room.id))
                    .map(|room| room.id.clone())
                    .collect(),
                everywhere,
                group,
            })
            .collect();
        let groups = asks.iter().map(|ask| {
            let count = if everywhere { (rooms.len() - ask.ruled_out.len()) as u64 } else { ask.count };
            GroupFit { group: ask.group.clone(), count, each: ask.amounts }
        });
        Ok((fit(state, groups.collect()), asks))
    }
}

/// Jobs in the order in which they are registered: each after those it depends on, otherwise by file.
fn in_order(jobs: Vec<Job>) -> Vec<Job> {
    let names: Vec<String> = jobs.iter().map(|job| job.id().to_owned()).collect();
    let after = jobs.iter().map(|job| (job.id().to_owned(), job.depends_on())).collect();
    let order: Vec<String> =
        levels(&names, &after).unwrap_or_else(|_| vec![names]).into_iter().flatten().collect();
    let place = |job: &Job| order.iter().position(|name| name == job.id());
    let mut jobs = jobs;
    jobs.sort_by_key(place);
    jobs
}
