//! Requests: how they are addressed, authorised, repeated and judged by their status.
//!
//! Reads are tried again, for some four seconds, where the failure may pass (an answer that ended too soon
//! included), and once more where the token was refused (a server may lag behind the one that made it).
//! A request to write goes out once: where its answer is lost, that is [`NomadError::OutcomeUnknown`],
//! unless it cannot have reached the server.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{NomadError, server_text};
use crate::base::Clock;
use crate::http::{Request, Response, Transport};

/// Waits between the tries of a read.
pub(super) const BACKOFF: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The longest that is waited because a server says so.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// With what rights, and where, a client works. `Debug` doesn't show the token.
#[derive(Clone, Default)]
pub struct Access {
    pub token: Option<String>,
    pub namespace: Option<String>,
    pub region: Option<String>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("token", &self.token.as_ref().map(|_| "(secret)"))
            .field("namespace", &self.namespace)
            .field("region", &self.region)
            .finish()
    }
}

/// Speaks to one Nomad cluster. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    address: Arc<str>,
    /// What URLs begin with.
    base: Arc<str>,
    access: Arc<Access>,
    clock: Clock,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

/// One call, before it becomes a request.
pub(super) struct Call<'a> {
    pub method: Method,
    /// Percent-encoded, from `/v1`.
    pub path: String,
    pub query: Vec<(&'a str, String)>,
    /// JSON.
    pub body: Option<Bytes>,
    /// What it does, for messages: "the plan of job 'web'".
    pub what: String,
    pub timeout: Duration,
}

impl<'a> Call<'a> {
    pub fn get(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            what: what.into(),
            timeout: Duration::from_secs(30),
        }
    }

    pub fn write(method: Method, path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { method, ..Self::get(path, what) }
    }

    pub fn body(mut self, body: &impl Serialize) -> Self {
        // Only a map with keys that are no strings can't be JSON.
        self.body = Some(serde_json::to_vec(body).unwrap_or_default().into());
        self
    }

    pub fn query(mut self, key: &'a str, value: &dyn fmt::Display) -> Self {
        self.query.push((key, value.to_string()));
        self
    }
}

impl Client {
    /// A client of the agent at `address` (`http://host:port`, or `unix://path` over a transport that goes
    /// there).
    pub fn new(transport: Arc<dyn Transport>, address: &str, access: Access, clock: Clock) -> Self {
        let address: Arc<str> = address.trim().trim_end_matches('/').into();
        // The host says nothing there.
        let base =
            if address.starts_with("unix://") { "http://localhost".into() } else { Arc::clone(&address) };
        Self { transport, address: shown(&address).into(), base, access: Arc::new(access), clock }
    }

    /// The address it speaks to, without user and password.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The namespace it works in.
    pub fn namespace(&self) -> &str {
        self.access.namespace.as_deref().unwrap_or("default")
    }

    /// The clock by which it waits.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Calls something that changes nothing; tried again where the failure may pass.
    pub(super) async fn read(&self, call: &Call<'_>) -> Result<Response, NomadError> {
        self.read_with(call, |answer| whole(answer, &call.what)).await
    }

    /// As [`Self::read`], and reads the answer. The large ones are gone through once only.
    pub(super) async fn read_as<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, NomadError> {
        let what = &call.what;
        self.read_with(call, |answer| match serde_json::from_slice(&answer.body) {
            Err(error) if error.is_eof() && !answer.body.is_empty() => {
                Err(NomadError::CutShort { what: what.clone() })
            }
            read => read.map_err(|error| malformed(what, &error)),
        })
        .await
    }

    async fn read_with<T>(
        &self,
        call: &Call<'_>,
        read: impl Fn(Response) -> Result<T, NomadError>,
    ) -> Result<T, NomadError> {
        let mut tries = 0;
        loop {
            let error = match self.once(call).await.and_then(&read) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(wait) = pause(&error, tries) else { return Err(error) };
            self.clock.sleep(wait).await;
            tries += 1;
        }
    }

    /// Calls something that changes the cluster, once.
    pub(super) async fn write(&self, call: &Call<'_>) -> Result<Response, NomadError> {
        let unknown = |reason: String| NomadError::OutcomeUnknown { what: call.what.clone(), reason };
        match self.once(call).await.and_then(|answer| whole(answer, &call.what)) {
            Err(NomadError::Unreachable(cause)) if !cause.never_sent() => Err(unknown(cause.to_string())),
            Err(error @ NomadError::CutShort { .. }) => Err(unknown(error.to_string())),
            Err(NomadError::Server { status, text, .. }) if undecided(status, &text) => {
                Err(unknown(format!("it answered {status}: {text}")))
            }
            other => other,
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Response, NomadError> {
        let answer = self.transport.send(self.request(call)?).await.map_err(NomadError::Unreachable)?;
        let what = call.what.clone();
        if is_strange(&call.path, &answer) {
            let (address, path) = (self.address.to_string(), call.path.clone());
            return Err(NomadError::NotNomad { address, status: answer.status.as_u16(), path });
        }
        if answer.status.is_success() {
            return Ok(answer);
        }
        let text = server_text(&answer.text());
        let after = answer.headers.get(http::header::RETRY_AFTER);
        let after = after.and_then(|after| after.to_str().ok()?.trim().parse().ok()).map(Duration::from_secs);
        Err(match answer.status.as_u16() {
            401 | 403 => NomadError::Unauthorized { what, text },
            404 => NomadError::NotFound { what },
            429 => NomadError::Busy { what, retry_after: after },
            status => NomadError::Server { what, status, text },
        })
    }

    fn request(&self, call: &Call<'_>) -> Result<Request, NomadError> {
        let mut url = format!("{}{}", self.base, call.path);
        let access = [("namespace", &self.access.namespace), ("region", &self.access.region)];
        let own = call.query.iter().map(|(key, value)| (*key, value.as_str()));
        let fixed = access
            .into_iter()
            .filter(|(key, _)| !call.query.iter().any(|(own, _)| own == key))
            .filter_map(|(key, value)| Some((key, value.as_deref()?)));
        for (i, (key, value)) in own.chain(fixed).enumerate() {
            url.push(if i == 0 { '?' } else { '&' });
            url.push_str(key);
            url.push('=');
            url.push_str(&escape(value));
        }
        let mut request = Request::new(call.method.clone(), url);
        request.timeout = call.timeout;
        if let Some(token) = &self.access.token {
            // An unfit token is the caller's error; its text must not get into a message.
            let mut value = HeaderValue::from_str(token).map_err(|_| NomadError::Unauthorized {
                what: call.what.clone(),
                text: "the token holds characters that no header can carry".into(),
            })?;
            value.set_sensitive(true);
            request.headers.insert("x-nomad-token", value);
        }
        if let Some(body) = &call.body {
            request.headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            request.body = body.clone();
        }
        Ok(request)
    }
}

/// An address without user and password.
fn shown(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
            let slash = if rest.contains('/') { "/" } else { "" };
            format!("{scheme}://{}{slash}{path}", host.rsplit('@').next().unwrap_or(host))
        }
        None => address.to_owned(),
    }
}

/// Whether no Nomad would answer so: with a page, or by not knowing what every Nomad has. A proxy that has lost
/// its Nomad (502 and up) says so with a page, too.
fn is_strange(path: &str, answer: &Response) -> bool {
    let status = answer.status.as_u16();
    if matches!(status, 401 | 403 | 429 | 500 | 502..) {
        return false;
    }
    let everywhere = ["/v1/jobs", "/v1/nodes", "/v1/status/leader"].contains(&path);
    let start = answer.body.trim_ascii_start();
    let page = start
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"<html") || start.eq_ignore_ascii_case(b"<!doc"));
    let no_json = || {
        let read = serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body);
        read.is_err_and(|error| !error.is_eof())
    };
    page || everywhere && (status == 404 || answer.status.is_success() && no_json())
}

/// The answer, unless its JSON ends before it is whole; some answers have no body.
fn whole(answer: Response, what: &str) -> Result<Response, NomadError> {
    let read = serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body);
    if !answer.body.is_empty() && read.is_err_and(|error| error.is_eof()) {
        return Err(NomadError::CutShort { what: what.to_owned() });
    }
    Ok(answer)
}

/// How long to wait before the same is tried again, after so many repetitions; none where it isn't.
pub(super) fn pause(error: &NomadError, tries: usize) -> Option<Duration> {
    match error {
        NomadError::Busy { retry_after, .. } => {
            let own = *BACKOFF.get(tries)?;
            Some(retry_after.map_or(own, |after| after.clamp(own, LONGEST_PAUSE)))
        }
        NomadError::Unauthorized { text, .. } => {
            (tries == 0 && !text.contains("disabled")).then_some(BACKOFF[0])
        }
        error if error.is_transient() => BACKOFF.get(tries).copied(),
        _ => None,
    }
}

/// Whether a failed write may have been carried out all the same: a proxy lost the server, or the
/// server lost its leadership or its patience between accepting and committing.
fn undecided(status: u16, text: &str) -> bool {
    const LOST: [&str; 7] = [
        "leadership lost",
        "leadership transfer",
        "eof",
        "timed out",
        "timeout",
        "connection reset",
        "broken pipe",
    ];
    let text = text.to_lowercase();
    matches!(status, 502 | 504) || (status >= 500 && LOST.iter().any(|lost| text.contains(lost)))
}

/// The body as JSON.
pub(super) fn json<T: DeserializeOwned>(answer: &Response, what: &str) -> Result<T, NomadError> {
    serde_json::from_slice(&answer.body).map_err(|error| malformed(what, &error))
}

fn malformed(what: &str, error: &serde_json::Error) -> NomadError {
    NomadError::Malformed { what: what.to_owned(), reason: server_text(&error.to_string()) }
}

/// Percent-encodes everything but unreserved characters: job names may hold slashes and spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
