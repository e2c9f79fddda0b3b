//! The order of a patch's jobs: by what they depend on, directly or by way of jobs that aren't patched.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::edits::Edited;
use super::select::AT_ONCE;
use crate::base::text;
use crate::engine::StepError;
use crate::nomad::{Client, depends_on};
use crate::plan::levels;
use crate::step::jobs::refused;

/// What each of the jobs waits for among the others.
#[derive(Debug, Default)]
pub(super) struct After(BTreeMap<String, Vec<String>>);

impl After {
    /// What stands between two of the jobs is read from the server: nothing where it can't be two.
    pub async fn look(
        client: &Client,
        jobs: impl Iterator<Item = &Edited> + Clone,
    ) -> Result<Self, StepError> {
        let mut known: BTreeMap<String, Vec<String>> =
            jobs.clone().map(|job| (job.id.clone(), depends_on(&job.job))).collect();
        let patched: BTreeSet<String> = known.keys().cloned().collect();
        while patched.len() > 1 {
            let named: BTreeSet<&String> = known.values().flatten().collect();
            let between: Vec<String> =
                named.into_iter().filter(|id| !known.contains_key(*id)).cloned().collect();
            if between.is_empty() {
                break;
            }
            let read = |id: String| async move { client.job(&id).await.map(|job| (id, job)) };
            let found: Vec<(String, Option<Value>)> = stream::iter(between)
                .map(read)
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await
                .map_err(refused)?;
            // What isn't there is waited for by nobody.
            known.extend(
                found.into_iter().map(|(id, job)| (id, job.as_ref().map(depends_on).unwrap_or_default())),
            );
        }
        let after = |id: &String| (id.clone(), reached(id, &patched, &known));
        Ok(Self(patched.iter().map(after).collect()))
    }

    /// What a job waits for.
    pub fn of(&self, id: &str) -> &[String] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }

    /// The jobs in levels: each waits for the ones before it.
    pub fn levels<'a>(&self, jobs: impl Iterator<Item = &'a Edited>) -> Result<Vec<Vec<String>>, StepError> {
        let names: Vec<String> = jobs.map(|job| job.id.clone()).collect();
        levels(&names, &self.0).map_err(|cycle| {
            let mut path = cycle.0.clone();
            path.extend(cycle.0.first().cloned());
            StepError::untouched(format!(
                "these jobs depend on one another: {}",
                text::one_line(&path.join(" → "))
            ))
            .help("take one of the names out of a meta.depends_on, or patch them one by one")
        })
    }
}

/// The patched jobs that one leads to, directly or through jobs that aren't patched.
fn reached(id: &str, patched: &BTreeSet<String>, known: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let next = |id: &str| known.get(id).into_iter().flatten();
    let mut open: Vec<&String> = next(id).collect();
    let mut seen: BTreeSet<&String> = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(other) = open.pop() {
        if !seen.insert(other) {
            continue;
        }
        open.extend(next(other));
        // By way of others a job doesn't wait for itself.
        if patched.contains(other) && (other != id || next(id).any(|direct| direct == id)) {
            found.push(other.clone());
        }
    }
    found.sort();
    found
}
