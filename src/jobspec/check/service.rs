//! The services of a group and of its tasks.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::found::Found;
use super::group::Group;
use super::names::{is_service_name, reference, replaced};
use super::network::ports;
use super::node::Node;
use super::{connect, probe, task};

/// A service with what Nomad fills in.
pub struct Service<'a> {
    pub node: &'a Node<'a>,
    pub name: Cow<'a, str>,
    pub provider: &'a str,
    pub port: &'a str,
    /// The task that it names, or stands in.
    pub task: &'a str,
    /// Stands in a task, not in a group.
    pub inner: bool,
}

impl<'a> Service<'a> {
    /// `within` is the task that it stands in.
    pub fn of(group: &Group, within: Option<&'a str>, node: &'a Node<'a>) -> Self {
        let own = node.text("TaskName");
        Self {
            node,
            name: name(group, within, node.text("Name")),
            provider: match node.text("Provider") {
                "" => "consul",
                provider => provider,
            },
            port: node.text("PortLabel"),
            task: if own.is_empty() { within.unwrap_or_default() } else { own },
            inner: within.is_some(),
        }
    }
}

fn name<'a>(group: &Group, within: Option<&str>, written: &'a str) -> Cow<'a, str> {
    let (job, set) = (group.whole.name, group.name);
    if written.is_empty() {
        return match within {
            Some(task) => format!("{job}-{set}-{task}").into(),
            None => format!("{job}-{set}").into(),
        };
    }
    if !written.contains("${") {
        return written.into();
    }
    let task = within.unwrap_or("group");
    let base = format!("{job}-{set}-{task}");
    let known = |name: &str| match name {
        "JOB" => Some(job),
        "TASKGROUP" => Some(set),
        "TASK" => Some(task),
        "BASE" => Some(base.as_str()),
        _ => None,
    };
    replaced(written, known).into()
}

pub fn services(group: &Group, found: &mut Found) {
    let mut seen: BTreeSet<(String, &str)> = BTreeSet::new();
    let mut first: Option<&str> = None;
    let mut mixed = |at: &Node, provider: &'static str, found: &mut Found| match first {
        Some(other) if other != provider => {
            let message = format!("group `{}` has services of `{other}` and of `{provider}`", group.name);
            found.refuse(at, "Provider", message, "all services of a group have one provider");
        }
        Some(_) => {}
        None => first = Some(provider),
    };
    for task in group.node.items("Tasks") {
        let own = task.text("Name");
        let mut seen = BTreeSet::new();
        for node in task.items("Services") {
            let service = Service::of(group, Some(own), &node);
            mixed(&node, known(service.provider), found);
            if !seen.insert((service.name.to_string(), node.text("PortLabel"))) {
                let message = format!("task `{own}` has the service `{}` twice", service.name);
                found.refuse(&node, "Name", message, "give one of them another name or another port");
            }
            inner(group, &task, &service, found);
        }
    }
    for node in group.node.items("Services") {
        let service = Service::of(group, None, &node);
        mixed(&node, known(service.provider), found);
        if !seen.insert((service.name.to_string(), node.text("PortLabel"))) {
            let message = format!("group `{}` has the service `{}` twice", group.name, service.name);
            found.refuse(&node, "Name", message, "give one of them another name or another port");
        }
        outer(group, &service, found);
    }
}

/// Providers that Nomad has; another is refused for what it is.
fn known(provider: &str) -> &'static str {
    if provider == "nomad" { "nomad" } else { "consul" }
}

/// A service of a task.
fn inner(group: &Group, task: &Node, service: &Service, found: &mut Found) {
    let own = task.text("Name");
    if !service.task.is_empty() && service.task != own {
        let message = format!("the service `{}` of task `{own}` names task `{}`", service.name, service.task);
        found.refuse(
            service.node,
            "TaskName",
            message,
            "take `task` out, or move the service into the group",
        );
    }
    let mode = service.node.text("AddressMode");
    if mode == "alloc" || mode == "alloc_ipv6" {
        let message =
            format!("the service `{}` of a task can't have the address mode `{mode}`", service.name);
        found.refuse(service.node, "AddressMode", message, "move the service into the group");
    }
    if service.node.has("Connect") {
        let message = format!("the service `{}` of a task can't have a connect block", service.name);
        found.refuse(service.node, "Connect", message, "move the service into the group");
    }
    common(group, service, found);
    let by_number = mode == "driver" && service.port.parse::<i64>().is_ok();
    if !service.port.is_empty() && !by_number {
        declared(group, task, service, service.port, service.node, "PortLabel", found);
    }
    let mut names = BTreeSet::new();
    for check in service.node.items("Checks") {
        let name = probe::name(service, &check);
        if !names.insert(name.clone()) {
            let message = format!("the service `{}` has the check `{name}` twice", service.name);
            found.refuse(&check, "Name", message, "give one of them another name");
        }
        probe::of_task(group, task, service, &check, found);
    }
}

/// Whether a task's network or the group's first one has the port.
pub fn declared(
    group: &Group,
    task: &Node,
    service: &Service,
    port: &str,
    at: &Node,
    field: &str,
    found: &mut Found,
) {
    let has = |network: &Node| ports(network).any(|known| known.text("Label") == port);
    let first = group.node.items("Networks").next().is_some_and(|network| has(&network));
    let own = || task.get("Resources").is_some_and(|r| r.items("Networks").any(|network| has(&network)));
    if first || own() {
        return;
    }
    let message = format!("no network has the port `{port}` of the service `{}`", service.name);
    let help = format!("add port {port:?} {{}} to the group's network, or correct the name");
    found.refuse(at, field, message, help);
}

/// A service of a group.
fn outer(group: &Group, service: &Service, found: &mut Found) {
    if service.node.text("AddressMode") == "driver" {
        let message =
            format!("the service `{}` of a group can't have the address mode `driver`", service.name);
        found.refuse(service.node, "AddressMode", message, "move the service into its task");
    }
    common(group, service, found);
    for check in service.node.items("Checks") {
        let (name, task) = (probe::name(service, &check), check.text("TaskName"));
        let of = if task.is_empty() { service.task } else { task };
        if !of.is_empty() {
            if check.text("AddressMode") == "driver" {
                let message =
                    format!("the check `{name}` of a group's service can't have the address mode `driver`");
                found.refuse(&check, "AddressMode", message, "move the service into its task");
            }
            if !group.node.items("Tasks").any(|known| known.text("Name") == of) {
                let message = format!("the check `{name}` names task `{of}`, which the group hasn't");
                let place = if task.is_empty() { service.node } else { &check };
                found.refuse(place, "TaskName", message, "name one of the group's tasks");
            }
        }
        if check.text("Type") == "script" && service.task.is_empty() && task.is_empty() {
            let message = format!("the check `{name}` doesn't say in which task its script runs");
            found.refuse(&check, "", message, "add task = \"NAME\"");
        }
    }
}

/// What holds for both.
fn common(group: &Group, service: &Service, found: &mut Found) {
    let Service { node, name, provider, .. } = service;
    if !is_service_name(&without_references(name)) {
        let message = format!("{name:?} can't name a service");
        let help = "use letters, digits and dashes, no dash at either end, at most 63 characters";
        found.refuse(node, "Name", message, help);
    }
    match node.text("AddressMode") {
        "" | "auto" => {}
        mode @ ("host" | "driver" | "alloc" | "alloc_ipv6") => {
            if !node.text("Address").is_empty() {
                let message = format!("the service `{name}` has an address and the address mode `{mode}`");
                found.refuse(node, "AddressMode", message, "take one of them out");
            }
        }
        mode => {
            let message = format!("`{mode}` is no address mode of a service");
            found.refuse(node, "AddressMode", message, "there are auto, host, driver, alloc and alloc_ipv6");
        }
    }
    let update = node.text("OnUpdate");
    if !matches!(update, "" | "ignore" | "require_healthy" | "ignore_warnings") {
        let help = "there are require_healthy, ignore_warnings and ignore";
        found.refuse(node, "OnUpdate", format!("`{update}` says nothing about updates"), help);
    }
    match *provider {
        "consul" => {
            let kind = node.text("Kind");
            if !matches!(
                kind,
                "" | "api-gateway" | "ingress-gateway" | "mesh-gateway" | "terminating-gateway"
            ) {
                let help = "there are api-gateway, ingress-gateway, mesh-gateway and terminating-gateway";
                found.refuse(node, "Kind", format!("`{kind}` is no kind of service in Consul"), help);
            }
            if !service.inner {
                connect::service(group, service, found);
            }
        }
        "nomad" => {
            if node.has("Connect") {
                let message = format!("the service `{name}` of provider `nomad` can't have a connect block");
                found.refuse(node, "Connect", message, "set provider = \"consul\", or take `connect` out");
            }
        }
        other => {
            let message = format!("`{other}` provides no services");
            found.refuse(node, "Provider", message, "there are consul and nomad");
        }
    }
    if matches!(*provider, "consul" | "nomad") {
        for check in node.items("Checks") {
            probe::check(service, &check, found);
        }
    }
    if let Some(identity) = node.get("Identity") {
        if !identity.any("Audience") {
            let message = format!("the identity of the service `{name}` has no audience");
            found.refuse(&identity, "Audience", message, "add aud = [\"consul.io\"], for example");
        }
        if *provider == "nomad" && identity.text("Name").is_empty() {
            let message = format!("the identity of the service `{name}` has no name");
            found.refuse(&identity, "Name", message, "name it, or take the identity out");
        }
    }
}

fn without_references(name: &str) -> Cow<'_, str> {
    if reference(name).is_none() { name.into() } else { task::with_placeholders(name).into() }
}
