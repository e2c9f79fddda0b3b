use clap::Args;
use serde_json::json;

use super::arguments::{Inputs, with_diagnostics};
use crate::app::{self, Code, Failure, Side};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Shows what differs between two jobs: files, or registered jobs
///
/// job:NAME is the registered job of that name, job:NAME@3 its version 3; all else is a file. What a file leaves out
/// counts as what Nomad would fill in, so that only what makes a difference is shown. Nomad is the environment's with
/// -e ENV, else --nomad-address or the shell's NOMAD_ADDR, NOMAD_TOKEN and NOMAD_NAMESPACE, as for the stock client.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart job diff job:web web.nomad.hcl -e test\n  blackstart job diff web.nomad.hcl web-new.nomad.hcl\n  git show HEAD:web.nomad.hcl | blackstart job diff - web.nomad.hcl\n  blackstart job diff job:web@3 job:web\n\nExit codes: 0 they are the same, 2 they differ, 1 an error."
)]
pub struct Diff {
    /// The old one: a file, job:NAME, job:NAME@VERSION, or - for standard input
    #[arg(value_name = "FROM")]
    from: String,
    /// The new one
    #[arg(value_name = "TO")]
    to: String,
    #[command(flatten)]
    inputs: Inputs,
}

pub fn run(args: &Diff, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let options = args.inputs.options(global, ui)?;
    let (from, to) = (Side::of(&args.from), Side::of(&args.to));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("the runtime can't be started: {error}")))?;
    let diff = runtime.block_on(app::job_diff(&from, &to, &options))?;
    let same = diff.lines.is_empty();
    if ui.json {
        let document = json!({ "same": same, "changes": diff.lines });
        ui.reporter.json(&with_diagnostics(document, &diff.warnings));
    } else {
        ui.reporter.diagnostics(&diff.warnings);
        for line in diff.shown() {
            ui.reporter.say(&line);
        }
        if same {
            ui.reporter.say("They are the same job.");
        }
    }
    Ok(if same { Code::Done } else { Code::Changes })
}
