//! `exec`: a command, argument by argument, without a shell.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::build::{Inputs, Known};
use crate::base::text;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::journal::Intent;
use crate::process::{self, Limits, RunError};

pub struct Command(pub Inputs);

struct Wanted {
    argv: Vec<String>,
    dir: String,
    environment: BTreeMap<String, String>,
    timeout: Duration,
}

impl Command {
    fn wanted(&self, cx: &Context) -> Result<Known<Wanted>, StepError> {
        Ok(self.0.read(cx, |reader, body| {
            let dir = reader.string(body, "dir").unwrap_or_default();
            let environment = reader.string_map(body, "environment").unwrap_or_default();
            let timeout = reader.duration(body, "timeout").unwrap_or(Duration::from_secs(3600));
            Some(Wanted { argv: reader.strings(body, "command")?, dir, environment, timeout })
        })?)
    }
}

#[async_trait]
impl Step for Command {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = match self.wanted(cx)? {
            Known::All(wanted) => wanted,
            Known::Not(what) => {
                let summary = format!("a command with {what}, which is known later");
                let later = Some(format!("{what} is known then"));
                return Ok(Preview { later, ..Preview::new(summary, json!({ "unknown": what })) });
            }
        };
        if wanted.argv.first().is_none_or(String::is_empty) {
            return Err(StepError::untouched("the command is empty"));
        }
        let secrets = self.0.environment.secrets();
        if wanted.argv.iter().any(|argument| secrets.mask(argument) != *argument) {
            return Err(StepError::untouched(
                "the command holds a secret, which everybody on this machine could read",
            )
            .help("give it in `environment = { … }`, and have the command read it from there"));
        }
        let later = match horizon {
            Horizon::Later(why) => Some(why.clone()),
            Horizon::Now => None,
        };
        let summary = self.0.environment.secrets().mask(&text::one_line(&wanted.argv.join(" ")));
        let decision =
            json!({ "command": wanted.argv, "dir": wanted.dir, "environment": wanted.environment });
        let bound = Some(decision.clone());
        Ok(Preview { later, bound, ..Preview::new(summary, decision) })
    }

    async fn execute(&self, cx: &Context, _: Preview) -> Result<Outcome, StepError> {
        let wanted = match self.wanted(cx)? {
            Known::All(wanted) => wanted,
            Known::Not(what) => return Err(StepError::untouched(format!("{what} has no value"))),
        };
        let environment = &self.0.environment;
        if environment.is_rehearsal() {
            return Ok(Outcome { summary: "not run in a rehearsal".into(), ..Outcome::default() });
        }
        let mut variables = environment.child_variables();
        variables.extend(wanted.environment);
        let dir = environment.root().join(&wanted.dir);
        let command = process::Command { argv: wanted.argv, dir, environment: variables };
        let limits = Limits { time: wanted.timeout, ..Limits::default() };
        let child = std::sync::Mutex::new(None);
        let started = |pid: u32, at: &str, interrupter: process::Interrupter| {
            cx.child(pid, at.to_owned());
            if let Ok(mut slot) = child.lock() {
                *slot = Some(interrupter);
            }
        };
        let mut line = |_, text: &str| cx.progress(None, text.to_owned(), None);
        let running = process::run(&command, environment.secrets(), limits, &started, &mut line);
        tokio::pin!(running);
        let finished = tokio::select! {
            finished = &mut running => finished,
            () = cx.interrupted_times(2) => {
                if let Some(interrupter) = child.lock().ok().and_then(|mut slot| slot.take()) {
                    interrupter.interrupt();
                }
                running.await
            }
        };
        let finished = finished.map_err(|error| {
            let touched = match &error {
                RunError::NotFound { .. } | RunError::Start { .. } => Touched::Nothing,
                _ => Touched::Unknown,
            };
            StepError::new(error.to_string(), touched)
        })?;
        let evidence = json!({ "exit": finished.ended.to_string() });
        if !finished.ended.success() {
            let last = finished.stderr.lines().chain(finished.stdout.lines()).last().unwrap_or_default();
            let message = format!("the command ended with {}: {last}", finished.ended);
            return Err(StepError { evidence, ..StepError::new(message, Touched::Something) });
        }
        let output = Value::String(finished.stdout.trim_end().to_owned());
        Ok(Outcome { summary: "done".into(), evidence, output: json!({ "output": output }) })
    }

    async fn reconcile(&self, cx: &Context, intent: &Intent) -> Result<Reconciled, StepError> {
        if let Some((pid, started)) = &intent.child
            && process::is_running(*pid, started)
        {
            cx.teller.note(format!(
                "the command of the interrupted run still runs (process {pid}); waiting for it"
            ));
            tokio::select! {
                () = process::ended(*pid, started) => {}
                () = cx.interrupted_times(1) => {
                    let message = format!("the command still runs (process {pid})");
                    return Err(StepError::new(message, Touched::Unknown).help("resume once it has ended"));
                }
            }
        }
        let repeatable =
            self.0.now(cx, |reader, body| Some(reader.bool(body, "repeatable").unwrap_or(false)))?;
        Ok(if repeatable {
            Reconciled::NotDone("it may be repeated; doing it again".into())
        } else {
            Reconciled::Undecided("how the command ended is not known".into())
        })
    }
}
