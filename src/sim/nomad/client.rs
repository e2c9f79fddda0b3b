//! What client nodes do with allocations: fetch, start, restart, watch health, stop.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::cluster::{Cluster, Happening, Step, Table, duration, nanos};
use super::failure::Failure;
use super::fate::{Fate, event, fate, go_duration};
use super::records::{Allocation, TaskState};
use super::value::{array, group, int, text};

impl Cluster {
    /// A client goes on with an allocation, unless the order is stale.
    pub fn client_step(&mut self, id: &str, step: Step, life: u64) {
        if !self.allocations.get(id).is_some_and(|a| a.life == life && !a.client_terminal()) {
            return;
        }
        match step {
            Step::Receive => self.receive(id),
            Step::Start => self.start(id),
            Step::Fail => self.fail(id),
            Step::Exit => self.exit(id),
            Step::Killed => self.killed(id),
        }
    }

    fn receive(&mut self, id: &str) {
        let fetches = self.fetches(id);
        let at = nanos(self.now);
        let Some(a) = self.touch(id) else { return };
        let life = a.life;
        let mut never = false;
        for task in group(&a.spec.clone(), &a.group).map(|g| array(g, "Tasks").to_vec()).unwrap_or_default() {
            let state = a.tasks.entry(text(&task, "Name").to_owned()).or_default();
            state.state = "pending".into();
            if state.events.is_empty() {
                state.push(event(at, "Received", "Task received by client", &[]));
                state.push(event(
                    at,
                    "Task Setup",
                    "Building Task Directory",
                    &[
                        ("Message", json!("Building Task Directory")),
                        ("Details", json!({"message": "Building Task Directory"})),
                    ],
                ));
            }
            let image = text(&task["Config"], "image");
            if fetches && text(&task, "Driver") == "docker" {
                state.push(event(
                    at,
                    "Driver",
                    "Downloading image",
                    &[("DriverMessage", json!("Downloading image")), ("Details", json!({"image": image}))],
                ));
            }
            never |= matches!(fate(&task), Fate::NeverStarts(..));
        }
        let chance = self.chance;
        let seconds = if fetches || never { chance.between(&format!("fetch {id}"), 1.5, 4.0) } else { 0.4 };
        let step = if never { Step::Fail } else { Step::Start };
        self.after(
            Duration::from_secs_f64(seconds),
            Happening::Client { allocation: id.to_owned(), step, life },
        );
    }

    /// Whether an image has to be fetched first.
    fn fetches(&self, id: &str) -> bool {
        let Some(a) = self.allocations.get(id) else { return false };
        let Some(node) = self.nodes.get(&a.node) else { return false };
        images(a).iter().any(|image| !node.images.contains(image))
    }

    fn start(&mut self, id: &str) {
        let at = nanos(self.now);
        let now = self.now;
        let fetched = self.allocations.get(id).map(images).unwrap_or_default();
        let ails = self.ails(id);
        let Some(a) = self.touch(id) else { return };
        a.client = "running".into();
        a.client_description = "Tasks are running".into();
        let (life, node) = (a.life, a.node.clone());
        let mut ends: Option<Duration> = None;
        for task in group(&a.spec.clone(), &a.group).map(|g| array(g, "Tasks").to_vec()).unwrap_or_default() {
            let state = a.tasks.entry(text(&task, "Name").to_owned()).or_default();
            if state.state == "running" {
                continue;
            }
            state.state = "running".into();
            state.started = Some(now);
            state.finished = None;
            state.push(event(at, "Started", "Task started by client", &[]));
            if text(&task["Lifecycle"], "Hook") == "prestart" && task["Lifecycle"]["Sidecar"] != json!(true) {
                state.state = "dead".into();
                state.finished = Some(now);
                state.push(event(at, "Terminated", "Exit Code: 0", &[]));
            } else if let Fate::Ends { after, .. } = fares(&task, ails) {
                ends = Some(ends.map_or(after, |e| e.min(after)));
            }
        }
        if let Some(node) = self.nodes.get_mut(&node) {
            node.images.extend(fetched);
        }
        if let Some(after) = ends {
            self.after(after, Happening::Client { allocation: id.to_owned(), step: Step::Exit, life });
        }
        self.watch_health(id);
        self.settle_allocation(id);
    }

    /// Starts the client's watch of an allocation in a deployment.
    pub fn watch_health(&mut self, id: &str) {
        let Some(a) = self.allocations.get(id) else { return };
        let update = group(&a.spec, &a.group).map(|g| g["Update"].clone()).unwrap_or_default();
        if a.deployment.is_empty() || a.healthy.is_some() || text(&update, "HealthCheck") == "manual" {
            return;
        }
        let life = a.life;
        let wait = duration(int(&update, "MinHealthyTime"));
        self.after(wait, Happening::Healthy { allocation: id.to_owned(), life });
    }

    pub fn client_healthy(&mut self, id: &str, life: u64) {
        let Some(a) = self.allocations.get(id) else { return };
        let min = group(&a.spec, &a.group).map(|g| int(&g["Update"], "MinHealthyTime")).unwrap_or_default();
        let least = SignedDuration::from_nanos(min);
        let steady = a.tasks.values().all(|t| {
            t.state == "running" && t.started.is_some_and(|s| self.now.duration_since(s) >= least)
                || (t.state == "dead" && !t.failed)
        });
        if a.life == life && a.client == "running" && a.desired == "run" && a.healthy.is_none() && steady {
            self.report_health(id, true);
        }
    }

    /// The deadline for health has come.
    pub fn client_unhealthy(&mut self, id: &str, deployment: &str) {
        let late = self.allocations.get(id).is_some_and(|a| {
            a.healthy.is_none() && a.desired == "run" && a.deployment == deployment && !a.client_terminal()
        });
        if late {
            let at = nanos(self.now);
            let Some(a) = self.touch(id) else { return };
            let update = group(&a.spec, &a.group).map(|g| g["Update"].clone()).unwrap_or_default();
            let deadline = go_duration(int(&update, "HealthyDeadline"));
            let least = go_duration(int(&update, "MinHealthyTime"));
            for state in a.tasks.values_mut() {
                let text = if state.state == "running" {
                    format!(
                        "Task not running for min_healthy_time of {least} by healthy_deadline of {deadline}"
                    )
                } else {
                    format!("Task not running by healthy_deadline of {deadline}")
                };
                state.push(event(at, "Alloc Unhealthy", &text, &[("Message", json!(text.clone()))]));
            }
            self.report_health(id, false);
        }
    }

    fn fail(&mut self, id: &str) {
        let Some(a) = self.allocations.get(id) else { return };
        let tasks = group(&a.spec, &a.group).map(|g| array(g, "Tasks").to_vec()).unwrap_or_default();
        let (at, ails) = (nanos(self.now), self.ails(id));
        for task in &tasks {
            if let Fate::NeverStarts(why, _) = fares(task, ails)
                && let Some(state) = self.task(id, text(task, "Name"))
            {
                let fields =
                    [("DriverError", json!(why.clone())), ("Details", json!({"driver_error": why.clone()}))];
                state.push(event(at, "Driver Failure", &why, &fields));
            }
        }
        self.restart_or_give_up(id, &tasks);
    }

    fn exit(&mut self, id: &str) {
        let Some(a) = self.allocations.get(id) else { return };
        let tasks = group(&a.spec, &a.group).map(|g| array(g, "Tasks").to_vec()).unwrap_or_default();
        let batch = matches!(text(&a.spec, "Type"), "batch" | "sysbatch");
        let (at, now, ails) = (nanos(self.now), self.now, self.ails(id));
        let mut bad = false;
        for task in &tasks {
            let Fate::Ends { code, .. } = fares(task, ails) else { continue };
            bad |= code != 0 || !batch;
            if let Some(state) = self.task(id, text(task, "Name")) {
                let shown = format!("Exit Code: {code}");
                let fields = [("ExitCode", json!(code)), ("Details", json!({"exit_code": code.to_string()}))];
                state.push(event(at, "Terminated", &shown, &fields));
                state.finished = Some(now);
                if code == 0 && batch {
                    state.state = "dead".into();
                }
            }
        }
        if bad {
            self.restart_or_give_up(id, &tasks);
            return;
        }
        let done = self.allocations.get(id).is_some_and(|a| a.tasks.values().all(|t| t.state == "dead"));
        if done && let Some(a) = self.touch(id) {
            a.client = "complete".into();
            a.client_description = "All tasks have completed".into();
            self.ended(id);
        }
    }

    fn restart_or_give_up(&mut self, id: &str, tasks: &[Value]) {
        let (at, now, chance, ails) = (nanos(self.now), self.now, self.chance, self.ails(id));
        let mut wait: Option<Duration> = None;
        let mut given_up = false;
        for task in tasks {
            if matches!(fares(task, ails), Fate::Runs) {
                continue;
            }
            let policy = task["RestartPolicy"].clone();
            let attempts = int(&policy, "Attempts");
            let interval = duration(int(&policy, "Interval"));
            let name = text(task, "Name").to_owned();
            let hopeless = matches!(fares(task, ails), Fate::NeverStarts(_, false));
            let Some(state) = self.task(id, &name) else { continue };
            let recent = i64::try_from(state.restarts).unwrap_or(i64::MAX) % (attempts + 1).max(1);
            if !hopeless && (recent < attempts || text(&policy, "Mode") == "delay") {
                let mut delay = duration(int(&policy, "Delay")).mul_f64(chance.between(
                    &format!("restart {id} {name} {}", state.restarts),
                    1.0,
                    1.25,
                ));
                if recent >= attempts {
                    delay = interval;
                }
                let nanos = i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX);
                state.restarts += 1;
                state.last_restart = Some(now);
                state.state = "pending".into();
                let reason = if recent >= attempts {
                    "Exceeded allowed attempts, applying a delay"
                } else {
                    "Restart within policy"
                };
                let shown = format!("Task restarting in {}", go_duration(nanos));
                state.push(event(
                    at,
                    "Restarting",
                    &shown,
                    &[
                        ("StartDelay", json!(nanos)),
                        ("RestartReason", json!(reason)),
                        ("Details", json!({"restart_reason": reason, "start_delay": nanos.to_string()})),
                    ],
                ));
                wait = Some(wait.map_or(delay, |w| w.max(delay)));
            } else {
                let reason = if hopeless {
                    "Error was unrecoverable".to_owned()
                } else if attempts == 0 {
                    "Policy allows no restarts".to_owned()
                } else {
                    format!(
                        "Exceeded allowed attempts {attempts} in interval {} and mode is \"fail\"",
                        go_duration(int(&policy, "Interval"))
                    )
                };
                state.push(event(
                    at,
                    "Not Restarting",
                    &reason,
                    &[
                        ("FailsTask", json!(true)),
                        ("RestartReason", json!(reason.clone())),
                        ("Details", json!({"fails_task": "true", "restart_reason": reason})),
                    ],
                ));
                state.state = "dead".into();
                state.failed = true;
                state.finished = Some(now);
                given_up = true;
            }
        }
        let Some(a) = self.touch(id) else { return };
        if !given_up {
            let life = a.life;
            if a.client == "running" && a.tasks.values().all(|t| t.state == "pending") {
                a.client = "pending".into();
                a.client_description = "No tasks have started".into();
            }
            let wait = wait.unwrap_or_default();
            self.after(wait, Happening::Client { allocation: id.to_owned(), step: Step::Receive, life });
            return;
        }
        for state in a.tasks.values_mut().filter(|t| t.state != "dead") {
            state.push(event(at, "Sibling Task Failed", "Task's sibling failed", &[]));
            state.state = "dead".into();
            state.finished = Some(now);
        }
        a.client = "failed".into();
        a.client_description = "Failed tasks".into();
        self.ended(id);
    }

    fn killed(&mut self, id: &str) {
        let (at, now) = (nanos(self.now), self.now);
        let Some(a) = self.touch(id) else { return };
        for state in a.tasks.values_mut().filter(|t| t.state != "dead") {
            state.push(event(
                at,
                "Killing",
                "Sent interrupt. Waiting 5s before force killing",
                &[("KillTimeout", json!(5_000_000_000i64)), ("Details", json!({"kill_timeout": "5s"}))],
            ));
            if state.state == "running" {
                let fields = [
                    ("ExitCode", json!(130)),
                    ("Signal", json!(2)),
                    ("Details", json!({"exit_code": "130", "signal": "2"})),
                ];
                state.push(event(at, "Terminated", "Exit Code: 130, Signal: 2", &fields));
            }
            state.push(event(at, "Killed", "Task successfully killed", &[]));
            state.state = "dead".into();
            state.finished = Some(now);
        }
        a.client = "complete".into();
        a.client_description = "All tasks have completed".into();
        self.ended(id);
    }

    /// An allocation has ended on its client: the server takes notice.
    fn ended(&mut self, id: &str) {
        let Some(a) = self.allocations.get(id).cloned() else { return };
        if a.client == "failed" {
            if !a.deployment.is_empty() && a.healthy.is_none() {
                self.note_unhealthy(id);
            }
            let in_deployment =
                self.deployments.get(&a.deployment).is_some_and(super::records::Deployment::active);
            if in_deployment {
                self.report_health(id, false);
            } else if a.desired == "run" {
                self.new_evaluation(&a.job, "alloc-failure", 0);
            }
        }
        self.settle_status(&a.job);
        self.end_drains();
        self.unblock();
    }

    fn note_unhealthy(&mut self, id: &str) {
        let at = nanos(self.now);
        let text = "Unhealthy because of failed task";
        let Some(a) = self.allocations.get_mut(id) else { return };
        for state in a.tasks.values_mut().filter(|t| t.failed) {
            let fields = [("Message", json!(text)), ("Details", json!({"message": text}))];
            state.push(event(at, "Alloc Unhealthy", text, &fields));
        }
    }

    /// Ends and starts the running tasks of an allocation on its node, or one of them. Tasks that don't run are
    /// left alone, as Nomad leaves them.
    pub fn restart_allocation(&mut self, id: &str, only: Option<&str>) -> Result<(), Failure> {
        let (at, now) = (nanos(self.now), self.now);
        let Some(a) = self.allocations.get(id) else {
            return Err(Failure::missing(format!("Unknown allocation {id:?}")));
        };
        if a.terminal() {
            return Err(Failure::server("restart of an alloc that should not run"));
        }
        if let Some(task) = only.filter(|task| !a.tasks.contains_key(*task)) {
            return Err(Failure::server(format!("Could not find task runner for task: {task}")));
        }
        let meant =
            |name: &str, state: &TaskState| state.state == "running" && only.is_none_or(|only| only == name);
        if !a.tasks.iter().any(|(name, state)| meant(name, state)) {
            return only.map_or(Ok(()), |_| Err(Failure::server("Task not running")));
        }
        let why = match only {
            Some(_) => "User requested task to restart",
            None => "User requested running tasks to restart",
        };
        let life = a.life;
        let Some(a) = self.touch(id) else { return Ok(()) };
        for (_, state) in a.tasks.iter_mut().filter(|(name, state)| meant(name, state)) {
            let fields = [("RestartReason", json!(why)), ("Details", json!({"restart_reason": why}))];
            state.push(event(at, "Restart Signaled", why, &fields));
            state.push(event(at, "Terminated", "Exit Code: 0", &[("Details", json!({"exit_code": "0"}))]));
            state.push(event(at, "Restarting", "Task restarting in 0s", &[]));
            state.state = "pending".into();
            state.restarts += 1;
            state.last_restart = Some(now);
        }
        self.after(
            Duration::from_millis(900),
            Happening::Client { allocation: id.to_owned(), step: Step::Start, life },
        );
        Ok(())
    }

    /// Whether somebody had this allocation fall ill, and it was restarted since.
    pub fn ails(&self, id: &str) -> bool {
        let restarted = |a: &Allocation| a.tasks.values().any(|task| task.restarts > 0);
        self.ailing.contains(id) && self.allocations.get(id).is_some_and(restarted)
    }

    fn touch(&mut self, id: &str) -> Option<&mut Allocation> {
        let index = self.change(&[Table::Allocations]);
        let now = self.now;
        let a = self.allocations.get_mut(id)?;
        a.modify_index = index;
        a.modify_time = now;
        Some(a)
    }

    fn task(&mut self, id: &str, task: &str) -> Option<&mut TaskState> {
        self.allocations.get_mut(id)?.tasks.get_mut(task)
    }

    fn settle_allocation(&mut self, id: &str) {
        if let Some(key) = self.allocations.get(id).map(|a| a.job.clone()) {
            self.settle_status(&key);
        }
    }
}

impl TaskState {
    /// Clients keep the ten newest events.
    fn push(&mut self, event: Value) {
        self.events.push(event);
        if self.events.len() > 10 {
            self.events.remove(0);
        }
    }
}

/// How a task fares: as its job file says, unless its allocation ails: then it ends soon after each start.
fn fares(task: &Value, ails: bool) -> Fate {
    if ails { Fate::Ends { after: Duration::from_secs(1), code: 1 } } else { fate(task) }
}

fn images(a: &Allocation) -> Vec<String> {
    let tasks = group(&a.spec, &a.group).map(|g| array(g, "Tasks")).unwrap_or_default();
    tasks.iter().map(|t| text(&t["Config"], "image").to_owned()).filter(|i| !i.is_empty()).collect()
}
