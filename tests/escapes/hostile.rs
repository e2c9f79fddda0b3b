//! A Nomad that says nasty things: the simulated one, on a socket, with what could steer a terminal in
//! every text that jobs, nodes, tasks or operators can choose.

use std::sync::mpsc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use blackstart::base::Clock;
use blackstart::sim::{Infrastructure, World, WorldOptions};
use http::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Clears the screen, renames the window, rings, colours by a C1 control, turns the direction of writing, and
/// goes on in a line of its own. No space: Nomad takes it in a job's name.
pub const NASTY: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}\u{2066}\r\nSPOOFED\u{b}\u{7f}\u{85}\u{2028}";

/// Longer than any terminal, and any patience.
const LONG: usize = 50_000;

/// What others than the servers put into answers.
const TEXTS: [&str; 16] = [
    "DisplayMessage",
    "Message",
    "StatusDescription",
    "DesiredDescription",
    "ClientDescription",
    "NodeName",
    "Warnings",
    "Datacenter",
    "NodeClass",
    "build",
    "Version",
    "Old",
    "New",
    "Annotations",
    "DriverError",
    "HTTPAddr",
];

pub struct Hostile {
    pub address: String,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Hostile {
    /// With these jobs, ten of its seconds a second.
    pub fn new(jobs: Vec<Value>) -> Self {
        let stop = CancellationToken::new();
        let ended = stop.clone();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(async move {
                let folder = tempfile::tempdir().unwrap();
                let clock = Clock::real().moved(Duration::ZERO, 10.0);
                let world = World::new(WorldOptions::new(clock, folder.path().join("database"))).unwrap();
                world
                    .set_infrastructure(Infrastructure { database: false, ..Infrastructure::whole() })
                    .unwrap();
                tokio::spawn(world.clone().run());
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = format!("http://{}", listener.local_addr().unwrap());
                let router = world.nomad().layer(from_fn(spoiled));
                tokio::spawn(async move { axum::serve(listener, router).await });
                let client = reqwest::Client::new();
                for job in jobs {
                    let body = json!({ "Job": job }).to_string();
                    let answer = client.put(format!("{address}/v1/jobs")).body(body).send().await.unwrap();
                    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
                }
                tell.send(address).unwrap();
                ended.cancelled().await;
            });
        });
        Self { address: told.recv().unwrap(), stop, thread: Some(thread) }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A service of one task, every name of it nasty.
pub fn job(id: &str, tag: &str) -> Value {
    json!({
        "ID": format!("{id}{NASTY}"), "Name": format!("{id}{NASTY}"), "Type": "service", "Datacenters": ["*"],
        "Meta": { format!("key{NASTY}"): format!("one{NASTY}") },
        "Update": {
            "MaxParallel": 1, "HealthCheck": "task_states", "MinHealthyTime": 1_000_000_000_u64,
            "HealthyDeadline": 60_000_000_000_u64, "ProgressDeadline": 120_000_000_000_u64,
        },
        "TaskGroups": [{
            "Name": format!("group{NASTY}"), "Count": 1,
            "RestartPolicy": { "Attempts": 0, "Mode": "fail", "Interval": 60_000_000_000_u64, "Delay": 1_000_000_000 },
            "Tasks": [{
                "Name": format!("task{NASTY}"), "Driver": "docker",
                "Config": { "image": format!("registry.example.com/team/{id}:{tag}") },
                "Env": { format!("NAME{NASTY}"): format!("value{NASTY}") },
                "Resources": { "CPU": 100, "MemoryMB": 64 },
            }],
        }],
    })
}

/// What `job` asks for is more than any node has.
pub fn too_big(id: &str) -> Value {
    let mut job = job(id, "git-old");
    job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] = 900_000.into();
    job
}

async fn spoiled(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    for (name, status) in [("refused", StatusCode::FORBIDDEN), ("broken", StatusCode::BAD_REQUEST)] {
        if path.starts_with(&format!("/v1/job/{name}")) {
            let mut answer = Response::new(Body::from(format!("{NASTY}{}", "long ".repeat(LONG / 5))));
            *answer.status_mut() = status;
            return answer;
        }
    }
    let (mut parts, body) = next.run(request).await.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let Ok(mut value) = serde_json::from_slice::<Value>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    if let Some(answer) = value.as_object_mut().filter(|answer| answer.contains_key("Warnings")) {
        answer.insert("Warnings".into(), "1 warning:\n\n* a warning".into());
    }
    spoil(&mut value, false);
    parts.headers.remove("content-length");
    Response::from_parts(parts, Body::from(value.to_string()))
}

fn spoil(value: &mut Value, inside: bool) {
    match value {
        Value::String(text) if inside => text.push_str(NASTY),
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, inside)),
        Value::Object(fields) => {
            // Maps by dimension, constraint or class: their keys are somebody's words.
            for counts in ["DimensionExhausted", "ConstraintFiltered", "ClassFiltered", "NodesAvailable"] {
                if let Some(Value::Object(counted)) = fields.get_mut(counts) {
                    let old = std::mem::take(counted);
                    counted.extend(old.into_iter().map(|(key, n)| (format!("{key}{NASTY}"), n)));
                }
            }
            let is_event = fields.contains_key("DisplayMessage");
            for (key, item) in fields {
                // An event's type may be a newer one.
                let newer = is_event && key == "Type" && item == "Restarting";
                spoil(item, newer || TEXTS.contains(&key.as_str()));
                if let (true, Value::String(text)) = (is_event && key == "DisplayMessage", item) {
                    text.push_str(&"long ".repeat(LONG / 5));
                }
            }
        }
        _ => {}
    }
}
