//! A request, its answer, and what may carry them.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

/// Answers larger than this are refused: no server we speak to sends one in earnest.
pub const LARGEST_ANSWER: usize = 64 << 20;

/// One request to an absolute `http://` or `https://` URL.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Real time until the answer must be there whole.
    pub timeout: Duration,
}

impl Request {
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// A whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    /// The body as text; what is not UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// No answer was had. The text never holds the URL's user or password.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("nothing listens at {0}")]
    Refused(String),
    #[error("{url} did not answer within {}", crate::base::text::duration(*after))]
    TimedOut { url: String, after: Duration },
    #[error("'{0}' is not an http:// or https:// address")]
    BadUrl(String),
    #[error("the answer of {0} is larger than {LARGEST_ANSWER} bytes")]
    TooLarge(String),
    #[error("no connection to {url} can be made: {reason}")]
    NotConnected { url: String, reason: String },
    #[error("no connection to {url} can be trusted: {reason}")]
    Tls { url: String, reason: String, why: Distrust },
    #[error("the connection to {url} failed: {reason}")]
    Broken { url: String, reason: String },
}

/// What stands between us and a server over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// We don't trust the server's certificate.
    Theirs,
    /// The server's certificate is for another name.
    AnotherName,
    /// The server wants a certificate of ours, or another one.
    Ours,
    /// The server doesn't speak TLS.
    NoTls,
}

impl HttpError {
    /// Whether the request cannot have reached the server.
    pub fn never_sent(&self) -> bool {
        match self {
            Self::Refused(_) | Self::BadUrl(_) | Self::NotConnected { .. } => true,
            // That is only said once the connection stands.
            Self::Tls { why, .. } => *why != Distrust::Ours,
            Self::TimedOut { .. } | Self::TooLarge(_) | Self::Broken { .. } => false,
        }
    }
}

/// Carries requests.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn send(&self, request: Request) -> Result<Response, HttpError>;
}

/// `scheme://host:port` of a URL, for messages: without user, password, path and query.
pub(super) fn origin(url: &str) -> String {
    match url.parse::<http::Uri>() {
        Ok(uri) => {
            let scheme = uri.scheme_str().unwrap_or("http");
            let host = uri.host().unwrap_or_default();
            match uri.port_u16() {
                Some(port) => format!("{scheme}://{host}:{port}"),
                None => format!("{scheme}://{host}"),
            }
        }
        Err(_) => "that address".into(),
    }
}
