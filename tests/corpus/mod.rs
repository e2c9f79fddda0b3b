//! The conformance corpus: real job files, and what real Nomad makes of them.
//!
//! It lies outside the repository, in ../shared/conformance or where CONFORMANCE_DIR says.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use blackstart::base::Source;
use blackstart::jobspec::Inputs;
use serde_json::Value as Json;

/// The folder; where it is absent, that is said.
pub fn corpus() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/conformance");
    let dir = std::env::var_os("CONFORMANCE_DIR").map_or_else(|| PathBuf::from(beside), PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    println!("skipped: there is no {}", dir.display());
    None
}

pub struct Case {
    pub folder: String,
    pub name: String,
    pub file: PathBuf,
    pub inputs: Inputs,
    /// What Nomad gives; none where it refuses.
    pub expected: Option<Json>,
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

pub fn cases(corpus: &Path) -> Vec<Case> {
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
pub fn difference(path: &str, ours: &Json, theirs: &Json) -> Option<String> {
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
