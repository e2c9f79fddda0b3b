//! Checks of services that are registered with Nomad itself, as their client last saw them.
//!
//! Each is looked at once a second. It succeeds while the tasks run and the allocation doesn't ail.

use serde_json::{Map, Value, json};

use super::records::Allocation;
use super::value::{array, group, text};

/// What `client/allocation/ID/checks` says at a time (seconds since 1970); null where nothing is watched.
pub fn checks(a: &Allocation, ails: bool, now: i64) -> Value {
    if a.terminal() {
        return Value::Null;
    }
    let Some(spec) = group(&a.spec, &a.group) else { return Value::Null };
    let of_group = array(spec, "Services").iter().map(|service| ("", service));
    let of_tasks = array(spec, "Tasks")
        .iter()
        .flat_map(|task| array(task, "Services").iter().map(move |service| (text(task, "Name"), service)));
    let mut found = Map::new();
    for (task, service) in of_group.chain(of_tasks).filter(|(_, s)| text(s, "Provider") == "nomad") {
        for (number, check) in array(service, "Checks").iter().enumerate() {
            let (name, service) = (text(check, "Name"), text(service, "Name"));
            let id = format!("{:0>64}", format!("{}{task}{service}{number}", a.id).replace('-', ""));
            found.insert(id.clone(), one(a, &id, (task, service, name), text(check, "OnUpdate"), ails, now));
        }
    }
    if found.is_empty() { Value::Null } else { Value::Object(found) }
}

fn one(
    a: &Allocation,
    id: &str,
    (task, service, name): (&str, &str, &str),
    on_update: &str,
    ails: bool,
    now: i64,
) -> Value {
    let running = a.tasks.values().all(|task| task.state != "pending") && a.client == "running";
    let started =
        a.tasks.values().filter_map(|task| task.started).max().map_or(now, jiff::Timestamp::as_second);
    let (status, output) = match (running, ails) {
        // The first look is a second after the start.
        (true, _) if now <= started => ("pending", "nomad: waiting to run"),
        (true, false) => ("success", "nomad: http ok"),
        _ => ("failure", "nomad: Get: connection refused"),
    };
    let mode = if on_update == "ignore" { "readiness" } else { "healthiness" };
    let mut check = json!({"ID": id, "Mode": mode, "Status": status, "Output": output, "Timestamp": now,
        "Group": a.name, "Service": service, "Check": name});
    if !task.is_empty() {
        check["Task"] = json!(task);
    }
    if status == "success" {
        check["StatusCode"] = json!(200);
    }
    check
}
