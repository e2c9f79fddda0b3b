//! The cold start after three days, rehearsed: what waves and gates are for, and what happens without them.
//!
//! The simulator knows which types feed which, and nothing of plans: a plan edited in one place makes
//! degraded products in the same simulator.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and prints notes")]

mod common;

use std::collections::BTreeMap;
use std::process::Command;

use common::{Fixture, Outcome, outcome, program};
use jiff::Timestamp;
use serde_json::Value;

const PLAN: &str = "plans/cold-start.hcl";
const SEEDS: u64 = 20;

const INDEPENDENT: &str = "['fsc_rlie_job', 'rlies1_job']";
const LIGHT: &str = "['fsc_rlie_job', 'rlies1_job', 'sws_wds_job', 'rlies1s2_job']";
const ALL: &str = "['fsc_rlie_job', 'rlies1_job', 'rlies1s2_job', 'sws_wds_job', 'gfsc_job']";

/// Which wave lets which types in.
const WAVES: [(&str, &[&str]); 3] = [
    ("independent", &["fsc_rlie_job", "rlies1_job"]),
    ("light", &["sws_wds_job", "rlies1s2_job"]),
    ("heavy", &["gfsc_job"]),
];

/// A rehearsal's JSON lines: what happened, then the report.
struct Rehearsal {
    events: Vec<Value>,
    summary: Value,
}

fn rehearse(fixture: &Fixture, seed: u64) -> Rehearsal {
    let seed = seed.to_string();
    let arguments = ["rehearse", "cold-start", "--downtime", "3d", "--seed", &seed, "--json"];
    let mut lines: Vec<Value> =
        fixture.ok(&arguments).stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap()["rehearsal"].take();
    Rehearsal { events: lines, summary }
}

impl Rehearsal {
    fn degraded(&self) -> u64 {
        self.summary["report"]["degraded"].as_u64().unwrap()
    }

    fn types(&self) -> BTreeMap<&str, &Value> {
        let types = self.summary["report"]["types"].as_array().unwrap();
        types.iter().map(|one| (one["type"].as_str().unwrap(), one)).collect()
    }

    fn wave(&self, name: &str) -> (Timestamp, Timestamp) {
        let waves = self.summary["waves"].as_array().unwrap();
        let wave = waves.iter().find(|wave| wave["wave"] == name).unwrap();
        (time(&wave["started"]), time(&wave["caught_up"]))
    }

    fn position(&self, kind: &str, wave: &str) -> usize {
        let is = |line: &Value| line["event"]["type"] == kind && line["event"]["wave"] == wave;
        self.events.iter().position(is).unwrap_or_else(|| panic!("no {kind} of {wave}"))
    }
}

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no time: {value}")).parse().unwrap()
}

#[test]
fn twenty_seeds_come_back_in_order_without_a_degraded_product() {
    let fixture = Fixture::new();
    let mut stories = Vec::new();
    for seed in 0..SEEDS {
        let rehearsal = rehearse(&fixture, seed);
        assert_eq!(rehearsal.degraded(), 0, "degraded products with seed {seed}");
        assert_eq!(rehearsal.summary["report"]["missing_days"], 0);

        let waves: Vec<&str> = rehearsal.summary["waves"]
            .as_array()
            .unwrap()
            .iter()
            .map(|wave| wave["wave"].as_str().unwrap())
            .collect();
        assert_eq!(waves, ["infrastructure", "independent", "light", "heavy"]);
        let types = rehearsal.types();
        let mut before = rehearsal.wave("infrastructure").1;
        for (wave, members) in WAVES {
            let (started, caught_up) = rehearsal.wave(wave);
            assert!(started >= before && caught_up > started, "{wave} with seed {seed}");
            // The gate held when the wave ended, and hadn't when it began.
            let first_sample = rehearsal.position("gate_sampled", wave);
            assert_eq!(rehearsal.events[first_sample]["event"]["verdict"], "not_yet");
            assert!(rehearsal.position("gate_passed", wave) < rehearsal.position("wave_done", wave));
            for member in members {
                let one = types[member];
                let (began, at_date) = (time(&one["started_at"]), time(&one["caught_up_at"]));
                assert!(began >= started && began < caught_up, "{member} began outside of {wave}: {one}");
                assert!(at_date <= caught_up, "{wave} ended before {member} had caught up: {one}");
            }
            before = caught_up;
        }
        for (name, one) in &types {
            assert_eq!(one["degraded"], 0, "{name}");
            assert_eq!(one["missing"], 0, "{name}");
            assert!(one["generated"].as_u64().unwrap() > 250, "three days of {name}: {one}");
            for lag in ["generated_lag", "published_lag", "indexed_lag"] {
                assert!(one[lag].as_f64().unwrap() < 3600.0, "{name} is not up to date: {one}");
            }
        }
        assert_eq!(types.len(), 5);
        let took = before.duration_since(time(&rehearsal.summary["began"]));
        assert!(took.as_hours() < 24, "the backlog took {took} with seed {seed}");
        stories.push(format!("{took:?}"));
    }
    stories.sort();
    stories.dedup();
    assert!(stories.len() > 5, "seeds tell the same story: {stories:?}");
}

/// Rehearses an edited plan with several seeds: each must make degraded products of one of these types.
fn degrades(edit: impl Fn(&Fixture), types: &[&str]) {
    let fixture = Fixture::new();
    edit(&fixture);
    for seed in 0..4 {
        let rehearsal = rehearse(&fixture, seed);
        let of = |name: &str| rehearsal.types()[name]["degraded"].as_u64().unwrap();
        assert!(types.iter().all(|name| of(name) > 0), "seed {seed}: {}", rehearsal.summary["report"]);
        assert_eq!(of("fsc_rlie_job") + of("rlies1_job"), 0, "these are made of nothing else");
        assert!(rehearsal.degraded() > 20);
    }
}

#[test]
fn light_and_heavy_swapped_degrade() {
    let edit = |fixture: &Fixture| {
        let plan = fixture.read(PLAN);
        let (head, rest) = plan.split_once("  wave \"light\"").unwrap();
        let (light, rest) = rest.split_once("  wave \"heavy\"").unwrap();
        let heavy = rest.trim_end().strip_suffix('}').unwrap();
        let light = light.replace(LIGHT, ALL);
        let heavy = heavy.replace(ALL, "['fsc_rlie_job', 'rlies1_job', 'gfsc_job']");
        fixture.write(PLAN, &format!("{head}  wave \"heavy\"{heavy}\n  wave \"light\"{light}}}\n"));
    };
    degrades(edit, &["gfsc_job"]);
}

#[test]
fn the_list_set_after_the_services_degrades() {
    let edit = |fixture: &Fixture| {
        fixture.replace(PLAN, "      after = [step.first-types]\n", "");
        let set = format!("{{ types = \"{INDEPENDENT}\" }}\n");
        fixture.replace(PLAN, &set, &format!("{set}      after = [step.services]\n"));
    };
    degrades(edit, &["rlies1s2_job", "sws_wds_job"]);
}

#[test]
fn all_types_at_once_degrade() {
    degrades(|fixture| fixture.replace(PLAN, INDEPENDENT, ALL), &["rlies1s2_job", "sws_wds_job"]);
}

#[test]
fn a_gate_that_passes_at_once_degrades() {
    for (gate, types) in
        [("independent-caught-up", &["rlies1s2_job", "sws_wds_job"][..]), ("light-caught-up", &["gfsc_job"])]
    {
        let edit = |fixture: &Fixture| {
            let plan = fixture.read(PLAN);
            let (head, rest) = plan.split_once(&format!("gate \"{gate}\"")).unwrap();
            let rest = rest.replacen("result.lag < duration(\"1h\")", "true", 1);
            let rest = rest.replacen("consecutive = 3", "consecutive = 1", 1);
            fixture.write(PLAN, &format!("{head}gate \"{gate}\"{rest}"));
        };
        degrades(edit, types);
    }
}

/// Twice the same, for people and for machines, but for the order of what happens at the same instant; and
/// another seed differs.
#[test]
fn a_seed_is_a_story() {
    let fixture = Fixture::new();
    let tell = |more: &[&str]| {
        let told = fixture.ok(&[&["rehearse", "cold-start", "--downtime", "3d", "--seed"], more].concat());
        let mut lines: Vec<String> = told.stdout.lines().map(str::to_owned).collect();
        lines.sort();
        (lines, told.stdout)
    };
    for more in [&["7"][..], &["7", "--json"]] {
        assert!(tell(more).0 == tell(more).0, "two rehearsals with {more:?} differ");
    }
    assert!(tell(&["7"]).0 != tell(&["8"]).0, "seeds 7 and 8 don't differ");
    let plain = tell(&["7"]).1;
    assert!(plain.contains("0 products degraded."), "{plain}");
    let header = plain.lines().position(|line| line.starts_with("WAVE ")).unwrap();
    let waves: Vec<&str> =
        plain.lines().skip(header + 1).take(4).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(waves, ["infrastructure", "independent", "light", "heavy"]);
}

/// Every other plan can be rehearsed as well; and what the plan's own check is for happens there too.
#[test]
fn every_plan_is_rehearsed_and_nothing_is_left() {
    let fixture = Fixture::new();
    let before = listing(&fixture);
    for plan in ["bootstrap", "start", "stop"] {
        fixture.ok(&["rehearse", plan]).says("[simulated]");
    }
    let refused = fixture.run(&["rehearse", "cold-start", "--downtime", "6d"]);
    refused.code(3).says("raise rlies1s2_min_search_window_days and");
    assert_eq!(listing(&fixture), before, "a rehearsal left something behind");
}

/// Every file of the fixture.
fn listing(fixture: &Fixture) -> Vec<String> {
    let mut command = Command::new("find");
    let found = outcome(command.arg(fixture.path("")).args(["-type", "f", "-printf", "%p %s\\n"]));
    let mut files: Vec<String> = found.stdout.lines().map(str::to_owned).collect();
    assert!(files.len() > 10, "{found}");
    files.sort();
    files
}

/// No socket, no child: seen from outside, where that is possible.
#[test]
fn a_rehearsal_opens_no_socket_and_starts_no_child() {
    let Some(strace) = program("strace") else {
        println!("skipped: strace is not on PATH");
        return;
    };
    let fixture = Fixture::new();
    let trace = fixture.path("trace");
    let mut command = Command::new(strace);
    command.args(["-f", "-o"]).arg(&trace).args(["-e", "trace=socket,connect,bind,execve,fork,vfork"]);
    command.arg(env!("CARGO_BIN_EXE_blackstart")).args(["rehearse", "cold-start", "--downtime", "3d"]);
    command.current_dir(fixture.project()).env_clear().envs(fixture.variables());
    let done: Outcome = outcome(&mut command);
    if done.stderr.contains("ptrace") {
        println!("skipped: strace may not trace here");
        return;
    }
    done.code(0).says("0 products degraded.");
    let trace = std::fs::read_to_string(trace).unwrap();
    let calls: Vec<&str> =
        trace.lines().filter(|line| !line.contains("+++") && !line.contains("---")).collect();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert!(calls[0].contains("execve("), "{calls:#?}");
}
