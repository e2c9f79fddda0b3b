//! An environment that was stopped: that nothing answers there is no fault, and is said so.

use std::collections::BTreeMap;

use super::downtime::last_stop;
use super::failure::Failure;
use super::open::Opened;
use crate::environment::ReachError;
use crate::http::HttpError;
use crate::journal::Run;
use crate::nomad::NomadError;

/// Refuses what needs running jobs where a stop took the environment down and nothing of it answers.
/// `otherwise` is what can be done all the same.
pub async fn refuse_stopped(opened: &Opened, otherwise: Option<&str>) -> Result<(), Failure> {
    if last_stop(&opened.journal.runs()?).is_none() {
        return Ok(());
    }
    let environment = opened.environment(BTreeMap::new(), None)?;
    let cause = match environment.nomad().await {
        Ok(client) => match client.leader().await.err().as_ref().and_then(nothing_there) {
            Some(cause) => cause,
            None => return Ok(()),
        },
        Err(error @ ReachError::NotUp { .. }) => error.to_string(),
        // It says for itself what is wrong.
        Err(_) => return Ok(()),
    };
    let Some(mut failure) = stopped(opened, &cause) else { return Ok(()) };
    if let (Some(help), Some(otherwise)) = (&mut failure.help, otherwise) {
        help.push_str("; ");
        help.push_str(otherwise);
    }
    Err(failure)
}

/// What an error says, where it is that nothing answers there: any other says for itself what is wrong.
pub(super) fn nothing_there(error: &NomadError) -> Option<String> {
    match error {
        NomadError::Unreachable(
            cause @ (HttpError::Refused(_) | HttpError::NotConnected { .. } | HttpError::TimedOut { .. }),
        ) => Some(cause.to_string()),
        _ => None,
    }
}

/// That the environment is stopped, by which run and since when, and why nothing of it answers; none where no
/// run has stopped it.
pub(super) fn stopped(opened: &Opened, cause: &str) -> Option<Failure> {
    let runs = opened.journal.runs().ok()?;
    let since = last_stop(&runs)?;
    let is_it = |run: &&Run| {
        run.operation.as_deref() == Some("stop") && run.changed_at().unwrap_or(run.started) == since
    };
    let by = runs.iter().find(is_it).map(|run| format!(", by the run {}", run.id)).unwrap_or_default();
    let (name, since) = (&opened.settings.name, since.strftime("%Y-%m-%d %H:%M UTC"));
    let message = format!("'{name}' is stopped since {since}{by}: {cause}");
    Some(Failure::error(message).help(format!("bring it up: blackstart start {name}")))
}
