//! The control door of a sandbox: HTTP on loopback with a token, and the client for it.
//!
//! | call | body | does |
//! |---|---|---|
//! | `GET /report` | | what an observer sees |
//! | `GET /infrastructure`, `PUT /infrastructure` | `{nomad_server, database, nodes}` | machines come and go |
//! | `POST /jump` | `{"seconds": 259200}` | a time passes at once |
//! | `POST /speed` | `{"speed": 600}` | time passes faster or slower |
//! | `POST /faults` | `{path, times, kind}` | the next requests fare badly |
//! | `POST /ail` | `{"allocation": ID, "ails": true}` | once restarted, it doesn't get well any more |
//! | `GET /faults` | | those that no request has met yet |
//! | `POST /shutdown` | | the sandbox ends |
//!
//! Every other answer is the file as it is then.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use axum::{Router, http::Uri};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::file::SandboxFile;
use super::sandbox::Sandbox;
use crate::http::{HttpError, Request, Sockets, Transport};
use crate::sim::{Fault, Infrastructure, Report};

/// The door's router.
pub(super) fn router(sandbox: Sandbox, token: String) -> Router {
    Router::new().fallback(handle).with_state(Arc::new((sandbox, token)))
}

async fn handle(
    State(held): State<Arc<(Sandbox, String)>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (sandbox, token) = &*held;
    let given =
        headers.get("authorization").and_then(|h| h.to_str().ok()).and_then(|h| h.strip_prefix("Bearer "));
    if given != Some(token.as_str()) {
        return answer(StatusCode::FORBIDDEN, &json!({"error": "the token of sandbox.json is needed"}));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match done(sandbox, &method, uri.path(), body).await {
        Ok(value) => answer(StatusCode::OK, &value),
        Err((status, error)) => answer(status, &json!({"error": error})),
    }
}

async fn done(
    sandbox: &Sandbox,
    method: &Method,
    path: &str,
    body: Value,
) -> Result<Value, (StatusCode, String)> {
    let wrong = |error: &dyn std::fmt::Display| (StatusCode::BAD_REQUEST, error.to_string());
    let broken = |error: &dyn std::fmt::Display| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    match (method.as_str(), path) {
        ("GET", "/report") => {
            let report = sandbox.world().report().map_err(|e| broken(&e))?;
            return serde_json::to_value(report).map_err(|e| broken(&e));
        }
        ("GET", "/infrastructure") => {
            return serde_json::to_value(sandbox.world().infrastructure()).map_err(|e| broken(&e));
        }
        ("GET", "/faults") => return serde_json::to_value(sandbox.world().faults()).map_err(|e| broken(&e)),
        ("PUT", "/infrastructure") => {
            let machines: Infrastructure = serde_json::from_value(body).map_err(|e| wrong(&e))?;
            sandbox.set_infrastructure(machines).await.map_err(|e| broken(&e))?;
        }
        ("POST", "/jump") => {
            let seconds = body["seconds"].as_f64().filter(|s| s.is_finite() && (0.0..1e10).contains(s));
            let seconds = seconds.ok_or_else(|| wrong(&"seconds is a number from 0 on"))?;
            sandbox.jump(Duration::from_secs_f64(seconds)).await.map_err(|e| broken(&e))?;
        }
        ("POST", "/speed") => {
            let speed = body["speed"].as_f64().ok_or_else(|| wrong(&"speed is a number"))?;
            sandbox.set_speed(speed).await.map_err(|e| wrong(&e))?;
        }
        ("POST", "/faults") => {
            let fault: Fault = serde_json::from_value(body).map_err(|e| wrong(&e))?;
            sandbox.world().inject(fault);
        }
        ("POST", "/ail") => {
            let id = body["allocation"].as_str().unwrap_or_default();
            if !sandbox.world().ail(id, body["ails"].as_bool().unwrap_or(true)) {
                return Err(wrong(&format!("there is no allocation '{id}'")));
            }
        }
        ("POST", "/shutdown") => {
            let file = sandbox.file().await;
            let ending = sandbox.clone();
            // The answer goes out before the door closes.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let _ = ending.shut_down().await;
            });
            return serde_json::to_value(file).map_err(|e| broken(&e));
        }
        _ => return Err((StatusCode::NOT_FOUND, "there is no such call".into())),
    }
    serde_json::to_value(sandbox.file().await).map_err(|e| broken(&e))
}

fn answer(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("Content-Type", HeaderValue::from_static("application/json"));
    response
}

/// Why a sandbox couldn't be controlled.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("no sandbox runs here: {path} is not there")]
    None { path: String },
    #[error("sandbox.json could not be read")]
    File(#[source] std::io::Error),
    #[error("the sandbox does not answer")]
    Unreachable(#[source] HttpError),
    #[error("the sandbox refused: {0}")]
    Refused(String),
}

/// A sandbox of another process.
#[derive(Clone, Debug)]
pub struct Control {
    file: SandboxFile,
    sockets: Sockets,
}

impl Control {
    /// The sandbox that wrote its file into this state directory. Whether it still runs shows with the
    /// first call.
    pub fn find(state_dir: &Path) -> Result<Self, ControlError> {
        let file = SandboxFile::read(state_dir).map_err(ControlError::File)?;
        let path = SandboxFile::path(state_dir).display().to_string();
        file.map(|file| Self { file, sockets: Sockets::new() }).ok_or(ControlError::None { path })
    }

    /// What the file said when it was read, or at the last call that changed it.
    pub fn file(&self) -> &SandboxFile {
        &self.file
    }

    pub async fn report(&self) -> Result<Report, ControlError> {
        self.call(Method::GET, "/report", &Value::Null).await
    }

    pub async fn infrastructure(&self) -> Result<Infrastructure, ControlError> {
        self.call(Method::GET, "/infrastructure", &Value::Null).await
    }

    pub async fn set_infrastructure(&mut self, machines: &Infrastructure) -> Result<(), ControlError> {
        self.file = self.call(Method::PUT, "/infrastructure", machines).await?;
        Ok(())
    }

    pub async fn jump(&mut self, ahead: Duration) -> Result<(), ControlError> {
        self.file = self.call(Method::POST, "/jump", &json!({"seconds": ahead.as_secs_f64()})).await?;
        Ok(())
    }

    pub async fn set_speed(&mut self, speed: f64) -> Result<(), ControlError> {
        self.file = self.call(Method::POST, "/speed", &json!({"speed": speed})).await?;
        Ok(())
    }

    pub async fn inject(&mut self, fault: &Fault) -> Result<(), ControlError> {
        self.file = self.call(Method::POST, "/faults", fault).await?;
        Ok(())
    }

    pub async fn shut_down(&self) -> Result<(), ControlError> {
        let _: SandboxFile = self.call(Method::POST, "/shutdown", &Value::Null).await?;
        Ok(())
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, ControlError> {
        let refused = |text: String| ControlError::Refused(text);
        let mut request = Request::new(method, format!("{}{path}", self.file.control));
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.file.token));
        request.headers.insert("authorization", bearer.map_err(|e| refused(e.to_string()))?);
        request.body = serde_json::to_vec(body).map_err(|e| refused(e.to_string()))?.into();
        let answer = self.sockets.send(request).await.map_err(ControlError::Unreachable)?;
        if !answer.status.is_success() {
            let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            return Err(refused(value["error"].as_str().unwrap_or("no reason given").to_owned()));
        }
        serde_json::from_slice(&answer.body).map_err(|e| refused(e.to_string()))
    }
}
