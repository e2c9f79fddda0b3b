use clap::Args;

use super::common::{RunArgs, ended, open_to_change, open_to_give_up};
use crate::app::{self, Code, Failure};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Goes on with an unfinished run: looks at what remains, asks, and does it
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  blackstart resume -e test\n  blackstart resume --abandon --all -e test")]
pub struct Resume {
    /// The run, or a part of its name; not needed where only one is unfinished
    run: Option<String>,
    /// Gives the run up instead: what it did stays as it is, and it is not offered again
    #[arg(long)]
    abandon: bool,
    /// With --abandon: every unfinished run of the environment
    #[arg(long, requires = "abandon", conflicts_with = "run")]
    all: bool,
    #[command(flatten)]
    args: RunArgs,
}

pub async fn run(args: &Resume, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let request = args.args.request()?;
    if args.abandon {
        let opened = open_to_give_up(&global.options(None, ui)?, "resume --abandon")?;
        let runs = app::abandon(&opened, args.run.as_deref(), args.all)?;
        for run in &runs {
            ui.reporter.say(&format!("The run {run} is given up; what it did stays as it is."));
        }
        if runs.is_empty() {
            ui.reporter.say("No run is unfinished.");
        }
        return Ok(Code::Done);
    }
    let opened = open_to_change(&global.options(None, ui)?, &request, ui, "resume")?;
    let session = ui.session(&opened.who);
    let finished = app::resume(&opened, &session, &request, args.run.as_deref()).await?;
    Ok(ended(&finished, ui))
}
