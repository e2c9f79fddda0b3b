use clap::Args;
use serde_json::json;

use super::super::common::open_to_give_up;
use crate::app::{self, Code, Failure};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Gives unsaved changes up: nothing asks about them any more
///
/// What runs and what the files have is left as it is; what no file has is undone by the next start. That they were given up, and by whom, is recorded.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch drop job_creation -e test\n  blackstart patch drop -e test"
)]
pub struct Drop {
    /// Only patches of these; all where none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub async fn run(args: &Drop, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let opened = open_to_give_up(&global.options(None, ui)?, "patch drop")?;
    let dropped = app::drop_patches(&opened, &args.services).await?;
    if ui.json {
        ui.reporter.json(&json!({ "dropped": dropped }));
        return Ok(Code::Done);
    }
    for line in &dropped {
        ui.reporter.say(&format!("given up: {}", text::one_line(line)));
    }
    if dropped.is_empty() {
        ui.reporter.say("nothing is unsaved");
    }
    Ok(Code::Done)
}
