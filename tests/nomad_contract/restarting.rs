//! Restarts of single allocations, and the checks by which they are judged.

use std::time::Duration;

use blackstart::nomad::{
    Allocation, Before, HealthRule, NomadError, Restarted, follow_restart, is_restarted,
};
use serde_json::json;

use crate::Target;
use crate::cases::{ended, healthy};
use crate::jobs::Task;

async fn only(t: &Target, id: &str) -> Allocation {
    let all = t.client.allocations(id).await.unwrap();
    all.into_iter().find(|a| a.desired_status == "run").expect("an allocation")
}

async fn restarted(t: &Target, before: &Before, rule: &HealthRule) -> Restarted {
    let clock = t.client.clock().clone();
    let patience = Duration::from_secs(10);
    t.client.restart_allocation(&before.allocation).await.unwrap();
    follow_restart(&t.client, &clock, before, rule, patience, &|_| (), &|_| ()).await.unwrap()
}

pub async fn a_restart_in_its_place(t: &Target) {
    let job = t.driver.job("restarts", Task::Lasting);
    healthy(t, &job).await;
    let first = only(t, "restarts").await;
    assert_eq!((first.name.as_str(), first.number()), ("restarts.web[0]", 0));
    let (before, rule) = (Before::of(&first), HealthRule::of(&job, "web"));
    assert_eq!((rule.checks, rule.steady), (0, Duration::from_millis(200)));
    assert!(!is_restarted(&t.client, &before, &first, &rule).await.unwrap());
    assert_eq!(restarted(t, &before, &rule).await, Restarted::Healthy);
    let after = only(t, "restarts").await;
    assert_eq!(after.id, first.id);
    assert_eq!(after.task_states["app"].restarts, first.task_states["app"].restarts + 1);
    assert!(after.task_states["app"].started_at > first.task_states["app"].started_at);
    // What the deployment said of it says nothing of the restart.
    assert_eq!(after.deployment_status.and_then(|status| status.healthy), Some(true));
    assert!(t.client.deployments("restarts").await.unwrap().len() == 1);

    let unknown = "00000000-0000-0000-0000-000000000000";
    let error = t.client.restart_allocation(unknown).await.unwrap_err();
    assert!(matches!(error, NomadError::NotFound { .. }), "{error:?}");
    t.client.stop("restarts", false).await.unwrap();
    ended(t, "restarts").await;
    let error = t.client.restart_allocation(&first.id).await.unwrap_err();
    assert!(error.to_string().contains("restart of an alloc that should not run"), "{error}");
    let gone = follow_restart(&t.client, t.client.clock(), &before, &rule, Duration::ZERO, &|_| (), &|_| ());
    let Restarted::Unhealthy { why, .. } = gone.await.unwrap() else { panic!("a stopped one is healthy") };
    assert!(why.contains("stopped meanwhile"), "{why}");
}

pub async fn a_restart_that_fails(t: &Target) {
    let mut job = t.driver.job("restarts-once", Task::Brief);
    // Ends by itself soon after each start, and is started again.
    job["TaskGroups"][0]["RestartPolicy"]["Attempts"] = 20.into();
    job["TaskGroups"][0]["RestartPolicy"]["Interval"] = 600_000_000_000_u64.into();
    t.client.register(&job, None, None).await.unwrap();
    let clock = t.client.clock().clone();
    let mut running = None;
    for _ in 0..200 {
        let all = t.client.allocations("restarts-once").await.unwrap();
        running = all.into_iter().find(|a| a.task_states.values().any(|task| task.state == "running"));
        if running.is_some() {
            break;
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
    let before = Before::of(&running.expect("it runs for a second"));
    let rule = HealthRule { checks: 0, steady: Duration::from_secs(60), deadline: Duration::from_secs(40) };
    let Restarted::Unhealthy { why, allocation } = restarted(t, &before, &rule).await else {
        panic!("it never ran for a minute")
    };
    assert!(why.contains("task 'app' ended again after its restart"), "{why}");
    assert!(allocation.is_some());
    t.client.stop("restarts-once", false).await.unwrap();
}

pub async fn checks_are_told(t: &Target) {
    let mut job = t.driver.job("checked", Task::Lasting);
    let seconds = |n: u64| n * 1_000_000_000;
    let group = &mut job["TaskGroups"][0];
    group["Networks"] = json!([{ "Mode": "host", "DynamicPorts": [{ "Label": "http" }] }]);
    let check = |name: &str, on_update: &str| json!({ "Name": name, "Type": "tcp", "OnUpdate": on_update, "Interval": seconds(1), "Timeout": seconds(1) });
    let checks = json!([check("alive", "require_healthy"), check("ready", "ignore")]);
    group["Services"] =
        json!([{ "Name": "checked", "Provider": "nomad", "PortLabel": "http", "Checks": checks }]);
    healthy(t, &job).await;
    assert_eq!(HealthRule::of(&job, "web").checks, 1, "a readiness check says nothing about health");
    let allocation = only(t, "checked").await;
    let clock = t.client.clock().clone();
    let mut found = Vec::new();
    for _ in 0..100 {
        found = t.client.checks(&allocation.id).await.unwrap();
        if found.len() == 2 && found.iter().all(|check| check.status != "pending") {
            break;
        }
        clock.sleep(Duration::from_millis(100)).await;
    }
    found.sort_by(|a, b| a.check.cmp(&b.check));
    let seen: Vec<(&str, &str, &str)> =
        found.iter().map(|c| (c.check.as_str(), c.mode.as_str(), c.service.as_str())).collect();
    assert_eq!(seen, [("alive", "healthiness", "checked"), ("ready", "readiness", "checked")]);
    assert!(found.iter().all(|c| c.timestamp > 1_700_000_000 && !c.output.is_empty()), "{found:?}");
    assert!(t.client.checks("00000000-0000-0000-0000-000000000000").await.unwrap().is_empty());
    // One without any has none.
    healthy(t, &t.driver.job("unchecked", Task::Lasting)).await;
    let without = only(t, "unchecked").await;
    assert!(t.client.checks(&without.id).await.unwrap().is_empty());
}
