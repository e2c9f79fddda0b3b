//! What commands that run something share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::app::{
    self, Access, Chosen, Code, Failure, GuardOverride, Opened, Options, Request, Session, guard_override,
};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;
use crate::engine::Finished;

/// How a run is approved, and what it is given.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// A value for a variable of the plan
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub var: Vec<(String, String)>,
    /// Values for variables of the plan, from a var file; --var goes over it
    #[arg(long = "var-file", value_name = "FILE")]
    pub var_file: Vec<PathBuf>,
    /// How long the environment was down, where the journal doesn't know: 90m, 3d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub downtime: Option<Duration>,
    /// Approves what will be shown (refused for a protected environment)
    #[arg(long)]
    pub yes: bool,
    /// Approves exactly the decision with this digest, as preview showed it
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes")]
    pub approve: Option<String>,
    /// Expects other counts of a Terraform step than its plan does: add=11 or STEP:add=11 (recorded)
    #[arg(long, value_name = "COUNTS", value_parser = guard_override)]
    pub guard: Option<GuardOverride>,
    /// Goes on although what runs isn't in the job files: patches and changes by hand are lost (recorded)
    #[arg(long)]
    pub discard_patches: bool,
}

impl RunArgs {
    pub fn request(&self) -> Result<Request, Failure> {
        Ok(Request {
            inputs: inputs(&self.var_file, &self.var)?,
            downtime: self.downtime,
            yes: self.yes,
            approve: self.approve.clone(),
            guard: self.guard.clone(),
            discard_patches: self.discard_patches,
            ..Request::default()
        })
    }
}

/// Var files in their order, the last one wins, and `--var` over them.
pub fn inputs(files: &[PathBuf], given: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut inputs = BTreeMap::new();
    for path in files {
        inputs.extend(app::inputs_of(path)?);
    }
    inputs.extend(variables(given)?);
    Ok(inputs)
}

/// What `--var` gives, each once: of two values one would be dropped in silence.
pub fn variables(given: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut values = BTreeMap::new();
    for (name, value) in given {
        if let Some(first) = values.insert(name.clone(), value.clone()) {
            let message = format!("the variable '{name}' is given twice: '{first}' and '{value}'");
            return Err(Failure::error(message).help(format!("give --var {name}=VALUE once")));
        }
    }
    Ok(values)
}

pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    if name.is_empty() { Err("the name is missing".into()) } else { Ok((name.to_owned(), value.to_owned())) }
}

pub fn duration(text: &str) -> Result<Duration, String> {
    text::parse_duration(text).ok_or_else(|| "write it like 90s, 12h or 3d".into())
}

/// Opens the environment that is meant for looking.
pub fn open_to_look(options: &Options) -> Result<Opened, Failure> {
    let project = app::project(options)?;
    let environment = app::choose(&project, options)?;
    app::open(&project, environment, options, Access::Look, "look")
}

/// Opens the record of the environment that is meant.
pub fn open_record(options: &Options) -> Result<Opened, Failure> {
    let project = app::project(options)?;
    let environment = app::choose(&project, options)?;
    app::open(&project, environment, options, Access::Record, "look")
}

/// Opens the environment that is meant for changing. Where an approval will be needed and can't be had,
/// refuses before anything but blackstart.hcl is read.
pub fn open_to_change(options: &Options, request: &Request, ui: &Ui, doing: &str) -> Result<Opened, Failure> {
    let project = app::project(options)?;
    let environment = app::choose(&project, options)?;
    request.check_approvable(environment, ui.terminal)?;
    app::open(&project, environment, options, Access::Change, doing)
}

/// Opens the environment that is meant for giving something up: nothing of it is touched.
pub fn open_to_give_up(options: &Options, doing: &str) -> Result<Opened, Failure> {
    let project = app::project(options)?;
    let environment = app::choose(&project, options)?;
    app::open(&project, environment, options, Access::Change, doing)
}

/// Shows what a plan that a command made would do, and the digest to approve it by; changes nothing. An
/// error unless a look was all that was wanted.
pub async fn look_made(
    opened: &Opened,
    session: &Session,
    request: &Request,
    chosen: Chosen,
    dry_run: bool,
) -> Result<Code, Failure> {
    let preview = app::preview_made(opened, session, request, chosen).await?;
    let teller = session.teller(&opened.clock, None, opened.settings.simulated);
    if !preview.changes {
        teller.note("nothing to do");
        return Ok(Code::Done);
    }
    if dry_run {
        teller.note(format!(
            "nothing was changed: with --approve {} in place of --dry-run, the same command does this",
            preview.digest
        ));
        return Ok(Code::Done);
    }
    let yes = if preview.protected { "" } else { "--yes, or " };
    let what = "this needs an approval, and there is no terminal to ask at; nothing was changed";
    let help = format!("run it in a terminal, or give {yes}--approve {}", preview.digest);
    Err(Failure::new(Code::Denied, what).help(help))
}

/// Shows why a run ended otherwise than well, and gives its exit code.
pub fn ended(finished: &Finished, ui: &Ui) -> Code {
    if let Some(diagnostics) = &finished.diagnostics {
        ui.reporter.diagnostics(diagnostics);
    }
    finished.ending.into()
}

/// Runs a plan in the environment that is meant.
pub async fn run_plan(
    global: &Global,
    positional: Option<&String>,
    request: Request,
    ui: &Ui,
    doing: &str,
) -> Result<Code, Failure> {
    let opened = open_to_change(&global.options(positional, ui)?, &request, ui, doing)?;
    let session = ui.session(&opened.who);
    let finished = app::start(&opened, &session, &request).await?;
    Ok(ended(&finished, ui))
}
