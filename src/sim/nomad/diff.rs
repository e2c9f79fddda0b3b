//! The structured difference of two jobs, as Nomad's plan shows it: fields and objects by name, unchanged
//! fields of a changed object included.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::reconcile::Counts;
use super::value::{array, text};

/// Objects and lists in a job, group or task, by the name their difference has, in the order of Nomad's diff.
const OBJECTS: [(&str, &str); 33] = [
    ("Constraints", "Constraint"),
    ("Affinities", "Affinity"),
    ("RestartPolicy", "RestartPolicy"),
    ("Migrate", "Migrate"),
    ("ReschedulePolicy", "ReschedulePolicy"),
    ("EphemeralDisk", "EphemeralDisk"),
    ("Config", "Config"),
    ("Resources", "Resources"),
    ("LogConfig", "LogConfig"),
    ("DispatchPayload", "DispatchPayload"),
    ("Artifacts", "Artifact"),
    ("Consul", "Consul"),
    ("Update", "Update"),
    ("Disconnect", "Disconnect"),
    ("Networks", "Network"),
    ("ReservedPorts", "Static Port"),
    ("DynamicPorts", "Dynamic Port"),
    ("Scaling", "Scaling"),
    ("Services", "Service"),
    ("Checks", "Check"),
    ("CheckRestart", "CheckRestart"),
    ("Weights", "Weights"),
    ("Vault", "Vault"),
    ("Secrets", "Secret"),
    ("Templates", "Template"),
    ("Identity", "Identity"),
    ("Identities", "Identity"),
    ("Actions", "Action"),
    ("VolumeMounts", "VolumeMount"),
    ("Periodic", "Periodic"),
    ("ParameterizedJob", "ParameterizedJob"),
    ("Multiregion", "Multiregion"),
    ("UI", "UI"),
];

/// Lists of plain texts that are told as sets.
const SETS: [&str; 4] = ["Datacenters", "Tags", "CanaryTags", "Audience"];

/// Objects that are tables of plain texts, and so fields of what holds them.
const TABLES: [&str; 3] = ["Meta", "Env", "CanaryMeta"];

const OF_JOB: [&str; 11] = [
    "Status",
    "StatusDescription",
    "Version",
    "Stable",
    "CreateIndex",
    "ModifyIndex",
    "JobModifyIndex",
    "Update",
    "SubmitTime",
    "NomadTokenID",
    "VaultToken",
];

/// The difference of two versions of a job, either of which may not be.
pub fn jobs(old: Option<&Value>, new: Option<&Value>) -> Value {
    let mut skip: Vec<&str> = OF_JOB.to_vec();
    skip.extend(["ID", "TaskGroups", "VersionTag", "Spreads", "Payload"]);
    let (fields, objects) = parts(old, new, &skip, false);
    let groups = named(old, new, "TaskGroups", group);
    let kind = match (old, new) {
        (None, Some(_)) => "Added",
        (Some(_), None) => "Deleted",
        _ if changed(&fields) || changed(&objects) || changed(&groups) => "Edited",
        _ => "None",
    };
    let id = new.or(old).map_or(Value::Null, |job| job["ID"].clone());
    json!({"Type": kind, "ID": id, "Fields": list(fields), "Objects": list(objects), "TaskGroups": list(groups)})
}

/// Writes what the scheduler will do next to what changed.
pub fn annotate(diff: &mut Value, updates: &BTreeMap<String, Counts>) {
    for group in diff["TaskGroups"].as_array_mut().into_iter().flatten() {
        let kind = text(group, "Type").to_owned();
        if let Some(counts) = updates.get(text(group, "Name")) {
            let named = [
                ("ignore", counts.ignore),
                ("create", counts.place),
                ("migrate", counts.migrate),
                ("destroy", counts.stop),
                ("canary", counts.canary),
                ("in-place update", counts.in_place),
                ("create/destroy update", counts.destructive),
            ];
            let map: Map<String, Value> = named
                .iter()
                .filter(|(_, n)| *n > 0)
                .map(|(name, n)| ((*name).to_owned(), json!(n)))
                .collect();
            group["Updates"] = Value::Object(map);
        }
        for field in group["Fields"].as_array_mut().into_iter().flatten() {
            if text(field, "Name") == "Count" {
                let number = |key: &str| text(field, key).parse::<i64>().unwrap_or_default();
                let (old, new) = (number("Old"), number("New"));
                if old != new {
                    field["Annotations"] =
                        json!([if old < new { "forces create" } else { "forces destroy" }]);
                }
            }
        }
        for task in group["Tasks"].as_array_mut().into_iter().flatten() {
            let own = text(task, "Type").to_owned();
            if own == "None" {
                continue;
            }
            let whole = kind == "Added" || kind == "Deleted";
            let note = if whole && own == "Added" {
                "forces create"
            } else if whole && own == "Deleted" {
                "forces destroy"
            } else if destructive(task) {
                "forces create/destroy update"
            } else {
                "forces in-place update"
            };
            task["Annotations"] = json!([note]);
        }
    }
}

fn destructive(task: &Value) -> bool {
    array(task, "Fields").iter().any(|f| text(f, "Name") != "KillTimeout")
        || array(task, "Objects").iter().any(|o| match text(o, "Name") {
            "Service" | "Constraint" | "Affinity" | "Spread" => false,
            "LogConfig" => array(o, "Fields").iter().any(|f| text(f, "Name") == "Disabled"),
            _ => true,
        })
}

fn group(old: Option<&Value>, new: Option<&Value>) -> Value {
    let mut skip = vec!["Name", "Tasks", "Spreads", "Volumes"];
    if old.is_none() || new.is_none() {
        // Go's pointers, which its diff flattens only where there are two sides.
        skip.extend(["ShutdownDelay", "MaxRunDuration", "StopAfterClientDisconnect", "MaxClientDisconnect"]);
    }
    let (fields, objects) = parts(old, new, &skip, false);
    let tasks = named(old, new, "Tasks", |old, new| {
        let (fields, objects) = parts(old, new, &["Name", "ScalingPolicies", "RestartPolicy"], false);
        json!({"Type": kind(old, new), "Name": name(old, new), "Fields": list(fields), "Objects": list(objects),
            "Annotations": null})
    });
    json!({"Type": kind(old, new), "Name": name(old, new), "Fields": list(fields), "Objects": list(objects),
        "Tasks": list(tasks), "Updates": null})
}

/// The differences of two lists of named things, by name.
fn named(
    old: Option<&Value>,
    new: Option<&Value>,
    key: &str,
    one: impl Fn(Option<&Value>, Option<&Value>) -> Value,
) -> Vec<Value> {
    let of = |holder: Option<&Value>| -> BTreeMap<String, Value> {
        holder
            .map(|h| array(h, key))
            .unwrap_or_default()
            .iter()
            .map(|item| (text(item, "Name").to_owned(), item.clone()))
            .collect()
    };
    let (old, new) = (of(old), of(new));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().map(|name| one(old.get(name), new.get(name))).collect()
}

/// Fields and objects of two things that aren't lists.
fn parts(old: Option<&Value>, new: Option<&Value>, skip: &[&str], context: bool) -> (Vec<Value>, Vec<Value>) {
    let fields = fields(&flat(old, skip), &flat(new, skip), context);
    let mut objects = Vec::new();
    for key in SETS.iter().filter(|k| !skip.contains(k)) {
        objects.extend(set(key, old, new));
    }
    for (key, shown) in OBJECTS.iter().filter(|(k, _)| !skip.contains(k)) {
        let get = |holder: Option<&Value>| holder.map(|h| h[*key].clone()).filter(|v| !v.is_null());
        objects.extend(objects_of(key, shown, get(old).as_ref(), get(new).as_ref()));
    }
    (fields, objects)
}

fn objects_of(key: &str, shown: &str, old: Option<&Value>, new: Option<&Value>) -> Vec<Value> {
    if old == new {
        return Vec::new();
    }
    if key == "Config" {
        let flat = |v: Option<&Value>| {
            let mut out = BTreeMap::new();
            if let Some(v) = v {
                flatten("", v, &mut out);
            }
            out
        };
        let fields = fields(&flat(old), &flat(new), true);
        return vec![json!({"Type": kind(old, new), "Name": shown, "Fields": list(fields), "Objects": null})];
    }
    let lists = old.is_some_and(Value::is_array) || new.is_some_and(Value::is_array);
    if !lists {
        return object(shown, old, new).into_iter().collect();
    }
    let items = |v: Option<&Value>| v.and_then(Value::as_array).cloned().unwrap_or_default();
    let (mut old, mut new) = (items(old), items(new));
    let same: Vec<Value> = old.iter().filter(|o| new.contains(o)).cloned().collect();
    old.retain(|o| !same.contains(o));
    new.retain(|n| !same.contains(n));
    let mut out = Vec::new();
    for o in &old {
        // What has a name is the same thing with other contents; what has none is another thing.
        let id = ["Name", "Label", "DestPath"].iter().find(|k| !text(o, k).is_empty());
        let other = id.and_then(|k| new.iter().position(|n| n[*k] == o[*k]));
        let other = other.map(|i| new.remove(i));
        out.extend(object(shown, Some(o), other.as_ref()));
    }
    out.extend(new.iter().filter_map(|n| object(shown, None, Some(n))));
    // Edited, then added, then deleted.
    out.sort_by_key(|o| match text(o, "Type") {
        "Edited" => 0,
        "Added" => 1,
        _ => 2,
    });
    out
}

fn object(shown: &str, old: Option<&Value>, new: Option<&Value>) -> Option<Value> {
    let skip: &[&str] = match shown {
        "Update" => &["Stagger"],
        "Network" => &["Device", "CIDR", "IP", "MBits"],
        "Dynamic Port" => &["Value", "IgnoreCollision"],
        _ => &[],
    };
    let (mut fields, objects) = parts(old, new, skip, true);
    if shown == "Network" {
        // Nomad leaves these out of a network where they are empty, but not out of its diff.
        for name in ["Mode", "Hostname"] {
            if !fields.iter().any(|f| text(f, "Name") == name) {
                fields.insert(0, field(name, "", ""));
            }
        }
    }
    if !changed(&fields) && !changed(&objects) {
        return None;
    }
    Some(json!({"Type": kind(old, new), "Name": shown, "Fields": list(fields), "Objects": list(objects)}))
}

fn set(key: &str, old: Option<&Value>, new: Option<&Value>) -> Option<Value> {
    let of = |v: Option<&Value>| -> BTreeSet<String> {
        v.map(|v| array(v, key))
            .unwrap_or_default()
            .iter()
            .filter_map(|s| s.as_str().map(str::to_owned))
            .collect()
    };
    let (old, new) = (of(old), of(new));
    if old == new {
        return None;
    }
    let mut fields: Vec<Value> = old
        .union(&new)
        .map(|item| {
            field(key, if old.contains(item) { item } else { "" }, if new.contains(item) { item } else { "" })
        })
        .collect();
    fields.sort_by(|a, b| text(a, "Old").cmp(text(b, "Old")).then(text(a, "New").cmp(text(b, "New"))));
    let kind = match (new.difference(&old).next().is_some(), old.difference(&new).next().is_some()) {
        (true, true) => "Edited",
        (true, false) => "Added",
        _ => "Deleted",
    };
    Some(json!({"Type": kind, "Name": key, "Fields": fields, "Objects": null}))
}

fn flat(holder: Option<&Value>, skip: &[&str]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (key, value) in holder.and_then(Value::as_object).into_iter().flatten() {
        if skip.contains(&key.as_str()) {
            continue;
        }
        match value {
            Value::Object(_) if TABLES.contains(&key.as_str()) => flatten(key, value, &mut out),
            Value::Object(_) | Value::Array(_) | Value::Null => {}
            plain => {
                out.insert(key.clone(), shown(plain));
            }
        }
    }
    out
}

fn flatten(prefix: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let inside = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}[{key}]") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, v)| flatten(&inside(key), v, out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| flatten(&inside(&i.to_string()), v, out));
        }
        Value::Null => {}
        plain => {
            out.insert(prefix.to_owned(), shown(plain));
        }
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fields(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>, context: bool) -> Vec<Value> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let of = |map: &BTreeMap<String, String>, name: &String| map.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| {
            let (old, new) = (of(old, name), of(new, name));
            (context || old != new).then(|| field(name, &old, &new))
        })
        .collect()
}

fn field(name: &str, old: &str, new: &str) -> Value {
    let kind = if old == new {
        "None"
    } else if old.is_empty() {
        "Added"
    } else if new.is_empty() {
        "Deleted"
    } else {
        "Edited"
    };
    json!({"Type": kind, "Name": name, "Old": old, "New": new, "Annotations": null})
}

fn kind(old: Option<&Value>, new: Option<&Value>) -> &'static str {
    match (old, new) {
        (None, Some(_)) => "Added",
        (Some(_), None) => "Deleted",
        _ if old == new => "None",
        _ => "Edited",
    }
}

fn name(old: Option<&Value>, new: Option<&Value>) -> Value {
    new.or(old).map_or(Value::Null, |v| v["Name"].clone())
}

fn changed(parts: &[Value]) -> bool {
    parts.iter().any(|p| text(p, "Type") != "None")
}

fn list(items: Vec<Value>) -> Value {
    if items.is_empty() { Value::Null } else { Value::Array(items) }
}

#[cfg(test)]
mod tests {
    use super::super::canonical;
    use super::*;

    fn job(image: &str, count: i64) -> Value {
        canonical::job(&json!({"ID": "web", "TaskGroups": [{"Name": "g", "Count": count, "Tasks": [
            {"Name": "t", "Driver": "docker", "Config": {"image": image, "args": ["a"]}}]}]}))
    }

    #[test]
    fn an_image_change_is_one_edited_field() {
        let mut diff = jobs(Some(&job("x:1", 1)), Some(&job("x:2", 1)));
        annotate(&mut diff, &BTreeMap::from([("g".into(), Counts { destructive: 1, ..Counts::default() })]));
        let task = &diff["TaskGroups"][0]["Tasks"][0];
        let config = &task["Objects"][0];
        assert_eq!(diff["Type"], "Edited");
        assert_eq!(diff["Fields"], Value::Null);
        assert_eq!(config["Name"], "Config");
        assert_eq!(config["Fields"][0]["Name"], "args[0]");
        assert_eq!(config["Fields"][0]["Type"], "None");
        assert_eq!(config["Fields"][1]["Old"], "x:1");
        assert_eq!(config["Fields"][1]["New"], "x:2");
        assert_eq!(task["Annotations"], json!(["forces create/destroy update"]));
        assert_eq!(diff["TaskGroups"][0]["Updates"], json!({"create/destroy update": 1}));
    }

    #[test]
    fn a_count_is_annotated_and_no_change_is_none() {
        let mut diff = jobs(Some(&job("x:1", 1)), Some(&job("x:1", 3)));
        annotate(&mut diff, &BTreeMap::new());
        assert_eq!(diff["TaskGroups"][0]["Fields"][0]["Annotations"], json!(["forces create"]));
        let none = jobs(Some(&job("x:1", 1)), Some(&job("x:1", 1)));
        assert_eq!(none["Type"], "None");
        assert_eq!(none["TaskGroups"][0]["Tasks"][0]["Type"], "None");
    }

    #[test]
    fn a_new_job_is_added_whole() {
        let diff = jobs(None, Some(&job("x:1", 1)));
        assert_eq!(diff["Type"], "Added");
        let fields = diff["Fields"].as_array().expect("fields");
        assert!(fields.iter().any(|f| f["Name"] == "Priority" && f["New"] == "50" && f["Type"] == "Added"));
    }
}
