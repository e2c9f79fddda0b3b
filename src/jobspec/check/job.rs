//! The job itself, its schedule and its parameters.

use std::collections::BTreeMap;

use super::constraint::{affinities, constraints, spreads};
use super::cron;
use super::found::Found;
use super::group;
use super::node::Node;

/// What the rest of the job hangs on.
pub struct Whole<'a> {
    pub node: &'a Node<'a>,
    pub kind: &'a str,
    pub name: &'a str,
}

impl Whole<'_> {
    pub fn is_service(&self) -> bool {
        self.kind == "service"
    }

    pub fn is_system(&self) -> bool {
        self.kind == "system"
    }

    /// Runs to an end.
    pub fn is_batch(&self) -> bool {
        matches!(self.kind, "batch" | "sysbatch")
    }
}

const LONGEST_DESCRIPTION: usize = 1000;

pub fn job(node: &Node, found: &mut Found) {
    let id = node.text("ID");
    let whole = Whole { node, kind: node.text_or("Type", "service"), name: node.text_or("Name", id) };
    names(&whole, id, found);
    match whole.kind {
        "service" | "batch" | "system" | "sysbatch" => {}
        "" => found.refuse(node, "Type", "the job has no type", KINDS),
        "core" => found.refuse(node, "Type", "`core` is the type of Nomad's own jobs", KINDS),
        other => found.refuse(node, "Type", format!("`{other}` is no type of job"), KINDS),
    }
    if node.texts("Datacenters").any(str::is_empty) {
        let help = "name one, or leave `datacenters` out for all of them";
        found.refuse(node, "Datacenters", "a datacenter has an empty name", help);
    }
    if let Some(priority) = node.int("Priority").filter(|p| *p < 0 || *p > 32_766) {
        let message = format!("a priority of {priority} is out of bounds");
        found.refuse(
            node,
            "Priority",
            message,
            "1 is the lowest, 100 the highest unless the servers allow more",
        );
    }
    if node.flag("Dispatched") {
        let help = "leave it out: Nomad sets it in the jobs that it dispatches";
        found.refuse(node, "Dispatched", "a job can't say that it was dispatched", help);
    }
    if node.has("Payload") && node.json().pointer("/Payload").and_then(|p| p.as_str()) != Some("") {
        let help = "leave it out; `nomad job dispatch` takes it";
        found.refuse(node, "Payload", "a job can't bring a payload along", help);
    }
    for (block, what) in [("UI", "ui"), ("VersionTag", "version_tag")] {
        if let Some(inner) = node.get(block).filter(|i| i.text("Description").len() > LONGEST_DESCRIPTION) {
            let message = format!("the description of `{what}` is longer than {LONGEST_DESCRIPTION} bytes");
            found.refuse(&inner, "Description", message, "shorten it");
        }
    }
    constraints(node, false, found);
    affinities(node, whole.is_system(), found);
    spreads(node, whole.is_system(), found);
    groups(&whole, found);
    periodic(&whole, found);
    parameterized(&whole, found);
}

const KINDS: &str = "there are service, batch, system and sysbatch";

fn names(whole: &Whole, id: &str, found: &mut Found) {
    let node = whole.node;
    if id.is_empty() {
        found.refuse(node, "ID", "the job has no ID", "write it after `job`: job \"NAME\" { … }");
    } else if id.contains(' ') {
        found.refuse(node, "ID", format!("the ID {id:?} has a space in it"), "use `-` in its place");
    } else if id.contains('\0') {
        found.refuse(node, "ID", "the ID has a null character in it", "take it out");
    }
    if whole.name.is_empty() && !id.is_empty() {
        found.refuse(node, "Name", "the job's name is empty", "leave `name` out: then it is the ID");
    } else if whole.name.contains('\0') {
        found.refuse(node, "Name", "the name has a null character in it", "take it out");
    }
}

fn groups(whole: &Whole, found: &mut Found) {
    let node = whole.node;
    if !node.any("TaskGroups") {
        let help = "add group \"NAME\" { task \"NAME\" { … } }";
        found.refuse(node, "TaskGroups", "the job has no group", help);
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, group) in node.items("TaskGroups").enumerate() {
        let name = group.text("Name");
        if name.is_empty() {
            found.refuse(&group, "Name", format!("group {} has no name", index + 1), "name it");
        } else if let Some(first) = seen.get(name) {
            let message =
                format!("there are two groups `{name}`, the {} and the {}", nth(*first), nth(index));
            found.refuse(&group, "Name", message, "give one of them another name");
        } else {
            seen.insert(name, index);
        }
        group::group(whole, &group, found);
    }
}

pub fn nth(index: usize) -> String {
    match index + 1 {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("{n}th"),
    }
}

fn periodic(whole: &Whole, found: &mut Found) {
    let Some(periodic) = whole.node.get("Periodic") else { return };
    if !periodic.json().get("Enabled").and_then(serde_json::Value::as_bool).unwrap_or(true) {
        return;
    }
    if !whole.is_batch() {
        let message = format!("a {} job can't be periodic", whole.kind);
        found.refuse(&periodic, "", message, "set type = \"batch\" (or sysbatch), or take `periodic` out");
    }
    let spec = periodic.text("Spec");
    match (spec.is_empty(), periodic.any("Specs")) {
        (false, true) => {
            let help = "put all of them into `crons`";
            found.refuse(&periodic, "Specs", "there are both `cron` and `crons`", help);
        }
        (true, false) => {
            let help = "add crons = [\"0 3 * * *\"], for 3 o'clock each night";
            found.refuse(&periodic, "", "`periodic` doesn't say when", help);
        }
        _ => {}
    }
    let zone = periodic.text_or("TimeZone", "UTC");
    if is_no_zone(zone) {
        let help = "use a name of the IANA database, such as \"Europe/Paris\" or \"UTC\"";
        found.refuse(&periodic, "TimeZone", format!("{zone:?} is no time zone"), help);
    }
    match periodic.text_or("SpecType", "cron") {
        "cron" => {
            let one = (!spec.is_empty()).then_some((spec, "Spec"));
            for (spec, field) in one.into_iter().chain(periodic.texts("Specs").map(|spec| (spec, "Specs"))) {
                if let Err(why) = cron::check(spec) {
                    found.refuse(&periodic, field, format!("{spec:?} is no schedule: {why}"), cron::HELP);
                }
            }
        }
        "test" => {}
        other => {
            let message = format!("`{other}` is no kind of schedule");
            found.refuse(&periodic, "SpecType", message, "leave it out: it is cron");
        }
    }
}

/// A zone that the database of this machine hasn't, where there is one.
fn is_no_zone(name: &str) -> bool {
    let known = |name: &str| jiff::tz::TimeZone::get(name).is_ok();
    let always =
        ["", "UTC", "Local"].contains(&name) || name.starts_with("posix") || name.starts_with("right");
    !always && !known(name) && known("Europe/Paris")
}

fn parameterized(whole: &Whole, found: &mut Found) {
    let Some(block) = whole.node.get("ParameterizedJob") else { return };
    if whole.node.flag("Dispatched") {
        return;
    }
    if !whole.is_batch() {
        let message = format!("a {} job can't be parameterized", whole.kind);
        found.refuse(&block, "", message, "set type = \"batch\" (or sysbatch), or take `parameterized` out");
    }
    let payload = block.text("Payload");
    if !matches!(payload, "" | "optional" | "required" | "forbidden") {
        let message = format!("{payload:?} says nothing about the payload");
        found.refuse(&block, "Payload", message, "there are optional, required and forbidden");
    }
    if let Some(both) = block.texts("MetaRequired").find(|key| block.texts("MetaOptional").any(|o| o == *key))
    {
        let message = format!("the meta key `{both}` is both required and optional");
        found.refuse(&block, "MetaOptional", message, "take it out of one of the lists");
    }
}
