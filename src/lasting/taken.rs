//! Which values of a running job its file doesn't have.
//!
//! Judged by the server: of all values at which the two differ, those are taken that take a difference out
//! of its plan. What a file leaves out and the server fills in, or has elsewhere, stays as it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::jobspec::Path;
use crate::nomad::{Client, NomadError, diff_lines, is_unchanged};

/// What was found.
#[derive(Debug, Default)]
pub struct Taken {
    /// What the file has to say; null takes a value out.
    pub values: Vec<(Path, Value)>,
    /// Differences that no value of the file stands for.
    pub left: Vec<String>,
}

/// Compares a job as its file has it with the one that runs.
pub async fn taken(client: &Client, written: &Value, running: &Value) -> Result<Taken, NomadError> {
    let (file, live) = (all(written), all(running));
    let mut candidates: Vec<(&Path, Value)> = Vec::new();
    for (name, (path, value)) in &file {
        match live.get(name) {
            Some((_, now)) if now == value => {}
            Some((_, now)) => candidates.push((path, now.clone())),
            // A name that was taken out of a map; of a field the server always has a value.
            None => candidates.push((path, path.get(running).cloned().unwrap_or_default())),
        }
    }
    for (name, (path, value)) in &live {
        if !file.contains_key(name) {
            candidates.push((path, value.clone()));
        }
    }
    let mut job = written.clone();
    let mut found = Taken::default();
    let mut open = client.plan(&job).await?;
    for (path, value) in candidates {
        if is_unchanged(&open.diff) {
            break;
        }
        let mut tried = job.clone();
        if !is_named(path, running, &open.diff) || path.set(&mut tried, &value).is_err() {
            continue;
        }
        let now = client.plan(&tried).await?;
        if diff_lines(&now.diff).len() < diff_lines(&open.diff).len() {
            (job, open) = (tried, now);
            found.values.push((path.clone(), value));
        }
    }
    if !is_unchanged(&open.diff) {
        let lines = diff_lines(&open.diff);
        found.left = lines.iter().filter(|line| line.field.is_some()).map(ToString::to_string).collect();
        if found.left.is_empty() {
            found.left = lines.iter().map(ToString::to_string).collect();
        }
    }
    Ok(found)
}

/// Every value of a job by its path; a list counts as one.
fn all(job: &Value) -> BTreeMap<String, (Path, Value)> {
    let mut all = BTreeMap::new();
    for (path, value) in Path::every(job) {
        let name = path.to_string();
        let list = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
        let list = list.filter(|(_, at)| at.bytes().all(|b| b.is_ascii_digit()));
        let whole: Option<Path> = list.and_then(|(list, _)| list.parse().ok());
        match whole.and_then(|list| Some((list.get(job)?.clone(), list))) {
            Some((items, list)) => all.insert(list.to_string(), (list, items)),
            None => all.insert(name, (path, value.clone())),
        };
    }
    all
}

/// Whether the diff has a field that could be this value's: the server names fields as its structs do.
fn is_named(path: &Path, job: &Value, diff: &Value) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let names = plain(&format!("{path} {}", path.pointer(job).unwrap_or_default()));
    diff_lines(diff).iter().filter_map(|line| line.field.as_deref()).any(|field| {
        let last = plain(field.rsplit(['.', '[']).next().unwrap_or(field));
        !last.is_empty() && names.contains(&last)
    })
}
