//! The networks of a group and, where still used, of its tasks.

use std::collections::{BTreeMap, BTreeSet};

use super::found::Found;
use super::group::Group;
use super::names::is_no_domain;
use super::node::Node;

/// The ports that are taken, over all networks of a group.
#[derive(Default)]
struct Taken<'a> {
    labels: BTreeSet<&'a str>,
    /// By host network.
    fixed: BTreeMap<&'a str, BTreeMap<i64, &'a str>>,
}

const MOST: i64 = 65_535;

/// Each port of a network: those with a number first, as Nomad takes them.
pub fn ports<'n>(network: &'n Node<'n>) -> impl Iterator<Item = Node<'n>> {
    network.items("ReservedPorts").chain(network.items("DynamicPorts"))
}

pub fn networks(group: &Group, found: &mut Found) {
    let networks: Vec<Node> = group.node.items("Networks").collect();
    let (mut taken, mut arguments) = (Taken::default(), BTreeSet::new());
    for network in &networks {
        let mode = network.text("Mode");
        for port in ports(network) {
            taken.port(&port, true, port.flag("IgnoreCollision"), found);
            let (label, to) = (port.text("Label"), port.int("To").unwrap_or(0));
            if !(-1..=MOST).contains(&to) {
                let message = format!("port `{label}` can't lead to {to}");
                found.refuse(&port, "To", message, "a number up to 65535, or -1 for the same as outside");
            }
            if port.flag("IgnoreCollision") && !matches!(mode, "" | "host") {
                let message = format!("port `{label}` ignores collisions in a network of mode `{mode}`");
                found.refuse(
                    &port,
                    "IgnoreCollision",
                    message,
                    "only in the host's network is that possible",
                );
            }
        }
        cni(network, &mut arguments, found);
        let host = network.text("Hostname");
        if !host.is_empty() && !host.contains("${") && is_no_domain(host) {
            let message = format!("{host:?} can't be a name in the DNS");
            found.refuse(network, "Hostname", message, "labels of 1 to 63 letters, with dots between");
        }
    }
    let tasks: Vec<Node> = group.node.items("Tasks").collect();
    let resources: Vec<Node> = tasks.iter().filter_map(|task| task.get("Resources")).collect();
    let networks: Vec<Node> = resources.iter().flat_map(|resources| resources.items("Networks")).collect();
    for port in networks.iter().flat_map(ports) {
        taken.port(&port, false, false, found);
    }
}

impl<'a> Taken<'a> {
    fn port(&mut self, port: &Node<'a>, keeps: bool, shares: bool, found: &mut Found) {
        let label = port.text("Label");
        // A task's labels are compared with those of the group only.
        let fresh = if keeps { self.labels.insert(label) } else { !self.labels.contains(label) };
        if !fresh {
            found.refuse(port, "Label", format!("there are two ports `{label}`"), "give one another name");
        }
        let Some(number) = port.int("Value").filter(|number| *number != 0) else { return };
        let host = match port.text("HostNetwork") {
            "" => "default",
            host => host,
        };
        let fixed = self.fixed.entry(host).or_default();
        if let Some(first) = fixed.get(&number) {
            if !shares {
                let message = format!("ports `{first}` and `{label}` both want {number}");
                found.refuse(port, "Value", message, "give one of them another number");
            }
        } else if number > MOST {
            let message = format!("port `{label}` can't be {number}");
            found.refuse(port, "Value", message, "65535 is the highest");
        } else {
            fixed.insert(number, label);
        }
    }
}

fn cni<'a>(network: &'a Node<'a>, seen: &mut BTreeSet<&'a str>, found: &mut Found) {
    let Some(cni) = network.get("CNI") else { return };
    let arguments = network.json().pointer("/CNI/Args").and_then(|args| args.as_object());
    for (key, value) in arguments.into_iter().flatten() {
        if !seen.insert(key) {
            found.refuse(&cni, "Args", format!("there are two CNI arguments `{key}`"), "take one out");
        }
        if key.contains(';') || value.as_str().is_some_and(|value| value.contains(';')) {
            let message = format!("the CNI argument `{key}` has a `;` in it");
            found.refuse(&cni, "Args", message, "arguments are sent with `;` between them: do without");
        }
    }
}
