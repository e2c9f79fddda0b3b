//! A transport that answers from a function and remembers what it was asked.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use blackstart::base::Clock;
use blackstart::http::{HttpError, Request, Response, Transport};
use blackstart::nomad::{Access, Client};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

type Answer = Result<Response, HttpError>;
type Answerer = dyn Fn(&Request, usize) -> Answer + Send + Sync;

pub struct Fake {
    answer: Box<Answerer>,
    asked: Mutex<Vec<Request>>,
}

impl Fake {
    /// `answer` gets the request and how many came before it.
    pub fn new(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { answer: Box::new(answer), asked: Mutex::default() })
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    pub fn client(self: &Arc<Self>) -> Client {
        self.client_with(Access::default())
    }

    /// On a clock that follows tokio's paused time.
    pub fn client_with(self: &Arc<Self>, access: Access) -> Client {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        Client::new(Arc::clone(self) as Arc<dyn Transport>, "http://nomad.example:4646/", access, clock)
    }
}

#[async_trait]
impl Transport for Fake {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let before = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(request.clone());
            asked.len() - 1
        };
        (self.answer)(&request, before)
    }
}

pub fn path(request: &Request) -> &str {
    let rest = request.url.strip_prefix("http://nomad.example:4646").unwrap();
    rest.split('?').next().unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "it is returned where a transport's answer is")]
pub fn text(status: u16, text: &str) -> Answer {
    Ok(Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: text.to_owned().into(),
    })
}

pub fn json(value: &Value) -> Answer {
    text(200, &value.to_string())
}

pub fn indexed(index: u64, value: &Value) -> Answer {
    let mut answer = json(value)?;
    answer.headers.insert("x-nomad-index", index.to_string().parse().unwrap());
    Ok(answer)
}

pub fn broken() -> Answer {
    Err(HttpError::Broken { url: "http://nomad.example:4646".into(), reason: "connection reset".into() })
}

pub fn refused() -> Answer {
    Err(HttpError::Refused("http://nomad.example:4646".into()))
}
