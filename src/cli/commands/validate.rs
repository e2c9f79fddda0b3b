use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::app::{self, Code, Failure};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;
use crate::settings;

/// Checks settings, plans, job files and var files: every error in one go
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  blackstart validate\n  blackstart validate nomad-jobs plans/stop.hcl")]
pub struct Validate {
    /// Files and folders; without any, the whole project
    paths: Vec<PathBuf>,
}

pub fn run(args: &Validate, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let dir = std::fs::canonicalize(&global.dir).map_err(|error| {
        Failure::error(format!("the folder {} can't be opened: {error}", global.dir.display()))
    })?;
    let root = settings::find_root(&dir);
    if root.is_none() && args.paths.is_empty() {
        return Err(Failure::error(format!(
            "there is no {} in {} or above it",
            settings::FILE_NAME,
            dir.display()
        ))
        .help("go to the project's folder, name it with -C DIR, or name the files to check"));
    }
    let checked = app::validate(root.as_deref().or(Some(&dir)), &args.paths);
    ui.reporter.diagnostics(&checked.problems);
    if checked.problems.has_errors() {
        return Ok(Code::Error);
    }
    if ui.json {
        ui.reporter.json(&json!({ "checked": checked.files.len(), "errors": 0 }));
        return Ok(Code::Done);
    }
    ui.reporter.say(&format!("{} checked, no error.", text::count(checked.files.len(), "file")));
    Ok(Code::Done)
}
