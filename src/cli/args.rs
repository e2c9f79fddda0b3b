//! Arguments as hands know them from Terraform and Nomad, and what to say where they are not ours.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::commands;
use super::ui::Ui;
use crate::app::{Code, Failure, Options};

/// Stop, start, restart in waves and patch environments that run on Terraform and Nomad.
#[derive(Parser, Debug)]
#[command(name = "blackstart", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Examples:\n  blackstart demo\n  blackstart preview stop -e prod\n  blackstart stop test\n  blackstart rehearse cold-start --downtime 3d\n\nExit codes: 0 done or nothing to do, 1 error, 2 changes (with --detailed-exitcode), 3 refused,\n4 not approved, 5 unfinished and resumable, 6 locked by another run."
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// On every command, before or after it.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Works in this folder instead of the current one
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true, default_value = ".")]
    pub dir: PathBuf,
    /// The environment, as blackstart.hcl names it
    #[arg(short = 'e', long = "environment", value_name = "ENV", global = true)]
    pub environment: Option<String>,
    /// Speaks to this Nomad instead of the environment's (refused for a protected one)
    #[arg(long, value_name = "URL", global = true)]
    pub nomad_address: Option<String>,
    /// Prints events as JSON, one a line
    #[arg(long, global = true)]
    pub json: bool,
    /// Tells more
    #[arg(short = 'v', long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
}

impl Global {
    /// Where and what, with a positional environment where the verb has one.
    pub fn options(&self, positional: Option<&String>, ui: &Ui) -> Result<Options, Failure> {
        let environment = match (positional, &self.environment) {
            (Some(a), Some(b)) if a != b => {
                return Err(Failure::error(format!("two environments are named: '{a}' and '{b}' (-e)")));
            }
            (Some(name), _) | (None, Some(name)) => Some(name.clone()),
            (None, None) => None,
        };
        let nomad_address = self.nomad_address.clone();
        Ok(Options {
            dir: self.dir.clone(),
            environment,
            nomad_address,
            secrets: ui.secrets.clone(),
            state_root: None,
        })
    }
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(commands::demo::Demo),
    Sandbox(commands::sandbox::Sandbox),
    Validate(commands::validate::Validate),
    Preview(commands::preview::Preview),
    Preflight(commands::preflight::Preflight),
    Run(commands::run::Run),
    Rehearse(commands::rehearse::Rehearse),
    Stop(commands::updown::Stop),
    Start(commands::updown::Start),
    Patch(commands::patch::Patch),
    Drift(commands::drift::Drift),
    Job(commands::job::Job),
    Service(commands::service::Service),
    #[command(hide = true)]
    Scale(commands::service::Scale),
    Resume(commands::resume::Resume),
    Runs(commands::runs::Runs),
    Show(commands::show::Show),
    Status(commands::status::Status),
}

/// Reads the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let given: Vec<OsString> = std::env::args_os().collect();
    let arguments = match adapted(given) {
        Ok(arguments) => arguments,
        Err(failure) => {
            Ui::plain().failure(&failure);
            return ExitCode::from(failure.code as u8);
        }
    };
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Usage errors are errors like any other; help and version are not.
            return if error.use_stderr() { ExitCode::from(Code::Error as u8) } else { ExitCode::SUCCESS };
        }
    };
    let ui = Ui::new(&cli.global);
    let result = dispatch(&cli, &ui);
    match result {
        Ok(code) => ExitCode::from(code as u8),
        Err(failure) => {
            ui.failure(&failure);
            ExitCode::from(failure.code as u8)
        }
    }
}

fn dispatch(cli: &Cli, ui: &Ui) -> Result<Code, Failure> {
    let global = &cli.global;
    // A rehearsal has a runtime of its own: its time stands still until nothing else can run.
    if let Command::Rehearse(args) = &cli.command {
        return commands::rehearse::run(args, global, ui);
    }
    // Needs no runtime, or makes its own: reading job files takes less time than starting one.
    if let Command::Job(args) = &cli.command {
        return commands::job::run(args, global, ui);
    }
    let mut builder = match &cli.command {
        // Mostly waits for a server: with more threads each answer costs a switch to another one.
        Command::Patch(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::error(format!("the runtime can't be started: {error}")))?;
    let result = runtime.block_on(async {
        match &cli.command {
            Command::Demo(args) => commands::demo::run(args, global, ui).await,
            Command::Sandbox(args) => commands::sandbox::run(args, global, ui).await,
            Command::Validate(args) => commands::validate::run(args, global, ui),
            Command::Preview(args) => commands::preview::run(args, global, ui).await,
            Command::Preflight(args) => commands::preflight::run(args, global, ui).await,
            Command::Run(args) => commands::run::run(args, global, ui).await,
            Command::Stop(args) => commands::updown::stop(args, global, ui).await,
            Command::Start(args) => commands::updown::start(args, global, ui).await,
            Command::Patch(args) => commands::patch::run(args, global, ui).await,
            Command::Drift(args) => commands::drift::run(args, global, ui).await,
            Command::Service(args) => commands::service::run(args, global, ui).await,
            Command::Scale(args) => commands::service::scale(args, global, ui).await,
            Command::Resume(args) => commands::resume::run(args, global, ui).await,
            Command::Runs(args) => commands::runs::run(args, global, ui),
            Command::Show(args) => commands::show::run(args, global, ui),
            Command::Status(args) => commands::status::run(args, global, ui).await,
            Command::Rehearse(_) | Command::Job(_) => Ok(Code::Done),
        }
    });
    // A prompt's thread may still wait for a line; it isn't waited for.
    runtime.shutdown_background();
    result
}

/// Single-dash forms of known flags as double-dash ones; flags of other tools that mean something else
/// here are answered with what to use.
fn adapted(given: Vec<OsString>) -> Result<Vec<OsString>, Failure> {
    const KNOWN: [&str; 7] = ["var", "var-file", "json", "detailed-exitcode", "target", "check", "recursive"];
    let mut arguments = Vec::with_capacity(given.len());
    let mut literal = false;
    for (i, argument) in given.into_iter().enumerate() {
        let Some(text) = argument.to_str().filter(|_| i > 0 && !literal) else {
            arguments.push(argument);
            continue;
        };
        literal = text == "--";
        let name = text.trim_start_matches('-').split('=').next().unwrap_or_default();
        let single = text.starts_with('-') && !text.starts_with("--");
        if text.starts_with('-') && name == "auto-approve" {
            return Err(Failure::error("there is no -auto-approve: an approval is for what was shown")
                .help("give --yes for an unprotected environment, or --approve DIGEST with the digest that preview or --dry-run shows"));
        }
        if text.starts_with('-') && name == "target" {
            return Err(Failure::error(
                "there is no -target: the environment's targets stand in blackstart.hcl",
            )
            .help("set `targets` in the terraform block, or in a step of a plan"));
        }
        if single && KNOWN.contains(&name) {
            arguments.push(format!("-{text}").into());
        } else {
            arguments.push(argument);
        }
    }
    Ok(arguments)
}
