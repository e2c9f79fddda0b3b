//! Jobs with no place, and those that get no deployment.

use std::sync::Mutex;
use std::time::Duration;

use blackstart::nomad::{
    FollowOptions, JobState, Progress, Verdict, follow, is_stopped, job_modify_index, job_version,
};
use serde_json::{Value, json};

use crate::Target;
use crate::cases::{healthy, options, read, register, watch};
use crate::jobs::{Task, of_kind};

pub async fn no_memory(t: &Target) {
    cannot_place(t, "no-memory", json!({ "CPU": 50, "MemoryMB": 10_000_000 }), "memory").await;
}

pub async fn no_cpu(t: &Target) {
    cannot_place(t, "no-cpu", json!({ "CPU": 10_000_000, "MemoryMB": 32 }), "cpu").await;
}

async fn cannot_place(t: &Target, id: &str, resources: Value, dimension: &str) {
    let mut job = t.driver.job(id, Task::Lasting);
    job["TaskGroups"][0]["Tasks"][0]["Resources"] = resources;
    let planned = t.client.plan(&job).await.unwrap();
    assert_eq!(planned.failed.len(), 1);
    assert!(planned.failed[0].dimensions().contains_key(dimension), "{:?}", planned.failed);
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::CannotPlace { failures } = &verdict else { panic!("{verdict:?}\n{told:?}") };
    assert_eq!((failures[0].group.as_str(), failures[0].missing), ("web", 1));
    assert!(failures[0].dimensions()[dimension] >= 1, "{failures:?}");
    assert!(verdict.lines().join("\n").contains(&format!("too little {dimension} on")), "{verdict:?}");
    assert!(told.iter().any(|p| matches!(p, Progress::Waiting { .. })), "{told:?}");
    // The blocked evaluation says itself why it is; room that comes free elsewhere wakes it for a moment.
    let mut blocked = None;
    for _ in 0..50 {
        let evaluations = t.client.evaluations(id).await.unwrap();
        blocked = evaluations.into_iter().find(|e| e.status == "blocked");
        if blocked.is_some() {
            break;
        }
        t.client.clock().sleep(Duration::from_millis(100)).await;
    }
    let blocked = blocked.expect("a blocked evaluation");
    assert!(blocked.failed_tg_allocs["web"].dimension_exhausted.contains_key(dimension), "{blocked:?}");
    assert_eq!(blocked.job_modify_index, registered.job_modify_index);
    let health = t.client.health(id).await.unwrap().unwrap();
    assert_eq!(health.state, JobState::Unplaced);
    assert!(health.pending.unwrap().contains(dimension));
}

pub async fn unplaceable_update(t: &Target) {
    let mut job = t.driver.job("outgrown", Task::Lasting);
    healthy(t, &job).await;
    job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] = 10_000_000.into();
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    assert!(matches!(verdict, Verdict::CannotPlace { .. }), "{verdict:?}\n{told:?}");
    // What ran goes on running.
    let allocations = t.client.allocations("outgrown").await.unwrap();
    assert!(
        allocations.iter().any(|a| a.job_version == 0 && a.client_status == "running"),
        "{allocations:?}"
    );
}

pub async fn room_comes_free(t: &Target) {
    let large = |id: &str| {
        let mut job = t.driver.job(id, Task::Lasting);
        job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] = (t.memory / 10 * 6).into();
        job
    };
    healthy(t, &large("large-first")).await;
    let second = register(t, &large("large-second")).await;
    let told = Mutex::new(Vec::new());
    let tell = |progress: Progress| told.lock().unwrap().push(progress);
    let patient = FollowOptions { placement_wait: Duration::from_secs(40), ..options() };
    let clock = t.client.clock().clone();
    let (verdict, ()) = tokio::join!(follow(&t.client, &clock, &second, &patient, &tell), async {
        let waits = || told.lock().unwrap().iter().any(|p| matches!(p, Progress::Waiting { .. }));
        for _ in 0..150 {
            if waits() {
                break;
            }
            clock.sleep(Duration::from_millis(200)).await;
        }
        assert!(waits(), "it was never said to wait");
        t.client.stop("large-first", false).await.unwrap();
    });
    let (verdict, told) = (verdict.unwrap(), told.into_inner().unwrap());
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
}

pub async fn count_zero(t: &Target) {
    let mut job = t.driver.job("count-zero", Task::Lasting);
    job["TaskGroups"][0]["Count"] = 0.into();
    let registered = healthy(t, &job).await;
    let now = read(t, "count-zero").await;
    assert!(!is_stopped(&now));
    assert_eq!(job_modify_index(&now), registered.job_modify_index);
    assert!(t.client.deployments("count-zero").await.unwrap().is_empty());
    assert!(t.client.health("count-zero").await.unwrap().unwrap().is_healthy());
}

pub async fn unchanged_specification(t: &Target) {
    let job = t.driver.job("unchanged", Task::Lasting);
    healthy(t, &job).await;
    let before = read(t, "unchanged").await;
    let again = t.client.register(&job, Some(job_modify_index(&before)), None).await.unwrap();
    assert!(again.eval_id.is_some());
    let (verdict, told) = watch(t, &again).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    let after = read(t, "unchanged").await;
    assert_eq!((job_version(&after), job_modify_index(&after)), (0, job_modify_index(&before)));
    assert_eq!(t.client.deployments("unchanged").await.unwrap().len(), 1);
}

pub async fn batch_finishes(t: &Target) {
    let job = of_kind(t.driver.job("batch", Task::Brief), "batch");
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::Healthy { note, .. } = &verdict else { panic!("{verdict:?}\n{told:?}") };
    assert_eq!(note.as_deref(), Some("finished"));
    assert!(t.client.deployments("batch").await.unwrap().is_empty());
}

pub async fn batch_fails(t: &Target) {
    let job = of_kind(t.driver.job("batch-fails", Task::Missing), "batch");
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::Failed(failure) = &verdict else { panic!("{verdict:?}\n{told:?}") };
    assert!(!failure.still_trying && failure.allocation.is_some(), "{failure:?}");
}

pub async fn batch_ends_badly(t: &Target) {
    let job = of_kind(t.driver.job("batch-bad", Task::Failing), "batch");
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}\n{told:?}");
    assert!(verdict.lines().join("\n").contains("Exit Code: 3"), "{verdict:?}");
}

pub async fn periodic_waits(t: &Target) {
    let mut job = of_kind(t.driver.job("periodic", Task::Brief), "batch");
    job["Periodic"] = json!({ "Enabled": true, "Spec": "0 0 1 1 *", "SpecType": "cron" });
    let registered = register(t, &job).await;
    assert_eq!(registered.eval_id, None);
    let (verdict, told) = watch(t, &registered).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    assert_eq!(t.client.health("periodic").await.unwrap().unwrap().state, JobState::Waiting);
}

pub async fn system_job(t: &Target) {
    let job = of_kind(t.driver.job("system", Task::Lasting), "system");
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    let health = t.client.health("system").await.unwrap().unwrap();
    assert!(health.is_healthy() && health.running() >= 1, "{health:?}");
}
