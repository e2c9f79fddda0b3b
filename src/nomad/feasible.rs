//! Which nodes may take a group at all, whatever room they have: asked of the server, so that constraints,
//! drivers, volumes and devices are judged by Nomad's own rules.
//!
//! The server is asked to plan the job, under a name that no job has, with more memory than any node has:
//! what it filters can't take the job, what it finds exhausted could. Where it filters some nodes and not
//! others, it is asked again for each node by itself. Nothing is registered.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use super::capacity::Room;
use super::client::Client;
use super::error::NomadError;
use super::facts::{job_id, list, name};
use super::placement::PlacementFailure;
use crate::base::text;

/// More memory than any node has (a petabyte), in MiB.
const TOO_MUCH: u64 = 1 << 30;

/// Nodes asked about at once.
const AT_ONCE: usize = 8;

/// By group and node: why the node can't take it; nothing where it could.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feasible(BTreeMap<String, BTreeMap<String, Option<String>>>);

impl Feasible {
    /// Whether a node could take a group.
    pub fn may(&self, group: &str, node: &str) -> bool {
        self.why_not(group, node).is_none()
    }

    /// Why a node can't take a group.
    pub fn why_not(&self, group: &str, node: &str) -> Option<&str> {
        self.0.get(group)?.get(node)?.as_deref()
    }
}

impl Client {
    /// Which of the nodes could take which group of a job.
    pub async fn feasible(&self, job: &Value, rooms: &[Room]) -> Result<Feasible, NomadError> {
        let look = outsized(job);
        let mut found = Feasible::default();
        let first = self.plan(&look).await?.failed;
        let whole = |failure: &&PlacementFailure| {
            let metric = &failure.metric;
            metric.nodes_filtered == 0 && metric.nodes_evaluated == rooms.len() as u64
        };
        if first.iter().filter(whole).count() == list(job, "TaskGroups").count() {
            return Ok(found);
        }
        let looks: Vec<(String, Value)> =
            rooms.iter().map(|room| (room.id.clone(), pinned(&look, &room.id))).collect();
        let asked = stream::iter(looks)
            .map(|(node, look)| async move { Ok::<_, NomadError>((node, self.plan(&look).await?.failed)) })
            .buffer_unordered(AT_ONCE);
        let answers: Vec<(String, Vec<PlacementFailure>)> = asked.try_collect().await?;
        for (node, failures) in answers {
            for group in list(job, "TaskGroups") {
                let failure = failures.iter().find(|failure| failure.group == name(group));
                let why = why_not(failure, group);
                found.0.entry(name(group).to_owned()).or_default().insert(node.clone(), why);
            }
        }
        Ok(found)
    }
}

/// The job under another name, one allocation of each group, each too large for every node.
fn outsized(job: &Value) -> Value {
    let mut look = job.clone();
    let id = format!("{}-blackstart-look", job_id(job));
    for (key, value) in [
        ("ID", json!(id)),
        ("Name", json!(id)),
        ("Stop", json!(false)),
        ("Version", json!(0)),
        ("JobModifyIndex", json!(0)),
        ("VersionTag", Value::Null),
    ] {
        look[key] = value;
    }
    for group in look["TaskGroups"].as_array_mut().into_iter().flatten() {
        group["Count"] = json!(1);
        group["Scaling"] = Value::Null;
        if let Some(task) = group["Tasks"].as_array_mut().and_then(|tasks| tasks.first_mut()) {
            if !task["Resources"].is_object() {
                task["Resources"] = json!({});
            }
            task["Resources"]["MemoryMB"] = json!(TOO_MUCH);
            task["Resources"]["MemoryMaxMB"] = json!(0);
        }
    }
    look
}

/// Of job constraints Nomad counts the first that fails: this one for every other node.
const PIN: &str = "${node.unique.id}";

fn pinned(look: &Value, node: &str) -> Value {
    let mut look = look.clone();
    let pin = json!({ "LTarget": PIN, "Operand": "=", "RTarget": node });
    match look.get_mut("Constraints").and_then(Value::as_array_mut) {
        Some(constraints) => constraints.insert(0, pin),
        None => look["Constraints"] = json!([pin]),
    }
    look
}

fn why_not(failure: Option<&PlacementFailure>, group: &Value) -> Option<String> {
    // A system job's group that no node is to have isn't a failure.
    let Some(failure) = failure else { return Some("a constraint rules it out".into()) };
    let metric = &failure.metric;
    if metric.nodes_exhausted > 0 || !metric.dimension_exhausted.is_empty() {
        return None;
    }
    let pin = format!("{PIN} = ");
    let reasons: Vec<String> = metric
        .constraint_filtered
        .keys()
        .filter(|reason| !reason.starts_with(&pin))
        .map(|reason| match reason.as_str() {
            "missing drivers" => format!("missing drivers ({})", drivers(group)),
            other => text::one_line(other.trim()),
        })
        .collect();
    Some(match reasons.is_empty() {
        false => reasons.join("; "),
        true if !metric.class_filtered.is_empty() => "its node class is ruled out".into(),
        true => "not of its datacenters or node pool".into(),
    })
}

fn drivers(group: &Value) -> String {
    let mut drivers: Vec<&str> =
        list(group, "Tasks").filter_map(|task| task.get("Driver").and_then(Value::as_str)).collect();
    drivers.sort_unstable();
    drivers.dedup();
    text::one_line(&drivers.join(", "))
}
