use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::common::open_record;
use crate::app::{Code, Failure};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;
use crate::journal::{Holder, Run, RunStatus};
use crate::report::Table;

/// Lists the runs of an environment
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart runs -e test")]
pub struct Runs {}

pub fn run(_: &Runs, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let opened = open_record(&global.options(None, ui)?)?;
    let changing = opened.changing();
    let runs = opened.journal.runs()?;
    if ui.json {
        for run in runs.iter() {
            ui.reporter.json(&json!({
                "run": run.id, "plan": run.plan, "status": status(run, changing.as_ref()), "who": run.who, "started": run.started,
                "last": run.last, "changed": run.changed, "reason": run.reason,
            }));
        }
        return Ok(Code::Done);
    }
    if runs.is_empty() {
        ui.reporter.say(&format!("'{}' has no run yet.", opened.settings.name));
        return Ok(Code::Done);
    }
    let mut table =
        Table::new(["RUN", "PLAN", "STATUS", "STARTED", "TOOK", "WHO"]).keeping(["RUN", "STARTED"]);
    for run in runs.iter() {
        let took = Duration::try_from(run.last.duration_since(run.started)).unwrap_or_default();
        table = table.row([
            run.id.to_string(),
            run.plan.clone(),
            status(run, changing.as_ref()).to_owned(),
            run.started.strftime("%Y-%m-%d %H:%M").to_string(),
            text::duration(took),
            run.who.clone(),
        ]);
    }
    ui.reporter.table(&table);
    Ok(Code::Done)
}

/// Whether it is what is being done now.
pub(super) fn is_running(run: &Run, changing: Option<&Holder>) -> bool {
    changing.is_some_and(|holder| holder.run.as_ref() == Some(&run.id))
}

/// A run's status in a word; `changing` has the environment now.
pub(super) fn status(run: &Run, changing: Option<&Holder>) -> &'static str {
    match run.status {
        RunStatus::New => "new",
        RunStatus::Running if is_running(run, changing) => "running now",
        RunStatus::Running => "cut off",
        RunStatus::Paused => "paused",
        RunStatus::Failed => "failed",
        RunStatus::Done if run.changed => "done",
        RunStatus::Done => "nothing to do",
        RunStatus::Abandoned if run.approved.is_empty() => "not approved",
        RunStatus::Abandoned => "given up",
    }
}
