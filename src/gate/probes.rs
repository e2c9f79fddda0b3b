//! Taking one sample, by kind.

use std::time::Duration;

use http::Method;
use http::header::{HeaderName, HeaderValue};
use serde_json::json;

use crate::base::{Diagnostics, text};
use crate::db::DbError;
use crate::dialect::{Reader, Values};
use crate::environment::{Environment, ReachError};
use crate::hcl::{Body, Value};
use crate::http::Request;
use crate::nomad::{Client, NomadError};
use crate::plan::{Probe, ProbeKind};
use crate::process;

/// What a sample gave.
#[derive(Clone, Debug)]
pub enum Sample {
    /// The single row or document.
    Row(Value),
    NoData(String),
    Error(String),
}

/// How long a server may take, in real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes a sample.
pub async fn sample(environment: &Environment, probe: &Probe, scope: &Values) -> Sample {
    let taken = match probe.kind {
        ProbeKind::Sql => sql(environment, &probe.body, scope).await,
        ProbeKind::Http => http(environment, &probe.body, scope).await,
        ProbeKind::Prometheus => prometheus(environment, &probe.body, scope).await,
        ProbeKind::Nomad => nomad(environment, &probe.body, scope).await,
        ProbeKind::Exec => exec(environment, &probe.body, scope).await,
    };
    let mask = |why: String| text::one_line(&environment.secrets().mask(&why));
    match taken {
        Ok(sample) => sample,
        Err(Trouble::NoData(why)) => Sample::NoData(mask(why)),
        Err(Trouble::Error(why)) => Sample::Error(mask(why)),
    }
}

enum Trouble {
    NoData(String),
    Error(String),
}

impl From<Diagnostics> for Trouble {
    fn from(problems: Diagnostics) -> Self {
        Self::Error(problems.to_string())
    }
}

impl From<ReachError> for Trouble {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::NotKnownYet(_) => Self::NoData(error.to_string()),
            other => Self::Error(other.to_string()),
        }
    }
}

impl From<DbError> for Trouble {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Missing(_) => Self::NoData("the database is not there".into()),
            other => Self::Error(other.to_string()),
        }
    }
}

/// A reader's needed value; what is unknown is no data.
fn needed<T>(reader: &mut Reader<'_>, value: Option<T>) -> Result<T, Trouble> {
    if reader.problems.has_errors() {
        return Err(std::mem::take(&mut reader.problems).into());
    }
    value.ok_or_else(|| Trouble::NoData("something it needs isn't known yet".into()))
}

async fn sql(environment: &Environment, body: &Body, scope: &Values) -> Result<Sample, Trouble> {
    let mut reader = Reader::new(scope);
    let name = reader.string(body, "database");
    let name = needed(&mut reader, name)?;
    let query = reader.string(body, "query");
    let query = needed(&mut reader, query)?;
    let params = reader.object(body, "params").unwrap_or_default();
    let params = environment.params(needed(&mut reader, Some(params))?);
    let mut rows = environment.database(&name).await?.query(&query, &params).await?;
    match (rows.pop(), rows.len()) {
        (None, _) => Ok(Sample::NoData("the query gives no row".into())),
        (Some(row), 0) => Ok(Sample::Row(Value::from_json(&row.into()))),
        (Some(_), more) => Err(Trouble::Error(format!("the query gives {} rows instead of one", more + 1))),
    }
}

fn request(reader: &mut Reader<'_>, body: &Body, url: &str) -> Result<Request, Trouble> {
    let headers = reader.string_map(body, "headers").unwrap_or_default();
    let timeout = reader.duration(body, "timeout").unwrap_or(PATIENCE);
    needed(reader, Some(()))?;
    let mut request = Request::new(Method::GET, url);
    request.timeout = timeout;
    for (name, value) in headers {
        let parsed = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str()));
        let (Ok(header), Ok(value)) = parsed else {
            return Err(Trouble::Error(format!("the header '{name}' can't be sent")));
        };
        request.headers.insert(header, value);
    }
    Ok(request)
}

async fn document(environment: &Environment, request: Request) -> Result<serde_json::Value, Trouble> {
    let answer = environment.transport().send(request).await.map_err(|e| {
        if e.never_sent() { Trouble::NoData(e.to_string()) } else { Trouble::Error(e.to_string()) }
    })?;
    if !answer.status.is_success() {
        return Err(Trouble::Error(format!("the answer is {}", answer.status)));
    }
    if answer.body.is_empty() {
        return Err(Trouble::NoData("the answer is empty".into()));
    }
    serde_json::from_slice(&answer.body).map_err(|_| Trouble::Error("the answer is not JSON".into()))
}

async fn http(environment: &Environment, body: &Body, scope: &Values) -> Result<Sample, Trouble> {
    let mut reader = Reader::new(scope);
    let url = reader.string(body, "url");
    let url = needed(&mut reader, url)?;
    let request = request(&mut reader, body, &url)?;
    let document = document(environment, request).await?;
    Ok(match document {
        serde_json::Value::Null => Sample::NoData("the answer is null".into()),
        document => Sample::Row(Value::from_json(&document)),
    })
}

/// An instant query whose answer is one number: `result.value`.
async fn prometheus(environment: &Environment, body: &Body, scope: &Values) -> Result<Sample, Trouble> {
    let mut reader = Reader::new(scope);
    let address = reader.string(body, "address");
    let address = needed(&mut reader, address)?;
    let query = reader.string(body, "query");
    let query = needed(&mut reader, query)?;
    let url = format!("{}/api/v1/query?query={}", address.trim_end_matches('/'), percent(&query));
    let request = request(&mut reader, body, &url)?;
    let document = document(environment, request).await?;
    let data = &document["data"];
    let pair = match data["resultType"].as_str() {
        Some("scalar") => &data["result"],
        Some("vector") => match data["result"].as_array().map(Vec::as_slice) {
            Some([]) | None => return Ok(Sample::NoData("the query gives no series".into())),
            Some([one]) => &one["value"],
            Some(many) => {
                return Err(Trouble::Error(format!("the query gives {} series instead of one", many.len())));
            }
        },
        _ => return Err(Trouble::Error("the answer is not Prometheus's".into())),
    };
    let number = pair[1].as_str().and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite());
    match number {
        Some(value) => Ok(Sample::Row(Value::from_json(&json!({ "value": value })))),
        None => Ok(Sample::NoData("the value is not a number".into())),
    }
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// `result.reachable`, `.ready` (a leader, and nodes that take work), `.nodes`, `.jobs`, `.healthy`, `.unhealthy`
/// (lists of job ids). A Nomad that isn't there is a sample too: it may be what is waited for.
async fn nomad(environment: &Environment, body: &Body, scope: &Values) -> Result<Sample, Trouble> {
    let mut reader = Reader::new(scope);
    let wanted = reader.strings(body, "jobs");
    needed(&mut reader, Some(()))?;
    let gone = || {
        let row = json!({ "reachable": false, "ready": false, "nodes": 0, "jobs": 0, "healthy": 0, "unhealthy": [] });
        Ok(Sample::Row(Value::from_json(&row)))
    };
    let client = match environment.nomad().await {
        Ok(client) => client,
        Err(ReachError::NotKnownYet(_) | ReachError::NotUp { .. }) => return gone(),
        Err(ReachError::Wrong(problem)) if problem.message.contains("nomad_address") => return gone(),
        Err(other) => return Err(other.into()),
    };
    match state(&client, wanted.as_deref()).await {
        Ok(row) => Ok(Sample::Row(Value::from_json(&row))),
        // Something else answers at that address where Nomad was: no Nomad is there either.
        Err(NomadError::Unreachable(_) | NomadError::NotFound { .. } | NomadError::NotNomad { .. }) => gone(),
        Err(other) => Err(Trouble::Error(other.to_string())),
    }
}

async fn state(client: &Client, wanted: Option<&[String]>) -> Result<serde_json::Value, NomadError> {
    let leader = client.leader().await?;
    let nodes = client.nodes().await?;
    let ready = nodes.iter().filter(|node| node.takes_work()).count();
    let mut jobs = client.healths().await?;
    if let Some(wanted) = wanted {
        jobs.retain(|job| wanted.contains(&job.id));
    }
    let unhealthy: Vec<&str> =
        jobs.iter().filter(|job| !job.is_healthy()).map(|job| job.id.as_str()).collect();
    Ok(json!({
        "reachable": true,
        "ready": leader.is_some() && ready > 0,
        "nodes": ready,
        "jobs": jobs.len(),
        "healthy": jobs.len() - unhealthy.len(),
        "unhealthy": unhealthy,
    }))
}

/// What a command prints, as JSON where it is that, else as `result.output`.
async fn exec(environment: &Environment, body: &Body, scope: &Values) -> Result<Sample, Trouble> {
    let mut reader = Reader::new(scope);
    let command = reader.strings(body, "command");
    let argv = needed(&mut reader, command)?;
    let dir = reader.string(body, "dir");
    let more = reader.string_map(body, "environment").unwrap_or_default();
    let time = reader.duration(body, "timeout").unwrap_or(PATIENCE);
    needed(&mut reader, Some(()))?;
    if environment.is_rehearsal() {
        return Ok(Sample::NoData("commands are not run in a rehearsal".into()));
    }
    let mut variables = environment.child_variables();
    variables.extend(more);
    let command = process::Command {
        argv,
        dir: environment.root().join(dir.unwrap_or_default()),
        environment: variables,
    };
    let limits = process::Limits { time, ..process::Limits::default() };
    let finished = process::run(&command, environment.secrets(), limits, &|_, _, _| {}, &mut |_, _| {})
        .await
        .map_err(|error| Trouble::Error(error.to_string()))?;
    if !finished.ended.success() {
        let last = finished.stderr.lines().last().unwrap_or_default().to_owned();
        return Err(Trouble::Error(format!("the command failed: {last}")));
    }
    let output = finished.stdout.trim();
    if output.is_empty() {
        return Ok(Sample::NoData("the command printed nothing".into()));
    }
    let row = match serde_json::from_str::<serde_json::Value>(output) {
        Ok(document @ serde_json::Value::Object(_)) => document,
        Ok(value) => json!({ "output": value }),
        Err(_) => json!({ "output": output }),
    };
    Ok(Sample::Row(Value::from_json(&row)))
}
