use clap::Args;
use serde_json::json;

use super::super::common::{open_to_change, open_to_look};
use crate::app::{self, Code, Failure, GivingUp, Opened, Request};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;
use crate::engine::{Answer, Question};

/// Gives unsaved changes up: nothing asks about them any more
///
/// What runs and what the files have is left as it is; what no file has is undone by the next start. What
/// becomes of each is shown first. That they were given up, and by whom, is recorded.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch drop job_creation -e test\n  blackstart patch drop -e test --yes"
)]
pub struct Drop {
    /// Only patches of these; all where none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    /// Approves what will be shown (refused for a protected environment)
    #[arg(long)]
    yes: bool,
    /// Approves exactly what was shown with this digest
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes")]
    approve: Option<String>,
}

pub async fn run(args: &Drop, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let request = Request { yes: args.yes, approve: args.approve.clone(), ..Request::default() };
    let options = global.options(None, ui)?;
    let nobody = !ui.terminal && !request.yes && request.approve.is_none();
    let opened =
        if nobody { open_to_look(&options)? } else { open_to_change(&options, &request, ui, "patch drop")? };
    let what = app::to_give_up(&opened, &args.services).await?;
    if what.is_empty() {
        ui.reporter.json(&json!({ "dropped": [] }));
        ui.reporter.say("nothing is unsaved");
        return Ok(Code::Done);
    }
    for patch in what.words() {
        let mut lines = patch.lines();
        ui.reporter.say(&format!("to give up: {}", lines.next().unwrap_or_default()));
        lines.for_each(|line| ui.reporter.say(&format!("  {line}")));
    }
    ui.reporter.say(&format!("Decision {}", what.digest));
    let (who, how) = approved(&opened, &what, &request, ui).await?;
    let dropped = app::give_up(&opened, what, &who, &how)?;
    ui.reporter.json(&json!({ "dropped": dropped }));
    for patch in &dropped {
        ui.reporter.say(&format!("given up: {}", text::one_line(patch)));
    }
    Ok(Code::Done)
}

/// By whom it is approved, and how.
async fn approved(
    opened: &Opened,
    what: &GivingUp,
    request: &Request,
    ui: &Ui,
) -> Result<(String, String), Failure> {
    let denied = |message: &str, help: String| Failure::new(Code::Denied, message).help(help);
    let digest = &what.digest;
    let protected = opened.settings.protected;
    match &request.approve {
        Some(given) if given == digest => return Ok((opened.who.clone(), "--approve".into())),
        Some(given) => {
            let message = format!("the approval {given} is not for this decision; nothing was given up");
            return Err(denied(&message, format!("approve what is shown now: --approve {digest}")));
        }
        None if request.yes => return Ok((opened.who.clone(), "--yes".into())),
        None => {}
    }
    let question = Question::Approve {
        digest: digest.clone(),
        environment: opened.settings.name.clone(),
        protected,
        also: Vec::new(),
        what: "patch drop".into(),
    };
    match ui.session(&opened.who).approver.ask(&question).await {
        Answer::Yes { who, how } => Ok((who, how)),
        Answer::No { .. } => Err(Failure::new(Code::Denied, "not approved; nothing was given up")),
        Answer::Wait | Answer::Nobody => {
            let yes = if protected { "" } else { "--yes, or " };
            let message = "this needs an approval, and there is no terminal to ask at; nothing was given up";
            Err(denied(message, format!("run it in a terminal, or give {yes}--approve {digest}")))
        }
    }
}
