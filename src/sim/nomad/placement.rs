//! Where an allocation goes, or why it goes nowhere: constraints first, then room by dimension, of which only
//! the first short one is reported for a node.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::cluster::Cluster;
use super::records::{JobKey, Node};
use super::value::{array, group, int, text};

/// What an allocation asks of a node: MHz, MiB, MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub cpu: i64,
    pub memory: i64,
    pub disk: i64,
}

/// Allocations that a plan has put in place or taken away, but that aren't written yet.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub gone: BTreeSet<String>,
    pub placed: Vec<(String, JobKey, Demand)>,
}

impl Demand {
    pub fn of(group: &Value) -> Self {
        let mut demand = Self { disk: int(&group["EphemeralDisk"], "SizeMB"), ..Self::default() };
        for task in array(group, "Tasks") {
            let resources = &task["Resources"];
            demand.cpu += int(resources, "CPU");
            demand.memory += int(resources, "MemoryMB");
        }
        demand
    }

    fn of_allocation(resources: &Value) -> Self {
        let mut demand = Self { disk: int(&resources["Shared"], "DiskMB"), ..Self::default() };
        for task in resources["Tasks"].as_object().into_iter().flat_map(Map::values) {
            demand.cpu += int(&task["Cpu"], "CpuShares");
            demand.memory += int(&task["Memory"], "MemoryMB");
        }
        demand
    }
}

impl Cluster {
    /// A node for one more allocation of this group, with the metrics either way.
    pub fn place(
        &self,
        job: &Value,
        name: &str,
        only: Option<&str>,
        draft: &Draft,
    ) -> (Option<String>, Value) {
        let Some(spec) = group(job, name) else { return (None, Value::Null) };
        let demand = Demand::of(spec);
        let key = JobKey::of(job);
        let mut metrics = Metrics { pool: text(job, "NodePool").to_owned(), ..Metrics::default() };
        let mut best: Option<(f64, &Node)> = None;
        for node in self.nodes.values().filter(|n| n.ready && n.eligible && !n.draining) {
            if !matches!(text(job, "NodePool"), "default" | "all") {
                continue;
            }
            metrics.in_pool += 1;
            if !array(job, "Datacenters").iter().any(|d| glob(d.as_str().unwrap_or_default(), "dc1")) {
                continue;
            }
            metrics.available += 1;
            if only.is_some_and(|id| id != node.id) {
                continue;
            }
            metrics.evaluated += 1;
            if let Some(reason) = self.filtered(job, spec, node, &key, draft) {
                *metrics.filtered.entry(reason).or_default() += 1;
                continue;
            }
            let used = self.used(node, draft);
            let short = if used.cpu + demand.cpu > node.cpu {
                Some("cpu")
            } else if used.memory + demand.memory > node.memory {
                Some("memory")
            } else if used.disk + demand.disk > node.disk {
                Some("disk")
            } else {
                None
            };
            if let Some(dimension) = short {
                *metrics.exhausted.entry(dimension).or_default() += 1;
                continue;
            }
            let own = self.count_of(&key, node, draft);
            let score = self.score(node, used, demand, own);
            metrics.scores.push((node.id.clone(), score));
            if best.is_none_or(|(top, _)| score > top) {
                best = Some((score, node));
            }
        }
        let metrics = metrics.json(spec);
        (best.map(|(_, node)| node.id.clone()), metrics)
    }

    /// What a node's allocations hold: everything whose client hasn't ended it.
    pub fn used(&self, node: &Node, draft: &Draft) -> Demand {
        let mut used = Demand::default();
        let held = self
            .allocations
            .values()
            .filter(|a| a.node == node.id && !a.client_terminal() && !draft.gone.contains(&a.id))
            .map(|a| Demand::of_allocation(&a.resources));
        let drafted = draft.placed.iter().filter(|(on, _, _)| *on == node.id).map(|(_, _, d)| *d);
        for d in held.chain(drafted) {
            used.cpu += d.cpu;
            used.memory += d.memory;
            used.disk += d.disk;
        }
        used
    }

    fn count_of(&self, key: &JobKey, node: &Node, draft: &Draft) -> usize {
        self.allocations
            .values()
            .filter(|a| a.job == *key && a.node == node.id && !a.terminal() && !draft.gone.contains(&a.id))
            .count()
            + draft.placed.iter().filter(|(on, job, _)| *on == node.id && job == key).count()
    }

    /// Fuller nodes are better, nodes with the same job on them worse: Nomad's bin packing in short.
    #[expect(clippy::cast_precision_loss, reason = "MHz and MiB are far below 2^52")]
    fn score(&self, node: &Node, used: Demand, demand: Demand, own: usize) -> f64 {
        let free = |used: i64, of: i64| 1.0 - used as f64 / (of.max(1)) as f64;
        let total = 10f64.powf(free(used.cpu + demand.cpu, node.cpu))
            + 10f64.powf(free(used.memory + demand.memory, node.memory));
        (20.0 - total) / 18.0 - own as f64 + self.chance.fraction(&node.id) * 1e-6
    }

    fn filtered(
        &self,
        job: &Value,
        spec: &Value,
        node: &Node,
        key: &JobKey,
        draft: &Draft,
    ) -> Option<String> {
        let of_group = array(spec, "Constraints")
            .iter()
            .chain(array(spec, "Tasks").iter().flat_map(|t| array(t, "Constraints")));
        if let Some(reason) = self.ruled_out(array(job, "Constraints").iter(), node, key, draft) {
            return Some(reason);
        }
        for task in array(spec, "Tasks") {
            if !node.drivers.iter().any(|d| d == text(task, "Driver")) {
                return Some("missing drivers".into());
            }
        }
        self.ruled_out(of_group, node, key, draft)
    }

    /// The first constraint that a node doesn't meet.
    fn ruled_out<'a>(
        &self,
        constraints: impl Iterator<Item = &'a Value>,
        node: &Node,
        key: &JobKey,
        draft: &Draft,
    ) -> Option<String> {
        for constraint in constraints {
            let (left, right) = (text(constraint, "LTarget"), text(constraint, "RTarget"));
            let operand = text(constraint, "Operand");
            if operand == "distinct_hosts" {
                if self.count_of(key, node, draft) > 0 {
                    return Some("distinct_hosts".into());
                }
                continue;
            }
            let value = node_attribute(node, left);
            let holds = match operand {
                "=" | "==" | "is" => value.as_deref() == Some(right),
                "!=" | "not" => value.as_deref() != Some(right),
                "is_not_set" => value.is_none(),
                "set_contains" | "set_contains_any" => {
                    value.as_deref().is_some_and(|v| v.split(',').any(|part| part.trim() == right))
                }
                // `is_set`; and versions and patterns, which aren't weighed here.
                _ => value.is_some(),
            };
            if !holds {
                return Some(format!("{left} {operand} {right}"));
            }
        }
        None
    }
}

#[derive(Default)]
struct Metrics {
    pool: String,
    in_pool: u64,
    available: u64,
    evaluated: u64,
    filtered: BTreeMap<String, u64>,
    exhausted: BTreeMap<&'static str, u64>,
    scores: Vec<(String, f64)>,
}

impl Metrics {
    fn json(&self, spec: &Value) -> Value {
        let map = |filled: bool, value: Value| if filled { value } else { Value::Null };
        let short = |dimension: &str| self.exhausted.contains_key(dimension);
        let mut short_of = Map::new();
        for task in array(spec, "Tasks") {
            let given = &task["Resources"];
            let cpu = if short("cpu") { int(given, "CPU") } else { 0 };
            let memory = if short("memory") { int(given, "MemoryMB") } else { 0 };
            if cpu > 0 || memory > 0 {
                short_of.insert(
                    text(task, "Name").to_owned(),
                    json!({"CPU": cpu, "Cores": 0, "MemoryMB": memory, "MemoryMaxMB": 0, "DiskMB": 0, "IOPS": 0,
                        "Networks": null, "Devices": null, "NUMA": null, "SecretsMB": 0}),
                );
            }
        }
        let scores: Vec<Value> = self
            .scores
            .iter()
            .map(|(id, score)| {
                json!({"NodeID": id, "NormScore": score, "Scores": {"binpack": score, "job-anti-affinity": 0,
                    "node-affinity": 0, "node-reschedule-penalty": 0}})
            })
            .collect();
        let available = if self.available > 0 { json!({"dc1": self.available}) } else { json!({}) };
        json!({
            "NodesEvaluated": self.evaluated, "NodesFiltered": self.filtered.values().sum::<u64>(),
            "NodesInPool": self.in_pool, "NodePool": self.pool, "NodesAvailable": available,
            "ClassFiltered": null,
            "ConstraintFiltered": map(!self.filtered.is_empty(), json!(self.filtered)),
            "NodesExhausted": self.exhausted.values().sum::<u64>(), "ClassExhausted": null,
            "DimensionExhausted": map(!self.exhausted.is_empty(), json!(self.exhausted)),
            "QuotaExhausted": null, "ResourcesExhausted": map(!short_of.is_empty(), Value::Object(short_of)),
            "Scores": null, "ScoreMetaData": map(!scores.is_empty(), json!(scores)), "AllocationTime": 41_000, "CoalescedFailures": 0,
        })
    }
}

/// The resources an allocation holds, as Nomad writes them.
pub fn allocated(spec: &Value) -> Value {
    let mut tasks = Map::new();
    let mut lifecycles = Map::new();
    for task in array(spec, "Tasks") {
        let name = text(task, "Name").to_owned();
        let resources = &task["Resources"];
        tasks.insert(
            name.clone(),
            json!({
                "Cpu": {"CpuShares": int(resources, "CPU"), "ReservedCores": null},
                "Memory": {"MemoryMB": int(resources, "MemoryMB"), "MemoryMaxMB": int(resources, "MemoryMaxMB")},
                "Networks": null, "Devices": null,
            }),
        );
        lifecycles.insert(name, task["Lifecycle"].clone());
    }
    json!({
        "Tasks": tasks, "TaskLifecycles": lifecycles,
        "Shared": {"Networks": null, "DiskMB": int(&spec["EphemeralDisk"], "SizeMB"), "Ports": null},
    })
}

/// What `${attr.…}`, `${node.…}` and `${meta.…}` stand for on a node.
fn node_attribute(node: &Node, target: &str) -> Option<String> {
    let name = target.strip_prefix("${")?.strip_suffix('}')?;
    match name {
        "node.unique.id" => Some(node.id.clone()),
        "node.unique.name" | "attr.unique.hostname" => Some(node.name.clone()),
        "node.datacenter" => Some("dc1".into()),
        "node.region" => Some("global".into()),
        "node.class" => Some(String::new()),
        "node.pool" => Some("default".into()),
        other => {
            let attribute = other.strip_prefix("attr.")?;
            node.attributes().get(attribute).and_then(Value::as_str).map(str::to_owned)
        }
    }
}

/// Whether a pattern with `*` matches.
pub fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|i| rest.is_char_boundary(i) && glob(tail, &rest[i..]))),
    }
}
