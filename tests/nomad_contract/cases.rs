//! What Nomad does, as far as we build on it.

use std::sync::Mutex;
use std::time::Duration;

use blackstart::nomad::{
    BatchGoal, FollowOptions, Progress, Registered, Stopped, Verdict, follow, follow_stop,
};
use serde_json::Value;

use crate::Target;
use crate::deploying::{
    a_change_goes_healthy, a_deadline_is_its_own_deployments, a_server_that_goes_on_trying,
    a_task_that_cannot_start, a_task_that_ends, auto_revert, auto_revert_on_demand,
    canaries_wait_for_a_person, deployment_goes_healthy, superseded,
};
use crate::placing::{
    batch_ends_badly, batch_fails, batch_finishes, count_zero, no_cpu, no_memory, periodic_waits,
    room_comes_free, system_job, unchanged_specification, unplaceable_update,
};
use crate::registering::{
    blocking_queries, check_and_set, create_only, image_of_a_job, names_with_slashes, nodes_are_ready,
    plan_of_a_change, plan_of_a_new_job, reverted, source_follows_the_image, source_is_kept,
    stop_then_register, unknown_jobs, what_is_refused_and_in_which_words,
};
use crate::restarting::{a_restart_in_its_place, a_restart_that_fails, checks_are_told};
use crate::rooms::{
    nodes_are_judged_one_by_one, what_has_no_place_is_explained, what_is_held_is_what_was_asked,
};

/// Runs every case, all at once, and says which failed.
pub async fn run(target: Target) {
    let mut running = Vec::new();
    macro_rules! cases {
        ($($case:ident),* $(,)?) => {
            $({
                let target = target.clone();
                running.push((stringify!($case), tokio::spawn(async move { $case(&target).await })));
            })*
        };
    }
    cases!(
        create_only,
        check_and_set,
        unknown_jobs,
        what_is_refused_and_in_which_words,
        plan_of_a_new_job,
        plan_of_a_change,
        deployment_goes_healthy,
        a_change_goes_healthy,
        a_task_that_cannot_start,
        a_task_that_ends,
        a_server_that_goes_on_trying,
        auto_revert,
        auto_revert_on_demand,
        canaries_wait_for_a_person,
        no_memory,
        no_cpu,
        unplaceable_update,
        room_comes_free,
        stop_then_register,
        blocking_queries,
        count_zero,
        unchanged_specification,
        batch_finishes,
        batch_fails,
        batch_ends_badly,
        periodic_waits,
        system_job,
        superseded,
        reverted,
        source_is_kept,
        source_follows_the_image,
        names_with_slashes,
        nodes_are_ready,
        image_of_a_job,
        a_deadline_is_its_own_deployments,
        a_restart_in_its_place,
        a_restart_that_fails,
        checks_are_told,
        what_is_held_is_what_was_asked,
        nodes_are_judged_one_by_one,
        what_has_no_place_is_explained,
    );
    let mut failed = Vec::new();
    for (name, case) in running {
        if case.await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "failed: {}", failed.join(", "));
}

pub fn options() -> FollowOptions {
    FollowOptions {
        timeout: Duration::from_secs(60),
        placement_wait: Duration::from_secs(3),
        steady: Duration::from_secs(1),
        batch: BatchGoal::Finished,
        ..FollowOptions::default()
    }
}

pub async fn watch(target: &Target, registered: &Registered) -> (Verdict, Vec<Progress>) {
    let told = Mutex::new(Vec::new());
    let tell = |progress: Progress| told.lock().unwrap().push(progress);
    let clock = target.client.clock().clone();
    let verdict = follow(&target.client, &clock, registered, &options(), &tell).await.unwrap();
    println!("{}: {}", registered.job_id, verdict.lines().join("\n    "));
    (verdict, told.into_inner().unwrap())
}

pub async fn register(target: &Target, job: &Value) -> Registered {
    target.client.register(job, None, None).await.unwrap()
}

pub async fn healthy(target: &Target, job: &Value) -> Registered {
    let registered = register(target, job).await;
    let (verdict, told) = watch(target, &registered).await;
    assert!(verdict.is_healthy(), "{verdict:?}\n{told:?}");
    registered
}

pub async fn ended(target: &Target, id: &str) -> Stopped {
    let clock = target.client.clock().clone();
    follow_stop(&target.client, &clock, id, &options(), &|_| ()).await.unwrap()
}

pub async fn read(target: &Target, id: &str) -> Value {
    target.client.job(id).await.unwrap().expect("the job is there")
}
