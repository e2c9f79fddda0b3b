//! A rolling restart of which one allocation doesn't get healthy again.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::common::wait_until;
use crate::site::Site;

/// Three of them, each serving on a port of its own.
fn three(site: &Site) -> Value {
    let seconds = |n: u64| n * 1_000_000_000;
    let mut job = site.service("job_creation", None);
    // A node that is busy tells late that a container has ended.
    job["Update"]["MinHealthyTime"] = json!(seconds(5));
    job["Update"]["HealthyDeadline"] = json!(seconds(30));
    job["Update"]["ProgressDeadline"] = json!(seconds(60));
    let group = &mut job["TaskGroups"][0];
    group["Count"] = json!(3);
    group["RestartPolicy"] =
        json!({ "Attempts": 9, "Mode": "fail", "Interval": seconds(600), "Delay": seconds(1) });
    if !site.is_raw() {
        group["Networks"] = json!([{ "Mode": "host", "DynamicPorts": [{ "Label": "http" }] }]);
        group["Tasks"][0]["Config"]["network_mode"] = json!("host");
    }
    job
}

/// The allocations that are to run, by number.
fn wanted(site: &Site) -> Vec<Value> {
    let mut all = site.running("job_creation");
    all.sort_by_key(|one| one["Name"].as_str().unwrap().to_owned());
    all
}

fn restarts(allocation: &Value) -> u64 {
    allocation["TaskStates"]["job_creation"]["Restarts"].as_u64().unwrap()
}

/// While `act` runs, an allocation that is restarted doesn't come up again: in a container its port is taken
/// as soon as it lets go of it.
fn while_it_ails(site: &Site, allocation: &Value, act: impl FnOnce()) {
    if site.is_sandbox() {
        site.ails(allocation, true);
        act();
        site.ails(allocation, false);
        return;
    }
    let whole = site.get(&format!("/v1/allocation/{}", allocation["ID"].as_str().unwrap()));
    let port = whole["AllocatedResources"]["Shared"]["Ports"][0]["Value"].as_u64().unwrap();
    let port = u16::try_from(port).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut taken = None;
            while !over.load(Ordering::Relaxed) {
                taken = taken.or_else(|| TcpListener::bind(("0.0.0.0", port)).ok());
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        // Where `act` panics, too: the scope waits for the thread.
        let _over = Over(&over);
        act();
    });
}

/// Sets it when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub fn a_rolling_restart_ends_at_the_one_that_ails(site: &Site) {
    site.start_job(&three(site), None);
    let before = wanted(site);
    while_it_ails(site, &before[1], || {
        let out = site.run(&["service", "restart", "job_creation", "--yes"]).code(1);
        let out = out.says("FAILED").says("job_creation.job_creation[1]").says("isn't healthy again");
        let out = out.says("Exit Code: 1").says("restarted and healthy: job_creation.job_creation[0]");
        out.says("not restarted: job_creation.job_creation[2]").never_says("Done:").says("resume");
    });
    let after = wanted(site);
    assert_eq!(
        after.iter().map(|one| &one["ID"]).collect::<Vec<_>>(),
        before.iter().map(|one| &one["ID"]).collect::<Vec<_>>()
    );
    assert_eq!((restarts(&after[0]), &after[0]["ClientStatus"]), (1, &json!("running")));
    assert_eq!((restarts(&after[2]), &after[2]["ClientStatus"]), (0, &json!("running")), "left alone");
    // Once it is well, the run goes on with what is left, and with that alone.
    wait_until("number 1 to run again", || {
        wanted(site)[1]["ClientStatus"] == "running" && {
            wanted(site)[1]["TaskStates"]["job_creation"]["State"] == "running"
        }
    });
    site.run(&["resume", "--yes"]).code(0).says("restarted and healthy");
    let after = wanted(site);
    assert_eq!((restarts(&after[0]), restarts(&after[2])), (1, 1));
    assert!(after.iter().all(|one| one["ClientStatus"] == "running"), "{after:#?}");
}
