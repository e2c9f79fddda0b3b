use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Args;

use super::common::duration;
use crate::app::{self, Code, Failure, SandboxPlace};
use crate::cli::args::Global;
use crate::cli::interrupts;
use crate::cli::ui::Ui;
use crate::journal::{Journal, SqliteStore};
use crate::settings;
use crate::sim::{DoorError, Infrastructure, Sandbox as Simulated, SandboxFile, SandboxOptions};

/// Serves the simulated environment over HTTP until Ctrl-C
///
/// Nomad's API, a database and the services' lag, on a clock that may run faster. Its nodes and database are
/// there while the Terraform resources of the simulated environment are; outside of a project, always. The
/// first line on stdout is its address.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart sandbox --speed 3600 --downtime 3d\n  NOMAD_ADDR=http://127.0.0.1:4646 nomad job status"
)]
pub struct Sandbox {
    /// Where Nomad's API is served; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4646")]
    listen: String,
    /// Simulated seconds in a real one
    #[arg(long, value_name = "X", default_value_t = 60.0)]
    speed: f64,
    /// Another seed is another story
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Begins with the environment down for this long: 90m, 3d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    downtime: Option<Duration>,
}

pub async fn run(args: &Sandbox, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let interrupts = interrupts::count();
    let options = options(args, global, ui)?;
    let follows = options.terraform_state.clone();
    let sandbox = Simulated::start(options).await.map_err(|error| failed(&error))?;
    let file = sandbox.file().await;
    ui.reporter.address(&file.nomad);
    ui.reporter.remark(&format!("services {}, database {}", file.services, file.database.display()));
    ui.reporter.remark(&match follows {
        Some(path) => format!("nodes and database follow {}", path.display()),
        None => "all nodes and the database are up".to_owned(),
    });
    ui.reporter.remark("Ctrl-C ends it");
    let mut interrupts = interrupts;
    tokio::select! {
        ended = sandbox.ended() => ended.map_err(|error| failed(&error))?,
        _ = interrupts.wait_for(|count| *count > 0) => sandbox.shut_down().await.map_err(|error| failed(&error))?,
    }
    Ok(Code::Done)
}

fn options(args: &Sandbox, global: &Global, ui: &Ui) -> Result<SandboxOptions, Failure> {
    let listen: SocketAddr =
        args.listen.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).ok_or_else(|| {
            Failure::error(format!("'{}' is not an address", args.listen)).help("write it as 127.0.0.1:4646")
        })?;
    let mut options = global.options(None, ui)?;
    let in_project =
        std::fs::canonicalize(&global.dir).ok().and_then(|dir| settings::find_root(&dir)).is_some();
    let place = if in_project {
        let project = app::project(&options)?;
        if options.environment.is_none() {
            options.environment = project.simulated().map(|environment| environment.name.clone());
        }
        let environment = app::choose(&project, &options)?;
        if !environment.simulated {
            return Err(Failure::error(format!("the environment '{}' is not simulated", environment.name))
                .help("set simulated = true in its block, or name one that has it"));
        }
        SandboxPlace::of(&project, environment, None)?
    } else {
        SandboxPlace::alone()?
    };
    if SandboxFile::read(&place.state_dir)
        .ok()
        .flatten()
        .is_some_and(|file| crate::process::started(file.pid).is_some())
    {
        return Err(
            Failure::error("a sandbox of this environment runs already").help("end that one, or use it")
        );
    }
    let mut sandbox = SandboxOptions::new(&place.state_dir);
    sandbox.listen = listen;
    sandbox.speed = args.speed;
    sandbox.seed = args.seed;
    sandbox.downtime = args.downtime.unwrap_or_default();
    // Where Terraform never made anything, there is nothing to follow: everything is up until it does.
    sandbox.without_state =
        if args.downtime.is_some() { Infrastructure::none() } else { Infrastructure::whole() };
    sandbox.not_before = last_time(&place);
    sandbox.terraform_state = place.terraform_state;
    Ok(sandbox)
}

/// The last time in the journal: the simulated clock never goes back behind it.
fn last_time(place: &SandboxPlace) -> Option<jiff::Timestamp> {
    let path = place.state_dir.join("journal.db");
    if !path.exists() {
        return None;
    }
    let store = SqliteStore::open(&path).ok()?;
    let journal =
        Journal::open(Box::new(store), crate::base::Clock::real(), crate::base::Secrets::default()).ok()?;
    journal.all().last().map(|record| record.at)
}

fn failed(error: &DoorError) -> Failure {
    let failure = Failure::error(error.to_string());
    match error {
        DoorError::Taken { .. } => failure.help("choose another with --listen, such as --listen 127.0.0.1:0"),
        _ => failure,
    }
}
