use clap::Args;

use super::common::{RunArgs, run_plan};
use crate::app::{Code, Failure, Request};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Runs a plan: shows what it would do, asks, and does it wave by wave
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart run cold-start -e test --downtime 3d")]
pub struct Run {
    /// The plan's name, or its file
    plan: String,
    #[command(flatten)]
    args: RunArgs,
}

pub async fn run(args: &Run, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let request = Request { plan: Some(args.plan.clone()), ..args.args.request()? };
    run_plan(global, None, request, ui, &format!("run {}", args.plan)).await
}
