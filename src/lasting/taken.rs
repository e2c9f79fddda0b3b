//! Which values of a running job its file doesn't have.
//!
//! Judged by the server: of all values at which the two differ, those are taken without which its plan
//! would still show a difference. What a file leaves out and the server fills in stays left out.

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
    let all = |job: &Value| -> BTreeMap<String, (Path, Value)> {
        Path::every(job).into_iter().map(|(path, value)| (path.to_string(), (path, value.clone()))).collect()
    };
    let (file, live) = (all(written), all(running));
    let mut sure = Vec::new();
    let mut perhaps = Vec::new();
    for (name, (path, value)) in &file {
        match live.get(name) {
            Some((_, now)) if now == value => {}
            Some((_, now)) => sure.push((path.clone(), now.clone())),
            // A name that was taken out of a map; of a field the server always has one.
            None => sure.push((path.clone(), path.get(running).cloned().unwrap_or_default())),
        }
    }
    for (name, (path, value)) in &live {
        if !file.contains_key(name) {
            perhaps.push((path.clone(), value.clone()));
        }
    }
    let mut job = written.clone();
    let mut found = Taken::default();
    for (path, value) in sure {
        if path.set(&mut job, &value).is_ok() {
            found.values.push((path, value));
        }
    }
    let mut open = client.plan(&job).await?;
    for (path, value) in perhaps {
        if is_unchanged(&open.diff) {
            break;
        }
        if !is_named(&path, &open.diff) {
            continue;
        }
        let mut tried = job.clone();
        if path.set(&mut tried, &value).is_err() {
            continue;
        }
        let now = client.plan(&tried).await?;
        if diff_lines(&now.diff).len() < diff_lines(&open.diff).len() {
            (job, open) = (tried, now);
            found.values.push((path, value));
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

/// Whether the diff has a field that could be this value's: the server's names are those of its structs,
/// in which a path's words are run together.
fn is_named(path: &Path, diff: &Value) -> bool {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let path = plain(&path.to_string());
    diff_lines(diff).iter().filter_map(|line| line.field.as_deref()).any(|field| {
        let last = field.rsplit(['.', '[']).next().unwrap_or(field);
        let last = plain(last);
        let last = last.strip_suffix("mb").unwrap_or(&last);
        !last.is_empty() && path.contains(last)
    })
}
