//! Faults on demand: chosen requests are answered wrongly, late, or not at all.
//!
//! Whether a request is carried out doesn't depend on whether its client still waits: as in a real
//! cluster, what was held up arrives all the same.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::nomad::routes::plain;
use super::world::World;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It is answered with this status and a plain text; nothing is done.
    Status(u16),
    /// It reaches the server only after this many seconds of the client's time.
    Slow(f64),
    /// It is carried out at once and answered after this many seconds of the client's time.
    SlowAnswer(f64),
    /// The connection breaks in place of an answer; nothing is done.
    Reset,
    /// It is carried out; then the connection breaks in place of the answer.
    Lost,
    /// It is answered as ever, under this index.
    Index(u64),
    /// It is carried out; of the answer's body only the first half arrives.
    Truncated,
}

/// Requests whose path starts with `path`: the first `skip` of them are answered as ever, the next
/// `times` fare like this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub path: String,
    #[serde(default)]
    pub skip: u32,
    pub times: u32,
    pub kind: FaultKind,
}

impl World {
    /// Answers a request of this path by `serve`, with the fault that it uses up.
    pub(super) async fn answered(
        &self,
        path: &str,
        serve: impl Future<Output = Response> + Send + 'static,
    ) -> Response {
        let after = |seconds: f64| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
        match self.take_fault(path) {
            None => serve.await,
            Some(FaultKind::Status(code)) => refused(code),
            Some(FaultKind::Slow(seconds)) => {
                let late = tokio::spawn(async move {
                    tokio::time::sleep(after(seconds)).await;
                    serve.await
                });
                late.await.unwrap_or_else(|_| broken())
            }
            Some(FaultKind::SlowAnswer(seconds)) => {
                let answer = serve.await;
                tokio::time::sleep(after(seconds)).await;
                answer
            }
            Some(FaultKind::Reset) => broken(),
            Some(FaultKind::Lost) => {
                serve.await;
                broken()
            }
            Some(FaultKind::Index(index)) => {
                let mut answer = serve.await;
                if answer.headers().contains_key("X-Nomad-Index") {
                    answer.headers_mut().insert("X-Nomad-Index", HeaderValue::from(index));
                }
                answer
            }
            Some(FaultKind::Truncated) => {
                let (parts, body) = serve.await.into_parts();
                match axum::body::to_bytes(body, usize::MAX).await {
                    Ok(whole) => Response::from_parts(parts, Body::from(whole.slice(..whole.len() / 2))),
                    Err(_) => broken(),
                }
            }
        }
    }
}

fn refused(code: u16) -> Response {
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = match code {
        403 => "Permission denied",
        429 => "Your IP is issuing too many concurrent connections, please rate limit your calls\n",
        _ => "rpc error: No cluster leader",
    };
    plain(status, text)
}

/// An answer whose body can't be read.
fn broken() -> Response {
    let broken = futures::stream::once(async {
        Err::<bytes::Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Response::new(Body::from_stream(broken))
}
