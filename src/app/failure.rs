//! What goes wrong outside a run, as kind, hint and exit code.

use crate::base::{Diagnostic, Diagnostics};
use crate::engine::Finished;
use crate::environment::ReachError;
use crate::event::Ending;
use crate::journal::{Holder, JournalError};

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    Done = 0,
    Error = 1,
    /// Drift; or changes, with `--detailed-exitcode`.
    Changes = 2,
    Refused = 3,
    /// Approval denied, stale, or needed and nobody to ask.
    Denied = 4,
    /// Unfinished and resumable.
    Unfinished = 5,
    Locked = 6,
}

impl From<ReachError> for Failure {
    fn from(error: ReachError) -> Self {
        Self { help: error.help(), ..Self::error(chain(&error)) }
    }
}

impl From<Ending> for Code {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done | Ending::NothingToDo => Self::Done,
            Ending::Refused => Self::Refused,
            Ending::Denied => Self::Denied,
            Ending::Failed => Self::Error,
            Ending::Paused => Self::Unfinished,
        }
    }
}

/// An error for a person: what was wrong, where, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: Code,
    pub message: String,
    pub help: Option<String>,
    /// Errors with places in files; the message repeats none of them.
    pub diagnostics: Option<Diagnostics>,
}

impl Failure {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None, diagnostics: None }
    }

    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Code::Error, message)
    }

    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Code::Refused, message)
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the file that it is about, unless it does so already.
    #[must_use]
    pub fn about(mut self, file: &std::path::Path) -> Self {
        let file = file.display().to_string();
        if !self.message.contains(&file) {
            self.message = format!("{file}: {}", self.message);
        }
        self
    }

    /// Who has the environment, and since when.
    pub fn locked(environment: &str, holder: Option<&Holder>) -> Self {
        let message = match holder {
            Some(holder) => format!(
                "the environment '{environment}' is locked by {} ({}, process {}) since {}",
                holder.who,
                holder.doing,
                holder.pid,
                holder.since.strftime("%Y-%m-%d %H:%M:%S UTC")
            ),
            None => format!("the environment '{environment}' is locked by another run"),
        };
        Self::new(Code::Locked, message).help("wait until that has ended; nothing was changed")
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self { diagnostics: Some(diagnostics), ..Self::error(String::new()) }
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics::from(diagnostic).into()
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        let help = match &error {
            JournalError::BrokenChain { .. } => Some(
                "keep the file, and compare it with the heads you noted; a copy can be put in its place"
                    .to_owned(),
            ),
            _ => None,
        };
        Self { help, ..Self::error(chain(&error)) }
    }
}

impl From<Finished> for Failure {
    fn from(finished: Finished) -> Self {
        // Errors with their places say it all.
        let message = if finished.diagnostics.is_some() { String::new() } else { finished.summary };
        Self { code: finished.ending.into(), message, help: finished.help, diagnostics: finished.diagnostics }
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let own = inner.to_string();
        if !text.contains(&own) {
            text.push_str(": ");
            text.push_str(&own);
        }
        cause = inner.source();
    }
    text
}
