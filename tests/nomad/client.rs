//! The client's manners: what it sends, what it repeats, and how it reads what goes wrong.

use std::time::Duration;

use crate::support::{Fake, broken, indexed, json as answer, path, refused, text};
use blackstart::nomad::{Access, NomadError, Submission};
use serde_json::{Value, json};

fn job() -> Value {
    json!({ "ID": "web", "VersionTag": { "Name": "before" }, "SomethingNewer": { "kept": [1, null] } })
}

#[tokio::test(start_paused = true)]
async fn token_namespace_and_region_go_along() {
    let fake = Fake::new(|_, _| answer(&json!({ "ID": "a/b c" })));
    let access = Access {
        token: Some("canary-token-4711".into()),
        namespace: Some("team a".into()),
        region: Some("eu".into()),
    };
    let client = fake.client_with(access);
    client.job("a/b c").await.unwrap().unwrap();
    let asked = &fake.asked()[0];
    assert_eq!(asked.url, "http://nomad.example:4646/v1/job/a%2Fb%20c?namespace=team%20a&region=eu");
    assert_eq!(asked.headers["x-nomad-token"], "canary-token-4711");
    assert!(!format!("{client:?} {asked:?}").contains("canary"), "{client:?} {asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_no_header_carries_is_not_shown() {
    let fake = Fake::new(|_, _| answer(&json!([])));
    let access = Access { token: Some("canary\ntoken".into()), ..Access::default() };
    let error = fake.client_with(access).jobs().await.unwrap_err();
    assert!(matches!(error, NomadError::Unauthorized { .. }));
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert!(fake.asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refusals_keep_the_servers_words() {
    for words in [
        "Permission denied",
        "job registration, dispatch, and scale are disabled by the scheduler configuration",
    ] {
        let fake = Fake::new(move |_, _| text(403, words));
        let error = fake.client().register(&job(), None, None).await.unwrap_err();
        assert!(matches!(&error, NomadError::Unauthorized { text, .. } if text == words), "{error:?}");
        assert_eq!(error.to_string(), format!("Nomad refused registering job 'web': {words}"));
        assert!(error.help().is_some());
        assert_eq!(fake.asked().len(), 1, "a refusal is not argued with");
    }
}

#[tokio::test(start_paused = true)]
async fn texts_cannot_steer_the_terminal() {
    let fake = Fake::new(|_, _| text(400, "\u{1b}]0;owned\u{7}\u{1b}[2J bad\r\nnext"));
    let error = fake.client().jobs().await.unwrap_err().to_string();
    assert!(!error.chars().any(char::is_control), "{error:?}");
    let fake = Fake::new(|_, _| text(404, ""));
    let error = fake.client().register(&json!({ "ID": "\u{1b}[2J" }), None, None).await.unwrap_err();
    assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn another_server_is_not_taken_for_nomad() {
    let page = "<!DOCTYPE HTML>\n<html><body>Error response</body></html>";
    for (status, body) in [(404, page), (404, "{\"error\":\"no such path\"}"), (200, page), (200, "hello")] {
        let fake = Fake::new(move |_, _| text(status, body));
        let error = fake.client().jobs().await.unwrap_err();
        assert!(matches!(error, NomadError::NotNomad { .. }), "{error:?}");
        let said = error.to_string();
        assert_eq!(
            said,
            format!("http://nomad.example:4646 doesn't answer as Nomad does: {status} to /v1/jobs")
        );
        assert!(error.help().unwrap().contains("check Nomad's address"));
        assert_eq!(fake.asked().len(), 1);
    }
    // Of one job only a page says it: that there is no such job, Nomad says, too. And a proxy has pages.
    let fake = Fake::new(move |_, _| text(404, page));
    assert!(matches!(fake.client().job("web").await, Err(NomadError::NotNomad { .. })));
    let fake = Fake::new(|_, _| text(404, "job not found"));
    assert_eq!(fake.client().job("web").await.unwrap(), None);
    let fake = Fake::new(move |_, _| text(502, page));
    assert!(matches!(fake.client().jobs().await, Err(NomadError::Server { status: 502, .. })));
}

#[tokio::test(start_paused = true)]
async fn reads_are_tried_again_for_a_while() {
    for failure in [500, 503, 429] {
        let fake = Fake::new(move |_, before| match before {
            0 | 1 => text(failure, "No cluster leader"),
            _ => answer(&json!([{ "ID": "web" }])),
        });
        assert_eq!(fake.client().jobs().await.unwrap()[0].id, "web");
        assert_eq!(fake.asked().len(), 3);
    }
    let fake = Fake::new(|_, _| broken());
    assert!(matches!(fake.client().jobs().await, Err(NomadError::Unreachable(_))));
    assert_eq!(fake.asked().len(), 5);
    let fake = Fake::new(|_, _| text(429, ""));
    assert!(matches!(fake.client().jobs().await, Err(NomadError::Busy { .. })));
    let fake = Fake::new(|_, before| match before {
        0 => text(200, r#"[{ "ID": "we"#),
        _ => answer(&json!([{ "ID": "web" }])),
    });
    assert_eq!(fake.client().jobs().await.unwrap()[0].id, "web");
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_tried_once() {
    let fake = Fake::new(|_, _| text(500, "1 error occurred:\n\t* Task group web validation failed"));
    let error = fake.client().plan(&job()).await.unwrap_err();
    assert!(matches!(&error, NomadError::Server { status: 500, .. }), "{error:?}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn writes_that_no_look_can_settle_are_never_repeated() {
    let fake = Fake::new(|_, _| broken());
    assert!(matches!(
        fake.client().register(&job(), None, None).await,
        Err(NomadError::OutcomeUnknown { .. })
    ));
    assert_eq!(fake.asked().len(), 1);
    for (status, words) in
        [(502, "bad gateway"), (504, ""), (500, "rpc error: leadership lost while committing log")]
    {
        let fake = Fake::new(move |_, _| text(status, words));
        let error = fake.client().stop("web", false).await.unwrap_err();
        assert!(matches!(error, NomadError::OutcomeUnknown { .. }), "{error:?}");
        assert_eq!(fake.asked().len(), 1);
    }
    // What never left is known not to have happened.
    let fake = Fake::new(|_, _| refused());
    assert!(matches!(fake.client().stop("web", false).await, Err(NomadError::Unreachable(_))));
    // What was refused outright, too.
    let fake = Fake::new(|_, _| text(500, "No cluster leader"));
    assert!(matches!(fake.client().stop("web", false).await, Err(NomadError::Server { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_lost_race_says_where_the_job_is_now() {
    let words = "Enforcing job modify index 5: job exists with conflicting job modify index: 17";
    let fake = Fake::new(move |_, _| text(500, words));
    let error = fake.client().register(&job(), Some(5), None).await.unwrap_err();
    let NomadError::Conflict { job, enforced, actual, text } = error else { panic!("{error:?}") };
    assert_eq!((job.as_str(), enforced, actual, text.as_str()), ("web", 5, Some(17), words));
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_out_whole_but_for_its_tag() {
    let fake = Fake::new(|request, _| {
        if path(request).ends_with("/plan") {
            return answer(
                &json!({ "Diff": { "Type": "None" }, "JobModifyIndex": 5, "Warnings": "2 warnings:\n\n* one\n* two" }),
            );
        }
        answer(&json!({ "EvalID": "e", "JobModifyIndex": 6, "Warnings": "" }))
    });
    let client = fake.client();
    let planned = client.plan(&job()).await.unwrap();
    assert_eq!(planned.warnings, ["one", "two"]);
    let submission = Submission { source: "s".into(), format: "hcl2".into(), ..Submission::default() };
    let registered = client.register(&job(), Some(5), Some(&submission)).await.unwrap();
    assert_eq!((registered.eval_id.as_deref(), registered.job_modify_index), (Some("e"), 6));
    client.register(&job(), None, None).await.unwrap();
    let bodies: Vec<Value> = fake.asked().iter().map(|r| serde_json::from_slice(&r.body).unwrap()).collect();
    for body in &bodies {
        assert_eq!(
            body["Job"],
            json!({ "ID": "web", "VersionTag": null, "SomethingNewer": { "kept": [1, null] } })
        );
    }
    assert_eq!(bodies[0]["Diff"], true);
    assert_eq!((&bodies[1]["EnforceIndex"], &bodies[1]["JobModifyIndex"]), (&json!(true), &json!(5)));
    assert_eq!(bodies[1]["Submission"]["Source"], "s");
    assert_eq!(bodies[2].get("EnforceIndex"), None);
    assert_eq!(bodies[2].get("Submission"), None);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_goes_down_starts_anew() {
    let fake = Fake::new(|_, _| indexed(3, &json!([])));
    let client = fake.client();
    let wait = Duration::from_secs(60);
    assert_eq!(client.allocations_after("web", 0, wait).await.unwrap().index, 3);
    assert_eq!(client.allocations_after("web", 90, wait).await.unwrap().index, 0);
    let asked = fake.asked();
    assert_eq!(asked[0].url, "http://nomad.example:4646/v1/job/web/allocations");
    assert_eq!(asked[1].url, "http://nomad.example:4646/v1/job/web/allocations?index=90&wait=60000ms");
    // The server may add a sixteenth of the wait.
    assert!(asked[1].timeout > wait + wait / 16);
}

#[tokio::test(start_paused = true)]
async fn lists_are_read_to_their_last_page() {
    let fake = Fake::new(|request, _| {
        let last = request.url.contains("next_token=two");
        let mut page = answer(&json!([{ "ID": if last { "b" } else { "a" } }]))?;
        if !last {
            page.headers.insert("x-nomad-nexttoken", "two".parse().unwrap());
        }
        Ok(page)
    });
    let ids: Vec<String> = fake.client().jobs().await.unwrap().into_iter().map(|j| j.id).collect();
    assert_eq!(ids, ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn nulls_are_nothing() {
    let fake = Fake::new(|request, _| match path(request) {
        "/v1/jobs" | "/v1/nodes" | "/v1/job/web/evaluations" | "/v1/job/web/deployment" => {
            answer(&Value::Null)
        }
        "/v1/job/web/allocations" => answer(&json!([
            { "ID": "a", "TaskStates": null, "DeploymentStatus": null, "FollowupEvalID": null },
            { "ID": "b", "TaskStates": { "app": { "State": "running", "Events": null, "StartedAt": null } } },
        ])),
        _ => text(404, ""),
    });
    let client = fake.client();
    assert!(client.jobs().await.unwrap().is_empty());
    assert!(client.nodes().await.unwrap().is_empty());
    assert!(client.evaluations("web").await.unwrap().is_empty());
    assert!(client.latest_deployment("web").await.unwrap().is_none());
    assert_eq!(client.allocations("web").await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_called_nonsense() {
    let fake = Fake::new(|_, _| text(200, "{ \"is\": \"no list\" }"));
    let error = fake.client().jobs().await.unwrap_err();
    assert!(matches!(error, NomadError::Malformed { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn versions_are_checked_where_they_are_told() {
    let tells = |version: &'static str| {
        Fake::new(move |_, _| answer(&json!({ "member": { "Tags": { "build": version } } })))
    };
    assert!(matches!(tells("1.5.17").client().check_version().await, Err(NomadError::TooOld { .. })));
    assert_eq!(tells("1.10.0").client().check_version().await.unwrap().as_deref(), Some("1.10.0"));
    for status in [403, 404] {
        let fake = Fake::new(move |_, _| text(status, "no"));
        assert_eq!(fake.client().check_version().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_leader_is_not_ready() {
    for fake in [Fake::new(|_, _| answer(&json!(""))), Fake::new(|_, _| text(500, "No cluster leader"))] {
        assert!(!fake.client().readiness().await.unwrap().is_ready());
    }
    let fake = Fake::new(|request, _| match path(request) {
        "/v1/status/leader" => answer(&json!("10.0.0.1:4647")),
        _ => answer(&json!([
            { "ID": "a", "Status": "ready", "SchedulingEligibility": "eligible" },
            { "ID": "b", "Status": "ready", "SchedulingEligibility": "ineligible" },
            { "ID": "c", "Status": "down", "SchedulingEligibility": "eligible" },
        ])),
    });
    let readiness = fake.client().readiness().await.unwrap();
    assert_eq!((readiness.leader, readiness.nodes_ready, readiness.nodes), (true, 1, 3));
}
