//! Job files read as real Nomad reads them: every key and value.
//!
//! The measure lies outside the repository, in ../shared/conformance or where CONFORMANCE_DIR says;
//! where it is absent, this test says so and passes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use blackstart::base::Source;
use blackstart::jobspec::{Inputs, Job, parse};
use serde_json::Value as Json;

fn corpus() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance");
    let dir = std::env::var_os("CONFORMANCE_DIR").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: there is no {}", dir.display());
    None
}

struct Case {
    folder: String,
    name: String,
    file: PathBuf,
    inputs: Inputs,
    /// What Nomad gives; none where it refuses.
    expected: Option<Json>,
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// `-var a=b`, `-var=a=b`, `-var-file f` and `NAME=value` before the command, quoted as a shell would.
fn arguments(text: &str, dir: &Path, inputs: &mut Inputs) {
    let mut words: Vec<String> = Vec::new();
    let (mut quote, mut word, mut open) = (None, String::new(), false);
    for c in text.trim().chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, ' ') => {
                if open || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let word = word.strip_prefix("--").map_or(word.clone(), |rest| format!("-{rest}"));
        let mut value = |flag: &str| match word.strip_prefix(flag)?.strip_prefix('=') {
            Some(value) => Some(value.to_owned()),
            None if word == flag => words.next(),
            None => None,
        };
        if let Some(file) = value("-var-file") {
            let text = fs::read_to_string(dir.join(&file)).unwrap();
            inputs.var_files.push(Source::new(file, text));
        } else if let Some(pair) = value("-var") {
            let (name, value) = pair.split_once('=').unwrap();
            inputs.variables.push((name.to_owned(), value.to_owned()));
        } else if let Some((name, value)) = word.split_once('=') {
            inputs.environment.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn inputs(dir: &Path, flags: &[PathBuf]) -> Inputs {
    let mut inputs = Inputs { root: dir.to_owned(), ..Inputs::default() };
    for flags in flags.iter().filter(|path| path.exists()) {
        arguments(&fs::read_to_string(flags).unwrap(), dir, &mut inputs);
    }
    inputs
}

fn cases(corpus: &Path) -> Vec<Case> {
    let read = |path: &Path| serde_json::from_str::<Json>(&fs::read_to_string(path).unwrap()).unwrap();
    let mut cases = Vec::new();
    let mut all = Vec::new();
    let jobs = corpus.join("jobs");
    files_below(&jobs, &mut all);
    for file in &all {
        let (json, refused) = (with_suffix(file, ".json"), with_suffix(file, ".err"));
        if !json.exists() && !refused.exists() {
            continue;
        }
        let name = file.strip_prefix(&jobs).unwrap().to_string_lossy().into_owned();
        let folder = format!("jobs/{}", name.split('/').next().unwrap());
        let dir = file.parent().unwrap();
        let inputs = inputs(dir, &[with_suffix(file, ".args")]);
        cases.push(Case {
            folder,
            name,
            file: file.clone(),
            inputs,
            expected: json.exists().then(|| read(&json)),
        });
    }
    let mut folders: Vec<PathBuf> =
        fs::read_dir(corpus.join("semantics")).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for dir in folders {
        let json = dir.join("expected.json");
        cases.push(Case {
            folder: "semantics".to_owned(),
            name: dir.file_name().unwrap().to_string_lossy().into_owned(),
            file: dir.join("c.nomad"),
            inputs: inputs(&dir, &[dir.join("cmd.txt")]),
            expected: json.exists().then(|| read(&json)),
        });
    }
    cases
}

/// The first place at which the two differ; null and absent count as equal.
fn difference(path: &str, ours: &Json, theirs: &Json) -> Option<String> {
    match (ours, theirs) {
        (Json::Object(a), Json::Object(b)) => {
            a.keys().chain(b.keys().filter(|key| !a.contains_key(*key))).find_map(|key| {
                let value = |map: &serde_json::Map<String, Json>| map.get(key).cloned().unwrap_or_default();
                difference(&format!("{path}.{key}"), &value(a), &value(b))
            })
        }
        (Json::Array(a), Json::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| difference(&format!("{path}[{i}]"), a, b))
        }
        _ if ours == theirs => None,
        _ => Some(format!("{path}: ours {ours}, Nomad's {theirs}")),
    }
}

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
