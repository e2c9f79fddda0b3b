//! Every request of a patch fares badly once, in every way that a network and a server have: what becomes of
//! it is judged by the server's own state, and held against what was said.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "patch_faults/bench.rs"]
mod bench;
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

use bench::Outcome;
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

/// The one that doesn't: a policy was changed meanwhile.
const REFUSED: (&str, FaultKind) = ("403", FaultKind::Status(403));

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

fn run(place: &Place, scenario: &Scenario, fault: Option<(usize, FaultKind)>, seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(bench::run(place, scenario, fault, seed))
}

#[test]
fn every_request_of_a_patch_fares_badly_once() {
    let place = Place::new();
    let scenarios = scenarios::all();
    let faults: Vec<(&str, FaultKind)> = TRANSIENT.into_iter().chain([REFUSED]).collect();
    let mut jobs = Vec::new();
    for (number, scenario) in scenarios.iter().enumerate() {
        let usual = run(&place, scenario, None, 0);
        let (class, why) = judge::judge(scenario, &usual);
        assert_eq!(class, scenario.usual, "{} without a fault: {why}\n{:#?}", scenario.name, usual.told);
        for request in 0..usual.requests.len() {
            for fault in 0..faults.len() {
                // Two jobs are asked about alike: every other fault will do for each of their requests.
                if scenario.jobs.len() > 1 && (request + fault) % 2 == 1 {
                    continue;
                }
                let seed = u64::try_from(number * 1_000_000 + request * 100 + fault).unwrap();
                jobs.push(Job { scenario: number, fault, request, seed });
            }
        }
    }
    assert!(jobs.len() >= 1000, "only {} runs", jobs.len());

    let next = AtomicUsize::new(0);
    let table: Mutex<BTreeMap<(usize, Class), usize>> = Mutex::default();
    let rows: Mutex<BTreeMap<(usize, bool), [usize; 2]>> = Mutex::default();
    let wrong: Mutex<Vec<(usize, String)>> = Mutex::default();
    let work = || {
        while let Some((number, job)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|number| Some((number, jobs.get(number)?)))
        {
            let (scenario, (name, kind)) = (&scenarios[job.scenario], faults[job.fault]);
            let outcome = run(&place, scenario, Some((job.request, kind)), job.seed);
            let (class, why) = judge::judge(scenario, &outcome);
            *table.lock().unwrap().entry((job.fault, class)).or_default() += 1;
            let well = usize::from(class <= scenario.usual);
            let mut rows = rows.lock().unwrap();
            let row = rows.entry((job.scenario, name == REFUSED.0)).or_default();
            *row = [row[0] + well, row[1] + 1];
            drop(rows);
            if class >= Class::HalfSaid || (name != REFUSED.0 && class > scenario.usual) {
                let at = outcome.requests.get(job.request).cloned().unwrap_or_default();
                let text = format!(
                    "{}, {name} at request {} ({at}): {class:?} {why}\n      {}",
                    scenario.name,
                    job.request,
                    outcome.told.join("\n      ")
                );
                wrong.lock().unwrap().push((number, text));
            }
        }
    };
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(work);
        }
    });

    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    let table = table.into_inner().unwrap();
    let mut text = format!("{:14}", "");
    for class in CLASSES {
        write!(text, "{:>12}", format!("{class:?}")).unwrap();
    }
    for (number, (name, _)) in faults.iter().enumerate() {
        write!(text, "\n{name:14}").unwrap();
        for class in CLASSES {
            write!(text, "{:>12}", table.get(&(number, class)).copied().unwrap_or_default()).unwrap();
        }
    }
    let mut well = 0;
    for ((scenario, refused), [as_usual, all]) in rows.into_inner().unwrap() {
        let what = if refused { "refused" } else { "transient" };
        well += if refused { 0 } else { as_usual };
        write!(text, "\n{:52} {what:10} {as_usual:>5} of {all}", scenarios[scenario].name).unwrap();
    }
    println!("{} runs\n{text}", jobs.len());
    for (_, line) in &wrong {
        println!("  {line}");
    }
    let count = |test: &dyn Fn(usize, Class) -> bool| -> usize {
        table.iter().filter(|((fault, class), _)| test(*fault, *class)).map(|(_, n)| n).sum()
    };
    let passing = |fault: usize| faults[fault].0 != REFUSED.0;
    let transient = count(&|fault, _| passing(fault));
    assert_eq!(count(&|_, class| class >= Class::HalfSaid), 0, "half-said, doubled or overwritten");
    assert!(well * 100 >= transient * 99, "{well} of {transient} transient faults ended as without");
}
