//! Follows the restart of one allocation until it is healthy again, or it is known that it won't be.
//!
//! A restart doesn't reset what the deployment said of an allocation's health, and its node tells of the old
//! start until the new one: so each task has to have one restart more, then a later start, and then its checks
//! have to succeed, each looked at after that start. Where Nomad has no checks of it (none, or Consul's), its
//! tasks have to run for `min_healthy_time`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::error::NomadError;
use super::events::FailedAllocation;
use super::facts::{list, name};
use super::follow::{Trouble, breathe, elapsed, longest_wait};
use super::types::{Allocation, CheckResult};
use super::verdict::Progress;
use crate::base::{Clock, text};

/// An allocation as it was before its restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    pub allocation: String,
    pub name: String,
    pub group: String,
    pub node: String,
    /// The tasks that ran: how often they had been restarted, and since when they ran.
    pub tasks: BTreeMap<String, (u64, Option<String>)>,
    /// It came in the place of one that ended: it only has to run, not to be restarted.
    #[serde(default)]
    pub fresh: bool,
}

impl Before {
    pub fn of(allocation: &Allocation) -> Self {
        let running = allocation.task_states.iter().filter(|(_, task)| task.state == "running");
        Self {
            allocation: allocation.id.clone(),
            name: allocation.name.clone(),
            group: allocation.task_group.clone(),
            node: allocation.node_name.clone(),
            tasks: running.map(|(name, t)| (name.clone(), (t.restarts, t.started_at.clone()))).collect(),
            fresh: false,
        }
    }

    /// Whether a task of it has ended since.
    pub fn is_begun(&self, now: &Allocation) -> bool {
        let restarts = |name: &String| now.task_states.get(name).map_or(0, |task| task.restarts);
        self.tasks.iter().any(|(name, (before, _))| restarts(name) > *before)
    }

    /// `web.api[1] (1a2b3c4d on tf-tata)`
    pub fn shown(&self) -> String {
        let id = self.allocation.get(..8).unwrap_or(&self.allocation);
        text::one_line(&format!("{} ({id} on {})", self.name, self.node))
    }
}

/// What healthy means for a group, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthRule {
    /// How many checks of services that Nomad itself looks after have to succeed.
    pub checks: usize,
    /// How long tasks have to run where there are none.
    pub steady: Duration,
    pub deadline: Duration,
}

impl HealthRule {
    /// From the group's `update` block, or Nomad's defaults.
    pub fn of(job: &Value, group: &str) -> Self {
        let Some(spec) = list(job, "TaskGroups").find(|spec| name(spec) == group) else {
            return Self { checks: 0, steady: Duration::from_secs(10), deadline: Duration::from_secs(300) };
        };
        let update = if spec["Update"].is_object() { &spec["Update"] } else { &job["Update"] };
        let nanos = |key: &str, default: u64| {
            let nanos = update.get(key).and_then(Value::as_u64).filter(|nanos| *nanos > 0);
            nanos.map_or(Duration::from_secs(default), Duration::from_nanos)
        };
        let of_tasks = list(spec, "Tasks").flat_map(|task| list(task, "Services"));
        let services = list(spec, "Services").chain(of_tasks);
        let counts = |check: &&Value| check.get("OnUpdate").and_then(Value::as_str) != Some("ignore");
        let checks = services
            .filter(|service| service.get("Provider").and_then(Value::as_str) == Some("nomad"))
            .map(|service| list(service, "Checks").filter(counts).count())
            .sum();
        let steady = nanos("MinHealthyTime", 10);
        Self { checks, steady, deadline: nanos("HealthyDeadline", 300).max(steady) }
    }
}

/// How a restart ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restarted {
    Healthy,
    /// Why it isn't, and what its tasks tell.
    Unhealthy {
        why: String,
        allocation: Option<FailedAllocation>,
    },
}

/// What one look says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It runs anew since this start; what is left to wait for.
    Running {
        since: String,
        waits: Option<String>,
    },
    /// Not started anew yet: what it waits for.
    Waiting(String),
    Bad(String),
}

impl Before {
    /// How an allocation is since it was as before.
    pub fn look(&self, now: &Allocation) -> Look {
        if now.desired_status != "run" {
            let why = text::one_line(&now.desired_description);
            return Look::Bad(format!("it was stopped meanwhile ({why})"));
        }
        if now.has_ended() {
            return Look::Bad(format!("it has ended as {}", text::one_line(&now.client_status)));
        }
        let mut since = String::new();
        if self.fresh {
            for (name, task) in &now.task_states {
                let shown = text::one_line(name);
                if task.failed {
                    return Look::Bad(format!("task '{shown}' has failed"));
                }
                if task.state != "running" {
                    return Look::Waiting(format!("task '{shown}' has yet to start"));
                }
                since = since.max(task.started_at.clone().unwrap_or_default());
            }
            if now.client_status != "running" || since.is_empty() {
                return Look::Waiting("it has yet to start".into());
            }
            return Look::Running { since, waits: None };
        }
        for (name, (restarts, started)) in &self.tasks {
            let shown = text::one_line(name);
            let Some(task) = now.task_states.get(name) else {
                return Look::Bad(format!("it has no task '{shown}' any more"));
            };
            if task.failed || task.restarts > restarts + 1 {
                return Look::Bad(format!("task '{shown}' ended again after its restart"));
            }
            if task.restarts <= *restarts {
                return Look::Waiting(format!("task '{shown}' has yet to end"));
            }
            let newer = match (&task.started_at, started) {
                (Some(now), Some(before)) => parsed(now) > parsed(before),
                (Some(_), None) => true,
                (None, _) => false,
            };
            if task.state != "running" || !newer {
                return Look::Waiting(format!("task '{shown}' has yet to start"));
            }
            since = since.max(task.started_at.clone().unwrap_or_default());
        }
        Look::Running { since, waits: None }
    }
}

fn parsed(time: &str) -> Option<Timestamp> {
    time.parse().ok()
}

/// The check that hasn't yet succeeded since a start; nothing where all have.
fn missing_check(rule: &HealthRule, since: &str, checks: &[CheckResult]) -> Option<String> {
    // A check's time is cut to the second: only one of a later second was surely looked at after the start.
    let since = parsed(since).map_or(i64::MAX, Timestamp::as_second);
    let counts: Vec<&CheckResult> = checks.iter().filter(|check| check.mode != "readiness").collect();
    let well = |check: &&&CheckResult| check.status == "success" && check.timestamp > since;
    if counts.iter().filter(well).count() >= rule.checks {
        return None;
    }
    let bad = counts.iter().find(|check| !well(check));
    Some(match bad {
        Some(check) if check.status == "failure" && check.timestamp > since => {
            let (name, why) = (text::one_line(&check.check), text::one_line(&check.output));
            format!("check '{name}' fails: {why}")
        }
        Some(check) => format!("check '{}' has yet to be made", text::one_line(&check.check)),
        None => "its checks have yet to be made".into(),
    })
}

/// Whether an allocation that was as `before` has been restarted since and is healthy now, by one look.
pub async fn is_restarted(
    client: &Client,
    before: &Before,
    now: &Allocation,
    rule: &HealthRule,
) -> Result<bool, NomadError> {
    let Look::Running { since, .. } = before.look(now) else { return Ok(false) };
    if rule.checks > 0 {
        return Ok(missing_check(rule, &since, &client.checks(&now.id).await?).is_none());
    }
    Ok(parsed(&since).is_some_and(|since| elapsed(client.clock(), since) >= rule.steady))
}

/// Waits until an allocation that was told to restart is healthy again. What it waits for is told when it
/// changes. Errors are those of asking.
pub async fn follow_restart(
    client: &Client,
    clock: &Clock,
    before: &Before,
    rule: &HealthRule,
    trouble_for: Duration,
    tell: &(dyn Fn(Progress) + Send + Sync),
    waits: &(dyn Fn(&str) + Send + Sync),
) -> Result<Restarted, NomadError> {
    let start = clock.now();
    let mut trouble = Trouble::default();
    let mut index = 0;
    let mut told = String::new();
    let mut steady: Option<(String, Timestamp)> = None;
    loop {
        let left = rule.deadline.saturating_sub(elapsed(clock, start));
        // Checks move no index: while they are waited for, they are asked for again and again.
        let wait = left.min(longest_wait(clock) / 4).max(Duration::from_millis(1));
        let since = clock.now();
        let looked = look(client, before, rule, index, wait).await;
        let (next, allocation, mut look) = match looked {
            Ok(found) => {
                trouble.over();
                found
            }
            Err(error) => {
                trouble.bear(error, clock, trouble_for, tell).await?;
                continue;
            }
        };
        if let Look::Running { since, waits: waits @ None } = &mut look
            && rule.checks == 0
        {
            let at = match &steady {
                Some((start, at)) if start == since => *at,
                _ => clock.now(),
            };
            steady = Some((since.clone(), at));
            let ran = elapsed(clock, at);
            if ran < rule.steady {
                *waits = Some(format!("runs; healthy once it has run for {}", text::duration(rule.steady)));
            }
        }
        let seen = match look {
            Look::Running { waits: None, .. } => return Ok(Restarted::Healthy),
            Look::Running { waits: Some(seen), .. } | Look::Waiting(seen) => seen,
            Look::Bad(why) => {
                let allocation = allocation.as_ref().map(FailedAllocation::of);
                return Ok(Restarted::Unhealthy { why, allocation });
            }
        };
        if left.is_zero() {
            let after = text::duration(rule.deadline);
            let why = format!("not healthy {after} after its restart: {seen}");
            return Ok(Restarted::Unhealthy {
                why,
                allocation: allocation.as_ref().map(FailedAllocation::of),
            });
        }
        if seen != told {
            waits(&seen);
            told = seen;
        }
        breathe(clock, (index, next), wait, since).await;
        index = next;
    }
}

async fn look(
    client: &Client,
    before: &Before,
    rule: &HealthRule,
    index: u64,
    wait: Duration,
) -> Result<(u64, Option<Allocation>, Look), NomadError> {
    let answer = client.allocation_after(&before.allocation, index, wait).await?;
    let Some(allocation) = answer.value else {
        return Ok((answer.index, None, Look::Bad("it is gone".into())));
    };
    let mut look = before.look(&allocation);
    if let Look::Running { since, waits } = &mut look
        && rule.checks > 0
    {
        *waits = missing_check(rule, since, &client.checks(&before.allocation).await?);
    }
    Ok((answer.index, Some(allocation), look))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allocation(state: &str, restarts: u64, started: &str) -> Allocation {
        let task = json!({ "State": state, "Restarts": restarts, "StartedAt": started });
        let json = json!({ "ID": "a", "Name": "j.g[1]", "DesiredStatus": "run", "ClientStatus": "running", "TaskStates": { "t": task } });
        serde_json::from_value(json).unwrap()
    }

    const EARLY: &str = "2026-01-01T00:00:00.5Z";
    const LATE: &str = "2026-01-01T00:01:00.25Z";

    #[test]
    fn an_old_start_is_no_new_one() {
        let before = Before::of(&allocation("running", 2, EARLY));
        let waits = |state, restarts, started| {
            matches!(before.look(&allocation(state, restarts, started)), Look::Waiting(_))
        };
        assert!(waits("running", 2, EARLY), "nothing has happened yet");
        assert!(waits("pending", 3, EARLY), "the old start of a task that has yet to start");
        assert!(waits("running", 3, EARLY), "the old start");
        assert!(matches!(before.look(&allocation("running", 3, LATE)), Look::Running { .. }));
        assert!(matches!(before.look(&allocation("running", 4, LATE)), Look::Bad(_)), "it crashed since");
        assert!(
            before.is_begun(&allocation("pending", 3, EARLY))
                && !before.is_begun(&allocation("running", 2, EARLY))
        );
        let stopped = Allocation { desired_status: "stop".into(), ..allocation("running", 3, LATE) };
        assert!(matches!(before.look(&stopped), Look::Bad(_)));
    }

    #[test]
    fn one_in_the_place_of_another_has_to_run() {
        let before = Before { fresh: true, ..Before::of(&allocation("running", 2, EARLY)) };
        assert!(matches!(before.look(&allocation("running", 2, EARLY)), Look::Running { .. }));
        assert!(matches!(before.look(&allocation("pending", 0, EARLY)), Look::Waiting(_)));
        let failed = Allocation { client_status: "failed".into(), ..allocation("dead", 3, LATE) };
        assert!(matches!(before.look(&failed), Look::Bad(_)));
    }

    #[test]
    fn a_check_counts_only_after_the_start() {
        let rule = HealthRule { checks: 1, steady: Duration::ZERO, deadline: Duration::from_secs(60) };
        let at = parsed(LATE).unwrap().as_second();
        let check = |mode: &str, status: &str, timestamp| CheckResult {
            mode: mode.into(),
            status: status.into(),
            timestamp,
            ..CheckResult::default()
        };
        let well = |checks: &[CheckResult]| missing_check(&rule, LATE, checks).is_none();
        assert!(!well(&[]));
        assert!(!well(&[check("healthiness", "success", at)]), "that may have been before the start");
        assert!(well(&[check("healthiness", "success", at + 1)]));
        assert!(!well(&[check("healthiness", "failure", at + 1)]));
        assert!(!well(&[check("readiness", "success", at + 1)]));
        assert!(well(&[check("readiness", "failure", at + 9), check("healthiness", "success", at + 1)]));
    }
}
