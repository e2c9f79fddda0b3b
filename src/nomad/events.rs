//! What happened to tasks: which events are worth telling, and which say why one failed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::one_short_line;
use super::types::{Allocation, TaskEvent};
use crate::base::text::one_line;

/// One event of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    pub allocation: String,
    pub group: String,
    pub task: String,
    pub node: String,
    /// Nomad's name of the event: `Started`, `Terminated`, `Driver Failure`, …
    pub kind: String,
    pub message: String,
    /// Nanoseconds since 1970, by the node's clock.
    pub time: i64,
    /// Whether it bodes ill.
    pub bad: bool,
}

/// An allocation that failed, and what its tasks' last events say about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAllocation {
    pub id: String,
    pub group: String,
    pub node: String,
    /// Oldest first; the telling ones of each task, at most four.
    pub events: Vec<TaskReport>,
}

impl FailedAllocation {
    pub(super) fn of(allocation: &Allocation) -> Self {
        let mut events = Vec::new();
        for (task, state) in &allocation.task_states {
            let telling = |e: &&TaskEvent| is_bad(e) || e.kind == "Restarting" || e.kind == "Not Restarting";
            let mut last: Vec<&TaskEvent> = state.events.iter().filter(telling).collect();
            if last.is_empty() && state.failed {
                last = state.events.iter().rev().take(2).rev().collect();
            }
            let from = last.len().saturating_sub(4);
            events.extend(last[from..].iter().map(|event| report(allocation, task, event)));
        }
        events.sort_by_key(|event: &TaskReport| event.time);
        Self {
            id: allocation.id.clone(),
            group: allocation.task_group.clone(),
            node: node(allocation),
            events,
        }
    }

    /// In words; says so where no event tells why.
    pub fn lines(&self) -> Vec<String> {
        let id = one_line(self.id.get(..8).unwrap_or(&self.id));
        let mut lines = vec![format!(
            "allocation {id} of group '{}' on {}:",
            one_line(&self.group),
            one_line(&self.node)
        )];
        let mut last = "";
        for event in &self.events {
            if event.message != last {
                lines.push(format!("  task '{}': {}: {}", one_line(&event.task), event.kind, event.message));
            }
            last = &event.message;
        }
        if self.events.is_empty() {
            lines.push("  its tasks have told nothing".into());
        }
        lines
    }
}

/// Remembers which events were told.
#[derive(Default)]
pub(super) struct Told(BTreeSet<(String, String, i64, String)>);

impl Told {
    /// The notable events of these allocations that were not told yet, oldest first.
    pub fn news<'a>(&mut self, allocations: impl IntoIterator<Item = &'a Allocation>) -> Vec<TaskReport> {
        let mut news = Vec::new();
        for allocation in allocations {
            for (task, state) in &allocation.task_states {
                for event in state.events.iter().filter(|e| is_notable(e)) {
                    let key = (allocation.id.clone(), task.clone(), event.time, event.kind.clone());
                    if self.0.insert(key) {
                        news.push(report(allocation, task, event));
                    }
                }
            }
        }
        news.sort_by_key(|event: &TaskReport| event.time);
        news
    }
}

fn report(allocation: &Allocation, task: &str, event: &TaskEvent) -> TaskReport {
    let mut message = one_short_line(event.display_message.trim());
    if message.is_empty() {
        message =
            event.details.values().map(|d| one_short_line(d)).find(|d| !d.is_empty()).unwrap_or_default();
    }
    TaskReport {
        allocation: allocation.id.clone(),
        group: allocation.task_group.clone(),
        task: one_line(task),
        node: node(allocation),
        kind: one_line(&event.kind),
        message,
        time: event.time,
        bad: is_bad(event),
    }
}

fn node(allocation: &Allocation) -> String {
    let short = allocation.node_id.get(..8).unwrap_or(&allocation.node_id);
    one_line(if allocation.node_name.is_empty() { short } else { &allocation.node_name })
}

fn is_notable(event: &TaskEvent) -> bool {
    is_bad(event)
        || matches!(event.kind.as_str(), "Started" | "Terminated" | "Restarting" | "Restart Signaled")
}

/// Nomad's event types that mean trouble, and a task that ended with a code or a signal.
fn is_bad(event: &TaskEvent) -> bool {
    match event.kind.as_str() {
        "Driver Failure"
        | "Setup Failure"
        | "Failed Validation"
        | "Failed Artifact Download"
        | "Not Restarting"
        | "Alloc Unhealthy"
        | "Task hook failed"
        | "Sibling Task Failed"
        | "Disk Resources Exceeded"
        | "Failed Restoring Task"
        | "Plugin became unhealthy" => true,
        "Terminated" => {
            let detail = |key: &str| event.details.get(key).map(String::as_str);
            event.exit_code != 0
                || detail("exit_code").is_some_and(|code| code != "0")
                || detail("signal").is_some_and(|signal| signal != "0")
                || detail("oom_killed") == Some("true")
        }
        _ => false,
    }
}
