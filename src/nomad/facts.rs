//! What is asked of a job as Nomad gives it: untyped JSON.

use serde_json::Value;

/// The job's `ID`; empty where it has none.
pub fn job_id(job: &Value) -> &str {
    job.get("ID").and_then(Value::as_str).unwrap_or_default()
}

/// `JobModifyIndex`: moves with the specification only; what check-and-set compares.
pub fn job_modify_index(job: &Value) -> u64 {
    number(job, "JobModifyIndex")
}

/// `Version`, from 0.
pub fn job_version(job: &Value) -> u64 {
    number(job, "Version")
}

/// Whether somebody stopped the job. A stopped job still exists for check-and-set. A finished batch
/// job and one with count 0 are `dead` too, but not stopped.
pub fn is_stopped(job: &Value) -> bool {
    job.get("Stop").and_then(Value::as_bool).unwrap_or_default()
}

/// The job without what the server keeps in it by itself.
pub fn specification(job: &Value) -> Value {
    const OWN: [&str; 10] = [
        "CreateIndex",
        "JobModifyIndex",
        "ModifyIndex",
        "NomadTokenID",
        "Stable",
        "Status",
        "StatusDescription",
        "SubmitTime",
        "Version",
        "VersionTag",
    ];
    let mut job = job.clone();
    if let Some(fields) = job.as_object_mut() {
        for own in OWN {
            fields.remove(own);
        }
    }
    job
}

/// The names in `meta { depends_on = "postgres, rabbitmq" }`.
pub fn depends_on(job: &Value) -> Vec<String> {
    let list = job.pointer("/Meta/depends_on").and_then(Value::as_str).unwrap_or_default();
    list.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The name of the job's version tag (Nomad 1.9+).
pub fn version_tag(job: &Value) -> Option<&str> {
    job.get("VersionTag")?.get("Name")?.as_str()
}

/// `service`, `batch`, `system` or `sysbatch`; what is left out is a service.
pub fn kind(job: &Value) -> &str {
    job.get("Type").and_then(Value::as_str).filter(|kind| !kind.is_empty()).unwrap_or("service")
}

/// Whether registering it places nothing by itself: it waits for its time, or to be dispatched.
pub fn waits_for_dispatch(job: &Value) -> bool {
    let present = |key: &str| job.get(key).is_some_and(Value::is_object);
    let enabled = |key: &str| job[key].get("Enabled").and_then(Value::as_bool).unwrap_or(true);
    (present("Periodic") && enabled("Periodic"))
        || (present("ParameterizedJob") && !job.get("Dispatched").and_then(Value::as_bool).unwrap_or(false))
}

/// Groups with their counts (what is left out is 1).
pub(super) fn groups(job: &Value) -> Vec<(String, u64)> {
    list(job, "TaskGroups")
        .map(|group| (name(group).to_owned(), group.get("Count").and_then(Value::as_u64).unwrap_or(1)))
        .collect()
}

/// Whether there is nothing of it to run: every count is 0.
pub fn is_idle(job: &Value) -> bool {
    !matches!(kind(job), "system" | "sysbatch") && groups(job).iter().all(|(_, count)| *count == 0)
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

pub(super) fn name(value: &Value) -> &str {
    value.get("Name").and_then(Value::as_str).unwrap_or_default()
}

fn number(job: &Value, key: &str) -> u64 {
    job.get(key).and_then(Value::as_u64).unwrap_or_default()
}
