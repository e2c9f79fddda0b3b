use clap::Args;

use super::common::{RunArgs, open_to_look};
use crate::app::{self, Code, Failure, Request};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Shows what a plan would do, and the digest to approve it by; changes nothing
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart preview stop -e prod")]
pub struct Preview {
    /// The plan's name, or its file
    plan: String,
    /// Ends with exit code 2 where anything would change
    #[arg(long)]
    detailed_exitcode: bool,
    #[command(flatten)]
    args: RunArgs,
}

pub async fn run(args: &Preview, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let opened = open_to_look(&global.options(None, ui)?)?;
    let session = ui.session(&opened.who);
    let request = Request { plan: Some(args.plan.clone()), ..args.args.request()? };
    let preview = app::preview(&opened, &session, &request).await?;
    let teller = session.teller(&opened.clock, None, opened.settings.simulated);
    if !preview.changes {
        teller.note("nothing to do");
        return Ok(Code::Done);
    }
    teller.note(format!(
        "nothing was changed; to approve exactly this: blackstart run {} -e {} --approve {}",
        args.plan, opened.settings.name, preview.digest
    ));
    Ok(if args.detailed_exitcode { Code::Changes } else { Code::Done })
}
