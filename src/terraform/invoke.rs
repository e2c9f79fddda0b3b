//! Runs one `terraform` command to its end.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::api::{Action, Progress, Tell};
use super::cli::Cli;
use super::error::{Problem, TerraformError};
use super::settings::MINIMUM;
use super::stream::{self, Message};
use crate::process::{Child, Command, Ended, Memory};

/// More of what a failing child wrote isn't shown.
const MOST_LINES: usize = 40;

/// How a command ended and what it wrote besides the streaming format. Errors are masked; standard
/// output is as it was written.
#[derive(Debug)]
pub(super) struct Run {
    pub ended: Ended,
    pub interrupted: bool,
    pub stdout: Vec<u8>,
    errors: String,
}

impl Default for Run {
    fn default() -> Self {
        let ended = Ended { code: None, signal: None };
        Self { ended, interrupted: false, stdout: Vec::new(), errors: String::new() }
    }
}

impl Run {
    /// What a command that gave no diagnostics died of.
    pub(super) fn problem(&self) -> Problem {
        let mut lines = self.errors.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
        let error = lines.clone().position(|line| line.trim_start_matches(['│', ' ']).starts_with("Error: "));
        let lines: Vec<&str> = match error {
            Some(at) => lines.by_ref().skip(at).take(MOST_LINES).collect(),
            None => lines.by_ref().take(MOST_LINES).collect(),
        };
        let mut lines = lines.iter().map(|line| line.trim_start_matches(['│', '╷', '╵', ' ']));
        let first = lines.next().unwrap_or_default();
        let summary = first.strip_prefix("Error: ").unwrap_or(first);
        let summary = if summary.is_empty() { self.ended.to_string() } else { summary.to_owned() };
        let detail = lines.collect::<Vec<_>>().join("\n").trim().to_owned();
        Problem { summary, detail, place: None, address: None }
    }
}

/// What a command said in the streaming format. Texts are masked.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub run: Run,
    pub errors: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// Completed, in order.
    pub done: Vec<(String, Action)>,
    /// Begun and not completed.
    pub started: Vec<(String, Action)>,
    pub outputs: BTreeMap<String, (Option<Value>, bool)>,
    /// It said that the apply is complete.
    pub applied: bool,
    pub refused: Option<Refused>,
}

/// A Terraform that isn't driven.
#[derive(Debug)]
pub(super) enum Refused {
    TooOld(String),
    UnknownFormat(String),
}

/// Runs a command whose standard output is text or a document.
pub(super) async fn text(
    cli: &Cli,
    binary: &Path,
    arguments: Vec<String>,
    stdin: Option<&Memory>,
    tell: Tell<'_>,
) -> Result<Run, TerraformError> {
    run(cli, binary, arguments, stdin, tell, None).await
}

/// Runs a command that speaks the streaming format, telling what it does.
pub(super) async fn stream(
    cli: &Cli,
    binary: &Path,
    arguments: Vec<String>,
    plan: &Memory,
    tell: Tell<'_>,
) -> Result<Heard, TerraformError> {
    let mut heard = Heard::default();
    let mut line = |line: &str| heard.take(stream::message(line), cli, tell);
    let run = run(cli, binary, arguments, Some(plan), tell, Some(&mut line)).await?;
    heard.run = run;
    match heard.refused.take() {
        // A plan changes nothing, and no apply gets here without one.
        Some(Refused::TooOld(found)) => Err(TerraformError::TooOld { found, minimum: MINIMUM }),
        Some(Refused::UnknownFormat(found)) => Err(TerraformError::UnknownFormat { found }),
        None => Ok(heard),
    }
}

async fn run(
    cli: &Cli,
    binary: &Path,
    arguments: Vec<String>,
    stdin: Option<&Memory>,
    tell: Tell<'_>,
    line: Option<&mut (dyn FnMut(&str) + Send)>,
) -> Result<Run, TerraformError> {
    let mut argv = vec![binary.to_string_lossy().into_owned()];
    argv.extend(arguments);
    let command = Command { argv, environment: cli.settings.children(), dir: cli.settings.dir.clone() };
    let mut child = Child::spawn(&command, stdin).map_err(TerraformError::Child)?;
    let interrupter = child.interrupter();
    cli.running().push(interrupter.clone());
    let pid = child.pid();
    // Also when this future is dropped: what nobody follows any more isn't interrupted either.
    let _registered = Registered { cli, pid };
    tell(Progress::Child { pid, started: child.started().to_owned() });
    let streamed = line.is_some();
    let ended = match line {
        Some(line) => child.follow(line).await,
        None => child.wait().await,
    };
    let ended = ended.map_err(TerraformError::Child)?;
    let stdout = if streamed { Vec::new() } else { child.stdout().bytes().map_err(TerraformError::Child)? };
    let errors = child.stderr().bytes().map_err(TerraformError::Child)?;
    let errors = cli.clean(&String::from_utf8_lossy(&errors));
    Ok(Run { ended, interrupted: interrupter.interrupted(), stdout, errors })
}

struct Registered<'a> {
    cli: &'a Cli,
    pid: u32,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.cli.running().retain(|interrupter| interrupter.pid() != self.pid);
    }
}

impl Heard {
    fn take(&mut self, message: Message, cli: &Cli, tell: Tell<'_>) {
        match message {
            Message::Version { terraform } => {
                if older(&terraform, MINIMUM) {
                    self.refused = Some(Refused::TooOld(terraform));
                }
            }
            Message::UnknownFormat { version } => self.refused = Some(Refused::UnknownFormat(version)),
            Message::Refreshing { address } => tell(Progress::Planning { address }),
            Message::Start { address, action } => {
                if !action.is_harmless() {
                    self.started.push((address.clone(), action));
                }
                tell(Progress::ApplyStart { address, action });
            }
            Message::Running { address, elapsed } => {
                tell(Progress::ApplyProgress { address, elapsed_seconds: elapsed });
            }
            Message::Complete { address, action, elapsed } => {
                self.started.retain(|(started, begun)| *started != address || *begun != action);
                if !action.is_harmless() {
                    self.done.push((address.clone(), action));
                }
                tell(Progress::ApplyDone { address, elapsed_seconds: elapsed });
            }
            Message::Errored { address, action } => {
                // A resource can fail before it was said to have begun.
                let failed = (address.clone(), action);
                if !action.is_harmless() && !self.started.contains(&failed) {
                    self.started.push(failed);
                }
                tell(Progress::ApplyFailed { address });
            }
            Message::Provisioner { address, output } => {
                tell(Progress::Note(cli.clean(&format!("{address}: {}", output.trim_end()))));
            }
            Message::Diagnostic { severity, problem } => self.diagnose(severity, problem, cli, tell),
            Message::Outputs(outputs) => self.outputs = outputs,
            Message::Applied => self.applied = true,
            Message::Text(line) => tell(Progress::Note(cli.clean(&line))),
            Message::Other => {}
        }
    }

    fn diagnose(&mut self, severity: String, problem: Problem, cli: &Cli, tell: Tell<'_>) {
        let is_error = severity == "error";
        let problem = problem.map(|raw| cli.clean(raw));
        let expected = !is_error && stream::expected_with_targets(&problem);
        // An interrupt makes Terraform say the same thing of every resource.
        if expected || self.errors.contains(&problem) {
            return;
        }
        tell(Progress::Diagnostic {
            severity,
            summary: problem.summary.clone(),
            detail: problem.detail.clone(),
            address: problem.address.clone(),
        });
        if is_error {
            self.errors.push(problem);
        } else {
            self.warnings.push(problem);
        }
    }
}

/// Whether a version is below another; what stands after the numbers doesn't count.
fn older(version: &str, than: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        core.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(version) < numbers(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(older("1.5.7", MINIMUM) && older("0.15.0", MINIMUM));
        assert!(!older("1.6.0", MINIMUM) && !older("1.11.4", MINIMUM) && !older("1.10.0-beta1", MINIMUM));
    }

    #[test]
    fn text_errors_become_problems() {
        let errors = "\n╷\n│ Warning: config\n╵\n│ Error: Backend configuration changed\n│ \n│ A change\n│ was detected\n╵\n";
        let run = Run { errors: errors.into(), ..Run::default() };
        let problem = run.problem();
        assert_eq!(problem.summary, "Backend configuration changed");
        assert_eq!(problem.detail, "A change\nwas detected");
        let run = Run { ended: Ended { code: Some(2), signal: None }, ..Run::default() };
        assert_eq!(run.problem().summary, "exit code 2");
    }
}
