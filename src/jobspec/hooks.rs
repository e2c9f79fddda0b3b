//! What Nomad does by hand to single structs, right after the table has filled them.

use serde_json::{Map, Value as Json, json};

use crate::base::{Diagnostic, Diagnostics};
use crate::jobspec::trail::MARK;
use crate::jobspec::view::View;

type Object = Map<String, Json>;

/// Finishes a struct of that name.
pub fn after(name: &str, object: &mut Object, view: &View<'_>, errors: &mut Diagnostics) {
    match name {
        "Constraint" => constraint(object),
        "Affinity" => affinity(object),
        "TaskScaling" => task_scaling(object, view, errors),
        "Task" => task(object, view, errors),
        "TaskGroup" => group(object),
        "GroupScaling" => group_scaling(object, view, errors),
        _ => {}
    }
}

/// Whether Nomad forgets what is wrong in such a block of such a struct, and goes on with the rest of
/// it. We tell it as a warning.
pub fn swallows_errors(of: &str, block: &str) -> bool {
    of == "TaskGroup" && matches!(block, "vault" | "secret")
}

fn text(object: &Object, key: &str) -> String {
    object.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// Shorthands stand for an operand and its right side; of several the last in this order counts.
fn shorthands(words: &Object, names: &[&str]) -> (String, String) {
    let set = names.iter().map(|name| (*name, text(words, name))).rfind(|(_, value)| !value.is_empty());
    match set {
        Some((name, value)) => (name.to_owned(), value),
        None => (text(words, "operator"), text(words, "value")),
    }
}

fn constraint(object: &mut Object) {
    let (mut operand, mut right) = shorthands(object, &["version", "semver", "regexp", "set_contains"]);
    let mut left = text(object, "attribute");
    if let Some(distinct) = object.get("distinct_hosts").and_then(Json::as_bool) {
        "distinct_hosts".clone_into(&mut operand);
        right = distinct.to_string();
    }
    let property = text(object, "distinct_property");
    if !property.is_empty() {
        "distinct_property".clone_into(&mut operand);
        left = property;
    }
    if operand.is_empty() {
        "=".clone_into(&mut operand);
    }
    becomes(object, [("LTarget", left.into()), ("RTarget", right.into()), ("Operand", operand.into())]);
}

/// Other fields in the place of those that the words of the file filled.
fn becomes<const N: usize>(object: &mut Object, fields: [(&str, Json); N]) {
    let mark = object.remove_entry(MARK);
    *object = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(mark).collect();
}

fn affinity(object: &mut Object) {
    let names = ["version", "semver", "regexp", "set_contains_any", "set_contains_all", "set_contains"];
    let (mut operand, right) = shorthands(object, &names);
    if operand.is_empty() {
        "=".clone_into(&mut operand);
    }
    let weight = object.get("weight").cloned().unwrap_or_default();
    let left = text(object, "attribute");
    becomes(
        object,
        [
            ("LTarget", left.into()),
            ("RTarget", right.into()),
            ("Operand", operand.into()),
            ("Weight", weight),
        ],
    );
}

/// A task's policies are vertical, of the resource that the label names.
fn task_scaling(object: &mut Object, view: &View<'_>, errors: &mut Diagnostics) {
    let label = text(object, "label").to_lowercase();
    let kind = match label.as_str() {
        "cpu" | "mem" => format!("vertical_{label}"),
        _ => {
            errors.push(
                Diagnostic::error(format!("a task can't scale {label:?}"))
                    .at(view.header)
                    .help("the label of a task's scaling is \"cpu\" or \"mem\""),
            );
            return;
        }
    };
    match text(object, "Type") {
        given if given.is_empty() || given == kind => object.insert("Type".to_owned(), kind.into()),
        given => {
            errors.push(
                Diagnostic::error(format!("the type of this scaling is {kind:?}, not {given:?}"))
                    .at(view.header),
            );
            None
        }
    };
}

fn task(object: &mut Object, view: &View<'_>, errors: &mut Diagnostics) {
    // The one key that the API leaves out.
    if object.get("CSIPluginConfig").is_some_and(Json::is_null) {
        object.remove("CSIPluginConfig");
    }
    let Some(Json::Array(policies)) = object.get_mut("ScalingPolicies") else { return };
    let mut seen: Vec<String> = Vec::new();
    for policy in policies.iter_mut().filter_map(Json::as_object_mut) {
        let label = text(policy, "label").to_lowercase();
        policy.remove("label");
        if seen.contains(&label) {
            errors.push(Diagnostic::error(format!("two scalings of {label:?} in one task")).at(view.header));
        }
        seen.push(label);
    }
}

fn group(object: &mut Object) {
    let vault = object.remove("vault").and_then(|blocks| blocks.as_array()?.last().cloned());
    let secrets = object.remove("secret").filter(|blocks| !blocks.is_null());
    for task in object.get_mut("Tasks").and_then(Json::as_array_mut).into_iter().flatten() {
        let Some(task) = task.as_object_mut() else { continue };
        if let Some(vault) = &vault
            && task.get("Vault").is_none_or(Json::is_null)
        {
            task.insert("Vault".to_owned(), vault.clone());
        }
        if let Some(secrets) = &secrets {
            // Nomad means to add the group's to the task's own, and adds the task's own once more.
            match task.get_mut("Secrets").and_then(Json::as_array_mut) {
                Some(own) => own.extend_from_within(..),
                None => {
                    task.insert("Secrets".to_owned(), secrets.clone());
                }
            }
        }
    }
}

/// A group's policy is horizontal. `max` must be written, though it may be null.
fn group_scaling(object: &mut Object, view: &View<'_>, errors: &mut Diagnostics) {
    if text(object, "Type").is_empty() {
        object.insert("Type".to_owned(), "horizontal".into());
    }
    if object.get("Type") != Some(&json!("horizontal")) {
        let place = view.body.attribute("type").map_or(view.header, |attribute| &attribute.expr.span);
        let error = "the type of a group's scaling is \"horizontal\"";
        errors.push(Diagnostic::error(error).at(place));
    }
    if view.body.attribute("max").is_none() {
        errors.push(Diagnostic::error("the `scaling` of a group needs `max`").at(view.header));
    }
}
