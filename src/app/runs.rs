//! New runs, resumed ones, and looks at what a run would do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::downtime;
use super::failure::{Code, Failure};
use super::open::Opened;
use super::plans::{self, Chosen};
use super::previews;
use crate::base::secret::MASK;
use crate::base::{Clock, RunId, text};
use crate::dialect::Values;
use crate::engine::{self, Approval, Approver, Blobs, Finished, Resume, Run};
use crate::environment::Environment;
use crate::event::{Ending, Event, Teller, VERSION, What};
use crate::gate::Gatekeeper;
use crate::hcl::Value;
use crate::journal;
use crate::lasting;
use crate::plan::{Operation, Plan, StepKind, input_values};
use crate::settings;
use crate::step;

/// What to run, and how it is approved.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// A plan by name; none where the operation chooses.
    pub plan: Option<String>,
    pub operation: Option<Operation>,
    pub inputs: BTreeMap<String, String>,
    pub downtime: Option<Duration>,
    pub yes: bool,
    pub approve: Option<String>,
    pub guard: Option<GuardOverride>,
    /// Live changes that no file has may be lost.
    pub discard_patches: bool,
}

/// `--guard [STEP:]add=11,destroy=0`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardOverride {
    pub step: Option<String>,
    pub counts: BTreeMap<String, u64>,
}

/// Reads a `--guard`.
pub fn guard_override(text: &str) -> Result<GuardOverride, String> {
    let (step, counts) = match text.split_once(':') {
        Some((step, counts)) => (Some(step.to_owned()), counts),
        None => (None, text),
    };
    let mut parsed = BTreeMap::new();
    for part in counts.split(',') {
        let (name, number) = part.split_once('=').ok_or("write it as add=11 or STEP:add=11,destroy=2")?;
        if !["add", "change", "destroy", "forget"].contains(&name) {
            return Err(format!("a guard counts add, change, destroy and forget, not '{name}'"));
        }
        let number = number.parse().map_err(|_| format!("'{number}' is not a count"))?;
        parsed.insert(name.to_owned(), number);
    }
    Ok(GuardOverride { step, counts: parsed })
}

/// Who watches and answers while something runs.
#[derive(Clone)]
pub struct Session {
    pub sink: Arc<dyn Fn(&Event) + Send + Sync>,
    pub approver: Arc<dyn Approver>,
    pub interrupts: watch::Receiver<u32>,
}

impl Session {
    /// Stamps what is told with a clock's time.
    pub fn teller(&self, clock: &Clock, run: Option<&RunId>, simulated: bool) -> Teller {
        let (sink, clock, run) = (Arc::clone(&self.sink), clock.clone(), run.cloned());
        Teller::new(move |event| {
            sink(&Event { v: VERSION, at: clock.now(), run: run.clone(), simulated, event });
        })
    }
}

/// Everything about a run but how it is approved.
struct Prepared {
    run: Run,
    environment: Arc<Environment>,
}

impl Opened {
    /// The scope in which plans are loaded and chosen.
    pub(super) fn plan_scope(&self, inputs: Value, downtime: Option<f64>) -> Values {
        let seconds = downtime.map_or(Value::Unknown, Value::from);
        let mut scope =
            Values::new(Arc::clone(&self.functions)).with("var", inputs).with("downtime", seconds.clone());
        scope.set("outage", seconds);
        for root in ["env", "environment", "now", "terraform", "step", "wave", "probe", "recorded", "result"]
        {
            scope.set(root, Value::Unknown);
        }
        scope
    }

    /// What a decision is about besides its steps.
    fn about(&self, plan: &Plan, plan_hash: &str, inputs: &BTreeMap<String, String>) -> Json {
        let mut files = serde_json::Map::new();
        files.insert(settings::FILE_NAME.into(), hash(self.project.source.text.as_bytes()).into());
        let terraform = self.settings.terraform.iter().flat_map(|block| &block.var_files);
        let nomad = self.settings.nomad.iter().flat_map(|block| &block.var_files);
        for (path, _) in terraform.chain(nomad) {
            let bytes = std::fs::read(self.root.join(path)).unwrap_or_default();
            files.insert(path.display().to_string(), self.keyed(&bytes).into());
        }
        let inputs: BTreeMap<&String, String> =
            inputs.iter().map(|(k, v)| (k, self.keyed(v.as_bytes()))).collect();
        json!({
            "project": self.project.name,
            "environment": self.settings.name,
            "plan": plan.name,
            "plan_file": plan_hash,
            "files": files,
            "inputs": inputs,
            "variables": self.keyed(json!(self.variables).to_string().as_bytes()),
            "nomad_address": self.nomad_address,
        })
    }

    fn prepare(
        &self,
        session: &Session,
        chosen: Chosen,
        request: &Request,
        downtime: downtime::Known,
        resume: Option<journal::Run>,
    ) -> Result<Prepared, Failure> {
        let Chosen { plan, source } = chosen;
        let inputs = input_values(&plan, &request.inputs)?;
        let environment = self.environment(inputs, downtime.seconds())?;
        let plan_hash = hash(source.text.as_bytes());
        let id = resume.as_ref().map_or_else(|| RunId::new(self.clock.now()), |run| run.id.clone());
        let teller = session.teller(&self.clock, Some(&id), self.settings.simulated);
        let guards = Self::guards(&plan, request)?;
        let next = format!("blackstart resume {id} -e {}", self.settings.name);
        let about = self.about(&plan, &plan_hash, &request.inputs);
        let steps = step::build(&plan, &environment);
        let resume = match resume {
            Some(run) => Resume::Of(Box::new(run)),
            None => Resume::New { downtime: downtime.downtime() },
        };
        self.is_at(&id);
        let mut run = Run::new(
            id,
            plan,
            resume,
            steps,
            Arc::new(Gatekeeper(Arc::clone(&environment))),
            Arc::clone(&environment) as Arc<dyn engine::Facts>,
            self.journal.clone(),
            self.clock.clone(),
            teller,
            Arc::clone(&session.approver),
            session.interrupts.clone(),
        );
        run.environment.clone_from(&self.settings.name);
        run.protected = self.settings.protected;
        run.who.clone_from(&self.who);
        run.root = self.root.display().to_string();
        run.inputs.clone_from(&request.inputs);
        run.plan_hash = plan_hash;
        run.about = about;
        run.blobs = Arc::new(Blobs::Folder(self.state_dir.join("undo")));
        run.guards = guards;
        run.last = self.last_done(&run.plan.name)?;
        run.next = next;
        run.key.clone_from(&self.key);
        run.secrets = self.secrets.clone();
        run.latch = Some(self.latch(&run, &environment, request.discard_patches));
        Ok(Prepared { run, environment })
    }

    /// What the last run of a plan that went well meant to do, by step.
    fn last_done(&self, plan: &str) -> Result<BTreeMap<String, Json>, Failure> {
        let runs = self.journal.runs()?;
        let done =
            |run: &&journal::Run| run.plan == plan && run.status == journal::RunStatus::Done && run.changed;
        let Some(last) = runs.iter().rfind(done) else { return Ok(BTreeMap::new()) };
        let first = |(step, intents): (&String, &Vec<journal::Intent>)| {
            Some((step.clone(), intents.first()?.precondition.clone()))
        };
        Ok(last.intents.iter().filter_map(first).collect())
    }

    /// The guard that a person set, for the step it is for.
    fn guards(plan: &Plan, request: &Request) -> Result<BTreeMap<String, Json>, Failure> {
        let Some(guard) = &request.guard else { return Ok(BTreeMap::new()) };
        let terraform: Vec<&str> = plan
            .steps()
            .filter(|(_, spec)| matches!(spec.kind, StepKind::TerraformApply | StepKind::TerraformDestroy))
            .map(|(_, spec)| spec.name.as_str())
            .collect();
        let step = match (&guard.step, terraform.as_slice()) {
            (Some(step), known) if known.contains(&step.as_str()) => step.clone(),
            (None, [only]) => (*only).to_owned(),
            (Some(step), known) => {
                return Err(Failure::error(format!(
                    "the plan '{}' has no Terraform step '{step}'",
                    plan.name
                ))
                .help(format!("it has {}", text::list(known))));
            }
            (None, known) => {
                return Err(Failure::error("which step is --guard for?")
                    .help(format!("write --guard STEP:add=…; the steps are {}", text::list(known))));
            }
        };
        Ok(BTreeMap::from([(step, json!(guard.counts))]))
    }

    fn say_target(&self, prepared: &Prepared, downtime: downtime::Known) {
        let run = &prepared.run;
        let patch = run.plan.operation == Some(Operation::Patch);
        let made = super::made::is_made(&run.plan);
        let mut details = self.details((!patch && !made).then_some(&downtime));
        details.insert(0, ("run".into(), run.id.to_string()));
        run.teller.tell(What::Target {
            project: self.project.name.clone(),
            environment: self.settings.name.clone(),
            protected: self.settings.protected,
            plan: run.plan.name.clone(),
            details,
        });
        if self.settings.protected {
            run.teller.note(format!(
                "runs are kept apart on this machine only: lock and journal are in {}",
                self.state_dir.display()
            ));
        }
        for scrubbed in &self.scrubbed {
            run.teller
                .warn(format!("{scrubbed} of this shell is not used: it would change what Terraform does"));
        }
    }

    async fn chosen(&self, request: &Request) -> Result<(Chosen, downtime::Known, Option<String>), Failure> {
        let downtime = downtime::find(self, request.downtime).await?;
        let scope = self.plan_scope(Value::Unknown, downtime.seconds());
        let chosen = match (&request.plan, request.operation) {
            (Some(name), _) => plans::by_name(&self.root, name, &scope)?,
            (None, Some(operation)) => {
                if operation == Operation::Start {
                    downtime.needed()?;
                }
                plans::by_operation(&self.root, operation, &scope)?
            }
            (None, None) => return Err(Failure::error("which plan?").help("name it: blackstart run PLAN")),
        };
        if let (Some(wanted), Some(is)) = (request.operation, chosen.plan.operation)
            && wanted != is
        {
            let message =
                format!("the plan '{}' is one to {}, not to {}", chosen.plan.name, is.name(), wanted.name());
            return Err(
                Failure::error(message).help(format!("run it by name: blackstart run {}", chosen.plan.name))
            );
        }
        if chosen.plan.operation == Some(Operation::Start) {
            downtime.needed()?;
        }
        let applies = chosen.plan.applies.as_ref().and_then(|expr| expr.eval(&scope).ok());
        let unfit = (applies == Some(Value::Bool(false))).then(|| {
            let shown =
                chosen.plan.applies.as_ref().map(|expr| expr.span.text().to_owned()).unwrap_or_default();
            format!(
                "the plan '{}' says that it doesn't apply now: {shown} is false (downtime: {})",
                chosen.plan.name,
                downtime.shown()
            )
        });
        Ok((chosen, downtime, unfit))
    }
}

/// A plan named by hand may run although it says that it doesn't apply; not without a word.
fn warn_unfit(opened: &Opened, session: &Session, unfit: Option<String>) {
    if let Some(unfit) = unfit {
        session.teller(&opened.clock, None, opened.settings.simulated).warn(unfit);
    }
}

pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

fn approval(opened: &Opened, request: &Request) -> Approval {
    match &request.approve {
        Some(given) => {
            Approval::Digest { given: given.clone(), old: previews::find(&opened.state_dir, given) }
        }
        None if request.yes => Approval::Yes,
        None => Approval::Ask,
    }
}

/// Runs a plan from its beginning.
pub async fn start(opened: &Opened, session: &Session, request: &Request) -> Result<Finished, Failure> {
    opened.refuse_living_child()?;
    let (chosen, downtime, unfit) = opened.chosen(request).await?;
    warn_unfit(opened, session, unfit);
    run_new(opened, session, request, chosen, downtime).await
}

/// Runs a plan that was made here and not read from plans/.
pub async fn start_made(
    opened: &Opened,
    session: &Session,
    request: &Request,
    chosen: Chosen,
) -> Result<Finished, Failure> {
    opened.refuse_living_child()?;
    run_new(opened, session, request, chosen, downtime::Known::Unknown).await
}

async fn run_new(
    opened: &Opened,
    session: &Session,
    request: &Request,
    chosen: Chosen,
    downtime: downtime::Known,
) -> Result<Finished, Failure> {
    let prepared = opened.prepare(session, chosen, request, downtime, None)?;
    opened.say_target(&prepared, downtime);
    warn_of_unfinished(opened, &prepared.run)?;
    whole(opened, &prepared, approval(opened, request)).await
}

/// Runs it to its end, and says what no file has then.
async fn whole(opened: &Opened, prepared: &Prepared, approval: Approval) -> Result<Finished, Failure> {
    let finished = engine::run(&prepared.run, approval).await;
    if matches!(finished.ending, Ending::Done | Ending::NothingToDo) {
        super::save::settle(opened, &prepared.environment, &prepared.run.plan).await?;
    }
    // A refusal has named what it refuses for; before it the run may have changed something.
    let own = |run: &journal::Run| run.id == prepared.run.id && run.may_have_changed();
    if finished.ending != Ending::Refused || opened.journal.runs()?.iter().any(own) {
        let done = (finished.ending == Ending::Done).then_some(&prepared.run.id);
        opened.say_unsaved(&prepared.environment, &prepared.run.teller, done).await?;
    }
    Ok(finished)
}

/// Other runs that were not ended: their half-done work is what this run meets.
fn warn_of_unfinished(opened: &Opened, new: &Run) -> Result<(), Failure> {
    for run in opened.journal.runs()?.iter().filter(|run| run.is_unfinished() && run.id != new.id) {
        let reason = run.reason.as_ref().and_then(|reason| reason.lines().next());
        let reason = reason.unwrap_or("it was cut off");
        new.teller.warn(format!(
            "the run {} ({}) is unfinished: {reason}; go on with it (blackstart resume {} -e {}), or this run finds what it left",
            run.id, run.plan, run.id, opened.settings.name
        ));
    }
    Ok(())
}

/// What a look found.
pub struct Preview {
    pub digest: String,
    pub changes: bool,
    /// Whether it takes more than a `--yes`: the environment is protected, or another one that changes too.
    pub protected: bool,
}

/// Shows what a run would do. Changes nothing.
pub async fn preview(opened: &Opened, session: &Session, request: &Request) -> Result<Preview, Failure> {
    let (chosen, downtime, unfit) = opened.chosen(request).await?;
    warn_unfit(opened, session, unfit);
    shown(opened, session, request, chosen, downtime).await
}

/// Shows what a plan that was made here would do. Changes nothing.
pub async fn preview_made(
    opened: &Opened,
    session: &Session,
    request: &Request,
    chosen: Chosen,
) -> Result<Preview, Failure> {
    shown(opened, session, request, chosen, downtime::Known::Unknown).await
}

async fn shown(
    opened: &Opened,
    session: &Session,
    request: &Request,
    chosen: Chosen,
    downtime: downtime::Known,
) -> Result<Preview, Failure> {
    let prepared = opened.prepare(session, chosen, request, downtime, None)?;
    opened.say_target(&prepared, downtime);
    let looked = engine::look(&prepared.run).await.map_err(Failure::from)?;
    if looked.changes
        && let Some(latch) = &prepared.run.latch
        && let Err(held) = latch.look(&prepared.run.teller).await
    {
        prepared.run.teller.warn(format!("a run would be refused: {}", held.message));
    }
    previews::keep(&opened.state_dir, &looked.decision);
    let protected = opened.settings.protected || looked.previews.values().any(|p| !p.protects.is_empty());
    Ok(Preview { digest: looked.decision.digest, changes: looked.changes, protected })
}

/// The unfinished run that is meant: the named one, or the only one.
fn unfinished(opened: &Opened, named: Option<&str>) -> Result<journal::Run, Failure> {
    let runs = opened.journal.runs()?;
    let environment = &opened.settings.name;
    let unfinished: Vec<&journal::Run> = runs.iter().filter(|run| run.is_unfinished()).collect();
    match (named, unfinished.as_slice()) {
        (Some(name), _) => {
            let found: Vec<&journal::Run> = runs.iter().filter(|run| run.id.0.contains(name)).collect();
            match found.as_slice() {
                [one] if one.is_unfinished() => Ok((*one).clone()),
                [one] => Err(Failure::error(format!("the run {} is finished", one.id))
                    .help(format!("see it: blackstart show {} -e {environment}", one.id))),
                _ => Err(Failure::error(format!("there is no run '{name}' in '{environment}'"))
                    .help(format!("see them: blackstart runs -e {environment}"))),
            }
        }
        (None, [one]) => Ok((*one).clone()),
        (None, []) => Err(Failure::error(format!("'{environment}' has no unfinished run"))),
        (None, several) => {
            let ids: Vec<&str> = several.iter().map(|run| run.id.0.as_str()).collect();
            let help = format!(
                "name one: {}; or give all of them up: blackstart resume --abandon --all -e {environment}",
                ids.join(", ")
            );
            Err(Failure::error("several runs are unfinished").help(help))
        }
    }
}

/// What a run left as done may be gone where another one changed the environment since.
fn refuse_overtaken(opened: &Opened, run: &journal::Run) -> Result<(), Failure> {
    let runs = opened.journal.runs()?;
    let since = |other: &&journal::Run| {
        let started = other.operation.as_deref() != Some("patch") && other.may_have_changed();
        other.id != run.id && started && other.last > run.last
    };
    let Some(other) = runs.iter().find(since) else { return Ok(()) };
    let message = format!("{} ({}) changed the environment since {} was left", other.id, other.plan, run.id);
    let help = format!(
        "what {} did may be undone; give it up (blackstart resume {} --abandon -e {}) and start anew",
        run.id, run.id, opened.settings.name
    );
    Err(Failure::refused(message).help(help))
}

/// A patch that was left is not to undo what a later one set, or gave up. Where nothing else is left of it,
/// the run is over.
fn refuse_superseded(opened: &Opened, run: &journal::Run) -> Result<(), Failure> {
    let (found, all) = lasting::overtaken(&opened.journal.all(), &run.id);
    let Some(last) = found.last() else { return Ok(()) };
    let name = &opened.settings.name;
    let one = |one: &lasting::Overtaken| {
        let now = match &one.now {
            Some(now) => format!("is {now} since {} (by {})", one.by, one.who),
            None => format!("was given up since (by {})", one.who),
        };
        text::one_line(&format!("{} {}: {}, which this run was to set, {now}", one.job, one.path, one.meant))
    };
    let lines: Vec<String> = found.iter().map(one).collect();
    let message = format!("{} is superseded:\n  {}", run.id, lines.join("\n  "));
    // A plan of the project may have more to do than to set values.
    let is_all = found.len() == all && super::patch::is_one(run);
    if !is_all {
        let help = format!(
            "give it up (blackstart resume {} --abandon -e {name}), and patch anew what else it was to change",
            run.id
        );
        return Err(Failure::refused(message).help(help));
    }
    let body = journal::Body::RunAbandoned { who: opened.who.clone() };
    opened.journal.append(&run.id, &body, |_| Ok(()))?;
    let help = format!("nothing was changed, and it is ended; see blackstart show {} -e {name}", last.by);
    Err(Failure::refused(message).help(help))
}

/// Gives an unfinished run up, or all of them: not gone on with any more. Says which.
pub fn abandon(opened: &Opened, named: Option<&str>, all: bool) -> Result<Vec<RunId>, Failure> {
    opened.refuse_living_child()?;
    let runs = if all {
        opened.journal.runs()?.iter().filter(|run| run.is_unfinished()).cloned().collect()
    } else {
        vec![unfinished(opened, named)?]
    };
    for run in &runs {
        let body = journal::Body::RunAbandoned { who: opened.who.clone() };
        opened.journal.append(&run.id, &body, |_| Ok(()))?;
    }
    Ok(runs.into_iter().map(|run| run.id).collect())
}

/// Goes on with an unfinished run: the named one, or the only one.
pub async fn resume(
    opened: &Opened,
    session: &Session,
    request: &Request,
    named: Option<&str>,
) -> Result<Finished, Failure> {
    let run = unfinished(opened, named)?;
    refuse_overtaken(opened, &run)?;
    refuse_superseded(opened, &run)?;
    let downtime = run.downtime.map_or(downtime::Known::Unknown, downtime::Known::Is);
    let scope = opened.plan_scope(Value::Unknown, downtime.seconds());
    let in_a_file = plans::by_name(&opened.root, &run.plan, &scope);
    let chosen = match super::made::find(opened, &run.plan_hash)? {
        Some(made) => made,
        // A plan of the project may be one for patches, too.
        None if run.operation.as_deref() == Some("patch") => match in_a_file {
            Ok(chosen) if !super::patch::is_made(&run, &chosen) => chosen,
            _ => super::patch::again(opened, &run)?,
        },
        None => in_a_file?,
    };
    let mut inputs = run.inputs.clone();
    inputs.extend(request.inputs.clone());
    if let Some((name, _)) = inputs.iter().find(|(_, value)| value.contains(MASK)) {
        return Err(Failure::error(format!(
            "the variable '{name}' held a secret, which the journal doesn't keep"
        ))
        .help(format!("give it again: --var {name}=VALUE")));
    }
    let request = Request { inputs, ..request.clone() };
    let changed = run.plan_hash != hash(chosen.source.text.as_bytes());
    let prepared = opened.prepare(session, chosen, &request, downtime, Some(run.clone()))?;
    opened.say_target(&prepared, downtime);
    if changed {
        prepared.run.teller.warn(format!(
            "the plan '{}' was changed since the run began; what is done stays done",
            run.plan
        ));
    }
    whole(opened, &prepared, approval(opened, &request)).await
}

impl Request {
    /// Refuses before anything else is read where an approval is needed and can't be had.
    pub fn check_approvable(
        &self,
        environment: &settings::Environment,
        terminal: bool,
    ) -> Result<(), Failure> {
        let name = &environment.name;
        if self.yes && environment.protected {
            return Err(Failure::new(
                Code::Denied,
                format!("--yes is not enough for '{name}', which is protected"),
            )
            .help("give --approve DIGEST with the digest that preview or --dry-run shows, or run it in a terminal"));
        }
        if terminal || self.approve.is_some() || self.yes {
            return Ok(());
        }
        let help = if environment.protected {
            "give --approve DIGEST with the digest that preview or --dry-run shows, or run it in a terminal"
        } else {
            "give --yes, or --approve DIGEST with the digest that preview or --dry-run shows, or run it in a terminal"
        };
        Err(Failure::new(
            Code::Denied,
            "this needs an approval, and there is no terminal to ask at; nothing was changed",
        )
        .help(help))
    }
}
