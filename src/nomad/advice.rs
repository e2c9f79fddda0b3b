//! Why a job has no place, node by node, and what to ask for less of so that it has one.
//!
//! What is offered was planned on the server as it would be registered, and found a place there: Nomad names
//! only the first dimension that a node is short of, so that nothing less is sure. Nothing is changed.

use serde::Serialize;
use serde_json::{Value, json};

use super::capacity::{Amounts, Capacity, Dimension, Room, asked, asked_by, shown};
use super::client::Client;
use super::error::NomadError;
use super::facts::{is_stopped, job_id, list, name};
use super::feasible::Feasible;
use super::placement::PlacementFailure;
use crate::base::text;

/// How often the server is asked to plan a lower value before it is given up.
const TRIES: usize = 6;

/// Why a job has no place, and what would give it one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    pub groups: Vec<GroupAdvice>,
    /// All of them together make a place for every group; none where lowering doesn't help.
    pub offers: Vec<Offer>,
}

/// One group without a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupAdvice {
    pub group: String,
    /// How many allocations have no place.
    pub missing: u64,
    pub asked: Amounts,
    /// The nodes that take work.
    pub nodes: usize,
    pub short: Vec<Short>,
    /// Nodes that can't take it, whatever room they have, and why.
    pub ruled_out: Vec<RuledOut>,
    /// Nomad's own words.
    pub reasons: Vec<String>,
}

/// A dimension of which nodes have too little.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Short {
    pub dimension: Dimension,
    pub asked: i64,
    /// On how many nodes.
    pub nodes: usize,
    /// The most that any node has free, of those that could take it.
    pub most: i64,
    /// That node.
    pub on: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuledOut {
    pub node: String,
    pub why: String,
}

/// What to set lower: of a job, or of one of its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Offer {
    /// `JOB` or `JOB/GROUP/TASK`
    pub target: String,
    pub group: String,
    pub task: String,
    pub values: Vec<(Dimension, i64)>,
}

impl Offer {
    /// The command that would do it; `end` is what commands end with that write files: `--commit -e test`.
    pub fn command(&self, end: &str) -> String {
        let values: Vec<String> = self.values.iter().map(|(d, value)| format!("{d}={value}")).collect();
        format!("blackstart patch resources {} {} {end}", self.target, values.join(" "))
    }
}

impl Advice {
    /// In words, with the commands that would help, and that end with `end`.
    pub fn lines(&self, end: &str) -> Vec<String> {
        let mut lines: Vec<String> = self.groups.iter().flat_map(GroupAdvice::lines).collect();
        for offer in &self.offers {
            let values: Vec<String> =
                offer.values.iter().map(|(d, value)| format!("{d} = {value}")).collect();
            lines.push(format!(
                "with {} it would have a place now: {}",
                text::list(&values),
                offer.command(end)
            ));
        }
        lines
    }
}

impl GroupAdvice {
    fn lines(&self) -> Vec<String> {
        let group = text::one_line(&self.group);
        let missing = text::count(usize::try_from(self.missing).unwrap_or(usize::MAX), "allocation");
        let mut lines = vec![format!("group '{group}': no place for {missing} of {} each", self.asked)];
        for short in &self.short {
            lines.push(format!(
                "  {}: too little on {} of {}; {} asked, the most any has free is {} ({})",
                short.dimension,
                short.nodes,
                text::count(self.nodes, "node"),
                shown(short.dimension, short.asked),
                shown(short.dimension, short.most),
                text::one_line(&short.on),
            ));
        }
        for out in &self.ruled_out {
            lines.push(format!("  {}: {}", text::one_line(&out.node), out.why));
        }
        if self.short.is_empty() && self.ruled_out.is_empty() {
            lines.extend(self.reasons.iter().map(|reason| format!("  {reason}")));
        }
        lines
    }

    fn of(failure: &PlacementFailure, asked: Amounts, rooms: &[Room], feasible: &Feasible) -> Self {
        let group = failure.group.clone();
        let why = |room: &Room| feasible.why_not(&group, &room.id).map(str::to_owned);
        let ruled_out = rooms
            .iter()
            .filter_map(|room| Some(RuledOut { node: room.name.clone(), why: why(room)? }))
            .collect();
        let open: Vec<&Room> = rooms.iter().filter(|room| feasible.may(&group, &room.id)).collect();
        let short = Dimension::ALL.into_iter().filter_map(|dimension| {
            let wanted = asked.get(dimension);
            let nodes = open.iter().filter(|room| room.free.get(dimension) < wanted).count();
            let most = open.iter().max_by_key(|room| room.free.get(dimension))?;
            (nodes > 0).then(|| Short {
                dimension,
                asked: wanted,
                nodes,
                most: most.free.get(dimension).max(0),
                on: most.name.clone(),
            })
        });
        Self {
            short: short.collect(),
            missing: failure.missing,
            asked,
            nodes: rooms.len(),
            ruled_out,
            reasons: failure.reasons(),
            group,
        }
    }
}

impl Client {
    /// Why the job of that id has no place now; nothing where it has one, is stopped or isn't there.
    pub async fn advice(&self, id: &str) -> Result<Option<Advice>, NomadError> {
        let Some(job) = self.job(id).await?.filter(|job| !is_stopped(job)) else { return Ok(None) };
        let failed = self.plan(&job).await?.failed;
        if failed.is_empty() {
            return Ok(None);
        }
        let capacity = self.capacity().await?;
        // What can't be judged is left open: the server has the last word anyway.
        let feasible = self.feasible(&job, &capacity.rooms).await.unwrap_or_default();
        let groups = failed.iter().filter_map(|failure| {
            let spec = list(&job, "TaskGroups").find(|group| name(group) == failure.group)?;
            let rooms = capacity.rooms_for(&job, &failure.group);
            Some(GroupAdvice::of(failure, asked(spec), &rooms, &feasible))
        });
        let groups = groups.collect();
        let offers = self.offers(&job, &failed, &capacity, &feasible).await?;
        Ok(Some(Advice { groups, offers }))
    }

    async fn offers(
        &self,
        job: &Value,
        failed: &[PlacementFailure],
        capacity: &Capacity,
        feasible: &Feasible,
    ) -> Result<Vec<Offer>, NomadError> {
        let mut lowered = job.clone();
        for failure in failed {
            let rooms: Vec<Room> = capacity
                .rooms_for(job, &failure.group)
                .into_iter()
                .filter(|room| feasible.may(&failure.group, &room.id))
                .collect();
            if !lower_to_fit(&mut lowered, &failure.group, &rooms, failure.missing) {
                return Ok(Vec::new());
            }
        }
        for _ in 0..TRIES {
            let left = self.plan(&lowered).await?.failed;
            if left.is_empty() {
                return Ok(changes(job, &lowered));
            }
            for failure in &left {
                let short = |d: &Dimension| failure.dimensions().contains_key(&d.to_string());
                let Some(dimension) = [Dimension::Cpu, Dimension::Memory].into_iter().find(short) else {
                    return Ok(Vec::new());
                };
                if !lower_one(job, &mut lowered, &failure.group, dimension) {
                    return Ok(Vec::new());
                }
            }
        }
        Ok(Vec::new())
    }
}

/// Lowers what a group asks for until `missing` more of it have room: in the one dimension where that takes
/// the least, else in both. False where that would be less than a quarter of what is asked for.
fn lower_to_fit(job: &mut Value, group: &str, rooms: &[Room], missing: u64) -> bool {
    let Some(spec) = find(job, group) else { return false };
    let now = asked(spec);
    let room_for = |wanted: Amounts| {
        let fits = rooms.iter().map(|room| room.free.times(wanted)).fold(0_u64, u64::saturating_add);
        fits >= missing
    };
    if room_for(now) {
        return true;
    }
    let one = |start: Amounts, dimension: Dimension| {
        let mut value = start.get(dimension);
        while let Some(lower) = lower(dimension, value, now.get(dimension)) {
            value = lower;
            if room_for(start.with(dimension, value)) {
                return Some(start.with(dimension, value));
            }
        }
        None
    };
    let share = |wanted: &Amounts| {
        let part = |d: Dimension| wanted.get(d).saturating_mul(1000) / now.get(d).max(1);
        part(Dimension::Cpu).min(part(Dimension::Memory))
    };
    let single = [Dimension::Cpu, Dimension::Memory].into_iter().filter_map(|d| one(now, d));
    let found = single.max_by_key(share).or_else(|| {
        // Both: for each lower cpu the most memory that fits with it.
        let mut best: Option<Amounts> = None;
        let mut cpu = now.cpu;
        while let Some(lower) = lower(Dimension::Cpu, cpu, now.cpu) {
            cpu = lower;
            let fits = one(now.with(Dimension::Cpu, cpu), Dimension::Memory);
            best = fits.into_iter().chain(best).max_by_key(share);
        }
        best
    });
    let Some(found) = found else { return false };
    for dimension in [Dimension::Cpu, Dimension::Memory] {
        let less = now.get(dimension) - found.get(dimension);
        if less > 0 && !take_from_largest(job, group, dimension, less) {
            return false;
        }
    }
    true
}

/// The server still finds too little of a dimension: one step less of it.
fn lower_one(job: &Value, lowered: &mut Value, group: &str, dimension: Dimension) -> bool {
    let first = find(job, group).map(|spec| asked(spec).get(dimension)).unwrap_or_default();
    let Some(now) = find(lowered, group).map(|spec| asked(spec).get(dimension)) else { return false };
    let Some(lower) = lower(dimension, now - now / 10, first) else { return false };
    take_from_largest(lowered, group, dimension, now - lower)
}

/// The next lower number that people would write; none below a quarter of what is asked for.
fn lower(dimension: Dimension, value: i64, asked: i64) -> Option<i64> {
    let step = match (dimension, value) {
        (Dimension::Cpu, 1001..) => 100,
        (Dimension::Cpu, 201..) => 50,
        (Dimension::Cpu, _) => 10,
        (_, 513..) => 64,
        (_, 129..) => 32,
        _ => 16,
    };
    let lower = (value - 1).div_euclid(step) * step;
    (lower >= asked.div_euclid(4).max(1)).then_some(lower)
}

/// Takes an amount from the task that asks for the most of it; false where it hasn't that much.
fn take_from_largest(job: &mut Value, group: &str, dimension: Dimension, less: i64) -> bool {
    let groups = job.get_mut("TaskGroups").and_then(Value::as_array_mut);
    let spec = groups.into_iter().flatten().find(|spec| name(spec) == group);
    let tasks = spec.and_then(|spec| spec.get_mut("Tasks")).and_then(Value::as_array_mut);
    let largest = tasks.into_iter().flatten().max_by_key(|task| asked_by(task).get(dimension));
    let Some(task) = largest else { return false };
    let left = asked_by(task).get(dimension) - less;
    let key = if dimension == Dimension::Cpu { "CPU" } else { "MemoryMB" };
    if left <= 0 {
        return false;
    }
    if !task["Resources"].is_object() {
        task["Resources"] = json!({});
    }
    task["Resources"][key] = json!(left);
    true
}

fn find<'j>(job: &'j Value, group: &str) -> Option<&'j Value> {
    list(job, "TaskGroups").find(|spec| name(spec) == group)
}

/// What was lowered, task by task.
fn changes(job: &Value, lowered: &Value) -> Vec<Offer> {
    let tasks =
        |job: &Value| -> usize { list(job, "TaskGroups").map(|group| list(group, "Tasks").count()).sum() };
    let mut offers = Vec::new();
    for (before, after) in list(job, "TaskGroups").zip(list(lowered, "TaskGroups")) {
        for (old, new) in list(before, "Tasks").zip(list(after, "Tasks")) {
            let (had, has) = (asked_by(old), asked_by(new));
            let values: Vec<(Dimension, i64)> = [Dimension::Cpu, Dimension::Memory]
                .into_iter()
                .filter(|d| had.get(*d) != has.get(*d))
                .map(|d| (d, has.get(d)))
                .collect();
            if values.is_empty() {
                continue;
            }
            let whole = format!("{}/{}/{}", job_id(job), name(before), name(old));
            let target = if tasks(job) == 1 { job_id(job).to_owned() } else { whole };
            offers.push(Offer {
                target: text::one_line(&target),
                group: name(before).to_owned(),
                task: name(old).to_owned(),
                values,
            });
        }
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn room(name: &str, cpu: i64, memory: i64) -> Room {
        let free = Amounts { cpu, memory, disk: 10_000 };
        Room { id: name.into(), name: name.into(), total: free, free }
    }

    fn job(cpu: i64, memory: i64) -> Value {
        let tasks = json!([{ "Name": "t", "Resources": { "CPU": cpu, "MemoryMB": memory } }]);
        json!({ "ID": "j", "TaskGroups": [{ "Name": "g", "EphemeralDisk": { "SizeMB": 300 }, "Tasks": tasks }] })
    }

    fn lowered(cpu: i64, memory: i64, rooms: &[Room], missing: u64) -> Option<Vec<(Dimension, i64)>> {
        let before = job(cpu, memory);
        let mut after = before.clone();
        let done = lower_to_fit(&mut after, "g", rooms, missing);
        done.then(|| changes(&before, &after).into_iter().flat_map(|offer| offer.values).collect())
    }

    #[test]
    fn only_what_is_short_is_lowered_and_to_a_round_number() {
        use Dimension::{Cpu, Memory};
        assert_eq!(lowered(1500, 1024, &[room("a", 1130, 4000)], 1), Some(vec![(Cpu, 1100)]));
        assert_eq!(lowered(1500, 1024, &[room("a", 4000, 1000)], 1), Some(vec![(Memory, 960)]));
        // On one node cpu is short, on the other memory: what costs less is lowered.
        let both = [room("a", 1400, 4000), room("b", 4000, 500)];
        assert_eq!(lowered(1500, 1024, &both, 1), Some(vec![(Cpu, 1400)]));
        // Short of both on the only node.
        assert_eq!(lowered(1500, 1024, &[room("a", 1130, 1000)], 1), Some(vec![(Cpu, 1100), (Memory, 960)]));
        // Two need room on one node.
        assert_eq!(lowered(1500, 64, &[room("a", 2100, 4000)], 2), Some(vec![(Cpu, 1000)]));
        // A sliver is no place.
        assert_eq!(lowered(1500, 1024, &[room("a", 100, 4000)], 1), None);
        assert_eq!(lowered(1500, 1024, &[], 1), None);
    }

    proptest! {
        #[test]
        fn what_is_offered_fits_and_is_less(
            (cpu, memory) in (1..5000_i64, 1..5000_i64),
            free in prop::collection::vec((0..5000_i64, 0..5000_i64), 0..4),
            missing in 1..4_u64,
        ) {
            let rooms: Vec<Room> = free.iter().map(|(cpu, memory)| room("n", *cpu, *memory)).collect();
            let mut after = job(cpu, memory);
            if lower_to_fit(&mut after, "g", &rooms, missing) {
                let now = asked(find(&after, "g").unwrap());
                let fits: u64 = rooms.iter().map(|room| room.free.times(now)).sum();
                prop_assert!(fits >= missing, "{now:?}");
                prop_assert!(now.cpu <= cpu && now.memory <= memory);
                prop_assert!(now.cpu >= cpu / 4 && now.memory >= memory / 4);
            }
        }
    }
}
