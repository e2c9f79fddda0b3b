//! The stand-in as a driver: plans, applies in the order of dependencies, takes its time on the world's
//! clock, and tells the world which machines there are.
//!
//! It knows nothing of guards: its counts come from the files and the state alone. Unlike Terraform it
//! doesn't check values against types, reads no data sources, and takes an attribute it can't work out as
//! one that is known after an apply.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value as Json;

use super::config::{ConfigError, Module, Node};
use super::evaluate::picture;
use super::plan::Levels;
use super::state::{StateFile, Stored};
use crate::base::{Clock, Source};
use crate::hcl::{Value, var_file};
use crate::sim::infrastructure::Infrastructure;
use crate::sim::random::Chance;
use crate::sim::world::World;
use crate::terraform::{
    Action, Applied, Operation, Output, Planned, Problem, Progress, State, StateResource, Tell, Terraform,
    TerraformError,
};

/// What a stand-in works with.
#[derive(Clone)]
pub struct StandInOptions {
    /// The folder of the root module.
    pub dir: PathBuf,
    pub targets: Vec<String>,
    pub var_files: Vec<PathBuf>,
    /// Where the state lies; in memory alone where there is none.
    pub state_file: Option<PathBuf>,
    pub seed: u64,
    /// Creating takes time on this clock.
    pub clock: Clock,
    /// The world that follows this state, where it lives in this process.
    pub world: Option<World>,
}

/// Terraform, as far as a simulated environment needs it.
pub struct StandIn {
    options: StandInOptions,
    state: Mutex<StateFile>,
    interrupted: AtomicBool,
}

/// What `apply` needs of a plan.
struct Prepared {
    operation: Operation,
    serial: u64,
    levels: Levels,
}

impl StandIn {
    pub fn new(options: StandInOptions) -> Result<Self, TerraformError> {
        let stored = match &options.state_file {
            Some(path) => StateFile::read(path).map_err(|reason| unreadable("state", reason))?,
            None => None,
        };
        Ok(Self {
            options,
            state: Mutex::new(stored.unwrap_or_default()),
            interrupted: AtomicBool::new(false),
        })
    }

    pub(super) fn options(&self) -> &StandInOptions {
        &self.options
    }

    fn locked(&self) -> MutexGuard<'_, StateFile> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state as another process may have left it.
    fn current(&self) -> Result<StateFile, TerraformError> {
        if let Some(path) = &self.options.state_file {
            let read = StateFile::read(path).map_err(|reason| unreadable("state", reason))?;
            *self.locked() = read.unwrap_or_default();
        }
        Ok(self.locked().clone())
    }

    pub(super) fn configuration(&self) -> Result<(Module, BTreeMap<String, Value>), TerraformError> {
        let module = Module::read(&self.options.dir, "").map_err(|error| match error {
            ConfigError::NoFiles(dir) => TerraformError::NoConfiguration { dir },
            ConfigError::Unreadable(reason) => failed("plan", "Failed to read the configuration", reason),
            ConfigError::Invalid(found) => failed("plan", "Invalid configuration", found.to_string()),
        })?;
        let mut variables = BTreeMap::new();
        for file in &self.options.var_files {
            let text = std::fs::read_to_string(file).map_err(|e| {
                failed("plan", "Failed to read variables file", format!("{}: {e}", file.display()))
            })?;
            let source = Source::new(file.display().to_string(), text);
            let values =
                var_file(&source).map_err(|e| failed("plan", "Invalid variables file", e.to_string()))?;
            variables.extend(values.into_iter().map(|(name, (value, _))| (name, value)));
        }
        let missing: Vec<&String> = module
            .variables
            .iter()
            .filter(|(n, v)| v.default.is_none() && !variables.contains_key(*n))
            .map(|(n, _)| n)
            .collect();
        if let Some(name) = missing.first() {
            let detail =
                format!("The root module input variable {name:?} is not set, and has no default value.");
            return Err(failed("plan", "No value for required variable", detail));
        }
        Ok((module, variables))
    }

    /// Writes one finished action into the state.
    fn commit(&self, address: &str, action: Action, made: Option<Stored>) {
        let mut state = self.locked();
        match (action, made) {
            (Action::Destroy, _) => {
                state.resources.remove(address);
            }
            (_, Some(stored)) => {
                state.resources.insert(address.to_owned(), stored);
            }
            _ => {}
        }
    }

    /// What the state says after a step, for whoever follows it.
    fn publish(&self) -> Result<(), TerraformError> {
        let mut state = self.locked();
        state.serial += 1;
        if let Some(path) = &self.options.state_file {
            state.write(path).map_err(|reason| unreadable("apply", reason))?;
        }
        let machines = Infrastructure::from_terraform_state(&state.to_json());
        drop(state);
        if let Some(world) = &self.options.world
            && world.infrastructure() != machines
        {
            world.set_infrastructure(machines).map_err(|e| unreadable("apply", e.to_string()))?;
        }
        Ok(())
    }

    /// The instance as it is once it is made, with what its neighbours became meanwhile.
    fn make(&self, address: &str) -> Result<Option<Stored>, TerraformError> {
        let (module, variables) = self.configuration()?;
        let state = self.locked().clone();
        let all = picture(&module, &variables, &state.resources);
        let needs = module.dependencies();
        let chance = Chance::new(self.options.seed);
        Ok(all.wanted.into_iter().find(|w| w.address == address).map(|w| {
            let kept = state.resources.get(address).map(|s| s.id.clone());
            let dependencies = needs.get(&w.node).into_iter().flatten().map(Node::address).collect();
            Stored {
                module: w.module,
                kind: w.node.kind,
                name: w.node.name,
                index: w.index,
                id: kept.unwrap_or_else(|| chance.uuid(&format!("resource {address} {}", state.serial))),
                attributes: w.attributes.iter().map(|(k, v)| (k.clone(), shown(v))).collect(),
                dependencies,
            }
        }))
    }

    fn settle_outputs(&self) -> Result<BTreeMap<String, Json>, TerraformError> {
        let (module, variables) = self.configuration()?;
        let resources = self.locked().resources.clone();
        let all = picture(&module, &variables, &resources);
        let mut state = self.locked();
        state.outputs.clear();
        for (name, value) in all.outputs {
            if value.is_wholly_known() && !matches!(value, Value::Null) {
                let sensitive = module.outputs.get(&name).is_some_and(|o| o.sensitive);
                state.outputs.insert(name, (value.to_json(), sensitive));
            }
        }
        Ok(state.outputs.iter().map(|(n, (v, _))| (n.clone(), v.clone())).collect())
    }
}

#[async_trait]
impl Terraform for StandIn {
    async fn plan(&self, operation: Operation, tell: Tell<'_>) -> Result<Planned, TerraformError> {
        let state = self.current()?;
        for address in state.resources.keys() {
            tell(Progress::Planning { address: address.clone() });
        }
        let (changes, output_changes, levels) = match operation {
            Operation::Apply => self.plan_apply(&state)?,
            Operation::Destroy => self.plan_destroy(&state)?,
        };
        let prepared = Prepared { operation, serial: state.serial, levels };
        Ok(Planned {
            changes,
            output_changes,
            lineage: Some(state.lineage.clone()).filter(|l| !l.is_empty()),
            serial: state.serial,
            warnings: Vec::new(),
            file: Box::new(prepared),
        })
    }

    async fn apply(&self, planned: Planned, tell: Tell<'_>) -> Result<Applied, TerraformError> {
        let Ok(prepared) = planned.file.downcast::<Prepared>() else {
            return Err(TerraformError::ForeignPlan);
        };
        let state = self.current()?;
        if state.serial != prepared.serial {
            return Err(TerraformError::Stale { reason: "the state has changed since".into() });
        }
        self.interrupted.store(false, Ordering::SeqCst);
        let chance = Chance::new(self.options.seed);
        {
            let mut state = self.locked();
            if state.lineage.is_empty() {
                state.lineage = chance.uuid(&format!("lineage {}", self.options.clock.now()));
            }
        }
        let mut done = Vec::new();
        for level in &prepared.levels {
            if self.interrupted.load(Ordering::SeqCst) {
                let problem = Problem {
                    summary: "interrupted".into(),
                    detail: "The apply was interrupted.".into(),
                    address: None,
                    place: None,
                };
                return Err(TerraformError::Incomplete {
                    done,
                    unfinished: Vec::new(),
                    problems: vec![problem],
                    interrupted: true,
                    unsaved_state: None,
                });
            }
            let mut longest = Duration::ZERO;
            for (address, action) in level {
                tell(Progress::ApplyStart { address: address.clone(), action: *action });
                longest = longest.max(takes(chance, address, *action));
            }
            self.options.clock.sleep(longest).await;
            for (address, action) in level {
                let made = if *action == Action::Destroy { None } else { self.make(address)? };
                self.commit(address, *action, made);
                let seconds = takes(chance, address, *action).as_secs();
                tell(Progress::ApplyDone { address: address.clone(), elapsed_seconds: seconds });
                match action {
                    Action::Replace => {
                        done.push((address.clone(), Action::Destroy));
                        done.push((address.clone(), Action::Create));
                    }
                    other => done.push((address.clone(), *other)),
                }
            }
            self.publish()?;
        }
        let outputs = self.settle_outputs()?;
        if prepared.levels.is_empty() || prepared.operation == Operation::Apply || !outputs.is_empty() {
            self.publish()?;
        }
        Ok(Applied { done, outputs, withheld: Vec::new() })
    }

    async fn state(&self) -> Result<State, TerraformError> {
        let state = self.current()?;
        let resources = state
            .resources
            .iter()
            .map(|(address, s)| StateResource {
                address: address.clone(),
                kind: s.kind.clone(),
                id: Some(s.id.clone()),
                tainted: false,
            })
            .collect();
        let outputs = state
            .outputs
            .iter()
            .map(|(name, (value, sensitive))| {
                (name.clone(), Output { value: value.clone(), sensitive: *sensitive })
            })
            .collect();
        let lineage = Some(state.lineage).filter(|l| !l.is_empty());
        Ok(State { resources, outputs, lineage, serial: Some(state.serial) })
    }

    fn interrupt(&self) {
        self.interrupted.store(true, Ordering::SeqCst);
    }
}

/// How long an action takes: machines longer than what they are plugged into.
fn takes(chance: Chance, address: &str, action: Action) -> Duration {
    let small =
        ["port", "volume", "network", "subnet", "group", "bucket"].iter().any(|w| address.contains(w));
    let (low, high) = match (small, action) {
        (true, _) => (2.0, 6.0),
        (false, Action::Destroy) => (8.0, 20.0),
        (false, _) => (25.0, 60.0),
    };
    Duration::from_secs_f64(chance.between(&format!("apply {address}"), low, high))
}

/// A value as the state keeps it; unknown parts are null.
pub(super) fn shown(value: &Value) -> Json {
    match value {
        Value::Unknown => Json::Null,
        Value::Map(map) | Value::Object(map) => {
            Json::Object(map.iter().map(|(k, v)| (k.clone(), shown(v))).collect())
        }
        Value::List(items) | Value::Set(items) | Value::Tuple(items) => items.iter().map(shown).collect(),
        known => known.to_json(),
    }
}

pub(super) fn json_of(attributes: &BTreeMap<String, Json>) -> Json {
    Json::Object(attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect())
}

pub(super) fn failed(command: &'static str, summary: &str, detail: String) -> TerraformError {
    let problem = Problem { summary: summary.to_owned(), detail, address: None, place: None };
    TerraformError::Failed { command, problems: vec![problem] }
}

fn unreadable(command: &'static str, reason: String) -> TerraformError {
    TerraformError::Unreadable { command, reason }
}
