//! What is known of an environment, as values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;

use crate::base::{Clock, Secrets};
use crate::dialect::Values;
use crate::engine::Facts;
use crate::hcl::{Expr, Functions, Value};
use crate::http::Transport;
use crate::settings;
use crate::terraform::{Applied, Terraform};

/// Makes drivers for targets in place of the environment's own.
pub type TerraformMaker = Arc<dyn Fn(Option<Vec<String>>) -> Arc<dyn Terraform> + Send + Sync>;

/// What an environment is put together from.
pub struct Parts {
    pub project: String,
    pub root: PathBuf,
    pub settings: settings::Environment,
    pub terraform: Option<TerraformMaker>,
    pub transport: Arc<dyn Transport>,
    pub clock: Clock,
    pub secrets: Secrets,
    pub functions: Arc<Functions>,
    /// Of the env file, and what `inherit` and `envsubst` name of the shell.
    pub variables: BTreeMap<String, String>,
    /// Everything of the shell's that children may have, credentials left out.
    pub shell: BTreeMap<String, String>,
    pub nomad_address: Option<String>,
    /// `sandbox` in settings, where the environment is simulated.
    pub sandbox: Option<Value>,
    /// `var`
    pub inputs: BTreeMap<String, Value>,
    /// Seconds, for the whole run; unknown where nobody can tell.
    pub downtime: Option<f64>,
    pub last_stop: Option<Timestamp>,
    pub recorded: BTreeMap<String, serde_json::Value>,
    /// No child is started.
    pub rehearsal: bool,
    /// Whether `variables` has all that the environment will have.
    pub whole: bool,
    /// What the `nomad_job` steps of the project's plans name.
    pub job_files: Vec<JobFiles>,
    /// The project's other environments, as far as they are known without their env files and Terraform.
    pub siblings: Vec<Arc<Environment>>,
}

/// What one `nomad_job` step names as its files.
#[derive(Clone)]
pub struct JobFiles {
    pub plan: String,
    pub expr: Expr,
    /// The defaults of the plan's variables.
    pub inputs: BTreeMap<String, Value>,
}

/// Whether Terraform's outputs are known.
#[derive(Clone)]
pub(super) enum Outputs {
    /// Nobody asked yet.
    NotRead,
    /// A step that would change them stands before.
    Pending,
    Known(BTreeMap<String, serde_json::Value>),
}

pub(super) struct Live {
    pub outputs: Outputs,
    steps: BTreeMap<String, Value>,
    recorded: BTreeMap<String, Value>,
    /// What reaches Nomad where the environment's transport doesn't, and at which address.
    pub nomad: Option<(String, Arc<dyn Transport>)>,
}

/// An environment that can be reached.
pub struct Environment {
    pub(super) parts: Parts,
    live: RwLock<Live>,
}

impl Environment {
    /// Whether a job is said to be others': `nomad { ignore = […] }`. What is no pattern is a name.
    pub fn ignores(&self, job: &str) -> bool {
        let names = self.parts.settings.nomad.iter().flat_map(|nomad| &nomad.ignore);
        let fits = |name: &String| glob::Pattern::new(name).is_ok_and(|pattern| pattern.matches(job));
        names.into_iter().any(|name| name == job || fits(name))
    }

    pub fn new(parts: Parts) -> Self {
        let recorded = parts.recorded.iter().map(|(k, v)| (k.clone(), Value::from_json(v))).collect();
        let live = Live { outputs: Outputs::NotRead, steps: BTreeMap::new(), recorded, nomad: None };
        Self { parts, live: RwLock::new(live) }
    }

    pub fn name(&self) -> &str {
        &self.parts.settings.name
    }

    pub fn settings(&self) -> &settings::Environment {
        &self.parts.settings
    }

    pub fn root(&self) -> &PathBuf {
        &self.parts.root
    }

    pub fn siblings(&self) -> &[Arc<Self>] {
        &self.parts.siblings
    }

    /// What the plans' `nomad_job` steps name as files in this environment, each with the plan; nothing
    /// in the place of what isn't known (it may come from a Terraform output).
    pub fn planned_job_files(&self) -> Vec<(String, Option<Vec<String>>)> {
        let scope = self.scope();
        let patterns = |files: &JobFiles| {
            let scope = scope.clone().with("var", Value::from(files.inputs.clone()));
            let value = files.expr.eval(&scope).ok().filter(Value::is_wholly_known)?.to_json();
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        self.parts.job_files.iter().map(|files| (files.plan.clone(), patterns(files))).collect()
    }

    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    pub fn is_rehearsal(&self) -> bool {
        self.parts.rehearsal
    }

    pub fn secrets(&self) -> &Secrets {
        &self.parts.secrets
    }

    pub fn transport(&self) -> &Arc<dyn Transport> {
        &self.parts.transport
    }

    /// A driver for the environment's own targets.
    pub fn terraform(&self) -> Option<Arc<dyn Terraform>> {
        self.terraform_with(None)
    }

    /// A driver for these targets, or the environment's own.
    pub fn terraform_with(&self, targets: Option<Vec<String>>) -> Option<Arc<dyn Terraform>> {
        self.parts.terraform.as_ref().map(|make| make(targets))
    }

    /// What children get of the shell and of the env file.
    pub fn child_variables(&self) -> BTreeMap<String, String> {
        let mut all = self.parts.shell.clone();
        all.extend(self.parts.variables.clone());
        all
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Terraform's outputs as an apply or its state tells them.
    pub fn set_outputs(&self, outputs: BTreeMap<String, serde_json::Value>) {
        self.write().outputs = Outputs::Known(outputs);
    }

    /// What an apply tells of the outputs; where it withholds any, they are read from the state when needed.
    pub fn set_applied(&self, applied: &Applied) {
        if applied.withheld.is_empty() {
            self.set_outputs(applied.outputs.clone());
        } else {
            self.write().outputs = Outputs::NotRead;
        }
    }

    /// The scope of this environment's own settings: `env`, `terraform`, `sandbox`.
    pub(super) fn settings_scope(&self) -> Values {
        let env = self
            .parts
            .variables
            .iter()
            .map(|(k, v)| (k.clone(), Value::from(v.as_str())))
            .collect::<BTreeMap<_, _>>();
        let sandbox = self.parts.sandbox.clone().unwrap_or(Value::Unknown);
        Values::new(Arc::clone(&self.parts.functions))
            .with("env", Value::from(env))
            .with("terraform", self.terraform_value())
            .with("sandbox", sandbox)
    }

    fn terraform_value(&self) -> Value {
        match &self.read().outputs {
            Outputs::Known(outputs) => {
                let outputs: BTreeMap<String, Value> =
                    outputs.iter().map(|(name, value)| (name.clone(), Value::from_json(value))).collect();
                Value::from(BTreeMap::from([("output".to_owned(), Value::from(outputs))]))
            }
            Outputs::NotRead | Outputs::Pending => Value::Unknown,
        }
    }

    fn environment_value(&self, scope: &Values) -> Value {
        let values: BTreeMap<String, Value> = self
            .parts
            .settings
            .values
            .iter()
            .map(|(name, expr)| (name.clone(), expr.eval(scope).unwrap_or(Value::Unknown)))
            .collect();
        let settings = &self.parts.settings;
        Value::from(BTreeMap::from([
            ("name".to_owned(), Value::from(settings.name.as_str())),
            ("project".to_owned(), Value::from(self.parts.project.as_str())),
            ("protected".to_owned(), Value::from(settings.protected)),
            ("values".to_owned(), Value::from(values)),
        ]))
    }
}

impl Facts for Environment {
    fn scope(&self) -> Values {
        let own = self.settings_scope();
        let environment = self.environment_value(&own);
        let now = self.parts.clock.now();
        let seconds = |value: Option<f64>| value.map_or(Value::Unknown, Value::from);
        let outage = self.parts.last_stop.map(|stop| now.duration_since(stop).as_secs_f64());
        let live = self.read();
        let mut scope = own
            .with("environment", environment)
            .with("var", Value::from(self.parts.inputs.clone()))
            .with("downtime", seconds(self.parts.downtime))
            .with("outage", seconds(outage.or(self.parts.downtime)))
            .with("now", Value::from(now.as_millisecond() as f64 / 1000.0))
            .with("step", Value::from(live.steps.clone()))
            .with("recorded", Value::from(live.recorded.clone()));
        for root in ["wave", "probe", "result"] {
            scope.set(root, Value::Unknown);
        }
        scope
    }

    fn step_done(&self, step: &str, output: &serde_json::Value) {
        self.write().steps.insert(step.to_owned(), Value::from_json(output));
    }

    fn expect_steps(&self, steps: &[String]) {
        let mut live = self.write();
        for step in steps {
            live.steps.entry(step.clone()).or_insert(Value::Unknown);
        }
    }

    fn recorded(&self, name: &str, value: &serde_json::Value) {
        self.write().recorded.insert(name.to_owned(), Value::from_json(value));
    }

    fn forget_outputs(&self) {
        self.write().outputs = Outputs::Pending;
    }
}
