//! How a job stands, from recorded shapes.

use blackstart::nomad::{Allocation, Deployment, Evaluation, JobState, health_of};
use serde_json::{Value, json};

fn job(more: Value) -> Value {
    let mut job = json!({
        "ID": "web", "Type": "service", "Version": 3, "JobModifyIndex": 30, "Status": "running",
        "VersionTag": { "Name": "before-stop" },
        "TaskGroups": [{ "Name": "app", "Count": 2, "Tasks": [{ "Name": "main", "Config": { "image": "a/b:1" } }] }],
    });
    let Value::Object(more) = more else { panic!("an object") };
    for (key, value) in more {
        job[key] = value;
    }
    job
}

fn allocation(version: u64, client: &str, healthy: &Value) -> Allocation {
    serde_json::from_value(json!({
        "ID": "a", "TaskGroup": "app", "JobVersion": version, "DesiredStatus": "run", "ClientStatus": client,
        "DeploymentStatus": { "Healthy": healthy },
        "TaskStates": { "main": { "State": if client == "running" { "running" } else { "dead" } } },
    }))
    .unwrap()
}

fn deployment(status: &str) -> Deployment {
    serde_json::from_value(json!({
        "ID": "d", "JobVersion": 3, "Status": status, "StatusDescription": "Failed due to progress deadline",
    }))
    .unwrap()
}

fn state(job: &Value, allocations: &[Allocation], deployment: Option<&Deployment>) -> JobState {
    health_of(job, allocations, deployment, &[]).state
}

#[test]
fn healthy_means_all_of_the_current_version() {
    let two = [allocation(3, "running", &json!(true)), allocation(3, "running", &json!(true))];
    let health = health_of(&job(json!({})), &two, Some(&deployment("successful")), &[]);
    assert!(health.is_healthy(), "{health:?}");
    assert_eq!((health.desired(), health.running(), health.healthy()), (2, 2, 2));
    assert_eq!(health.images[0].image, "a/b:1");
    assert_eq!(health.tag.as_deref(), Some("before-stop"));
    // Of an older version, they run but are not what was asked for.
    let old = [allocation(3, "running", &json!(true)), allocation(2, "running", &json!(true))];
    let health = health_of(&job(json!({})), &old, Some(&deployment("failed")), &[]);
    assert_eq!((health.running(), health.healthy()), (2, 1));
    assert!(!health.is_healthy());
    assert_eq!(health.pending.as_deref(), Some("Failed due to progress deadline"));
}

#[test]
fn states_are_told_apart() {
    let up = |healthy: Value| [allocation(3, "running", &healthy), allocation(3, "running", &healthy)];
    let running = deployment("running");
    assert_eq!(state(&job(json!({})), &up(Value::Null), Some(&running)), JobState::Starting);
    assert_eq!(state(&job(json!({})), &up(Value::Null), None), JobState::Healthy);
    assert_eq!(state(&job(json!({})), &up(json!(false)), None), JobState::Degraded);
    assert_eq!(state(&job(json!({})), &[allocation(3, "failed", &Value::Null)], None), JobState::Degraded);
    assert_eq!(state(&job(json!({ "Stop": true })), &up(json!(true)), None), JobState::Stopped);
    assert_eq!(state(&job(json!({ "Periodic": {} })), &[], None), JobState::Waiting);
    let zero = json!({ "Status": "dead", "TaskGroups": [{ "Name": "app", "Count": 0 }] });
    assert_eq!(state(&job(zero), &[], None), JobState::Healthy);
    let batch = json!({ "Type": "batch", "Status": "dead" });
    let done = [allocation(3, "complete", &Value::Null), allocation(3, "complete", &Value::Null)];
    assert_eq!(state(&job(batch.clone()), &done, None), JobState::Finished);
    assert_eq!(state(&job(batch), &[allocation(3, "failed", &Value::Null)], None), JobState::Degraded);
}

#[test]
fn what_has_no_place_says_why() {
    let blocked: Evaluation = serde_json::from_value(json!({
        "ID": "e", "Status": "blocked", "CreateIndex": 9,
        "FailedTGAllocs": { "app": { "NodesEvaluated": 2, "DimensionExhausted": { "cpu": 2 }, "CoalescedFailures": 1 } },
    }))
    .unwrap();
    let health = health_of(&job(json!({})), &[], Some(&deployment("running")), &[blocked]);
    assert_eq!(health.state, JobState::Unplaced);
    let why = "group 'app': no place for 2 allocations (2 nodes looked at): too little cpu on 2 nodes";
    assert_eq!(health.pending.as_deref(), Some(why));
}
