//! An environment at a glance.

use super::downtime;
use super::failure::{Failure, chain};
use super::open::Opened;
use crate::base::text;
use crate::environment::{Environment, ReachError};
use crate::http::HttpError;
use crate::journal::{self, Holder};
use crate::lasting::{self, Unsaved};
use crate::nomad::{Advice, JobHealth, JobState, NomadError};
use crate::terraform::State;

/// What is known of an environment now.
pub struct Status {
    /// Its Terraform resources; the reason where they can't be read; nothing without a terraform block.
    pub terraform: Option<Result<State, String>>,
    pub targets: Vec<String>,
    /// Its jobs; in words where Nomad isn't there.
    pub nomad: Option<Result<Vec<JobRow>, String>>,
    /// How many jobs are other than their files say; none where there are no files or nothing runs.
    pub drifted: Option<Result<usize, String>>,
    pub last_run: Option<journal::Run>,
    pub unfinished: Vec<journal::Run>,
    /// Who is changing it now.
    pub changing: Option<Holder>,
    /// Live changes that no file has.
    pub unsaved: Vec<Unsaved>,
    /// Job files and var files that are in no commit, where the project lies in a git work tree.
    pub uncommitted: Vec<String>,
    /// What commands end with that write the files.
    pub write_flags: String,
    pub downtime: downtime::Known,
}

/// One job.
pub struct JobRow {
    pub health: JobHealth,
    /// Why it has no place, and what would give it one; where it has none.
    pub advice: Option<Advice>,
}

/// `3 of 4 jobs healthy; 1 finished, 2 waiting`: what isn't to run now isn't counted as ill.
pub fn glance(jobs: &[JobRow]) -> String {
    let of = |state: JobState| jobs.iter().filter(|job| job.health.state == state).count();
    let resting = [JobState::Finished, JobState::Stopped, JobState::Waiting];
    let resting: Vec<String> = resting
        .into_iter()
        .filter(|state| of(*state) > 0)
        .map(|state| format!("{} {state}", of(state)))
        .collect();
    let to_run = jobs.iter().filter(|job| !job.health.rests()).count();
    let mut words = match to_run {
        0 => String::new(),
        all => format!("{} of {} healthy", of(JobState::Healthy), text::count(all, "job")),
    };
    if !resting.is_empty() {
        let between = if words.is_empty() { "no job is to run now: " } else { "; " };
        words.push_str(&format!("{between}{}", resting.join(", ")));
    }
    words
}

/// Looks at everything; what doesn't answer is part of the picture.
pub async fn status(opened: &Opened) -> Result<Status, Failure> {
    let environment = opened.environment(std::collections::BTreeMap::new(), None)?;
    let terraform = match environment.terraform() {
        None => None,
        Some(driver) => Some(driver.state().await.map_err(|error| chain(&error))),
    };
    if let Some(Ok(state)) = &terraform {
        let outputs = state.outputs.iter().map(|(name, output)| (name.clone(), output.value.clone()));
        environment.set_outputs(outputs.collect());
    }
    let targets = opened.settings.terraform.as_ref().map(|block| block.targets.clone()).unwrap_or_default();
    let configured = opened.settings.nomad.is_some() || opened.nomad_address.is_some();
    let nomad = if configured { Some(jobs(&environment).await) } else { None };
    // Where nothing runs, every file differs from that: no news.
    let runs_some = |jobs: &Vec<JobRow>| jobs.iter().any(|job| job.health.state != JobState::Stopped);
    let drifted = match &nomad {
        Some(Ok(jobs)) if runs_some(jobs) => drifted(&environment).await,
        _ => None,
    };
    // Before the journal is read: a run that ends in between is then neither.
    let changing = opened.changing();
    let runs = opened.journal.runs()?;
    let unfinished = runs.iter().filter(|run| run.is_unfinished()).cloned().collect();
    let downtime = match &terraform {
        // Terraform was asked already; its answer says whether anything was ever there.
        Some(Ok(state)) if runs.is_empty() && state.resources.is_empty() => {
            downtime::Known::Is(journal::Downtime {
                seconds: 0.0,
                source: journal::DowntimeSource::NeverStarted,
            })
        }
        Some(Err(_)) if runs.is_empty() => downtime::Known::Unknown,
        _ => downtime::find(opened, None).await?,
    };
    let unsaved = opened.unsaved(&environment).await?;
    Ok(Status {
        terraform,
        targets,
        nomad,
        last_run: runs.last().cloned(),
        drifted,
        unfinished,
        changing,
        unsaved,
        uncommitted: lasting::uncommitted(&environment).await,
        write_flags: lasting::write_flags(&environment),
        downtime,
    })
}

async fn jobs(environment: &Environment) -> Result<Vec<JobRow>, String> {
    let client = match environment.nomad().await {
        Ok(client) => client,
        Err(ReachError::NotKnownYet(_)) => return Err("its address is not known: nothing is up".into()),
        Err(ReachError::NotUp { .. } | ReachError::Wrong(_)) => {
            return Err("its address is not known: Terraform has no such output now".into());
        }
        Err(other) => return Err(chain(&other)),
    };
    match client.healths().await {
        Ok(jobs) => {
            let mut rows = Vec::new();
            for health in jobs {
                let advice = match health.state {
                    // Without an answer the reason that the server gave has to do. After a failed deployment
                    // nothing waits for a place any more; that there is none, a plan still says.
                    JobState::Unplaced | JobState::Starting | JobState::Degraded => {
                        client.advice(&health.id).await.ok().flatten()
                    }
                    _ => None,
                };
                rows.push(JobRow { health, advice });
            }
            Ok(rows)
        }
        Err(NomadError::Unreachable(cause)) if !matches!(cause, HttpError::Tls { .. }) => {
            Err(cause.to_string())
        }
        Err(other) => Err(match other.help() {
            Some(help) => format!("{}; {help}", chain(&other)),
            None => chain(&other),
        }),
    }
}

/// How many jobs are other than their files say, or why that isn't known; none where there are no files.
async fn drifted(environment: &Environment) -> Option<Result<usize, String>> {
    let client = environment.nomad().await.ok()?;
    match lasting::drift(environment, &client).await {
        Ok(found) => found.has_files.then_some(Ok(found.jobs.len())),
        Err(error) => Some(Err(chain(&error))),
    }
}
