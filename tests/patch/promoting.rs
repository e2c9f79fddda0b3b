//! Patches of a job whose canaries wait for a person.

use reqwest::Method;
use serde_json::{Value, json};

use crate::common::wait_until;
use crate::site::{Looks, Site};

const ID: &str = "job_creation";

fn canaries(site: &Site, auto_revert: bool) -> Value {
    let mut job = site.service(ID, None);
    job["Update"]["Canary"] = 1.into();
    job["Update"]["AutoRevert"] = auto_revert.into();
    job
}

/// What a person does to the newest deployment.
fn decide(site: &Site, what: &str) {
    let id = site.deployment(ID)["ID"].as_str().unwrap().to_owned();
    let body = json!({ "DeploymentID": id, "All": true });
    site.ask(Method::PUT, &format!("/v1/deployment/{what}/{id}"), Some(&body));
}

fn file(site: &Site) -> String {
    site.fixture.read(&format!("nomad-jobs/{ID}.nomad.hcl"))
}

pub fn what_waits_for_a_promotion_is_gone_on_with(site: &Site) {
    site.start_job(&canaries(site, false), None);
    let patch = site.patch_file(&[(ID, Looks::New)]);
    let (old, new) = (file(site), site.tag(Looks::New));
    let out = site.run(&["patch", "apply", &patch, "--yes"]).code(5);
    let out = out.says("needs manual promotion").says("nomad deployment promote").says("resume");
    out.says("Nomad leaves the job as it is now").never_says("put back");
    assert_eq!((site.version(ID), file(site)), (1, old), "the files get it once it is done");
    // A patch on top would end the deployment.
    let out = site.run(&["patch", "set", ID, "meta.owner=x", "--dry-run", "--live-only"]).code(0);
    out.says("this cancels a deployment: version 1 has its canaries and waits for a promotion");
    site.run(&["resume", "--yes"]).code(5).says("needs manual promotion");
    assert_eq!(site.version(ID), 1, "registered twice");
    decide(site, "promote");
    site.run(&["resume", "--yes"]).code(0).says("1 job changed and healthy").says("written to");
    assert_eq!((site.version(ID), site.looks(ID)), (1, new.clone()));
    assert!(file(site).contains(&new) && site.is_up(ID));
    let out = site.run(&["patch", "set", ID, "meta.owner=x", "--dry-run", "--live-only"]).code(0);
    out.never_says("this cancels");
}

pub fn what_was_not_promoted_is_as_it_was(site: &Site) {
    for auto_revert in [false, true] {
        site.start_job(&canaries(site, auto_revert), None);
        let (before, old) = (site.version(ID), file(site));
        let patch = site.patch_file(&[(ID, Looks::New)]);
        let out = site.run(&["patch", "apply", &patch, "--yes"]).code(5);
        let then = if auto_revert { "Nomad goes back to the last good" } else { "Nomad leaves the job" };
        out.says("nomad deployment fail").says(then);
        decide(site, "fail");
        if auto_revert {
            wait_until("Nomad to go back", || site.version(ID) == before + 2);
        }
        let out = site.run(&["resume", "--yes"]).code(1);
        out.says("it was put back as it was").says("FAILED").never_says("written to");
        assert_eq!((site.looks(ID), site.version(ID)), (site.tag(Looks::Old), before + 2), "{auto_revert}");
        assert_eq!(file(site), old);
        site.run(&["resume", "--yes"]).code(1).says("no unfinished run");
        site.run(&["status"]).code(0).never_says("unsaved");
    }
}
