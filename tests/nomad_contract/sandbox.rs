//! The simulator as a target: in memory under paused time, and over a socket on a clock that runs ahead.

use std::sync::Arc;
use std::time::Duration;

use blackstart::base::Clock;
use blackstart::http::{Memory, Sockets, Transport};
use blackstart::nomad::{Access, Client};
use blackstart::sim::{Infrastructure, NodeSize, World, WorldOptions};
use tokio::task::JoinHandle;

use crate::Target;
use crate::jobs::Driver;

/// A world with room for the whole suite, its changes driven by a task.
fn world(clock: Clock, dir: &tempfile::TempDir) -> (World, JoinHandle<()>) {
    let mut options = WorldOptions::new(clock, dir.path().join("environment.db"));
    options.nodes.insert("*".into(), NodeSize { cpu: 20_000, memory: 65_536, disk: 100_000 });
    let world = World::new(options).unwrap();
    let one = Infrastructure { nodes: vec!["tf-tata".into()], ..Infrastructure::whole() };
    world.set_infrastructure(one).unwrap();
    let running = tokio::spawn(world.clone().run());
    (world, running)
}

fn target(transport: Arc<dyn Transport>, address: &str, clock: Clock, driver: Driver) -> Target {
    Target { client: Client::new(transport, address, Access::default(), clock), driver, memory: 65_536 }
}

#[tokio::test(start_paused = true)]
async fn the_simulator_in_memory_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let (world, running) = world(clock.clone(), &dir);
    let memory = Memory::default();
    memory.serve("http://127.0.0.1:4646", world.nomad());
    let target = target(Arc::new(memory), "http://127.0.0.1:4646", clock.clone(), Driver::RawExec);
    settle(&target).await;
    crate::cases::run(target).await;
    running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::real().moved(Duration::ZERO, 8.0);
    let (world, running) = world(clock.clone(), &dir);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = world.nomad();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let target = target(Arc::new(Sockets::new()), &address, clock.clone(), Driver::Docker);
    settle(&target).await;
    crate::cases::run(target).await;
    serving.abort();
    running.abort();
}

/// Waits until nodes take work.
async fn settle(target: &Target) {
    for _ in 0..600 {
        if target.client.readiness().await.is_ok_and(blackstart::nomad::Readiness::is_ready) {
            return;
        }
        target.client.clock().sleep(Duration::from_millis(500)).await;
    }
    panic!("no node became ready");
}
