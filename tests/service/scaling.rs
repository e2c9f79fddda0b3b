//! Counts that change step by step, judged by the versions and times that the server keeps.

use serde_json::{Value, json};

use crate::site::{Site, job};

/// A job's versions, oldest first: their counts and when they were submitted.
fn steps(site: &Site, id: &str) -> Vec<(u64, i64)> {
    let versions = site.get(&format!("/v1/job/{id}/versions"));
    let mut found: Vec<(u64, u64, i64)> = versions["Versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| {
            let count = v["TaskGroups"][0]["Count"].as_u64().unwrap();
            (v["Version"].as_u64().unwrap(), count, v["SubmitTime"].as_i64().unwrap())
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, count, at)| (count, at)).collect()
}

fn last(allocation: &Value, kind: &str) -> i64 {
    let events = allocation["TaskStates"]["server"]["Events"].as_array().unwrap();
    events.iter().filter(|e| e["Type"] == kind).map(|e| e["Time"].as_i64().unwrap()).max().unwrap()
}

pub fn up_and_down_step_by_step(site: &Site) {
    site.start(&job("web", 1));
    let first = site.wanted("web")[0]["ID"].clone();
    let out = site.run(&["service", "scale", "web", "3", "--interval", "3s", "--yes"]).code(0);
    out.says("web: 1 → 3, one at a time, 3s apart").says("web has 3 now, all healthy");
    let up = steps(site, "web");
    assert_eq!(up.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [1, 2, 3]);
    let running = site.wanted("web");
    assert_eq!(running.len(), 3);
    assert_eq!(running[0]["ID"], first, "what runs goes on running");
    assert!(running.iter().all(|a| a["ClientStatus"] == "running"), "{running:#?}");
    // The third came once the second had run for min_healthy_time, and 3 s later.
    let started = last(&running[1], "Started");
    assert!(up[2].1 - started >= 4_000_000_000, "{} ms after the start", (up[2].1 - started) / 1_000_000);
    // The live change is on record, as a whole.
    let done = site.last("step_done");
    let job = &done["evidence"]["jobs"][0];
    assert_eq!(job["id"], "web", "{done:#}");
    assert_eq!(job["index"], site.job("web")["JobModifyIndex"]);
    assert_eq!(job["changes"], json!([{ "path": "group.api.count", "old": 1, "new": 3 }]));

    let out = site.run(&["service", "scale", "web/api", "1", "--interval", "3s", "--yes"]).code(0);
    out.says("web: 3 → 1").says("web has 1 now");
    let down = steps(site, "web");
    assert_eq!(down.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [1, 2, 3, 2, 1]);
    let all = site.allocations("web");
    assert_eq!(site.wanted("web").len(), 1);
    assert_eq!(site.wanted("web")[0]["ID"], first);
    // The second went only when nothing of the third ran any more, and 3 s later.
    let third = all.iter().find(|a| a["Name"] == "web.api[2]").unwrap();
    assert_eq!(third["ClientStatus"], "complete");
    let ended = last(third, "Killed");
    assert!(down[4].1 - ended >= 3_000_000_000, "{} ms after the end", (down[4].1 - ended) / 1_000_000);
    site.run(&["service", "scale", "web", "1", "--yes"]).code(0).says("nothing to do");
}

pub fn one_that_does_not_get_healthy_ends_the_scaling(site: &Site) {
    if !site.is_real() {
        // How a sandbox's task fares is told by its job file alone: a second one fares as the first.
        return;
    }
    let mut web = job("web", 1);
    // Number 1 and those after it don't stay up.
    let args = json!(["-c", "[ \"$NOMAD_ALLOC_INDEX\" = 0 ] || exit 1\nexec sleep 86400"]);
    web["TaskGroups"][0]["Tasks"][0]["Config"] = json!({ "command": "/bin/sh", "args": args });
    web["TaskGroups"][0]["RestartPolicy"]["Attempts"] = json!(0);
    site.start(&web);
    let from = site.job("web")["TaskGroups"][0]["Count"].as_u64().unwrap();
    let to = (from + 3).to_string();
    let out = site.run(&["service", "scale", "web", &to, "--interval", "1s", "--yes"]).code(1);
    let back = format!("blackstart service scale web {from} -e {}", site.environment);
    let out =
        out.says(&format!("its count is {} now: it was {from}, and {to} was wanted", from + 1)).says(&back);
    out.never_says("Done:");
    assert_eq!(site.job("web")["TaskGroups"][0]["Count"], from + 1, "it went on");
    let failed = site.last("step_failed");
    let change = json!([{ "path": "group.api.count", "old": from, "new": from + 1 }]);
    assert_eq!(failed["evidence"]["jobs"][0]["changes"], change, "{failed:#}");
    let running = site.wanted("web").into_iter().filter(|a| a["ClientStatus"] == "running").count();
    assert_eq!(running as u64, from, "what ran goes on running");
}

pub fn what_has_no_place_is_not_begun(site: &Site) {
    let mut web = job("web", 1);
    let (cpu, _) = site.size();
    web["TaskGroups"][0]["Tasks"][0]["Resources"]["CPU"] = json!(cpu / 10 * 6);
    site.start(&web);
    let version = site.job("web")["Version"].clone();
    let out = site.run(&["service", "scale", "web", "20", "--yes"]).code(3);
    out.says("there is no place for what 'web' would have").says("take a smaller number");
    assert_eq!(site.job("web")["Version"], version);
}

pub fn bounds_are_kept(site: &Site) {
    let mut web = job("web", 2);
    web["TaskGroups"][0]["Scaling"] = json!({ "Min": 1, "Max": 3, "Enabled": true, "Policy": {} });
    site.start(&web);
    site.run(&["service", "scale", "web", "4", "--yes"]).code(3).says("allows no more than 3");
    site.run(&["service", "scale", "web", "0", "--yes"]).code(3).says("allows no less than 1");
    site.run(&["service", "scale", "web", "1", "--min", "2", "--yes"]).code(3).says("less than --min 2");
    assert_eq!(site.job("web")["Version"], 0);
    site.run(&["service", "scale", "web", "3", "--interval", "0s", "--yes"]).code(0);
    assert_eq!(site.job("web")["TaskGroups"][0]["Count"], 3);
}
