//! What edited texts change in the job files of an environment, found by evaluating them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::files::{JobFile, Overlay, inputs, job_files, read_file, var_files};
use crate::base::{Diagnostics, threads};
use crate::environment::Environment;
use crate::jobspec::{Job, Path};

/// One job file that evaluates to something else.
pub(super) struct Changed {
    pub file: String,
    job: String,
    paths: Vec<String>,
    /// Why it can't be told, where it can't.
    pub unknown: Option<String>,
}

impl Changed {
    pub fn words(&self, environment: Option<&str>) -> String {
        let whose = environment.map(|name| format!("'{name}' reads it too: ")).unwrap_or_default();
        let what = match &self.unknown {
            Some(why) => format!("whether it changes can't be told: {why}"),
            None => format!("{} changes too", self.paths.join(", ")),
        };
        format!("{whose}{} ({}): {what}", self.job, self.file)
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
        let (id, paths, unknown) = match (job, &now) {
            (Ok(old), Ok(new)) if old.json == new.json => return None,
            (Ok(old), Ok(new)) => (old.id().to_owned(), differing(&old.json, &new.json), None),
            (Err(_), Err(_)) if !edited.contains(name.as_str()) => return None,
            (_, Err(found)) | (Err(found), _) => {
                let why = found.0.first().map(|problem| problem.message.clone()).unwrap_or_default();
                (job.as_ref().map_or("its job", Job::id).to_owned(), Vec::new(), Some(why))
            }
        };
        Some(Changed { file: name.clone(), job: id, paths, unknown })
    });
    Ok(found.into_iter().flatten().collect())
}

/// The paths at which two jobs differ.
pub(super) fn differing(old: &Value, new: &Value) -> Vec<String> {
    let all = |job: &Value| -> BTreeMap<String, Value> {
        Path::every(job).into_iter().map(|(path, value)| (path.to_string(), value.clone())).collect()
    };
    let (old, new) = (all(old), all(new));
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).cloned().collect()
}
