//! Live changes taken into the files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::failure::{Code, Failure, chain};
use super::open::Opened;
use crate::base::secret::MASK;
use crate::base::{RunId, text};
use crate::dialect::Reader;
use crate::engine::Facts;
use crate::environment::Environment;
use crate::jobspec::Path;
use crate::journal::{self, Body, Run};
use crate::lasting::{self, Drift, How, Unsaved, Why, ledger};
use crate::plan;
use crate::sim;
use crate::step::{Only, ServiceChange, Wanted};

/// What is to be written, and what can't be.
#[derive(Default)]
pub struct Saving {
    /// None where there is nothing to write.
    pub wanted: Option<Wanted>,
    /// What the files have, and nobody committed.
    pub written: Vec<String>,
    pub left: Vec<String>,
}

/// The unsaved patches of these services, or all.
pub(super) fn meant(unsaved: Vec<Unsaved>, services: &[String]) -> Result<Vec<Unsaved>, Failure> {
    let jobs: Vec<&str> = unsaved.iter().map(|patch| patch.change.job.as_str()).collect();
    if let Some(stranger) = services.iter().find(|service| !jobs.contains(&service.as_str())) {
        let help = match text::nearest(stranger, jobs.iter().copied()) {
            Some(near) => format!("did you mean '{near}'?"),
            None if jobs.is_empty() => "nothing is unsaved".to_owned(),
            None => {
                let mut jobs = jobs.clone();
                jobs.dedup();
                format!("unsaved are patches of {}", text::list(&jobs))
            }
        };
        return Err(Failure::error(format!("'{stranger}' has no unsaved patch")).help(help));
    }
    let is_meant = |patch: &Unsaved| services.is_empty() || services.contains(&patch.change.job);
    Ok(unsaved.into_iter().filter(is_meant).collect())
}

/// What takes the unsaved patches of these services (all, where none is named) into the files.
pub async fn to_save(
    opened: &Opened,
    services: &[String],
    commit: bool,
    shared: bool,
) -> Result<Saving, Failure> {
    let environment = opened.environment(BTreeMap::new(), None)?;
    let patches = meant(opened.unsaved(&environment).await?, services)?;
    let mut saving = Saving::default();
    let mut by_job: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for Unsaved { change, why } in patches {
        match why {
            Why::NoFile | Why::Several(_) | Why::Unreadable { .. } => {
                saving.left.push(format!("{} {}: {}", change.job, change.path, why.words()));
                continue;
            }
            // The work tree has it: without a commit there is nothing to write.
            why if why.in_file() && !commit => {
                saving.written.push(format!("{} {}: {}", change.job, change.path, why.words()));
                continue;
            }
            _ => {}
        }
        let value = if change.new.to_string().contains(MASK) {
            // The journal doesn't have it: what runs does.
            match running(&environment, &change.job, &change.path).await {
                Ok(value) => value,
                Err(why) => {
                    saving.left.push(format!("{} {}: {why}", change.job, change.path));
                    continue;
                }
            }
        } else {
            change.new
        };
        by_job.entry(change.job).or_default().insert(change.path, value);
    }
    saving.wanted = wanted(by_job, commit, shared);
    Ok(saving)
}

fn wanted(by_job: BTreeMap<String, BTreeMap<String, Value>>, commit: bool, shared: bool) -> Option<Wanted> {
    let service = |(service, set)| ServiceChange { service, set, ..ServiceChange::default() };
    let services: Vec<ServiceChange> = by_job.into_iter().map(service).collect();
    (!services.is_empty()).then(|| Wanted {
        services,
        only: Some(Only::File),
        commit,
        shared,
        ..Wanted::default()
    })
}

async fn running(environment: &Environment, job: &str, path: &str) -> Result<Value, String> {
    let client = environment.nomad().await.map_err(|error| chain(&error))?;
    let found = client.job(job).await.map_err(|error| chain(&error))?.ok_or("it doesn't run any more")?;
    let path: Path = path.parse().map_err(|error: crate::jobspec::PathError| error.to_string())?;
    path.get(&found).cloned().ok_or_else(|| "what runs doesn't have it any more".to_owned())
}

/// What takes what runs into the files: of each job that differs, the values that the server says differ.
pub async fn drift_to_save(
    opened: &Opened,
    found: &Drift,
    commit: bool,
    shared: bool,
) -> Result<Saving, Failure> {
    let environment = opened.environment(BTreeMap::new(), None)?;
    let client = environment.nomad().await?;
    let mut saving = Saving::default();
    let mut by_job = BTreeMap::new();
    for job in &found.jobs {
        let id = text::one_line(&job.id);
        match (job.how, &job.written, &job.running) {
            (How::Differs, Some(written), Some(running)) => {
                let taken = lasting::taken(&client, written, running).await;
                let taken = taken.map_err(|error| Failure::error(chain(&error)))?;
                saving.left.extend(taken.left.into_iter().map(|line| format!("{id}: {line}")));
                let values = taken.values.into_iter().map(|(path, value)| (path.to_string(), value));
                by_job.insert(job.id.clone(), values.collect::<BTreeMap<_, _>>());
            }
            (How::NoFile, ..) => saving.left.push(format!("{id} runs and no file holds it")),
            _ => {}
        }
    }
    by_job.retain(|_, values: &mut BTreeMap<String, Value>| !values.is_empty());
    // What somebody changed is a patch from here on: saved once the files have it as patches have to be.
    saving.wanted = wanted(by_job, commit, shared).map(|wanted| Wanted { running: true, ..wanted });
    Ok(saving)
}

/// Where a plan found the jobs to be as their files say, without registering them: what was patched in them
/// and is saved is of the past, as it is where they are registered from there.
pub(super) async fn settle(
    opened: &Opened,
    environment: &Environment,
    plan: &plan::Plan,
) -> Result<(), Failure> {
    if !plan.steps().any(|(_, step)| step.kind == plan::StepKind::NomadJob) {
        return Ok(());
    }
    let mut changes = ledger(&opened.journal.all());
    if changes.is_empty() {
        return Ok(());
    }
    let scope = environment.scope();
    let steps = plan.steps().filter(|(_, step)| step.kind == plan::StepKind::NomadJob);
    let files = steps.filter_map(|(_, step)| Reader::new(&scope).strings(&step.body, "files"));
    let jobs = files.filter_map(|files| lasting::read_jobs(environment, &files).ok()).flatten();
    let jobs: BTreeSet<String> = jobs.map(|job| job.id().to_owned()).collect();
    changes.retain(|change| jobs.contains(&change.job));
    if changes.is_empty() {
        return Ok(());
    }
    let open: BTreeSet<(String, String)> = opened
        .unsaved(environment)
        .await?
        .into_iter()
        .map(|patch| (patch.change.job, patch.change.path))
        .collect();
    changes.retain(|change| !open.contains(&(change.job.clone(), change.path.clone())));
    if changes.is_empty() {
        return Ok(());
    }
    // Without the server asked, what is left has no file: the server doesn't have it either.
    let gone = lasting::unsaved(environment, changes.clone(), None, sim::canonical_job, None).await;
    let gone: BTreeSet<(String, String)> =
        gone.into_iter().map(|patch| (patch.change.job, patch.change.path)).collect();
    let keys = changes.into_iter().map(|change| (change.job, change.path));
    let (gone, held): (Vec<_>, Vec<_>) = keys.partition(|key| gone.contains(key));
    for (keys, how) in [(held, "its file has it"), (gone, "what runs doesn't have it any more")] {
        if !keys.is_empty() {
            forget(opened, "patch-saved", keys, how, None)?;
        }
    }
    Ok(())
}

/// Journals, as a run of its own, that changes aren't asked about any more; where that was approved, the
/// digest, by whom and how.
pub(super) fn forget(
    opened: &Opened,
    plan: &str,
    keys: Vec<(String, String)>,
    how: &str,
    approved: Option<(String, String, String)>,
) -> Result<(), Failure> {
    let run = RunId::new(opened.clock.now());
    let mut state: Option<Run> = None;
    let mut append = |body: &Body| -> Result<(), Failure> {
        let mut next = state.clone();
        opened.journal.append(&run, body, |record| {
            match next.as_mut() {
                Some(run) => run.apply(record)?,
                None => next = Run::replay([record])?,
            }
            Ok(())
        })?;
        state = next;
        Ok(())
    };
    append(&Body::RunStarted {
        format: journal::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        plan: plan.to_owned(),
        operation: Some("patch".into()),
        plan_hash: String::new(),
        inputs: BTreeMap::new(),
        downtime: None,
        who: opened.who.clone(),
        root: opened.root.display().to_string(),
    })?;
    if let Some((digest, who, how)) = approved {
        append(&Body::Approved { digest, who, how })?;
    }
    for (job, path) in keys {
        append(&Body::PatchDropped { job, path, who: opened.who.clone(), how: how.to_owned() })?;
    }
    append(&Body::RunDone { changed: false })
}

impl Saving {
    /// Refused where something is to be written and nothing can be.
    pub fn or_refused(self) -> Result<Self, Failure> {
        if self.wanted.is_some() || self.left.is_empty() {
            return Ok(self);
        }
        let message = format!("nothing can be written:\n  {}", self.left.join("\n  "));
        Err(Failure::new(Code::Refused, message))
    }
}
