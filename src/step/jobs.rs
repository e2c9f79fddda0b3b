//! What the Nomad steps share: reading job files, showing a server's diff, following a registration.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::base::{Diagnostic, Diagnostics, Source, text};
use crate::engine::{Context, StepError, Touched};
use crate::environment::{Environment, ReachError};
use crate::event::{Line, Mark};
use crate::jobspec::{self, Inputs, Job};
use crate::nomad::{
    CLOSING, Client, DiffLine, Failure, FollowOptions, NomadError, Planned, Progress, Registered, Sign,
    Verdict, diff_lines, follow,
};

/// How long a job may take to become healthy where the step says nothing: longer than Nomad's own
/// progress deadline, which never starts for what can't be placed.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

pub(super) fn unreachable(error: ReachError) -> StepError {
    match error {
        ReachError::Wrong(problem) => Diagnostics::from(problem).into(),
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

/// The jobs of files and patterns, relative to the project's root, in the order of their names.
pub fn read_jobs(environment: &Environment, patterns: &[String]) -> Result<Vec<Job>, StepError> {
    let mut problems = Diagnostics::default();
    let mut jobs: Vec<Job> = Vec::new();
    let inputs = inputs(environment)?;
    for path in job_files(environment, patterns)? {
        let name = path.strip_prefix(environment.root()).unwrap_or(&path).display().to_string();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                problems.push(Diagnostic::error(format!("{name} can't be read: {error}")));
                continue;
            }
        };
        match jobspec::parse(&Source::new(name, text), &inputs) {
            Ok(job) => match jobs.iter().find(|other| other.id() == job.id()) {
                Some(other) => problems.push(Diagnostic::error(format!(
                    "{} and {} both hold the job '{}'",
                    other.source.name,
                    job.source.name,
                    job.id()
                ))),
                None => jobs.push(job),
            },
            Err(found) => problems.extend(found),
        }
    }
    problems.into_result(jobs).map_err(StepError::from)
}

fn inputs(environment: &Environment) -> Result<Inputs, StepError> {
    let mut var_files = Vec::new();
    let settings = environment.settings().nomad.as_ref();
    for (path, span) in settings.map(|nomad| nomad.var_files.as_slice()).unwrap_or_default() {
        let text = std::fs::read_to_string(environment.root().join(path)).map_err(|error| {
            let message = format!("the var file {} can't be read: {error}", path.display());
            StepError::from(Diagnostics::from(Diagnostic::error(message).at(span)))
        })?;
        var_files.push(Source::new(path.display().to_string(), text));
    }
    let variables = environment.child_variables();
    let given = variables.into_iter().filter(|(name, _)| name.starts_with("NOMAD_VAR_")).collect();
    Ok(Inputs {
        variables: Vec::new(),
        var_files,
        shared: true,
        environment: given,
        root: environment.root().clone(),
    })
}

fn job_files(environment: &Environment, patterns: &[String]) -> Result<Vec<PathBuf>, StepError> {
    let root = environment.root();
    let mut files = Vec::new();
    for pattern in patterns {
        let below = std::path::Path::new(pattern);
        if below.is_absolute() || below.components().any(|part| part == std::path::Component::ParentDir) {
            let message = format!("'{pattern}' leads out of the project");
            return Err(StepError::untouched(message).help("job files lie below the project's root"));
        }
        let whole = format!("{}/{pattern}", glob::Pattern::escape(&root.display().to_string()));
        let found = glob::glob(&whole)
            .map_err(|error| StepError::untouched(format!("'{pattern}' is not a pattern")).because(error))?;
        let before = files.len();
        files.extend(found.filter_map(Result::ok).filter(|path| path.is_file()));
        if files.len() == before {
            let message = format!("no file matches '{pattern}'");
            return Err(StepError::untouched(message).help(format!("it is looked for in {}", root.display())));
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
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
    client: &Client,
    registered: &Registered,
    timeout: Option<Duration>,
) -> Result<String, StepError> {
    let timeout = timeout.unwrap_or(PATIENCE);
    let options = FollowOptions { timeout, closing: CLOSING, ..FollowOptions::default() };
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
            return Err(StepError::new(message, Touched::Unknown));
        }
    };
    match verdict {
        Ok(verdict) if verdict.is_healthy() => Ok(verdict.lines().join(", ")),
        Ok(verdict) => {
            let advice = match &verdict {
                // An answer that doesn't come is no reason to say less than before.
                Verdict::CannotPlace { .. } => client.advice(&registered.job_id).await.ok().flatten(),
                _ => None,
            };
            let environment = cx.environment.as_str();
            let verdict = back_now(cx, client, verdict).await;
            Err(unhealthy(&registered.job_id, &verdict, advice.map(|advice| advice.lines(environment))))
        }
        Err(error) => {
            let failed = refused(error);
            Err(StepError { touched: Touched::Unknown, ..failed })
        }
    }
}

/// Where the server would go back to the last good version only at the deployment's deadline, has it do so now.
async fn back_now(cx: &Context, client: &Client, verdict: Verdict) -> Verdict {
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
    let advised = advice.is_some();
    let help = match verdict {
        Verdict::CannotPlace { .. } if advised => {
            Some("make room, or ask for less in the job file too, or the next start undoes it".to_owned())
        }
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
    client.check_version().await.map_err(|error| {
        let address = client.address().to_owned();
        let failed = refused(error);
        StepError { message: format!("{} ({address})", failed.message), ..failed }
    })?;
    Ok(client)
}
