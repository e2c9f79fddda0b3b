//! The simulated Nomad API's rules, each as the real agent has it.

use std::collections::BTreeMap;
use std::time::Duration;

use blackstart::base::Clock;
use blackstart::sim::{Fault, FaultKind, Infrastructure, NodeSize, World, WorldOptions};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt;

struct Bench {
    world: World,
    _dir: tempfile::TempDir,
    runner: tokio::task::JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

struct Answer {
    status: u16,
    index: u64,
    text: String,
    json: Value,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut WorldOptions)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let clock = Clock::virtual_from("2026-03-04T05:06:07Z".parse().expect("a time"));
        let mut options = WorldOptions::new(clock, dir.path().join("db"));
        change(&mut options);
        let world = World::new(options).expect("a world");
        world.set_infrastructure(Infrastructure::whole()).expect("machines");
        let runner = tokio::spawn(world.clone().run());
        Self { world, _dir: dir, runner }
    }

    async fn call(&self, method: &str, path: &str, body: &Value, token: Option<&str>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("X-Nomad-Token", token);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.body(axum::body::Body::from(body)).expect("a request");
        let answer = self.world.nomad().oneshot(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let index =
            answer.headers().get("X-Nomad-Index").and_then(|i| i.to_str().ok()?.parse().ok()).unwrap_or(0);
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.expect("a body");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status, index, json: serde_json::from_str(&text).unwrap_or(Value::Null), text }
    }

    async fn get(&self, path: &str) -> Value {
        self.call("GET", path, &Value::Null, None).await.json
    }

    async fn register(&self, job: &Value) -> Value {
        let answer = self.call("PUT", "/v1/jobs", &json!({"Job": job}), None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json
    }

    async fn pass(&self, seconds: f64) {
        self.world.clock().sleep(Duration::from_secs_f64(seconds)).await;
    }

    async fn settled(&self, id: &str) -> Value {
        // The scheduler takes a moment before there is a new one.
        self.pass(0.1).await;
        for _ in 0..2000 {
            let deployment = self.get(&format!("/v1/job/{id}/deployment")).await;
            if matches!(deployment["Status"].as_str(), Some("successful" | "failed" | "cancelled")) {
                return deployment;
            }
            self.pass(1.0).await;
        }
        panic!("the deployment of {id} never ended");
    }

    async fn running(&self, id: &str) -> Vec<Value> {
        let all = self.get(&format!("/v1/job/{id}/allocations")).await;
        let all = all.as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|a| a["ClientStatus"] == "running" && a["DesiredStatus"] == "run").collect()
    }
}

fn job(image: &str, count: u64, update: &Value) -> Value {
    json!({"ID": "web", "Update": update, "TaskGroups": [{"Name": "g", "Count": count, "Tasks": [{"Name": "t",
        "Driver": "docker", "Config": {"image": image}, "Resources": {"CPU": 200, "MemoryMB": 128}}]}]})
}

#[tokio::test(start_paused = true)]
async fn a_deployment_goes_its_way() {
    let bench = Bench::new();
    let answer = bench.register(&job("x:1", 2, &Value::Null)).await;
    let evaluation = format!("/v1/evaluation/{}", answer["EvalID"].as_str().expect("an id"));
    assert_eq!(bench.get(&evaluation).await["Status"], "pending");
    bench.pass(0.1).await;
    assert_eq!(bench.get(&evaluation).await["Status"], "complete");
    let begun = bench.world.clock().now();
    let deployment = bench.settled("web").await;
    assert_eq!(deployment["StatusDescription"], "Deployment completed successfully");
    assert_eq!(deployment["TaskGroups"]["g"]["HealthyAllocs"], 2);
    assert_eq!(deployment["JobSpecModifyIndex"], answer["JobModifyIndex"]);
    // An image to fetch, 10 s of health, 1.25 s of the server.
    let took = bench.world.clock().now().duration_since(begun).as_secs_f64();
    assert!((11.0..20.0).contains(&took), "{took}");
    let read = bench.get("/v1/job/web").await;
    assert_eq!((read["Status"].as_str(), read["Stable"].as_bool()), (Some("running"), Some(true)));
    assert_eq!(read["JobModifyIndex"], answer["JobModifyIndex"], "health doesn't move it");
    let id = bench.running("web").await[0]["ID"].as_str().expect("an id").to_owned();
    let allocation = bench.get(&format!("/v1/allocation/{id}")).await;
    let events = allocation["TaskStates"]["t"]["Events"].as_array().expect("events");
    let kinds: Vec<&str> = events.iter().filter_map(|e| e["Type"].as_str()).collect();
    assert_eq!(kinds, ["Received", "Task Setup", "Driver", "Started"]);
}

#[tokio::test(start_paused = true)]
async fn updates_roll_one_by_one_and_only_where_they_must() {
    let bench = Bench::new();
    bench.register(&job("x:1", 3, &Value::Null)).await;
    bench.settled("web").await;
    let before: Vec<Value> = bench.running("web").await;
    bench.register(&job("x:2", 3, &Value::Null)).await;
    bench.pass(2.0).await;
    let plan = bench.running("web").await;
    assert_eq!(plan.iter().filter(|a| a["JobVersion"] == 0).count(), 2, "one at a time");
    let done = bench.settled("web").await;
    assert_eq!(done["JobVersion"], 1);
    let after = bench.running("web").await;
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|a| before.iter().all(|b| b["ID"] != a["ID"]) && a["JobVersion"] == 1));
    // A change that needs no new allocation keeps them.
    let mut same = job("x:2", 3, &Value::Null);
    same["Priority"] = json!(60);
    bench.register(&same).await;
    let done = bench.settled("web").await;
    assert_eq!((done["JobVersion"].as_u64(), done["Status"].as_str()), (Some(2), Some("successful")));
    let kept = bench.running("web").await;
    assert!(kept.iter().all(|a| after.iter().any(|b| b["ID"] == a["ID"]) && a["JobVersion"] == 2));
}

#[tokio::test(start_paused = true)]
async fn check_and_set() {
    let bench = Bench::new();
    let put = |index: u64, image: &'static str| {
        let body = json!({"Job": job(image, 1, &Value::Null), "EnforceIndex": true, "JobModifyIndex": index});
        async { (bench.call("PUT", "/v1/job/web", &body, None).await, body).0 }
    };
    let none = put(7, "x:1").await;
    assert_eq!((none.status, none.text.as_str()), (500, "Enforcing job modify index 7: job does not exist"));
    let index = put(0, "x:1").await.json["JobModifyIndex"].as_u64().expect("an index");
    let exists = put(0, "x:1").await;
    assert_eq!(exists.text, "Enforcing job modify index 0: job already exists");
    bench.settled("web").await;
    assert_eq!(put(index, "x:2").await.status, 200);
    let conflict = put(index, "x:3").await;
    assert!(conflict.text.starts_with(&format!(
        "Enforcing job modify index {index}: job exists with conflicting job modify index: "
    )));
    // A tag changes the version it stands on, not the index.
    let read = bench.get("/v1/job/web").await;
    let tag = json!({"Version": 1, "Description": "before the stop"});
    assert_eq!(bench.call("POST", "/v1/job/web/versions/kept/tag", &tag, None).await.status, 200);
    let tagged = bench.get("/v1/job/web").await;
    assert_eq!(tagged["JobModifyIndex"], read["JobModifyIndex"]);
    assert_eq!(tagged["VersionTag"]["Name"], "kept");
    // Nulling it counts as a change of the specification, though a plan's diff says none.
    let mut without = tagged.clone();
    without["VersionTag"] = Value::Null;
    let plan = bench.call("PUT", "/v1/job/web/plan", &json!({"Job": without, "Diff": true}), None).await.json;
    assert_eq!(plan["Diff"]["Type"], "None");
    bench.register(&without).await;
    assert_eq!(bench.get("/v1/job/web").await["Version"], 2);
    // The same again is an evaluation and nothing else.
    let read = bench.get("/v1/job/web").await;
    let again = bench.register(&read).await;
    assert_eq!(again["JobModifyIndex"], read["ModifyIndex"]);
    assert_ne!(again["EvalID"], "");
    assert_eq!(bench.get("/v1/job/web").await["Version"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_bad_image_fails_and_reverts() {
    let update = json!({"AutoRevert": true, "ProgressDeadline": 120_000_000_000i64, "HealthyDeadline": 60_000_000_000i64});
    let bench = Bench::new();
    bench.register(&job("x:1", 1, &update)).await;
    bench.settled("web").await;
    bench.register(&job("x:git-bad", 1, &update)).await;
    bench.pass(60.0).await;
    let all = bench.get("/v1/job/web/allocations").await;
    let newest = &all[0];
    let events = newest["TaskStates"]["t"]["Events"].as_array().expect("events");
    let failure = events.iter().find(|e| e["Type"] == "Driver Failure").expect("a failure");
    assert!(failure["DriverError"].as_str().expect("a text").starts_with("Failed to pull `x:git-bad`"));
    assert!(events.iter().any(|e| e["Type"] == "Restarting"));
    let mut failed = Value::Null;
    for _ in 0..300 {
        let list = bench.get("/v1/job/web/deployments").await;
        failed = list
            .as_array()
            .and_then(|l| l.iter().find(|d| d["JobVersion"] == 1))
            .cloned()
            .unwrap_or_default();
        if failed["Status"] == "failed" {
            break;
        }
        bench.pass(1.0).await;
    }
    assert_eq!(
        failed["StatusDescription"],
        "Failed due to progress deadline - rolling back to job version 0"
    );
    let back = bench.settled("web").await;
    assert_eq!((back["JobVersion"].as_u64(), back["Status"].as_str()), (Some(2), Some("successful")));
    let read = bench.get("/v1/job/web").await;
    assert_eq!(read["TaskGroups"][0]["Tasks"][0]["Config"]["image"], "x:1");
    assert_eq!(bench.running("web").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn canaries_wait_for_promotion() {
    let bench = Bench::new();
    let update = json!({"Canary": 1});
    bench.register(&job("x:1", 2, &update)).await;
    bench.settled("web").await;
    bench.register(&job("x:2", 2, &update)).await;
    bench.pass(60.0).await;
    let waiting = bench.get("/v1/job/web/deployment").await;
    assert_eq!(waiting["Status"], "running");
    assert_eq!(waiting["StatusDescription"], "Deployment is running but requires manual promotion");
    assert_eq!(waiting["TaskGroups"]["g"]["PlacedCanaries"].as_array().map(Vec::len), Some(1));
    assert_eq!(bench.running("web").await.len(), 3);
    let id = waiting["ID"].as_str().expect("an id");
    let answer =
        bench.call("PUT", &format!("/v1/deployment/promote/{id}"), &json!({"All": true}), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(bench.settled("web").await["Status"], "successful");
    bench.pass(5.0).await;
    let running = bench.running("web").await;
    assert_eq!(running.len(), 2, "{running:#?}");
    assert!(running.iter().all(|a| a["JobVersion"] == 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_cluster_says_which_dimension_is_short() {
    let small = BTreeMap::from([("*".to_owned(), NodeSize { cpu: 1000, memory: 4096, disk: 10_000 })]);
    let bench = Bench::with(|o| o.nodes = small);
    let mut big = job("x:1", 1, &Value::Null);
    big["TaskGroups"][0]["Tasks"][0]["Resources"] = json!({"CPU": 1500, "MemoryMB": 8000});
    let plan = bench.call("PUT", "/v1/job/web/plan", &json!({"Job": big, "Diff": true}), None).await.json;
    assert_eq!(
        plan["FailedTGAllocs"]["g"]["DimensionExhausted"],
        json!({"cpu": 2}),
        "only the first short one"
    );
    let answer = bench.register(&big).await;
    bench.pass(1.0).await;
    let evaluation =
        bench.get(&format!("/v1/evaluation/{}", answer["EvalID"].as_str().expect("an id"))).await;
    assert_eq!(evaluation["Status"], "complete");
    assert_eq!(evaluation["FailedTGAllocs"]["g"]["NodesExhausted"], 2);
    let blocked =
        bench.get(&format!("/v1/evaluation/{}", evaluation["BlockedEval"].as_str().expect("an id"))).await;
    assert_eq!(blocked["Status"], "blocked");
    let deployment = bench.get("/v1/job/web/deployment").await;
    assert_eq!(
        (deployment["Status"].as_str(), &deployment["TaskGroups"]["g"]["RequireProgressBy"]),
        (Some("running"), &Value::Null)
    );
    bench.pass(3600.0).await;
    assert_eq!(bench.get("/v1/job/web/deployment").await["Status"], "running", "it never fails by itself");
    big["TaskGroups"][0]["Tasks"][0]["Resources"] = json!({"CPU": 1000, "MemoryMB": 2000});
    bench.register(&big).await;
    assert_eq!(bench.settled("web").await["Status"], "successful");
    // Room that is made lets what waits in.
    let mut other = big.clone();
    other["ID"] = json!("other");
    other["TaskGroups"][0]["Count"] = json!(2);
    bench.register(&other).await;
    bench.pass(5.0).await;
    assert_eq!(bench.running("other").await.len(), 1);
    bench.call("DELETE", "/v1/job/web", &Value::Null, None).await;
    bench.pass(10.0).await;
    assert_eq!(bench.running("other").await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn blocking_queries_wait_for_a_change_or_their_time() {
    let bench = Bench::new();
    let first = bench.call("GET", "/v1/job/web", &Value::Null, None).await;
    assert_eq!((first.status, first.text.as_str()), (404, "job not found"));
    assert!(first.index > 0, "a 404 carries an index");
    let before = bench.world.clock().now();
    let path = format!("/v1/job/web?index={}&wait=20s", first.index);
    let second = bench.call("GET", &path, &Value::Null, None).await;
    let waited = bench.world.clock().now().duration_since(before).as_secs();
    assert!(second.status == 404 && (20..22).contains(&waited), "{waited}");
    let path = format!("/v1/job/web?index={}", first.index);
    let (found, ()) = tokio::join!(bench.call("GET", &path, &Value::Null, None), async {
        bench.pass(3.0).await;
        bench.register(&job("x:1", 1, &Value::Null)).await;
    });
    assert_eq!(found.status, 200);
    assert!(found.index > first.index);
}

#[tokio::test(start_paused = true)]
async fn stop_revert_and_collection() {
    let bench = Bench::new();
    bench.register(&job("x:1", 1, &Value::Null)).await;
    bench.settled("web").await;
    bench.register(&job("x:2", 1, &Value::Null)).await;
    bench.settled("web").await;
    let reverted = bench
        .call("PUT", "/v1/job/web/revert", &json!({"JobVersion": 0, "EnforcePriorVersion": 5}), None)
        .await;
    assert_eq!(reverted.text, "Current job has version 1; enforcing version 5");
    let reverted = bench.call("PUT", "/v1/job/web/revert", &json!({"JobVersion": 0}), None).await;
    assert_eq!(reverted.status, 200, "{}", reverted.text);
    bench.settled("web").await;
    let unknown = bench.call("DELETE", "/v1/job/nothing", &Value::Null, None).await;
    assert_eq!((unknown.status, unknown.json["EvalID"].as_str()), (200, Some("")));
    bench.call("DELETE", "/v1/job/web", &Value::Null, None).await;
    bench.pass(5.0).await;
    let read = bench.get("/v1/job/web").await;
    assert_eq!(
        (read["Status"].as_str(), read["Stop"].as_bool(), read["Version"].as_u64()),
        (Some("dead"), Some(true), Some(3))
    );
    bench.call("PUT", "/v1/system/gc", &Value::Null, None).await;
    assert_eq!(bench.call("GET", "/v1/job/web", &Value::Null, None).await.status, 404);
    // Without a collection by hand: four hours after the stop, unless a version is tagged.
    for (id, tagged) in [("kept", true), ("lost", false)] {
        let mut other = job("x:1", 1, &Value::Null);
        other["ID"] = json!(id);
        bench.register(&other).await;
        bench.settled(id).await;
        if tagged {
            bench.call("PUT", &format!("/v1/job/{id}/versions/t/tag"), &json!({"Version": 0}), None).await;
        }
        bench.call("DELETE", &format!("/v1/job/{id}"), &Value::Null, None).await;
    }
    bench.pass(3.9 * 3600.0).await;
    assert_eq!(bench.get("/v1/jobs").await.as_array().map(Vec::len), Some(2));
    bench.pass(3600.0).await;
    assert_eq!(bench.get("/v1/jobs").await[0]["ID"], "kept");
    assert_eq!(bench.call("GET", "/v1/job/lost", &Value::Null, None).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_node_leaves_the_old_running_and_no_count_is_dead() {
    let bench = Bench::new();
    bench.register(&job("x:1", 1, &Value::Null)).await;
    bench.settled("web").await;
    let before = bench.running("web").await;
    let mut big = job("x:2", 1, &Value::Null);
    big["TaskGroups"][0]["Tasks"][0]["Resources"]["CPU"] = json!(100_000);
    bench.register(&big).await;
    bench.pass(30.0).await;
    assert_eq!(bench.running("web").await[0]["ID"], before[0]["ID"]);
    assert_eq!(bench.get("/v1/job/web").await["Status"], "running");
    bench.register(&job("x:1", 0, &Value::Null)).await;
    bench.pass(10.0).await;
    let read = bench.get("/v1/job/web").await;
    assert_eq!((read["Status"].as_str(), read["Stop"].as_bool()), (Some("dead"), Some(false)));
    // A drain moves what runs, and is over by itself.
    bench.register(&job("x:1", 2, &Value::Null)).await;
    bench.settled("web").await;
    let nodes = bench.get("/v1/nodes").await;
    let id = nodes[0]["ID"].as_str().expect("an id").to_owned();
    bench.call("PUT", &format!("/v1/node/{id}/drain"), &json!({"DrainSpec": {"Deadline": 1}}), None).await;
    bench.pass(20.0).await;
    let running = bench.running("web").await;
    assert!(running.len() == 2 && running.iter().all(|a| a["NodeID"] != id.as_str()), "{running:#?}");
    let node = bench.get(&format!("/v1/node/{id}")).await;
    assert_eq!(
        (&node["DrainStrategy"], node["SchedulingEligibility"].as_str()),
        (&Value::Null, Some("ineligible"))
    );
}

#[tokio::test(start_paused = true)]
async fn batch_jobs_end_and_periodic_ones_launch() {
    let bench = Bench::new();
    let batch = json!({"ID": "b", "Type": "batch", "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t", "Driver": "raw_exec",
        "Config": {"command": "/bin/sh", "args": ["-c", "sleep 5; exit 0"]}}]}]});
    bench.register(&batch).await;
    bench.pass(2.0).await;
    assert_eq!(bench.get("/v1/job/b").await["Status"], "running");
    bench.pass(10.0).await;
    assert_eq!(bench.get("/v1/job/b").await["Status"], "dead");
    assert_eq!(bench.get("/v1/job/b/allocations").await[0]["ClientStatus"], "complete");
    let mut periodic = batch.clone();
    periodic["ID"] = json!("p");
    periodic["Periodic"] = json!({"Spec": "*/10 * * * *", "ProhibitOverlap": true});
    let answer = bench.register(&periodic).await;
    assert_eq!(answer["EvalID"], "");
    bench.pass(1300.0).await;
    let children = bench.get("/v1/jobs?prefix=p/periodic-").await;
    assert_eq!(children.as_array().map(Vec::len), Some(2), "{children}");
}

#[tokio::test(start_paused = true)]
async fn lost_and_drained_nodes_are_left() {
    let bench = Bench::new();
    bench.register(&job("x:1", 2, &Value::Null)).await;
    bench.settled("web").await;
    let mut one = Infrastructure::whole();
    one.nodes.retain(|n| n == "tf-tata");
    bench.world.set_infrastructure(one).expect("machines");
    bench.pass(20.0).await;
    let running = bench.running("web").await;
    assert_eq!(running.len(), 2);
    assert!(running.iter().all(|a| a["NodeName"] == "tf-tata"));
    // Without its server a Nomad forgets everything.
    bench.world.set_infrastructure(Infrastructure::none()).expect("machines");
    bench.world.set_infrastructure(Infrastructure::whole()).expect("machines");
    assert_eq!(bench.get("/v1/jobs").await, json!([]));
    assert_eq!(bench.get("/v1/nodes").await.as_array().map(Vec::len), Some(2));
}

#[tokio::test(start_paused = true)]
async fn tokens_and_faults() {
    let bench = Bench::with(|o| o.token = Some("secret".into()));
    let refused = bench.call("GET", "/v1/jobs", &Value::Null, None).await;
    assert_eq!((refused.status, refused.text.as_str()), (403, "Permission denied"));
    assert_eq!(bench.call("GET", "/v1/jobs", &Value::Null, Some("secret")).await.status, 200);
    bench.world.inject(Fault { path: "/v1/jobs".into(), skip: 0, times: 2, kind: FaultKind::Status(500) });
    for wanted in [500, 500, 200] {
        assert_eq!(bench.call("GET", "/v1/jobs", &Value::Null, Some("secret")).await.status, wanted);
    }
    bench.world.inject(Fault { path: "/v1/node".into(), skip: 0, times: 1, kind: FaultKind::Slow(7.0) });
    let before = bench.world.clock().now();
    assert_eq!(bench.call("GET", "/v1/nodes", &Value::Null, Some("secret")).await.status, 200);
    assert!(bench.world.clock().now().duration_since(before).as_secs() >= 7);
}

#[tokio::test(start_paused = true)]
async fn two_worlds_of_one_seed_are_the_same() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let bench = Bench::with(|o| o.seed = 9);
        bench.register(&job("x:1", 3, &Value::Null)).await;
        bench.settled("web").await;
        let mut all = bench.get("/v1/allocations?resources=true").await;
        for a in all.as_array_mut().into_iter().flatten() {
            a["ModifyIndex"] = Value::Null;
        }
        seen.push(all);
    }
    assert_eq!(seen[0], seen[1]);
}
