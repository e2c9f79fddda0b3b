//! One patch against one simulated cluster in virtual time: engine, step and client as in a rehearsal, with
//! one request faring badly, and perhaps somebody else changing a job meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use blackstart::base::Clock;
use blackstart::engine::{Answer, Approver, Finished, Question};
use blackstart::http::{HttpError, Memory, Request, Response, Transport};
use blackstart::journal::Body;
use blackstart::sim::{Fault, FaultKind, World};
use serde_json::json;

use crate::judge::Server;
use crate::patching::{BEGIN, NOMAD, Place, get, patch, put};
use crate::scenarios::{Edit, Scenario};

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
    /// Whether somebody else's change was made.
    pub edited: bool,
    /// The jobs when the command ended, and once nothing moved any more.
    pub at_the_end: BTreeMap<String, Server>,
    pub later: BTreeMap<String, Server>,
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

/// The world's door, which knows what came through it.
struct Door {
    memory: Memory,
    world: World,
    fault: Option<Bad>,
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
        if let Some(bad) = self.fault.filter(|bad| bad.hits(number)) {
            self.world.inject(Fault { path: bare, skip: 0, times: 1, kind: bad.kind });
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

/// Runs a scenario's patch once.
pub async fn run(place: &Place, scenario: &Scenario, fault: Option<Bad>, seed: u64) -> Outcome {
    let clock = Clock::virtual_from(BEGIN.parse().unwrap());
    let (world, memory) = place.world(&clock, seed);
    let running = tokio::spawn(world.clone().run());
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
    let person = Arc::new(Person { door: Arc::clone(&door) });
    let transport = Arc::clone(&door) as Arc<dyn Transport>;
    let (finished, told, journal) = patch(place, &clock, transport, person, &scenario.images).await;
    let at_the_end = Server::all(&memory, scenario).await;
    clock.sleep(AFTERMATH).await;
    let later = Server::all(&memory, scenario).await;
    running.abort();
    let Seen { requests, edited } = std::mem::take(&mut *door.seen.lock().unwrap());
    Outcome { finished, told, journal, requests, edited, at_the_end, later }
}
