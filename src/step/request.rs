//! `http`: one request to a service.

use std::time::Duration;

use async_trait::async_trait;
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::build::{Inputs, Known};
use crate::base::text;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::http::Request;
use crate::journal::Intent;

pub struct HttpRequest(pub Inputs);

struct Wanted {
    request: Request,
    /// Answers with other statuses are failures; none: any 2xx.
    statuses: Vec<u16>,
    shown: Value,
}

impl HttpRequest {
    fn wanted(&self, cx: &Context) -> Result<Known<Wanted>, StepError> {
        let known = self.0.read(cx, |reader, body| {
            let method = reader.string(body, "method").unwrap_or_else(|| "POST".into());
            let headers = reader.string_map(body, "headers").unwrap_or_default();
            let content = reader.any(body, "body");
            let status = reader.any(body, "status");
            let timeout = reader.duration(body, "timeout").unwrap_or(Duration::from_secs(30));
            Some((reader.string(body, "url")?, method, headers, content, status, timeout))
        })?;
        let (url, method, headers, content, status, timeout) = match known {
            Known::All(all) => all,
            Known::Not(what) => return Ok(Known::Not(what)),
        };
        let shown =
            json!({ "url": url, "method": method, "headers": headers, "body": content, "status": status });
        let wrong = |what: String| StepError::untouched(what);
        let method = Method::try_from(method.to_uppercase().as_str())
            .map_err(|_| wrong(format!("'{method}' is not an HTTP method")))?;
        let mut request = Request::new(method, url);
        request.timeout = timeout;
        for (name, value) in headers {
            let header = HeaderName::try_from(name.as_str())
                .map_err(|_| wrong(format!("'{name}' is not a header")))?;
            let value = HeaderValue::try_from(value.as_str())
                .map_err(|_| wrong(format!("the header '{name}' has a value that can't be sent")))?;
            request.headers.insert(header, value);
        }
        request.body = match content {
            None => bytes::Bytes::new(),
            Some(Value::String(text)) => text.into(),
            Some(other) => {
                request.headers.entry("content-type").or_insert(HeaderValue::from_static("application/json"));
                other.to_string().into()
            }
        };
        let number = |value: &Value| value.as_u64().and_then(|n| u16::try_from(n).ok());
        let statuses = match &status {
            None => Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(number).collect(),
            Some(one) => number(one).map(|n| vec![n]),
        };
        let statuses = statuses.ok_or_else(|| wrong("'status' is a number, or a list of them".into()))?;
        Ok(Known::All(Wanted { request, statuses, shown }))
    }
}

#[async_trait]
impl Step for HttpRequest {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = match self.wanted(cx)? {
            Known::All(wanted) => wanted,
            Known::Not(what) => {
                let summary = format!("a request with {what}, which is known later");
                let later = Some(format!("{what} is known then"));
                return Ok(Preview { later, ..Preview::new(summary, json!({ "unknown": what })) });
            }
        };
        let later = match horizon {
            Horizon::Later(why) => Some(why.clone()),
            Horizon::Now => None,
        };
        let summary = format!("{} {}", wanted.request.method, text::one_line(&wanted.request.url));
        let summary = self.0.environment.secrets().mask(&summary);
        let bound = Some(wanted.shown.clone());
        Ok(Preview { later, bound, ..Preview::new(summary, wanted.shown) })
    }

    async fn execute(&self, cx: &Context, _: Preview) -> Result<Outcome, StepError> {
        let wanted = match self.wanted(cx)? {
            Known::All(wanted) => wanted,
            Known::Not(what) => return Err(StepError::untouched(format!("{what} has no value"))),
        };
        let answer = self.0.environment.transport().send(wanted.request).await.map_err(|error| {
            let touched = if error.never_sent() { Touched::Nothing } else { Touched::Unknown };
            StepError::new("the request has no answer", touched).because(error)
        })?;
        let fits = if wanted.statuses.is_empty() {
            answer.status.is_success()
        } else {
            wanted.statuses.contains(&answer.status.as_u16())
        };
        let said = self.0.environment.secrets().mask(&answer.text());
        let evidence = json!({ "status": answer.status.as_u16() });
        if !fits {
            let said: String = text::one_line(&said).chars().take(200).collect();
            // A server's own failure, or a gateway's, doesn't say whether the request took effect.
            let unclear = answer.status.is_server_error() || answer.status == StatusCode::REQUEST_TIMEOUT;
            let touched = if unclear { Touched::Unknown } else { Touched::Nothing };
            let message = format!("the answer is {}: {said}", answer.status);
            return Err(StepError { evidence, ..StepError::new(message, touched) });
        }
        let output = serde_json::from_slice(&answer.body).unwrap_or(Value::String(said));
        Ok(Outcome { summary: format!("answered {}", answer.status), evidence, output })
    }

    async fn reconcile(&self, cx: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        let repeatable = self.0.now(cx, |reader, body| {
            let safe = reader
                .string(body, "method")
                .is_some_and(|m| matches!(m.to_uppercase().as_str(), "GET" | "PUT" | "DELETE"));
            Some(reader.bool(body, "repeatable").unwrap_or(safe))
        })?;
        Ok(if repeatable {
            Reconciled::NotDone("it may be repeated; doing it again".into())
        } else {
            Reconciled::Undecided("whether the request was answered is not known".into())
        })
    }
}
