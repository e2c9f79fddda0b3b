//! `terraform_apply` and `terraform_destroy`: a saved plan, held against the guard, approved, applied as
//! it was shown.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::build::Inputs;
use crate::base::text;
use crate::engine::{Breach, Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::event::{Line, Mark};
use crate::hcl::Block;
use crate::journal::Intent;
use crate::process;
use crate::terraform::{
    Action, Applied, Change, Earlier, Effect, Guard, Operation, Planned, Progress, Terraform, TerraformError,
};

pub struct TerraformStep {
    inputs: Inputs,
    operation: Operation,
}

impl TerraformStep {
    pub fn new(inputs: Inputs, operation: Operation) -> Self {
        Self { inputs, operation }
    }

    fn targets(&self, cx: &Context) -> Result<Option<Vec<String>>, StepError> {
        self.inputs.now(cx, |reader, body| Some(reader.strings(body, "targets")))
    }

    fn driver(&self, targets: Option<Vec<String>>) -> Result<Arc<dyn Terraform>, StepError> {
        self.inputs.environment.terraform_with(targets).ok_or_else(|| {
            StepError::untouched(format!(
                "the environment '{}' has no terraform block",
                self.inputs.environment.name()
            ))
        })
    }

    /// What the plan expects, or what a person set in its place.
    fn guard(&self, cx: &Context) -> Result<Option<Guard>, StepError> {
        let written: Option<Block> = self.inputs.body.blocks("expect").next().cloned();
        let mut guard = match written {
            None => None,
            Some(block) => Some(self.inputs.now(cx, |reader, _| {
                let mut count = |name: &str| {
                    let number = reader.number(&block.body, name).unwrap_or_default();
                    usize::try_from(number).unwrap_or(usize::MAX)
                };
                let (add, change) = (count("add"), count("change"));
                let (destroy, forget) = (count("destroy"), count("forget"));
                let addresses = reader.strings(&block.body, "addresses").unwrap_or_default();
                Some(Guard { add, change, destroy, forget, addresses })
            })?),
        };
        if let Some(set) = &cx.guard {
            let guard = guard.get_or_insert_default();
            let count =
                |name: &str| set[name].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
            (guard.add, guard.change) = (count("add"), count("change"));
            (guard.destroy, guard.forget) = (count("destroy"), count("forget"));
        }
        Ok(guard)
    }

    fn verb(&self) -> &'static str {
        match self.operation {
            Operation::Apply => "apply",
            Operation::Destroy => "destroy",
        }
    }
}

#[async_trait]
impl Step for TerraformStep {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let targets = self.targets(cx)?;
        let guard = self.guard(cx)?;
        if let Horizon::Later(why) = horizon {
            let decision = json!({ "operation": self.operation, "targets": targets, "guard": guard });
            let summary = match &guard {
                Some(guard) => format!("at most {}", expected(guard)),
                None => "whatever Terraform plans then; it is asked about then".to_owned(),
            };
            let bound = guard.as_ref().map(|_| decision.clone());
            return Ok(Preview { later: Some(why.clone()), bound, ..Preview::new(summary, decision) });
        }
        let driver = self.driver(targets.clone())?;
        let tell = |progress: Progress| {
            if let Progress::Planning { address } = progress {
                cx.progress(Some(address), "refreshing", None);
            }
        };
        let planning = driver.plan(self.operation, &tell);
        let planned = interruptible(cx, 1, &driver, planning).await.map_err(failure)?;
        let intended: Vec<Vec<Change>> = cx
            .earlier
            .iter()
            .filter_map(|intent| serde_json::from_value(intent.precondition["changes"].clone()).ok())
            .collect();
        let mut earlier = Earlier::default();
        if let [before @ .., last] = intended.as_slice() {
            // What an attempt meant to do and the next no longer did was done by it.
            for (one, next) in before.iter().zip(intended.iter().skip(1)) {
                earlier.infer(one, next);
            }
            earlier.infer(last, &planned.changes);
        }
        let checked = guard.as_ref().map(|guard| {
            guard.check_planned(&planned, &earlier).map_err(|mut breach| {
                breach.compare(&planned.changes, &last_addresses(cx));
                breach
            })
        });
        Ok(self.shown(planned, targets.as_deref(), guard.as_ref(), checked))
    }

    async fn execute(&self, cx: &Context, mut preview: Preview) -> Result<Outcome, StepError> {
        let material = preview.material.take().and_then(|m| m.downcast::<Mutex<Option<Planned>>>().ok());
        let planned = material.and_then(|m| m.lock().unwrap_or_else(PoisonError::into_inner).take());
        let planned = planned.ok_or_else(|| StepError::untouched("the saved plan is gone; run it again"))?;
        let of = planned.changes.iter().filter(|change| !change.action.is_harmless()).count();
        let driver = self.driver(self.targets(cx)?)?;
        let done = std::sync::atomic::AtomicUsize::new(0);
        let tell = |progress: Progress| told(cx, &done, of, progress);
        let applying = driver.apply(planned, &tell);
        let applied = interruptible(cx, 2, &driver, applying).await.map_err(failure)?;
        self.inputs.environment.set_applied(&applied);
        let summary = summed(&applied);
        let evidence = json!({ "done": applied.done });
        Ok(Outcome { summary, evidence, output: Value::Object(applied.outputs.into_iter().collect()) })
    }

    async fn reconcile(&self, cx: &Context, intent: &Intent) -> Result<Reconciled, StepError> {
        if let Some((pid, started)) = &intent.child
            && process::is_running(*pid, started)
        {
            cx.teller.note(format!(
                "terraform {} of the interrupted run still runs (process {pid}); waiting for it to end",
                self.verb()
            ));
            tokio::select! {
                () = process::ended(*pid, started) => {}
                () = cx.interrupted_times(1) => {
                    let message = format!("terraform still runs (process {pid})");
                    return Err(StepError::new(message, Touched::Unknown).help("resume once it has ended"));
                }
            }
        }
        Ok(Reconciled::NotDone("looking at what remains of it".into()))
    }
}

impl TerraformStep {
    fn shown(
        &self,
        planned: Planned,
        targets: Option<&[String]>,
        guard: Option<&Guard>,
        checked: Option<Result<crate::terraform::GuardReport, Box<crate::terraform::Breach>>>,
    ) -> Preview {
        let breach = checked.as_ref().and_then(|result| result.as_ref().err());
        let already = match &checked {
            Some(Ok(report)) => report.already,
            Some(Err(breach)) => breach.already,
            None => crate::terraform::Counts::default(),
        };
        let lines = lines(&planned, breach.map(AsRef::as_ref));
        let mut summary =
            if planned.nothing_to_do() { "nothing to do".to_owned() } else { planned.counts().to_string() };
        if already != crate::terraform::Counts::default() {
            summary.push_str(&format!(" (this run already did: {already})"));
        }
        match guard {
            Some(guard)
                if breach.is_none()
                    && !planned.nothing_to_do()
                    && !guard.addresses.is_empty()
                    && !planned.counts().eq(&crate::terraform::Counts::default()) =>
            {
                summary.push_str(&format!(", all {}, nothing else", within(&guard.addresses)));
            }
            None if !planned.nothing_to_do() => summary.push_str(" (no guard: the step has no expect block)"),
            _ => {}
        }
        if !planned.output_changes.is_empty() {
            summary.push_str(&format!(", {} changed", text::count(planned.output_changes.len(), "output")));
        }
        let changes: Vec<&Change> =
            planned.changes.iter().filter(|change| change.action != Action::NoOp).collect();
        let decision = json!({
            "operation": self.operation,
            "targets": targets,
            "lineage": planned.lineage,
            "serial": planned.serial,
            "changes": changes
                .iter()
                .map(|change| (change.address.clone(), json!(format!("{} {}", change.action, change.fingerprint))))
                .collect::<serde_json::Map<_, _>>(),
            "outputs": planned.output_changes,
            "guard": guard,
        });
        let undo: Vec<&&Change> = changes.iter().collect();
        let precondition = json!({ "serial": planned.serial, "lineage": planned.lineage, "changes": undo });
        let breach = breach.map(|breach| Breach {
            message: breach.to_string(),
            help: Some(format!(
                "nothing was changed; see why Terraform wants this, or change the plan's `expect` ({} now)",
                guard.map(expected).unwrap_or_default()
            )),
        });
        let bound = guard.map(|_| json!({ "operation": self.operation, "targets": targets, "guard": guard }));
        Preview {
            changes: !planned.nothing_to_do(),
            bound,
            lines,
            breach,
            precondition,
            material: Some(Box::new(Mutex::new(Some(planned)))),
            settled: true,
            ..Preview::new(summary, decision)
        }
    }
}

/// What the last run that went well touched: where only a count is wrong, that tells the fourteenth from
/// the thirteen.
fn last_addresses(cx: &Context) -> Vec<String> {
    let changes = cx.last.as_ref().and_then(|last| last["changes"].as_array());
    let address = |change: &Value| change["address"].as_str().map(str::to_owned);
    changes.into_iter().flatten().filter_map(address).collect()
}

/// `13 to add, 0 to change, 0 to destroy, under module.core.*`
fn expected(guard: &Guard) -> String {
    let counts = crate::terraform::Counts {
        add: guard.add,
        change: guard.change,
        destroy: guard.destroy,
        forget: guard.forget,
    };
    match guard.addresses.as_slice() {
        [] => counts.to_string(),
        addresses => format!("{counts}, {}", within(addresses)),
    }
}

/// Patterns in a few words: `under module.core`, `under a.*, b.c`, `among 13 expected addresses`.
fn within(patterns: &[String]) -> String {
    let first = patterns.first().map(String::as_str).unwrap_or_default();
    let module: Vec<&str> = first.split('.').take(2).collect();
    let module = module.join(".");
    if module.starts_with("module.") && patterns.iter().all(|p| p.starts_with(&format!("{module}."))) {
        return format!("under {module}");
    }
    match patterns {
        few if few.len() <= 3 => format!("under {}", few.join(", ")),
        many => format!("among {} expected addresses", many.len()),
    }
}

fn lines(planned: &Planned, breach: Option<&crate::terraform::Breach>) -> Vec<Line> {
    let mut lines = Vec::new();
    for change in planned.changes.iter().filter(|change| !change.action.is_harmless()) {
        let mark = match change.action {
            Action::Create => Mark::Add,
            Action::Destroy | Action::Forget => Mark::Remove,
            Action::Replace => Mark::Replace,
            _ => Mark::Change,
        };
        let offends = breach.is_some_and(|breach| breach.marks(&change.address));
        let mut text = format!("{} {}", change.action, change.address);
        if change.tainted {
            text.push_str(" (left half made)");
        } else if let Some(reason) = &change.reason {
            text.push_str(&format!(" ({})", reason.replace('_', " ")));
        }
        if offends {
            text.push_str("  ← not expected");
        }
        lines.push(Line::new(if offends { Mark::Offending } else { mark }, 0, text));
        if change.action == Action::Update {
            lines.extend(change.detail.iter().map(|detail| Line::new(Mark::Plain, 1, detail.clone())));
        }
    }
    lines.extend(
        planned.output_changes.iter().map(|name| Line::new(Mark::Change, 0, format!("output {name}"))),
    );
    lines
}

fn told(cx: &Context, done: &std::sync::atomic::AtomicUsize, of: usize, progress: Progress) {
    use std::sync::atomic::Ordering::Relaxed;
    match progress {
        Progress::Child { pid, started } => cx.child(pid, started),
        Progress::ApplyStart { address, action } => {
            cx.progress(Some(address), format!("{action} …"), Some((done.load(Relaxed), of)));
        }
        Progress::ApplyProgress { address, elapsed_seconds } => {
            let text = format!("still at it after {elapsed_seconds}s");
            cx.progress(Some(address), text, Some((done.load(Relaxed), of)));
        }
        Progress::ApplyDone { address, elapsed_seconds } => {
            let now = done.fetch_add(1, Relaxed) + 1;
            cx.progress(Some(address), format!("done after {elapsed_seconds}s"), Some((now.min(of), of)));
        }
        Progress::ApplyFailed { address } => cx.progress(Some(address), "failed", None),
        Progress::Diagnostic { severity, summary, .. }
            if severity == "warning" && !expected_warning(&summary) =>
        {
            cx.teller.warn(summary);
        }
        Progress::Note(text) => cx.teller.note(text),
        Progress::Planning { .. } | Progress::Diagnostic { .. } => {}
    }
}

/// What Terraform says of every targeted run.
fn expected_warning(summary: &str) -> bool {
    summary.contains("Resource targeting is in effect")
        || summary.contains("Applied changes may be incomplete")
}

fn summed(applied: &Applied) -> String {
    let counts = crate::terraform::Counts::of(applied.done.iter().map(|(_, action)| *action));
    format!("{} added, {} changed, {} destroyed", counts.add, counts.change, counts.destroy)
}

/// Relays one interrupt once Ctrl-C was pressed `after` times, and waits on: Terraform ends in order.
async fn interruptible<T>(
    cx: &Context,
    after: u32,
    driver: &Arc<dyn Terraform>,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    tokio::select! {
        result = &mut work => return result,
        () = cx.interrupted_times(after) => driver.interrupt(),
    }
    cx.teller
        .tell(crate::event::What::Interrupted { text: "Terraform was asked to end; waiting for it".into() });
    work.await
}

fn failure(error: TerraformError) -> StepError {
    let touched = match error.effect() {
        Effect::Nothing => Touched::Nothing,
        Effect::Partly => Touched::Something,
        Effect::Unknown => Touched::Unknown,
    };
    let help = match &error {
        TerraformError::Stale { .. } => Some("run it again: what would be done now is shown first"),
        TerraformError::Locked { .. } => {
            Some("wait for who holds the lock; never force it while that may still run")
        }
        TerraformError::Incomplete { .. } => Some("what was done is kept; resume goes on with the rest"),
        _ => None,
    };
    let evidence = json!({ "done": error.done() });
    let mut failed = StepError::new(error.to_string(), touched);
    failed.help = help.map(str::to_owned);
    failed.evidence = evidence;
    failed.source = std::error::Error::source(&error).map(|source| source.to_string().into());
    failed
}
