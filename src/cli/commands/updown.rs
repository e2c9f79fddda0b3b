use clap::Args;

use super::common::{RunArgs, run_plan};
use crate::app::{Code, Failure, Request};
use crate::cli::args::Global;
use crate::cli::ui::Ui;
use crate::plan::Operation;

/// Takes an environment down by the one plan to stop that applies
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart stop test")]
pub struct Stop {
    #[command(flatten)]
    args: UpDown,
}

/// Brings an environment up by the one plan to start that applies
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart start test --downtime 3d")]
pub struct Start {
    #[command(flatten)]
    args: UpDown,
}

#[derive(Args, Debug)]
struct UpDown {
    /// The environment, as blackstart.hcl names it
    #[arg(value_name = "ENV")]
    positional: Option<String>,
    /// This plan instead of the one that applies
    #[arg(long)]
    plan: Option<String>,
    #[command(flatten)]
    args: RunArgs,
}

pub async fn stop(args: &Stop, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    by_operation(&args.args, Operation::Stop, global, ui).await
}

pub async fn start(args: &Start, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    by_operation(&args.args, Operation::Start, global, ui).await
}

async fn by_operation(
    args: &UpDown,
    operation: Operation,
    global: &Global,
    ui: &Ui,
) -> Result<Code, Failure> {
    let request = Request { plan: args.plan.clone(), operation: Some(operation), ..args.args.request()? };
    run_plan(global, args.positional.as_ref(), request, ui, operation.name()).await
}
