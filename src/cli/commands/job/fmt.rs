use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::arguments::with_diagnostics;
use crate::app::{self, Code, Failure, JobOptions};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Rewrites job files, and any HCL, in the layout of `nomad fmt`, and lists what it changed
///
/// Only blanks change: comments, heredocs and line ends stay. Of a folder it takes the *.hcl and *.nomad files right
/// in it. A file that isn't right HCL stays as it is, and is an error.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart job fmt nomad-jobs\n  blackstart job fmt --check --recursive .\n  blackstart job fmt - <web.nomad.hcl\n\nExit codes: 0 done; 1 an error, or with --check a file whose layout is another."
)]
pub struct Fmt {
    /// Files and folders; - formats standard input to standard output
    #[arg(default_value = ".", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Writes nothing, and fails where something would change (-check works too)
    #[arg(long)]
    check: bool,
    /// Goes into the folders of folders (-recursive works too)
    #[arg(long)]
    recursive: bool,
}

pub fn run(args: &Fmt, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let options = JobOptions { place: global.options(None, ui)?, ..JobOptions::default() };
    let formatted = app::format_files(&args.paths, &options, args.recursive, args.check);
    if ui.json {
        let mut document = json!({ "changed": formatted.changed });
        if let Some(text) = &formatted.text {
            document["text"] = text.as_str().into();
        }
        ui.reporter.json(&with_diagnostics(document, &formatted.problems));
    } else {
        ui.reporter.diagnostics(&formatted.problems);
        match formatted.text.as_deref().filter(|_| !args.check) {
            Some(text) => ui.reporter.document(text),
            None => formatted.changed.iter().for_each(|name| ui.reporter.say(name)),
        }
    }
    let wrong = formatted.problems.has_errors() || args.check && !formatted.changed.is_empty();
    Ok(if wrong { Code::Error } else { Code::Done })
}
