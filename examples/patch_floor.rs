//! What `scripts/bench-patch` measures a patch against: the same requests without anything around them.
//!
//!     patch_floor prepare ADDRESS COUNT        jobs bench-000 … with count 0
//!     patch_floor floor ADDRESS COUNT TAG      read, plan, register, over eight connections: milliseconds
//!     patch_floor chain ADDRESS LENGTH         jobs link-000 …, each after the one before it, healthy
//!     patch_floor gaps ADDRESS LENGTH          from a link's health to the next one's registration, by the
//!                                              server's times: milliseconds, one a line
//!     patch_floor watch ADDRESS LENGTH         the same while the links are patched, from when the server's
//!                                              state has the health, as a held request sees it

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a tool that cannot go on has failed, and prints what it measured"
)]

use std::time::Duration;

use blackstart::base::Clock;
use futures::{StreamExt, stream};
use serde_json::{Value, json};

const CONNECTIONS: usize = 8;

struct Server {
    http: reqwest::Client,
    address: String,
}

impl Server {
    async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.address)).send().await.unwrap();
        serde_json::from_slice(&answer.error_for_status().unwrap().bytes().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.address)).body(body.to_string());
        let answer = request.send().await.unwrap();
        serde_json::from_slice(&answer.error_for_status().unwrap().bytes().await.unwrap()).unwrap()
    }
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, address, number, rest @ ..] = arguments.as_slice() else { panic!("see the source") };
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let server = Server { http, address: address.clone() };
    let number: usize = number.parse().unwrap();
    match verb.as_str() {
        "prepare" => {
            for i in 0..number {
                server.post("/v1/jobs", &json!({ "Job": idle(i) })).await;
            }
        }
        "floor" => println!("{:.1}", floor(&server, number, &rest[0]).await.as_secs_f64() * 1000.0),
        "chain" => chain(&server, number).await,
        "gaps" => {
            for i in 1..number {
                let healthy = health(&server, i - 1).await;
                let registered = submitted(&server, i).await;
                println!("{:.1}", (registered - healthy) as f64 / 1e6);
            }
        }
        "watch" => {
            let healthy: Vec<i64> =
                stream::iter(0..number).map(|i| healthy_again(&server, i)).buffered(number).collect().await;
            for i in 1..number {
                let registered = submitted(&server, i).await;
                println!("{:.1}", (registered - healthy[i - 1]) as f64 / 1e6);
            }
        }
        other => panic!("there is no {other}"),
    }
}

fn idle(i: usize) -> Value {
    let id = format!("bench-{i:03}");
    json!({
        "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"],
        "TaskGroups": [{
            "Name": "main", "Count": 0,
            "Tasks": [{
                "Name": "main", "Driver": "docker", "Config": { "image": "registry.example.com/bench/main:start" },
                "Env": { "LOG": "info" }, "Resources": { "CPU": 100, "MemoryMB": 64 },
            }],
        }],
    })
}

async fn floor(server: &Server, count: usize, tag: &str) -> Duration {
    let clock = Clock::real();
    let began = clock.now();
    let one = |i: usize| async move {
        let path = format!("/v1/job/bench-{i:03}");
        let mut job = server.get(&path).await;
        let index = job["JobModifyIndex"].clone();
        job["TaskGroups"][0]["Tasks"][0]["Config"]["image"] =
            format!("registry.example.com/bench/main:{tag}").into();
        let planned = server.post(&format!("{path}/plan"), &json!({ "Job": job, "Diff": true })).await;
        assert_eq!(planned["JobModifyIndex"], index);
        server.post(&path, &json!({ "Job": job, "EnforceIndex": true, "JobModifyIndex": index })).await;
    };
    stream::iter(0..count).map(one).buffer_unordered(CONNECTIONS).collect::<Vec<()>>().await;
    Duration::try_from(clock.now().duration_since(began)).unwrap()
}

async fn chain(server: &Server, length: usize) {
    for i in 0..length {
        let id = format!("link-{i:03}");
        let after = if i == 0 { String::new() } else { format!("link-{:03}", i - 1) };
        let job = json!({
            "ID": id, "Name": id, "Type": "service", "Datacenters": ["*"],
            "Meta": { "depends_on": after },
            "Update": { "MinHealthyTime": 500_000_000, "HealthCheck": "task_states", "MaxParallel": 1 },
            "TaskGroups": [{
                "Name": "main", "Count": 1,
                "Tasks": [{
                    "Name": "main", "Driver": "raw_exec", "KillSignal": "SIGKILL",
                    "Config": { "command": "/bin/sleep", "args": ["36000"] },
                    "Resources": { "CPU": 20, "MemoryMB": 16 },
                }],
            }],
        });
        server.post("/v1/jobs", &json!({ "Job": job })).await;
    }
    for i in 0..length {
        health(server, i).await;
    }
}

/// When the server took note of a link's health: the last change of its newest version's allocation.
async fn health(server: &Server, i: usize) -> i64 {
    let path = format!("/v1/job/link-{i:03}");
    for _ in 0..600 {
        let version = server.get(&path).await["Version"].clone();
        let allocations = server.get(&format!("{path}/allocations")).await;
        let newest = allocations.as_array().unwrap().iter().find(|a| a["JobVersion"] == version);
        if let Some(newest) = newest.filter(|a| a["DeploymentStatus"]["Healthy"] == true) {
            return newest["ModifyTime"].as_i64().unwrap();
        }
        Clock::real().sleep(Duration::from_millis(100)).await;
    }
    panic!("link-{i:03} doesn't get healthy");
}

/// When the server took a link's newest version.
async fn submitted(server: &Server, i: usize) -> i64 {
    server.get(&format!("/v1/job/link-{i:03}")).await["SubmitTime"].as_i64().unwrap()
}

/// When a link's next version is healthy in the server's state (HealthyAllocs = DesiredTotal), to whoever
/// holds a request for that.
async fn healthy_again(server: &Server, i: usize) -> i64 {
    let path = format!("/v1/job/link-{i:03}/deployment");
    let before = server.get(&path).await["JobVersion"].as_i64().unwrap();
    let mut index = 1;
    loop {
        let url = format!("{}{path}?index={index}&wait=60s", server.address);
        let answer = server.http.get(url).send().await.unwrap().error_for_status().unwrap();
        index = answer.headers()["x-nomad-index"].to_str().unwrap().parse().unwrap();
        let deployment: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let now = Clock::real().now().as_nanosecond();
        let is_full = |group: &Value| group["HealthyAllocs"] == group["DesiredTotal"];
        let full = deployment["TaskGroups"].as_object().unwrap().values().all(is_full);
        if deployment["JobVersion"].as_i64().unwrap() > before && full {
            return i64::try_from(now).unwrap();
        }
    }
}
