//! One suite for everything that answers as Nomad does: the simulator in memory and over a socket
//! always, a real agent where `NOMAD_BIN` names one.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and tells how far it was"
)]

#[path = "nomad_contract/agent.rs"]
mod agent;
#[path = "nomad_contract/cases.rs"]
mod cases;
#[path = "nomad_contract/deploying.rs"]
mod deploying;
#[path = "nomad_contract/jobs.rs"]
mod jobs;
#[path = "nomad_contract/placing.rs"]
mod placing;
#[path = "nomad_contract/registering.rs"]
mod registering;
#[path = "nomad_contract/restarting.rs"]
mod restarting;
#[path = "nomad_contract/rooms.rs"]
mod rooms;
#[path = "nomad_contract/sandbox.rs"]
mod sandbox;

use std::sync::Arc;
use std::time::Duration;

use blackstart::base::Clock;
use blackstart::http::Sockets;
use blackstart::nomad::{Access, Client, Readiness};
use jobs::Driver;

/// What the suite runs against.
#[derive(Clone)]
pub struct Target {
    pub client: Client,
    pub driver: Driver,
    /// What its only node has, in MiB.
    pub memory: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_agent_keeps_the_contract() {
    let Some(agent) = agent::Agent::start() else {
        println!("skipped: NOMAD_BIN is not set");
        return;
    };
    let clock = Clock::real();
    let client = Client::new(Arc::new(Sockets::new()), &agent.address, Access::default(), clock.clone());
    let mut ready = false;
    for _ in 0..120 {
        ready = client.readiness().await.is_ok_and(Readiness::is_ready);
        if ready {
            break;
        }
        clock.sleep(Duration::from_millis(250)).await;
    }
    assert!(ready, "the agent is not ready: {}", agent.log());
    println!("Nomad {}", client.check_version().await.unwrap().unwrap_or_default());
    cases::run(Target { client, driver: Driver::RawExec, memory: 16_384 }).await;
}
