//! Consul Connect: what a group must have for a sidecar, a native service or a gateway.

use std::collections::BTreeSet;

use super::found::Found;
use super::group::Group;
use super::node::Node;
use super::service::Service;

/// Whether Nomad adds tasks of its own to the group.
pub fn brings_tasks(group: &Node) -> bool {
    group.items("Services").any(|service| {
        service.get("Connect").is_some_and(|connect| connect.has("SidecarService") || connect.has("Gateway"))
    })
}

/// The connect block of a group's service of Consul's.
pub fn service(group: &Group, service: &Service, found: &mut Found) {
    let Some(connect) = service.node.get("Connect") else { return };
    let (sidecar, native, gateway) =
        (connect.get("SidecarService"), connect.flag("Native"), connect.has("Gateway"));
    if u8::from(sidecar.is_some()) + u8::from(native) + u8::from(gateway) != 1 {
        let message = format!("the connect block of `{}` isn't one of three", service.name);
        let help = "it has one of: native = true, sidecar_service { … }, gateway { … }";
        found.refuse(&connect, "", message, help);
        return;
    }
    if native {
        let tasks = group.node.items("Tasks").count();
        if service.task.is_empty() && tasks != 1 {
            let message = format!("the native service `{}` doesn't say which task it is", service.name);
            found.refuse(service.node, "", message, "add task = \"NAME\"");
        } else if !service.task.is_empty()
            && !group.node.items("Tasks").any(|task| task.text("Name") == service.task)
        {
            let message = format!(
                "the native service `{}` names task `{}`, which the group hasn't",
                service.name, service.task
            );
            found.refuse(service.node, "TaskName", message, "name one of the group's tasks");
        }
        if service.port.is_empty() {
            let message = format!("the native service `{}` has no port", service.name);
            found.refuse(service.node, "", message, "add port = \"NAME\"");
        }
    }
    if sidecar.is_some() {
        for (what, name, at) in
            [("service", service.name.as_ref(), service.node), ("group", group.name, group.node)]
        {
            if name.to_lowercase() != name {
                let message = format!("the {what} `{name}` has a sidecar and capital letters");
                found.refuse(at, "Name", message, "Consul wants small ones");
            }
        }
    }
}

/// What the services of a group together need.
pub fn group(group: &Group, found: &mut Found) {
    let mut listeners: BTreeSet<String> = BTreeSet::new();
    for service in group.node.items("Services") {
        let exposed = service.items("Checks").find(|check| check.flag("Expose"));
        let Some(connect) = service.get("Connect") else {
            if let Some(check) = exposed.filter(|_| service.text("Provider") != "nomad") {
                let help = "add connect { sidecar_service {} } to the service, or take `expose` out";
                found.refuse(&check, "Expose", "an exposed check needs a sidecar", help);
            }
            continue;
        };
        if service.text("Provider") == "nomad" {
            continue;
        }
        let sidecar = connect.get("SidecarService");
        if sidecar.is_some() || connect.has("Gateway") {
            mode(group, &connect, sidecar.is_none(), found);
        }
        let proxy = sidecar.as_ref().and_then(|sidecar| sidecar.get("Proxy"));
        let Some(proxy) = proxy else { continue };
        for upstream in proxy.items("Upstreams") {
            let listener = match upstream.text("LocalBindSocketPath") {
                "" => {
                    let port = upstream.int("LocalBindPort").unwrap_or(0);
                    format!("{}:{port}", upstream.text("LocalBindAddress"))
                }
                path => path.to_owned(),
            };
            if listeners.contains(&listener) {
                let message = format!("two upstreams of group `{}` listen on {listener:?}", group.name);
                found.refuse(&upstream, "LocalBindPort", message, "give one of them another port");
            }
            listeners.insert(listener);
        }
    }
    for task in group.node.items("Tasks") {
        for service in task.items("Services").filter(|service| service.text("Provider") != "nomad") {
            for check in service.items("Checks").filter(|check| check.flag("Expose")) {
                let message = "an exposed check can't belong to a task's service";
                found.refuse(&check, "Expose", message, "move the service into the group");
            }
        }
    }
}

fn mode(group: &Group, connect: &Node, host: bool, found: &mut Found) {
    let what = if host { "gateway" } else { "sidecar" };
    let count = group.node.items("Networks").count();
    if count != 1 {
        let message = format!("group `{}` has a {what} and {count} networks", group.name);
        found.refuse(connect, "", message, "a group with Connect has one: network { mode = \"bridge\" }");
        return;
    }
    for network in group.node.items("Networks") {
        let mode = network.text("Mode");
        if mode != "bridge" && !mode.starts_with("cni/") && !(host && mode == "host") {
            let message = format!("group `{}` has a {what} in a network of mode {mode:?}", group.name);
            found.refuse(&network, "Mode", message, "set mode = \"bridge\" (or \"cni/NAME\")");
        }
    }
}
