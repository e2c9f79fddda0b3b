//! What earlier attempts of this run did: known from the journal (the jobs kept with each intent as they
//! were, and what its outcome says of each) and from what the server has in their place, and from nothing else.
//!
//! An attempt that ended before it did anything leaves what is known from those before it. A job counts as
//! taken only while it is what this patch made of the job that was kept: by its index where the outcome of the
//! registration is in the journal, by its version and content where a crash left none. The very same change by
//! somebody else, as the next version after the one that was kept, can't be told from ours then, and counts as
//! ours.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::edits::Edited;
use super::select::{Jobs, select};
use super::wanted::{ServiceChange, Wanted};
use crate::base::text;
use crate::engine::{Context, StepError};
use crate::event::{Line, Mark};
use crate::journal::Intent;
use crate::lasting::registered_by;
use crate::nomad::{Client, Registered, compared, job_id, job_modify_index, job_version};
use crate::step::jobs::refused;

/// What is to be done with a job yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is to be changed.
    #[default]
    Open,
    /// An earlier attempt registered it so, and it stands.
    Taken(Registered),
    /// An attempt that was cut off had registered it, and it is as before again: it failed.
    Back(Registered),
}

impl Standing {
    /// What is said of a job that isn't open: whether another one `failed`, and whether all go `back` then.
    pub fn words(&self, failed: bool, back: bool) -> &'static str {
        match (self, failed && back) {
            (Self::Open, _) => "changes",
            (Self::Back(_), _) => "was changed by this run before, failed, and is as it was again",
            (Self::Taken(_), true) => "was changed by this run before; it is put back as it was",
            (Self::Taken(_), false) if back => {
                "was changed by this run before; it is waited for, and put back as it was if this doesn't go on"
            }
            (Self::Taken(_), false) => "was changed by this run before; it is waited for",
        }
    }
}

/// The attempts before this one.
#[derive(Default)]
pub(super) struct Earlier {
    known: BTreeMap<String, Known>,
    /// The jobs of the last one.
    last: BTreeSet<String>,
    /// The last one was to put jobs back, and was cut off.
    withdrawing: bool,
}

/// What is known of one job.
struct Known {
    /// As it was when an attempt last looked at it.
    prior: Value,
    /// The fingerprint of the server's diff that was approved.
    diff: Value,
    /// The index of our registration, where an outcome tells of one.
    registered: Option<u64>,
    /// The last attempt at it was cut off; whether that one was to put it back.
    cut_off: Option<bool>,
}

impl Earlier {
    pub fn of(cx: &Context) -> Self {
        let mut all = Self::default();
        for intent in &cx.earlier {
            all.add(cx, intent);
        }
        all
    }

    /// None where what the jobs of the last attempt were is not kept any more.
    pub fn kept(cx: &Context) -> Option<Self> {
        kept(cx, cx.earlier.last()?)?;
        Some(Self::of(cx))
    }

    fn add(&mut self, cx: &Context, intent: &Intent) {
        // Of files alone.
        if intent.undo.is_none() {
            return;
        }
        let withdrawal = intent.precondition["withdrawal"] == true;
        self.withdrawing = withdrawal && intent.evidence.is_none();
        self.last.clear();
        let intended = by_id(&intent.precondition);
        for prior in kept(cx, intent).unwrap_or_default() {
            let id = job_id(&prior).to_owned();
            let before = self.known.remove(&id);
            let diff = intended.get(&id).map(|job| job["diff"].clone()).unwrap_or_default();
            let diff = match &before {
                Some(before) if diff.is_null() => before.diff.clone(),
                _ => diff,
            };
            let (registered, cut_off) = before.map_or((None, None), |job| (job.registered, job.cut_off));
            self.last.insert(id.clone());
            self.known.insert(id, Known { prior, diff, registered, cut_off });
        }
        let Some(evidence) = &intent.evidence else {
            for id in &self.last {
                if let Some(job) = self.known.get_mut(id) {
                    job.cut_off = Some(withdrawal);
                }
            }
            return;
        };
        // Of jobs that it doesn't name it says nothing: it ended before them.
        for (id, ended) in by_id(evidence) {
            if let Some(job) = self.known.get_mut(&id) {
                // One that waits for a person may have been given up since, as one that was cut off.
                let waits = ended["outcome"] == "needs_promotion";
                (job.registered, job.cut_off) = (ended["registered"].as_u64(), waits.then_some(false));
            }
        }
    }

    /// Whether jobs were being put back when the last attempt was cut off.
    pub fn is_withdrawing(&self) -> bool {
        self.withdrawing
    }

    /// The fingerprint of the server's diff that was approved for a job.
    pub fn diff(&self, id: &str) -> Value {
        self.known.get(id).map(|job| job.diff.clone()).unwrap_or_default()
    }

    /// What has been changed in a job since an attempt last looked at it, in the words of the server's
    /// diff.
    pub fn meanwhile(&self, cx: &Context, job: &Edited) -> Vec<Line> {
        let known = self.known.get(&job.id).filter(|_| job.standing == Standing::Open);
        let mut lines = Vec::new();
        // Another run of this journal is nobody else.
        let who = match registered_by(&cx.journal.all(), &job.id, job.index) {
            Some((run, _)) if run == cx.run => "this run changed it before".to_owned(),
            Some((run, who)) => text::one_line(&format!("{who} changed it meanwhile (run {run})")),
            None => "somebody else changed it meanwhile".to_owned(),
        };
        for line in known.into_iter().flat_map(|known| compared(&known.prior, &job.prior)) {
            let mut texts = line.lines().into_iter();
            let first = texts.next().unwrap_or_default();
            let told = format!("{who}: {first}");
            lines.push(Line::new(Mark::Offending, 1, told));
            lines.extend(texts.map(|text| Line::new(Mark::Plain, 1, text)));
        }
        lines
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many jobs the last attempt was to change.
    pub fn len(&self) -> usize {
        self.last.len()
    }

    /// The jobs of all attempts that are there, as they were, with what became of them: whatever else somebody
    /// has made of them, or of other jobs that the patch names.
    pub async fn jobs(&self, client: &Client, wanted: &Wanted) -> Result<Vec<Edited>, StepError> {
        let priors: BTreeMap<String, Value> =
            self.known.iter().map(|(id, job)| (id.clone(), job.prior.clone())).collect();
        // What was so already was never changed, and isn't among them.
        let mut services = Vec::new();
        for service in &wanted.services {
            if made(&priors, std::slice::from_ref(service)).await.is_ok() {
                services.push(service.clone());
            }
        }
        let mut jobs = Vec::new();
        for made in made(&priors, &services).await? {
            let Some(now) = client.job(&made.id).await.map_err(refused)? else { continue };
            let standing = self.standing(client, &made, &now).await?;
            jobs.push(Edited { standing, ..made });
        }
        Ok(jobs)
    }

    /// Of the jobs as they are, those that this run has changed before are given as they were, with what
    /// became of them.
    pub async fn recognise(
        &self,
        client: &Client,
        wanted: &Wanted,
        mut jobs: Vec<Edited>,
    ) -> Result<Vec<Edited>, StepError> {
        let touched = |job: &Edited| match self.known.get(&job.id) {
            Some(known) => job_modify_index(&known.prior) != job.index,
            None => false,
        };
        if !jobs.iter().any(touched) {
            return Ok(jobs);
        }
        let before: BTreeMap<String, Value> = jobs
            .iter()
            .map(|job| {
                (job.id.clone(), self.known.get(&job.id).map_or(&*job.prior, |known| &known.prior).clone())
            })
            .collect();
        let made = made(&before, &wanted.services).await?;
        for job in &mut jobs {
            let (true, Some(made)) = (touched(job), made.iter().find(|made| made.id == job.id)) else {
                continue;
            };
            let standing = self.standing(client, made, &job.prior).await?;
            if standing != Standing::Open {
                *job = Edited { standing, ..made.clone() };
            }
        }
        Ok(jobs)
    }

    /// What became of the job that was to be `made`, and is `now` so.
    async fn standing(&self, client: &Client, made: &Edited, now: &Value) -> Result<Standing, StepError> {
        let index = job_modify_index(now);
        let registered = || async {
            let found = client.as_registered(&made.id).await.map_err(refused)?;
            // Another one may have followed by now, the server's own that goes back: following this one tells.
            let this =
                || Registered { job_id: made.id.clone(), job_modify_index: index, ..Registered::default() };
            Ok::<_, StepError>(found.filter(|found| found.job_modify_index == index).unwrap_or_else(this))
        };
        let Some(known) = self.known.get(&made.id) else { return Ok(Standing::Open) };
        if known.registered == Some(index) {
            return Ok(Standing::Taken(registered().await?));
        }
        let Some(withdrawal) = known.cut_off else { return Ok(Standing::Open) };
        let next = job_version(&made.prior) + 1;
        let since = job_version(now).saturating_sub(job_version(&made.prior));
        if since == 1 && client.is_as(&made.job, now).await.map_err(refused)? {
            return Ok(Standing::Taken(registered().await?));
        }
        if since > 1
            && !withdrawal
            && client.is_as(&made.prior, now).await.map_err(refused)?
            && client.was_at(&made.job, next).await.map_err(refused)?.is_some()
        {
            return Ok(Standing::Back(registered().await?));
        }
        Ok(Standing::Open)
    }
}

/// The jobs of an intent as they were.
fn kept(cx: &Context, intent: &Intent) -> Option<Vec<Value>> {
    serde_json::from_slice(&cx.undo_of(intent)?).ok()
}

/// What a patch makes of jobs.
async fn made(of: &BTreeMap<String, Value>, services: &[ServiceChange]) -> Result<Vec<Edited>, StepError> {
    select(Jobs::Written(of), services, |job| async { Ok(job) }).await
}

/// The jobs of an intent or an outcome, by id.
fn by_id(document: &Value) -> BTreeMap<String, Value> {
    let jobs = document["jobs"].as_array().into_iter().flatten();
    jobs.filter_map(|job| Some((job["id"].as_str()?.to_owned(), job.clone()))).collect()
}
