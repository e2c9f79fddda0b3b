//! Two exchanges of one patch held against each other: which calls with which statuses, and of each answer
//! the fields that the client reads.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::record::{Exchange, Recording, bare};

/// What is read of which answer; `*` is every item of a list, or every value of a map.
const READ: [(&str, &[&str]); 10] = [
    (
        "GET /v1/job/JOB",
        &[
            "ID",
            "Name",
            "Namespace",
            "Type",
            "Version",
            "JobModifyIndex",
            "ModifyIndex",
            "Status",
            "Stop",
            "Stable",
            "Meta",
            "Datacenters",
            "Update.AutoRevert",
            "TaskGroups.*.Name",
            "TaskGroups.*.Count",
            "TaskGroups.*.Update.AutoRevert",
            "TaskGroups.*.Tasks.*.Name",
            "TaskGroups.*.Tasks.*.Config.image",
            "TaskGroups.*.Tasks.*.Env",
            "TaskGroups.*.Tasks.*.Resources.CPU",
            "TaskGroups.*.RestartPolicy.Attempts",
        ],
    ),
    (
        "POST /v1/job/JOB/plan",
        &[
            "Diff.ID",
            "Diff.Type",
            "Diff.TaskGroups.*.Name",
            "Diff.TaskGroups.*.Type",
            "Diff.TaskGroups.*.Updates",
            "Diff.TaskGroups.*.Tasks.*.Name",
            "Diff.TaskGroups.*.Tasks.*.Type",
            "Diff.TaskGroups.*.Tasks.*.Annotations",
            "Diff.TaskGroups.*.Tasks.*.Objects.*.Name",
            "Diff.TaskGroups.*.Tasks.*.Objects.*.Fields.*.Old",
            "Diff.TaskGroups.*.Tasks.*.Objects.*.Fields.*.New",
            "Annotations.DesiredTGUpdates.*.Place",
            "Annotations.DesiredTGUpdates.*.DestructiveUpdate",
            "JobModifyIndex",
            "Warnings",
            "FailedTGAllocs.*.NodesEvaluated",
            "FailedTGAllocs.*.NodesFiltered",
            "FailedTGAllocs.*.NodesExhausted",
        ],
    ),
    ("POST /v1/job/JOB", &["EvalID", "JobModifyIndex", "Warnings"]),
    (
        "GET /v1/evaluation/ID",
        &[
            "ID",
            "Status",
            "TriggeredBy",
            "JobModifyIndex",
            "CreateIndex",
            "NextEval",
            "DeploymentID",
            "FailedTGAllocs.*.NodesEvaluated",
        ],
    ),
    (
        "GET /v1/job/JOB/evaluations",
        &["*.ID", "*.Status", "*.TriggeredBy", "*.JobModifyIndex", "*.CreateIndex"],
    ),
    (
        "GET /v1/deployment/ID",
        &[
            "ID",
            "JobID",
            "JobVersion",
            "JobSpecModifyIndex",
            "Status",
            "StatusDescription",
            "CreateIndex",
            "ModifyIndex",
            "TaskGroups.*.AutoRevert",
            "TaskGroups.*.DesiredTotal",
            "TaskGroups.*.PlacedAllocs",
            "TaskGroups.*.HealthyAllocs",
            "TaskGroups.*.UnhealthyAllocs",
            "TaskGroups.*.DesiredCanaries",
            "TaskGroups.*.Promoted",
            "TaskGroups.*.ProgressDeadline",
        ],
    ),
    (
        "GET /v1/job/JOB/deployment",
        &["ID", "JobVersion", "JobSpecModifyIndex", "Status", "StatusDescription"],
    ),
    ("GET /v1/job/JOB/deployments", &["*.ID", "*.JobVersion", "*.JobSpecModifyIndex", "*.Status"]),
    (
        "GET /v1/job/JOB/allocations",
        &[
            "*.ID",
            "*.EvalID",
            "*.NodeID",
            "*.NodeName",
            "*.TaskGroup",
            "*.JobVersion",
            "*.DesiredStatus",
            "*.ClientStatus",
            "*.CreateIndex",
            "*.ModifyIndex",
            "*.CreateTime",
            "*.DeploymentStatus.Healthy",
            "*.TaskStates.*.State",
            "*.TaskStates.*.Failed",
            "*.TaskStates.*.Restarts",
            "*.TaskStates.*.Events.*.Type",
            "*.TaskStates.*.Events.*.Time",
            "*.TaskStates.*.Events.*.DisplayMessage",
        ],
    ),
    ("PUT /v1/deployment/fail/ID", &["EvalID", "DeploymentModifyIndex", "RevertedJobVersion"]),
];

/// A call with what varies from run to run left out.
fn call(job: &str, one: &Exchange) -> String {
    let parts = bare(&one.path).split('/').map(|part| {
        let is_id = part.len() == 36 && part.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        if part == job {
            "JOB"
        } else if is_id {
            "ID"
        } else {
            part
        }
    });
    format!("{} {}", one.method, parts.collect::<Vec<_>>().join("/"))
}

/// The kinds of values at a place: what is null or missing may be either.
fn kinds(value: &Value, path: &[&str], found: &mut BTreeSet<&'static str>) {
    let Some((first, rest)) = path.split_first() else {
        match value {
            Value::Null => {}
            Value::Bool(_) => drop(found.insert("bool")),
            Value::Number(_) => drop(found.insert("number")),
            Value::String(_) => drop(found.insert("string")),
            Value::Array(_) => drop(found.insert("list")),
            Value::Object(_) => drop(found.insert("map")),
        }
        return;
    };
    match (value, *first) {
        (Value::Array(items), "*") => items.iter().for_each(|item| kinds(item, rest, found)),
        (Value::Object(fields), "*") => fields.values().for_each(|item| kinds(item, rest, found)),
        (Value::Object(fields), name) => {
            if let Some(field) = fields.get(name) {
                kinds(field, rest, found);
            }
        }
        _ => {}
    }
}

fn shapes(job: &str, exchanges: &[Exchange]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut shapes: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for one in exchanges.iter().filter(|one| one.status == 200) {
        let call = call(job, one);
        for field in READ.iter().find(|(known, _)| *known == call).map_or(&[][..], |(_, fields)| fields) {
            let path: Vec<&str> = field.split('.').collect();
            kinds(&one.body, &path, shapes.entry(format!("{call}: {field}")).or_default());
        }
    }
    shapes
}

/// What is asked only where an evaluation isn't done in time to name its deployment.
const BY_CHANCE: [&str; 2] = ["GET /v1/job/JOB/deployment", "GET /v1/job/JOB/evaluations"];

/// Each call that was made, with the statuses it was answered with.
fn calls(job: &str, exchanges: &[Exchange]) -> BTreeSet<(String, u16)> {
    let calls = exchanges.iter().map(|one| (call(job, one), one.status));
    calls.filter(|(call, _)| !BY_CHANCE.contains(&call.as_str())).collect()
}

/// The numbers of a text are its run's own.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        match c {
            '0'..='9' if out.ends_with('N') => {}
            '0'..='9' => out.push('N'),
            other => out.push(other),
        }
    }
    out
}

/// What the server says in plain words: errors, and how a deployment stands in the end.
fn words(job: &str, exchanges: &[Exchange]) -> BTreeSet<String> {
    let errors = exchanges.iter().filter(|one| one.status >= 400 && one.status != 404);
    let mut words: BTreeSet<String> =
        errors.map(|one| without_numbers(one.body.as_str().unwrap_or_default())).collect();
    let mut deployments = exchanges.iter().filter(|one| call(job, one) == "GET /v1/deployment/ID");
    words.extend(
        deployments.next_back().map(|one| without_numbers(one.body["StatusDescription"].as_str().unwrap())),
    );
    words
}

/// Asserts that the simulator's exchange is like the recorded one.
pub fn alike(recording: &Recording, simulated: &[Exchange]) {
    let job = recording.job.as_str();
    let (real, own) = (&recording.exchanges, simulated);
    assert_eq!(calls(job, own), calls(job, real), "calls and statuses (simulated, real)");
    assert_eq!(words(job, own), words(job, real), "words (simulated, real)");
    let (real_shapes, own_shapes) = (shapes(job, real), shapes(job, own));
    assert!(real_shapes.len() > 30, "{real_shapes:?}");
    for (place, real) in real_shapes.iter().filter(|(place, _)| own_shapes.contains_key(*place)) {
        assert_eq!(own_shapes.get(place), Some(real), "{place} (simulated, real)");
    }
    // The same change of the same job has the same diff.
    let diff = |exchanges: &[Exchange]| {
        let plan = exchanges.iter().find(|one| call(job, one) == "POST /v1/job/JOB/plan");
        plan.map(|one| one.body["Diff"].clone())
    };
    assert_eq!(diff(own), diff(real), "(simulated, real)");
}
