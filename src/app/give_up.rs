//! Unsaved patches given up: nothing asks about them any more. What runs and what the files have stays.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::failure::Failure;
use super::open::Opened;
use super::save::{forget, meant};
use crate::base::text;
use crate::engine::digest_of;
use crate::environment::Environment;
use crate::jobspec::Path;
use crate::lasting::{self, Overlay, Unsaved, Why, job_files};

/// What is to be given up, and what becomes of it.
pub struct GivingUp {
    patches: Vec<Unsaved>,
    /// What becomes of each.
    after: Vec<String>,
    /// Of all of it, for an approval.
    pub digest: String,
}

impl GivingUp {
    pub fn is_empty(&self) -> bool {
        self.patches.is_empty()
    }

    /// Each patch and what becomes of it, several lines each.
    pub fn words(&self) -> Vec<String> {
        let both = |(patch, after): (&Unsaved, &String)| format!("{}\n{after}", patch.words());
        self.patches.iter().zip(&self.after).map(both).collect()
    }

    /// Each in short, once it is given up.
    pub fn dropped(&self) -> Vec<String> {
        let one = |patch: &Unsaved| {
            let stays = if patch.why.in_file() { "; it stays in the file" } else { "" };
            format!("{}{stays}", patch.words())
        };
        self.patches.iter().map(one).collect()
    }
}

/// The unsaved patches of these services (all, where none is named), to be given up.
pub async fn to_give_up(opened: &Opened, services: &[String]) -> Result<GivingUp, Failure> {
    let environment = opened.environment(BTreeMap::new(), None)?;
    let patches = meant(opened.unsaved(&environment).await?, services)?;
    if patches.is_empty() {
        return Ok(GivingUp { patches, after: Vec::new(), digest: String::new() });
    }
    let runs = match environment.nomad().await {
        // Those that the server is known not to have are no unsaved patches.
        Ok(client) if client.leader().await.is_ok() => {
            format!("it runs so in '{}' (Nomad at {}), and goes on", environment.name(), client.address())
        }
        _ => "whether it runs so can't be seen: Nomad can't be asked".to_owned(),
    };
    let filed = filed(&environment, &patches);
    let after = patches.iter().zip(&filed).map(|(patch, filed)| becomes(patch, filed.as_ref(), &runs));
    let after: Vec<String> = after.collect();
    let each = |(patch, after): (&Unsaved, &String)| {
        json!([patch.change.job, patch.change.path, patch.change.new, patch.change.run, after])
    };
    let digest = digest_of(&json!({
        "give up": patches.iter().zip(&after).map(each).collect::<Vec<_>>(),
        "project": opened.project.name,
        "environment": environment.name(),
    }));
    Ok(GivingUp { patches, after, digest })
}

/// What the files have in the place of each.
fn filed(environment: &Environment, patches: &[Unsaved]) -> Vec<Option<Value>> {
    let files = job_files(environment, &Overlay::default()).unwrap_or_default();
    let jobs: BTreeSet<&str> = patches.iter().map(|patch| patch.change.job.as_str()).collect();
    let jobs: BTreeMap<&str, &Value> = files
        .iter()
        .filter_map(|file| file.job.as_ref().ok())
        .filter(|job| jobs.contains(job.id()))
        .map(|job| (job.id(), &job.json))
        .collect();
    let value = |patch: &Unsaved| {
        let path: Path = patch.change.path.parse().ok()?;
        path.get(jobs.get(patch.change.job.as_str())?).cloned().filter(|value| !value.is_null())
    };
    patches.iter().map(value).collect()
}

/// What becomes of a patch that nothing asks about any more.
fn becomes(patch: &Unsaved, filed: Option<&Value>, runs: &str) -> String {
    let next = match (&patch.why, filed) {
        (Why::NotInFile { file }, Some(value)) => {
            let value = text::one_line(&patch.shown(value));
            format!("the next start takes {value} from {file}; a restart keeps what runs")
        }
        (Why::NotInFile { file }, None) => {
            format!("a start from {file}, which has no such value, undoes it; a restart keeps what runs")
        }
        (Why::NoFile, _) => "no file brings it back once the job is stopped".to_owned(),
        (Why::NotCommitted { file }, _) => {
            format!("{file} keeps it here, and a start from what is committed undoes it")
        }
        (Why::NotPushed { file, to }, _) => {
            format!("{file} keeps it here, and a start from {to} undoes it")
        }
        (Why::Several(_) | Why::Unreadable { .. } | Why::Git { .. }, _) => {
            "the next start takes what the job's file says then".to_owned()
        }
    };
    format!("{runs}; {next}")
}

/// Gives them up: who approved it, and how, is recorded.
pub fn give_up(opened: &Opened, what: GivingUp, who: &str, how: &str) -> Result<Vec<String>, Failure> {
    let dropped = what.dropped();
    let keys = what.patches.into_iter().map(|patch| (patch.change.job, patch.change.path)).collect();
    forget(opened, "patch-drop", keys, lasting::DROP, Some((what.digest, who.to_owned(), how.to_owned())))?;
    Ok(dropped)
}
