//! What holds a start, a stop and whatever else would undo it: live changes that no file has.

use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::failure::{Failure, chain};
use super::made;
use super::open::Opened;
use super::single::{Single, by_hand, other_than_kept};
use crate::base::{Diagnostics, RunId, text};
use crate::dialect::Reader;
use crate::engine::{Blobs, Breach, Facts, Latch, Run};
use crate::environment::{Environment, ReachError};
use crate::event::Teller;
use crate::journal::{Body, Journal};
use crate::lasting::{self, Change, Drift, DriftError, Unsaved, given_up, ledger};
use crate::nomad::{Client, NomadError, job_id, job_modify_index};
use crate::plan::{Operation, Plan, StepKind};
use crate::sim;

/// How a person says that what isn't saved may be lost.
const DISCARD: &str = "--discard-patches";

/// Why a change that nobody would lose by a stop isn't asked about any more.
const PAST: &str = "nothing to lose at the stop";

/// How many unsaved patches the end of a run names.
const SHOWN: usize = 3;

/// Jobs read at once.
const AT_ONCE: usize = 8;

impl Opened {
    /// The live changes that no file has, those of this environment.
    pub async fn unsaved(&self, environment: &Environment) -> Result<Vec<Unsaved>, Failure> {
        self.unsaved_after(environment, None).await
    }

    /// As [`Self::unsaved`], after a run that ended well just now: of what it changed the server isn't asked
    /// again, which took that over what was seen, and had it healthy.
    async fn unsaved_after(
        &self,
        environment: &Environment,
        done: Option<&RunId>,
    ) -> Result<Vec<Unsaved>, Failure> {
        let changes = ledger(&self.journal.all());
        let asks = changes.iter().any(|change| !change.is_of(done));
        let client = if asks { environment.nomad().await.ok() } else { None };
        // Asked once here, not once for each change.
        let client = match client {
            Some(client) if client.leader().await.is_ok() => Some(client),
            _ => None,
        };
        Ok(lasting::unsaved(environment, changes, client.as_ref(), sim::canonical_job, done).await)
    }

    /// Says at the end of a run what no file has; `done` is a run that ended well.
    pub(super) async fn say_unsaved(
        &self,
        environment: &Environment,
        teller: &Teller,
        done: Option<&RunId>,
    ) -> Result<(), Failure> {
        let unsaved = self.unsaved_after(environment, done).await?;
        for patch in unsaved.iter().take(SHOWN) {
            teller.warn(format!("unsaved patch: {}", patch.words()));
        }
        if unsaved.len() > SHOWN {
            let more = unsaved.len() - SHOWN;
            teller.warn(format!("and {more} more: blackstart status -e {}", self.settings.name));
        }
        if !unsaved.is_empty() {
            teller.note(ways_out(&self.settings.name, &lasting::write_flags(environment)));
        }
        Ok(())
    }

    /// What holds runs of a plan, where anything may.
    pub(super) fn latch(&self, run: &Run, environment: &Arc<Environment>, discard: bool) -> Arc<dyn Latch> {
        Arc::new(Loss {
            plan: run.plan.clone(),
            kept: self.journal.records(&run.id).iter().any(|one| matches!(one.body, Body::JobsKept { .. })),
            client: OnceCell::new(),
            environment: Arc::clone(environment),
            journal: self.journal.clone(),
            undo: Blobs::Folder(self.state_dir.join("undo")),
            who: self.who.clone(),
            discard,
        })
    }
}

/// What to do about unsaved patches; `end` is that of commands that write files ([`lasting::write_flags`]).
pub fn ways_out(environment: &str, end: &str) -> String {
    format!("keep them: blackstart patch save {end}; give them up: blackstart patch drop -e {environment}")
}

struct Loss {
    plan: Plan,
    /// Whether this run, which is gone on with, has kept the jobs: it did so before it changed anything.
    kept: bool,
    /// Where the jobs run, as it was before anything of the run was looked at: afterwards Terraform's outputs
    /// count as those to come.
    client: OnceCell<Result<Option<Client>, String>>,
    environment: Arc<Environment>,
    journal: Journal,
    undo: Blobs,
    who: String,
    discard: bool,
}

/// What a look found.
#[derive(Default)]
struct Seen {
    /// Patches that the plan would undo, and no file has.
    patches: Vec<Unsaved>,
    /// What else runs and no file has.
    drift: Vec<String>,
    /// Whether some of that can be taken into files.
    savable: bool,
    /// Why what runs can't be looked at.
    unseen: Option<String>,
    /// How forgotten jobs were when they were stopped, where their files say otherwise.
    kept: Vec<String>,
}

#[async_trait]
impl Latch for Loss {
    async fn reach(&self) {
        if self.takes_down() || !self.undone().is_empty() {
            self.client.get_or_init(|| self.find()).await;
        }
    }

    async fn look(&self, teller: &Teller) -> Result<(), Breach> {
        let seen = self.seen().await?;
        self.judge(&seen)?;
        if let Some(reason) = &seen.unseen {
            let kept = if self.kept { "; the jobs were kept when this run began" } else { "" };
            teller.warn(format!("what runs can't be held against the job files ({reason}){kept}"));
        }
        for patch in &seen.patches {
            teller.warn(format!("this gives an unsaved patch up: {}", patch.words()));
        }
        for line in &seen.drift {
            teller.warn(format!("this loses what runs: {line}"));
        }
        for line in &seen.kept {
            teller.warn(format!("this runs the file: {line}"));
        }
        Ok(())
    }

    async fn keep(&self) -> Result<Vec<Body>, Breach> {
        let seen = self.seen().await?;
        self.judge(&seen)?;
        let mut records = Vec::new();
        if self.takes_down() {
            match self.keep_jobs().await {
                Ok(kept) => records.extend(kept),
                // That they can't be seen was said, and taken; or they were kept before.
                Err(_) if seen.unseen.is_some() => {}
                Err(error) => return Err(error),
            }
        }
        // What is saved by now, or runs no more, must not count again once nothing runs that tells so.
        let known = if self.takes_down() && seen.unseen.is_none() { self.undone() } else { Vec::new() };
        let lost = |change: &Change| seen.patches.iter().any(|patch| patch.change == *change);
        let past = known.into_iter().filter(|change| !lost(change)).map(|change| (change, PAST));
        let given_up = seen.patches.iter().map(|patch| (patch.change.clone(), DISCARD));
        for (Change { job, path, .. }, how) in given_up.chain(past) {
            records.push(Body::PatchDropped { job, path, who: self.who.clone(), how: how.into() });
        }
        let mut lost = Vec::new();
        if !seen.drift.is_empty() {
            lost.push(format!("what runs isn't in the job files: {}", seen.drift.join("; ")));
        }
        if !seen.kept.is_empty() {
            lost.push(seen.kept.join("; "));
        }
        if let Some(reason) = seen.unseen.filter(|_| !self.kept) {
            lost.push(format!("what runs can't be held against the job files: {reason}"));
        }
        for question in lost {
            records.push(Body::Answered { question, answer: DISCARD.into(), who: self.who.clone() });
        }
        Ok(records)
    }
}

impl Loss {
    fn takes_down(&self) -> bool {
        self.plan.operation == Some(Operation::Stop)
            || self.plan.steps().any(|(_, step)| step.kind == StepKind::TerraformDestroy)
    }

    /// The live changes that the plan may undo.
    fn undone(&self) -> Vec<Change> {
        // A patch adds to what is live.
        if self.plan.steps().all(|(_, step)| step.kind == StepKind::NomadPatch) {
            return Vec::new();
        }
        let mut changes = ledger(&self.journal.all());
        changes.retain(|change| self.undoes(&change.job));
        changes
    }

    async fn seen(&self) -> Result<Seen, Breach> {
        let changes = self.undone();
        let mut seen = Seen::default();
        let single = Single::of(&self.plan, &self.environment);
        let client = if !changes.is_empty() || self.takes_down() || single.is_some() {
            match self.client().await {
                Ok(client) => client,
                Err(reason) => {
                    seen.unseen = self.takes_down().then_some(reason);
                    None
                }
            }
        } else {
            None
        };
        seen.patches =
            lasting::unsaved(&self.environment, changes, client.as_ref(), sim::canonical_job, None).await;
        let Some(client) = &client else { return Ok(seen) };
        if let Some(Single::Start { jobs, files }) = &single {
            let named = (jobs.as_slice(), files.as_slice());
            seen.kept = other_than_kept(&self.environment, client, &self.journal, &self.undo, named)
                .await
                .map_err(|error| breach(format!("what runs can't be looked at: {}", chain(&error))))?;
        }
        let looked = match &single {
            Some(Single::Stop(jobs)) => {
                let records = self.journal.all();
                let known = (ledger(&records), given_up(&records));
                Some(by_hand(&self.environment, client, jobs, (&known.0, &known.1)).await)
            }
            _ if self.takes_down() => Some(self.drift(client).await),
            _ => None,
        };
        if let Some(looked) = looked {
            match looked {
                Ok(found) => {
                    seen.drift = lost(&found);
                    seen.savable = found.unsaved().any(|job| job.file.is_some());
                }
                Err(DriftError::Nomad(error)) => seen.unseen = Some(chain(&error)),
                Err(error) => {
                    return Err(breach(format!("what runs can't be looked at: {}", chain(&error))));
                }
            }
        }
        Ok(seen)
    }

    /// What runs other than its file says, but for what was given up.
    async fn drift(&self, client: &Client) -> Result<Drift, DriftError> {
        let found = lasting::drift(&self.environment, client).await?;
        found.without(&[], &given_up(&self.journal.all()), client).await.map_err(DriftError::Nomad)
    }

    /// Where the jobs run; none where the environment knows no Nomad, or has none up.
    async fn find(&self) -> Result<Option<Client>, String> {
        match self.environment.nomad().await {
            Ok(client) => Ok(Some(client)),
            Err(ReachError::NotConfigured { .. } | ReachError::NotUp { .. }) => Ok(None),
            Err(error) => Err(chain(&error)),
        }
    }

    /// A client that is answered, else why not; none where nothing can run.
    async fn client(&self) -> Result<Option<Client>, String> {
        let Some(client) = self.client.get_or_init(|| self.find()).await.clone()? else { return Ok(None) };
        client.leader().await.map_err(|error| format!("{}: {}", client.address(), chain(&error)))?;
        Ok(Some(client))
    }

    /// Refuses what would be lost, unless that was said to be meant.
    fn judge(&self, seen: &Seen) -> Result<(), Breach> {
        let unseen = seen.unseen.as_ref().filter(|_| !self.kept);
        let nothing = seen.patches.is_empty() && seen.drift.is_empty() && seen.kept.is_empty();
        if self.discard || (nothing && unseen.is_none()) {
            return Ok(());
        }
        let name = self.environment.name();
        let end = lasting::write_flags(&self.environment);
        let (mut messages, mut help) = (Vec::new(), Vec::new());
        if !seen.patches.is_empty() {
            messages.push(self.would_undo(&seen.patches));
            help.push(ways_out(name, &end));
        }
        if !seen.drift.is_empty() {
            messages.push(format!("what runs isn't in the job files:\n  {}", seen.drift.join("\n  ")));
            help.push(if seen.savable {
                format!("take what runs into the files: blackstart drift --save {end}")
            } else {
                "give it a file; or name it in blackstart.hcl as somebody else's: nomad { ignore = […] }"
                    .into()
            });
        }
        if !seen.kept.is_empty() {
            messages.push(seen.kept.join("\n"));
            help.push("start it as it was: --as-it-was".to_owned());
        }
        if let Some(reason) = unseen {
            messages.push(format!("what runs can't be held against the job files: {reason}"));
            help.push(format!("make Nomad reachable (blackstart status -e {name} looks for it)"));
        }
        help.push(format!("or lose what no file has: {DISCARD} (recorded)"));
        Err(Breach { message: messages.join("\n"), help: Some(help.join("; ")) })
    }

    fn would_undo(&self, patches: &[Unsaved]) -> String {
        let lines: Vec<String> = patches.iter().map(|patch| patch.words().replace('\n', "\n    ")).collect();
        let count = text::count(lines.len(), "unsaved patch");
        // From this work tree it would come back; from what others have it would not.
        let undoes = if patches.iter().all(|patch| patch.why.in_file()) {
            format!("{count} {} not committed yet", if lines.len() == 1 { "is" } else { "are" })
        } else {
            format!("{} would undo {count}", self.plan.name)
        };
        format!("{undoes}:\n  {}", lines.join("\n  "))
    }

    /// Whether the plan would bring a job back to its file, or end it.
    fn undoes(&self, job: &str) -> bool {
        if matches!(self.plan.operation, Some(Operation::Start | Operation::Stop)) {
            return true;
        }
        let scope = self.environment.scope();
        self.plan.steps().any(|(_, step)| {
            let named = |attribute: &str| Reader::new(&scope).strings(&step.body, attribute);
            match step.kind {
                StepKind::TerraformDestroy => true,
                // A service that is stopped by itself comes back as it was, or from its file: that asks then.
                StepKind::NomadStop if made::is_made(&self.plan) => false,
                StepKind::NomadStop => named("jobs").is_none_or(|jobs| jobs.iter().any(|one| one == job)),
                // Without files it only registers what ran before its stop.
                StepKind::NomadStart if step.body.attribute("files").is_none() => false,
                StepKind::NomadJob | StepKind::NomadStart => named("files").is_none_or(|files| {
                    // What can't be read won't be registered.
                    lasting::read_jobs(&self.environment, &files)
                        .is_ok_and(|jobs| jobs.iter().any(|one| one.id() == job))
                }),
                _ => false,
            }
        })
    }

    /// Keeps every registered job exactly as the server holds it.
    async fn keep_jobs(&self) -> Result<Option<Body>, Breach> {
        let failed = |error: NomadError| breach(format!("the jobs can't be kept: {}", chain(&error)));
        let Some(client) = self.client().await.map_err(breach)? else { return Ok(None) };
        let stubs = client.jobs().await.map_err(failed)?;
        let ids = stubs.into_iter().map(|stub| stub.id);
        let client = &client;
        let read: Vec<Option<Value>> = stream::iter(ids)
            .map(|id| async move { client.job(&id).await })
            .buffered(AT_ONCE)
            .try_collect()
            .await
            .map_err(failed)?;
        let jobs: Vec<Value> = read.into_iter().flatten().collect();
        let indexes = jobs.iter().map(|job| (job_id(job).to_owned(), job_modify_index(job))).collect();
        let bytes = Value::Array(jobs).to_string().into_bytes();
        let undo =
            self.undo.keep(&bytes).map_err(|error| breach(format!("the jobs can't be kept: {error}")))?;
        Ok(Some(Body::JobsKept { jobs: indexes, undo }))
    }
}

/// What would be lost, a line each.
fn lost(found: &Drift) -> Vec<String> {
    if !found.has_files {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for job in found.unsaved() {
        let id = text::one_line(&job.id);
        let when = job.when().map(|when| format!(" ({when})")).unwrap_or_default();
        match &job.file {
            None => lines.push(format!("{id} runs and no file holds it{when}")),
            Some(file) => {
                lines.push(format!(
                    "{id} runs other than {file} says{when}: {}",
                    job.differences().join("; ")
                ));
            }
        }
    }
    let first = |found: &Diagnostics| found.0.first().map(ToString::to_string).unwrap_or_default();
    lines.extend(
        found.unreadable.iter().map(|(file, found)| format!("{file} can't be read: {}", first(found))),
    );
    lines
}

fn breach(message: String) -> Breach {
    Breach { message, help: None }
}
