//! Plans, registrations, stops, and what is read of jobs.

use std::time::Duration;

use blackstart::nomad::{
    DiffLine, JobState, NomadError, Selector, Sign, Stopped, Submission, canonical, diff_lines, is_stopped,
    is_unchanged, job_modify_index, job_version, set_image, task_images,
};
use serde_json::{Value, json};

use crate::Target;
use crate::cases::{ended, healthy, read, watch};
use crate::jobs::{Driver, Task};

pub async fn create_only(t: &Target) {
    let job = t.driver.job("create-only", Task::Lasting);
    let first = t.client.register(&job, Some(0), None).await.unwrap();
    assert!(first.eval_id.is_some() && first.job_modify_index > 0);
    let error = t.client.register(&job, Some(0), None).await.unwrap_err();
    let NomadError::Conflict { job, enforced, actual, text } = error else { panic!("{error:?}") };
    assert_eq!((job.as_str(), enforced, actual), ("create-only", 0, None));
    assert!(text.contains("Enforcing job modify index 0: job already exists"), "{text}");
}

pub async fn check_and_set(t: &Target) {
    let mut job = t.driver.job("check-and-set", Task::Lasting);
    let error = t.client.register(&job, Some(7), None).await.unwrap_err();
    assert!(
        matches!(&error, NomadError::Conflict { actual: None, text, .. } if text.contains("job does not exist")),
        "{error:?}"
    );
    healthy(t, &job).await;
    let index = job_modify_index(&read(t, "check-and-set").await);
    job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "blue".into();
    let moved = t.client.register(&job, Some(index), None).await.unwrap();
    assert!(moved.job_modify_index > index);
    // The index it had before no longer holds.
    job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "green".into();
    let error = t.client.register(&job, Some(index), None).await.unwrap_err();
    let NomadError::Conflict { enforced, actual, .. } = error else { panic!("{error:?}") };
    assert_eq!((enforced, actual), (index, Some(moved.job_modify_index)));
    let now = read(t, "check-and-set").await;
    assert_eq!(now["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"], "blue");
}

pub async fn what_is_refused_and_in_which_words(t: &Target) {
    let minute = 60_000_000_000_u64;
    let resources = "/TaskGroups/0/Tasks/0/Resources";
    for (at, value, words) in [
        (resources, json!({ "CPU": 0, "MemoryMB": 32 }), "minimum CPU value is 1; got 0"),
        (resources, json!({ "CPU": 50, "MemoryMB": 9 }), "minimum MemoryMB value is 10; got 9"),
        (
            resources,
            json!({ "CPU": 50, "Cores": 1, "MemoryMB": 32 }),
            "Task can only ask for 'cpu' or 'cores' resource, not both.",
        ),
        (
            "/TaskGroups/0/Update",
            json!({ "HealthyDeadline": 3 * minute, "ProgressDeadline": minute }),
            "Healthy deadline must be less than progress deadline: 3m0s > 1m0s",
        ),
        (
            "/TaskGroups/0/Update",
            json!({ "MinHealthyTime": 2 * minute, "HealthyDeadline": minute }),
            "Minimum healthy time must be less than healthy deadline: 2m0s > 1m0s",
        ),
    ] {
        let mut job = t.driver.job("refused", Task::Lasting);
        let holder = job.pointer_mut(at.rsplit_once('/').unwrap().0).unwrap();
        holder[at.rsplit('/').next().unwrap()] = value.clone();
        for said in [t.client.register(&job, None, None).await.err(), t.client.plan(&job).await.err()] {
            let said = said.unwrap_or_else(|| panic!("{value} was taken")).to_string();
            assert!(said.contains(words), "{value}: {said}");
        }
    }
    assert_eq!(t.client.job("refused").await.unwrap(), None);
}

pub async fn unknown_jobs(t: &Target) {
    assert_eq!(t.client.job("no-such-job").await.unwrap(), None);
    assert_eq!(t.client.stop("no-such-job", false).await.unwrap(), None);
    assert_eq!(t.client.latest_deployment("no-such-job").await.unwrap(), None);
    assert!(t.client.allocations("no-such-job").await.unwrap().is_empty());
    assert!(t.client.health("no-such-job").await.unwrap().is_none());
    assert!(t.client.evaluation("00000000-0000-0000-0000-000000000000").await.unwrap().is_none());
}

pub async fn plan_of_a_new_job(t: &Target) {
    let planned = t.client.plan(&t.driver.job("planned-new", Task::Lasting)).await.unwrap();
    assert_eq!(planned.job_modify_index, 0);
    assert!(planned.failed.is_empty(), "{:?}", planned.failed);
    assert_eq!(planned.annotations["DesiredTGUpdates"]["web"]["Place"], 1);
    let lines = diff_lines(&planned.diff);
    assert!(lines.iter().any(|l| l.to_string().starts_with("+ job 'planned-new'")), "{lines:?}");
    assert!(lines.iter().all(|l| l.sign == Sign::Added), "{lines:?}");
    assert_eq!(t.client.job("planned-new").await.unwrap(), None, "a plan changes nothing");
}

pub async fn plan_of_a_change(t: &Target) {
    healthy(t, &t.driver.job("planned-change", Task::Lasting)).await;
    let mut job = read(t, "planned-change").await;
    let same = t.client.plan(&job).await.unwrap();
    assert!(is_unchanged(&same.diff) && diff_lines(&same.diff).is_empty(), "{}", same.diff);
    assert_eq!(canonical(&same.diff), Value::Null);
    job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "blue".into();
    let planned = t.client.plan(&job).await.unwrap();
    assert_eq!(planned.job_modify_index, job_modify_index(&job));
    let fields: Vec<DiffLine> = diff_lines(&planned.diff).into_iter().filter(|l| l.field.is_some()).collect();
    assert_eq!(fields.len(), 1, "{fields:?}");
    assert_eq!(fields[0].path, ["group 'web'", "task 'app'"]);
    assert_eq!(fields[0].field.as_deref(), Some("Env[COLOUR]"));
    assert_eq!((fields[0].old.as_deref(), fields[0].new.as_deref()), (Some("red"), Some("blue")));
    assert_eq!(planned.annotations["DesiredTGUpdates"]["web"]["DestructiveUpdate"], 1);
    let again = t.client.plan(&job).await.unwrap();
    assert_eq!(canonical(&planned.diff), canonical(&again.diff));
    assert_ne!(canonical(&planned.diff), Value::Null);
}

pub async fn stop_then_register(t: &Target) {
    let job = t.driver.job("stopped", Task::Lasting);
    healthy(t, &job).await;
    let evaluation = t.client.stop("stopped", false).await.unwrap().expect("an evaluation");
    assert!(t.client.evaluation(&evaluation).await.unwrap().is_some());
    let stopped = read(t, "stopped").await;
    assert!(is_stopped(&stopped));
    assert_eq!(ended(t, "stopped").await, Stopped::Done);
    let left = t.client.allocations("stopped").await.unwrap();
    assert!(left.iter().all(|a| a.client_status == "complete" && a.desired_status == "stop"), "{left:?}");
    assert_eq!(t.client.health("stopped").await.unwrap().unwrap().state, JobState::Stopped);
    let error = t.client.register(&job, Some(0), None).await.unwrap_err();
    assert!(matches!(error, NomadError::Conflict { .. }), "a stopped job is still there: {error:?}");
    let index = job_modify_index(&stopped);
    let again = t.client.register(&job, Some(index), None).await.unwrap();
    let (verdict, told) = watch(t, &again).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    assert!(!is_stopped(&read(t, "stopped").await));
    // Purged, it is gone, and may be made anew.
    t.client.stop("stopped", true).await.unwrap();
    assert_eq!(ended(t, "stopped").await, Stopped::Done);
    assert_eq!(t.client.job("stopped").await.unwrap(), None);
    t.client.register(&job, Some(0), None).await.unwrap();
}

pub async fn blocking_queries(t: &Target) {
    let mut job = t.driver.job("blocking", Task::Lasting);
    healthy(t, &job).await;
    let first = t.client.allocations_after("blocking", 0, Duration::ZERO).await.unwrap();
    assert!(first.index > 0);
    job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "blue".into();
    let wait = Duration::from_secs(30);
    let (next, _) = tokio::join!(t.client.allocations_after("blocking", first.index, wait), async {
        t.client.clock().sleep(Duration::from_millis(300)).await;
        healthy(t, &job).await
    });
    let next = next.unwrap();
    assert!(next.index > first.index, "{} {}", next.index, first.index);
    // Where nothing happens the query ends by itself.
    let deployment = t.client.latest_deployment("blocking").await.unwrap().unwrap();
    let mut index = 0;
    for _ in 0..20 {
        let clock = t.client.clock();
        let since = clock.now();
        let answer = t.client.deployment_after(&deployment.id, index, Duration::from_secs(3)).await.unwrap();
        let took = clock.now().duration_since(since).as_secs_f64();
        assert!(answer.value.is_some());
        if answer.index == index {
            assert!((2.5..20.0).contains(&took), "it held the request for {took} s");
            return;
        }
        index = answer.index;
    }
    panic!("the deployment never came to rest");
}

pub async fn reverted(t: &Target) {
    let mut job = t.driver.job("reverted", Task::Lasting);
    healthy(t, &job).await;
    job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"] = "blue".into();
    healthy(t, &job).await;
    let error = t.client.revert("reverted", 0, Some(0)).await.unwrap_err();
    assert!(matches!(error, NomadError::Conflict { .. }), "{error:?}");
    let registered = t.client.revert("reverted", 0, Some(1)).await.unwrap();
    let (verdict, told) = watch(t, &registered).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    let now = read(t, "reverted").await;
    assert_eq!(now["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"], "red");
    assert_eq!(job_version(&now), 2);
    let second = t.client.job_at("reverted", 1).await.unwrap().unwrap();
    assert_eq!(second["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"], "blue");
}

pub async fn source_is_kept(t: &Target) {
    let job = t.driver.job("source", Task::Lasting);
    let submission =
        Submission { source: "job \"source\" {}".into(), format: "hcl2".into(), ..Submission::default() };
    t.client.register(&job, Some(0), Some(&submission)).await.unwrap();
    let kept = t.client.submission("source", 0).await.unwrap().unwrap();
    assert_eq!(kept["Source"], "job \"source\" {}");
    assert_eq!(t.client.submission("source", 9).await.unwrap(), None);
}

/// The source beside a job follows its image, with its variables where that can be, else as the job.
pub async fn source_follows_the_image(t: &Target) {
    let mut job = Driver::Docker.job("source-image", Task::Lasting);
    job["TaskGroups"][0]["Count"] = 0.into();
    let old = task_images(&job)[0].image.clone();
    let submission = Submission {
        source: format!("# mine\nimage = \"{old}\""),
        format: "hcl2".into(),
        variables: "a = 1".into(),
        ..Submission::default()
    };
    t.client.register(&job, Some(0), Some(&submission)).await.unwrap();
    for (version, tag) in [(1_u64, "git-1"), (2, "git-2")] {
        let mut job = read(t, "source-image").await;
        let changes = set_image(&mut job, &Selector::parse("source-image").unwrap(), tag).unwrap();
        let kept = t.client.submission_of("source-image", version - 1).await.unwrap().unwrap();
        let index = job_modify_index(&job);
        t.client.register(&job, Some(index), Some(&kept.after(&job, Some(&changes)))).await.unwrap();
        let kept = t.client.submission("source-image", version).await.unwrap().unwrap();
        assert_eq!(kept["Source"], format!("# mine\nimage = \"{}\"", changes[0].new));
        assert_eq!((kept["Format"].as_str(), kept["Variables"].as_str()), (Some("hcl2"), Some("a = 1")));
    }
    // What the source doesn't name: the job itself is the source.
    let mut job = read(t, "source-image").await;
    let mut changes = set_image(&mut job, &Selector::parse("source-image").unwrap(), "git-3").unwrap();
    changes[0].old = "made/of:variables".into();
    let kept = t.client.submission_of("source-image", 2).await.unwrap().unwrap();
    let submission = kept.after(&job, Some(&changes));
    assert_eq!(submission.format, "json");
    t.client.register(&job, Some(job_modify_index(&job)), Some(&submission)).await.unwrap();
    let kept = t.client.submission("source-image", 3).await.unwrap().unwrap();
    let source: Value = serde_json::from_str(kept["Source"].as_str().unwrap()).unwrap();
    assert_eq!(task_images(&source["Job"])[0].image, changes[0].new);
}

pub async fn names_with_slashes(t: &Target) {
    let job = t.driver.job("team/a%2Fb", Task::Lasting);
    healthy(t, &job).await;
    assert_eq!(read(t, "team/a%2Fb").await["ID"], "team/a%2Fb");
    assert!(t.client.stop("team/a%2Fb", true).await.unwrap().is_some());
}

pub async fn nodes_are_ready(t: &Target) {
    let readiness = t.client.readiness().await.unwrap();
    assert!(readiness.leader && readiness.is_ready(), "{readiness:?}");
    assert!(t.client.nodes().await.unwrap().iter().all(|n| !n.id.is_empty()));
    assert!(t.client.check_version().await.is_ok());
}

/// Only the image differs. Where no container can run, nothing of the job does, but the server still
/// compares images.
pub async fn image_of_a_job(t: &Target) {
    let mut job = Driver::Docker.job("image", Task::Lasting);
    if t.driver != Driver::Docker {
        job["TaskGroups"][0]["Count"] = 0.into();
    }
    healthy(t, &job).await;
    let before = read(t, "image").await;
    let mut job = before.clone();
    let changes = set_image(&mut job, &Selector::parse("image").unwrap(), "git-new").unwrap();
    assert_eq!(changes.len(), 1);
    let planned = t.client.plan(&job).await.unwrap();
    let fields: Vec<DiffLine> = diff_lines(&planned.diff).into_iter().filter(|l| l.field.is_some()).collect();
    assert_eq!(fields.len(), 1, "{fields:?}");
    assert_eq!(fields[0].path, ["group 'web'", "task 'app'", "Config"]);
    assert_eq!(fields[0].field.as_deref(), Some("image"));
    let registered = t.client.register(&job, Some(planned.job_modify_index), None).await.unwrap();
    let (verdict, told) = watch(t, &registered).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    let mut after = read(t, "image").await;
    assert_eq!(task_images(&after)[0].image, changes[0].new);
    // All that the server may have moved besides.
    for key in
        ["Version", "JobModifyIndex", "ModifyIndex", "SubmitTime", "Stable", "Status", "StatusDescription"]
    {
        after[key] = before[key].clone();
    }
    after["TaskGroups"][0]["Tasks"][0]["Config"]["image"] = changes[0].old.clone().into();
    assert_eq!(after, before);
}
