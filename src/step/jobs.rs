//! What the Nomad steps share: showing a server's diff, following a registration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::base::{Diagnostics, text};
use crate::engine::{Context, StepError, Touched};
use crate::environment::{Environment, ReachError};
use crate::event::{Line, Mark};
use crate::lasting::write_flags;
use crate::nomad::{
    CLOSING, Client, DiffLine, Failure, FollowOptions, NomadError, Planned, Progress, Registered, Sign,
    Verdict, depends_on, diff_lines, follow,
};

/// How long a job may take to become healthy where the step says nothing: longer than Nomad's own
/// progress deadline, which never starts for what can't be placed.
pub(super) const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// What to do about a job that has no place, where it was said what would give it one.
pub(super) const ASK_FOR_LESS: &str = "make room, or ask for less in the job file and do this again";

/// Jobs asked about at once.
const AT_ONCE: usize = 8;

pub(super) fn unreachable(error: ReachError) -> StepError {
    match error {
        ReachError::Wrong(problem) => Diagnostics::from(problem).into(),
        ReachError::NotUp { .. } => {
            StepError { help: error.help(), ..StepError::untouched(error.to_string()) }
        }
        other => StepError::untouched("Nomad can't be spoken to").because(other),
    }
}

pub(super) fn refused(error: NomadError) -> StepError {
    let touched = match &error {
        NomadError::OutcomeUnknown { .. } => Touched::Unknown,
        _ => Touched::Nothing,
    };
    let help = error.help().map(str::to_owned);
    let source = std::error::Error::source(&error).map(|source| source.to_string().into());
    StepError { help, source, ..StepError::new(error.to_string(), touched) }
}

/// SHA-256 of a job, hexadecimal.
pub(super) fn fingerprint(job: &Value) -> String {
    Sha256::digest(job.to_string()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A job as the server holds it; an error with the nearest name where it has none.
pub(super) async fn registered_job(client: &Client, id: &str) -> Result<Value, StepError> {
    if let Some(job) = client.job(id).await.map_err(refused)? {
        return Ok(job);
    }
    let stubs = client.jobs().await.map_err(refused)?;
    let names: Vec<&str> = stubs.iter().map(|stub| stub.id.as_str()).collect();
    let error = StepError::untouched(format!("there is no job '{}'", text::one_line(id)));
    Err(error.help(match text::nearest(id, names.iter().copied()) {
        Some(near) => format!("did you mean '{}'?", text::one_line(near)),
        None if names.is_empty() => "no job is registered".into(),
        None => format!("the jobs are {}", text::one_line(&text::list(&names))),
    }))
}

/// The running jobs that depend on these and aren't among them: by each of these, in the order of their ids.
pub(super) async fn dependents(
    client: &Client,
    of: &[String],
) -> Result<BTreeMap<String, Vec<String>>, StepError> {
    let stubs = client.jobs().await.map_err(refused)?;
    let others = stubs.into_iter().filter(|stub| {
        stub.parent_id.is_empty() && !stub.stop && stub.status != "dead" && !of.contains(&stub.id)
    });
    let read = |id: String| async move { client.job(&id).await.map(|job| (id, job)) };
    let jobs: Vec<(String, Option<Value>)> = stream::iter(others.map(|stub| stub.id))
        .map(read)
        .buffered(AT_ONCE)
        .try_collect()
        .await
        .map_err(refused)?;
    let mut dependents: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, job) in jobs {
        let needs = job.as_ref().map(depends_on).unwrap_or_default();
        for need in needs.into_iter().filter(|need| of.contains(need)) {
            dependents.entry(need).or_default().push(text::one_line(&id));
        }
    }
    Ok(dependents)
}

/// What is said of a job that is others' by the settings, before anything is done to it.
pub(super) fn of_others(environment: &Environment, id: &str) -> Option<Line> {
    let text = format!("{} is others', says blackstart.hcl: nomad {{ ignore = … }}", text::one_line(id));
    environment.ignores(id).then(|| Line::new(Mark::Offending, 0, text))
}

/// `web depends on api, and runs on`
pub(super) fn depending(them: &[String], on: &str) -> String {
    let (depend, run) = if them.len() == 1 { ("depends", "runs") } else { ("depend", "run") };
    format!("{} {depend} on {on}, and {run} on", text::list(them))
}

/// A server's diff and what it warns of, for a person.
pub(super) fn plan_lines(planned: &Planned, depth: u8) -> Vec<Line> {
    let mut lines: Vec<Line> =
        diff_lines(&planned.diff).iter().flat_map(|line| shown_diff(line, depth)).collect();
    for warning in &planned.warnings {
        lines.push(Line::new(Mark::Plain, depth, format!("Nomad warns: {}", text::one_line(warning))));
    }
    for failure in &planned.failed {
        lines.push(Line::new(Mark::Plain, depth, format!("there is no place for it now: {failure}")));
    }
    lines
}

fn shown_diff(line: &DiffLine, depth: u8) -> Vec<Line> {
    let mark = match line.sign {
        Sign::Added => Mark::Add,
        Sign::Removed => Mark::Remove,
        Sign::Changed => Mark::Change,
    };
    let mut texts = line.lines().into_iter();
    let first = texts.next().unwrap_or_default();
    // The mark shows the sign; the text needn't.
    let first = first.split_once(' ').map_or(first.as_str(), |(_, rest)| rest).to_owned();
    let mut lines = vec![Line::new(mark, depth, first)];
    lines.extend(texts.map(|text| Line::new(Mark::Plain, depth, text)));
    lines
}

/// Waits until what was registered is healthy; anything else is an error that says why.
pub(super) async fn healthy(
    cx: &Context,
    environment: &Environment,
    client: &Client,
    registered: &Registered,
    timeout: Option<Duration>,
) -> Result<String, StepError> {
    let verdict = watch(cx, client, registered, timeout.unwrap_or(PATIENCE), CLOSING).await?;
    if verdict.is_healthy() {
        return Ok(verdict.lines().join(", "));
    }
    let advice = match &verdict {
        // An answer that doesn't come is no reason to say less than before.
        Verdict::CannotPlace { .. } => client.advice(&registered.job_id).await.ok().flatten(),
        _ => None,
    };
    let verdict = back_now(cx, client, verdict).await;
    let advice = advice.map(|advice| advice.lines(&write_flags(environment)));
    Err(unhealthy(&registered.job_id, &verdict, advice))
}

/// Follows what was registered to its verdict, and tells how it goes. Once all is healthy, it waits for
/// `closing` until the server has closed the deployment.
pub(super) async fn watch(
    cx: &Context,
    client: &Client,
    registered: &Registered,
    timeout: Duration,
    closing: Duration,
) -> Result<Verdict, StepError> {
    let options = FollowOptions { timeout, closing, ..FollowOptions::default() };
    let id = registered.job_id.clone();
    let tell = |progress: Progress| {
        let text = match &progress {
            Progress::Evaluated { .. } => return,
            Progress::Waiting { failures } => match failures.first() {
                Some(first) => format!("waits for a place: {first}"),
                None => "waits for a place".to_owned(),
            },
            Progress::Groups { groups } => {
                let (healthy, desired) =
                    groups.iter().fold((0, 0), |(h, d), g| (h + g.healthy, d + g.desired));
                format!("{healthy} of {desired} healthy")
            }
            Progress::Task(report) if report.task == id => report.message.clone(),
            Progress::Task(report) => format!("{}: {}", report.task, report.message),
            Progress::Trouble { message } => message.clone(),
        };
        cx.progress(Some(id.clone()), text::one_line(&text), None);
    };
    let following = follow(client, &cx.clock, registered, &options, &tell);
    let verdict = tokio::select! {
        verdict = following => verdict,
        () = cx.interrupted_times(2) => {
            let message = format!("interrupted while waiting for '{}'; Nomad goes on with it", registered.job_id);
            return Err(StepError { interrupted: true, ..StepError::new(message, Touched::Unknown) });
        }
    };
    verdict.map_err(|error| {
        let failed = refused(error);
        let message = format!(
            "'{}' is registered, but what becomes of it can't be seen: {}",
            text::one_line(&registered.job_id),
            failed.message
        );
        StepError { message, touched: Touched::Unknown, ..failed }
    })
}

/// Where the server would go back to the last good version only at the deployment's deadline, has it do so now.
pub(super) async fn back_now(cx: &Context, client: &Client, verdict: Verdict) -> Verdict {
    let Verdict::Failed(failure) = &verdict else { return verdict };
    let (true, Some(deployment)) = (failure.will_revert, failure.deployment.clone()) else { return verdict };
    match client.fail_deployment(&deployment).await {
        Ok(Some(to)) => {
            let failure = Failure { still_trying: false, will_revert: false, ..failure.clone() };
            Verdict::RolledBack { to, failure }
        }
        Ok(None) => {
            cx.teller.note("the deployment was ended; Nomad goes back to the last good version");
            Verdict::Failed(Failure { still_trying: false, will_revert: false, ..failure.clone() })
        }
        Err(error) => {
            cx.teller.warn(format!("the deployment can't be ended: {error}"));
            verdict
        }
    }
}

fn unhealthy(job: &str, verdict: &Verdict, advice: Option<Vec<String>>) -> StepError {
    let job = text::one_line(job);
    let advised = advice.is_some();
    let help = match verdict {
        Verdict::CannotPlace { .. } if advised => Some(ASK_FOR_LESS.to_owned()),
        Verdict::CannotPlace { .. } => Some(
            "make room, or ask for less in the job file (`nomad node status` shows what the nodes have)"
                .to_owned(),
        ),
        Verdict::NeedsPromotion { .. } => Some("promote it, then resume".to_owned()),
        Verdict::TimedOut { .. } => Some(format!("see `nomad job status {job}`; resume waits on")),
        _ => None,
    };
    let mut lines = verdict.lines().into_iter();
    let mut message = format!("'{job}': {}", lines.next().unwrap_or_default());
    let rest: Vec<String> = advice.unwrap_or_else(|| lines.collect());
    for line in rest {
        message.push_str("\n  ");
        message.push_str(&line);
    }
    StepError { help, ..StepError::new(message, Touched::Something) }
}

/// The environment's Nomad, its version checked.
pub(super) async fn client(environment: &Arc<Environment>) -> Result<Client, StepError> {
    let client = environment.nomad().await.map_err(unreachable)?;
    check_version(&client).await?;
    Ok(client)
}

/// An error where the server is too old, or can't be asked.
pub(super) async fn check_version(client: &Client) -> Result<(), StepError> {
    client.check_version().await.map(drop).map_err(|error| {
        let address = client.address().to_owned();
        let failed = refused(error);
        StepError { message: format!("{} ({address})", failed.message), ..failed }
    })
}

#[cfg(test)]
mod tests {
    use crate::{jobspec, nomad};

    #[test]
    fn lengths_of_time_are_those_of_the_schema() {
        let known: std::collections::BTreeSet<&str> = nomad::SPANS.into_iter().collect();
        assert_eq!(known, jobspec::spans().json);
    }
}
