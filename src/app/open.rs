//! From a folder and flags to an environment that can be worked on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hmac::{Hmac, Mac};
use jiff::Timestamp;
use sha2::Sha256;

use super::downtime;
use super::failure::{Code, Failure, chain};
use super::job_files;
use super::rehearse::StandInMaker;
use super::sandbox;
use super::secrets;
use crate::base::{Clock, Diagnostic, RunId, Secrets, paths, text};
use crate::dialect::{Values, functions};
use crate::environment::{Environment, Parts, TerraformMaker};
use crate::hcl::{Functions, Value};
use crate::http::{Sockets, Transport};
use crate::journal::{Holder, Journal, Lock, LockError, SqliteStore};
use crate::process;
use crate::settings::{self, Project, env_file};
use crate::sim::SandboxFile;
use crate::terraform::{self, Cli};

/// The state of the stand-in for Terraform, in the state directory: the sandbox follows it.
pub const STAND_IN_STATE: &str = "stand-in.tfstate";

/// What the command line says about where and what.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub dir: PathBuf,
    pub environment: Option<String>,
    pub nomad_address: Option<String>,
    /// Where secrets are collected.
    pub secrets: Secrets,
    /// In place of the machine's state directory.
    pub state_root: Option<PathBuf>,
}

/// What is done to an environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads the record: nothing of the environment has to be there.
    Record,
    /// Only looks: no lock.
    Look,
    /// Changes something: one at a time.
    Change,
}

/// An opened environment.
pub struct Opened {
    pub project: Project,
    pub settings: settings::Environment,
    pub root: PathBuf,
    pub state_dir: PathBuf,
    pub journal: Journal,
    pub clock: Clock,
    pub secrets: Secrets,
    pub functions: Arc<Functions>,
    pub key: Vec<u8>,
    pub who: String,
    pub sandbox: Option<SandboxFile>,
    /// What was left out of the shell's environment, to be said.
    pub scrubbed: Vec<String>,
    /// Whether the stand-in takes Terraform's place.
    pub stand_in: bool,
    pub(super) shell: BTreeMap<String, String>,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) nomad_address: Option<String>,
    lock: Option<Lock>,
}

/// Reads blackstart.hcl of the folder or of one above it.
pub fn project(options: &Options) -> Result<Project, Failure> {
    let dir = std::fs::canonicalize(&options.dir).map_err(|error| {
        Failure::error(format!("the folder {} can't be opened: {error}", options.dir.display()))
    })?;
    let root = settings::find_root(&dir).ok_or_else(|| {
        let message = format!("there is no {} in {} or above it", settings::FILE_NAME, dir.display());
        Failure::error(message)
            .help("go to the project's folder, or name it with -C DIR; `blackstart demo` shows one at work")
    })?;
    let scope = settings::unknown_roots(Values::new(functions(&options.secrets)));
    Ok(settings::read(&root, &scope)?)
}

/// The environment that is meant: the named one, or the only one if it isn't protected.
pub fn choose<'p>(project: &'p Project, options: &Options) -> Result<&'p settings::Environment, Failure> {
    let names: Vec<&str> = project.environments.iter().map(|environment| environment.name.as_str()).collect();
    let Some(name) = &options.environment else {
        return match project.environments.as_slice() {
            [only] if !only.protected => Ok(only),
            [only] => Err(Failure::error(format!(
                "the environment '{}' is protected and never a default",
                only.name
            ))
            .help(format!("name it: -e {}", only.name))),
            _ => Err(Failure::error("which environment?")
                .help(format!("name one with -e: {}", text::list(&names)))),
        };
    };
    let chosen = project.environment(name).ok_or_else(|| {
        let help = match text::nearest(name, names.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("the environments are {}", text::list(&names)),
        };
        Failure::error(format!("there is no environment '{name}'")).help(help)
    })?;
    if chosen.simulated && options.nomad_address.is_some() {
        let message = format!("--nomad-address is refused for '{name}', which is simulated");
        return Err(
            Failure::error(message).help("its Nomad is the sandbox's; name another environment with -e")
        );
    }
    if chosen.protected && options.nomad_address.is_some() {
        let message = format!("--nomad-address is refused for '{name}', which is protected");
        return Err(Failure::error(message).help("its Nomad is the one that its nomad block names"));
    }
    Ok(chosen)
}

/// Opens an environment: its state directory, journal, lock, credentials and clock.
pub fn open(
    project: &Project,
    settings: &settings::Environment,
    options: &Options,
    access: Access,
    doing: &str,
) -> Result<Opened, Failure> {
    let shell = process::shell();
    let secrets = options.secrets.clone();
    let functions = functions(&secrets);
    let machine = || paths::state_root(|name| shell.get(name).cloned());
    let root = options.state_root.clone().or_else(machine).ok_or_else(|| {
        let message = format!(
            "there is no place for the journal: neither {} nor HOME is set",
            paths::STATE_DIR_VARIABLE
        );
        Failure::error(message)
    })?;
    let state_dir = paths::environment_state_dir(&root, &project.name, &settings.name).map_err(|error| {
        Failure::error(format!("the state directory {} can't be made: {error}", root.display()))
    })?;
    let who = who(&shell);
    let lock = match access {
        Access::Look | Access::Record => None,
        Access::Change => Some(take_lock(&state_dir, settings, &who, doing)?),
    };
    let live = settings.simulated && access != Access::Record;
    let sandbox = live.then(|| sandbox::read(&state_dir, &settings.name)).transpose()?;
    let clock = sandbox.as_ref().map_or_else(Clock::real, |file| file.clock.clock());
    let children = process::environment(&shell, &settings.inherit, &BTreeMap::new());
    let substituted = settings.nomad.iter().flat_map(|nomad| &nomad.envsubst).collect::<Vec<_>>();
    let named = |(name, _): &(&String, &String)| {
        process::is_named(&settings.inherit, name) || substituted.contains(name)
    };
    let mut variables: BTreeMap<String, String> =
        shell.iter().filter(named).map(|(name, value)| (name.clone(), value.clone())).collect();
    env_file::collect(&variables, &secrets);
    if let Some(file) = &settings.env_file {
        variables.extend(env_file::read(&project.root.join(file), &settings.span, &children, &secrets)?);
    }
    secrets::collect_all(&project.root, settings, &secrets)?;
    let journal_file = state_dir.join("journal.db");
    let journal = SqliteStore::open(&journal_file)
        .and_then(|store| Journal::open(Box::new(store), clock.clone(), secrets.clone()))
        .map_err(|error| Failure::from(error).about(&journal_file))?;
    let key = key(&state_dir)?;
    let mut opened = Opened {
        project: project.clone(),
        settings: settings.clone(),
        root: project.root.clone(),
        state_dir,
        journal,
        clock,
        secrets,
        functions,
        key,
        who,
        sandbox,
        scrubbed: Vec::new(),
        stand_in: false,
        shell: children,
        variables,
        nomad_address: options.nomad_address.clone(),
        lock,
    };
    opened.check_terraform(&shell)?;
    Ok(opened)
}

fn take_lock(
    state_dir: &Path,
    settings: &settings::Environment,
    who: &str,
    doing: &str,
) -> Result<Lock, Failure> {
    let since = Clock::real().now();
    let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
    let holder =
        Holder { who: who.to_owned(), doing: doing.to_owned(), pid: std::process::id(), since, run: None };
    Lock::take(state_dir, &holder).map_err(|error| match error {
        LockError::Held(holder) => Failure::locked(&settings.name, holder.as_ref()),
        other @ LockError::Io { .. } => Failure::error(chain(&other)),
    })
}

/// The person at work: the account, and the machine.
fn who(shell: &BTreeMap<String, String>) -> String {
    let account =
        ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| shell.get(*name).filter(|v| !v.is_empty()));
    let account = account.cloned().unwrap_or_else(|| {
        let uid = nix::unistd::getuid();
        nix::unistd::User::from_uid(uid).ok().flatten().map_or_else(|| format!("uid {uid}"), |user| user.name)
    });
    match nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()) {
        Some(host) => format!("{account}@{host}"),
        None => account,
    }
}

/// The key of this environment's fingerprints, made on first use.
fn key(state_dir: &Path) -> Result<Vec<u8>, Failure> {
    let path = state_dir.join("key");
    let unusable = |reason: String| {
        Failure::error(format!("{} can't be used: {reason}", path.display()))
            .help("without it older approvals and fingerprints can't be compared; remove it to begin with a new one")
    };
    match std::fs::read(&path) {
        Ok(bytes) if bytes.len() == 32 => return Ok(bytes),
        Ok(bytes) => return Err(unusable(format!("it has {} bytes instead of 32", bytes.len()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unusable(error.to_string())),
    }
    let mut key = [0_u8; 32];
    getrandom::fill(&mut key).map_err(|error| Failure::error(format!("no random numbers: {error}")))?;
    paths::write_private(&path, &key)
        .map_err(|error| Failure::error(format!("{} can't be written: {error}", path.display())))?;
    Ok(key.to_vec())
}

impl Opened {
    fn terraform_settings(&self, shell: &BTreeMap<String, String>) -> Option<terraform::Settings> {
        let block = self.settings.terraform.as_ref()?;
        let absolute = |path: &PathBuf| self.root.join(path);
        let mut settings =
            terraform::Settings::new(self.root.join(&block.dir), self.state_dir.join("terraform"));
        settings.binary.clone_from(&block.program);
        settings.workspace.clone_from(&block.workspace);
        settings.backend_config = block.backend_config.iter().map(absolute).collect();
        settings.targets.clone_from(&block.targets);
        settings.var_files = block.var_files.iter().map(|(path, _)| absolute(path)).collect();
        settings.environment.clone_from(&self.variables);
        settings.inherit.clone_from(&self.settings.inherit);
        settings.shell.clone_from(shell);
        settings.secrets = self.secrets.clone();
        settings.key.clone_from(&self.key);
        Some(settings)
    }

    fn check_terraform(&mut self, shell: &BTreeMap<String, String>) -> Result<(), Failure> {
        let Some(settings) = self.terraform_settings(shell) else { return Ok(()) };
        self.scrubbed = settings.scrubbed();
        settings.check_workspace().map_err(|error| Failure::error(chain(&error)))?;
        let found = Cli::new(settings).and_then(|cli| cli.binary().map(drop));
        match found {
            Ok(()) => Ok(()),
            Err(_) if self.settings.simulated => {
                self.stand_in = true;
                Ok(())
            }
            Err(error) => {
                let place = self.settings.terraform.as_ref().map(|block| block.span.clone());
                let mut problem = Diagnostic::error(chain(&error));
                problem.span = place;
                Err(problem.into())
            }
        }
    }

    /// Makes Terraform drivers for this environment.
    fn terraform_maker(&self) -> Option<TerraformMaker> {
        let settings = self.terraform_settings(&process::shell())?;
        if self.stand_in {
            let stand_in = StandInMaker {
                settings: self.settings.clone(),
                root: self.root.clone(),
                state_file: self.state_dir.join(STAND_IN_STATE),
                seed: 0,
                clock: self.clock.clone(),
                world: None,
            };
            return Some(stand_in.maker());
        }
        Some(Arc::new(move |targets: Option<Vec<String>>| {
            let mut settings = settings.clone();
            if let Some(targets) = targets {
                settings.targets = targets;
            }
            match Cli::new(settings) {
                Ok(cli) => Arc::new(cli) as Arc<dyn terraform::Terraform>,
                Err(error) => Arc::new(Unusable(Arc::new(error))),
            }
        }))
    }

    /// The environment, with the values of a run.
    pub fn environment(
        &self,
        inputs: BTreeMap<String, Value>,
        downtime: Option<f64>,
    ) -> Result<Arc<Environment>, Failure> {
        let transport: Arc<dyn Transport> = Arc::new(Sockets::new());
        let job_files = job_files::named_by_plans(self);
        let siblings = job_files::siblings(self, &transport, &job_files);
        Ok(Arc::new(Environment::new(Parts {
            project: self.project.name.clone(),
            root: self.root.clone(),
            settings: self.settings.clone(),
            terraform: self.terraform_maker(),
            transport,
            clock: self.clock.clone(),
            secrets: self.secrets.clone(),
            functions: Arc::clone(&self.functions),
            variables: self.variables.clone(),
            shell: self.shell.clone(),
            nomad_address: self.nomad_address.clone(),
            sandbox: self.sandbox.as_ref().map(sandbox::value),
            inputs,
            downtime,
            last_stop: downtime::last_stop(&self.journal.runs()?),
            recorded: self.recorded()?,
            rehearsal: false,
            whole: true,
            job_files,
            siblings,
        })))
    }

    /// The environment's last recorded values.
    fn recorded(&self) -> Result<BTreeMap<String, serde_json::Value>, Failure> {
        let runs = self.journal.runs()?;
        Ok(runs.iter().flat_map(|run| run.recorded.clone()).collect())
    }

    /// A keyed hash: equal texts have equal ones, and nothing can be told from it without the key.
    pub fn keyed(&self, bytes: &[u8]) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.key) else { return String::new() };
        mac.update(bytes);
        mac.finalize().into_bytes().iter().take(12).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Who and what, for the first lines of a run.
    pub fn details(&self, downtime: Option<&downtime::Known>) -> Vec<(String, String)> {
        let mut details = vec![("who".to_owned(), self.who.clone())];
        if let Some(terraform) = &self.settings.terraform {
            let workspace = terraform.workspace.as_deref().unwrap_or("default");
            let mut shown = format!("{}/, workspace {workspace}", terraform.dir.display());
            if self.stand_in {
                shown.push_str(" (stand-in: terraform was not found)");
            }
            details.push(("terraform".into(), shown));
        }
        if self.nomad_address.is_some() || self.settings.nomad.is_some() {
            let shown = match (&self.nomad_address, &self.sandbox) {
                (Some(address), _) => format!("{address} (--nomad-address)"),
                (None, Some(sandbox)) => sandbox.nomad.clone(),
                (None, None) => {
                    self.settings.nomad.as_ref().and_then(|nomad| nomad.address.as_ref()).map_or_else(
                        || "NOMAD_ADDR".to_owned(),
                        |expr| match expr.as_plain_string() {
                            Some(address) => address,
                            None => expr.span.text().to_owned(),
                        },
                    )
                }
            };
            details.push(("nomad".into(), shown));
        }
        if let Some(downtime) = downtime {
            details.push(("downtime".into(), downtime.shown()));
        }
        details
    }

    /// Who is changing the environment now, in another process.
    pub fn changing(&self) -> Option<Holder> {
        if self.lock.is_some() { None } else { Lock::holder(&self.state_dir) }
    }

    /// Says to others which run the lock is held for.
    pub(super) fn is_at(&self, run: &RunId) {
        if let Some(lock) = &self.lock {
            lock.is_for(run);
        }
    }

    /// What must be known of another run before a new one: a child of it that still works.
    pub(super) fn refuse_living_child(&self) -> Result<(), Failure> {
        for run in self.journal.runs()?.iter().filter(|run| run.is_unfinished()) {
            for step in run.unknown_steps() {
                let child =
                    run.intents.get(step).and_then(|all| all.last()).and_then(|intent| intent.child.clone());
                if let Some((pid, started)) = child
                    && process::is_running(pid, &started)
                {
                    let message = format!(
                        "the run {} of {} was cut off, and its step '{step}' still runs (process {pid})",
                        run.id, run.who
                    );
                    let help =
                        format!("go on with it: blackstart resume {} -e {}", run.id, self.settings.name);
                    return Err(Failure::new(Code::Locked, message).help(help));
                }
            }
        }
        Ok(())
    }
}

/// A driver whose settings were refused: every call says why.
pub(super) struct Unusable(pub Arc<terraform::TerraformError>);

impl Unusable {
    fn error(&self) -> terraform::TerraformError {
        terraform::TerraformError::Unreadable { command: "settings", reason: self.0.to_string() }
    }
}

#[async_trait::async_trait]
impl terraform::Terraform for Unusable {
    async fn plan(
        &self,
        _: terraform::Operation,
        _: terraform::Tell<'_>,
    ) -> Result<terraform::Planned, terraform::TerraformError> {
        Err(self.error())
    }

    async fn apply(
        &self,
        _: terraform::Planned,
        _: terraform::Tell<'_>,
    ) -> Result<terraform::Applied, terraform::TerraformError> {
        Err(self.error())
    }

    async fn state(&self) -> Result<terraform::State, terraform::TerraformError> {
        Err(self.error())
    }

    fn interrupt(&self) {}
}
