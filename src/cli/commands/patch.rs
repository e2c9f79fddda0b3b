use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::common::{RunArgs, ended, open_to_change, open_to_look, pair};
use crate::app::{self, Code, Failure};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Changes running jobs, shown first and followed until healthy
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart patch image job_creation=git-1a2b3c4d -e test")]
pub struct Patch {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Image(Image),
}

/// Sets the images of running jobs
///
/// What begins with sha256: is a digest; what else holds '/', ':' or '@' is a whole reference; the rest
/// is a tag. Without a terminal and an approval it shows the change and the digest to approve, and changes
/// nothing. The change is live only: write it to the job file too, or the next start undoes it.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch image job_creation=git-1a2b3c4d -e test\n  blackstart patch image web/api/server=registry.example.com/web:2 -e test --yes"
)]
struct Image {
    /// Which job, group or task becomes what
    #[arg(required = true, value_name = "JOB[/GROUP[/TASK]]=TAG", value_parser = pair)]
    images: Vec<(String, String)>,
    #[command(flatten)]
    args: RunArgs,
}

pub async fn run(args: &Patch, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let What::Image(args) = &args.what;
    let request = args.args.request()?;
    let images: BTreeMap<String, String> = args.images.iter().cloned().collect();
    if images.len() < args.images.len() {
        return Err(Failure::error("one job is named twice"));
    }
    let options = global.options(None, ui)?;
    // A patch has no preview of its own: where nobody can approve it, it shows what it would do and the
    // digest to approve, and ends as not approved.
    if !ui.terminal && !request.yes && request.approve.is_none() {
        let opened = open_to_look(&options)?;
        let session = ui.session(&opened.who);
        let chosen = app::patch_plan(&opened, &images)?;
        let preview = app::preview_made(&opened, &session, &request, chosen).await?;
        if !preview.changes {
            session.teller(&opened.clock, None, opened.settings.simulated).note("nothing to do");
            return Ok(Code::Done);
        }
        let how = if opened.settings.protected { "" } else { "--yes, or " };
        let what = "this needs an approval, and there is no terminal to ask at; nothing was changed";
        let help = format!("run it in a terminal, or give {how}--approve {}", preview.digest);
        return Err(Failure::new(Code::Denied, what).help(help));
    }
    let opened = open_to_change(&options, &request, ui, "patch image")?;
    let session = ui.session(&opened.who);
    let chosen = app::patch_plan(&opened, &images)?;
    let finished = app::start_made(&opened, &session, &request, chosen).await?;
    Ok(ended(&finished, ui))
}
