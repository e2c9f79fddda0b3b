//! Registrations and ended deployments whose answer never came: looked at, and sent again only where a
//! second request can't do it twice.

use std::sync::{Arc, Mutex};

use crate::support::{Fake, broken, json as answer, path, text};
use blackstart::http::{HttpError, Response};
use blackstart::nomad::{NomadError, Registered};
use http::Method;
use serde_json::{Value, json};

type Answer = Result<Response, HttpError>;

/// What becomes of a registration.
#[derive(Clone, Copy)]
enum Fate {
    /// Carried out; its answer is lost.
    Lost,
    /// Carried out; it fails, and the server goes back, before anybody looks. Its answer is lost.
    Reverted,
    /// Never carried out; nor answered.
    Gone,
    /// It arrives once somebody has looked whether it did.
    Late,
    /// Refused by this status.
    Status(u16),
    Fine,
}

/// A server that holds one job, of image 1, under index 5.
struct Server {
    index: u64,
    image: u64,
    /// The indexes under which evaluations were asked for.
    evaluations: Vec<u64>,
    registrations: usize,
    late: Option<Value>,
}

impl Server {
    fn register(&mut self, sent: &Value) -> Answer {
        let wanted = sent["JobModifyIndex"].as_u64().unwrap();
        if wanted != self.index {
            let at = self.index;
            return text(
                500,
                &format!(
                    "Enforcing job modify index {wanted}: job exists with conflicting job modify index: {at}"
                ),
            );
        }
        self.index += 2;
        self.image = sent["Job"]["image"].as_u64().unwrap();
        self.evaluations.push(self.index);
        answer(&json!({ "EvalID": format!("evaluation-{}", self.index), "JobModifyIndex": self.index }))
    }

    fn answer(&mut self, method: &Method, path: &str, sent: &Value, fates: &[Fate]) -> Answer {
        match (method == Method::POST, path) {
            (true, "/v1/job/web") => {
                self.registrations += 1;
                match fates[self.registrations - 1] {
                    Fate::Fine => self.register(sent),
                    Fate::Status(status) => text(status, "rpc error: No cluster leader"),
                    Fate::Gone => broken(),
                    Fate::Late => {
                        self.late = Some(sent.clone());
                        broken()
                    }
                    Fate::Lost => {
                        self.register(sent)?;
                        broken()
                    }
                    Fate::Reverted => {
                        self.register(sent)?;
                        (self.index, self.image) = (self.index + 2, 1);
                        broken()
                    }
                }
            }
            (true, "/v1/job/web/plan") => {
                let same = sent["Job"]["image"] == self.image;
                answer(&json!({
                    "Diff": { "Type": if same { "None" } else { "Edited" } }, "JobModifyIndex": self.index,
                }))
            }
            (_, "/v1/job/web") => {
                let told = answer(&json!({ "ID": "web", "JobModifyIndex": self.index }));
                if let Some(late) = self.late.take() {
                    self.register(&late)?;
                }
                told
            }
            (_, "/v1/job/web/versions") => {
                let version = |version: u64, index: u64| json!({ "ID": "web", "image": version % 2 + 1, "Version": version, "JobModifyIndex": index });
                answer(&json!({ "Versions": [version(2, 9), version(1, 7), version(0, 5)] }))
            }
            (_, "/v1/job/web/evaluations") => {
                let each = self.evaluations.iter().map(|index| {
                    json!({
                        "ID": format!("evaluation-{index}"), "JobModifyIndex": index, "CreateIndex": index + 1,
                        "TriggeredBy": "job-register",
                    })
                });
                answer(&each.collect())
            }
            (_, other) => panic!("{other}"),
        }
    }
}

/// Registers image 2 over image 1; gives what came of it, and the server then.
async fn registered(fates: &[Fate], before: Server) -> (Result<Registered, NomadError>, Server) {
    let server = Arc::new(Mutex::new(before));
    let (shared, fates) = (Arc::clone(&server), fates.to_vec());
    let fake = Fake::new(move |request, _| {
        let sent = serde_json::from_slice(&request.body).unwrap_or_default();
        shared.lock().unwrap().answer(&request.method, path(request), &sent, &fates)
    });
    let result =
        fake.client().register_surely(&json!({ "ID": "web", "image": 2, "Version": 0 }), 5, None).await;
    drop(fake);
    (result, Arc::into_inner(server).unwrap().into_inner().unwrap())
}

fn fresh() -> Server {
    Server { index: 5, image: 1, evaluations: Vec::new(), registrations: 0, late: None }
}

#[tokio::test(start_paused = true)]
async fn a_registration_happens_once_however_its_requests_fare() {
    for (fates, sent) in [
        (vec![Fate::Lost], 1),
        (vec![Fate::Gone, Fate::Fine], 2),
        (vec![Fate::Gone, Fate::Lost], 2),
        (vec![Fate::Late, Fate::Fine], 2),
        (vec![Fate::Status(500), Fate::Status(429), Fate::Fine], 3),
        (vec![Fate::Status(429), Fate::Lost], 2),
    ] {
        let (result, server) = registered(&fates, fresh()).await;
        let registered = result.unwrap();
        assert_eq!((registered.job_modify_index, registered.eval_id.as_deref()), (7, Some("evaluation-7")));
        assert_eq!((server.image, server.evaluations.as_slice(), server.registrations), (2, &[7][..], sent));
    }
}

/// What failed, and was taken back before its answer came, isn't somebody else's change: it would be asked
/// about, and registered, once more.
#[tokio::test(start_paused = true)]
async fn a_registration_that_was_taken_back_is_ours() {
    for fates in [vec![Fate::Reverted], vec![Fate::Gone, Fate::Reverted]] {
        let (result, server) = registered(&fates, fresh()).await;
        assert_eq!(result.unwrap().job_modify_index, 7);
        assert_eq!((server.image, server.registrations), (1, fates.len()));
    }
    // Nobody took ours: the version after the one that was read is another's.
    let theirs = Server { index: 9, image: 1, ..fresh() };
    let (result, server) = registered(&[Fate::Fine], theirs).await;
    assert!(matches!(result, Err(NomadError::Conflict { .. })), "{result:?}");
    assert_eq!(server.registrations, 1);
}

/// How long a registration is tried, of which each try is answered so: its result, the tries, the seconds.
async fn tried(status: u16, times: usize, retry_after: Option<u64>) -> (bool, usize, f64) {
    let tries = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&tries);
    let fake = Fake::new(move |request, _| {
        if request.method == Method::GET {
            return answer(&json!({ "ID": "web", "JobModifyIndex": 5 }));
        }
        let mut tries = counted.lock().unwrap();
        *tries += 1;
        if *tries > times {
            return answer(&json!({ "EvalID": "evaluation", "JobModifyIndex": 7 }));
        }
        let mut refusal = text(status, "rate: too many requests")?;
        if let Some(seconds) = retry_after {
            refusal.headers.insert("retry-after", seconds.into());
        }
        Ok(refusal)
    });
    let client = fake.client();
    let began = client.clock().now();
    let result = client.register_surely(&json!({ "ID": "web" }), 5, None).await;
    let seconds = client.clock().now().duration_since(began).as_secs_f64();
    let tries = *tries.lock().unwrap();
    (result.is_ok(), tries, seconds)
}

#[tokio::test(start_paused = true)]
async fn patience_ends_and_the_server_says_how_long_it_is_wanted() {
    // Four pauses: 0.2, 0.5, 1 and 2 seconds.
    assert_eq!(tried(429, 4, None).await, (true, 5, 3.7));
    assert_eq!(tried(429, 5, None).await, (false, 5, 3.7));
    // As long as the server asks for, within what a person bears; never less than of itself.
    assert_eq!(tried(429, 1, Some(7)).await, (true, 2, 7.0));
    assert_eq!(tried(429, 1, Some(3600)).await, (true, 2, 30.0));
    assert_eq!(tried(429, 1, Some(0)).await, (true, 2, 0.2));
}

#[tokio::test(start_paused = true)]
async fn a_deployment_is_ended_however_its_requests_fare() {
    let words = "Failed due to progress deadline - rolling back to job version 4";
    let ended = json!({ "ID": "d", "Status": "failed", "StatusDescription": words });
    // Its answer was lost.
    let seen = ended.clone();
    let fake = Fake::new(move |_, before| if before == 0 { broken() } else { answer(&seen) });
    assert_eq!(fake.client().fail_deployment("d").await.unwrap(), Some(4));
    // It never arrived; then it did.
    let fake = Fake::new(|_, before| match before {
        0 => text(500, "rpc error: No cluster leader"),
        1 => answer(&json!({ "ID": "d", "Status": "running" })),
        _ => answer(&json!({ "RevertedJobVersion": 4 })),
    });
    assert_eq!(fake.client().fail_deployment("d").await.unwrap(), Some(4));
    // It arrived after the look.
    let fake = Fake::new(move |_, before| match before {
        0 => broken(),
        1 => answer(&json!({ "ID": "d", "Status": "running" })),
        2 => text(500, "can't fail terminal deployment"),
        _ => answer(&ended),
    });
    assert_eq!(fake.client().fail_deployment("d").await.unwrap(), Some(4));
}
