//! What has to change so that a group of a job is as its specification says: pure, used by evaluations and
//! by plans alike. The order of decisions is that of Nomad's allocation reconciler.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::cluster::duration;
use super::records::{Allocation, Deployment, Node};
use super::value::{array, group, int, text, truthy, uint};

/// What is known when a group is reconciled.
pub struct Situation<'a> {
    /// The job as it shall be; none where it is to be stopped.
    pub job: Option<&'a Value>,
    /// Its allocations in this group that the server still wants.
    pub allocations: Vec<&'a Allocation>,
    /// The deployment of this very version, if there is one.
    pub deployment: Option<&'a Deployment>,
    pub nodes: Vec<&'a Node>,
    pub evaluation: &'a str,
    pub now: Timestamp,
}

/// An allocation to be placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub name: String,
    /// The one it follows, if any.
    pub previous: Option<String>,
    /// The one that is stopped if, and only if, this one finds a node.
    pub replaces: Option<String>,
    pub rescheduled: bool,
    pub canary: bool,
    /// The only node it may go to (system jobs).
    pub node: Option<String>,
}

/// What is to be done in one group.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub place: Vec<Place>,
    pub stop: Vec<(String, &'static str)>,
    pub in_place: Vec<String>,
    pub lost: Vec<String>,
    /// Allocations to be replaced later, and when.
    pub later: Vec<(String, Timestamp)>,
    /// Counts for people: `DesiredTGUpdates`.
    pub counts: Counts,
    pub desired_total: u64,
    pub desired_canaries: u64,
    /// Whether this change is followed by a deployment of its own.
    pub deploys: bool,
    /// Whether nothing is left to do for the deployment.
    pub complete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub ignore: u64,
    pub place: u64,
    pub migrate: u64,
    pub stop: u64,
    pub in_place: u64,
    pub destructive: u64,
    pub canary: u64,
    pub now: u64,
    pub later: u64,
}

impl Counts {
    pub fn json(self) -> Value {
        json!({"Ignore": self.ignore, "Place": self.place, "Migrate": self.migrate, "Stop": self.stop,
            "InPlaceUpdate": self.in_place, "DestructiveUpdate": self.destructive, "Canary": self.canary,
            "Preemptions": 0, "Disconnect": 0, "Reconnect": 0, "RescheduleNow": self.now,
            "RescheduleLater": self.later})
    }
}

/// Decides for one group.
pub fn reconcile(name: &str, at: &Situation<'_>) -> Changes {
    let mut out = Changes::default();
    let wanted = at.job.and_then(|job| group(job, name).map(|g| (job, g)));
    let Some((job, spec)) = wanted else {
        stop_all(&mut out, &at.allocations);
        return out;
    };
    let kind = text(job, "Type");
    let system = kind == "system" || kind == "sysbatch";
    let batch = kind == "batch" || kind == "sysbatch";
    let count = if system { at.nodes.len() } else { usize::try_from(int(spec, "Count")).unwrap_or_default() };
    if count == 0 {
        stop_all(&mut out, &at.allocations);
        out.complete = true;
        return out;
    }
    let old_version = |a: &Allocation| uint(&a.spec, "JobModifyIndex") != uint(job, "JobModifyIndex");
    let state = at.deployment.and_then(|d| d.groups.get(name));
    let failed = at.deployment.is_some_and(|d| d.status == "failed");
    let paused = at.deployment.is_some_and(|d| d.status == "paused");
    let active = at.deployment.filter(|d| d.active());

    // Terminal allocations of older versions don't count; nor do batch allocations that have done their work.
    let (old, mut all): (Vec<&Allocation>, Vec<&Allocation>) =
        at.allocations.iter().partition(|a| a.client_terminal() && old_version(a) && !batch);
    out.counts.ignore += old.len() as u64;

    let mut keep: Vec<&Allocation> = Vec::new();
    let mut again: Vec<&Allocation> = Vec::new();
    let mut moved: Vec<&Allocation> = Vec::new();
    let mut lost: Vec<&Allocation> = Vec::new();
    all.sort_by(|a, b| (&a.name, a.create_index).cmp(&(&b.name, b.create_index)));
    for a in all.iter().copied() {
        let node = at.nodes.iter().find(|n| n.id == a.node);
        if a.client_terminal() {
            match reschedule_at(a, spec, active, at) {
                Some(when) if a.followup == at.evaluation || when <= at.now => again.push(a),
                Some(when) => {
                    if a.followup.is_empty() {
                        out.later.push((a.id.clone(), when));
                        out.counts.later += 1;
                    }
                    keep.push(a);
                }
                None => keep.push(a),
            }
        } else if node.is_none_or(|n| !n.ready) {
            lost.push(a);
        } else if node.is_some_and(|n| n.draining) || a.migrate {
            moved.push(a);
        } else {
            keep.push(a);
        }
    }
    for a in &lost {
        out.lost.push(a.id.clone());
        out.counts.stop += 1;
    }

    // Canaries of a deployment that no longer is are stopped.
    let canaries: BTreeSet<&str> = active
        .and_then(|d| d.groups.get(name))
        .map(|g| g.placed_canaries.iter().map(String::as_str).collect())
        .unwrap_or_default();
    let canarying = state.is_some_and(|s| s.desired_canaries > 0 && !s.promoted);
    let left_over = |a: &&Allocation| a.canary && !canaries.contains(a.id.as_str()) && old_version(a);
    for a in keep.iter().filter(|a| left_over(a)) {
        out.stop.push((a.id.clone(), "alloc not needed due to job update"));
        out.counts.stop += 1;
    }
    keep.retain(|a| !left_over(a));

    // Too many: canaries' forerunners first, then the highest names.
    let standing = |a: &&Allocation| !(canarying && a.canary);
    let mut surplus = keep.iter().filter(|a| standing(a)).count() + moved.len() + again.len();
    surplus = surplus.saturating_sub(count);
    if surplus > 0 && !system {
        let replaced: BTreeSet<&str> =
            keep.iter().filter(|a| a.canary && !canarying).map(|a| a.name.as_str()).collect();
        let mut by_use: Vec<&Allocation> = keep.iter().copied().filter(standing).collect();
        by_use.sort_by_key(|a| {
            let forerunner = replaced.contains(a.name.as_str()) && !a.canary;
            (std::cmp::Reverse(forerunner), std::cmp::Reverse(position(&a.name)), a.create_index)
        });
        let gone: BTreeSet<&str> = by_use.iter().take(surplus).map(|a| a.id.as_str()).collect();
        for id in &gone {
            out.stop.push(((*id).to_owned(), "alloc not needed due to job update"));
            out.counts.stop += 1;
        }
        keep.retain(|a| !gone.contains(a.id.as_str()));
    }

    // In place, or anew?
    let mut destructive: Vec<&Allocation> = Vec::new();
    for a in &keep {
        if !old_version(a) {
            out.counts.ignore += 1;
        } else if a.client_terminal() {
            // A batch allocation of an older version that has ended is done again with the new one.
            if a.client == "complete" { out.counts.ignore += 1 } else { destructive.push(a) }
        } else if canarying && a.canary {
            out.counts.ignore += 1;
        } else if replaced_by_update(&a.spec, job, name) {
            destructive.push(a);
        } else {
            out.in_place.push(a.id.clone());
            out.counts.in_place += 1;
        }
    }

    let update = &spec["Update"];
    let rolling = int(update, "MaxParallel") > 0;
    let wants_canaries = uint(update, "Canary");
    let placed_canaries = keep.iter().filter(|a| a.canary && !old_version(a)).count() as u64;
    let promoted = state.is_some_and(|s| s.promoted);
    let requires_canaries = rolling && wants_canaries > 0 && !promoted && !destructive.is_empty() && !failed;
    if requires_canaries {
        out.desired_canaries = wants_canaries;
        for number in placed_canaries..wants_canaries {
            let number = usize::try_from(number).unwrap_or_default();
            out.place.push(Place { name: alloc_name(job, name, number), canary: true, ..Place::default() });
            out.counts.canary += 1;
        }
    }
    let canarying = canarying || requires_canaries;

    // How many may be replaced at once.
    let mut room = if !rolling || (destructive.is_empty() && moved.is_empty()) {
        count
    } else if paused || failed || canarying {
        0
    } else {
        let mut room = usize::try_from(int(update, "MaxParallel")).unwrap_or_default();
        if let Some(d) = active {
            for a in keep.iter().filter(|a| a.deployment == d.id) {
                match a.healthy {
                    Some((false, _)) => room = 0,
                    None => room = room.saturating_sub(1),
                    Some((true, _)) => {}
                }
            }
        }
        room
    };

    // What is missing.
    let ready = !paused && !failed && !canarying;
    let taken: BTreeSet<usize> =
        keep.iter().chain(&moved).chain(&again).chain(&lost).map(|a| position(&a.name)).collect();
    let mut fresh: Vec<Place> = Vec::new();
    if system {
        let on: BTreeSet<&str> = keep.iter().chain(&again).map(|a| a.node.as_str()).collect();
        for node in at.nodes.iter().filter(|n| n.ready && n.eligible && !on.contains(n.id.as_str())) {
            fresh.push(Place {
                name: alloc_name(job, name, 0),
                node: Some(node.id.clone()),
                ..Place::default()
            });
        }
    } else {
        let standing = keep.iter().filter(|a| !(canarying && a.canary)).count();
        let have = standing + moved.len() + again.len() + lost.len();
        let mut number = 0;
        for _ in have..count {
            while taken.contains(&number) || fresh.iter().any(|p| position(&p.name) == number) {
                number += 1;
            }
            fresh.push(Place { name: alloc_name(job, name, number), ..Place::default() });
        }
    }
    let follow = |a: &&Allocation, rescheduled: bool| Place {
        name: a.name.clone(),
        previous: Some(a.id.clone()),
        rescheduled,
        node: system.then(|| a.node.clone()),
        ..Place::default()
    };
    let first_total = fresh.len() + again.len() + lost.len();
    if ready {
        out.counts.place += (fresh.len() + again.len() + lost.len()) as u64;
        room = room.saturating_sub(fresh.len());
        out.place.extend(fresh);
        out.place.extend(again.iter().map(|a| follow(a, true)));
        out.place.extend(lost.iter().map(|a| follow(a, false)));
    } else {
        for a in again.iter().filter(|a| !(failed && at.deployment.is_some_and(|d| d.id == a.deployment))) {
            out.place.push(follow(a, true));
            out.counts.place += 1;
        }
        for a in &lost {
            out.place.push(follow(a, false));
            out.counts.place += 1;
        }
    }
    out.counts.now = again.len() as u64;
    if ready {
        for a in destructive.iter().take(room) {
            out.place.push(Place {
                name: a.name.clone(),
                previous: Some(a.id.clone()),
                replaces: Some(a.id.clone()),
                node: system.then(|| a.node.clone()),
                ..Place::default()
            });
            out.counts.destructive += 1;
        }
        out.counts.ignore += destructive.len().saturating_sub(room) as u64;
    } else {
        out.counts.ignore += destructive.len() as u64;
    }
    for a in &moved {
        out.stop.push((a.id.clone(), "alloc is being migrated"));
        out.place.push(follow(a, false));
        out.counts.migrate += 1;
    }

    // A deployment of its own?
    out.desired_total = (first_total + destructive.len() + out.in_place.len()) as u64;
    let had_running = at
        .allocations
        .iter()
        .any(|a| !old_version(a) && uint(&a.spec, "CreateIndex") == uint(job, "CreateIndex"));
    let changes = !destructive.is_empty() || !out.in_place.is_empty();
    let deployable = !batch && job["Periodic"].is_null() && job["ParameterizedJob"].is_null();
    out.deploys = deployable
        && at.deployment.is_none()
        && rolling
        && out.desired_total > 0
        && (!had_running || changes);
    out.complete = destructive.is_empty()
        && out.in_place.is_empty()
        && moved.is_empty()
        && again.is_empty()
        && out.place.is_empty()
        && out.later.is_empty()
        && !requires_canaries
        && state.is_none_or(|s| {
            s.healthy >= s.desired_total.max(s.desired_canaries) && (s.desired_canaries == 0 || s.promoted)
        });
    out
}

fn stop_all(out: &mut Changes, allocations: &[&Allocation]) {
    for a in allocations.iter().filter(|a| !a.client_terminal()) {
        out.stop.push((a.id.clone(), "alloc not needed due to job update"));
        out.counts.stop += 1;
    }
}

/// When an allocation that ended badly may be replaced, if ever.
fn reschedule_at(
    a: &Allocation,
    spec: &Value,
    active: Option<&Deployment>,
    at: &Situation<'_>,
) -> Option<Timestamp> {
    if a.client != "failed" || !a.next.is_empty() {
        return None;
    }
    if active.is_some_and(|d| d.id == a.deployment) && !a.reschedule {
        return None;
    }
    let policy = &spec["ReschedulePolicy"];
    if !policy.is_object() {
        return None;
    }
    let attempts = uint(policy, "Attempts");
    let interval = SignedDuration::try_from(duration(int(policy, "Interval"))).ok()?;
    if !truthy(&policy["Unlimited"]) {
        let recent = a.rescheduled.iter().filter(|t| at.now.duration_since(**t) < interval).count() as u64;
        if attempts == 0 || recent >= attempts {
            return None;
        }
    }
    let base = int(policy, "Delay");
    let most = int(policy, "MaxDelay");
    let tries = u32::try_from(a.rescheduled.len()).unwrap_or(u32::MAX).min(30);
    let delay = match text(policy, "DelayFunction") {
        "exponential" => base.saturating_mul(1i64 << tries),
        "fibonacci" => {
            let mut pair = (base, base);
            for _ in 0..tries {
                pair = (pair.1, pair.0.saturating_add(pair.1));
            }
            pair.0
        }
        _ => base,
    };
    let delay = if most > 0 { delay.min(most) } else { delay };
    let ended = a.tasks.values().filter_map(|t| t.finished).max().unwrap_or(a.modify_time);
    ended.checked_add(SignedDuration::try_from(duration(delay)).ok()?).ok()
}

/// Whether a new version makes a new allocation necessary (`tasksUpdated`).
fn replaced_by_update(old: &Value, new: &Value, name: &str) -> bool {
    let (Some(a), Some(b)) = (group(old, name), group(new, name)) else { return true };
    let of_group = ["EphemeralDisk", "Networks", "Consul", "Volumes"];
    if of_group.iter().any(|key| a[*key] != b[*key]) || array(a, "Tasks").len() != array(b, "Tasks").len() {
        return true;
    }
    if a["RestartPolicy"]["RenderTemplates"] != b["RestartPolicy"]["RenderTemplates"] {
        return true;
    }
    let of_task = [
        "Driver",
        "User",
        "Config",
        "Env",
        "Artifacts",
        "Vault",
        "Secrets",
        "Consul",
        "Templates",
        "CSIPluginConfig",
        "VolumeMounts",
        "Identity",
        "Identities",
        "Resources",
    ];
    array(a, "Tasks").iter().any(|task| {
        let Some(other) = array(b, "Tasks").iter().find(|t| t["Name"] == task["Name"]) else { return true };
        of_task.iter().any(|key| task[*key] != other[*key])
            || task["LogConfig"]["Disabled"] != other["LogConfig"]["Disabled"]
            || task["RestartPolicy"]["RenderTemplates"] != other["RestartPolicy"]["RenderTemplates"]
            || meta(old, a, task) != meta(new, b, other)
    })
}

/// A task's meta with that of its group and job below it.
fn meta(job: &Value, group: &Value, task: &Value) -> serde_json::Map<String, Value> {
    let mut all = serde_json::Map::new();
    for holder in [job, group, task] {
        if let Some(map) = holder["Meta"].as_object() {
            all.extend(map.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
    }
    all
}

fn alloc_name(job: &Value, group: &str, number: usize) -> String {
    format!("{}.{group}[{number}]", text(job, "ID"))
}

/// The number in an allocation's name.
fn position(name: &str) -> usize {
    name.rsplit_once('[').and_then(|(_, n)| n.trim_end_matches(']').parse().ok()).unwrap_or_default()
}
