//! Whether a registration is let in: check-and-set, what may not change, what a wrong job file runs into.

use serde_json::Value;

use super::failure::Failure;
use super::value::{array, int, set, text, uint};

pub fn enforce(wanted: u64, existing: Option<&Value>) -> Result<(), Failure> {
    let text = match (existing, wanted) {
        (Some(_), 0) => "Enforcing job modify index 0: job already exists".to_owned(),
        (Some(job), _) if uint(job, "JobModifyIndex") != wanted => format!(
            "Enforcing job modify index {wanted}: job exists with conflicting job modify index: {}",
            uint(job, "JobModifyIndex")
        ),
        (None, wanted) if wanted != 0 => format!("Enforcing job modify index {wanted}: job does not exist"),
        _ => return Ok(()),
    };
    Err(Failure::server(text))
}

pub fn periodicity(old: &Value, new: &Value) -> Result<(), Failure> {
    for (key, word) in [("Periodic", "periodic"), ("ParameterizedJob", "parameterized")] {
        match (old[key].is_null(), new[key].is_null()) {
            (false, true) => {
                return Err(Failure::server(format!("cannot update {word} job to being non-{word}")));
            }
            (true, false) => {
                return Err(Failure::server(format!("cannot update non-{word} job to being {word}")));
            }
            _ => {}
        }
    }
    Ok(())
}

pub fn preserve_counts(old: &Value, new: &mut Value) {
    for group in new["TaskGroups"].as_array_mut().into_iter().flatten() {
        let name = text(group, "Name").to_owned();
        if let Some(before) = super::value::group(old, &name) {
            set(group, "Count", before["Count"].clone());
        }
    }
}

/// Whether a registration changes the specification.
pub fn spec_changed(old: &Value, new: &Value) -> bool {
    let mut new = new.clone();
    let kept = [
        "Status",
        "StatusDescription",
        "Stable",
        "Version",
        "CreateIndex",
        "ModifyIndex",
        "JobModifyIndex",
        "SubmitTime",
    ];
    for key in kept {
        set(&mut new, key, old[key].clone());
    }
    *old != new
}

/// What a task can't ask for.
fn resources(wanted: &Value) -> impl Iterator<Item = String> {
    let of = |key: &str| int(wanted, key);
    let (cpu, cores, memory) = (of("CPU"), of("Cores"), of("MemoryMB"));
    let both = (cores > 0 && cpu > 0)
        .then(|| "Task can only ask for 'cpu' or 'cores' resource, not both.".to_owned());
    let negative = (cores < 0).then(|| format!("cores value ({cores}) cannot be negative"));
    let slow = (cpu < 1 && cores == 0).then(|| format!("minimum CPU value is 1; got {cpu}"));
    let small = (memory < 10).then(|| format!("minimum MemoryMB value is 10; got {memory}"));
    [both, negative, slow, small].into_iter().flatten()
}

/// What a group can't be updated by.
fn update(wanted: &Value) -> impl Iterator<Item = String> {
    let of = |key: &str| int(wanted, key);
    let (least, healthy, progress) = (of("MinHealthyTime"), of("HealthyDeadline"), of("ProgressDeadline"));
    let told = |first: &str, second: &str, a: i64, b: i64| {
        let shown = |nanoseconds: i64| super::fate::go_duration(nanoseconds);
        format!("{first} must be less than {second}: {} > {}", shown(a), shown(b))
    };
    // Jobs of kinds that have no deployments have none of these.
    let given = healthy > 0;
    let short =
        (given && least >= healthy).then(|| told("Minimum healthy time", "healthy deadline", least, healthy));
    let late = (given && progress != 0 && healthy >= progress)
        .then(|| told("Healthy deadline", "progress deadline", healthy, progress));
    [short, late].into_iter().flatten()
}

/// The checks of Nomad that a wrong job file runs into most.
pub fn validate(job: &Value) -> Result<(), Failure> {
    let mut errors: Vec<String> = Vec::new();
    let id = text(job, "ID");
    if id.is_empty() {
        errors.push("Missing job ID".into());
    } else if id.contains([' ', '\0']) {
        errors.push("Job ID contains a space".into());
    }
    if !matches!(text(job, "Type"), "service" | "batch" | "system" | "sysbatch") {
        errors.push(format!("Invalid job type: {:?}", text(job, "Type")));
    }
    if !(1..=100).contains(&int(job, "Priority")) {
        errors.push(format!("Job priority must be between [1, 100], got: {}", int(job, "Priority")));
    }
    if array(job, "TaskGroups").is_empty() {
        errors.push("Missing job task groups".into());
    }
    let mut names = Vec::new();
    for (i, group) in array(job, "TaskGroups").iter().enumerate() {
        let name = text(group, "Name");
        if name.is_empty() {
            errors.push(format!("Job task group {} missing name", i + 1));
        } else if names.contains(&name) {
            errors.push(format!("Job task group {} redefines '{name}' from an earlier group", i + 1));
        }
        names.push(name);
        if int(group, "Count") < 0 {
            errors.push(format!("Task group {name} validation failed: Task group count can't be negative"));
        }
        if array(group, "Tasks").is_empty() {
            errors.push(format!("Task group {name} validation failed: Missing tasks for task group"));
        }
        errors.extend(
            update(&group["Update"]).map(|error| format!("Task group {name} validation failed: {error}")),
        );
        for task in array(group, "Tasks") {
            let of =
                format!("Task group {name} validation failed: Task {} validation failed", text(task, "Name"));
            if text(task, "Driver").is_empty() {
                errors.push(format!("{of}: Missing task driver"));
            }
            errors.extend(resources(&task["Resources"]).map(|error| format!("{of}: {error}")));
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let count = if errors.len() == 1 {
        "1 error occurred:".into()
    } else {
        format!("{} errors occurred:", errors.len())
    };
    let list = errors.iter().fold(String::new(), |all, e| all + "\n\t* " + e);
    Err(Failure::server(format!("{count}{list}\n\n")))
}
