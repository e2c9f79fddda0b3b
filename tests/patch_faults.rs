//! Every request of a patch fares badly once, in every way that a network and a server have: what becomes of
//! it is judged by the server's own state, and held against what was said.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "patch_faults/bench.rs"]
mod bench;
#[path = "patch_faults/commits.rs"]
mod commits;
#[path = "patch_faults/judge.rs"]
mod judge;
#[path = "patch_faults/patching.rs"]
mod patching;
#[path = "patch_faults/scenarios.rs"]
mod scenarios;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bench::{Bad, Kill, Outcome, Trouble};
use blackstart::sim::FaultKind;
use judge::Class;
use patching::Place;
use scenarios::Scenario;

/// The faults that pass by themselves.
const TRANSIENT: [(&str, FaultKind); 9] = [
    ("500", FaultKind::Status(500)),
    ("429", FaultKind::Status(429)),
    ("reset", FaultKind::Reset),
    ("answer lost", FaultKind::Lost),
    ("slow", FaultKind::Slow(100.0)),
    ("slow answer", FaultKind::SlowAnswer(100.0)),
    ("lower index", FaultKind::Index(1)),
    ("higher index", FaultKind::Index(1_000_000)),
    ("cut short", FaultKind::Truncated),
];

/// What may pass (a server that hasn't heard of the token yet), and what doesn't: a policy was changed.
const REFUSED: [(&str, FaultKind); 2] =
    [("403", FaultKind::Status(403)), ("403 from then on", FaultKind::Status(403))];

const CLASSES: [Class; 7] = [
    Class::Done,
    Class::Reverted,
    Class::Untouched,
    Class::Unfinished,
    Class::HalfSaid,
    Class::Doubled,
    Class::Overwritten,
];

/// One run to be made: scenario, fault, request, seed.
struct Job {
    scenario: usize,
    fault: usize,
    request: usize,
    seed: u64,
}

/// Whether a fault passes by itself, as [`TRANSIENT`] ones do.
fn passes(fault: usize) -> bool {
    fault < TRANSIENT.len()
}

fn run(place: &Place, scenario: &Scenario, trouble: Trouble, seed: u64) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(!scenario.commits());
    runtime.build().unwrap().block_on(bench::run(place, scenario, trouble, seed))
}

/// Does the work of each number below `all`, on both cores.
fn each(all: usize, one: impl Fn(usize) + Sync) {
    side_by_side(2, all, one);
}

fn side_by_side(threads: usize, all: usize, one: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= all {
            return;
        }
        one(number);
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
}

/// Every request of every scenario, with every fault.
fn to_do(place: &Place, scenarios: &[Scenario], faults: usize) -> Vec<Job> {
    let mut jobs = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let usual = run(place, scenario, Trouble::default(), 0);
        let (class, why) = judge::judge(scenario, &usual);
        assert_eq!(class, scenario.usual, "{} without a fault: {why}\n{:#?}", scenario.name, usual.told);
        for request in 0..usual.requests.len() {
            for fault in 0..faults {
                // Most is asked for in each of them: every sixth fault will do for their requests.
                if number > 0 && (request + number + fault) % 6 != 0 {
                    continue;
                }
                let seed = u64::try_from(number * 1_000_000 + request * 100 + fault).unwrap();
                jobs.push(Job { scenario: number, fault, request, seed });
            }
        }
    }
    jobs
}

/// What came of the runs.
#[derive(Default)]
struct Tally {
    by_fault: BTreeMap<(usize, Class), usize>,
    /// Of each scenario: how many transient faults ended well, and how many there were.
    by_scenario: BTreeMap<usize, [usize; 2]>,
    /// What went otherwise than it should, by the run's number.
    wrong: BTreeMap<usize, String>,
}

impl Tally {
    fn count(&self, test: impl Fn(usize, Class) -> bool) -> usize {
        self.by_fault.iter().filter(|((fault, class), _)| test(*fault, *class)).map(|(_, n)| n).sum()
    }

    fn shown(&self, faults: &[(&str, FaultKind)], scenarios: &[Scenario]) -> String {
        let mut text = format!("{:17}", "");
        for class in CLASSES {
            write!(text, "{:>12}", format!("{class:?}")).unwrap();
        }
        for (number, (name, _)) in faults.iter().enumerate() {
            write!(text, "\n{name:17}").unwrap();
            for class in CLASSES {
                write!(text, "{:>12}", self.count(|fault, own| (fault, own) == (number, class))).unwrap();
            }
        }
        for (scenario, [well, all]) in &self.by_scenario {
            write!(text, "\n{:52} {well:>5} of {all} done or reverted", scenarios[*scenario].name).unwrap();
        }
        for line in self.wrong.values() {
            write!(text, "\n  {line}").unwrap();
        }
        text
    }
}

#[test]
fn every_request_of_a_patch_fares_badly_once() {
    let place = Place::new();
    let scenarios = scenarios::all();
    let faults: Vec<(&str, FaultKind)> = TRANSIENT.into_iter().chain(REFUSED).collect();
    let jobs = to_do(&place, &scenarios, faults.len());
    assert!(jobs.len() >= 1000, "only {} runs", jobs.len());

    let tally: Mutex<Tally> = Mutex::default();
    each(jobs.len(), |number| {
        let job = &jobs[number];
        let (scenario, (name, kind)) = (&scenarios[job.scenario], faults[job.fault]);
        let bad = Bad { request: job.request, kind, from_then_on: name.ends_with("from then on") };
        let trouble = Trouble { fault: Some(bad), kills: Vec::new(), cut: None };
        let outcome = run(&place, scenario, trouble, job.seed);
        let (class, why) = judge::judge(scenario, &outcome);
        let mut tally = tally.lock().unwrap();
        *tally.by_fault.entry((job.fault, class)).or_default() += 1;
        if passes(job.fault) {
            let row = tally.by_scenario.entry(job.scenario).or_default();
            *row = [row[0] + usize::from(class <= Class::Reverted), row[1] + 1];
        }
        if class >= Class::HalfSaid || (passes(job.fault) && class > Class::Reverted) {
            let at = outcome.requests.get(job.request).cloned().unwrap_or_default();
            let told = outcome.told.join("\n      ");
            let line =
                format!("{}, {name} at {} ({at}): {class:?} {why}\n      {told}", scenario.name, job.request);
            tally.wrong.insert(number, line);
        }
    });

    let tally = tally.into_inner().unwrap();
    println!("{} runs\n{}", jobs.len(), tally.shown(&faults, &scenarios));
    let transient = tally.count(|fault, _| passes(fault));
    let well = tally.count(|fault, class| passes(fault) && class <= Class::Reverted);
    assert_eq!(tally.count(|_, class| class >= Class::HalfSaid), 0, "half-said, doubled or overwritten");
    assert!(well * 100 >= transient * 99, "{well} of {transient} transient faults ended done or reverted");
}

/// Scaling and starting register once as well, however their requests fare.
#[test]
fn what_is_no_patch_is_done_once() {
    let place = Place::new();
    for scenario in scenarios::services() {
        let usual = run(&place, &scenario, Trouble::default(), 0);
        assert_eq!(judge::judge(&scenario, &usual).0, Class::Done, "{:#?}", usual.told);
        each(usual.requests.len(), |request| {
            for (fault, (name, kind)) in TRANSIENT.into_iter().enumerate() {
                let writes = usual.requests[request].starts_with("POST");
                if !writes && (request + fault) % 3 != 0 {
                    continue;
                }
                let bad = Bad { request, kind, from_then_on: false };
                let trouble = Trouble { fault: Some(bad), kills: Vec::new(), cut: None };
                let outcome = run(&place, &scenario, trouble, u64::try_from(request * 10 + fault).unwrap());
                let (class, why) = judge::judge(&scenario, &outcome);
                let at = &usual.requests[request];
                assert_eq!(
                    class,
                    Class::Done,
                    "{}, {name} at {at}: {why}\n{:#?}",
                    scenario.name,
                    outcome.told
                );
            }
        });
    }
}

#[test]
fn a_patch_that_is_killed_anywhere_is_ended_by_a_resume() {
    let place = Place::new();
    let mut scenarios = scenarios::all();
    // A start that is killed before its record begins is no different from the stop before it.
    scenarios.extend(scenarios::services().into_iter().filter(|one| one.service == Some("scale")));
    let mut jobs: Vec<(usize, Vec<Kill>, u64)> = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let requests = run(&place, scenario, Trouble::default(), 0).requests.len();
        for request in 0..requests {
            let after = (request + number) % 2 == 0;
            let seed = u64::try_from(number * 1_000_000 + request * 10).unwrap();
            let first = Kill { request, after };
            if (request + number) % 5 < 2 {
                jobs.push((number, vec![first], seed));
            }
            // And once more while it is gone on with.
            let second = Kill { request: request + 1 + request * 7 % 23, after: !after };
            if request % 8 == number % 8 {
                jobs.push((number, vec![first, second], seed));
            }
        }
    }
    let classes: Mutex<BTreeMap<Class, usize>> = Mutex::default();
    let wrong: Mutex<BTreeMap<usize, String>> = Mutex::default();
    each(jobs.len(), |number| {
        let (scenario, kills, seed) = &jobs[number];
        let scenario = &scenarios[*scenario];
        let outcome = run(&place, scenario, Trouble { fault: None, kills: kills.clone(), cut: None }, *seed);
        let (class, why) = judge::judge(scenario, &outcome);
        *classes.lock().unwrap().entry(class).or_default() += 1;
        let expected = class == scenario.usual || (outcome.journal.is_empty() && class == Class::Untouched);
        if !expected {
            let at: Vec<&String> =
                kills.iter().filter_map(|kill| outcome.requests.get(kill.request)).collect();
            let told = outcome.told.join("\n      ");
            let line = format!("{}, killed {kills:?} ({at:?}): {class:?} {why}\n      {told}", scenario.name);
            wrong.lock().unwrap().insert(number, line);
        }
    });
    let wrong: Vec<String> = wrong.into_inner().unwrap().into_values().collect();
    println!(
        "{} runs, killed once or twice and gone on with: {:?}",
        jobs.len(),
        classes.into_inner().unwrap()
    );
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), jobs.len(), wrong.join("\n"));
}

/// With a commit at its end: after one fault, or killed at a request or at anything that was told and gone on
/// with, the server, the files, the commit and the ledger agree.
#[test]
fn what_is_committed_is_what_runs() {
    if !commits::has_git() {
        println!("skipped: git is not on PATH");
        return;
    }
    let place = Place::new();
    let scenarios = scenarios::committed();
    let mut jobs: Vec<(usize, Trouble, String)> = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let usual = run(&place, scenario, Trouble::default(), 0);
        let (class, why) = judge::judge(scenario, &usual);
        assert_eq!(class, scenario.usual, "{} without a fault: {why}\n{:#?}", scenario.name, usual.told);
        let commits = usual.tree.unwrap().commits.len();
        assert_eq!(commits, usize::from(!scenario.revert_all), "{}: {:#?}", scenario.name, usual.told);
        for (request, what) in usual.requests.iter().enumerate() {
            for (fault, (name, kind)) in TRANSIENT.into_iter().enumerate() {
                // What is slow is for virtual time: here a deployment may end before the answer comes.
                let slow = matches!(kind, FaultKind::Slow(_) | FaultKind::SlowAnswer(_));
                if !slow && (request * 7 + number * 5 + fault) % 27 == 0 {
                    let fault = Some(Bad { request, kind, from_then_on: false });
                    let trouble = Trouble { fault, ..Trouble::default() };
                    jobs.push((number, trouble, format!("{name} at {request} ({what})")));
                }
            }
            if (request + number) % 6 == 0 {
                let kills = vec![Kill { request, after: request % 2 == 0 }];
                let trouble = Trouble { kills, ..Trouble::default() };
                jobs.push((number, trouble, format!("killed at {request} ({what})")));
            }
        }
        // What is said in the end is said around the files and the commit: of the first all of it.
        let last = usual.told.iter().position(|line| line.contains("healthy")).unwrap();
        for (line, what) in usual.told.iter().enumerate().skip(last).step_by(1 + number) {
            let trouble = Trouble { cut: Some(line), ..Trouble::default() };
            jobs.push((number, trouble, format!("killed after {what:?}")));
        }
    }
    let classes: Mutex<BTreeMap<Class, usize>> = Mutex::default();
    let wrong: Mutex<BTreeMap<usize, String>> = Mutex::default();
    // They wait for the clock more than they work.
    side_by_side(8, jobs.len(), |number| {
        let (scenario, trouble, what) = &jobs[number];
        let scenario = &scenarios[*scenario];
        let outcome = run(&place, scenario, trouble.clone(), u64::try_from(number).unwrap());
        let (class, why) = judge::judge(scenario, &outcome);
        *classes.lock().unwrap().entry(class).or_default() += 1;
        let gone_on = outcome.killed && outcome.journal.is_empty() && class == Class::Untouched;
        if class != scenario.usual && !gone_on {
            let told = outcome.told.join("\n      ");
            let line = format!("{}, {what}: {class:?} {why}\n      {told}", scenario.name);
            wrong.lock().unwrap().insert(number, line);
        }
    });
    let wrong: Vec<String> = wrong.into_inner().unwrap().into_values().collect();
    println!("{} runs with a commit: {:?}", jobs.len(), classes.into_inner().unwrap());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), jobs.len(), wrong.join("\n"));
}
