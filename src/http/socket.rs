//! The transport over real sockets.

use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;

use super::request::{HttpError, LARGEST_ANSWER, Request, Response, Transport, origin};

/// HTTP and HTTPS over sockets, with connections kept open between requests.
#[derive(Clone, Debug)]
pub struct Sockets(reqwest::Client);

impl Sockets {
    /// Proxies of the process environment are not used: what a runbook speaks to lies inside.
    pub fn new() -> Self {
        let client = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("blackstart/", env!("CARGO_PKG_VERSION")))
            .build()
            .unwrap_or_default();
        Self(client)
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Transport for Sockets {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        let after = request.timeout;
        let failed = |error: reqwest::Error| failure(&error, &origin(&request.url), after);
        let mut answer = self
            .0
            .request(request.method, &request.url)
            .headers(request.headers)
            .body(request.body)
            .timeout(request.timeout)
            .send()
            .await
            .map_err(failed)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(HttpError::TooLarge(origin(&request.url)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status: answer.status(), headers: answer.headers().clone(), body: body.freeze() })
    }
}

fn failure(error: &reqwest::Error, at: &str, after: Duration) -> HttpError {
    if error.is_builder() {
        return HttpError::BadUrl(at.to_owned());
    }
    if error.is_timeout() && !error.is_connect() {
        return HttpError::TimedOut { url: at.to_owned(), after };
    }
    // The innermost cause says what happened; the outer ones repeat the URL.
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_connect() {
        let refused = cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::ConnectionRefused);
        if refused {
            return HttpError::Refused(at.to_owned());
        }
    }
    HttpError::Broken { url: at.to_owned(), reason: cause.to_string() }
}
