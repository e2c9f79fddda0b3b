//! What Nomad's client settles in a job before it sends it: inherited blocks, ports, template defaults.

use serde_json::{Map, Value as Json, json};

type Object = Map<String, Json>;

/// Settles the whole job; `label` is that of its block.
pub fn job(job: &mut Object, label: &str) {
    for key in ["Name", "ID"] {
        default(job, key, || label.into());
    }
    if let Some(periodic) = job.get_mut("Periodic").and_then(Json::as_object_mut)
        && ["Spec", "Specs"].iter().any(|key| periodic.get(*key).is_some_and(|value| !value.is_null()))
    {
        periodic.insert("SpecType".to_owned(), "cron".into());
    }
    let mut job_vault = job.remove("vault").unwrap_or_default();
    vault(&mut job_vault);
    let secrets = job.remove("secret").unwrap_or_default();
    if let Some(Json::Array(tasks)) = job.remove("task") {
        let mut groups: Vec<Json> = tasks.iter().map(lone_group).collect();
        groups.extend(array(job, "TaskGroups").cloned());
        job.insert("TaskGroups".to_owned(), groups.into());
    }
    for group in array_mut(job, "TaskGroups") {
        array_mut(group, "Networks").for_each(ports);
        for task in array_mut(group, "Tasks") {
            settle_task(task, &job_vault, &secrets);
        }
    }
}

/// A task right in a job is a group of its own.
fn lone_group(task: &Json) -> Json {
    let empty: Object = crate::jobspec::schema::JOB
        .find("group")
        .and_then(|field| field.kind.of())
        .into_iter()
        .flat_map(|of| of.fields)
        .map(|field| (field.json.to_owned(), field.kind.empty()))
        .collect();
    let mut group = empty;
    group.insert("Name".to_owned(), task.get("Name").cloned().unwrap_or_default());
    group.insert("Tasks".to_owned(), json!([task]));
    group.into()
}

fn settle_task(task: &mut Object, job_vault: &Json, secrets: &Json) {
    if let Some(resources) = task.get_mut("Resources").and_then(Json::as_object_mut) {
        array_mut(resources, "Networks").for_each(ports);
    }
    array_mut(task, "Templates").for_each(template);
    if let Some(own) = task.get_mut("Vault") {
        vault(own);
    }
    default(task, "Vault", || job_vault.clone());
    match (task.get_mut("Secrets").and_then(Json::as_array_mut), secrets.as_array()) {
        (Some(own), Some(more)) => own.extend(more.iter().cloned()),
        (None, Some(_)) => {
            task.insert("Secrets".to_owned(), secrets.clone());
        }
        _ => {}
    }
    // Agents before 1.7 know one identity only, and look for it here.
    if let Some(identities) = task.get_mut("Identities").and_then(Json::as_array_mut)
        && let Some(at) = identities
            .iter()
            .position(|identity| matches!(identity.get("Name").and_then(Json::as_str), Some("" | "default")))
    {
        let identity = identities.remove(at);
        task.insert("Identity".to_owned(), identity);
    }
}

fn vault(vault: &mut Json) {
    let Some(vault) = vault.as_object_mut() else { return };
    default(vault, "Env", || true.into());
    default(vault, "DisableFile", || false.into());
    default(vault, "ChangeMode", || "restart".into());
}

/// Ports with a number of their own are reserved, the others dynamic.
fn ports(network: &mut Object) {
    let Some(Json::Array(all)) = network.get("DynamicPorts") else { return };
    if all.is_empty() {
        return;
    }
    let fixed = |port: &Json| port.get("Value").and_then(Json::as_i64).is_some_and(|value| value > 0);
    let (reserved, dynamic): (Vec<Json>, Vec<Json>) = all.iter().cloned().partition(fixed);
    let list = |ports: Vec<Json>| if ports.is_empty() { Json::Null } else { ports.into() };
    network.insert("ReservedPorts".to_owned(), list(reserved));
    network.insert("DynamicPorts".to_owned(), list(dynamic));
}

const FIVE_SECONDS: i64 = 5_000_000_000;

fn template(template: &mut Object) {
    default(template, "ChangeMode", || "restart".into());
    default(template, "Perms", || "0644".into());
    default(template, "Splay", || FIVE_SECONDS.into());
    default(template, "ErrMissingKey", || false.into());
    if let Some(script) = template.get_mut("ChangeScript").and_then(Json::as_object_mut) {
        default(script, "Args", || json!([]));
        default(script, "Timeout", || FIVE_SECONDS.into());
        default(script, "FailOnError", || false.into());
        default(script, "RunOnFirstRender", || false.into());
    }
}

/// Sets what is null.
fn default(object: &mut Object, key: &str, value: impl FnOnce() -> Json) {
    if object.get(key).is_none_or(Json::is_null) {
        object.insert(key.to_owned(), value());
    }
}

fn array<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a Json> {
    object.get(key).and_then(Json::as_array).into_iter().flatten()
}

fn array_mut<'a>(object: &'a mut Object, key: &str) -> impl Iterator<Item = &'a mut Object> {
    object.get_mut(key).and_then(Json::as_array_mut).into_iter().flatten().filter_map(Json::as_object_mut)
}
