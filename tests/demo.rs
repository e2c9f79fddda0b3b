//! The demo from outside: it tells its story to nobody at a terminal, and says why where it can't go on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::{Fixture, wait_until};
use serde_json::Value;

#[test]
fn the_demo_tells_its_story_and_leaves_nothing() {
    let fixture = Fixture::new();
    let done = fixture.ok(&["demo"]);
    let chapters = ["== 1. Bootstrap", "== 2. Start", "== 3. Patch", "== 4. Stop", "== 5. Three days later"];
    let places: Vec<usize> = chapters.iter().map(|chapter| done.place(chapter)).collect();
    assert!(places.is_sorted(), "{done}");
    for said in [
        "Nobody is at a terminal: every approval is answered with yes.",
        "13 to add, 0 to change, 0 to destroy, all under module.core",
        "0 to add, 0 to change, 13 to destroy",
        "git-1a2b3c4d",
        "wave 4 of 4: heavy",
        "0 products degraded",
    ] {
        assert!(done.text().contains(said), "no {said:?} in {done}");
    }
    // Of every run, to its end: bootstrap, start, patch, stop, cold start.
    assert_eq!(done.text().matches("] Done: ").count(), 5, "{done}");
    assert!(fs::read_dir(fixture.path("tmp")).unwrap().next().is_none(), "the demo left its folder behind");
}

#[test]
fn a_demo_whose_sandbox_dies_fails_and_says_why() {
    let fixture = Fixture::new();
    // Without terraform the stand-in takes its place: what this is about is Nomad.
    fixture.set("PATH", fixture.path("home").display().to_string());
    let demo = fixture.spawn("demo", fixture.command(&["demo"]));
    demo.until_says("wave 2 of 2: services");
    let sandbox: Value = serde_json::from_slice(&fs::read(sandbox_file(&fixture)).unwrap()).unwrap();
    shut_down(&sandbox);
    let ended = demo.wait();
    assert!(matches!(ended.code, Some(code) if code != 0), "{ended}");
    let nomad = sandbox["nomad"].as_str().unwrap();
    assert!(ended.text().contains(&format!("nothing listens at {nomad}")), "{ended}");
    assert!(ended.text().contains("Nomad cannot be reached"), "{ended}");
    assert!(!ended.text().contains("== 3. Patch"), "it went on: {ended}");
}

fn sandbox_file(fixture: &Fixture) -> PathBuf {
    let mut found = None;
    wait_until("the sandbox's file", || {
        let folders = fs::read_dir(fixture.path("tmp")).unwrap().filter_map(Result::ok);
        let mut files = folders.map(|folder| folder.path().join("state/cosims/sandbox/sandbox.json"));
        found = files.find(|file| file.is_file());
        found.is_some()
    });
    found.unwrap()
}

/// Through the control door, as whoever ends a sandbox does.
fn shut_down(sandbox: &Value) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("{}/shutdown", sandbox["control"].as_str().unwrap());
    let token = sandbox["token"].as_str().unwrap();
    runtime.block_on(async {
        let answer = reqwest::Client::new().post(url).bearer_auth(token).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
    });
}
