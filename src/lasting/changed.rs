//! What edited texts change in the job files of an environment, found by evaluating them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::files::{JobFile, Overlay, inputs, job_files, read_file, var_files};
use crate::base::{Diagnostics, text, threads};
use crate::environment::Environment;
use crate::jobspec::{Change, Job, Path};

/// Of one job, this many values that change are told, and how many more there are.
const TOLD: usize = 6;

/// What stands on one line of a value.
const LONG: usize = 200;

/// One job file that evaluates to something else.
pub(super) struct Changed {
    pub file: String,
    pub job: String,
    pub differences: Vec<Change>,
    /// Why it can't be told, where it can't.
    pub unknown: Option<String>,
}

impl Changed {
    /// `JOB (FILE): PATH changes too: OLD → NEW`, with the name of the environment where it is `another` one.
    pub fn words(&self, environment: &Environment, another: bool) -> String {
        let name = environment.name();
        let whose = if another { format!("'{name}' reads it too: ") } else { String::new() };
        let what = match &self.unknown {
            Some(why) => format!("whether it changes can't be told: {why}"),
            None => {
                let mut told: Vec<String> = self.differences.iter().take(TOLD).map(difference).collect();
                let more = self.differences.len().saturating_sub(TOLD);
                told.extend((more > 0).then(|| format!("and {more} more")));
                told.join("; ")
            }
        };
        environment.secrets().mask(&format!("{whose}{} ({}): {what}", self.job, self.file))
    }

    /// How much changes; what isn't known counts as one value.
    pub fn count(&self) -> usize {
        self.differences.len().max(1)
    }
}

fn difference(Change { path, old, new }: &Change) -> String {
    format!("{path} changes too: {} → {}", shown(path, old), shown(path, new))
}

/// The value at a path in a few words.
pub(super) fn shown(path: &Path, value: &Value) -> String {
    let text = match value.as_i64() {
        Some(length) if path.is_span() => text::nanoseconds(length),
        _ => value.to_string(),
    };
    if text.chars().count() <= LONG {
        text
    } else {
        format!("{}…", text.chars().take(LONG).collect::<String>())
    }
}

/// The job files of an environment, looked at already or over other texts, that the edited texts change;
/// why that can't be told, where it can't. The `known` ones aren't looked at.
pub(super) fn changed(
    environment: &Environment,
    files: Result<&[JobFile], &Overlay>,
    edited: &BTreeSet<&str>,
    after: &Overlay,
    known: &BTreeSet<&str>,
) -> Result<Vec<Changed>, String> {
    let first = |found: &Diagnostics| found.0.first().map(|one| one.message.clone()).unwrap_or_default();
    let by_variables = var_files(environment).any(|name| edited.contains(name.as_str()));
    let inputs = inputs(environment, after).map_err(|found| first(&found))?;
    let read;
    let before = match files {
        Ok(files) => files,
        Err(before) => {
            read = job_files(environment, before).map_err(|found| first(&found))?;
            &read
        }
    };
    let read_it = |file: &JobFile| by_variables || edited.contains(file.name.as_str());
    let before: Vec<&JobFile> =
        before.iter().filter(|file| read_it(file) && !known.contains(file.name.as_str())).collect();
    let found = threads::each(threads::cores(), &before, |JobFile { name, job }| {
        let now = read_file(environment, name, &inputs, after);
        let (id, differences, unknown) = match (job, &now) {
            (Ok(old), Ok(new)) if old.json == new.json => return None,
            (Ok(old), Ok(new)) => (old.id().to_owned(), Path::differences(&old.json, &new.json), None),
            (Err(_), Err(_)) if !edited.contains(name.as_str()) => return None,
            (_, Err(found)) | (Err(found), _) => {
                let why = found.0.first().map(|problem| problem.message.clone()).unwrap_or_default();
                (job.as_ref().map_or("its job", Job::id).to_owned(), Vec::new(), Some(why))
            }
        };
        Some(Changed { file: name.clone(), job: id, differences, unknown })
    });
    Ok(found.into_iter().flatten().collect())
}
