//! What is wrong with a patch, all of it at once: with its place where somebody wrote it.

use super::wanted::{MADE, ServiceChange};
use crate::base::{Diagnostic, Diagnostics};
use crate::engine::StepError;

/// Something wrong with one service of the patch.
pub(super) struct Problem {
    message: String,
    help: Option<String>,
}

impl Problem {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// What is wrong, all of it.
#[derive(Default)]
pub(super) struct Problems {
    placed: Diagnostics,
    others: Vec<Problem>,
}

impl Problems {
    pub fn is_empty(&self) -> bool {
        self.placed.0.is_empty() && self.others.is_empty()
    }

    pub fn add(&mut self, change: &ServiceChange, problem: Problem) {
        match change.place.as_ref().filter(|place| place.source.name != MADE) {
            Some(place) => {
                let mut diagnostic = Diagnostic::error(problem.message).at(place);
                diagnostic.help = problem.help;
                self.placed.push(diagnostic);
            }
            None => self.others.push(problem),
        }
    }

    pub fn into_result(self) -> Result<(), StepError> {
        if !self.placed.0.is_empty() {
            return Err(self.placed.into());
        }
        let mut messages: Vec<String> = Vec::new();
        let mut helps: Vec<String> = Vec::new();
        for Problem { message, help } in self.others {
            if !messages.contains(&message) {
                messages.push(message);
            }
            if let Some(help) = help.filter(|help| !helps.contains(help)) {
                helps.push(help);
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        let error = StepError::untouched(messages.join("\n"));
        Err(if helps.is_empty() { error } else { error.help(helps.join("\n")) })
    }
}
