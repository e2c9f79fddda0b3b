//! Deployments: how they end well, badly, or not by themselves.

use std::time::Duration;

use blackstart::nomad::{Progress, Verdict, job_modify_index, job_version};
use serde_json::Value;

use crate::Target;
use crate::cases::{healthy, read, register, watch};
use crate::jobs::Task;

pub async fn deployment_goes_healthy(t: &Target) {
    let mut job = t.driver.job("goes-healthy", Task::Lasting);
    job["TaskGroups"][0]["Count"] = 2.into();
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::Healthy { groups, .. } = &verdict else { panic!("{verdict:?}\n{told:?}") };
    assert_eq!((groups[0].group.as_str(), groups[0].desired, groups[0].healthy), ("web", 2, 2));
    assert!(told.iter().any(|p| matches!(p, Progress::Evaluated { deployment: Some(_), .. })), "{told:?}");
    assert!(told.iter().any(|p| matches!(p, Progress::Task(task) if task.kind == "Started")), "{told:?}");
    let health = t.client.health("goes-healthy").await.unwrap().unwrap();
    assert!(health.is_healthy(), "{health:?}");
    assert_eq!((health.desired(), health.running(), health.healthy()), (2, 2, 2));
    let all = t.client.healths().await.unwrap();
    assert!(all.iter().any(|h| h.id == "goes-healthy" && h.is_healthy()));
    let deployment = t.client.latest_deployment("goes-healthy").await.unwrap().unwrap();
    assert_eq!(deployment.job_spec_modify_index, registered.job_modify_index);
}

pub async fn a_change_goes_healthy(t: &Target) {
    healthy(t, &t.driver.job("changed", Task::Lasting)).await;
    let mut job = read(t, "changed").await;
    job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "blue".into();
    let index = job_modify_index(&job);
    let registered = t.client.register(&job, Some(index), None).await.unwrap();
    let (verdict, told) = watch(t, &registered).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    let now = read(t, "changed").await;
    assert_eq!((job_version(&now), job_modify_index(&now)), (1, registered.job_modify_index));
    let health = t.client.health("changed").await.unwrap().unwrap();
    assert!(health.is_healthy(), "{health:?}");
    // The new allocation replaced the old one.
    let allocations = t.client.allocations("changed").await.unwrap();
    let running: Vec<_> = allocations.iter().filter(|a| a.desired_status == "run").collect();
    assert_eq!(running.len(), 1, "{running:?}");
    assert_eq!(running[0].job_version, 1);
}

pub async fn a_task_that_cannot_start(t: &Target) {
    let registered = register(t, &t.driver.job("cannot-start", Task::Missing)).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::Failed(failure) = &verdict else { panic!("{verdict:?}\n{told:?}") };
    let allocation = failure.allocation.as_ref().expect("a failed allocation");
    assert!(
        allocation.events.iter().any(|e| e.kind == "Driver Failure" && e.bad && !e.message.is_empty()),
        "{allocation:?}"
    );
    assert!(told.iter().any(|p| matches!(p, Progress::Task(e) if e.kind == "Driver Failure")), "{told:?}");
    let health = t.client.health("cannot-start").await.unwrap().unwrap();
    assert!(!health.is_healthy(), "{health:?}");
}

/// A service whose task ends has failed.
pub async fn a_task_that_ends(t: &Target) {
    let mut job = t.driver.job("ends", Task::Failing);
    // On a busy machine its end is noticed late.
    job["Update"]["MinHealthyTime"] = 5_000_000_000_u64.into();
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::Failed(failure) = &verdict else { panic!("{verdict:?}\n{told:?}") };
    let text = failure.lines().join("\n");
    assert!(text.contains("Exit Code: 3"), "{text}");
}

/// With a progress deadline and rescheduling, the server's deployment stays `running` for long.
pub async fn a_server_that_goes_on_trying(t: &Target) {
    let mut job = t.driver.job("goes-on", Task::Missing);
    job["TaskGroups"][0]["ReschedulePolicy"] = Value::Null;
    job["Update"]["ProgressDeadline"] = 600_000_000_000_u64.into();
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::Failed(failure) = &verdict else { panic!("{verdict:?}\n{told:?}") };
    assert!(failure.still_trying && failure.allocation.is_some(), "{failure:?}");
    let deployment = t.client.latest_deployment("goes-on").await.unwrap().unwrap();
    assert_eq!(deployment.status, "running");
}

pub async fn auto_revert(t: &Target) {
    let mut job = t.driver.job("auto-revert", Task::Lasting);
    job["Update"]["AutoRevert"] = true.into();
    // The first unhealthy allocation fails the deployment.
    job["Update"]["ProgressDeadline"] = 0.into();
    healthy(t, &job).await;
    successful(t, "auto-revert").await;
    let mut bad = t.driver.job("auto-revert", Task::Missing);
    bad["Update"] = job["Update"].clone();
    let registered = register(t, &bad).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::RolledBack { to, failure } = &verdict else { panic!("{verdict:?}\n{told:?}") };
    assert_eq!(*to, 0);
    assert!(failure.allocation.is_some(), "{failure:?}");
}

/// With a progress deadline the server would wait for it; whoever fails the deployment needn't.
pub async fn auto_revert_on_demand(t: &Target) {
    let mut job = t.driver.job("revert-now", Task::Lasting);
    job["Update"]["AutoRevert"] = true.into();
    job["Update"]["ProgressDeadline"] = 600_000_000_000_u64.into();
    healthy(t, &job).await;
    successful(t, "revert-now").await;
    let mut bad = t.driver.job("revert-now", Task::Missing);
    bad["Update"] = job["Update"].clone();
    bad["TaskGroups"][0]["ReschedulePolicy"] = Value::Null;
    let registered = register(t, &bad).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::Failed(failure) = &verdict else { panic!("{verdict:?}\n{told:?}") };
    assert!(failure.still_trying && failure.will_revert, "{failure:?}");
    let deployment = failure.deployment.clone().unwrap();
    // The answer may name the version (a real agent's does); the deployment's description must.
    let reverted = t.client.fail_deployment(&deployment).await.unwrap();
    assert!(reverted.is_none_or(|version| version == 0), "{reverted:?}");
    let failed = t.client.deployment_after(&deployment, 0, Duration::ZERO).await.unwrap().value.unwrap();
    assert_eq!(failed.status, "failed");
    assert!(failed.status_description.ends_with("rolling back to job version 0"), "{failed:?}");
    for _ in 0..50 {
        if t.client.health("revert-now").await.unwrap().unwrap().is_healthy() {
            break;
        }
        t.client.clock().sleep(Duration::from_millis(200)).await;
    }
    let now = read(t, "revert-now").await;
    assert_eq!(job_version(&now), 2);
    assert_eq!(
        now["TaskGroups"][0]["Tasks"],
        read_version(t, "revert-now", 0).await["TaskGroups"][0]["Tasks"]
    );
}

/// Waits until the server has closed a job's deployment: only such a version is one to go back to.
async fn successful(t: &Target, id: &str) {
    for _ in 0..100 {
        if t.client.latest_deployment(id).await.unwrap().unwrap().status == "successful" {
            return;
        }
        t.client.clock().sleep(Duration::from_millis(200)).await;
    }
    panic!("the deployment of {id} was not closed");
}

async fn read_version(t: &Target, id: &str, version: u64) -> Value {
    t.client.job_at(id, version).await.unwrap().expect("that version")
}

pub async fn canaries_wait_for_a_person(t: &Target) {
    let mut job = t.driver.job("canary", Task::Lasting);
    job["Update"]["Canary"] = 1.into();
    healthy(t, &job).await;
    job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "blue".into();
    let registered = register(t, &job).await;
    let (verdict, told) = watch(t, &registered).await;
    let Verdict::NeedsPromotion { deployment, .. } = &verdict else { panic!("{verdict:?}\n{told:?}") };
    let latest = t.client.latest_deployment("canary").await.unwrap().unwrap();
    assert_eq!(*deployment, latest.id);
}

pub async fn superseded(t: &Target) {
    let mut job = t.driver.job("superseded", Task::Lasting);
    // Long enough that somebody else comes in between.
    for (key, seconds) in [("MinHealthyTime", 20), ("HealthyDeadline", 60), ("ProgressDeadline", 90)] {
        job["Update"][key] = (seconds * 1_000_000_000_u64).into();
    }
    let registered = register(t, &job).await;
    let ((verdict, told), _) = tokio::join!(watch(t, &registered), async {
        t.client.clock().sleep(Duration::from_millis(1500)).await;
        job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "blue".into();
        register(t, &job).await
    });
    assert!(matches!(verdict, Verdict::Superseded { .. }), "{verdict:?}\n{told:?}");
}

/// An allocation that stays while its job changes has its whole time again to become healthy.
pub async fn a_deadline_is_its_own_deployments(t: &Target) {
    let mut job = t.driver.job("deadlines", Task::Lasting);
    // Rollout follows rollout, so that the first one's deadline comes in the middle of a later one.
    job["Update"]["HealthyDeadline"] = 7_000_000_000_u64.into();
    job["Update"]["MinHealthyTime"] = 2_000_000_000_u64.into();
    healthy(t, &job).await;
    for count in [2, 3, 2, 1] {
        job["TaskGroups"][0]["Count"] = count.into();
        healthy(t, &job).await;
    }
    let failed = t.client.deployments("deadlines").await.unwrap();
    assert!(failed.iter().all(|deployment| deployment.status != "failed"), "{failed:?}");
    t.client.stop("deadlines", false).await.unwrap();
}
