//! Recorded exchanges: reading them, answering with them, and listening to new ones.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use blackstart::http::{HttpError, Memory, Request, Response, Transport};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::patching::{NOMAD, get, put};

/// One request and its answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Exchange {
    pub method: String,
    /// With its query.
    pub path: String,
    pub request: Value,
    pub status: u16,
    pub headers: Map<String, Value>,
    /// JSON, or a text as it is.
    pub body: Value,
}

/// A patch of one job, and how it ended.
#[derive(Debug, Deserialize)]
pub struct Recording {
    pub job: String,
    pub tag: String,
    pub ending: String,
    /// What a person was told among other things.
    pub says: Vec<String>,
    /// Somebody else edited it right before the first registration.
    pub edited: bool,
    /// No node took work any more, from the first registration on.
    pub without_nodes: bool,
    pub exchanges: Vec<Exchange>,
}

impl Recording {
    pub fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/exchanges/{name}.json"));
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// The job as it was before the patch.
    pub fn first_job(&self) -> Value {
        let path = format!("/v1/job/{}", self.job);
        self.exchanges.iter().find(|one| one.method == "GET" && bare(&one.path) == path).unwrap().body.clone()
    }
}

pub fn bare(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn below(request: &Request) -> String {
    request.url.strip_prefix(NOMAD).unwrap().to_owned()
}

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}

/// Answers each request with the next recorded answer to it; once they are used up, with the last one.
pub struct Replay {
    exchanges: Vec<Exchange>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    used: Vec<usize>,
    writes: Vec<(String, Value)>,
}

impl Replay {
    pub fn new(recording: &Recording) -> Self {
        Self { exchanges: recording.exchanges.clone(), state: Mutex::default() }
    }

    /// The requests that were not reads: paths and bodies.
    pub fn writes(&self) -> Vec<(String, Value)> {
        self.state.lock().unwrap().writes.clone()
    }
}

#[async_trait]
impl Transport for Replay {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let path = below(&request);
        let mut state = self.state.lock().unwrap();
        let fits = |one: &Exchange| one.method == request.method.as_str() && bare(&one.path) == bare(&path);
        let next =
            (0..self.exchanges.len()).find(|at| fits(&self.exchanges[*at]) && !state.used.contains(at));
        let last = (0..self.exchanges.len()).rfind(|at| fits(&self.exchanges[*at]));
        let at = next.or(last);
        let at = at.unwrap_or_else(|| panic!("{} {path} wasn't asked of the real agent", request.method));
        state.used.push(at);
        if request.method != Method::GET {
            state.writes.push((bare(&path).to_owned(), read(&request.body)));
        }
        let one = &self.exchanges[at];
        let mut headers = HeaderMap::new();
        for (name, value) in &one.headers {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.as_str().unwrap().parse().unwrap());
        }
        let body = match &one.body {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Ok(Response { status: StatusCode::from_u16(one.status).unwrap(), headers, body: body.into() })
    }
}

/// Passes requests on and keeps what went by; lets happen before the first registration what did then.
pub struct Listening {
    memory: Memory,
    job: String,
    edit: bool,
    without_nodes: bool,
    happened: AtomicBool,
    heard: Mutex<Vec<Exchange>>,
}

impl Listening {
    pub fn new(memory: Memory, recording: &Recording) -> Self {
        Self {
            memory,
            job: recording.job.clone(),
            edit: recording.edited,
            without_nodes: recording.without_nodes,
            happened: AtomicBool::new(false),
            heard: Mutex::default(),
        }
    }

    async fn happen(&self) {
        if self.edit {
            let mut job = get(&self.memory, &format!("/v1/job/{}", self.job)).await;
            job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "teal".into();
            put(&self.memory, "/v1/jobs", &json!({ "Job": job })).await;
        }
        if self.without_nodes {
            for node in get(&self.memory, "/v1/nodes").await.as_array().unwrap() {
                let path = format!("/v1/node/{}/eligibility", node["ID"].as_str().unwrap());
                put(&self.memory, &path, &json!({ "Eligibility": "ineligible" })).await;
            }
        }
    }

    pub fn heard(&self) -> Vec<Exchange> {
        self.heard.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Listening {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let path = below(&request);
        let registers = request.method == Method::POST && bare(&path) == format!("/v1/job/{}", self.job);
        if registers && !self.happened.swap(true, Ordering::Relaxed) {
            self.happen().await;
        }
        let (method, sent) = (request.method.to_string(), read(&request.body));
        let answer = self.memory.send(request).await?;
        let body = match serde_json::from_slice(&answer.body) {
            Ok(value) => value,
            Err(_) => Value::String(answer.text()),
        };
        let headers = answer.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), Value::String(value.to_str().ok()?.to_owned())))
        });
        let (headers, status) = (headers.collect(), answer.status.as_u16());
        self.heard.lock().unwrap().push(Exchange { method, path, request: sent, status, headers, body });
        Ok(answer)
    }
}
