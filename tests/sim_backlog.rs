//! A long stop and the ways back: only the right order makes no degraded product, whatever the seed.

use std::time::Duration;

use blackstart::base::Clock;
use blackstart::sim::{Infrastructure, Report, World, WorldOptions};
use http::Request;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

const SERVICES: [&str; 6] = [
    "job_creation",
    "job_configuration",
    "job_execution",
    "job_publication",
    "worker_pool_management",
    "monitor",
];
const FIRST: &str = "['fsc_rlie_job', 'rlies1_job']";
const SECOND: &str = "['fsc_rlie_job', 'rlies1_job', 'sws_wds_job', 'rlies1s2_job']";
const SWAPPED: &str = "['fsc_rlie_job', 'rlies1_job', 'gfsc_job']";
const ALL: &str = "['fsc_rlie_job', 'rlies1_job', 'rlies1s2_job', 'sws_wds_job', 'gfsc_job']";

struct Bench {
    world: World,
    dir: tempfile::TempDir,
    from: Timestamp,
    runner: tokio::task::JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.runner.abort();
    }
}

impl Bench {
    fn new(seed: u64, days: u64) -> Self {
        let from: Timestamp = "2026-03-04T05:06:07Z".parse().expect("a time");
        let dir = tempfile::tempdir().expect("a folder");
        let mut options = WorldOptions::new(Clock::virtual_from(from), dir.path().join("environment.db"));
        options.seed = seed;
        options.downtime = Duration::from_secs(days * 86_400);
        let world = World::new(options).expect("a world");
        let runner = tokio::spawn(world.clone().run());
        Self { world, dir, from, runner }
    }

    fn up(&self) {
        self.world.set_infrastructure(Infrastructure::whole()).expect("infrastructure");
    }

    fn types(&self, list: &str) {
        let db = rusqlite::Connection::open(self.dir.path().join("environment.db")).expect("a database");
        db.busy_timeout(Duration::from_secs(5)).expect("busy timeout");
        db.execute("update system_parameters set job_types_list = ?1", (list,)).expect("an update");
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request =
            Request::builder().method(method).uri(path).body(axum::body::Body::from(body.to_string()));
        let answer = self.world.nomad().oneshot(request.expect("a request")).await.expect("an answer");
        let status = answer.status().as_u16();
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 24).await.expect("a body");
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn services(&self) {
        for id in SERVICES {
            let (status, answer) = self.call("PUT", "/v1/jobs", json!({"Job": service(id)})).await;
            assert_eq!(status, 200, "{answer}");
        }
        for id in SERVICES {
            for _ in 0..120 {
                let (_, d) = self.call("GET", &format!("/v1/job/{id}/deployment"), Value::Null).await;
                if d["Status"] == "successful" {
                    break;
                }
                self.world.clock().sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Waits as a gate does: every five minutes, three times in a row, for all three stages.
    async fn gate(&self, deadline_hours: u64) -> bool {
        let mut good = 0;
        for _ in 0..deadline_hours * 12 {
            let lag = self.lags().await;
            good = if lag.iter().all(|l| *l < 3600) { good + 1 } else { 0 };
            if good == 3 {
                return true;
            }
            self.world.clock().sleep(Duration::from_secs(300)).await;
        }
        false
    }

    /// Waits until many products are degraded.
    async fn degrades(&self, what: &str) {
        for _ in 0..12 {
            self.world.clock().sleep(Duration::from_secs(1800)).await;
            if self.report().degraded > 50 {
                return;
            }
        }
        panic!("{what}: {:#?}", self.report());
    }

    async fn lags(&self) -> Vec<i64> {
        let db = rusqlite::Connection::open(self.dir.path().join("environment.db")).expect("a database");
        let newest: i64 =
            db.query_row("select min(newest) from enabled_types", (), |r| r.get(0)).expect("a row");
        let mut lags = vec![self.world.clock().now().as_second() - newest];
        for path in ["/publication/lag", "/index/lag"] {
            let request = Request::get(path).body(axum::body::Body::empty()).expect("a request");
            let answer = self.world.services().oneshot(request).await.expect("an answer");
            let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
            let value: Value = serde_json::from_slice(&bytes).expect("JSON");
            lags.push(value["lag"].as_i64().expect("a lag"));
        }
        lags
    }

    fn report(&self) -> Report {
        self.world.report().expect("a report")
    }
}

fn service(id: &str) -> Value {
    let cpu = if id == "worker_pool_management" { 1500 } else { 200 };
    json!({"ID": id, "Name": id, "TaskGroups": [{"Name": id, "Tasks": [{"Name": id, "Driver": "docker",
        "Config": {"image": format!("registry.example.com/cosims/cosims/{id}:git-0a1b2c3")},
        "Resources": {"CPU": cpu, "MemoryMB": 256}}]}]})
}

#[tokio::test(start_paused = true)]
async fn the_right_order_makes_no_degraded_product() {
    for seed in 0..20 {
        let bench = Bench::new(seed, 3);
        bench.up();
        bench.types(FIRST);
        bench.services().await;
        let mut ends = Vec::new();
        for list in [SECOND, ALL] {
            assert!(bench.gate(12).await, "seed {seed}: {:#?}", bench.report());
            ends.push(bench.world.clock().now());
            bench.types(list);
        }
        assert!(bench.gate(12).await, "seed {seed}: {:#?}", bench.report());
        let report = bench.report();
        let hours = report.now.duration_since(bench.from).as_secs() / 3600;
        println!("seed {seed}: {hours} h, waves at {ends:?}");
        assert_eq!(report.degraded, 0, "seed {seed}: {report:#?}");
        assert!((6..24).contains(&hours), "seed {seed}: {hours} hours");
        assert!(report.types.iter().all(|t| t.caught_up_at.is_some() && t.missing == 0), "{report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dangerous_ways_make_degraded_products() {
    for seed in 0..20 {
        // Waves two and three swapped.
        let bench = Bench::new(seed, 3);
        bench.up();
        bench.types(FIRST);
        bench.services().await;
        assert!(bench.gate(12).await);
        bench.types(SWAPPED);
        bench.degrades(&format!("swapped, seed {seed}")).await;
        if seed == 0 {
            assert!(bench.gate(12).await, "the swapped wave must end too: {:#?}", bench.report());
        }

        // The list set after the services: they have started with the full list of the restored database.
        let bench = Bench::new(seed, 3);
        bench.up();
        bench.services().await;
        bench.types(FIRST);
        bench.degrades(&format!("late list, seed {seed}")).await;

        // All at once.
        let bench = Bench::new(seed, 3);
        bench.up();
        bench.types(ALL);
        bench.services().await;
        bench.degrades(&format!("all at once, seed {seed}")).await;

        // A gate that passes at once.
        let bench = Bench::new(seed, 3);
        bench.up();
        bench.types(FIRST);
        bench.services().await;
        bench.types(SECOND);
        bench.types(ALL);
        bench.degrades(&format!("no gate, seed {seed}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_short_stop_needs_no_care() {
    for hours in [0, 2, 12] {
        let bench = Bench::new(1, 0);
        bench.up();
        bench.types(ALL);
        bench.services().await;
        bench.world.clock().sleep(Duration::from_secs(3600)).await;
        bench.world.set_infrastructure(Infrastructure::none()).expect("down");
        assert!(!bench.dir.path().join("environment.db").exists());
        bench.world.clock().sleep(Duration::from_secs(hours * 3600)).await;
        bench.up();
        bench.services().await;
        assert!(bench.gate(12).await, "{:#?}", bench.report());
        assert_eq!(bench.report().degraded, 0, "{hours} h: {:#?}", bench.report());
    }
}

#[tokio::test(start_paused = true)]
async fn steady_operation_stays_up_to_date() {
    let bench = Bench::new(3, 0);
    bench.up();
    bench.services().await;
    bench.world.clock().sleep(Duration::from_secs(6 * 3600)).await;
    for _ in 0..200 {
        let lags = bench.lags().await;
        assert!(lags.iter().all(|l| *l < 3600), "{lags:?}");
        bench.world.clock().sleep(Duration::from_secs(420)).await;
    }
    assert_eq!(bench.report().degraded, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_moves_without_its_service() {
    let bench = Bench::new(5, 1);
    bench.up();
    bench.types(FIRST);
    for id in SERVICES.iter().filter(|s| **s != "worker_pool_management") {
        bench.call("PUT", "/v1/jobs", json!({"Job": service(id)})).await;
    }
    bench.world.clock().sleep(Duration::from_secs(6 * 3600)).await;
    let report = bench.report();
    assert!(report.types.iter().all(|t| t.generated == 0), "{report:#?}");
    bench.call("PUT", "/v1/jobs", json!({"Job": service("worker_pool_management")})).await;
    bench.world.clock().sleep(Duration::from_secs(3600)).await;
    assert!(bench.report().types[0].generated > 0);
}

#[tokio::test(start_paused = true)]
async fn a_window_shorter_than_the_outage_leaves_a_gap() {
    let bench = Bench::new(5, 8);
    bench.up();
    bench.types(SECOND);
    bench.services().await;
    bench.world.clock().sleep(Duration::from_secs(3600)).await;
    let report = bench.report();
    let s1s2 = report.types.iter().find(|t| t.name == "rlies1s2_job").expect("the type");
    assert!(s1s2.missing > 200, "{report:#?}");
}
