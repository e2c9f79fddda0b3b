//! What every command shows through: the reporter, set up for this terminal.

use std::io::IsTerminal;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::watch;

use super::args::Global;
use super::interrupts;
use super::prompt::{Nobody, Terminal};
use crate::app::{Failure, Session};
use crate::base::Secrets;
use crate::engine::Approver;
use crate::event::Event;
use crate::report::{Options, Reporter, diagnostics_json};

/// The person's side of a command.
pub struct Ui {
    pub reporter: Reporter,
    /// Whether somebody can be asked.
    pub terminal: bool,
    pub json: bool,
    /// Kept out of everything that is shown.
    pub secrets: Secrets,
}

impl Ui {
    pub fn new(global: &Global) -> Self {
        Self::with(global.json, global.verbose)
    }

    /// For what goes wrong before the arguments are read.
    pub fn plain() -> Self {
        Self::with(false, 0)
    }

    fn with(json: bool, verbose: u8) -> Self {
        let terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        let secrets = Secrets::default();
        let reporter = Reporter::new(Options::detect(json, verbose, false), secrets.clone());
        Self { reporter, terminal: terminal && !json, json, secrets }
    }

    /// What went wrong outside a run: in words on stderr; with `--json` as a document on stdout, as all else.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let diagnostics = failure.diagnostics.as_ref().map(diagnostics_json);
            self.reporter.json(&json!({
                "type": "failed",
                "exit": failure.code as u8,
                "message": Some(&failure.message).filter(|message| !message.is_empty()),
                "help": failure.help,
                "diagnostics": diagnostics.unwrap_or_else(|| json!([])),
            }));
            return;
        }
        if let Some(diagnostics) = &failure.diagnostics {
            self.reporter.diagnostics(diagnostics);
        }
        if !failure.message.is_empty() {
            self.reporter.error(&failure.message, failure.help.as_deref());
        }
    }

    /// Who watches and answers: this terminal, or nobody.
    pub fn session(&self, who: &str) -> Session {
        let interrupts = interrupts::count();
        let approver: Arc<dyn Approver> = if self.terminal {
            Arc::new(Terminal::new(self.reporter.clone(), who, interrupts.clone()))
        } else {
            Arc::new(Nobody)
        };
        self.session_with(approver, interrupts)
    }

    pub fn session_with(&self, approver: Arc<dyn Approver>, interrupts: watch::Receiver<u32>) -> Session {
        let reporter = self.reporter.clone();
        Session { sink: Arc::new(move |event: &Event| reporter.event(event)), approver, interrupts }
    }
}
