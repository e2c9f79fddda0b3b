use std::time::Duration;

use clap::{Args, Subcommand};

use super::common::{duration, ended, look_made, open_to_change, open_to_look};
use crate::app::{self, Code, Failure, Request, Verb};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Starts, stops, restarts and scales single services
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart service stop job_creation -e test\n  blackstart service start job_creation -e test\n  blackstart service restart 'job_*' --delay 60s -e test\n  blackstart service scale worker_pool_management 3 -e test"
)]
pub struct Service {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Start(Start),
    Stop(Stop),
    Restart(Restart),
    Scale(Scale),
}

/// Starts services that were stopped, or that Nomad has forgotten
///
/// A stopped one is registered as it was before its stop. One that Nomad doesn't know any more (stopped jobs
/// are collected after hours) runs its job file again: one of those that the plans name. Where it was other when
/// it was stopped than that file says now, it is refused until one of the two is chosen.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart service start job_creation -e test\n  blackstart service start job_creation --as-it-was -e test"
)]
struct Start {
    #[command(flatten)]
    services: Services,
    /// What Nomad has forgotten comes back as it was before its stop, not from its file
    #[arg(long)]
    as_it_was: bool,
    /// Runs job files although live changes of these jobs aren't in them yet (recorded)
    #[arg(long, conflicts_with = "as_it_was")]
    discard_patches: bool,
    #[command(flatten)]
    how: How,
}

/// Stops services, those that depend on others first, and waits until nothing of them runs
///
/// Each is kept in the journal exactly as it was. It is not purged: `service start` brings it back. Where one
/// runs other than its job file says, and no patch of this environment says why, it is refused.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart service stop job_creation monitor -e test")]
struct Stop {
    #[command(flatten)]
    services: Services,
    /// Stops although what runs isn't in the job files: changes by hand may be lost (recorded)
    #[arg(long)]
    discard_patches: bool,
    #[command(flatten)]
    how: How,
}

/// Restarts services allocation by allocation, the next only when the last is healthy again
///
/// Healthy means: started since, and Nomad's own checks succeed since; without checks, running for
/// min_healthy_time. The first that doesn't get healthy ends it; the others run as they did, and `resume`
/// goes on with them.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart service restart worker_pool_management --delay 60s -e test\n  blackstart service restart 'job_*' --batch 25% -e test"
)]
struct Restart {
    #[command(flatten)]
    services: Services,
    /// How many allocations of a service at a time: a number, or a share of them
    #[arg(long, value_name = "N|PERCENT%")]
    batch: Option<String>,
    /// How long to wait after each is healthy again
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    delay: Option<Duration>,
    #[command(flatten)]
    how: How,
}

/// Changes how many allocations of a service run, one at a time, each step only when the last is healthy
///
/// The bounds of the group's scaling policy hold. The change is live only: write it to the job file too, or
/// the next start undoes it.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart service scale worker_pool_management 3 -e test\n  blackstart service scale web/api 1 --interval 1m --min 1 -e test"
)]
pub struct Scale {
    /// Which service, and which of its groups where it has several
    #[arg(value_name = "SERVICE[/GROUP]")]
    service: String,
    /// How many allocations are to run
    #[arg(value_name = "N")]
    count: u64,
    /// How long to wait between two steps [default: 25s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    interval: Option<Duration>,
    /// Refuses to go below this
    #[arg(long, value_name = "N")]
    min: Option<u64>,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Debug)]
struct Services {
    /// Services by name, or by patterns such as 'job_*'
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

/// How it is approved and how long it may take.
#[derive(Args, Debug)]
struct How {
    /// Shows what would be done, and the digest to approve it by; changes nothing
    #[arg(long, conflicts_with_all = ["yes", "approve"])]
    dry_run: bool,
    /// How long each may take to become healthy, or to end
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// Approves what will be shown (refused for a protected environment)
    #[arg(long)]
    yes: bool,
    /// Approves exactly the decision with this digest, as --dry-run showed it
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes")]
    approve: Option<String>,
}

impl How {
    fn request(&self) -> Request {
        Request { yes: self.yes, approve: self.approve.clone(), ..Request::default() }
    }
}

pub async fn run(args: &Service, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    match &args.what {
        What::Start(args) => {
            let request = Request { discard_patches: args.discard_patches, ..args.how.request() };
            let verb = Verb::Start { as_it_was: args.as_it_was };
            done(&verb, &args.services.services, &args.how, request, global, ui).await
        }
        What::Stop(args) => {
            let request = Request { discard_patches: args.discard_patches, ..args.how.request() };
            done(&Verb::Stop, &args.services.services, &args.how, request, global, ui).await
        }
        What::Restart(args) => {
            let verb = Verb::Restart { batch: args.batch.clone(), delay: args.delay };
            done(&verb, &args.services.services, &args.how, args.how.request(), global, ui).await
        }
        What::Scale(args) => scale(args, global, ui).await,
    }
}

pub async fn scale(args: &Scale, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let verb = Verb::Scale { count: args.count, interval: args.interval, min: args.min };
    done(&verb, std::slice::from_ref(&args.service), &args.how, args.how.request(), global, ui).await
}

async fn done(
    verb: &Verb,
    services: &[String],
    how: &How,
    request: Request,
    global: &Global,
    ui: &Ui,
) -> Result<Code, Failure> {
    let options = global.options(None, ui)?;
    // Where nobody can approve it, it shows what it would do and the digest to approve, and ends as not approved.
    let unapproved = !ui.terminal && !request.yes && request.approve.is_none();
    if how.dry_run || unapproved {
        let opened = open_to_look(&options)?;
        let session = ui.session(&opened.who);
        app::refuse_stopped(&opened, None).await?;
        let chosen = app::service_plan(&opened, verb, services, how.timeout).await?;
        return look_made(&opened, &session, &request, chosen, how.dry_run).await;
    }
    let opened = open_to_change(&options, &request, ui, &format!("service {}", verb.name()))?;
    let session = ui.session(&opened.who);
    app::refuse_stopped(&opened, None).await?;
    let chosen = app::service_plan(&opened, verb, services, how.timeout).await?;
    let finished = app::start_made(&opened, &session, &request, chosen).await?;
    Ok(ended(&finished, ui))
}
