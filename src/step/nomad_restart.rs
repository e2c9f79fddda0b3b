//! `nomad_restart`: restarts a job's allocations a few at a time, the next only when the last are healthy again.
//!
//! The number of allocations stays what it is: each is restarted in its place. The first that doesn't get
//! healthy ends it, and the others run as they did. Resumed, it goes on with those that it hasn't restarted:
//! the first intent of the run says how each was before.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::build::Inputs;
use super::jobs::{client, dependents, depending, of_others, refused, registered_job};
use crate::base::text;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::event::{Line, Mark};
use crate::journal::Intent;
use crate::nomad::{
    Allocation, Before, Client, FailedAllocation, HealthRule, Look, NomadError, Restarted, follow_restart,
    is_restarted, is_stopped, job_id, job_modify_index,
};

/// How long the server may be out of reach while an allocation is followed.
const TROUBLE: Duration = Duration::from_secs(30);

pub struct NomadRestart(pub Inputs);

struct Wanted {
    jobs: Vec<String>,
    batch: Batch,
    delay: Duration,
    timeout: Option<Duration>,
}

/// How many allocations are restarted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Batch {
    Number(usize),
    /// Of the job's running allocations; at least one.
    Percent(usize),
}

impl Batch {
    fn read(value: &Value) -> Option<Self> {
        let text = match value {
            Value::Null => "1".to_owned(),
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        match text.strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|n| (1..=100).contains(n)).map(Self::Percent),
            None => text.parse().ok().filter(|n| *n > 0).map(Self::Number),
        }
    }

    fn of(self, all: usize) -> usize {
        match self {
            Self::Number(number) => number,
            Self::Percent(percent) => (all * percent / 100).max(1),
        }
    }

    fn shown(self, all: usize) -> String {
        match self.of(all) {
            1 => "one at a time".into(),
            several => format!("{several} at a time"),
        }
    }
}

/// A job and what of it is to be restarted.
struct Rolling {
    job: Value,
    /// Those that run, with those of them that this run has restarted already.
    all: Vec<Before>,
    left: Vec<Left>,
}

/// An allocation that isn't known to be restarted and healthy.
struct Left {
    before: Before,
    /// An earlier attempt restarted it: it is only waited for.
    told: bool,
}

impl Rolling {
    fn id(&self) -> String {
        text::one_line(job_id(&self.job))
    }

    /// How to go by it after a crash.
    fn record(&self) -> Value {
        json!({ "id": job_id(&self.job), "index": job_modify_index(&self.job), "allocations": self.all })
    }
}

impl NomadRestart {
    fn wanted(&self, cx: &Context) -> Result<Wanted, StepError> {
        let (jobs, batch, delay, timeout) = self.0.now(cx, |reader, body| {
            let delay = reader.duration(body, "delay").unwrap_or_default();
            let batch = reader.any(body, "batch").unwrap_or_default();
            Some((reader.strings(body, "jobs")?, batch, delay, reader.duration(body, "timeout")))
        })?;
        let batch = Batch::read(&batch).ok_or_else(|| {
            StepError::untouched(format!("a batch of {batch} can't be restarted"))
                .help("write a number from 1 on, or a share such as \"25%\"")
        })?;
        Ok(Wanted { jobs, batch, delay, timeout })
    }

    async fn look(&self, cx: &Context, client: &Client, id: &str) -> Result<Rolling, StepError> {
        let job = registered_job(client, id).await?;
        if is_stopped(&job) {
            let help = format!("start it: blackstart service start {id} -e {}", self.0.environment.name());
            return Err(StepError::untouched(format!("'{}' is stopped", text::one_line(id))).help(help));
        }
        let mut found: Vec<Allocation> = client.allocations(id).await.map_err(refused)?;
        found.sort_by(|a, b| (&a.task_group, a.number(), &a.id).cmp(&(&b.task_group, b.number(), &b.id)));
        let mut all = Vec::new();
        let mut left = Vec::new();
        let Some(earlier) = earlier(cx, id) else {
            for allocation in found.iter().filter(|a| is_running(a)) {
                all.push(Before::of(allocation));
                left.push(Left { before: Before::of(allocation), told: false });
            }
            return Ok(Rolling { job, all, left });
        };
        // One that wasn't there when the run began was started since; one that is in the place of another
        // has to be healthy as that had to be.
        for before in &earlier {
            let Some(now) = found.iter().find(|allocation| allocation.id == before.allocation) else {
                continue;
            };
            let in_its_place = |a: &&Allocation| {
                a.name == now.name
                    && a.desired_status == "run"
                    && earlier.iter().all(|b| b.allocation != a.id)
            };
            let over = now.has_ended() || now.desired_status != "run";
            let (before, now) = match found.iter().find(in_its_place).filter(|_| over) {
                Some(other) => (Before { fresh: true, ..Before::of(other) }, other),
                // Nobody wants it any more.
                None if now.desired_status != "run" => continue,
                None => (before.clone(), now),
            };
            let rule = HealthRule::of(&job, &before.group);
            if !is_restarted(client, &before, now, &rule).await.map_err(refused)? {
                let ended_again = matches!(before.look(now), Look::Bad(_));
                let told = before.fresh || !is_running(now) || (before.is_begun(now) && !ended_again);
                let before = if told { before.clone() } else { Before::of(now) };
                left.push(Left { before, told });
            }
            all.push(before);
        }
        Ok(Rolling { job, all, left })
    }
}

fn is_running(allocation: &Allocation) -> bool {
    allocation.desired_status == "run" && allocation.client_status == "running"
}

/// The allocations as they were when this run began.
fn earlier(cx: &Context, id: &str) -> Option<Vec<Before>> {
    let first = cx.earlier.first()?.precondition["jobs"].as_array()?;
    let job = first.iter().find(|job| job["id"] == id)?;
    serde_json::from_value(job["allocations"].clone()).ok()
}

#[async_trait]
impl Step for NomadRestart {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = self.wanted(cx)?;
        if let Horizon::Later(why) = horizon {
            let summary = format!("restart {}", text::list(&wanted.jobs));
            let decision = json!({ "jobs": wanted.jobs });
            return Ok(Preview { later: Some(why.clone()), ..Preview::new(summary, decision) });
        }
        let client = client(&self.0.environment).await?;
        let mut lines = Vec::new();
        let mut decisions = Map::new();
        let mut jobs = Vec::new();
        let dependents = dependents(&client, &wanted.jobs).await?;
        for id in &wanted.jobs {
            let rolling = self.look(cx, &client, id).await?;
            let (all, left) = (rolling.all.len(), rolling.left.iter().filter(|left| !left.told).count());
            let many = text::count(left, "allocation");
            let what = match (all, left) {
                (0, _) => "nothing of it runs".to_owned(),
                (_, 0) if rolling.left.is_empty() => "restarted already, and healthy".to_owned(),
                (_, 0) => "restarted already; waits until it is healthy".to_owned(),
                (1, 1) => "restarts its only allocation: nothing of it runs meanwhile".to_owned(),
                _ if wanted.batch.of(all) >= all => {
                    format!("restarts {many}, all at once: nothing of it runs meanwhile")
                }
                _ => format!("restarts {many}, {}{}", wanted.batch.shown(all), every(wanted.delay)),
            };
            let at_once = left > 0 && wanted.batch.of(all) >= all;
            let mark = if rolling.left.is_empty() { Mark::Plain } else { Mark::Replace };
            lines.push(Line::new(mark, 0, format!("{}: {what}", rolling.id())));
            lines.extend(of_others(&self.0.environment, id).filter(|_| mark != Mark::Plain));
            if let Some(them) = dependents.get(id).filter(|_| at_once) {
                lines.push(Line::new(Mark::Offending, 1, depending(them, "it")));
            }
            for Left { before, told } in &rolling.left {
                let rule = HealthRule::of(&rolling.job, &before.group);
                let healthy = match rule.checks {
                    0 => format!("once it has run for {}", text::duration(rule.steady)),
                    1 => "once its check succeeds".to_owned(),
                    checks => format!("once its {checks} checks succeed"),
                };
                let told = if *told { "restarted before; " } else { "" };
                lines.push(Line::new(Mark::Plain, 1, format!("{}: {told}healthy {healthy}", before.shown())));
            }
            let ids: Vec<(&String, bool)> =
                rolling.left.iter().map(|left| (&left.before.allocation, left.told)).collect();
            decisions
                .insert(id.clone(), json!({ "index": job_modify_index(&rolling.job), "allocations": ids }));
            jobs.push(rolling);
        }
        let left: usize = jobs.iter().map(|rolling| rolling.left.len()).sum();
        let restarts = jobs.iter().flat_map(|rolling| &rolling.left).filter(|left| !left.told).count();
        let summary = match (left, restarts) {
            (0, _) => "nothing to restart".to_owned(),
            (waits, 0) => format!("{} to wait for", text::count(waits, "allocation")),
            (_, restarts) => format!("{} to restart", text::count(restarts, "allocation")),
        };
        let decision = json!({
            "nomad": client.address(), "jobs": decisions, "batch": format!("{:?}", wanted.batch),
            "delay": wanted.delay.as_secs_f64(),
        });
        let precondition = json!({ "jobs": jobs.iter().map(Rolling::record).collect::<Vec<_>>() });
        let changes = left > 0;
        Ok(Preview {
            lines,
            changes,
            precondition,
            material: Some(Box::new(jobs)),
            ..Preview::new(summary, decision)
        })
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let wanted = self.wanted(cx)?;
        let jobs = preview.material.and_then(|m| m.downcast::<Vec<Rolling>>().ok());
        let jobs = jobs.ok_or_else(|| StepError::untouched("the jobs were not looked at"))?;
        let client = client(&self.0.environment).await?;
        let of = jobs.iter().map(|rolling| rolling.left.len()).sum();
        let mut roll = Roll { cx, client: &client, wanted: &wanted, of, begun: Vec::new(), done: Vec::new() };
        for rolling in jobs.iter() {
            roll.job(rolling).await?;
        }
        let evidence = json!({ "restarted": roll.done });
        let summary = format!("{} restarted and healthy", text::count(roll.done.len(), "allocation"));
        Ok(Outcome { summary, output: evidence.clone(), evidence })
    }

    async fn reconcile(&self, _: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        Ok(Reconciled::NotDone("looking at which allocations were restarted".into()))
    }
}

fn every(delay: Duration) -> String {
    if delay.is_zero() { String::new() } else { format!(", {} apart", text::duration(delay)) }
}

struct Roll<'a> {
    cx: &'a Context,
    client: &'a Client,
    wanted: &'a Wanted,
    of: usize,
    /// The allocations that were told to restart, by name.
    begun: Vec<String>,
    /// Those of them that are healthy again.
    done: Vec<String>,
}

impl Roll<'_> {
    async fn job(&mut self, rolling: &Rolling) -> Result<(), StepError> {
        let size = self.wanted.batch.of(rolling.all.len());
        for batch in rolling.left.chunks(size) {
            if !self.done.is_empty() {
                self.pause(rolling).await?;
            }
            self.unchanged(rolling).await?;
            self.begun.extend(batch.iter().map(|left| text::one_line(&left.before.name)));
            let results = join_all(batch.iter().map(|left| self.one(rolling, left))).await;
            let mut failed = None;
            for (Left { before, .. }, result) in batch.iter().zip(results) {
                match result {
                    Ok(()) => self.done.push(text::one_line(&before.name)),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            if let Some(error) = failed {
                return Err(self.ended(rolling, error));
            }
        }
        Ok(())
    }

    /// Waits between two batches; Ctrl-C ends it there.
    async fn pause(&self, rolling: &Rolling) -> Result<(), StepError> {
        let delay = self.wanted.delay;
        if !delay.is_zero() {
            let text = format!("waits {} before the next", text::duration(delay));
            self.cx.progress(Some(rolling.id()), text, Some((self.done.len(), self.of)));
        }
        tokio::select! {
            biased;
            () = self.cx.interrupted_times(1) => {
                let message = format!("interrupted after {} of {}", self.done.len(), text::count(self.of, "allocation"));
                let error = StepError { interrupted: true, ..StepError::new(message, Touched::Something) };
                Err(self.ended(rolling, error))
            }
            () = self.cx.clock.sleep(delay) => Ok(()),
        }
    }

    /// A job that somebody changed since it was shown is being rolled out anyway.
    async fn unchanged(&self, rolling: &Rolling) -> Result<(), StepError> {
        let id = job_id(&rolling.job);
        let now = self.client.job(id).await.map_err(refused)?;
        let same = |job: &Value| job_modify_index(job) == job_modify_index(&rolling.job);
        if now.as_ref().is_some_and(same) {
            return Ok(());
        }
        let message = format!("somebody changed '{}' meanwhile", rolling.id());
        let touched = if self.done.is_empty() { Touched::Nothing } else { Touched::Something };
        let error = StepError::new(message, touched).help("look at it, then restart what is left of it");
        Err(self.ended(rolling, error))
    }

    async fn one(&self, rolling: &Rolling, left: &Left) -> Result<(), StepError> {
        let before = &left.before;
        let item = text::one_line(&before.name);
        // Without a count: with one, nothing is told until it moves.
        let tell = |text: &str| self.cx.progress(Some(item.clone()), text, None);
        tell(if left.told { "was restarted before; waits" } else { "restarting" });
        let told = if left.told { Ok(()) } else { self.client.restart_allocation(&before.allocation).await };
        match told {
            Ok(()) => {}
            Err(NomadError::NotFound { .. }) => {
                let message = format!("{}: its node doesn't answer, or it is gone", before.shown());
                return Err(StepError::untouched(message));
            }
            // Whether it was begun shows in what follows.
            Err(NomadError::OutcomeUnknown { reason, .. }) => tell(&format!("no answer ({reason}); looking")),
            Err(error) => return Err(refused(error)),
        }
        let rule = HealthRule::of(&rolling.job, &before.group);
        let rule = HealthRule { deadline: self.wanted.timeout.unwrap_or(rule.deadline), ..rule };
        let (quiet, waits) = (|_| {}, |seen: &str| tell(seen));
        let following = follow_restart(self.client, &self.cx.clock, before, &rule, TROUBLE, &quiet, &waits);
        let ended = tokio::select! {
            ended = following => ended,
            () = self.cx.interrupted_times(2) => {
                let message = format!("interrupted while {} was restarting; its node goes on with it", before.shown());
                return Err(StepError { interrupted: true, ..StepError::new(message, Touched::Something) });
            }
        };
        match ended {
            Ok(Restarted::Healthy) => {
                tell("healthy again");
                Ok(())
            }
            Ok(Restarted::Unhealthy { why, allocation }) => {
                let mut message = format!("{} isn't healthy again: {why}", before.shown());
                for line in allocation.iter().flat_map(FailedAllocation::lines).skip(1) {
                    message.push_str("\n  ");
                    message.push_str(line.trim_start());
                }
                Err(StepError::new(message, Touched::Something))
            }
            Err(error) => Err(StepError { touched: Touched::Something, ..refused(error) }),
        }
    }

    /// An error with what was restarted and what wasn't.
    fn ended(&self, rolling: &Rolling, error: StepError) -> StepError {
        let begun = |left: &&Left| self.begun.contains(&text::one_line(&left.before.name));
        let touched = match error.touched {
            Touched::Nothing if !self.done.is_empty() => Touched::Something,
            touched => touched,
        };
        let left: Vec<String> =
            rolling.left.iter().filter(|b| !begun(b)).map(|b| text::one_line(&b.before.name)).collect();
        let mut help = error.help.clone().into_iter().collect::<Vec<_>>();
        if !self.done.is_empty() {
            help.push(format!("restarted and healthy: {}", text::list(&self.done)));
        }
        if !left.is_empty() {
            help.push(format!("not restarted: {}", text::list(&left)));
        }
        let evidence = json!({ "restarted": self.done, "left": left });
        let help = (!help.is_empty()).then(|| help.join("; "));
        StepError { help, touched, evidence, ..error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_numbers_or_shares() {
        let of = |text: Value, all| Batch::read(&text).map(|batch| batch.of(all));
        assert_eq!(of(Value::Null, 8), Some(1));
        assert_eq!(of(json!("3"), 8), Some(3));
        assert_eq!(of(json!(2), 8), Some(2));
        assert_eq!(of(json!("25%"), 8), Some(2));
        assert_eq!(of(json!("25%"), 3), Some(1), "at least one");
        assert_eq!(of(json!("100%"), 3), Some(3));
        for bad in ["0", "0%", "101%", "-1", "x", ""] {
            assert_eq!(of(json!(bad), 8), None, "{bad}");
        }
    }
}
