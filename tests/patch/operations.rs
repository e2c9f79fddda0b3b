//! What a night shift does to whole services: six at once, beside the stock client, without a place, forgotten.

use std::process::Command;

use serde_json::{Value, json};

use crate::common;
use crate::site::{Looks, SERVICES, Site};

const JOB: &str = "job_creation";

pub fn six_services_are_patched(site: &Site) {
    for name in SERVICES {
        site.start(name);
    }
    let file = site.patch_file(&SERVICES.map(|name| (name, Looks::New)));
    site.patches(&["apply", &file, "--yes"]).code(0).says("6 jobs changed and healthy");
    for name in SERVICES {
        assert_eq!(site.looks(name), site.tag(Looks::New));
        assert_eq!(site.version(name), 1);
        assert!(site.is_up(name), "{name}: {:#?}", site.running(name));
    }
}

pub fn the_stock_client_is_not_overwritten(site: &Site) {
    let stock = std::env::var("NOMAD_BIN").ok().map(Into::into).or_else(|| common::program("nomad"));
    let Some(stock) = stock else {
        println!("skipped: there is no nomad");
        return;
    };
    site.start(JOB);
    let (_, source) = site.filed(JOB);
    let file = site.fixture.path("edited.nomad.hcl");
    std::fs::write(&file, source.replacen("env {\n", "env {\n        COLOUR = \"teal\"\n", 1)).unwrap();
    let patch = site.patch_file(&[(JOB, Looks::New)]);
    let mut terminal = site.on_terminal(&["patch", "apply", &patch]);
    terminal.until("Approve?");
    let edit = Command::new(stock)
        .args(["job", "run", "-detach"])
        .arg(&file)
        .env_clear()
        .env("NOMAD_ADDR", &site.address)
        .output()
        .unwrap();
    assert!(edit.status.success(), "{}", String::from_utf8_lossy(&edit.stderr));
    terminal.answers("y");
    let shown = terminal.until("which is not what was approved") + &terminal.until("Approve?");
    assert!(shown.contains("somebody else changed it meanwhile") && shown.contains("COLOUR"), "{shown}");
    assert_eq!(site.version(JOB), 1, "it was overwritten without a question");
    terminal.answers("y");
    let (rest, code) = terminal.end();
    assert_eq!(code, 0, "{rest}");
    assert_eq!(site.looks(JOB), site.tag(Looks::New));
    assert_eq!(site.environment(JOB)["COLOUR"], "teal");
}

pub fn what_has_no_place_gets_one(site: &Site) {
    let (mut job, _) = site.filed(JOB);
    job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] = json!(900_000);
    site.register(&job);
    common::wait_until("the wait for a place", || {
        let evaluations = site.get(&format!("/v1/job/{JOB}/evaluations"));
        evaluations.as_array().unwrap().iter().any(|one| one["Status"] == "blocked")
    });
    assert_eq!(site.running(JOB), [] as [Value; 0]);
    // What doesn't help is refused before anything is done.
    let refused = site.patches(&["resources", JOB, "memory=800000", "--yes"]).code(3);
    refused.says("no place").says("memory");
    assert_eq!(site.version(JOB), 0);
    site.patches(&["resources", JOB, "memory=64", "--yes"]).code(0).says("1 job changed and healthy");
    assert!(site.is_up(JOB), "{:#?}", site.running(JOB));
    assert_eq!(site.looks(JOB), site.tag(Looks::Old));
}

pub fn a_forgotten_one_comes_back(site: &Site) {
    site.start(JOB);
    site.stop(JOB);
    common::wait_until("the stop", || site.job(JOB)["Status"] == "dead");
    let known = || {
        let jobs = site.get("/v1/jobs");
        jobs.as_array().unwrap().iter().any(|one| one["ID"] == JOB)
    };
    common::wait_until("Nomad has forgotten it", || {
        site.collect_garbage();
        !known()
    });
    site.run(&["service", "start", JOB, "--yes"]).code(0);
    assert!(known() && site.is_up(JOB), "{:#?}", site.running(JOB));
    assert_eq!(site.looks(JOB), site.tag(Looks::Old));
}
