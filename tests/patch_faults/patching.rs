//! A patch in virtual time, as a rehearsal would run it: engine, step and client over a given transport.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use blackstart::base::{Clock, RunId, Secrets, Source};
use blackstart::dialect::{Values, functions};
use blackstart::engine::{self, Approval, Approver, Facts, Finished, Resume, Run};
use blackstart::environment::{Environment, Parts};
use blackstart::event::{Teller, What};
use blackstart::gate::Gatekeeper;
use blackstart::hcl::Value as Hcl;
use blackstart::http::{Memory, Request, Transport};
use blackstart::journal::{Body, Journal, MemoryStore, Store};
use blackstart::sim::{Infrastructure, World, WorldOptions};
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
        let text = "project = \"faults\"\nenvironment \"sandbox\" {\n  simulated = true\n}\n";
        std::fs::write(folder.path().join(settings::FILE_NAME), text).unwrap();
        let scope = settings::unknown_roots(Values::new(functions(&Secrets::default())));
        let project = settings::read(folder.path(), &scope).unwrap();
        Self { settings: project.environments[0].clone(), folder }
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
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

/// The plan that `patch image` makes.
fn patch_plan(images: &[(&str, &str)]) -> String {
    let images: Vec<String> = images.iter().map(|(job, tag)| format!("{job:?} = {tag:?}")).collect();
    format!(
        "plan \"patch-image\" {{\n  operation = \"patch\"\n  wave \"patch\" {{\n    step \"nomad_patch\" \"image\" {{\n      \
         images = {{\n{}\n}}\n    }}\n  }}\n}}\n",
        images.join("\n")
    )
}

/// Patches images through a transport, and gives how it ended, what was told, and the journal.
pub async fn patch(
    place: &Place,
    clock: &Clock,
    transport: Arc<dyn Transport>,
    person: Arc<dyn Approver>,
    images: &[(&str, &str)],
) -> (Finished, Vec<String>, Vec<Body>) {
    patch_into(place, clock, transport, person, images, Box::new(MemoryStore::default())).await
}

/// As [`patch`], with a store for the journal.
pub async fn patch_into(
    place: &Place,
    clock: &Clock,
    transport: Arc<dyn Transport>,
    person: Arc<dyn Approver>,
    images: &[(&str, &str)],
    store: Box<dyn Store>,
) -> (Finished, Vec<String>, Vec<Body>) {
    let secrets = Secrets::default();
    let functions = functions(&secrets);
    let mut scope = Values::new(Arc::clone(&functions)).with("var", Hcl::Unknown);
    for root in ["downtime", "outage", "env", "environment", "now", "terraform", "step", "recorded"] {
        scope.set(root, Hcl::Unknown);
    }
    let source = Source::new("the patch", patch_plan(images));
    let plan = plan::load(&source, &scope).unwrap().remove(0);
    let journal = Journal::open(store, clock.clone(), secrets.clone()).unwrap();
    let environment = Arc::new(Environment::new(Parts {
        project: "faults".into(),
        root: place.root(),
        settings: place.settings.clone(),
        terraform: None,
        transport,
        clock: clock.clone(),
        secrets: secrets.clone(),
        functions,
        variables: BTreeMap::new(),
        shell: BTreeMap::new(),
        nomad_address: Some(NOMAD.to_owned()),
        sandbox: None,
        inputs: BTreeMap::new(),
        downtime: None,
        last_stop: None,
        recorded: BTreeMap::new(),
        rehearsal: true,
        job_files: Vec::new(),
        siblings: Vec::new(),
    }));
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let teller = Teller::new(move |event: What| listener.lock().unwrap().extend(said(&event)));
    let steps = step::build(&plan, &environment);
    let mut run = Run::new(
        RunId("faults".into()),
        plan,
        Resume::New { downtime: None },
        steps,
        Arc::new(Gatekeeper(Arc::clone(&environment))),
        Arc::clone(&environment) as Arc<dyn Facts>,
        journal.clone(),
        clock.clone(),
        teller,
        person,
        watch::Sender::new(0).subscribe(),
    );
    run.environment = "sandbox".into();
    run.who = "a person".into();
    let finished = engine::run(&run, Approval::Ask).await;
    let told = std::mem::take(&mut *told.lock().unwrap());
    let records = journal.all().iter().map(|record| record.body.clone()).collect();
    (finished, told, records)
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
