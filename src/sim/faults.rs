//! Faults on demand: the next requests below a path are answered wrongly, late, or not at all.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::nomad::routes::plain;
use super::world::World;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// It is answered with this status and a plain text.
    Status(u16),
    /// It is answered after this many seconds of the client's time.
    Slow(f64),
    /// The connection breaks in the middle of the answer.
    Reset,
}

/// The next `times` requests whose path starts with `path` fare like this.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub path: String,
    pub times: u32,
    pub kind: FaultKind,
}

impl World {
    /// Uses up a fault for a request of this path; none where the request is to be answered as ever.
    pub(super) async fn fault(&self, path: &str) -> Option<Response> {
        let kind = self.take_fault(path)?;
        match kind {
            FaultKind::Status(code) => {
                let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let text = match code {
                    403 => "Permission denied",
                    429 => {
                        "Your IP is issuing too many concurrent connections, please rate limit your calls\n"
                    }
                    _ => "rpc error: No cluster leader",
                };
                Some(plain(status, text))
            }
            FaultKind::Slow(seconds) => {
                tokio::time::sleep(Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))).await;
                None
            }
            FaultKind::Reset => {
                let broken = futures::stream::once(async {
                    Err::<bytes::Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
                });
                Some(Response::new(Body::from_stream(broken)))
            }
        }
    }
}
