//! Constraints that follow from what a group uses, and that Nomad's server writes into it
//! (`jobImpliedConstraints`).

use serde_json::{Value, json};

use super::value::{array, set, text, truthy};

const SEMVER: &str = "semver";

/// Adds what a group's services, signals, Vault blocks and networks imply, where it isn't there yet.
pub fn constraints(group: &mut Value) {
    let mut wanted: Vec<(&str, &str, &str)> = Vec::new();
    let tasks = array(group, "Tasks");
    if tasks.iter().any(|t| truthy(&t["Vault"])) {
        wanted.push(("${attr.vault.version}", SEMVER, ">= 0.6.1"));
    }
    let signals = signals(tasks);
    if !signals.is_empty() {
        wanted.push(("${attr.os.signals}", "set_contains", &signals));
    }
    let services: Vec<&Value> =
        array(group, "Services").iter().chain(tasks.iter().flat_map(|t| array(t, "Services"))).collect();
    let native: Vec<&&Value> = services.iter().filter(|s| text(s, "Provider") == "nomad").collect();
    if !native.is_empty() {
        wanted.push(("${attr.nomad.service_discovery}", "=", "true"));
    }
    if native.iter().any(|s| !array(s, "Checks").is_empty()) {
        wanted.push(("${attr.nomad.version}", SEMVER, ">= 1.4.0"));
    }
    if in_consul(group) {
        wanted.push(CONSUL);
    }
    if array(group, "Networks").iter().any(|n| text(n, "Mode") == "bridge") {
        for plugin in [
            "${attr.plugins.cni.version.bridge}",
            "${attr.plugins.cni.version.firewall}",
            "${attr.plugins.cni.version.host-local}",
            "${attr.plugins.cni.version.loopback}",
            "${attr.plugins.cni.version.portmap}",
        ] {
            wanted.push((plugin, SEMVER, ">= 0.4.0"));
        }
    }
    add(group, wanted);
    // What a task's own services imply stands in the task.
    for task in group["Tasks"].as_array_mut().into_iter().flatten() {
        if in_consul(task) {
            add(task, vec![CONSUL]);
        }
    }
}

const CONSUL: (&str, &str, &str) = ("${attr.consul.version}", SEMVER, ">= 1.8.0");

fn in_consul(holder: &Value) -> bool {
    array(holder, "Services").iter().any(|s| text(s, "Provider") == "consul")
}

/// The signals that tasks are sent, sorted and with commas.
fn signals(tasks: &[Value]) -> String {
    let mut signals: Vec<&str> = Vec::new();
    for task in tasks {
        let by_signal = |holder: &&Value| text(holder, "ChangeMode") == "signal";
        let templates = array(task, "Templates").iter().chain([&task["Vault"]]).filter(by_signal);
        signals.extend(templates.map(|holder| text(holder, "ChangeSignal")));
        signals.extend(Some(text(task, "KillSignal")).filter(|signal| !signal.is_empty()));
    }
    signals.sort_unstable();
    signals.dedup();
    signals.join(",")
}

fn add(holder: &mut Value, wanted: Vec<(&str, &str, &str)>) {
    let mut all = array(holder, "Constraints").to_vec();
    for (left, operand, right) in wanted {
        if !all.iter().any(|c| text(c, "LTarget") == left) {
            all.push(json!({"LTarget": left, "RTarget": right, "Operand": operand}));
        }
    }
    if !all.is_empty() {
        set(holder, "Constraints", Value::Array(all));
    }
}
