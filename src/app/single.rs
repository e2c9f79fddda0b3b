//! What single services would lose when they are stopped, or started from their files.

use std::sync::Arc;

use super::made;
use crate::base::text;
use crate::dialect::Reader;
use crate::engine::{Blobs, Facts};
use crate::environment::Environment;
use crate::journal::Journal;
use crate::lasting::{self, Change, Drift, DriftError, How};
use crate::nomad::{Client, DiffLine, NomadError, planned_apart};
use crate::plan::{Plan, StepKind};

/// What a made plan does to single services.
pub(super) enum Single {
    Stop(Vec<String>),
    /// Those of these jobs that Nomad has forgotten run these files.
    Start {
        jobs: Vec<String>,
        files: Vec<String>,
    },
}

impl Single {
    pub fn of(plan: &Plan, environment: &Arc<Environment>) -> Option<Self> {
        let (_, step) = plan.steps().next().filter(|_| made::is_made(plan))?;
        let scope = environment.scope();
        let named = |attribute: &str| Reader::new(&scope).strings(&step.body, attribute);
        match step.kind {
            StepKind::NomadStop => Some(Self::Stop(named("jobs")?)),
            StepKind::NomadStart => {
                step.body.attribute("files")?;
                Some(Self::Start { jobs: named("jobs")?, files: named("files")? })
            }
            _ => None,
        }
    }
}

/// What of these jobs runs and no file has, but for the changes that a start from the file would ask about, and
/// those that were given up.
pub(super) async fn by_hand(
    environment: &Environment,
    client: &Client,
    jobs: &[String],
    (asked, given_up): (&[Change], &[Change]),
) -> Result<Drift, DriftError> {
    let mut found = lasting::drift_of(environment, client, |id| jobs.iter().any(|job| job == id)).await?;
    // One without a file comes back as it was, by Nomad or by the journal's copy, and by nothing else.
    found.jobs.retain(|job| job.how == How::Differs);
    found.without(asked, given_up, client).await.map_err(DriftError::Nomad)
}

/// Which of these jobs Nomad has forgotten, and were other when they were stopped than their files say now.
pub(super) async fn other_than_kept(
    environment: &Arc<Environment>,
    client: &Client,
    journal: &Journal,
    blobs: &Blobs,
    (jobs, files): (&[String], &[String]),
) -> Result<Vec<String>, NomadError> {
    // What can't be read won't be registered.
    let Ok(written) = lasting::read_jobs(environment, files) else { return Ok(Vec::new()) };
    let records = journal.all();
    let mut lines = Vec::new();
    for job in written.iter().filter(|job| jobs.iter().any(|id| id == job.id())) {
        let Some(kept) = lasting::kept(&records, |name| blobs.find(name), job.id()) else { continue };
        if client.job(job.id()).await?.is_some() {
            continue;
        }
        // Both as the server would have them: what it fills in is no difference.
        let (was, is) = (client.plan(&kept.job).await?, client.plan(&job.json).await?);
        let lines_apart = planned_apart(&was.diff, &is.diff);
        if lines_apart.is_empty() {
            continue;
        }
        let words = lines_apart.iter().flat_map(DiffLine::lines).map(|line| match line.split_once(' ') {
            Some(("~" | "+" | "-", rest)) => rest.to_owned(),
            _ => line,
        });
        lines.push(format!(
            "{} was other when it was stopped ({} UTC) than {} says: {}",
            text::one_line(job.id()),
            kept.at.strftime("%Y-%m-%d %H:%M"),
            job.source.name,
            words.collect::<Vec<_>>().join("; ")
        ));
    }
    Ok(lines)
}
