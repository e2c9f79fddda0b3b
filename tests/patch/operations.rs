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
    site.start(JOB);
    let (_, source) = site.filed(JOB);
    let file = site.fixture.path("edited.nomad.hcl");
    std::fs::write(&file, source.replacen("env {\n", "env {\n        COLOUR = \"teal\"\n", 1)).unwrap();
    if stock(site, &["version"]).is_none() {
        return;
    }
    let patch = site.patch_file(&[(JOB, Looks::New)]);
    let mut terminal = site.on_terminal(&["patch", "apply", &patch]);
    terminal.until("Approve?");
    stock(site, &["job", "run", "-detach", &file.display().to_string()]);
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

/// Somebody runs the file again, with what is the default anyway written out: Nomad itself takes that for the
/// job that it has.
pub fn what_the_stock_client_writes_out_is_no_change(site: &Site) {
    let (_, source) = site.filed(JOB);
    let file = site.fixture.path("edited.nomad.hcl");
    let run = ["job", "run", "-detach", &file.display().to_string()];
    std::fs::write(&file, &source).unwrap();
    if stock(site, &run).is_none() {
        return;
    }
    site.until_rolled_out(JOB);
    let before = site.job(JOB);
    let patch = site.patch_file(&[(JOB, Looks::New)]);
    let mut terminal = site.on_terminal(&["patch", "apply", &patch]);
    terminal.until("Approve?");
    let begin = "job \"job_creation\" {\n";
    let defaults = format!("{begin}  priority    = 50\n  all_at_once = false\n");
    assert!(source.contains(begin));
    std::fs::write(&file, source.replacen(begin, &defaults, 1)).unwrap();
    stock(site, &run);
    assert_eq!(crate::written(site.job(JOB)), crate::written(before.clone()));
    assert_eq!(site.job(JOB)["JobModifyIndex"], before["JobModifyIndex"]);
    terminal.answers("y");
    let (rest, code) = terminal.end();
    assert!(!rest.contains("somebody else") && !rest.contains("not what was approved"), "{rest}");
    assert_eq!(code, 0, "{rest}");
    assert_eq!((site.version(JOB), site.looks(JOB)), (1, site.tag(Looks::New)));
}

/// The stock client, which must succeed; says so where there is none.
pub fn stock(site: &Site, arguments: &[&str]) -> Option<String> {
    let stock = std::env::var("NOMAD_BIN").ok().map(Into::into).or_else(|| common::program("nomad"));
    let Some(stock) = stock else {
        println!("skipped: there is no nomad");
        return None;
    };
    let mut command = Command::new(stock);
    command.args(arguments).env_clear().env("NOMAD_ADDR", &site.address);
    let out = command.env("NOMAD_NAMESPACE", site.namespace()).output().unwrap();
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8(out.stdout).unwrap())
}

/// Registered beside us, with nobody who would put it back.
pub fn a_failed_deployment_is_explained(site: &Site) {
    let mut job = site.service(JOB, None);
    site.start_job(&job, None);
    site.run(&["status"]).code(0).never_says("Failed due to");
    // What fails may be tried elsewhere until the deadline.
    let well = job.clone();
    job["Update"]["HealthyDeadline"] = json!(8_000_000_000_u64);
    job["Update"]["ProgressDeadline"] = json!(10_000_000_000_u64);
    site.makes_look(&mut job, Looks::Bad);
    site.register(&job);
    common::wait_until("the deployment to fail", || {
        let deployment = site.deployment(JOB);
        deployment["JobVersion"] == 1 && deployment["Status"] == "failed"
    });
    let why = site.deployment(JOB)["StatusDescription"].as_str().unwrap().to_owned();
    assert!(why.starts_with("Failed due to "), "{why}");
    site.run(&["status"]).code(0).says(&format!("{JOB}: {why}"));
    let document: Value = serde_json::from_str(&site.run(&["status", "--json"]).code(0).stdout).unwrap();
    assert_eq!(document["jobs"][0]["pending"], why, "{document:#}");
    // Of what has been put right since, it isn't said any more.
    site.start_job(&well, None);
    site.run(&["status"]).code(0).never_says("Failed due to");
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
