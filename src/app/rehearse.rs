//! Rehearsals: the same engine, steps and gates against a simulated environment, in virtual time.
//!
//! Starts no socket, no child and no thread of its own. The caller runs it on a current-thread runtime whose
//! time is paused.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::watch;

use super::failure::{Code, Failure, chain};
use super::open::Options;
use super::plans::{self, Chosen};
use super::runs::Session;
use super::sandbox::database_url;
use crate::base::{Clock, RunId};
use crate::dialect::{Values, functions};
use crate::engine::{self, Answer, Approval, Approver, Facts as _, Finished, Question, Resume, Run};
use crate::environment::{Environment, Parts, TerraformMaker};
use crate::event::{Ending, What};
use crate::gate::Gatekeeper;
use crate::hcl::Value;
use crate::http::{HttpError, Memory, Request, Response, Transport};
use crate::jobspec;
use crate::journal::{Downtime, DowntimeSource, Journal, MemoryStore};
use crate::lasting;
use crate::plan::{Operation, input_values};
use crate::settings::{self, Project};
use crate::sim::{Infrastructure, Report, StandIn, StandInOptions, World, WorldOptions};
use crate::step;
use crate::terraform::{self, Terraform};

/// When every rehearsal begins, so that one seed gives one story.
const BEGIN: &str = "2026-01-05T08:00:00Z";
/// How long the world goes on after a start.
const AFTERMATH: Duration = Duration::from_secs(24 * 3600);
const NOMAD: &str = "http://nomad.simulated:4646";
const SERVICES: &str = "http://services.simulated";

/// What to rehearse.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    pub plan: String,
    pub inputs: BTreeMap<String, String>,
    pub downtime: Option<Duration>,
    pub seed: u64,
}

/// What came of it.
pub struct Rehearsed {
    pub finished: Finished,
    pub report: Report,
    pub began: Timestamp,
    pub downtime: Duration,
}

/// Runs a plan in virtual time.
pub async fn rehearse(
    project: &Project,
    chosen: &settings::Environment,
    options: &Options,
    session: &Session,
    rehearsal: &Rehearsal,
) -> Result<Rehearsed, Failure> {
    let settings = simulated(project, chosen)?;
    let functions = functions(&options.secrets);
    let mut scope = Values::new(Arc::clone(&functions)).with("downtime", Value::Unknown);
    for root in [
        "var",
        "outage",
        "env",
        "environment",
        "now",
        "terraform",
        "step",
        "wave",
        "probe",
        "recorded",
        "result",
    ] {
        scope.set(root, Value::Unknown);
    }
    let Chosen { plan, .. } = plans::by_name(&project.root, &rehearsal.plan, &scope)?;
    let downtime = rehearsal.downtime.unwrap_or_else(|| usual_downtime(&plan, &scope));
    let inputs = input_values(&plan, &rehearsal.inputs)?;

    let folder =
        tempfile::tempdir().map_err(|error| Failure::error(format!("no temporary folder: {error}")))?;
    let mut began: Timestamp = BEGIN.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let clock = Clock::virtual_from(began);
    let database = folder.path().join("database.sqlite");
    let mut world_options = WorldOptions::new(clock.clone(), &database);
    world_options.seed = rehearsal.seed;
    world_options.downtime = downtime;
    let wrong = |error: &dyn std::error::Error| Failure::error(chain(error));
    let world = World::new(world_options).map_err(|error| wrong(&error))?;
    let running = tokio::spawn(world.clone().run());

    let state_file = folder.path().join("terraform.tfstate");
    let stand_in = StandInMaker {
        settings: settings.clone(),
        root: project.root.clone(),
        state_file,
        seed: rehearsal.seed,
        clock: clock.clone(),
        world: Some(world.clone()),
    };
    let transport: Arc<dyn Transport> = Arc::new(Doors::new(&world));
    let starting = matches!(plan.operation, Some(Operation::Start));
    stand_in.prepare(plan.operation).await.map_err(|error| wrong(&error))?;

    if matches!(plan.operation, Some(Operation::Start | Operation::Bootstrap)) {
        // What stood there before took its time to be made.
        began = clock.now();
    }
    let journal = Journal::open(Box::new(MemoryStore::default()), clock.clone(), options.secrets.clone())?;
    let known =
        starting.then_some(Downtime { seconds: downtime.as_secs_f64(), source: DowntimeSource::Person });
    let stopped = starting.then(|| began - SignedDuration::try_from(downtime).unwrap_or_default());
    let environment = Arc::new(Environment::new(Parts {
        project: project.name.clone(),
        root: project.root.clone(),
        settings: settings.clone(),
        terraform: Some(stand_in.maker()),
        transport,
        clock: clock.clone(),
        secrets: options.secrets.clone(),
        functions,
        variables: BTreeMap::new(),
        shell: BTreeMap::new(),
        nomad_address: Some(NOMAD.to_owned()),
        sandbox: Some(Value::from(BTreeMap::from([
            ("nomad".to_owned(), Value::from(NOMAD)),
            ("services".to_owned(), Value::from(SERVICES)),
            ("database".to_owned(), Value::from(database_url(&database.display().to_string()).as_str())),
        ]))),
        inputs,
        downtime: known.map(|downtime| downtime.seconds),
        last_stop: stopped,
        recorded: BTreeMap::new(),
        rehearsal: true,
        whole: false,
        job_files: Vec::new(),
        siblings: Vec::new(),
    }));
    if !matches!(plan.operation, Some(Operation::Start | Operation::Bootstrap)) {
        bring_up(&environment, &clock).await?;
        began = clock.now();
    }

    // Not drawn: one seed gives one story, to the byte.
    let id = RunId(format!("rehearsal-{}", rehearsal.seed));
    let teller = session.teller(&clock, Some(&id), true);
    teller.tell(What::Target {
        project: project.name.clone(),
        environment: settings.name.clone(),
        protected: false,
        plan: plan.name.clone(),
        details: vec![
            ("rehearsal".into(), format!("in virtual time, seed {}", rehearsal.seed)),
            ("downtime".into(), crate::base::text::duration(downtime)),
        ],
    });
    let applies = plan.applies.as_ref().map(|expr| (expr, expr.eval(&environment.scope())));
    if let Some((expr, Ok(Value::Bool(false)))) = applies {
        teller.warn(format!("the plan says that it doesn't apply then: {} is false", expr.span.text()));
    }
    let steps = step::build(&plan, &environment);
    let mut run = Run::new(
        id,
        plan,
        Resume::New { downtime: known },
        steps,
        Arc::new(Gatekeeper(Arc::clone(&environment))),
        Arc::clone(&environment) as Arc<dyn engine::Facts>,
        journal,
        clock.clone(),
        teller,
        Arc::new(Rehearsing),
        watch::Sender::new(0).subscribe(),
    );
    run.environment.clone_from(&settings.name);
    run.who = "rehearsal".into();
    run.inputs.clone_from(&rehearsal.inputs);
    run.secrets = options.secrets.clone();
    run.about = json!({ "rehearsal": rehearsal.seed });
    let finished = engine::run(&run, Approval::Ask).await;
    if starting && finished.ending == Ending::Done {
        // What was let loose works on: dependent types that run ahead show in the day after.
        clock.sleep(AFTERMATH).await;
    }
    let report = world.report().map_err(|error| wrong(&error))?;
    running.abort();
    Ok(Rehearsed { finished, report, began, downtime })
}

/// The environment with the simulated one's Nomad, databases and values.
fn simulated(project: &Project, chosen: &settings::Environment) -> Result<settings::Environment, Failure> {
    if chosen.simulated {
        return Ok(chosen.clone());
    }
    let simulated = project.simulated().ok_or_else(|| {
        Failure::error("a rehearsal needs one environment marked `simulated = true` in blackstart.hcl")
            .help("it says where the simulated Nomad and database take the real ones' places")
    })?;
    Ok(settings::Environment {
        databases: simulated.databases.clone(),
        values: simulated.values.clone(),
        nomad: simulated.nomad.clone(),
        env_file: None,
        ..chosen.clone()
    })
}

/// An hour, or three days where the plan doesn't apply after an hour.
fn usual_downtime(plan: &crate::plan::Plan, scope: &Values) -> Duration {
    let hour = Duration::from_secs(3600);
    let scope = scope.clone().with("downtime", Value::from(hour.as_secs_f64()));
    let applies = plan.applies.as_ref().and_then(|expr| expr.eval(&scope).ok());
    if applies == Some(Value::Bool(false)) { 3 * 24 * hour } else { hour }
}

/// What runs before the rehearsed plan, where that isn't a start: the services.
async fn bring_up(environment: &Arc<Environment>, clock: &Clock) -> Result<(), Failure> {
    let failed =
        |error: &dyn std::error::Error| Failure::error(format!("the simulated services: {}", chain(error)));
    let client = environment.nomad().await.map_err(|error| failed(&error))?;
    let inputs = lasting::inputs(environment, &lasting::Overlay::default())?;
    let pattern = format!(
        "{}/nomad-jobs/*.nomad.hcl",
        glob::Pattern::escape(&environment.root().display().to_string())
    );
    for path in glob::glob(&pattern).into_iter().flatten().filter_map(Result::ok) {
        let text = std::fs::read_to_string(&path).map_err(|error| failed(&error))?;
        let job = jobspec::parse(&crate::base::Source::new(path.display().to_string(), text), &inputs)?;
        client.register(&job.json, None, None).await.map_err(|error| failed(&error))?;
    }
    clock.sleep(Duration::from_secs(600)).await;
    Ok(())
}

/// Makes stand-ins for Terraform over one state file.
#[derive(Clone)]
pub(super) struct StandInMaker {
    pub settings: settings::Environment,
    pub root: PathBuf,
    pub state_file: PathBuf,
    pub seed: u64,
    pub clock: Clock,
    pub world: Option<World>,
}

impl StandInMaker {
    fn stand_in(&self, targets: Option<Vec<String>>) -> Result<StandIn, terraform::TerraformError> {
        let block = self.settings.terraform.as_ref();
        let own = block.map(|block| block.targets.clone()).unwrap_or_default();
        let var_files = block.map(|block| block.var_files.clone()).unwrap_or_default();
        StandIn::new(StandInOptions {
            dir: self.root.join(block.map_or(PathBuf::from("."), |block| block.dir.clone())),
            targets: targets.unwrap_or(own),
            var_files: var_files.iter().map(|(path, _)| self.root.join(path)).collect(),
            state_file: Some(self.state_file.clone()),
            seed: self.seed,
            clock: self.clock.clone(),
            world: self.world.clone(),
        })
    }

    pub(super) fn maker(&self) -> TerraformMaker {
        let this = self.clone();
        Arc::new(move |targets| match this.stand_in(targets) {
            Ok(stand_in) => Arc::new(stand_in) as Arc<dyn Terraform>,
            Err(error) => Arc::new(super::open::Unusable(Arc::new(error))),
        })
    }

    /// The state in which a plan of this operation finds the environment: everything for most; what a stop
    /// leaves for a start; nothing for a bootstrap.
    async fn prepare(&self, operation: Option<Operation>) -> Result<(), terraform::TerraformError> {
        if operation == Some(Operation::Bootstrap) || self.settings.terraform.is_none() {
            return Ok(());
        }
        let stopped = operation == Some(Operation::Start);
        let quiet = |_: terraform::Progress| {};
        // Before the world looks: what stood there long ago takes no time now.
        let past = Self { world: None, clock: Clock::virtual_from(self.clock.now()), ..self.clone() };
        let all = past.stand_in(Some(Vec::new()))?;
        let planned = all.plan(terraform::Operation::Apply, &quiet).await?;
        all.apply(planned, &quiet).await?;
        if stopped {
            let core = past.stand_in(None)?;
            let planned = core.plan(terraform::Operation::Destroy, &quiet).await?;
            core.apply(planned, &quiet).await?;
        } else if let Some(world) = &self.world {
            let reason = |error: crate::sim::ProductionError| terraform::TerraformError::Unreadable {
                command: "apply",
                reason: error.to_string(),
            };
            world.set_infrastructure(Infrastructure::whole()).map_err(reason)?;
        }
        Ok(())
    }
}

/// The simulated servers' doors: Nomad's is shut while its server is down.
struct Doors {
    memory: Memory,
    world: World,
}

impl Doors {
    fn new(world: &World) -> Self {
        let memory = Memory::default();
        memory.serve(NOMAD, world.nomad());
        memory.serve(SERVICES, world.services());
        Self { memory, world: world.clone() }
    }
}

#[async_trait]
impl Transport for Doors {
    async fn send(&self, request: Request) -> Result<Response, HttpError> {
        if request.url.starts_with(NOMAD) && !self.world.infrastructure().nomad_server {
            return Err(HttpError::Refused(NOMAD.to_owned()));
        }
        self.memory.send(request).await
    }
}

/// Says yes to everything: nothing is real.
struct Rehearsing;

#[async_trait]
impl Approver for Rehearsing {
    async fn ask(&self, question: &Question) -> Answer {
        match question {
            // Past its deadline is past its deadline, rehearsed or not.
            Question::Deadline { .. } => Answer::Nobody,
            _ => Answer::Yes { who: "rehearsal".into(), how: "as in every rehearsal".into() },
        }
    }
}

impl Rehearsed {
    /// The exit code: a rehearsal that made degraded products has failed at what it is for.
    pub fn code(&self) -> Code {
        self.finished.ending.into()
    }
}
