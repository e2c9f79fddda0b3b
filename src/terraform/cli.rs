//! The driver on the real process.
//!
//! Guarantees: a plan takes two processes and an apply one, `init` apart, which runs only when it is
//! needed; a plan is in memory only and applied as it was made; everything textual that leaves is
//! masked and can't steer a terminal. Killing us leaves the child running to its end. Does not: undo,
//! unlock, or repeat anything that changes something.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::api::{Action, Applied, Operation, Planned, Progress, State, Tell, Terraform};
use super::error::{Problem, TerraformError};
use super::invoke::Heard;
use super::planfile::{self, History};
use super::settings::{MINIMUM, Settings};
use super::shown::{self, Shown};
use super::stream::{self, Meaning};
use super::{init, invoke};
use crate::base::text;
use crate::process::{Interrupter, Memory};

/// Names the plan inside a child that has it as its standard input.
pub(super) const PLAN: &str = "/proc/self/fd/0";

const SIGINT: i32 = nix::libc::SIGINT;

/// Terraform as a command.
pub struct Cli {
    pub(super) settings: Settings,
    running: Mutex<Vec<Interrupter>>,
}

/// What [`Planned::file`] holds.
struct PlanFile {
    memory: Memory,
    /// What Terraform tells of no event while it applies: they are done once the apply is.
    silent: Vec<(String, Action)>,
    sensitive_outputs: std::collections::BTreeMap<String, Value>,
}

impl Cli {
    /// Refuses a workspace that the shell contradicts; starts nothing.
    pub fn new(settings: Settings) -> Result<Self, TerraformError> {
        settings.check_workspace()?;
        Ok(Self { settings, running: Mutex::default() })
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The program that is run.
    pub fn binary(&self) -> Result<PathBuf, TerraformError> {
        let name = self.settings.binary.as_deref().unwrap_or("terraform");
        let is_program = |path: &Path| {
            use std::os::unix::fs::PermissionsExt;
            path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
        };
        let found = if name.contains('/') {
            let path = std::path::absolute(name).unwrap_or_else(|_| PathBuf::from(name));
            is_program(&path).then_some(path)
        } else {
            let path = self.settings.shell.get("PATH").map(String::as_str).unwrap_or_default();
            std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| is_program(file))
        };
        found.ok_or_else(|| TerraformError::NotFound { binary: name.to_owned(), minimum: MINIMUM })
    }

    /// `text` as it may leave the driver.
    pub(super) fn clean(&self, raw: &str) -> String {
        text::harmless(&self.settings.secrets.mask(raw)).into_owned()
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Vec<Interrupter>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that the data folder fits the configuration.
    async fn prepare(&self, tell: Tell<'_>) -> Result<PathBuf, TerraformError> {
        let settings = &self.settings;
        let binary = self.binary()?;
        if !init::has_sources(&settings.dir) {
            return Err(TerraformError::NoConfiguration { dir: settings.dir.display().to_string() });
        }
        init::data_dir(&settings.data_dir).map_err(TerraformError::Child)?;
        if init::is_done(settings, &binary) {
            return Ok(binary);
        }
        tell(Progress::Note("preparing Terraform's modules and providers (terraform init)".to_owned()));
        let mut arguments = owned(&["init", "-input=false", "-no-color"]);
        if settings.dir.join(init::LOCK_FILE).exists() {
            arguments.push("-lockfile=readonly".to_owned());
        }
        arguments
            .extend(settings.backend_config.iter().map(|file| format!("-backend-config={}", file.display())));
        let run = invoke::text(self, &binary, arguments, None, tell).await?;
        if !run.ended.success() {
            if run.interrupted {
                return Err(TerraformError::Interrupted { command: "init" });
            }
            let mut problem = run.problem();
            if problem.detail.contains("-reconfigure") {
                let folder = settings.data_dir.display();
                problem
                    .detail
                    .push_str(&format!("\nTerraform's data folder here is {folder}: set TF_DATA_DIR to it."));
            }
            return Err(TerraformError::Failed { command: "init", problems: vec![problem] });
        }
        init::done(settings, &binary).map_err(TerraformError::Child)?;
        Ok(binary)
    }

    async fn plan_once(
        &self,
        operation: Operation,
        tell: Tell<'_>,
    ) -> Result<(PathBuf, Memory, Heard), TerraformError> {
        let settings = &self.settings;
        let binary = self.prepare(tell).await?;
        let memory = Memory::new("plan").map_err(TerraformError::Child)?;
        let mut arguments = owned(&["plan", "-input=false", "-json"]);
        arguments.push(format!("-out={PLAN}"));
        if operation == Operation::Destroy {
            arguments.push("-destroy".to_owned());
        }
        arguments.extend(settings.targets.iter().map(|target| format!("-target={target}")));
        arguments.extend(settings.var_files.iter().map(|file| format!("-var-file={}", file.display())));
        let heard = invoke::stream(self, &binary, arguments, &memory, tell).await?;
        if heard.run.ended.success() {
            return Ok((binary, memory, heard));
        }
        Err(self.failure("plan", heard))
    }

    /// What a failed command means, nothing having been applied.
    fn failure(&self, command: &'static str, heard: Heard) -> TerraformError {
        match stream::meaning(&heard.errors) {
            Some(Meaning::Locked(lock)) => return TerraformError::Locked { lock },
            Some(Meaning::Stale(reason)) => return TerraformError::Stale { reason },
            Some(Meaning::NeedsInit) => init::forget(&self.settings),
            None => {}
        }
        if heard.run.interrupted {
            return TerraformError::Interrupted { command };
        }
        let problems = if heard.errors.is_empty() { vec![heard.run.problem()] } else { heard.errors };
        TerraformError::Failed { command, problems }
    }

    async fn show(
        &self,
        binary: &Path,
        plan: Option<&Memory>,
        tell: Tell<'_>,
    ) -> Result<Value, TerraformError> {
        let mut arguments = owned(&["show", "-no-color", "-json"]);
        if plan.is_some() {
            arguments.push(PLAN.to_owned());
        }
        let run = invoke::text(self, binary, arguments, plan, tell).await?;
        if run.interrupted {
            return Err(TerraformError::Interrupted { command: "show" });
        }
        if !run.ended.success() {
            let problem = run.problem();
            if stream::meaning(std::slice::from_ref(&problem)) == Some(Meaning::NeedsInit) {
                init::forget(&self.settings);
            }
            return Err(TerraformError::Failed { command: "show", problems: vec![problem] });
        }
        serde_json::from_slice(&run.stdout).map_err(|error| unreadable("show", &error.to_string()))
    }

    /// A target that names nothing would be silently left out by Terraform.
    fn check_targets(&self, shown: &Shown, warnings: &mut Vec<String>) -> Result<(), TerraformError> {
        for target in &self.settings.targets {
            let plain = shown::without_keys(target);
            if !shown.known.contains(&plain) {
                let nearest = text::nearest(&plain, shown.known.iter().map(String::as_str));
                let nearest = nearest.or_else(|| {
                    shown.known.iter().find(|name| plain.starts_with(&format!("{name}."))).map(String::as_str)
                });
                return Err(TerraformError::NoSuchTarget {
                    target: target.clone(),
                    nearest: nearest.map(str::to_owned),
                });
            }
            let covers = |address: &String| {
                address
                    .strip_prefix(target.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            if plain != *target && !shown.instances.iter().any(covers) {
                warnings.push(format!("target {target} matches no instance in the state or in the plan"));
            }
        }
        Ok(())
    }

    /// Refuses to go on beside a state that an apply couldn't save.
    fn check_unsaved(&self, history: &History, warnings: &mut Vec<String>) -> Result<(), TerraformError> {
        let Some((path, unsaved)) = planfile::unsaved(&self.settings.dir) else { return Ok(()) };
        if planfile::is_ahead(unsaved.as_ref(), history) {
            return Err(TerraformError::UnsavedState { path });
        }
        warnings.push(format!("{} is left over from an apply; the state holds no less", path.display()));
        Ok(())
    }

    fn not_applied(&self, heard: Heard, unsaved_before: Option<&[u8]>) -> TerraformError {
        let Heard { run, errors, done, started, .. } = heard;
        let unsaved_state = planfile::unsaved(&self.settings.dir).map(|(path, _)| path);
        let unsaved_state =
            unsaved_state.filter(|path| std::fs::read(path).ok().as_deref() != unsaved_before);
        let nothing_began = done.is_empty() && started.is_empty() && unsaved_state.is_none();
        // Once it listens, an interrupt doesn't end it like this.
        if nothing_began && run.interrupted && run.ended.signal == Some(SIGINT) {
            return TerraformError::Interrupted { command: "apply" };
        }
        if run.ended.code.is_none() || run.ended.success() {
            let reason = format!("terraform ended with {} before it said that it had finished", run.ended);
            return TerraformError::Unknown { reason, done, unfinished: started };
        }
        if nothing_began {
            return self.failure("apply", Heard { run, errors, ..Heard::default() });
        }
        let problems = if errors.is_empty() { vec![run.problem()] } else { errors };
        TerraformError::Incomplete {
            done,
            unfinished: started,
            problems,
            interrupted: run.interrupted,
            unsaved_state,
        }
    }
}

#[async_trait]
impl Terraform for Cli {
    async fn plan(&self, operation: Operation, tell: Tell<'_>) -> Result<Planned, TerraformError> {
        let (binary, memory, heard) = match self.plan_once(operation, tell).await {
            // The stamp said that nothing was to be prepared, and Terraform says otherwise: once more.
            Err(TerraformError::Failed { problems, .. })
                if stream::meaning(&problems) == Some(Meaning::NeedsInit) =>
            {
                self.plan_once(operation, tell).await?
            }
            other => other?,
        };
        let shown = self.show(&binary, Some(&memory), tell).await?;
        let settings = &self.settings;
        let shown = shown::plan(&shown, &settings.secrets, &settings.key)
            .map_err(|reason| unreadable("show", &self.clean(&reason)))?;
        if shown.errored {
            return Err(self.failure("plan", heard));
        }
        let mut warnings: Vec<String> =
            heard.warnings.iter().map(|problem| self.clean(&problem.to_string())).collect();
        self.check_targets(&shown, &mut warnings)?;
        let bytes = memory.bytes().map_err(TerraformError::Child)?;
        let history = planfile::of_plan(bytes).map_err(|reason| unreadable("plan", &reason))?;
        self.check_unsaved(&history, &mut warnings)?;
        let silent = shown
            .changes
            .iter()
            .filter(|change| matches!(change.action, Action::Forget | Action::Move | Action::Import));
        let silent = silent.map(|change| (change.address.clone(), change.action)).collect();
        Ok(Planned {
            changes: shown.changes,
            output_changes: shown.output_changes,
            lineage: history.lineage,
            serial: history.serial,
            warnings,
            file: Box::new(PlanFile { memory, silent, sensitive_outputs: shown.sensitive_outputs }),
        })
    }

    async fn apply(&self, planned: Planned, tell: Tell<'_>) -> Result<Applied, TerraformError> {
        let file = planned.file.downcast::<PlanFile>().map_err(|_| TerraformError::ForeignPlan)?;
        let PlanFile { memory, silent, sensitive_outputs } = *file;
        let binary = self.binary()?;
        let unsaved_before =
            planfile::unsaved(&self.settings.dir).and_then(|(path, _)| std::fs::read(path).ok());
        let arguments = owned(&["apply", "-input=false", "-json", PLAN]);
        let heard = invoke::stream(self, &binary, arguments, &memory, tell).await?;
        if !heard.run.ended.success() || !heard.applied {
            return Err(self.not_applied(heard, unsaved_before.as_deref()));
        }
        let mut applied = Applied { done: heard.done, ..Applied::default() };
        let told: Vec<&String> = applied.done.iter().map(|(address, _)| address).collect();
        let silent: Vec<_> = silent.into_iter().filter(|(address, _)| !told.contains(&address)).collect();
        applied.done.extend(silent);
        for (name, (value, sensitive)) in heard.outputs {
            match value.or_else(|| sensitive_outputs.get(&name).cloned()) {
                Some(value) => drop(applied.outputs.insert(name, value)),
                None if sensitive => applied.withheld.push(name),
                None => {}
            }
        }
        Ok(applied)
    }

    async fn state(&self) -> Result<State, TerraformError> {
        let quiet = |_: Progress| {};
        let binary = self.prepare(&quiet).await?;
        let shown = match self.show(&binary, None, &quiet).await {
            Err(TerraformError::Failed { problems, .. })
                if stream::meaning(&problems) == Some(Meaning::NeedsInit) =>
            {
                let binary = self.prepare(&quiet).await?;
                self.show(&binary, None, &quiet).await?
            }
            other => other?,
        };
        shown::state(&shown, &self.settings.secrets)
            .map_err(|reason| unreadable("show", &self.clean(&reason)))
    }

    fn interrupt(&self) {
        for interrupter in self.running().iter() {
            interrupter.interrupt();
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn unreadable(command: &'static str, reason: &str) -> TerraformError {
    TerraformError::Unreadable { command, reason: reason.to_owned() }
}

impl Problem {
    pub(super) fn map(self, clean: impl Fn(&str) -> String) -> Self {
        Self {
            summary: clean(&self.summary),
            detail: clean(&self.detail),
            place: self.place.map(|place| clean(&place)),
            address: self.address.map(|address| clean(&address)),
        }
    }
}
