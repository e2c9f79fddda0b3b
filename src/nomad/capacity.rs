//! What nodes have free: what they are made of, less what is set aside, less what allocations hold.
//!
//! Counts processor, memory and disk, as Nomad's own bin packing adds them up (tasks that run one after
//! another count once, by the largest). Doesn't count cores set aside one by one, ports and devices.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::error::NomadError;
use super::facts::{job_id, job_version, list, name};
use crate::base::text;

/// What of a node can be short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    Cpu,
    Memory,
    Disk,
}

impl Dimension {
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Memory, Self::Disk];

    pub fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "MHz",
            Self::Memory | Self::Disk => "MiB",
        }
    }
}

/// As Nomad and job files call it.
impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Disk => "disk",
        })
    }
}

/// MHz, MiB and MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    pub cpu: i64,
    pub memory: i64,
    pub disk: i64,
}

impl Amounts {
    pub fn get(self, dimension: Dimension) -> i64 {
        match dimension {
            Dimension::Cpu => self.cpu,
            Dimension::Memory => self.memory,
            Dimension::Disk => self.disk,
        }
    }

    #[must_use]
    pub fn with(mut self, dimension: Dimension, amount: i64) -> Self {
        match dimension {
            Dimension::Cpu => self.cpu = amount,
            Dimension::Memory => self.memory = amount,
            Dimension::Disk => self.disk = amount,
        }
        self
    }

    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu, memory: self.memory + other.memory, disk: self.disk + other.disk }
    }

    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self { cpu: self.cpu - other.cpu, memory: self.memory - other.memory, disk: self.disk - other.disk }
    }

    fn largest(self, other: Self) -> Self {
        Self {
            cpu: self.cpu.max(other.cpu),
            memory: self.memory.max(other.memory),
            disk: self.disk.max(other.disk),
        }
    }

    /// The dimensions in which this is less than what is asked.
    pub fn short_of(self, asked: Self) -> impl Iterator<Item = Dimension> {
        Dimension::ALL.into_iter().filter(move |d| self.get(*d) < asked.get(*d))
    }

    /// How often what is asked fits in.
    pub fn times(self, asked: Self) -> u64 {
        let one = |d: Dimension| match asked.get(d) {
            asked if asked <= 0 => u64::MAX,
            asked => u64::try_from(self.get(d) / asked).unwrap_or_default(),
        };
        Dimension::ALL.into_iter().map(one).min().unwrap_or_default()
    }
}

/// A node that takes work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Room {
    pub id: String,
    pub name: String,
    pub total: Amounts,
    pub free: Amounts,
}

/// What one allocation holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub namespace: String,
    pub job: String,
    pub group: String,
    pub node: String,
    pub version: u64,
    pub amounts: Amounts,
}

/// The nodes that take work, and what is held on them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    pub rooms: Vec<Room>,
    pub held: Vec<Held>,
}

impl Capacity {
    /// From `GET /v1/nodes?resources=true` and `GET /v1/allocations?resources=true&namespace=*`.
    pub fn of(nodes: &[Value], allocations: &[Value]) -> Self {
        let word =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let ended = |a: &&Value| matches!(&*word(a, "ClientStatus"), "complete" | "failed" | "lost");
        let held: Vec<Held> = allocations
            .iter()
            .filter(|a| !ended(a))
            .map(|a| Held {
                namespace: word(a, "Namespace"),
                job: word(a, "JobID"),
                group: word(a, "TaskGroup"),
                node: word(a, "NodeID"),
                version: a.get("JobVersion").and_then(Value::as_u64).unwrap_or_default(),
                amounts: allocated(&a["AllocatedResources"]),
            })
            .collect();
        let takes_work = |node: &&Value| {
            let drains = node.get("Drain").and_then(Value::as_bool).unwrap_or_default();
            word(node, "Status") == "ready" && !drains && word(node, "SchedulingEligibility") != "ineligible"
        };
        let mut rooms: Vec<Room> = nodes
            .iter()
            .filter(takes_work)
            .map(|node| {
                let id = word(node, "ID");
                let total = amounts(&node["NodeResources"]).minus(amounts(&node["ReservedResources"]));
                let used = held.iter().filter(|held| held.node == id);
                let used = used.fold(Amounts::default(), |sum, held| sum.plus(held.amounts));
                Room { name: word(node, "Name"), total, free: total.minus(used), id }
            })
            .collect();
        rooms.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Self { rooms, held }
    }

    /// Gives back what the allocations hold that are meant.
    pub fn release(&mut self, meant: impl Fn(&Held) -> bool) {
        let (gone, held) = std::mem::take(&mut self.held).into_iter().partition(|held| meant(held));
        self.held = held;
        let gone: Vec<Held> = gone;
        for room in &mut self.rooms {
            for held in gone.iter().filter(|held| held.node == room.id) {
                room.free = room.free.plus(held.amounts);
            }
        }
    }

    /// The rooms as one more allocation of a group finds them: where an older version of it runs, that one
    /// makes room for it.
    pub fn rooms_for(&self, job: &Value, group: &str) -> Vec<Room> {
        let mut rooms = self.rooms.clone();
        for room in &mut rooms {
            let older = |held: &&Held| {
                held.node == room.id
                    && held.job == job_id(job)
                    && held.group == group
                    && held.version < job_version(job)
            };
            if let Some(older) = self.held.iter().find(older) {
                room.free = room.free.plus(older.amounts);
            }
        }
        rooms
    }
}

impl Client {
    /// What the cluster's nodes have free now.
    pub async fn capacity(&self) -> Result<Capacity, NomadError> {
        let nodes = self.pages("/v1/nodes", &[("resources", "true")], "the list of nodes");
        let query = [("resources", "true"), ("namespace", "*"), ("task_states", "false")];
        let allocations = self.pages("/v1/allocations", &query, "the list of allocations");
        let (nodes, allocations) = futures::try_join!(nodes, allocations)?;
        Ok(Capacity::of(&nodes, &allocations))
    }
}

/// Which lives of an allocation a task belongs to.
fn sum(tasks: impl Iterator<Item = (Amounts, String, bool)>) -> Amounts {
    let (mut before, mut main, mut after) = (Amounts::default(), Amounts::default(), Amounts::default());
    for (amounts, hook, sidecar) in tasks {
        match (hook.as_str(), sidecar) {
            ("prestart", true) => {
                before = before.plus(amounts);
                main = main.plus(amounts);
            }
            ("prestart", false) => before = before.plus(amounts),
            ("poststop", _) => after = after.plus(amounts),
            _ => main = main.plus(amounts),
        }
    }
    main.largest(before).largest(after)
}

fn hook(lifecycle: &Value) -> (String, bool) {
    let hook = lifecycle.get("Hook").and_then(Value::as_str).unwrap_or_default().to_owned();
    (hook, lifecycle.get("Sidecar").and_then(Value::as_bool).unwrap_or_default())
}

/// `{Cpu: {CpuShares}, Memory: {MemoryMB}, Disk: {DiskMB}}`
fn amounts(value: &Value) -> Amounts {
    let number = |at: &str| value.pointer(at).and_then(Value::as_i64).unwrap_or_default();
    Amounts {
        cpu: number("/Cpu/CpuShares"),
        memory: number("/Memory/MemoryMB"),
        disk: number("/Disk/DiskMB"),
    }
}

/// An allocation's `AllocatedResources`.
fn allocated(value: &Value) -> Amounts {
    let tasks = value["Tasks"].as_object().into_iter().flatten().map(|(task, given)| {
        let (hook, sidecar) = hook(&value["TaskLifecycles"][task]);
        (amounts(given), hook, sidecar)
    });
    let disk = value.pointer("/Shared/DiskMB").and_then(Value::as_i64).unwrap_or_default();
    sum(tasks).with(Dimension::Disk, disk)
}

/// What one allocation of a group of a job asks for. What the job leaves out is Nomad's default.
pub fn asked(group: &Value) -> Amounts {
    let tasks = list(group, "Tasks").map(|task| {
        let (hook, sidecar) = hook(&task["Lifecycle"]);
        (asked_by(task), hook, sidecar)
    });
    let disk = group.pointer("/EphemeralDisk/SizeMB").and_then(Value::as_i64).unwrap_or(300);
    sum(tasks).with(Dimension::Disk, disk)
}

/// What one task asks for.
pub(super) fn asked_by(task: &Value) -> Amounts {
    let number = |key: &str| task["Resources"].get(key).and_then(Value::as_i64);
    let cores = number("Cores").unwrap_or_default();
    // Cores set aside are counted as cores, not in MHz.
    let cpu = if cores > 0 { 0 } else { number("CPU").filter(|cpu| *cpu > 0).unwrap_or(100) };
    Amounts { cpu, memory: number("MemoryMB").filter(|mb| *mb > 0).unwrap_or(300), disk: 0 }
}

/// The groups of a job with what one allocation of each asks for.
pub fn asked_by_group(job: &Value) -> BTreeMap<String, Amounts> {
    list(job, "TaskGroups").map(|group| (name(group).to_owned(), asked(group))).collect()
}

/// `1500 MHz`
pub(super) fn shown(dimension: Dimension, amount: i64) -> String {
    format!("{} {}", amount.max(0), dimension.unit())
}

/// `cpu 1500 MHz, memory 1024 MiB`: what is asked for, disk only where it matters.
impl fmt::Display for Amounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [Dimension::Cpu, Dimension::Memory].map(|d| format!("{d} {}", shown(d, self.get(d))));
        f.write_str(&text::list(&parts))
    }
}
