//! Nomad's HTTP API over a world: blocking queries, headers, the token, faults, and the few answers that
//! don't come from the cluster's state.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use serde_json::{Value, json};

use super::checks::checks;
use super::cluster::nanos;
use super::lists::{Query, Read};
use super::writes::Method;
use crate::sim::World;

/// What a blocking query waits for at most where it doesn't say.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// The API below `/v1/`.
pub fn router(world: World) -> Router {
    Router::new().fallback(handle).with_state(world)
}

async fn handle(
    State(world): State<World>,
    method: http::Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let served = serve(world.clone(), method, uri, headers, body);
    world.answered(&path, served).await
}

async fn serve(world: World, method: http::Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().to_owned();
    let query = parse_query(uri.query().unwrap_or_default());
    let parts: Vec<String> = path.split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if parts.first() != Some(&"v1") {
        return plain(StatusCode::NOT_FOUND, "404 page not found\n");
    }
    parts.remove(0);
    let token = headers.get("x-nomad-token").and_then(|t| t.to_str().ok()).map(str::to_owned).or_else(|| {
        let bearer = headers.get("authorization").and_then(|t| t.to_str().ok())?;
        bearer.strip_prefix("Bearer ").map(str::to_owned)
    });
    let open = matches!(parts.as_slice(), ["status", "leader"] | ["agent", "health"]);
    if !open && !world.admits(token.as_deref()) {
        return plain(StatusCode::FORBIDDEN, "Permission denied");
    }
    if let Some(answer) = beside(&world, &method, &parts, &query) {
        return answer;
    }
    match method {
        http::Method::GET | http::Method::HEAD => get(&world, &parts, &query).await,
        http::Method::PUT | http::Method::POST => write(&world, Method::Put, &parts, &query, &body),
        http::Method::DELETE => write(&world, Method::Delete, &parts, &query, &body),
        _ => plain(StatusCode::METHOD_NOT_ALLOWED, "Invalid method"),
    }
}

async fn get(world: &World, path: &[&str], query: &Query) -> Response {
    let after: u64 = query.get("index").parse().unwrap_or_default();
    let wait = go_duration(query.get("wait")).map_or(LONGEST_WAIT, |w| w.min(LONGEST_WAIT));
    // Waits are the client's: they pass in tokio's time, which is real where sockets are.
    let mut over = std::pin::pin!(tokio::time::sleep(wait));
    let mut changed = world.watch();
    loop {
        changed.borrow_and_update();
        let read = world.cluster(|cluster| cluster.read(path, query));
        let read = match read {
            None => return plain(StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader"),
            Some(None) => return plain(StatusCode::NOT_FOUND, ""),
            Some(Some(read)) => read,
        };
        if after == 0 || read.index > after {
            return answer(read);
        }
        tokio::select! {
            // What changed just as the time was over is still told.
            biased;
            Ok(()) = changed.changed() => {}
            () = &mut over => return answer(read),
            else => return answer(read),
        }
    }
}

fn write(world: &World, method: Method, path: &[&str], query: &Query, body: &Bytes) -> Response {
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => return plain(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    };
    let done = world.cluster(|cluster| {
        let answer = cluster.write(method, path, query, &body);
        (answer, cluster.index)
    });
    match done {
        None => plain(StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader"),
        Some((None, _)) => plain(StatusCode::NOT_FOUND, ""),
        Some((Some(Err(failure)), _)) => plain(status(failure.status), &failure.text),
        Some((Some(Ok(Value::Null)), index)) => with_index(Response::new(Body::empty()), index),
        Some((Some(Ok(value)), index)) => with_index(json_answer(&value), index),
    }
}

/// What isn't part of the replicated state.
fn beside(world: &World, method: &http::Method, path: &[&str], query: &Query) -> Option<Response> {
    let value = match path {
        ["status", "leader"] => json!("127.0.0.1:4647"),
        ["status", "peers"] => json!(["127.0.0.1:4647"]),
        ["regions"] => json!(["global"]),
        ["namespaces"] => json!([namespace()]),
        ["namespace", "default"] => namespace(),
        ["agent", "health"] => {
            json!({"server": {"ok": true, "message": "ok"}, "client": {"ok": true, "message": "ok"}})
        }
        ["agent", "members"] => json!({"ServerName": "tf-tete", "ServerRegion": "global", "ServerDC": "dc1",
            "Members": [{"Name": "tf-tete.global", "Addr": "127.0.0.1", "Port": 4648, "Status": "alive",
                "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2, "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
                "Tags": {"role": "nomad", "region": "global", "dc": "dc1", "port": "4647", "build": "2.0.5",
                    "bootstrap": "1", "vsn": "1", "raft_vsn": "3", "id": "tf-tete", "expect": "1"}}]}),
        ["agent", "self"] => json!({
            "config": {"Region": "global", "Datacenter": "dc1", "NodeName": "tf-tete", "UI": {"Enabled": false},
                "ACL": {"Enabled": world.guarded()}, "Server": {"Enabled": true}, "Client": {"Enabled": false},
                "Version": {"Version": "2.0.5", "Revision": "", "VersionPrerelease": "", "VersionMetadata": ""}},
            "member": {"Name": "tf-tete.global", "Addr": "127.0.0.1", "Port": 4648, "Status": "alive", "Tags": {"build": "2.0.5"}},
            "stats": {"nomad": {"leader": "true", "server": "true", "bootstrap": "true"}}}),
        ["operator", "scheduler", "configuration"] => {
            json!({"SchedulerConfig": {"SchedulerAlgorithm": "binpack",
            "PreemptionConfig": {"SystemSchedulerEnabled": true, "BatchSchedulerEnabled": false,
                "ServiceSchedulerEnabled": false, "SysBatchSchedulerEnabled": false},
            "MemoryOversubscriptionEnabled": false, "RejectJobRegistration": false, "PauseEvalBroker": false, "NodeLimitForFeasibilityChecks": 0,
            "CreateIndex": 5, "ModifyIndex": 5}, "Index": 5, "LastContact": 0, "KnownLeader": true})
        }
        ["client", "stats"] => {
            let node = query.get("node_id").to_owned();
            let now = world.clock().now();
            return world.cluster(|c| {
                let load = c.node_load(&node);
                let found = if node.is_empty() { c.nodes.values().next() } else { c.nodes.get(&node) };
                found.map_or_else(
                    || plain(StatusCode::NOT_FOUND, &format!("Unknown node {node:?}")),
                    |n| {
                        json_answer(&n.stats(
                            load.0,
                            load.1,
                            nanos(now),
                            now.duration_since(n.since).as_secs(),
                        ))
                    },
                )
            });
        }
        ["client", "allocation", id, what] if *method == http::Method::GET => {
            return world.cluster(|c| match (c.allocations.get(*id), *what) {
                (None, _) => plain(StatusCode::NOT_FOUND, &format!("Unknown allocation {id:?}")),
                (Some(a), "checks") => json_answer(&checks(a, c.ails(id), c.now.as_second())),
                (Some(a), "stats") => json_answer(&usage(a, nanos(c.now))),
                _ => plain(StatusCode::NOT_FOUND, "404 page not found\n"),
            });
        }
        ["client", "fs", "logs", id] => {
            let known = world.cluster(|c| c.allocations.contains_key(*id)).unwrap_or_default();
            return Some(if known {
                Response::new(Body::from(if query.flag("plain") {
                    "the simulated environment keeps no logs\n"
                } else {
                    ""
                }))
            } else {
                plain(StatusCode::NOT_FOUND, &format!("Unknown allocation {id:?}"))
            });
        }
        _ => return None,
    };
    Some(json_answer(&value))
}

/// What `client/allocation/ID/stats` says.
fn usage(a: &super::records::Allocation, now: i64) -> Value {
    let sum = |kind: &str, field: &str| -> i64 {
        let tasks = a.resources["Tasks"].as_object().into_iter().flatten();
        tasks.map(|(_, t)| t[kind][field].as_i64().unwrap_or_default()).sum()
    };
    let (memory, cpu) = (sum("Memory", "MemoryMB"), sum("Cpu", "CpuShares"));
    let usage = json!({
        "MemoryStats": {"RSS": memory * 1024 * 512, "Cache": 0, "Swap": 0, "Usage": memory * 1024 * 512, "MaxUsage": memory * 1024 * 600, "KernelUsage": 0, "KernelMaxUsage": 0, "Measured": ["RSS", "Usage", "Max Usage"]},
        "CpuStats": {"SystemMode": 0.5, "UserMode": 2.0, "TotalTicks": cpu / 4, "ThrottledPeriods": 0, "ThrottledTime": 0, "Percent": 2.5, "Measured": ["Percent", "Total Ticks"]},
        "DeviceStats": []});
    let tasks: serde_json::Map<String, Value> = a
        .tasks
        .keys()
        .map(|name| (name.clone(), json!({"ResourceUsage": usage, "Timestamp": now, "Pids": {}})))
        .collect();
    json!({"ResourceUsage": usage, "Tasks": tasks, "Timestamp": now})
}

fn namespace() -> Value {
    json!({"Name": "default", "Description": "Default shared namespace", "Quota": "", "Capabilities": null,
        "NodePoolConfiguration": null, "Meta": null, "ConsulConfiguration": null, "VaultConfiguration": null,
        "RequiredExtraClaims": null, "OptionalExtraClaims": null, "CreateIndex": 1, "ModifyIndex": 1})
}

fn answer(read: Read) -> Response {
    let mut response = match &read.body {
        Ok(value) => json_answer(value),
        Err(failure) => plain(status(failure.status), &failure.text),
    };
    if let Some(next) = read.next.and_then(|n| HeaderValue::from_str(&n).ok()) {
        response.headers_mut().insert("X-Nomad-NextToken", next);
    }
    with_index(response, read.index)
}

fn with_index(mut response: Response, index: u64) -> Response {
    let headers = response.headers_mut();
    headers.insert("X-Nomad-Index", HeaderValue::from(index));
    headers.insert("X-Nomad-LastContact", HeaderValue::from_static("0"));
    headers.insert("X-Nomad-KnownLeader", HeaderValue::from_static("true"));
    response
}

fn json_answer(value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert("Content-Type", HeaderValue::from_static("application/json"));
    response
}

pub(crate) fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert("Content-Type", HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn parse_query(text: &str) -> Query {
    let mut out = BTreeMap::new();
    for pair in text.split('&').filter(|p| !p.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        out.insert(decode(key), decode(&value.replace('+', " ")));
    }
    Query(out)
}

/// Undoes percent-encoding.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(&byte) = bytes.get(i) {
        let hex =
            text.get(i + 1..i + 3).filter(|_| byte == b'%').and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(hex.unwrap_or(byte));
        i += if hex.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A duration as Go's clients write them: `300s`, `2000ms`, `5m`, `60000ms`; plain numbers are seconds.
fn go_duration(text: &str) -> Option<Duration> {
    let units = [("ms", 0.001), ("us", 0.000_001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let (number, unit) = units
        .iter()
        .find_map(|(suffix, unit)| text.strip_suffix(suffix).map(|n| (n, *unit)))
        .unwrap_or((text, 1.0));
    let seconds = number.parse::<f64>().ok()? * unit;
    (seconds.is_finite() && seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(3600.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_and_durations() {
        let query = parse_query("prefix=a%2Fb&stale=&index=7&all=false");
        assert_eq!(query.get("prefix"), "a/b");
        assert!(query.flag("stale") && !query.flag("all") && !query.flag("related"));
        assert_eq!(go_duration("2000ms"), Some(Duration::from_secs(2)));
        assert_eq!(go_duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(go_duration(""), None);
    }
}
