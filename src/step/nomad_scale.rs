//! `nomad_scale`: changes how many allocations of a group run, one at a time, each step only when the last
//! is healthy.
//!
//! Each step is a registration by check-and-set: Nomad's own scale call has that only in newer versions, and
//! refuses while a deployment of the step before has yet to be closed. The bounds of the group's scaling policy
//! hold all the same. A step that fails ends it there: the count stays what that step made it, and is said.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::build::Inputs;
use super::jobs::{client, fingerprint, healthy, of_others, plan_lines, refused, registered_job};
use crate::base::text;
use crate::engine::{Breach, Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::environment::Environment;
use crate::event::{Line, Mark};
use crate::journal::Intent;
use crate::nomad::{Client, Planned, canonical, is_stopped, job_id, job_modify_index};

/// Between two steps where nothing is said: what a system of replicas needs to settle.
const INTERVAL: Duration = Duration::from_secs(25);

/// Between two looks where one failed.
const RETRY: Duration = Duration::from_secs(1);

pub struct NomadScale(pub Inputs);

struct Wanted {
    job: String,
    group: Option<String>,
    count: u64,
    interval: Duration,
    min: u64,
    timeout: Option<Duration>,
}

/// A group and where its count goes.
struct Scaling {
    job: Value,
    group: String,
    now: u64,
    /// What it was when this run began.
    from: u64,
}

impl NomadScale {
    fn wanted(&self, cx: &Context) -> Result<Wanted, StepError> {
        self.0.now(cx, |reader, body| {
            Some(Wanted {
                job: reader.string(body, "job")?,
                group: reader.string(body, "group"),
                count: reader.number(body, "count")?,
                interval: reader.duration(body, "interval").unwrap_or(INTERVAL),
                min: reader.number(body, "min").unwrap_or_default(),
                timeout: reader.duration(body, "timeout"),
            })
        })
    }

    async fn look(&self, cx: &Context, client: &Client, wanted: &Wanted) -> Result<Scaling, StepError> {
        let id = text::one_line(&wanted.job);
        let job = registered_job(client, &wanted.job).await?;
        if is_stopped(&job) {
            let help = format!("start it: blackstart service start {id} -e {}", cx.environment);
            return Err(StepError::untouched(format!("'{id}' is stopped")).help(help));
        }
        if matches!(job["Type"].as_str(), Some("system" | "sysbatch")) {
            let message = format!("'{id}' runs on every node: it has no count to change");
            return Err(StepError::untouched(message));
        }
        let names: Vec<&str> = groups(&job).filter_map(|group| group["Name"].as_str()).collect();
        let group = match (&wanted.group, names.as_slice()) {
            (Some(name), names) if names.contains(&name.as_str()) => name.clone(),
            (None, [only]) => (*only).to_owned(),
            (None, names) => {
                let help = format!("name one: {}", text::one_line(&text::list(&every(&id, names))));
                return Err(StepError::untouched(format!("'{id}' has several groups")).help(help));
            }
            (Some(name), names) => {
                let error = StepError::untouched(format!("'{id}' has no group '{}'", text::one_line(name)));
                return Err(match text::nearest(name, names.iter().copied()) {
                    Some(near) => error.help(format!("did you mean '{}'?", text::one_line(near))),
                    None => error.help(format!("its groups are {}", text::one_line(&text::list(names)))),
                });
            }
        };
        let now = count(&job, &group);
        let first = cx.earlier.first().and_then(|intent| intent.precondition["from"].as_u64());
        Ok(Scaling { job, group, now, from: first.unwrap_or(now) })
    }
}

fn every(id: &str, groups: &[&str]) -> Vec<String> {
    groups.iter().map(|group| format!("{id}/{group}")).collect()
}

fn groups(job: &Value) -> impl Iterator<Item = &Value> {
    job["TaskGroups"].as_array().into_iter().flatten()
}

fn count(job: &Value, group: &str) -> u64 {
    let found = groups(job).find(|spec| spec["Name"] == group);
    found.and_then(|spec| spec["Count"].as_u64()).unwrap_or(1)
}

fn set_count(job: &mut Value, group: &str, count: u64) {
    let found = job["TaskGroups"].as_array_mut().into_iter().flatten().find(|spec| spec["Name"] == group);
    if let Some(spec) = found {
        spec["Count"] = json!(count);
    }
}

impl Scaling {
    fn shown(&self) -> String {
        let id = job_id(&self.job);
        if groups(&self.job).count() == 1 {
            text::one_line(id)
        } else {
            text::one_line(&format!("{id}/{}", self.group))
        }
    }

    /// What a count can't be.
    fn refused(&self, wanted: &Wanted) -> Option<Breach> {
        let policy =
            groups(&self.job).find(|spec| spec["Name"] == self.group.as_str()).map(|spec| &spec["Scaling"]);
        let bound = |key: &str| policy.and_then(|policy| policy[key].as_u64());
        let (n, shown) = (wanted.count, self.shown());
        let help = Some("change the bounds in the job file, or take another number".to_owned());
        if n < wanted.min {
            let message = format!("{n} of '{shown}' is less than --min {}", wanted.min);
            return Some(Breach { message, help: Some("take a larger number, or a smaller --min".into()) });
        }
        match (bound("Min"), bound("Max")) {
            (Some(least), _) if n < least => Some(Breach {
                message: format!("the scaling policy of '{shown}' allows no less than {least}"),
                help,
            }),
            (_, Some(most)) if n > most => Some(Breach {
                message: format!("the scaling policy of '{shown}' allows no more than {most}"),
                help,
            }),
            _ => None,
        }
    }

    /// The live change, as every patch journals it.
    fn record(&self, index: u64, to: u64) -> Value {
        let change =
            json!({ "path": format!("group.{}.count", path_name(&self.group)), "old": self.from, "new": to });
        json!([{ "id": job_id(&self.job), "index": index, "changes": [change] }])
    }
}

/// What can't be placed isn't begun.
fn no_place(shown: &str, planned: &Planned) -> Option<Breach> {
    let failed: Vec<String> = planned.failed.iter().map(ToString::to_string).collect();
    (!failed.is_empty()).then(|| Breach {
        message: format!("there is no place for what '{shown}' would have: {}", failed.join("; ")),
        help: Some("make room, or take a smaller number".to_owned()),
    })
}

/// A group's name as a path has it: in quotes where it isn't a plain word.
fn path_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { format!("[{}]", json!(name)) }
}

#[async_trait]
impl Step for NomadScale {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = self.wanted(cx)?;
        if let Horizon::Later(why) = horizon {
            let summary = format!("scale {} to {}", wanted.job, wanted.count);
            let decision = json!({ "job": wanted.job, "group": wanted.group, "count": wanted.count });
            return Ok(Preview { later: Some(why.clone()), ..Preview::new(summary, decision) });
        }
        let client = client(&self.0.environment).await?;
        let scaling = self.look(cx, &client, &wanted).await?;
        let (from, to, shown) = (scaling.now, wanted.count, scaling.shown());
        let mut goal = scaling.job.clone();
        set_count(&mut goal, &scaling.group, to);
        let index = job_modify_index(&scaling.job);
        let mut breach = scaling.refused(&wanted);
        let mut lines = Vec::new();
        let mut diff = Value::Null;
        if from == to {
            lines.push(Line::plain(format!("{shown} has a count of {to} already")));
        } else {
            let apart = text::duration(wanted.interval);
            let how =
                if from.abs_diff(to) > 1 { format!(", one at a time, {apart} apart") } else { String::new() };
            let mark = if to > from { Mark::Add } else { Mark::Remove };
            lines.push(Line::new(mark, 0, format!("{shown}: {from} → {to}{how}")));
            lines.extend(of_others(&self.0.environment, &wanted.job));
            if breach.is_none() {
                let planned = client.plan(&goal).await.map_err(refused)?;
                lines.extend(plan_lines(&planned, 1));
                breach = no_place(&shown, &planned);
                diff = canonical(&planned.diff);
            }
        }
        let summary =
            if from == to { "nothing to do".to_owned() } else { format!("{shown}: {from} to {to}") };
        let decision = json!({
            "nomad": client.address(), "job": wanted.job, "group": scaling.group, "index": index,
            "from": from, "to": to, "interval": wanted.interval.as_secs_f64(), "min": wanted.min,
            "diff": fingerprint(&diff),
        });
        // What else became of the job meanwhile, by an earlier step of the plan, is none of its business.
        let bound = json!({
            "job": wanted.job, "group": scaling.group, "from": from, "to": to,
            "interval": wanted.interval.as_secs_f64(), "min": wanted.min,
        });
        let precondition = json!({ "jobs": scaling.record(index, to), "from": scaling.from });
        let undo =
            Some(Value::Array(vec![scaling.job.clone()]).to_string().into_bytes()).filter(|_| from != to);
        Ok(Preview {
            lines,
            changes: from != to,
            bound: Some(bound),
            breach,
            precondition,
            undo,
            material: Some(Box::new(scaling)),
            ..Preview::new(summary, decision)
        })
    }

    async fn execute(&self, cx: &Context, preview: Preview) -> Result<Outcome, StepError> {
        let wanted = self.wanted(cx)?;
        let scaling = preview.material.and_then(|m| m.downcast::<Scaling>().ok());
        let scaling = scaling.ok_or_else(|| StepError::untouched("the job was not looked at"))?;
        let client = client(&self.0.environment).await?;
        let mut walk = Walk {
            cx,
            environment: &self.0.environment,
            client: &client,
            wanted: &wanted,
            scaling: &scaling,
            index: job_modify_index(&scaling.job),
            at: scaling.now,
        };
        match walk.whole().await {
            Ok(()) => {
                let evidence = json!({ "jobs": scaling.record(walk.index, walk.at) });
                let summary = format!("{} has {} now, all healthy", scaling.shown(), walk.at);
                Ok(Outcome { summary, evidence, output: json!({ "count": walk.at }) })
            }
            Err(error) => Err(walk.ended(error)),
        }
    }

    async fn reconcile(&self, cx: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        let wanted = self.wanted(cx)?;
        let client = client(&self.0.environment).await?;
        if self.look(cx, &client, &wanted).await?.now == wanted.count
            && let Some(registered) = client.as_registered(&wanted.job).await.map_err(refused)?
        {
            // The count is there: its health was not seen.
            healthy(cx, &self.0.environment, &client, &registered, wanted.timeout).await?;
        }
        Ok(Reconciled::NotDone("looking at the count again".into()))
    }
}

/// The way from one count to another.
struct Walk<'a> {
    cx: &'a Context,
    environment: &'a Environment,
    client: &'a Client,
    wanted: &'a Wanted,
    scaling: &'a Scaling,
    /// The job's index after the last step.
    index: u64,
    /// The count after the last step.
    at: u64,
}

impl Walk<'_> {
    async fn whole(&mut self) -> Result<(), StepError> {
        while self.at != self.wanted.count {
            if self.at != self.scaling.now {
                self.pause().await?;
            }
            let next = if self.at < self.wanted.count { self.at + 1 } else { self.at - 1 };
            self.step(next).await?;
        }
        Ok(())
    }

    async fn step(&mut self, next: u64) -> Result<(), StepError> {
        let id = job_id(&self.scaling.job);
        let mut job = registered_job(self.client, id).await?;
        self.tell(&format!("{} → {next}", self.at));
        set_count(&mut job, &self.scaling.group, next);
        // The index of the step before, not of this reading: whoever came in between is not overwritten.
        let registered = self.client.register_surely(&job, self.index, None).await.map_err(refused)?;
        self.at = next;
        self.index = registered.job_modify_index;
        healthy(self.cx, self.environment, self.client, &registered, self.wanted.timeout).await?;
        self.settled().await
    }

    /// Waits until as many allocations are left as there should be: one that is stopped may take its time.
    async fn settled(&self) -> Result<(), StepError> {
        let id = job_id(&self.scaling.job);
        let begun = self.cx.clock.now();
        let patience = self.wanted.timeout.unwrap_or(Duration::from_secs(600));
        let mut index = 0;
        loop {
            let answer = tokio::select! {
                answer = self.client.allocations_after(id, index, Duration::from_secs(2)) => answer,
                () = self.cx.interrupted_times(2) => {
                    let message = format!("interrupted while allocations of '{}' were ending", self.scaling.shown());
                    return Err(StepError { interrupted: true, ..StepError::new(message, Touched::Something) });
                }
            };
            let waited = Duration::try_from(self.cx.clock.now().duration_since(begun)).unwrap_or_default();
            let answer = match answer {
                Ok(answer) => answer,
                // What is registered stays so whether it can be seen for a moment or not.
                Err(error) if error.is_transient() && waited <= patience => {
                    self.tell(&format!("can't be seen: {error}"));
                    self.cx.clock.sleep(RETRY).await;
                    continue;
                }
                Err(error) => return Err(StepError { touched: Touched::Something, ..refused(error) }),
            };
            index = answer.index;
            let of_group =
                answer.value.iter().filter(|a| a.task_group == self.scaling.group && !a.has_ended());
            let ending = of_group.filter(|a| a.desired_status != "run").count();
            if ending == 0 {
                return Ok(());
            }
            if waited > patience {
                let message = format!(
                    "{} of '{}' still ending",
                    text::count(ending, "allocation"),
                    self.scaling.shown()
                );
                return Err(StepError::new(message, Touched::Something));
            }
            self.tell(&format!("{} ending", text::count(ending, "allocation")));
        }
    }

    /// Waits between two steps; Ctrl-C ends it there.
    async fn pause(&self) -> Result<(), StepError> {
        let interval = self.wanted.interval;
        if !interval.is_zero() {
            self.tell(&format!("waits {} before the next", text::duration(interval)));
        }
        tokio::select! {
            biased;
            () = self.cx.interrupted_times(1) => {
                Err(StepError { interrupted: true, ..StepError::new("interrupted", Touched::Something) })
            }
            () = self.cx.clock.sleep(interval) => Ok(()),
        }
    }

    fn tell(&self, text: &str) {
        let (from, to) = (self.scaling.now, self.wanted.count);
        let of = |steps: u64| usize::try_from(steps).unwrap_or(usize::MAX);
        let done = Some((of(from.abs_diff(self.at)), of(from.abs_diff(to))));
        self.cx.progress(Some(self.scaling.shown()), text, done);
    }

    /// An error with how far it came.
    fn ended(&self, error: StepError) -> StepError {
        let (at, to, from) = (self.at, self.wanted.count, self.scaling.now);
        if at == from {
            return error;
        }
        let message =
            format!("{}\n  its count is {at} now: it was {from}, and {to} was wanted", error.message);
        let back = format!(
            "back to what it was: blackstart service scale {} {from} -e {}",
            self.scaling.shown(),
            self.cx.environment
        );
        let help = match &error.help {
            Some(help) => format!("{help}; {back}"),
            None => back,
        };
        let evidence = json!({ "jobs": self.scaling.record(self.index, at) });
        let touched = if error.touched == Touched::Nothing { Touched::Something } else { error.touched };
        StepError { message, help: Some(help), evidence, touched, ..error }
    }
}
