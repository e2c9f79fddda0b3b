//! Rolling restarts, judged by what the nodes' events say.

use serde_json::{Value, json};

use crate::common::{program, wait_until};
use crate::site::{Site, job};

/// When something happened to an allocation's task first, or last: nanoseconds of its node's clock.
fn times(allocation: &Value, kind: &str) -> Vec<i64> {
    let events = allocation["TaskStates"]["server"]["Events"].as_array().unwrap();
    events.iter().filter(|e| e["Type"] == kind).map(|e| e["Time"].as_i64().unwrap()).collect()
}

fn restarts(allocation: &Value) -> u64 {
    allocation["TaskStates"]["server"]["Restarts"].as_u64().unwrap()
}

fn ids(allocations: &[Value]) -> Vec<Value> {
    allocations.iter().map(|a| a["ID"].clone()).collect()
}

pub fn each_only_when_the_last_is_healthy(site: &Site) {
    site.start(&job("web", 3));
    let before = site.wanted("web");
    let out = site.run(&["service", "restart", "web", "--delay", "2s", "--yes"]).code(0);
    out.says("web: restarts 3 allocations, one at a time, 2s apart")
        .says("3 allocations restarted and healthy")
        .says("web.api[0]: restarting")
        .says("web.api[0]: healthy again")
        .says("web.api[2]: restarting")
        .says("web.api[2]: healthy again");
    let after = site.wanted("web");
    assert_eq!(ids(&after), ids(&before), "each in its place");
    assert_eq!(site.job("web")["Version"], 0);
    for allocation in &after {
        assert_eq!((restarts(allocation), &allocation["ClientStatus"]), (1, &json!("running")));
    }
    // The next was told to restart only when the last had run for min_healthy_time, and 2 s later.
    for pair in after.windows(2) {
        let started = *times(&pair[0], "Started").last().unwrap();
        let next = *times(&pair[1], "Restart Signaled").last().unwrap();
        assert!(next - started >= 3_000_000_000, "{} ms after the start", (next - started) / 1_000_000);
    }
}

pub fn one_that_does_not_get_healthy_ends_it(site: &Site) {
    site.start(&site.flaky("web", 3));
    let before = site.wanted("web");
    site.ails(&before[1], true);
    let out = site.run(&["service", "restart", "web", "--yes"]).code(1);
    let out = out.says("FAILED").says("web.api[1]").says("isn't healthy again").says("Exit Code: 1");
    let out = out.says("restarted and healthy: web.api[0]").says("not restarted: web.api[2]");
    out.never_says("Done:").says("resume");
    let after = site.wanted("web");
    assert_eq!(ids(&after), ids(&before));
    assert_eq!((restarts(&after[0]), &after[0]["ClientStatus"]), (1, &json!("running")));
    assert_eq!((restarts(&after[2]), &after[2]["ClientStatus"]), (0, &json!("running")), "left alone");
    let failed = site.last("step_failed");
    assert_eq!(failed["evidence"]["restarted"], json!(["web.api[0]"]), "{failed:#}");
    // Once it is well, the run goes on with what is left, and with that alone.
    site.ails(&before[1], false);
    let running = |number: usize| site.wanted("web")[number]["ClientStatus"] == "running";
    wait_until("number 1 to run again", || running(1));
    site.run(&["resume", "--yes"]).code(0).says("restarted and healthy");
    let after = site.wanted("web");
    assert_eq!(restarts(&after[0]), 1, "restarted twice");
    assert_eq!(restarts(&after[2]), 1);
    assert!(after.iter().all(|a| a["ClientStatus"] == "running"), "{after:#?}");
}

/// However it stands when it is looked at: waiting to be started again, running for a moment, or given up.
pub fn one_that_goes_on_failing_is_never_called_healthy(site: &Site) {
    let mut web = site.flaky("web", 2);
    web["TaskGroups"][0]["RestartPolicy"]["Attempts"] = json!(1);
    site.start(&web);
    let before = site.wanted("web");
    site.ails(&before[1], true);
    site.run(&["service", "restart", "web", "--batch", "2", "--yes"]).code(1).says("web.api[1]");
    for _ in 0..2 {
        site.run(&["resume", "--yes"]).code(1).says("web.api[1]").never_says("nothing to restart");
    }
    wait_until("Nomad to give number 1 up", || {
        site.allocations("web").iter().any(|a| a["ID"] == before[1]["ID"] && a["ClientStatus"] == "failed")
    });
    let out = site.run(&["resume", "--yes"]).code(1);
    out.says("web.api[1]").says("it has ended as failed").never_says("Done:");
    assert_eq!(restarts(&site.wanted("web")[0]), 1, "restarted twice");
}

pub fn several_at_a_time(site: &Site) {
    site.start(&job("web", 4));
    let out = site.run(&["service", "restart", "web", "--batch", "50%", "--yes"]).code(0);
    out.says("2 at a time");
    let after = site.wanted("web");
    let signaled: Vec<i64> = after.iter().map(|a| *times(a, "Restart Signaled").last().unwrap()).collect();
    let started: Vec<i64> = after.iter().map(|a| *times(a, "Started").last().unwrap()).collect();
    // The two of a batch together, the second batch once the first is healthy.
    assert!(signaled[1] < started[0] + 1_000_000_000 && signaled[0] < started[1] + 1_000_000_000);
    let healthy = started[0].max(started[1]) + 1_000_000_000;
    assert!(signaled[2] >= healthy && signaled[3] >= healthy, "{signaled:?} {started:?}");
}

pub fn a_check_must_succeed_after_the_restart(site: &Site) {
    if site.is_real() && program("python3").is_none() {
        println!("skipped: nothing here answers over HTTP without python3");
        return;
    }
    let mut web = job("web", 2);
    web["Update"]["HealthCheck"] = json!("checks");
    let group = &mut web["TaskGroups"][0];
    group["Networks"] = json!([{ "Mode": "host", "DynamicPorts": [{ "Label": "http" }] }]);
    group["Services"] = json!([{ "Name": "web", "Provider": "nomad", "PortLabel": "http", "Checks": [
        { "Name": "alive", "Type": "http", "Path": "/", "Interval": 1_000_000_000_u64, "Timeout": 1_000_000_000_u64 },
        { "Name": "ready", "Type": "tcp", "OnUpdate": "ignore", "Interval": 1_000_000_000_u64, "Timeout": 1_000_000_000_u64 },
    ] }]);
    // Answers only a while after each start, and its process ends with nothing of it.
    let script = "sleep 4; exec python3 -m http.server --bind 127.0.0.1 $NOMAD_PORT_http; exec sleep 86400";
    let args = if site.is_real() { json!(["-c", script]) } else { json!(["-c", "exec sleep 86400"]) };
    group["Tasks"][0]["Config"] = json!({ "command": "/bin/sh", "args": args });
    site.start(&web);
    let out = site.run(&["service", "restart", "web", "--yes"]).code(0);
    out.says("healthy once its check succeeds");
    let after = site.wanted("web");
    let started = *times(&after[0], "Started").last().unwrap();
    let next = *times(&after[1], "Restart Signaled").last().unwrap();
    let least = if site.is_real() { 4_000_000_000 } else { 1 };
    assert!(next - started >= least, "{} ms after the start", (next - started) / 1_000_000);
    for allocation in &after {
        assert_eq!(restarts(allocation), 1);
        let checks =
            site.get(&format!("/v1/client/allocation/{}/checks", allocation["ID"].as_str().unwrap()));
        let alive = checks.as_object().unwrap().values().find(|check| check["Check"] == "alive").unwrap();
        assert_eq!(alive["Status"], "success", "{checks:#}");
    }
    // A check that fails since keeps the rest from being restarted.
    if !site.is_real() {
        site.ails(&after[0], true);
        site.run(&["service", "restart", "web", "--yes", "--timeout", "20s"]).code(1).says("web.api[0]");
        assert_eq!(restarts(&site.wanted("web")[1]), 1);
    }
}

pub fn a_job_that_somebody_changes_is_left_alone(site: &Site) {
    site.start(&job("web", 3));
    let running = site.spawn("restart", &["service", "restart", "web", "--delay", "6s", "--yes"]);
    running.until_says("waits 6s before the next");
    let mut changed = site.job("web");
    changed["Meta"] = json!({ "owner": "somebody else" });
    site.register(&changed);
    let out = running.wait().code(1);
    out.says("somebody changed 'web' meanwhile").says("not restarted: web.api[1] and web.api[2]");
    assert_eq!(site.job("web")["Meta"]["owner"], "somebody else");
}
