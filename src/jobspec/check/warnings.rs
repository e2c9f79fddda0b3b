//! What Nomad takes and then doesn't do as meant, and what it calls deprecated itself.

use super::found::Found;
use super::job::Whole;
use super::network::ports;
use super::node::Node;
use super::policies::{self, Update};

pub fn warnings(job: &Node, found: &mut Found) {
    let whole = Whole { node: job, kind: job.text_or("Type", "service"), name: job.text("Name") };
    if job.int("Priority").is_some_and(|priority| (101..=32_766).contains(&priority)) {
        let help = "100 is the highest that servers take, unless their job_max_priority says otherwise";
        found.warn(job, "Priority", "this priority is above 100", help);
    }
    if let Some(periodic) = job.get("Periodic").filter(|periodic| !periodic.text("Spec").is_empty()) {
        found.warn(&periodic, "Spec", "`cron` is deprecated", "use crons = [\"…\"]");
    }
    if let Some(block) = job.get("Multiregion") {
        found.warn(&block, "", "jobs for several regions need Nomad Enterprise", "take `multiregion` out");
    }
    let (mut some, mut all) = (false, true);
    for group in job.items("TaskGroups") {
        let update = policies::update(&whole, &group);
        if let Some(update) = &update {
            some |= update.auto_promote;
            all &= update.canary == 0 || update.auto_promote;
        }
        self::group(&whole, &group, update.as_ref(), found);
    }
    if some && !all {
        let help = "set auto_promote = true in every group with canaries, or the others wait for a person";
        found.warn(job, "", "some groups promote their canaries themselves, others don't", help);
    }
}

fn group(whole: &Whole, node: &Node, update: Option<&Update>, found: &mut Found) {
    let name = node.text("Name");
    let count = node.int("Count").unwrap_or(1);
    if node.int("Count") == Some(0) {
        let message = format!("group `{name}` has a count of 0: nothing of it will run");
        found.warn(node, "Count", message, "raise `count`, or leave the group out");
    }
    if let Some(update) = update
        && count > 1
        && update.max_parallel > count
        && let Some(block) = update.block()
    {
        let message = format!("an update of group `{name}` replaces all of its {count} instances at once");
        found.warn(&block, "MaxParallel", message, format!("make `max_parallel` less than {count}"));
    }
    if whole.is_service()
        && let Some((block, "checks")) = update.and_then(Update::health_check)
        && !has_checks(node)
    {
        let message = format!("an update waits for the checks of group `{name}`, which has none");
        let help = "add a check to one of its services, or set health_check = \"task_states\"";
        found.warn(&block, "HealthCheck", message, help);
    }
    for (field, old, new) in [
        ("MaxClientDisconnect", "max_client_disconnect", "lost_after"),
        ("StopAfterClientDisconnect", "stop_after_client_disconnect", "stop_on_client_after"),
    ] {
        if node.has(field) {
            let message = format!("`{old}` is deprecated, and ignored");
            found.warn(node, field, message, format!("use disconnect {{ {new} = … }}"));
        }
    }
    if node.flag("PreventRescheduleOnLost") {
        let message = "`prevent_reschedule_on_lost` is deprecated, and ignored";
        found.warn(node, "PreventRescheduleOnLost", message, "use disconnect { replace = false }");
    }
    if let Some(network) = node.items("Networks").next().filter(|n| n.int("MBits").unwrap_or(0) > 0) {
        found.warn(&network, "MBits", "`mbits` is deprecated, and ignored", "take it out");
    }
    for service in node.items("Services") {
        undeclared(node, &service, found);
    }
    if let Some(volumes) = node.get("Volumes") {
        for name in volumes.json().as_object().into_iter().flat_map(|map| map.keys()) {
            let Some(volume) = volumes.get(name) else { continue };
            let kind = volume.text("Type");
            if !matches!(kind, "host" | "csi") {
                let message = format!("Nomad ignores the volume `{name}` of type {kind:?}");
                found.warn(&volume, "Type", message, "there are host and csi");
            }
        }
    }
    for task in node.items("Tasks") {
        self::task(&task, found);
    }
}

fn has_checks(group: &Node) -> bool {
    let any = |services: &Node| services.items("Services").any(|service| service.any("Checks"));
    any(group) || group.items("Tasks").any(|task| any(&task))
}

/// A port of a group's service that no network has: Nomad takes the job, and no allocation starts.
fn undeclared(group: &Node, service: &Node, found: &mut Found) {
    let port = service.text("PortLabel");
    if port.is_empty() || port.parse::<u32>().is_ok() || port.contains("${") || service.has("Connect") {
        return;
    }
    let networks: Vec<Node> = group.items("Networks").collect();
    if !networks.iter().flat_map(ports).any(|known| known.text("Label") == port) {
        let message = format!("no network of group `{}` has the port `{port}`", group.text("Name"));
        let help = format!("add port {port:?} {{}} to the group's network, or correct the name");
        found.warn(service, "PortLabel", message, help);
    }
}

fn task(task: &Node, found: &mut Found) {
    let config = task.get("Config");
    if let Some(config) = config.filter(|_| matches!(task.text("Driver"), "docker" | "podman")) {
        image(&config, found);
    }
    if let Some(resources) = task.get("Resources") {
        if resources.int("IOPS").unwrap_or(0) != 0 {
            found.warn(&resources, "IOPS", "`iops` is deprecated, and ignored", "take it out");
        }
        if resources.any("Networks") {
            let message = "a network within `resources` is deprecated";
            found.warn(&resources, "Networks", message, "move it into the group");
        }
        if resources.get("NUMA").is_some_and(|numa| !matches!(numa.text("Affinity"), "" | "none")) {
            found.warn(&resources, "NUMA", "`numa` needs Nomad Enterprise", "take it out");
        }
    }
    if task.has("Schedule") {
        found.warn(task, "Schedule", "`schedule` needs Nomad Enterprise", "take it out");
    }
    for template in task.items("Templates").filter(|template| template.int("VaultGrace").unwrap_or(0) != 0) {
        found.warn(&template, "VaultGrace", "`vault_grace` is deprecated, and ignored", "take it out");
    }
}

/// An image that may be another tomorrow.
fn image(config: &Node, found: &mut Found) {
    let image = config.text("image");
    if image.is_empty() || image.contains("${") || image.contains('@') || image.ends_with(".tar") {
        return;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    let (message, help) = match last.split_once(':') {
        None => ("the image has no tag, which means `latest`", "add the tag of a version"),
        Some((_, "latest")) => ("the image's tag is `latest`, which moves", "use the tag of a version"),
        Some(_) => return,
    };
    found.warn(config, "image", message, help);
}
