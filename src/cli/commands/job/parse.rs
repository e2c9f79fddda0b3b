use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::arguments::{Inputs, with_diagnostics};
use crate::app::{self, Code, Failure};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Prints a job file as the JSON that Nomad's API takes, byte for byte as `nomad job run -output` does
///
/// With --json it stands on one line; where there are warnings, they stand in it under `diagnostics`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart job parse web.nomad.hcl\n  blackstart job parse -var tag=git-1a2b3c4d -var-file prod.nomadvars.hcl web.nomad.hcl | jq .Job.TaskGroups\n  envsubst <web.nomad.hcl | blackstart job parse -"
)]
pub struct Parse {
    /// The job file, in HCL or JSON; - reads standard input
    file: PathBuf,
    #[command(flatten)]
    inputs: Inputs,
}

pub fn run(args: &Parse, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let job = app::read_job(&args.file, &args.inputs.options(global, ui)?)?;
    if ui.json {
        let document = json!({ "Job": job.json });
        let quiet = job.warnings.0.is_empty();
        ui.reporter.json(&if quiet { document } else { with_diagnostics(document, &job.warnings) });
    } else {
        ui.reporter.diagnostics(&job.warnings);
        ui.reporter.document(&app::job_text(&job));
    }
    Ok(Code::Done)
}
