//! Services without a place, and waves that don't fit.

use serde_json::Value;

use crate::common::wait_until;
use crate::site::{Site, UP, file};

const WORKERS: &str = "worker_pool_management";

/// The words of the command that is offered, from `patch` on, without the environment.
fn offered(text: &str) -> Vec<String> {
    let line = text
        .lines()
        .find(|line| line.contains("blackstart patch resources"))
        .unwrap_or_else(|| panic!("{text}"));
    let command = line.split_once("blackstart ").unwrap().1;
    command.split(" -e ").next().unwrap().split_whitespace().map(str::to_owned).collect()
}

/// Does what is offered, as the person would.
fn take_offer(site: &Site, words: &[String]) {
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.extend(["--live-only", "--yes"]);
    site.run(&words).code(0).says("1 job changed and healthy");
}

pub fn what_has_no_place_has_one_with_what_is_offered(site: &Site) {
    site.fill(1130, 2000);
    let name = format!("nomad-jobs/{WORKERS}.nomad.hcl");
    let after = format!("  meta {{\n    depends_on = \"{WORKERS}\"\n  }}\n\n  group \"");
    let front = file("front", 1, 50, 32, "").replacen("  group \"", &after, 1);
    let files = [("plans/up.hcl", UP), (&name, &file(WORKERS, 1, 1500, 64, ""))];
    site.project(&[&files[..], &[("nomad-jobs/front.nomad.hcl", &front)]].concat());
    let out = site.run(&["run", "up", "--yes"]).code(1);
    let out = out.says("not begun, and not counted in what would have a place: front");
    let nodes = site.nodes().len();
    let all = format!("too little on {nodes} of {nodes} node");
    let out = out.says("it cannot be placed").says(&all);
    let out = out.says("1500 MHz asked, the most any has free is 1130 MHz");
    let out = out.says(&format!("blackstart patch resources {WORKERS} cpu=1100 -e {}", site.environment));
    // Nothing that isn't short is spoken of.
    let out = out.never_says("memory: too little");
    let status = site.run(&["status"]).code(0);
    let status = status.says("the most any has free is 1130 MHz").says("unplaced");
    assert_eq!(offered(&status.text()), offered(&out.text()));
    // In a git work tree, what is patched is committed.
    let git = site.fixture.project().join(".git");
    std::fs::create_dir(&git).unwrap();
    let ends = format!("blackstart patch resources {WORKERS} cpu=1100 --commit -e {}", site.environment);
    site.run(&["status"]).code(0).says(&ends);
    std::fs::remove_dir(&git).unwrap();
    let json = site.run(&["status", "--json"]).code(0);
    let json: Value = serde_json::from_str(json.stdout.lines().last().unwrap()).unwrap();
    let workers = json["jobs"].as_array().unwrap().iter().find(|job| job["id"] == WORKERS).unwrap();
    assert_eq!(workers["advice"]["groups"][0]["short"][0]["most"], 1130, "{workers:#}");
    assert_eq!(workers["advice"]["offers"][0]["values"][0][1], 1100);
    // It is offered, not done.
    assert_eq!(site.job(WORKERS)["TaskGroups"][0]["Tasks"][0]["Resources"]["CPU"], 1500);
    assert_eq!(site.job(WORKERS)["Version"], 0);

    take_offer(site, &offered(&out.text()));
    wait_until("a place", || site.wanted(WORKERS).iter().any(|a| a["ClientStatus"] == "running"));
    wait_until("its health", || !site.run(&["status"]).text().contains("no place"));
    site.run(&["status"]).code(0).never_says("patch resources");
}

pub fn both_are_short(site: &Site) {
    site.fill(900, 500);
    let name = format!("nomad-jobs/{WORKERS}.nomad.hcl");
    site.project(&[("plans/up.hcl", UP), (&name, &file(WORKERS, 1, 1500, 1024, ""))]);
    let mut job = crate::site::job(WORKERS, 1);
    job["TaskGroups"][0]["Tasks"][0]["Resources"] = serde_json::json!({ "CPU": 1500, "MemoryMB": 1024 });
    site.register(&job);
    wait_until("the want of a place", || site.run(&["status"]).text().contains("unplaced"));
    let out = site.run(&["status"]).code(0);
    // Nomad itself names only the first.
    let out = out.says("cpu: too little on").says("memory: too little on");
    let words = offered(&out.text());
    assert_eq!(words[3..], ["cpu=900", "memory=480"], "{out}");
    take_offer(site, &words);
    wait_until("a place", || site.wanted(WORKERS).iter().any(|a| a["ClientStatus"] == "running"));
}

pub fn nodes_that_cannot_take_it_are_named(site: &Site) {
    let mut job = crate::site::job("elsewhere", 1);
    job["Constraints"] =
        serde_json::json!([{ "LTarget": "${attr.kernel.name}", "Operand": "=", "RTarget": "windows" }]);
    site.register(&job);
    let mut job = crate::site::job("emulated", 1);
    job["TaskGroups"][0]["Tasks"][0]["Driver"] = "qemu".into();
    job["TaskGroups"][0]["Tasks"][0]["Config"] = serde_json::json!({ "image_path": "local/image" });
    site.register(&job);
    wait_until("the want of places", || site.run(&["status"]).text().matches("unplaced").count() == 2);
    let mut out = site.run(&["status"]).code(0);
    for node in site.nodes() {
        let node = node["Name"].as_str().unwrap();
        out = out.says(&format!("{node}: ${{attr.kernel.name}} = windows"));
        out = out.says(&format!("{node}: missing drivers (qemu)"));
    }
    out.never_says("patch resources");
}

pub fn jobs_of_a_wave_are_added_up(site: &Site) {
    let (cpu, _) = site.size();
    let nodes = site.nodes().len() as u64;
    // Each fits alone, and both don't; the first wave's stays in the way of the second's.
    let part = cpu / 10;
    let plan = "plan \"two\" {\n  operation = \"other\"\n  wave \"first\" {\n    step \"nomad_job\" \"a\" {\n      files = [\"nomad-jobs/a.nomad.hcl\"]\n    }\n  }\n  wave \"second\" {\n    step \"nomad_job\" \"bc\" {\n      files = [\"nomad-jobs/b.nomad.hcl\", \"nomad-jobs/c.nomad.hcl\"]\n    }\n  }\n  wave \"third\" {\n    step \"nomad_job\" \"d\" {\n      files = [\"nomad-jobs/d.nomad.hcl\"]\n    }\n  }\n}\n";
    let large = file("c", nodes, part * 4, 64, "");
    site.project(&[
        ("plans/two.hcl", plan),
        ("nomad-jobs/a.nomad.hcl", &file("a", nodes, part * 4, 64, "")),
        ("nomad-jobs/b.nomad.hcl", &file("b", nodes, part * 3, 64, "")),
        ("nomad-jobs/c.nomad.hcl", &large),
        ("nomad-jobs/d.nomad.hcl", &file("d", 1, 10, 16, "")),
    ]);
    let out = site.run(&["preflight", "two"]).code(3);
    let out =
        out.says("wave first: fits").says("wave second: DOES NOT FIT").says("wave third: not looked at");
    let left = cpu - part * 7;
    let short = part * 4 - left;
    let out = out.says("the first without room: group 'c' of c, 0 of");
    out.says(&format!("cpu: {} MHz asked, {left} MHz left on", part * 4)).says(&format!("{short} MHz short"));
    let json = site.run(&["preflight", "two", "--json"]).code(3);
    let json: Value = serde_json::from_str(json.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(json["fits"], false);
    assert_eq!(json["waves"][1]["shortage"]["job"], "c", "{json:#}");
    assert_eq!(json["waves"][1]["shortage"]["lacks"][0], serde_json::json!(["cpu", part * 4, left]));
    assert!(site.find("a").is_none(), "a preflight registers nothing");

    // What runs as its file says is there, and takes nothing more.
    site.fixture.write("plans/a.hcl", "plan \"a\" {\n  operation = \"other\"\n  wave \"a\" {\n    step \"nomad_job\" \"a-alone\" {\n      files = [\"nomad-jobs/a.nomad.hcl\"]\n    }\n  }\n}\n");
    site.run(&["run", "a", "--yes"]).code(0);
    site.fixture
        .write("nomad-jobs/c.nomad.hcl", &large.replace(&(part * 4).to_string(), &(part * 2).to_string()));
    let out = site.run(&["preflight", "two"]).code(0);
    out.says("wave first: all there").says("wave second: fits").says("wave third: fits").says("it fits");
    // One that no node may take.
    let odd = file(
        "d",
        1,
        10,
        16,
        "      constraint {\n        attribute = \"${attr.kernel.name}\"\n        value     = \"windows\"\n      }\n",
    );
    site.fixture.write("nomad-jobs/d.nomad.hcl", &odd);
    site.run(&["preflight", "two"]).code(3).says("wave third: DOES NOT FIT").says("no node may take it");
}
