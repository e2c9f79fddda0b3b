//! Registering by check-and-set where answers are lost: never twice, never in doubt without need.

use std::sync::Mutex;

use blackstart::nomad::NomadError;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Fake, broken, json as answer, path, text};

const INDEX: u64 = 7;

fn wanted() -> Value {
    json!({ "ID": "web", "JobModifyIndex": INDEX, "Meta": { "a": "new" } })
}

/// A server with one job, whose first registrations fare as `faults` says: (status, whether it is
/// registered all the same); status 0 breaks the connection.
fn server(faults: Vec<(u16, bool)>) -> std::sync::Arc<Fake> {
    let state = Mutex::new((json!({ "ID": "web", "JobModifyIndex": INDEX, "Meta": { "a": "old" } }), faults));
    Fake::new(move |request, _| {
        let mut state = state.lock().unwrap();
        let (job, faults) = &mut *state;
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        match (&request.method, path(request)) {
            (&Method::GET, "/v1/job/web") => answer(job),
            (&Method::GET, "/v1/job/web/evaluations") => answer(&json!([{
                "ID": "e", "TriggeredBy": "job-register", "JobModifyIndex": job["JobModifyIndex"],
            }])),
            (&Method::POST, "/v1/job/web/plan") => {
                let same = body["Job"]["Meta"] == job["Meta"];
                let kind = if same { "None" } else { "Edited" };
                answer(&json!({ "Diff": { "Type": kind }, "JobModifyIndex": job["JobModifyIndex"] }))
            }
            (&Method::POST, "/v1/job/web") => {
                assert_eq!(body["EnforceIndex"], true);
                let (status, applies) = if faults.is_empty() { (200, true) } else { faults.remove(0) };
                let fits = body["JobModifyIndex"] == job["JobModifyIndex"];
                if applies && fits {
                    *job = body["Job"].clone();
                    job["JobModifyIndex"] = (INDEX + 1).into();
                }
                match status {
                    0 => broken(),
                    200 if fits => answer(&json!({ "EvalID": "e", "JobModifyIndex": INDEX + 1 })),
                    200 => text(
                        500,
                        "Enforcing job modify index 7: job exists with conflicting job modify index: 8",
                    ),
                    status => text(status, "rpc error: EOF"),
                }
            }
            other => panic!("{other:?}"),
        }
    })
}

fn registrations(fake: &Fake) -> usize {
    let posts = fake.asked();
    posts.iter().filter(|request| request.method == Method::POST && path(request) == "/v1/job/web").count()
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_looked_up_and_nothing_is_done_twice() {
    for status in [0, 500, 502, 504] {
        let fake = server(vec![(status, true)]);
        let registered = fake.client().register_surely(&wanted(), INDEX, None).await.unwrap();
        assert_eq!((registered.job_modify_index, registered.eval_id.as_deref()), (INDEX + 1, Some("e")));
        assert_eq!(registrations(&fake), 1, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_did_not_happen_is_tried_again() {
    for status in [0, 500, 503, 429, 403] {
        let fake = server(vec![(status, false)]);
        let registered = fake.client().register_surely(&wanted(), INDEX, None).await.unwrap();
        assert_eq!(registered.job_modify_index, INDEX + 1);
        assert_eq!(registrations(&fake), 2, "{status}");
    }
    // Not for ever, and then it is said.
    let fake = server(vec![(0, false); 50]);
    let error = fake.client().register_surely(&wanted(), INDEX, None).await.unwrap_err();
    assert!(matches!(error, NomadError::OutcomeUnknown { .. }), "{error:?}");
    assert!((3..10).contains(&registrations(&fake)));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_changed_is_a_conflict() {
    let fake = server(Vec::new());
    let theirs = json!({ "ID": "web", "JobModifyIndex": INDEX, "Meta": { "a": "theirs" } });
    fake.client().register_surely(&theirs, INDEX, None).await.unwrap();
    let error = fake.client().register_surely(&wanted(), INDEX, None).await.unwrap_err();
    assert!(matches!(error, NomadError::Conflict { .. }), "{error:?}");
    // The same change by somebody else is the change.
    let same = fake.client().register_surely(&theirs, INDEX, None).await.unwrap();
    assert_eq!(same.job_modify_index, INDEX + 1);
}
