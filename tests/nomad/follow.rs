//! Following always ends, and says the right thing, however odd the server.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Fake, indexed, path, refused, text};
use blackstart::http::{HttpError, Request, Response};
use blackstart::nomad::{FollowOptions, NomadError, Progress, Registered, Verdict, follow};
use serde_json::{Value, json};

fn registered() -> Registered {
    Registered {
        job_id: "web".into(),
        eval_id: Some("e1".into()),
        job_modify_index: 10,
        warnings: Vec::new(),
    }
}

fn job(kind: &str) -> Value {
    json!({
        "ID": "web", "Type": kind, "Version": 1, "JobModifyIndex": 10, "Stop": false,
        "TaskGroups": [{ "Name": "app", "Count": 1, "Tasks": [] }],
    })
}

fn evaluation(more: Value) -> Value {
    let mut evaluation = json!({ "ID": "e1", "Status": "complete", "CreateIndex": 10 });
    merge(&mut evaluation, more);
    evaluation
}

fn deployment(more: Value, group: Value) -> Value {
    let mut state = json!({ "DesiredTotal": 1, "PlacedAllocs": 1, "HealthyAllocs": 0, "ProgressDeadline": 600_000_000_000_u64 });
    merge(&mut state, group);
    let mut deployment = json!({
        "ID": "d1", "JobVersion": 1, "JobSpecModifyIndex": 10, "Status": "running",
        "StatusDescription": "Deployment is running", "TaskGroups": { "app": state },
    });
    merge(&mut deployment, more);
    deployment
}

fn allocation(id: &str, more: Value) -> Value {
    let mut allocation = json!({
        "ID": id, "TaskGroup": "app", "JobVersion": 1, "DesiredStatus": "run", "ClientStatus": "running",
        "NodeName": "n1", "CreateIndex": 11, "TaskStates": { "t": { "State": "running" } },
    });
    merge(&mut allocation, more);
    allocation
}

fn merge(into: &mut Value, more: Value) {
    let Value::Object(more) = more else { panic!("an object") };
    for (key, value) in more {
        into[key] = value;
    }
}

/// A cluster that never changes.
#[derive(Default)]
struct Still {
    job: Value,
    evaluation: Value,
    deployment: Value,
    allocations: Value,
    evaluations: Value,
}

impl Still {
    fn answer(&self, request: &Request) -> Result<Response, HttpError> {
        let value = match path(request) {
            "/v1/job/web" => &self.job,
            "/v1/evaluation/e1" => &self.evaluation,
            "/v1/deployment/d1" | "/v1/job/web/deployment" => &self.deployment,
            "/v1/job/web/allocations" => &self.allocations,
            "/v1/job/web/deployments" => return indexed(20, &json!([self.deployment])),
            "/v1/job/web/evaluations" => &self.evaluations,
            other => panic!("asked for {other}"),
        };
        if value.is_null() && path(request) != "/v1/job/web/deployment" {
            text(404, "")
        } else {
            indexed(20, value)
        }
    }

    async fn follow(self, options: FollowOptions) -> (Verdict, Vec<Progress>, usize) {
        let fake = Fake::new(move |request, _| self.answer(request));
        let client = fake.client();
        let told = Mutex::new(Vec::new());
        let tell = |progress| told.lock().unwrap().push(progress);
        let verdict = follow(&client, client.clock(), &registered(), &options, &tell).await.unwrap();
        (verdict, told.into_inner().unwrap(), fake.asked().len())
    }
}

fn with_deployment(more: Value, group: Value) -> Still {
    Still {
        job: job("service"),
        evaluation: evaluation(json!({ "DeploymentID": "d1" })),
        deployment: deployment(more, group),
        allocations: json!([allocation("a1", json!({}))]),
        evaluations: json!([]),
    }
}

fn without_deployment(kind: &str, allocations: Value) -> Still {
    Still {
        job: job(kind),
        evaluation: evaluation(json!({})),
        allocations,
        evaluations: json!([]),
        ..Still::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_holds_no_request_is_not_stormed() {
    // It answers every blocking query at once, and nothing ever changes.
    let (verdict, told, requests) =
        with_deployment(json!({}), json!({})).follow(FollowOptions::default()).await;
    let Verdict::TimedOut { seconds, seen } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(*seconds, 900);
    assert!(seen.contains("0 of 1 healthy in group 'app'"), "{seen}");
    assert!(requests < 6_000, "{requests} requests in 900 s");
    assert_eq!(
        told.iter().filter(|p| matches!(p, Progress::Groups { .. })).count(),
        1,
        "told once: {told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn healthy_before_the_deployment_is_closed() {
    let (verdict, ..) =
        with_deployment(json!({}), json!({ "HealthyAllocs": 1 })).follow(FollowOptions::default()).await;
    assert!(verdict.is_healthy(), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn not_healthy_if_the_healthy_one_has_died() {
    let mut still = with_deployment(json!({}), json!({ "HealthyAllocs": 1 }));
    still.allocations = json!([allocation(
        "a1",
        json!({ "ClientStatus": "failed", "DeploymentStatus": { "Healthy": true } })
    )]);
    let (verdict, ..) = still.follow(FollowOptions::default()).await;
    assert!(matches!(verdict, Verdict::TimedOut { .. }), "{verdict:?}");
    // Nor once the server has closed the deployment: a resume may come that late.
    for (desired, healthy) in [("run", false), ("stop", true)] {
        let mut closed = with_deployment(json!({ "Status": "successful" }), json!({ "HealthyAllocs": 1 }));
        let died = json!({
            "ClientStatus": "failed", "DesiredStatus": desired, "DeploymentStatus": { "Healthy": true },
        });
        closed.allocations = json!([allocation("a1", died)]);
        let (verdict, ..) = closed.follow(FollowOptions::default()).await;
        assert_eq!(verdict.is_healthy(), healthy, "{desired}: {verdict:?}");
        assert!(healthy || matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn canaries_are_not_the_whole() {
    // Blue and green: as many canaries as allocations, and all healthy.
    let group = json!({ "HealthyAllocs": 1, "DesiredCanaries": 1, "Promoted": false });
    let manual = json!({ "StatusDescription": "Deployment is running but requires manual promotion" });
    let (verdict, ..) = with_deployment(manual, group.clone()).follow(FollowOptions::default()).await;
    assert!(
        matches!(&verdict, Verdict::NeedsPromotion { deployment, .. } if deployment == "d1"),
        "{verdict:?}"
    );
    let automatic = json!({ "StatusDescription": "Deployment is running pending automatic promotion" });
    let (verdict, ..) = with_deployment(automatic, group).follow(FollowOptions::default()).await;
    assert!(matches!(verdict, Verdict::TimedOut { .. }), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn the_newest_failure_is_shown() {
    let event =
        |text: &str, time: u64| json!({ "Type": "Driver Failure", "DisplayMessage": text, "Time": time });
    let failed = |id: &str, index: u64, text: &str| {
        let state = json!({ "State": "dead", "Failed": true, "Events": [
            { "Type": "Started", "Time": 1 }, event(text, index),
        ] });
        allocation(
            id,
            json!({ "ClientStatus": "failed", "CreateIndex": index, "TaskStates": { "t": state } }),
        )
    };
    let mut still = with_deployment(json!({}), json!({ "UnhealthyAllocs": 2 }));
    still.allocations = json!([
        failed("a9", 5, "from an earlier registration"),
        failed("a2", 13, "pull access denied \u{1b}[31m"),
        failed("a1", 12, "older"),
    ]);
    let (verdict, told, _) = still.follow(FollowOptions::default()).await;
    let Verdict::Failed(failure) = &verdict else { panic!("{verdict:?}") };
    assert!(failure.still_trying);
    let allocation = failure.allocation.as_ref().unwrap();
    assert_eq!(allocation.id, "a2");
    let text = verdict.lines().join("\n");
    assert!(text.contains("Driver Failure: pull access denied \\u{1b}[31m"), "{text}");
    assert!(!format!("{told:?}").contains("earlier registration"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_foreseen_awaited_and_named() {
    let group = json!({ "UnhealthyAllocs": 1, "AutoRevert": true });
    let (verdict, ..) = with_deployment(json!({}), group.clone()).follow(FollowOptions::default()).await;
    let Verdict::Failed(failure) = &verdict else { panic!("{verdict:?}") };
    assert!(failure.will_revert && failure.deployment.as_deref() == Some("d1"), "{failure:?}");
    assert!(verdict.lines().join("\n").contains("nomad deployment fail d1"));
    let awaiting = FollowOptions { await_revert: true, ..FollowOptions::default() };
    let (verdict, ..) = with_deployment(json!({}), group.clone()).follow(awaiting).await;
    assert!(matches!(verdict, Verdict::TimedOut { .. }), "{verdict:?}");
    let words = "Failed due to progress deadline - rolling back to job version 12";
    let ended = json!({ "Status": "failed", "StatusDescription": words });
    let (verdict, ..) = with_deployment(ended, group).follow(FollowOptions::default()).await;
    assert!(matches!(verdict, Verdict::RolledBack { to: 12, .. }), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn no_place_ends_the_wait() {
    let metric = json!({ "NodesEvaluated": 3, "NodesExhausted": 3, "DimensionExhausted": { "memory": 3 }, "CoalescedFailures": 1 });
    let mut still = with_deployment(json!({}), json!({ "PlacedAllocs": 0, "DesiredTotal": 2 }));
    still.evaluation =
        evaluation(json!({ "DeploymentID": "d1", "BlockedEval": "e2", "FailedTGAllocs": { "app": metric } }));
    still.evaluations = json!([
        { "ID": "e0", "Status": "blocked", "CreateIndex": 3, "FailedTGAllocs": { "old": {} } },
        { "ID": "e2", "Status": "blocked", "CreateIndex": 11, "FailedTGAllocs": { "app": metric } },
    ]);
    still.allocations = json!([]);
    let (verdict, told, _) = still.follow(FollowOptions::default()).await;
    let Verdict::CannotPlace { failures } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(
        failures[0].to_string(),
        "group 'app': no place for 2 allocations (3 nodes looked at): too little memory on 3 nodes"
    );
    assert!(told.iter().any(|p| matches!(p, Progress::Waiting { .. })));
}

#[tokio::test(start_paused = true)]
async fn no_node_for_a_system_job() {
    let (verdict, ..) = without_deployment("system", json!([])).follow(FollowOptions::default()).await;
    assert!(matches!(&verdict, Verdict::CannotPlace { failures } if failures.is_empty()), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_deployment_tasks_must_run_steadily() {
    // A task that restarts all the time is never called healthy.
    let restarts = AtomicUsize::new(0);
    let still = without_deployment("service", json!([]));
    let fake = Fake::new(move |request, _| {
        if path(request) == "/v1/job/web/allocations" {
            let n = restarts.fetch_add(1, Ordering::Relaxed);
            return indexed(
                20,
                &json!([allocation(
                    "a1",
                    json!({ "TaskStates": { "t": { "State": "running", "Restarts": n } } })
                )]),
            );
        }
        still.answer(request)
    });
    let client = fake.client();
    let options = FollowOptions { timeout: Duration::from_secs(120), ..FollowOptions::default() };
    let verdict = follow(&client, client.clock(), &registered(), &options, &|_| ()).await.unwrap();
    assert!(matches!(verdict, Verdict::TimedOut { .. }), "{verdict:?}");

    let start = tokio::time::Instant::now();
    let still = without_deployment("service", json!([allocation("a1", json!({}))]));
    let (verdict, ..) = still.follow(FollowOptions::default()).await;
    assert!(verdict.is_healthy(), "{verdict:?}");
    assert!((10.0..12.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_batch_job_that_is_over_is_healthy() {
    let done = json!([allocation(
        "a1",
        json!({ "ClientStatus": "complete", "TaskStates": { "t": { "State": "dead" } } })
    )]);
    let (verdict, ..) = without_deployment("batch", done).follow(FollowOptions::default()).await;
    assert!(
        matches!(&verdict, Verdict::Healthy { note: Some(note), .. } if note == "finished"),
        "{verdict:?}"
    );
    // One that failed and will be tried again isn't over.
    let again = json!([allocation("a1", json!({ "ClientStatus": "failed", "FollowupEvalID": "e7" }))]);
    let (verdict, ..) = without_deployment("batch", again).follow(FollowOptions::default()).await;
    assert!(matches!(verdict, Verdict::TimedOut { .. }), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_job_must_run_for_a_while() {
    let start = tokio::time::Instant::now();
    let runs = json!([allocation("a1", json!({}))]);
    let (verdict, ..) = without_deployment("batch", runs.clone()).follow(FollowOptions::default()).await;
    assert!(
        matches!(&verdict, Verdict::Healthy { note: Some(note), .. } if note == "running"),
        "{verdict:?}"
    );
    assert!((10.0..12.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());

    // One that ends badly after a moment was never well.
    let fails = json!([allocation("a1", json!({ "ClientStatus": "failed" }))]);
    let (first, then) = (without_deployment("batch", runs), without_deployment("batch", fails));
    let begun = tokio::time::Instant::now();
    let fake =
        Fake::new(
            move |request, _| {
                if begun.elapsed().as_secs() < 5 { first.answer(request) } else { then.answer(request) }
            },
        );
    let client = fake.client();
    let options = FollowOptions::default();
    let verdict = follow(&client, client.clock(), &registered(), &options, &|_| ()).await.unwrap();
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn somebody_else_was_faster() {
    let mut changed = with_deployment(json!({}), json!({}));
    changed.job["JobModifyIndex"] = 11.into();
    let mut stopped = with_deployment(json!({}), json!({}));
    stopped.job["Stop"] = true.into();
    let mut purged = with_deployment(json!({}), json!({}));
    purged.job = Value::Null;
    let cancelled = with_deployment(json!({ "Status": "cancelled" }), json!({}));
    // The scheduler came late: our evaluation names the deployment of the next version.
    let late =
        with_deployment(json!({ "JobVersion": 2, "Status": "successful" }), json!({ "HealthyAllocs": 1 }));
    for still in [changed, stopped, purged, cancelled, late] {
        let (verdict, ..) = still.follow(FollowOptions::default()).await;
        assert!(matches!(verdict, Verdict::Superseded { .. }), "{verdict:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_faster_is_not_somebody_else() {
    let words = "Failed due to unhealthy allocations - rolling back to job version 0";
    let mut still = with_deployment(json!({ "Status": "failed", "StatusDescription": words }), json!({}));
    still.job["JobModifyIndex"] = 14.into();
    still.job["Version"] = 2.into();
    still.allocations = json!([allocation("a1", json!({ "ClientStatus": "failed" }))]);
    let (verdict, ..) = still.follow(FollowOptions::default()).await;
    let Verdict::RolledBack { to: 0, failure } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.allocation.as_ref().map(|a| a.id.as_str()), Some("a1"));
}

#[tokio::test(start_paused = true)]
async fn traces_that_were_collected_are_not_missed() {
    // The evaluation is gone; the deployment is found through the job.
    let mut still = with_deployment(json!({ "Status": "successful" }), json!({ "HealthyAllocs": 1 }));
    still.evaluation = Value::Null;
    let (verdict, ..) = still.follow(FollowOptions::default()).await;
    assert!(verdict.is_healthy(), "{verdict:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_dies_is_waited_for_a_while() {
    let die_at = 8;
    let still = with_deployment(json!({}), json!({}));
    let fake =
        Fake::new(move |request, before| if before < die_at { still.answer(request) } else { refused() });
    let client = fake.client();
    let told = Mutex::new(Vec::new());
    let start = tokio::time::Instant::now();
    let error = follow(&client, client.clock(), &registered(), &FollowOptions::default(), &|p| {
        told.lock().unwrap().push(p);
    })
    .await
    .unwrap_err();
    assert!(matches!(error, NomadError::Unreachable(_)), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(told.lock().unwrap().iter().any(|p| matches!(p, Progress::Trouble { .. })));

    // Back in time, it is as if nothing had been.
    let still = with_deployment(json!({}), json!({ "HealthyAllocs": 1 }));
    let fake = Fake::new(
        move |request, before| if (2..6).contains(&before) { refused() } else { still.answer(request) },
    );
    let client = fake.client();
    let verdict =
        follow(&client, client.clock(), &registered(), &FollowOptions::default(), &|_| ()).await.unwrap();
    assert!(verdict.is_healthy(), "{verdict:?}");
}
