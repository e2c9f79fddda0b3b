use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::arguments::{Inputs, with_diagnostics};
use crate::app::{self, Code, Failure};
use crate::base::{Severity, text};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Checks job files: every error of every file in one go, with its place
///
/// A value that some of several files don't declare is for the others. A name in `depends_on` that no file holds is
/// a warning; jobs that depend on one another are an error.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart job validate nomad-jobs\n  blackstart job validate web.nomad.hcl -var-file prod.nomadvars.hcl\n  blackstart job validate nomad-jobs -e prod --json"
)]
pub struct Validate {
    /// Job files, and folders of them; - reads standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    inputs: Inputs,
}

pub fn run(args: &Validate, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let checked = app::check_jobs(&args.paths, &args.inputs.options(global, ui)?)?;
    let wrong = checked.problems.has_errors();
    if ui.json {
        let document = json!({ "files": checked.files, "valid": !wrong });
        ui.reporter.json(&with_diagnostics(document, &checked.problems));
    } else {
        ui.reporter.diagnostics(&checked.problems);
    }
    if wrong {
        if !ui.json {
            let errors = checked.problems.0.iter().filter(|one| one.severity == Severity::Error).count();
            let files = text::count(checked.files, "job file");
            ui.reporter.say(&format!("{files} checked: {}.", text::count(errors, "error")));
        }
        return Ok(Code::Error);
    }
    ui.reporter.say(&format!("{} checked, no error.", text::count(checked.files, "job file")));
    Ok(Code::Done)
}
