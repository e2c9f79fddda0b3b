//! A group, but for its parts that have a file of their own.

use std::collections::BTreeMap;

use super::constraint::{affinities, constraints, spreads};
use super::found::{Found, time};
use super::job::{Whole, nth};
use super::node::Node;
use super::policies::{self, Update};
use super::{connect, network, service, task, volume};

/// A group with what its parts ask it.
pub struct Group<'a> {
    pub whole: &'a Whole<'a>,
    pub node: &'a Node<'a>,
    pub name: &'a str,
    pub count: i64,
    pub update: Option<Update<'a>>,
    /// MB of the ephemeral disk.
    pub disk: i64,
}

pub fn group(whole: &Whole, node: &Node, found: &mut Found) {
    let scaling = node.get("Scaling");
    let least = scaling.as_ref().and_then(|scaling| scaling.int("Min"));
    let group = Group {
        whole,
        node,
        name: node.text("Name"),
        count: node.int("Count").or(least).unwrap_or(1),
        update: policies::update(whole, node),
        disk: node.get("EphemeralDisk").and_then(|disk| disk.int("SizeMB")).unwrap_or(300),
    };
    own(&group, found);
    disconnect(&group, found);
    constraints(node, false, found);
    affinities(node, whole.is_system(), found);
    spreads(node, whole.is_system(), found);
    policies::policies(&group, found);
    if group.disk < 10 {
        let disk = node.get("EphemeralDisk");
        let at = disk.as_ref().unwrap_or(node);
        let message = format!("an ephemeral disk of {} MB is too small", group.disk);
        found.refuse(at, "SizeMB", message, "10 MB is the least; 300 is what a group gets without the block");
    }
    if let Some(scaling) = &scaling {
        self::scaling(&group, scaling, found);
    }
    volume::volumes(&group, found);
    network::networks(&group, found);
    service::services(&group, found);
    connect::group(&group, found);
    for task in node.items("Tasks") {
        task::task(&group, &task, found);
    }
}

fn own(group: &Group, found: &mut Found) {
    let Group { whole, node, name, count, .. } = group;
    if name.contains('\0') {
        found.refuse(node, "Name", "the group's name has a null character in it", "take it out");
    }
    if *count < 0 {
        found.refuse(node, "Count", format!("a group can't have {count} instances"), "0 is the least");
    }
    if whole.is_system() && *count > 1 {
        let message = format!("group `{name}` of a system job has a count of {count}");
        let help = "take `count` out: a system job runs once on every node";
        found.refuse(node, "Count", message, help);
    }
    if node.int("ShutdownDelay").is_some_and(|delay| delay < 0) {
        found.refuse(node, "ShutdownDelay", "`shutdown_delay` is less than nothing", "use 0s or more");
    }
    if let Some(limit) = node.int("MaxRunDuration") {
        if limit <= 0 {
            let message = format!("`max_run_duration` of {} lets nothing run", time(limit));
            found.refuse(node, "MaxRunDuration", message, "make it longer than 0s, or take it out");
        }
        if !whole.is_batch() {
            let message = format!("a {} job can't have `max_run_duration`", whole.kind);
            found.refuse(node, "MaxRunDuration", message, "batch and sysbatch jobs can");
        }
    }
    if !node.any("Tasks") && !connect::brings_tasks(node) {
        let message = format!("group `{name}` has no task");
        found.refuse(node, "", message, "add task \"NAME\" { driver = \"docker\" … }");
    }
    let (mut seen, mut leader): (BTreeMap<&str, usize>, Option<&str>) = (BTreeMap::new(), None);
    for (index, task) in node.items("Tasks").enumerate() {
        let own = task.text("Name");
        if own.is_empty() {
            found.refuse(
                &task,
                "Name",
                format!("task {} of group `{name}` has no name", index + 1),
                "name it",
            );
        } else if let Some(first) = seen.insert(own, index) {
            let message = format!(
                "there are two tasks `{own}` in group `{name}`, the {} and the {}",
                nth(first),
                nth(index)
            );
            found.refuse(&task, "Name", message, "give one of them another name");
        }
        if task.flag("Leader") {
            if let Some(first) = leader {
                let message = format!("`{first}` and `{own}` both lead group `{name}`");
                found.refuse(&task, "Leader", message, "leave `leader = true` in one of them");
            }
            leader = leader.or(Some(own));
        }
    }
}

fn disconnect(group: &Group, found: &mut Found) {
    let Some(block) = group.node.get("Disconnect") else { return };
    let (stop, lost) = (block.int("StopOnClientAfter"), block.int("LostAfter").unwrap_or(0));
    if stop.is_some_and(|stop| stop < 0) {
        found.refuse(
            &block,
            "StopOnClientAfter",
            "`stop_on_client_after` is less than nothing",
            "use 0s or more",
        );
    }
    if stop.is_some() && !matches!(group.whole.kind, "service" | "batch") {
        let message = format!("a {} job can't have `stop_on_client_after`", group.whole.kind);
        found.refuse(&block, "StopOnClientAfter", message, "service and batch jobs can");
    }
    if lost < 0 {
        found.refuse(&block, "LostAfter", "`lost_after` is less than nothing", "use 0s or more");
    }
    if stop.is_some() && lost != 0 {
        let message = "there are both `lost_after` and `stop_on_client_after`";
        found.refuse(&block, "LostAfter", message, "take one of them out");
    }
    let reconcile = block.text("Reconcile");
    if !matches!(reconcile, "" | "best_score" | "longest_running" | "keep_original" | "keep_replacement") {
        let help = "there are best_score, longest_running, keep_original and keep_replacement";
        found.refuse(&block, "Reconcile", format!("`{reconcile}` is no way to reconcile"), help);
    }
}

fn scaling(group: &Group, block: &Node, found: &mut Found) {
    if group.whole.is_system() {
        let help = "take it out: a system job runs once on every node";
        found.refuse(block, "", "a system job can't scale", help);
    }
    let (least, most) = (block.int("Min").unwrap_or(group.count), block.int("Max").unwrap_or(-1));
    if most < 0 {
        found.refuse(block, "Max", "`scaling` has no highest count", "add max = 10, for example");
    } else if most < least {
        let message = format!("the highest count of {most} is lower than the lowest of {least}");
        found.refuse(block, "Max", message, "raise `max`, or lower `min` or the group's `count`");
    } else if most < group.count {
        let message = format!("the group's count of {} is above the highest of {most}", group.count);
        found.refuse(block, "Max", message, "raise `max`, or lower `count`");
    }
    if least < 0 {
        found.refuse(block, "Min", format!("the lowest count can't be {least}"), "0 is the least");
    }
    if group.count < least {
        let message = format!("the group's count of {} is below the lowest of {least}", group.count);
        found.refuse(block, "Min", message, "raise `count`, or lower `min`");
    }
}
