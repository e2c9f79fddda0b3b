use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use include_dir::{Dir, include_dir};

use super::common::ended;
use crate::app::{
    self, Access, Code, Failure, Opened, Options, Request, SandboxPlace, ServiceChange, Session, Wanted,
};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::interrupts;
use crate::cli::prompt::{AlwaysYes, Terminal};
use crate::cli::ui::Ui;
use crate::engine::{Approver, Finished};
use crate::plan::Operation;
use crate::sim::{Sandbox, SandboxOptions};

static TERRAFORM: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/terraform");
static JOBS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/nomad-jobs");
static VARIABLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/tfvars-examples");
static PLANS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/plans");
const SETTINGS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/blackstart.hcl"));

const ENVIRONMENT: &str = "sandbox";
/// Simulated seconds in a real one, for what takes minutes.
const MINUTES: f64 = 60.0;
/// For what takes half a day.
const HOURS: f64 = 3600.0;
const DOWNTIME: Duration = Duration::from_secs(3 * 24 * 3600);

/// Shows the whole of it on a simulated environment: start, patch, stop, and a cold start after three days
///
/// Lays the reference environment out in a temporary folder. With the real terraform where it is found. On a
/// terminal it asks the real approval questions; off one it answers yes.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart demo </dev/null")]
pub struct Demo {}

pub async fn run(_: &Demo, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("blackstart-demo-")
        .tempdir()
        .map_err(|error| Failure::error(format!("no temporary folder: {error}")))?;
    let project = folder.path().join("cosims");
    lay_out(&project)
        .map_err(|error| Failure::error(format!("{} can't be written: {error}", project.display())))?;
    let mut demo = Story::begin(folder.path(), &project, global, ui).await?;
    let result = demo.tell().await;
    let _ = demo.sandbox.shut_down().await;
    result
}

fn lay_out(project: &Path) -> std::io::Result<()> {
    for (name, dir) in
        [("terraform", &TERRAFORM), ("nomad-jobs", &JOBS), ("tfvars-examples", &VARIABLES), ("plans", &PLANS)]
    {
        lay_out_dir(dir, &project.join(name))?;
    }
    std::fs::write(project.join("blackstart.hcl"), SETTINGS)
}

/// Sources only: what Terraform left in a work tree is none of the reference environment.
fn lay_out_dir(dir: &Dir<'_>, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for file in dir.files() {
        let known = file.path().extension().is_some_and(|e| e == "tf" || e == "hcl" || e == "tfvars");
        if let (true, Some(name)) = (known, file.path().file_name()) {
            std::fs::write(to.join(name), file.contents())?;
        }
    }
    for inner in dir.dirs() {
        if let Some(name) = inner.path().file_name().filter(|name| !name.to_string_lossy().starts_with('.')) {
            lay_out_dir(inner, &to.join(name))?;
        }
    }
    Ok(())
}

struct Story<'a> {
    ui: &'a Ui,
    options: Options,
    sandbox: Sandbox,
    session: Session,
}

impl<'a> Story<'a> {
    async fn begin(folder: &Path, project: &Path, global: &Global, ui: &'a Ui) -> Result<Story<'a>, Failure> {
        let mut options = global.options(None, ui)?;
        options.dir = project.to_owned();
        options.environment = Some(ENVIRONMENT.into());
        options.state_root = Some(folder.join("state"));
        let loaded = app::project(&options)?;
        let environment = app::choose(&loaded, &options)?;
        let place = SandboxPlace::of(&loaded, environment, options.state_root.as_deref())?;
        let mut sandbox = SandboxOptions::new(&place.state_dir);
        sandbox.listen = ([127, 0, 0, 1], 0).into();
        sandbox.speed = MINUTES;
        sandbox.terraform_state = place.terraform_state;
        let sandbox = Sandbox::start(sandbox).await.map_err(|error| Failure::error(error.to_string()))?;
        let interrupts = interrupts::count();
        let approver: Arc<dyn Approver> = if ui.terminal {
            Arc::new(Terminal::new(ui.reporter.clone(), "you", interrupts.clone()))
        } else {
            Arc::new(AlwaysYes)
        };
        let session = ui.session_with(approver, interrupts);
        Ok(Self { ui, options, sandbox, session })
    }

    fn open(&self, doing: &str) -> Result<Opened, Failure> {
        let project = app::project(&self.options)?;
        let environment = app::choose(&project, &self.options)?;
        app::open(&project, environment, &self.options, Access::Change, doing)
    }

    fn say(&self, text: &str) {
        self.ui.reporter.say(text);
    }

    fn chapter(&self, title: &str, text: &str) {
        self.say(&format!("\n== {title}\n{text}\n"));
    }

    async fn tell(&mut self) -> Result<Code, Failure> {
        let file = self.sandbox.file().await;
        self.say(&format!(
            "A simulated environment runs at {}: a Nomad cluster, a database, five types of jobs that turn satellite images into products. Terraform's resources decide what of it is up.",
            file.nomad
        ));
        let opened = self.open("demo")?;
        self.say(if opened.stand_in {
            "terraform was not found: a stand-in reads the same files and takes its place."
        } else {
            "Terraform is the real one; its resources are built in and cost nothing."
        });
        if !self.ui.terminal {
            self.say("Nobody is at a terminal: every approval is answered with yes.");
        }
        drop(opened);

        self.chapter(
            "1. Bootstrap",
            "What outlives every stop is created once: buckets, and the admin instance.",
        );
        let bootstrap = Request { plan: Some("bootstrap".into()), ..Request::default() };
        if let Some(code) = self.run(&bootstrap).await? {
            return Ok(code);
        }
        self.chapter("2. Start", "The core comes up: 13 resources and nothing else, then six services.");
        let start = Request { operation: Some(Operation::Start), ..Request::default() };
        if let Some(code) = self.run(&start).await? {
            return Ok(code);
        }
        self.chapter(
            "3. Patch",
            "A new image for one running service: the change shown, made, and followed until healthy.",
        );
        if let Some(code) = self.patch("job_creation", "git-1a2b3c4d").await? {
            return Ok(code);
        }
        self.chapter("4. Stop", "The core goes down again; what must survive does.");
        let stop = Request { operation: Some(Operation::Stop), ..Request::default() };
        if let Some(code) = self.run(&stop).await? {
            return Ok(code);
        }
        self.chapter(
            "5. Three days later",
            "The satellites went on. Started all at once, dependent jobs would run ahead of their inputs, so \
             the plan for long downtimes lets the types in wave by wave, each once the last has caught up.",
        );
        self.sandbox.jump(DOWNTIME).await.map_err(|error| Failure::error(error.to_string()))?;
        self.sandbox.set_speed(HOURS).await.map_err(|error| Failure::error(error.to_string()))?;
        if let Some(code) = self.run(&start).await? {
            return Ok(code);
        }
        let report = self.sandbox.world().report().map_err(|error| Failure::error(error.to_string()))?;
        let degraded = usize::try_from(report.degraded).unwrap_or(usize::MAX);
        self.say(&format!(
            "\nThe backlog of three days is worked off: {} degraded (made without all of their inputs).",
            text::count(degraded, "product")
        ));
        self.say(
            "Next: `blackstart validate`, `blackstart rehearse cold-start` and `blackstart --help`, \
             in a clone of the repository, which is a template of such a project.",
        );
        Ok(Code::Done)
    }

    /// Runs one request; an exit code where the demo ends with it.
    async fn run(&self, request: &Request) -> Result<Option<Code>, Failure> {
        let opened = self.open("demo")?;
        let finished = app::start(&opened, &self.session, request).await?;
        Ok(self.over(&finished))
    }

    async fn patch(&self, job: &str, tag: &str) -> Result<Option<Code>, Failure> {
        let opened = self.open("demo")?;
        let image = ServiceChange {
            service: job.to_owned(),
            image: Some(tag.to_owned()),
            ..ServiceChange::default()
        };
        let wanted = Wanted { services: vec![image], ..Wanted::default() };
        let chosen = app::patch_plan(&opened, &wanted, None)?;
        let finished = app::start_made(&opened, &self.session, &Request::default(), chosen).await?;
        Ok(self.over(&finished))
    }

    fn over(&self, finished: &Finished) -> Option<Code> {
        let code = ended(finished, self.ui);
        (code != Code::Done).then_some(code)
    }
}
