//! What a task asks of its node.

use super::constraint::{affinities, constraints};
use super::found::Found;
use super::node::Node;

pub fn resources(task: &Node, found: &mut Found) {
    let Some(node) = task.get("Resources") else { return };
    let (cores, memory) = (node.int("Cores"), node.int("MemoryMB").unwrap_or(300));
    let cpu = node.int("CPU").unwrap_or(if cores.is_none() { 100 } else { 0 });
    let cores = cores.unwrap_or(0);
    if cores > 0 && cpu > 0 {
        let help = "take one of them out: whole cores, or a share in MHz";
        found.refuse(&node, "Cores", "there are both `cpu` and `cores`", help);
    }
    if cores < 0 {
        found.refuse(&node, "Cores", format!("there can't be {cores} cores"), "1 is the least");
    }
    if cpu < 1 && cores == 0 {
        found.refuse(&node, "CPU", format!("{cpu} MHz are too few"), "1 is the least; 100 without `cpu`");
    }
    if memory < 10 {
        let message = format!("{memory} MB of memory are too few");
        found.refuse(&node, "MemoryMB", message, "10 is the least; 300 without `memory`");
    }
    let most = node.int("MemoryMaxMB").unwrap_or(0);
    if most != 0 && most != -1 && most < memory {
        let message = format!("`memory_max` ({most} MB) is less than `memory` ({memory} MB)");
        found.refuse(&node, "MemoryMaxMB", message, "raise it, use -1 for no limit, or take it out");
    }
    let secrets = node.int("SecretsMB").unwrap_or(0);
    if secrets > memory || secrets < 0 {
        let message = format!("{secrets} MB for secrets don't fit into {memory} MB of memory");
        found.refuse(&node, "SecretsMB", message, "from 0 to the size of `memory`");
    }
    for device in node.items("Devices") {
        if device.text("Name").is_empty() {
            let help = "TYPE, VENDOR/TYPE or VENDOR/TYPE/MODEL, such as \"nvidia/gpu\"";
            found.refuse(&device, "Name", "a device has no name", help);
        }
        constraints(&device, true, found);
        affinities(&device, false, found);
    }
    if let Some(numa) = node.get("NUMA") {
        let affinity = numa.text("Affinity");
        if !matches!(affinity, "" | "none" | "prefer" | "require") {
            let message = format!("`{affinity}` is no affinity to a NUMA node");
            found.refuse(&numa, "Affinity", message, "there are none, prefer and require");
        }
        for name in numa.texts("Devices") {
            if !node.items("Devices").any(|device| device.text("Name") == name) {
                let message = format!("the task doesn't ask for the device `{name}`");
                found.refuse(&numa, "Devices", message, format!("add device {name:?} {{}} to `resources`"));
            }
        }
    }
}
