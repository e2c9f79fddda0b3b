//! One patch against one simulated cluster in virtual time: engine, step and client as in a rehearsal, with
//! one request faring badly, and perhaps somebody else changing a job meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use blackstart::base::{Clock, RunId, Secrets, Source};
use blackstart::dialect::{Values, functions};
use blackstart::engine::{self, Answer, Approval, Approver, Facts, Finished, Question, Resume, Run};
use blackstart::environment::{Environment, Parts};
use blackstart::event::{Teller, What};
use blackstart::gate::Gatekeeper;
use blackstart::hcl::Value as Hcl;
use blackstart::http::{HttpError, Memory, Request, Response, Transport};
use blackstart::journal::{Body, Journal, MemoryStore};
use blackstart::sim::{Fault, FaultKind, Infrastructure, World, WorldOptions};
use blackstart::{plan, settings, step};
use http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::judge::Server;
use crate::scenarios::{Edit, Scenario};

const NOMAD: &str = "http://nomad.simulated:4646";
const BEGIN: &str = "2026-01-05T08:00:00Z";

/// The longest that anything of a patch goes on by itself: deadlines, and requests that arrive late.
const AFTERMATH: Duration = Duration::from_secs(600);

/// What one patch did and said, and what became of the cluster.
pub struct Outcome {
    pub finished: Finished,
    /// Everything that a person was told, a line each.
    pub told: Vec<String>,
    pub journal: Vec<Body>,
    /// The requests of the patch, in order.
    pub requests: Vec<String>,
    /// The jobs when the command ended, and once nothing moved any more.
    /// Whether somebody else's change was made.
    pub edited: bool,
    pub at_the_end: BTreeMap<String, Server>,
    pub later: BTreeMap<String, Server>,
}

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

    fn root(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// The world's door, which knows what came through it.
struct Door {
    memory: Memory,
    world: World,
    /// The request that fares badly, counted from 0, and how.
    fault: Option<(usize, FaultKind)>,
    edit: Option<Edit>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    edited: bool,
}

#[async_trait]
impl Transport for Door {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let path = request.url.strip_prefix(NOMAD).unwrap_or_default().to_owned();
        let bare = path.split('?').next().unwrap_or_default().to_owned();
        let (number, edit) = {
            let mut seen = self.seen.lock().unwrap();
            let number = seen.requests.len();
            seen.requests.push(format!("{} {bare}", request.method));
            let due = !seen.edited && self.edit.is_some_and(|edit| edit.is_before(&request.method, &bare));
            seen.edited |= due;
            (number, due)
        };
        if edit {
            self.somebody_edits("web").await;
        }
        if let Some((_, kind)) = self.fault.filter(|(at, _)| *at == number) {
            self.world.inject(Fault { path: bare, skip: 0, times: 1, kind });
        }
        self.memory.send(request).await
    }
}

impl Door {
    async fn somebody_edits(&self, id: &str) {
        let mut job = get(&self.memory, &format!("/v1/job/{id}")).await;
        job["TaskGroups"][0]["Tasks"][0]["Env"] = json!({ "COLOUR": "teal" });
        let index = job["JobModifyIndex"].clone();
        let body = json!({ "Job": job, "EnforceIndex": true, "JobModifyIndex": index });
        put(&self.memory, "/v1/jobs", &body).await;
    }
}

pub async fn get(memory: &Memory, path: &str) -> Value {
    let answer = memory.send(Request::new(Method::GET, format!("{NOMAD}{path}"))).await.unwrap();
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

async fn put(memory: &Memory, path: &str, body: &Value) {
    let mut request = Request::new(Method::PUT, format!("{NOMAD}{path}"));
    request.body = body.to_string().into();
    let answer = memory.send(request).await.unwrap();
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
}

/// Says yes; at the first question somebody else may change the job.
struct Person {
    door: Arc<Door>,
}

#[async_trait]
impl Approver for Person {
    async fn ask(&self, question: &Question) -> Answer {
        match question {
            Question::Approve { .. } => {
                if self.door.edit == Some(Edit::AtTheQuestion) {
                    let first = !std::mem::replace(&mut self.door.seen.lock().unwrap().edited, true);
                    if first {
                        self.door.somebody_edits("web").await;
                    }
                }
                Answer::Yes { who: "a person".into(), how: "at a prompt".into() }
            }
            _ => Answer::Nobody,
        }
    }
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

/// Runs a scenario's patch once.
pub async fn run(
    place: &Place,
    scenario: &Scenario,
    fault: Option<(usize, FaultKind)>,
    seed: u64,
) -> Outcome {
    let clock = Clock::virtual_from(BEGIN.parse().unwrap());
    let mut options = WorldOptions::new(clock.clone(), place.root().join("database"));
    options.seed = seed;
    let world = World::new(options).unwrap();
    let running = tokio::spawn(world.clone().run());
    let memory = Memory::default();
    world.serve_in(&memory, NOMAD, "http://services.simulated");
    world.set_infrastructure(Infrastructure { database: false, ..Infrastructure::whole() }).unwrap();
    for job in &scenario.jobs {
        put(&memory, "/v1/jobs", &json!({ "Job": job })).await;
    }
    clock.sleep(Duration::from_secs(120)).await;

    let door = Arc::new(Door {
        memory: memory.clone(),
        world: world.clone(),
        fault,
        edit: scenario.edit,
        seen: Mutex::default(),
    });
    let (finished, told, journal) = patch(place, &clock, &door, scenario).await;
    let at_the_end = Server::all(&memory, scenario).await;
    clock.sleep(AFTERMATH).await;
    let later = Server::all(&memory, scenario).await;
    running.abort();
    let Seen { requests, edited } = std::mem::take(&mut *door.seen.lock().unwrap());
    Outcome { finished, told, journal, requests, edited, at_the_end, later }
}

async fn patch(
    place: &Place,
    clock: &Clock,
    door: &Arc<Door>,
    scenario: &Scenario,
) -> (Finished, Vec<String>, Vec<Body>) {
    let secrets = Secrets::default();
    let functions = functions(&secrets);
    let mut scope = Values::new(Arc::clone(&functions)).with("var", Hcl::Unknown);
    for root in ["downtime", "outage", "env", "environment", "now", "terraform", "step", "recorded"] {
        scope.set(root, Hcl::Unknown);
    }
    let source = Source::new("the patch", patch_plan(&scenario.images));
    let plan = plan::load(&source, &scope).unwrap().remove(0);
    let journal = Journal::open(Box::new(MemoryStore::default()), clock.clone(), secrets.clone()).unwrap();
    let environment = Arc::new(Environment::new(Parts {
        project: "faults".into(),
        root: place.root(),
        settings: place.settings.clone(),
        terraform: None,
        transport: Arc::clone(door) as Arc<dyn Transport>,
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
        Arc::new(Person { door: Arc::clone(door) }),
        watch::Sender::new(0).subscribe(),
    );
    run.environment = "sandbox".into();
    run.who = "a person".into();
    let finished = engine::run(&run, Approval::Ask).await;
    let told = std::mem::take(&mut *told.lock().unwrap());
    let records = journal.all().unwrap().into_iter().map(|record| record.body).collect();
    (finished, told, records)
}

/// What a person reads of an event.
fn said(event: &What) -> Vec<String> {
    match event {
        What::Note { text } | What::Warning { text } => vec![text.clone()],
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
