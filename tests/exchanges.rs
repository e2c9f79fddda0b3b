//! Exchanges recorded with a real Nomad 2.0.5 that ran containers, beside the simulator's own: the client
//! comes to the same verdict on both, and what it reads of them has the same shape.
//!
//! Ids, names of machines, addresses and times in the recordings are neutral; the rest is as it was sent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "exchanges/compare.rs"]
mod compare;
#[path = "patch_faults/patching.rs"]
mod patching;
#[path = "exchanges/record.rs"]
mod record;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use blackstart::base::Clock;
use blackstart::engine::{Answer, Approver, Question};
use blackstart::event::Ending;
use blackstart::http::Transport;
use patching::{BEGIN, Desk, Place, put};
use record::{Exchange, Listening, Recording, Replay};
use serde_json::json;

/// Says yes once, and no where it is asked again.
struct Once(std::sync::atomic::AtomicBool);

#[async_trait]
impl Approver for Once {
    async fn ask(&self, _: &Question) -> Answer {
        let who = "a person".to_owned();
        if self.0.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Answer::No { who };
        }
        Answer::Yes { who, how: "at a prompt".into() }
    }
}

fn once() -> Arc<dyn Approver> {
    Arc::new(Once(std::sync::atomic::AtomicBool::new(false)))
}

/// Patches through a transport; how it ended, in words.
async fn patched(clock: &Clock, transport: Arc<dyn Transport>, recording: &Recording) -> (Ending, String) {
    let place = Place::new();
    let plan = format!(
        "plan \"patch-image\" {{\n  operation = \"patch\"\n  wave \"patch\" {{\n    step \"nomad_patch\" \"image\" {{\n      \
         images = {{ {:?} = {:?} }}\n    }}\n  }}\n}}\n",
        recording.job, recording.tag
    );
    let desk = Desk::new(&place, None, clock);
    let finished = desk.run(&place, &plan, transport, once()).await;
    (finished.ending, desk.told().join("\n"))
}

#[track_caller]
fn says(recording: &Recording, ending: Ending, text: &str) {
    let ending = serde_json::to_value(ending).unwrap();
    assert_eq!(ending, recording.ending.as_str(), "{text}");
    for words in &recording.says {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
}

async fn replayed(recording: &Recording) {
    let clock = Clock::virtual_from(BEGIN.parse().unwrap());
    let replay = Arc::new(Replay::new(recording));
    let (ending, text) = patched(&clock, Arc::clone(&replay) as Arc<dyn Transport>, recording).await;
    says(recording, ending, &text);
    // What was asked then is asked now, and what changes the cluster to the letter.
    let sent = replay.writes();
    let recorded: Vec<&Exchange> = recording.exchanges.iter().filter(|one| one.method != "GET").collect();
    let places = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
    let then: Vec<_> = recorded.iter().map(|one| (places(&one.path), one.request.clone())).collect();
    assert_eq!(sent.len(), then.len(), "{:#?}", sent.iter().map(|(path, _)| path).collect::<Vec<_>>());
    for (sent, then) in sent.iter().zip(&then) {
        assert_eq!(sent, then);
    }
}

/// The same patch of the same job on the simulator.
async fn simulated(recording: &Recording) -> Vec<Exchange> {
    let clock = Clock::virtual_from(BEGIN.parse().unwrap());
    let place = Place::new();
    let (world, memory) = place.world(&clock, 0);
    let running = tokio::spawn(world.clone().run());
    let mut job = recording.first_job();
    job["VersionTag"] = serde_json::Value::Null;
    put(&memory, "/v1/jobs", &json!({ "Job": job })).await;
    clock.sleep(Duration::from_secs(120)).await;
    let listening = Arc::new(Listening::new(memory, recording));
    let (ending, text) = patched(&clock, Arc::clone(&listening) as Arc<dyn Transport>, recording).await;
    running.abort();
    says(recording, ending, &text);
    listening.heard()
}

macro_rules! exchanges {
    ($($name:ident),* $(,)?) => {
        $(mod $name {
            use crate::record::Recording;

            #[tokio::test(start_paused = true)]
            async fn the_client_comes_to_the_same_verdict() {
                crate::replayed(&Recording::read(stringify!($name))).await;
            }

            #[tokio::test(start_paused = true)]
            async fn the_simulator_answers_alike() {
                let recording = Recording::read(stringify!($name));
                let simulated = crate::simulated(&recording).await;
                crate::compare::alike(&recording, &simulated);
            }
        })*
    };
}

exchanges![conflict, no_place, auto_revert, bad_image];
