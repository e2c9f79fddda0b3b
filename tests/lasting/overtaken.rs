//! Runs that were cut off, and what was patched since.

use crate::site::Site;

fn api(tag: &str) -> String {
    format!("registry.example.com/api:{tag}")
}

/// A patch of `api` that was cut off once the server had it.
fn cut_off(site: &Site) {
    let running = site.slow_patch(&api("a"));
    running.signal("KILL");
    running.wait();
}

#[test]
fn a_resume_does_not_undo_a_newer_patch() {
    let site = Site::started();
    cut_off(&site);
    let values = ["set", "api", "update.min_healthy_time=1s"];
    let newer = format!("config.image={}", api("b"));
    site.patch(&[&values[..], &[newer.as_str()]].concat()).code(0);
    let (job, file) = (site.job("api"), site.fixture.read("jobs/api.nomad.hcl"));
    assert!(file.contains(":b\""), "{file}");
    let out = site.run(&["resume", "--yes"]).code(3).says("is superseded").says("config.image").says(":b");
    out.says("it is ended").never_says("somebody else").never_says("Approved");
    assert_eq!((site.job("api"), site.fixture.read("jobs/api.nomad.hcl")), (job, file));
    site.run(&["resume", "--yes"]).code(1).says("no unfinished run");
}

#[test]
fn what_else_a_run_was_to_change_is_not_dropped_in_silence() {
    let site = Site::started();
    cut_off(&site);
    site.patch(&["image", "api=b"]).code(0);
    let job = site.job("api");
    for _ in 0..2 {
        let out = site.run(&["resume", "--yes"]).code(3).says("is superseded").says("--abandon");
        out.says("patch anew what else it was to change");
    }
    assert_eq!(site.job("api"), job);
}

#[test]
fn a_newer_patch_of_another_value_is_nobody_elses() {
    let site = Site::started();
    cut_off(&site);
    site.patch(&["set", "api", "env.LOG=debug", "--live-only"]).code(0);
    let out = site.run(&["resume", "--yes"]).code(0).says("changed it meanwhile (run ");
    out.says("tester").never_says("somebody else");
    let task = &site.job("api")["TaskGroups"][0]["Tasks"][0];
    assert_eq!((&task["Config"]["image"], &task["Env"]["LOG"]), (&api("a").into(), &"debug".into()));
    assert!(site.fixture.read("jobs/api.nomad.hcl").contains(&api("a")));
}
