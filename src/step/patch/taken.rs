//! What earlier attempts of this run did: known from the journal (the jobs kept with the last intent as they
//! were, and what its outcome says of each) and from what the server has in their place, and from nothing else.
//!
//! A job counts as taken only while it is what this patch made of the job that was kept: by its index where
//! the outcome of the registration is in the journal, by its version and content where a crash left none.

use std::collections::BTreeMap;

use serde_json::Value;

use super::edits::Edited;
use super::select::{Jobs, select};
use super::wanted::{ServiceChange, Wanted};
use crate::engine::{Context, StepError, what_changed};
use crate::journal::Intent;
use crate::nomad::{Client, Registered, job_id, job_modify_index, job_version, specification};
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

/// The last attempt before this one.
#[derive(Default)]
pub(super) struct Earlier {
    /// The jobs as they were, by id.
    priors: BTreeMap<String, Value>,
    /// What the intent says of each job.
    intended: BTreeMap<String, Value>,
    /// What the outcome says of each job; none where it was cut off.
    ended: Option<BTreeMap<String, Value>>,
    /// It was to put jobs back.
    withdrawal: bool,
}

impl Earlier {
    /// What is known of the last attempt.
    pub fn of(cx: &Context) -> Self {
        cx.earlier.last().and_then(|intent| Self::from(cx, intent)).unwrap_or_default()
    }

    /// None where what the jobs were is not kept any more.
    pub fn from(cx: &Context, intent: &Intent) -> Option<Self> {
        let kept = cx.undo_of(intent)?;
        let priors: Vec<Value> = serde_json::from_slice(&kept).ok()?;
        Some(Self {
            priors: priors.into_iter().map(|job| (job_id(&job).to_owned(), job)).collect(),
            intended: by_id(&intent.precondition),
            ended: intent.evidence.as_ref().map(by_id),
            withdrawal: intent.precondition["withdrawal"] == true,
        })
    }

    /// The fingerprint of the server's diff that was approved for a job.
    pub fn diff(&self, id: &str) -> Value {
        self.intended.get(id).map(|job| job["diff"].clone()).unwrap_or_default()
    }

    /// What somebody else has changed in a job since the last attempt looked at it.
    pub fn meanwhile(&self, job: &Edited) -> Vec<String> {
        match self.priors.get(&job.id) {
            Some(prior) if job.standing == Standing::Open => {
                what_changed(&specification(prior), &specification(&job.prior))
            }
            _ => Vec::new(),
        }
    }

    /// How many jobs it was to change.
    pub fn len(&self) -> usize {
        self.priors.len()
    }

    /// Its jobs that are there, with what became of them: as they were, where they stand otherwise.
    pub async fn jobs(&self, client: &Client, wanted: &Wanted) -> Result<Vec<Edited>, StepError> {
        let mut now = BTreeMap::new();
        for id in self.priors.keys() {
            if let Some(job) = client.job(id).await.map_err(refused)? {
                now.insert(id.clone(), job);
            }
        }
        // What was so already, or is gone, isn't asked about.
        let mut services = Vec::new();
        for service in &wanted.services {
            if made(&now, std::slice::from_ref(service)).await.is_ok() {
                services.push(service.clone());
            }
        }
        let wanted = Wanted { services, ..wanted.clone() };
        let jobs = made(&now, &wanted.services).await?;
        self.recognise(client, &wanted, jobs).await
    }

    /// Of the jobs as they are, those that this run has changed before are given as they were, with what
    /// became of them.
    pub async fn recognise(
        &self,
        client: &Client,
        wanted: &Wanted,
        mut jobs: Vec<Edited>,
    ) -> Result<Vec<Edited>, StepError> {
        let touched = |job: &Edited| match self.priors.get(&job.id) {
            Some(prior) => job_modify_index(prior) != job.index,
            None => false,
        };
        if !jobs.iter().any(touched) {
            return Ok(jobs);
        }
        let before: BTreeMap<String, Value> = jobs
            .iter()
            .map(|job| (job.id.clone(), self.priors.get(&job.id).unwrap_or(&job.prior).clone()))
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

    /// What became of the job that was to be `made`, and is something else than it was `now`.
    async fn standing(&self, client: &Client, made: &Edited, now: &Value) -> Result<Standing, StepError> {
        let index = job_modify_index(now);
        let registered = || async {
            let found = client.as_registered(&made.id).await.map_err(refused)?;
            Ok::<_, StepError>(found.filter(|found| found.job_modify_index == index))
        };
        if let Some(ended) = &self.ended {
            let ours = ended.get(&made.id).is_some_and(|job| job["registered"].as_u64() == Some(index));
            let registered = if ours { registered().await? } else { None };
            return Ok(registered.map_or(Standing::Open, Standing::Taken));
        }
        let since = job_version(now).saturating_sub(job_version(&made.prior));
        if since == 1 && client.is_as(&made.job, now).await.map_err(refused)? {
            return Ok(registered().await?.map_or(Standing::Open, Standing::Taken));
        }
        if since > 1 && !self.withdrawal && client.is_as(&made.prior, now).await.map_err(refused)? {
            return Ok(registered().await?.map_or(Standing::Open, Standing::Back));
        }
        Ok(Standing::Open)
    }
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
