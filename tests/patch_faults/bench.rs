//! One patch against one simulated cluster in virtual time: engine, step and client as in a rehearsal, with
//! one request faring badly, and perhaps somebody else changing a job meanwhile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use blackstart::base::Clock;
use blackstart::engine::{Answer, Approver, Finished, Question};
use blackstart::http::{HttpError, Memory, Request, Response, Transport};
use blackstart::journal::Body;
use blackstart::sim::{Fault, FaultKind, World};
use http::Method;
use serde_json::json;
use tokio::sync::Notify;

use crate::commits::{self, Tree};
use crate::judge::Server;
use crate::patching::{BEGIN, Desk, NOMAD, Place, get, put};
use crate::scenarios::{self, Edit, Files, Scenario};

/// The longest that anything of a patch goes on by itself: deadlines, and requests that arrive late.
const AFTERMATH: Duration = Duration::from_secs(600);

/// What one patch did and said, and what became of the cluster.
pub struct Outcome {
    /// None where it was killed before anything was journaled.
    pub finished: Option<Finished>,
    /// Everything that a person was told, a line each.
    pub told: Vec<String>,
    pub journal: Vec<Body>,
    /// The requests of the patch, in order.
    pub requests: Vec<String>,
    /// Whether the process was killed.
    pub killed: bool,
    /// Whether somebody else's change was made.
    pub edited: bool,
    /// The jobs when the command ended, and once nothing moved any more.
    pub at_the_end: BTreeMap<String, Server>,
    pub later: BTreeMap<String, Server>,
    /// The texts of the job files in the end.
    pub files: BTreeMap<String, String>,
    /// What was committed of them, where that was asked for.
    pub tree: Option<Tree>,
}

/// Which request fares badly, counted from 0, and how.
#[derive(Clone, Copy, Debug)]
pub struct Bad {
    pub request: usize,
    pub kind: FaultKind,
    /// And every one after it.
    pub from_then_on: bool,
}

impl Bad {
    fn hits(self, number: usize) -> bool {
        number == self.request || (self.from_then_on && number > self.request)
    }
}

/// At which request, counted from 0 over all processes, the process is killed.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub request: usize,
    /// The server has carried it out by then.
    pub after: bool,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    pub fault: Option<Bad>,
    pub kills: Vec<Kill>,
    /// After so many lines that a person was told, counted from 0, the process is killed, too.
    pub cut: Option<usize>,
}

/// The world's door, which knows what came through it.
struct Door {
    memory: Memory,
    world: World,
    trouble: Trouble,
    edit: Option<Edit>,
    seen: Mutex<Seen>,
    /// The process is no more.
    killed: Notify,
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
        if let Some(kill) = self.trouble.kills.iter().find(|kill| kill.request == number) {
            if kill.after {
                let _ = self.memory.send(request).await;
            }
            self.killed.notify_one();
            std::future::pending::<()>().await;
            unreachable!("nobody waits any more");
        }
        if let Some(bad) = self.trouble.fault.filter(|bad| bad.hits(number)) {
            self.world.inject(Fault { path: bare, skip: 0, times: 1, kind: bad.kind });
        }
        self.memory.send(request).await
    }
}

impl Door {
    async fn somebody_edits(&self, id: &str) {
        let mut job = get(&self.memory, &format!("/v1/job/{id}")).await;
        job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = json!("teal");
        let index = job["JobModifyIndex"].clone();
        let body = json!({ "Job": job, "EnforceIndex": true, "JobModifyIndex": index });
        put(&self.memory, "/v1/jobs", &body).await;
    }
}

/// Says yes; at the first question somebody else may change the job. One who denies says no from then on.
struct Person {
    door: Arc<Door>,
    denies: bool,
}

#[async_trait]
impl Approver for Person {
    async fn ask(&self, question: &Question) -> Answer {
        let Question::Approve { .. } = question else { return Answer::Nobody };
        if self.door.edit == Some(Edit::AtTheQuestion) {
            let first = !std::mem::replace(&mut self.door.seen.lock().unwrap().edited, true);
            if first {
                self.door.somebody_edits("web").await;
            }
        }
        if self.denies && self.door.seen.lock().unwrap().edited {
            return Answer::No { who: "a person".into() };
        }
        Answer::Yes { who: "a person".into(), how: "at a prompt".into() }
    }
}

async fn stop(memory: &Memory, id: &str) {
    let request = Request::new(Method::DELETE, format!("{NOMAD}/v1/job/{id}"));
    assert!(memory.send(request).await.unwrap().status.is_success());
}

/// A project with the scenario's job files.
fn with_files(scenario: &Scenario) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("nomad-jobs")).unwrap();
    for (id, _) in &scenario.images {
        std::fs::write(file_of(folder.path(), id), scenarios::file(id)).unwrap();
    }
    if scenario.commits() {
        commits::begin(folder.path());
    }
    folder
}

/// What the scenario's files say by now.
fn files_of(folder: &Path, scenario: &Scenario) -> BTreeMap<String, String> {
    let text = |id: &str| std::fs::read_to_string(file_of(folder, id)).unwrap();
    scenario.images.iter().map(|(id, _)| ((*id).to_owned(), text(id))).collect()
}

fn file_of(folder: &Path, id: &str) -> PathBuf {
    folder.join("nomad-jobs").join(format!("{id}.nomad.hcl"))
}

/// Two hundred seconds a second: git takes real time, in which no virtual time may go by.
#[expect(clippy::disallowed_methods, reason = "a scaled clock begins at a real time")]
fn clock_beside_git() -> Clock {
    Clock::scaled(BEGIN.parse().unwrap(), std::time::SystemTime::now(), 200.0)
}

/// Runs a scenario's patch once; where it is killed, it is gone on with.
pub async fn run(place: &Place, scenario: &Scenario, trouble: Trouble, seed: u64) -> Outcome {
    let clock =
        if scenario.commits() { clock_beside_git() } else { Clock::virtual_from(BEGIN.parse().unwrap()) };
    let (world, memory) = place.world(&clock, seed);
    let running = tokio::spawn(world.clone().run());
    for job in &scenario.jobs {
        put(&memory, "/v1/jobs", &json!({ "Job": job })).await;
    }
    clock.sleep(Duration::from_secs(if scenario.commits() { 20 } else { 120 })).await;

    if scenario.service == Some("start") {
        stop(&memory, "web").await;
        clock.sleep(Duration::from_secs(30)).await;
    }
    let folder = (scenario.files != Files::None).then(|| with_files(scenario));
    let desk = Desk::new(place, folder.as_ref().map(|folder| folder.path().to_owned()), &clock);
    let door = Arc::new(Door {
        memory: memory.clone(),
        world: world.clone(),
        trouble,
        edit: scenario.edit,
        seen: Mutex::default(),
        killed: Notify::new(),
    });
    let plan = scenarios::plan(scenario);
    let mut finished = None;
    if let Some(line) = door.trouble.cut {
        let door = Arc::clone(&door);
        desk.once_told(line, move || door.killed.notify_one());
    }
    for _ in 0..=door.trouble.kills.len() + usize::from(door.trouble.cut.is_some()) {
        let person = Arc::new(Person { door: Arc::clone(&door), denies: scenario.denies });
        let transport = Arc::clone(&door) as Arc<dyn Transport>;
        finished = tokio::select! {
            biased;
            () = door.killed.notified() => None,
            finished = desk.run(place, &plan, transport, person) => Some(finished),
        };
        if finished.is_some() || desk.journal.runs().unwrap().is_empty() {
            break;
        }
        clock.sleep(Duration::from_secs(seed % 40)).await;
    }
    let at_the_end = Server::all(&memory, scenario).await;
    clock.sleep(if scenario.commits() { AFTERMATH / 5 } else { AFTERMATH }).await;
    let later = Server::all(&memory, scenario).await;
    let tree = match &folder {
        Some(folder) if scenario.commits() => {
            let unsaved = desk.unsaved(place, Arc::new(memory.clone())).await;
            Some(commits::look(folder.path(), scenario, unsaved))
        }
        _ => None,
    };
    running.abort();
    let journal = desk.journal.all().iter().map(|record| record.body.clone()).collect();
    let Seen { requests, edited } = std::mem::take(&mut *door.seen.lock().unwrap());
    let files = folder.map(|folder| files_of(folder.path(), scenario)).unwrap_or_default();
    let cut = door.trouble.cut.is_some_and(|line| line < desk.told().len());
    let killed = cut || door.trouble.kills.iter().any(|kill| kill.request < requests.len());
    Outcome { finished, told: desk.told(), journal, requests, killed, edited, at_the_end, later, files, tree }
}
