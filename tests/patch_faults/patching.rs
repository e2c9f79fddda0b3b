//! A patch in virtual time, as a rehearsal would run it: engine, step and client over a given transport.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use blackstart::base::{Clock, RunId, Secrets, Source};
use blackstart::dialect::{Values, functions};
use blackstart::engine::{self, Approval, Approver, Blobs, Facts, Finished, Resume, Run};
use blackstart::environment::{Environment, Parts};
use blackstart::event::{Teller, What};
use blackstart::gate::Gatekeeper;
use blackstart::hcl::{Functions, Value as Hcl};
use blackstart::http::{Memory, Request, Transport};
use blackstart::journal::{Journal, MemoryStore};
use blackstart::lasting::{ledger, unsaved};
use blackstart::sim::{Infrastructure, World, WorldOptions, canonical_job};
use blackstart::{plan, settings, step};
use http::Method;
use serde_json::Value;
use tokio::sync::watch;

pub const NOMAD: &str = "http://nomad.simulated:4646";
pub const BEGIN: &str = "2026-01-05T08:00:00Z";

/// Where a run's files lie, the same for all: the database, whose making takes long, is never brought up.
pub struct Place {
    folder: tempfile::TempDir,
    settings: settings::Environment,
}

impl Place {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "project = \"faults\"\nenvironment \"sandbox\" {{\n  simulated = true\n  nomad {{\n    address = \"{NOMAD}\"\n    files = [\"nomad-jobs/*.nomad.hcl\"]\n  }}\n}}\n"
        );
        std::fs::write(folder.path().join(settings::FILE_NAME), text).unwrap();
        let scope = settings::unknown_roots(Values::new(functions(&Secrets::default())));
        let project = settings::read(folder.path(), &scope).unwrap();
        Self { settings: project.environments[0].clone(), folder }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Without job files where there are none.
    fn settings_in(&self, root: &Path) -> settings::Environment {
        let mut settings = self.settings.clone();
        settings.nomad = settings.nomad.filter(|_| root.join("nomad-jobs").is_dir());
        settings
    }

    /// A cluster without jobs, and where it answers.
    pub fn world(&self, clock: &Clock, seed: u64) -> (World, Memory) {
        let mut options = WorldOptions::new(clock.clone(), self.root().join("database"));
        options.seed = seed;
        let world = World::new(options).unwrap();
        let memory = Memory::default();
        world.serve_in(&memory, NOMAD, "http://services.simulated");
        world.set_infrastructure(Infrastructure { database: false, ..Infrastructure::whole() }).unwrap();
        (world, memory)
    }
}

pub async fn get(memory: &Memory, path: &str) -> Value {
    let answer = memory.send(Request::new(Method::GET, format!("{NOMAD}{path}"))).await.unwrap();
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

pub async fn put(memory: &Memory, path: &str, body: &Value) {
    let mut request = Request::new(Method::PUT, format!("{NOMAD}{path}"));
    request.body = body.to_string().into();
    let answer = memory.send(request).await.unwrap();
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
}

/// Where patches of one cluster are run, one after another: what outlives each process.
pub struct Desk {
    pub clock: Clock,
    pub journal: Journal,
    pub root: PathBuf,
    blobs: Arc<Blobs>,
    told: Arc<Mutex<Vec<String>>>,
    /// What is done once so many lines were told.
    once: Arc<Mutex<Option<Once>>>,
}

type Once = (usize, Box<dyn FnOnce() + Send>);

impl Desk {
    pub fn new(place: &Place, root: Option<PathBuf>, clock: &Clock) -> Self {
        let journal = Journal::open(Box::new(MemoryStore::default()), clock.clone(), Secrets::default());
        Self {
            clock: clock.clone(),
            journal: journal.unwrap(),
            root: root.unwrap_or_else(|| place.root()),
            blobs: Arc::default(),
            told: Arc::default(),
            once: Arc::default(),
        }
    }

    /// Does something once that line was told, counted from 0.
    #[allow(dead_code, reason = "not every suite cuts a run off")]
    pub fn once_told(&self, line: usize, act: impl FnOnce() + Send + 'static) {
        *self.once.lock().unwrap() = Some((line, Box::new(act)));
    }

    /// The jobs that the ledger has unsaved patches of.
    #[allow(dead_code, reason = "not every suite asks")]
    pub async fn unsaved(&self, place: &Place, transport: Arc<dyn Transport>) -> Vec<String> {
        let secrets = Secrets::default();
        let functions = functions(&secrets);
        let environment = self.environment(place, transport, secrets, functions);
        let client = environment.nomad().await.unwrap();
        let changes = ledger(&self.journal.all());
        let all = unsaved(&environment, changes, Some(&client), canonical_job, None).await;
        all.into_iter().map(|one| one.change.job).collect()
    }

    fn environment(
        &self,
        place: &Place,
        transport: Arc<dyn Transport>,
        secrets: Secrets,
        functions: Arc<Functions>,
    ) -> Arc<Environment> {
        let shell = [("PATH", std::env::var("PATH").unwrap()), ("HOME", self.root.display().to_string())];
        Arc::new(Environment::new(Parts {
            project: "faults".into(),
            root: self.root.clone(),
            settings: place.settings_in(&self.root),
            terraform: None,
            transport,
            clock: self.clock.clone(),
            secrets,
            functions,
            variables: BTreeMap::new(),
            shell: shell.map(|(name, value)| (name.to_owned(), value)).into(),
            nomad_address: Some(NOMAD.to_owned()),
            sandbox: None,
            inputs: BTreeMap::new(),
            downtime: None,
            last_stop: None,
            recorded: BTreeMap::new(),
            rehearsal: true,
            whole: true,
            job_files: Vec::new(),
            siblings: Vec::new(),
        }))
    }

    /// Everything that a person was told by now, a line each.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Runs the plan from its beginning, or goes on with the run that the journal ends with.
    pub async fn run(
        &self,
        place: &Place,
        plan: &str,
        transport: Arc<dyn Transport>,
        person: Arc<dyn Approver>,
    ) -> Finished {
        let secrets = Secrets::default();
        let functions = functions(&secrets);
        let mut scope = Values::new(Arc::clone(&functions)).with("var", Hcl::Unknown);
        for root in ["downtime", "outage", "env", "environment", "now", "terraform", "step", "recorded"] {
            scope.set(root, Hcl::Unknown);
        }
        let plan = plan::load(&Source::new("the patch", plan), &scope).unwrap().remove(0);
        let environment = self.environment(place, transport, secrets, functions);
        let (listener, once) = (Arc::clone(&self.told), Arc::clone(&self.once));
        let teller = Teller::new(move |event: What| {
            let mut told = listener.lock().unwrap();
            told.extend(said(&event));
            if let Some((_, act)) = once.lock().unwrap().take_if(|(line, _)| *line < told.len()) {
                act();
            }
        });
        let steps = step::build(&plan, &environment);
        let resume = match self.journal.runs().unwrap().last() {
            Some(run) => Resume::Of(Box::new(run.clone())),
            None => Resume::New { downtime: None },
        };
        let mut run = Run::new(
            RunId("faults".into()),
            plan,
            resume,
            steps,
            Arc::new(Gatekeeper(Arc::clone(&environment))),
            Arc::clone(&environment) as Arc<dyn Facts>,
            self.journal.clone(),
            self.clock.clone(),
            teller,
            person,
            watch::Sender::new(0).subscribe(),
        );
        run.environment = "sandbox".into();
        run.who = "a person".into();
        run.blobs = Arc::clone(&self.blobs);
        engine::run(&run, Approval::Ask).await
    }
}

/// What a person reads of an event.
fn said(event: &What) -> Vec<String> {
    match event {
        What::Note { text } | What::Warning { text } => vec![text.clone()],
        What::Shown { step } => step.lines.iter().map(|line| line.text.clone()).collect(),
        What::StepProgress { item, text, .. } => {
            vec![format!("{}: {text}", item.as_deref().unwrap_or_default())]
        }
        What::StepDone { summary, .. } => vec![summary.clone()],
        What::StepFailed { error, .. } => vec![error.clone()],
        What::Finished { summary, help, .. } => {
            std::iter::once(summary.clone()).chain(help.clone()).collect()
        }
        _ => Vec::new(),
    }
}
