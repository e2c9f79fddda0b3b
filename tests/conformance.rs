//! Job files read as real Nomad reads them: every key and value.
//!
//! The measure lies outside the repository, in ../shared/conformance or where CONFORMANCE_DIR says;
//! where it is absent, this test says so and passes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use std::collections::BTreeMap;
use std::fs;

use blackstart::base::Source;
use blackstart::jobspec::{Job, parse};

mod corpus;

use corpus::{Case, cases, corpus, difference};

fn judge(case: &Case) -> Result<(), String> {
    let source = Source::new(case.name.clone(), fs::read_to_string(&case.file).unwrap());
    match (parse(&source, &case.inputs), &case.expected) {
        (Ok(Job { json, .. }), Some(expected)) => {
            difference("Job", &json, expected.get("Job").unwrap_or(expected)).map_or(Ok(()), Err)
        }
        (Ok(_), None) => Err("Nomad refuses this, we don't".to_owned()),
        (Err(errors), Some(_)) => Err(format!("Nomad takes this, we say {errors}")),
        (Err(errors), None) if errors.0.iter().all(|error| error.span.is_some()) => Ok(()),
        (Err(errors), None) => Err(format!("a refusal without a place: {errors}")),
    }
}

#[test]
fn nomad_agrees() {
    let Some(corpus) = corpus() else { return };
    let mut counts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut failures = Vec::new();
    for case in cases(&corpus) {
        let count = counts.entry(case.folder.clone()).or_default();
        match judge(&case) {
            Ok(()) => count.0 += 1,
            Err(why) => {
                count.1 += 1;
                failures.push(format!("{}: {}", case.name, why));
            }
        }
    }
    for (folder, (passed, failed)) in &counts {
        println!("{folder}: {passed} passed, {failed} failed");
    }
    let (passed, failed) = counts.values().fold((0, 0), |(p, f), (passed, failed)| (p + passed, f + failed));
    println!("{passed} passed, {failed} failed");
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(passed > 100, "the corpus is incomplete");
}
