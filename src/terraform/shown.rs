//! Reads `terraform show -json`, of a plan and of a state.
//!
//! Guarantees: an action that isn't known is an error, never left out; every value that Terraform
//! marks as sensitive is handed to the secrets before anything is made of it. Does not: tell drift
//! (`resource_drift`) apart; what it leads to stands among the changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::api::{Action, Change, Output, State, StateResource};
use super::detail::{self, Sides};
use crate::base::{Secrets, text};

/// What is read off a plan.
pub(super) struct Shown {
    pub changes: Vec<Change>,
    pub output_changes: Vec<String>,
    pub errored: bool,
    /// Values of sensitive outputs that are known before the apply.
    pub sensitive_outputs: BTreeMap<String, Value>,
    /// Addresses, without instance keys, that a target can name: modules and resources.
    pub known: BTreeSet<String>,
    /// Addresses of instances in the state or in the plan.
    pub instances: BTreeSet<String>,
}

/// Reads a plan. The error says what couldn't be read.
pub(super) fn plan(plan: &Value, secrets: &Secrets, key: &[u8]) -> Result<Shown, String> {
    format_version(plan, "1")?;
    collect_secrets(plan, secrets);
    let prior = prior_resources(plan);
    let mut changes = Vec::new();
    for change in plan["resource_changes"].as_array().into_iter().flatten() {
        read_change(change, &prior, secrets, key, &mut changes)?;
    }
    changes.sort_by(|a, b| a.address.cmp(&b.address));
    let mut output_changes = Vec::new();
    for (name, change) in plan["output_changes"].as_object().into_iter().flatten() {
        if change["actions"] != serde_json::json!(["no-op"]) {
            output_changes.push(name.clone());
        }
    }
    let sensitive_outputs = plan["planned_values"]["outputs"].as_object().into_iter().flatten();
    let sensitive_outputs = sensitive_outputs
        .filter(|(_, output)| output["sensitive"] == true)
        .filter_map(|(name, output)| Some((name.clone(), output.get("value")?.clone())))
        .collect();
    let mut known = BTreeSet::new();
    configured(&plan["configuration"]["root_module"], "", &mut known);
    let mut instances: BTreeSet<String> = prior.keys().map(|address| (*address).to_owned()).collect();
    for resource in resources(&plan["planned_values"]["root_module"]) {
        instances.extend(resource["address"].as_str().map(str::to_owned));
    }
    for address in instances.iter().chain(changes.iter().map(|change| &change.address)) {
        with_ancestors(&without_keys(address), &mut known);
    }
    Ok(Shown {
        changes,
        output_changes,
        errored: plan["errored"].as_bool().unwrap_or(false),
        sensitive_outputs,
        known,
        instances,
    })
}

/// Reads a state.
pub(super) fn state(shown: &Value, secrets: &Secrets) -> Result<State, String> {
    format_version(shown, "1")?;
    let values = &shown["values"];
    let mut state = State::default();
    for resource in resources(&values["root_module"]) {
        detail::collect(&resource["values"], &resource["sensitive_values"], secrets);
        if resource["mode"] != "managed" {
            continue;
        }
        let field = |name: &str| resource[name].as_str().map(|value| text::harmless(value).into_owned());
        state.resources.push(StateResource {
            address: field("address").ok_or("a resource without an address")?,
            kind: field("type").unwrap_or_default(),
            id: resource["values"]["id"].as_str().map(|id| secrets.mask(id)),
            tainted: resource["tainted"].as_bool().unwrap_or(false),
        });
    }
    state.resources.sort_by(|a, b| a.address.cmp(&b.address));
    for (name, output) in values["outputs"].as_object().into_iter().flatten() {
        let sensitive = output["sensitive"].as_bool().unwrap_or(false);
        detail::collect(&output["value"], &Value::Bool(sensitive), secrets);
        state.outputs.insert(name.clone(), Output { value: output["value"].clone(), sensitive });
    }
    Ok(state)
}

fn format_version(shown: &Value, major: &str) -> Result<(), String> {
    let version = shown["format_version"].as_str().ok_or("it has no format_version")?;
    if version.split('.').next() == Some(major) {
        Ok(())
    } else {
        Err(format!("its format_version is {version}; only {major}.x is known"))
    }
}

fn collect_secrets(plan: &Value, secrets: &Secrets) {
    let sensitive = &plan["configuration"]["root_module"]["variables"];
    for (name, variable) in plan["variables"].as_object().into_iter().flatten() {
        detail::collect(&variable["value"], &sensitive[name]["sensitive"], secrets);
    }
    for (_, variable) in sensitive.as_object().into_iter().flatten() {
        detail::collect(&variable["default"], &variable["sensitive"], secrets);
    }
    let changes =
        plan["resource_changes"].as_array().into_iter().flatten().map(|resource| &resource["change"]);
    let outputs = plan["output_changes"].as_object().into_iter().flatten().map(|(_, change)| change);
    for change in changes.chain(outputs) {
        detail::collect(&change["before"], &change["before_sensitive"], secrets);
        detail::collect(&change["after"], &change["after_sensitive"], secrets);
    }
    for values in [&plan["planned_values"], &plan["prior_state"]["values"]] {
        for resource in resources(&values["root_module"]) {
            detail::collect(&resource["values"], &resource["sensitive_values"], secrets);
        }
        for (_, output) in values["outputs"].as_object().into_iter().flatten() {
            detail::collect(&output["value"], &output["sensitive"], secrets);
        }
    }
}

fn prior_resources(plan: &Value) -> BTreeMap<&str, &Value> {
    let all = resources(&plan["prior_state"]["values"]["root_module"]);
    all.into_iter().filter_map(|resource| Some((resource["address"].as_str()?, resource))).collect()
}

fn resources(module: &Value) -> Vec<&Value> {
    let mut all: Vec<&Value> = module["resources"].as_array().into_iter().flatten().collect();
    for child in module["child_modules"].as_array().into_iter().flatten() {
        all.extend(resources(child));
    }
    all
}

fn read_change(
    resource: &Value,
    prior: &BTreeMap<&str, &Value>,
    secrets: &Secrets,
    key: &[u8],
    changes: &mut Vec<Change>,
) -> Result<(), String> {
    let plain = resource["address"].as_str().ok_or("a change without an address")?;
    let change = &resource["change"];
    let deposed = resource["deposed"].as_str();
    let address = deposed.map_or_else(|| plain.to_owned(), |key| format!("{plain} (deposed {key})"));
    let address = text::harmless(&address).into_owned();
    let actions: Vec<&str> =
        change["actions"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let previous = resource["previous_address"].as_str();
    let imported = change["importing"].is_object();
    let actions: &[Action] = match actions.as_slice() {
        ["no-op"] if imported => &[Action::Import],
        ["no-op"] if previous.is_some() => &[Action::Move],
        ["no-op"] => return Ok(()),
        ["create"] => &[Action::Create],
        ["read"] => &[Action::Read],
        ["update"] => &[Action::Update],
        ["delete", "create"] | ["create", "delete"] => &[Action::Replace],
        ["delete"] => &[Action::Destroy],
        ["forget"] => &[Action::Forget],
        ["create", "forget"] | ["forget", "create"] => &[Action::Forget, Action::Create],
        other => return Err(format!("{address} has the unknown action {other:?}")),
    };
    let reason = resource["action_reason"].as_str();
    let tainted = deposed.is_none()
        && (reason == Some("replace_because_tainted")
            || prior.get(plain).is_some_and(|resource| resource["tainted"] == true));
    let mut reasons: Vec<String> = reason.map(words).into_iter().collect();
    reasons.extend(previous.map(|from| format!("moved from {from}")));
    if imported {
        let id = change["importing"]["id"].as_str().unwrap_or("an existing object");
        reasons.push(secrets.mask(&format!("imported from {id}")));
    }
    let fingerprint = detail::fingerprint(key, resource);
    for action in actions {
        changes.push(Change {
            address: address.clone(),
            action: *action,
            reason: (!reasons.is_empty()).then(|| reasons.join(", ")),
            tainted,
            fingerprint: fingerprint.clone(),
            detail: Sides::of(change).lines(*action, secrets),
        });
    }
    Ok(())
}

/// `replace_because_tainted` → `tainted`, `delete_because_no_resource_config` → `no resource config`
fn words(reason: &str) -> String {
    let because = reason.split_once("_because_").map_or(reason, |(_, because)| because);
    because.replace('_', " ")
}

/// Every module and resource of a configuration.
fn configured(module: &Value, prefix: &str, known: &mut BTreeSet<String>) {
    for resource in module["resources"].as_array().into_iter().flatten() {
        if let Some(address) = resource["address"].as_str() {
            known.insert(format!("{prefix}{address}"));
        }
    }
    for (name, call) in module["module_calls"].as_object().into_iter().flatten() {
        let address = format!("{prefix}module.{name}");
        configured(&call["module"], &format!("{address}."), known);
        known.insert(address);
    }
}

/// `module.a["x.y"].t.n[0]` → `module.a.t.n`. A key in quotes may hold anything, brackets included.
pub(super) fn without_keys(address: &str) -> String {
    let mut out = String::new();
    let (mut inside, mut quoted, mut escaped) = (false, false, false);
    for c in address.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if inside => quoted = !quoted,
            '[' if !quoted => inside = true,
            ']' if !quoted => inside = false,
            _ if inside => {}
            _ => out.push(c),
        }
    }
    out
}

fn with_ancestors(address: &str, known: &mut BTreeSet<String>) {
    let address = address.split(" (deposed").next().unwrap_or(address);
    let mut parts = address.split('.');
    let mut so_far = String::new();
    while let (Some("module"), Some(name)) = (parts.clone().next(), parts.clone().nth(1)) {
        parts.nth(1);
        so_far.push_str(if so_far.is_empty() { "module." } else { ".module." });
        so_far.push_str(name);
        known.insert(so_far.clone());
    }
    known.insert(address.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(resource: &Value) -> Result<Vec<Change>, String> {
        let whole = json!({ "format_version": "1.2", "resource_changes": [resource] });
        plan(&whole, &Secrets::default(), b"k").map(|shown| shown.changes)
    }

    #[test]
    fn actions_are_told_apart() {
        let one = |actions: Value, more: Value| {
            let mut resource =
                json!({"address": "a.b", "change": {"actions": actions, "before": null, "after": null}});
            for (name, value) in more.as_object().unwrap() {
                resource[name] = value.clone();
            }
            read(&resource)
                .map(|changes| changes.into_iter().map(|c| (c.action, c.reason)).collect::<Vec<_>>())
        };
        assert_eq!(one(json!(["no-op"]), json!({})).unwrap(), []);
        let moved = one(json!(["no-op"]), json!({"previous_address": "a.c"})).unwrap();
        assert_eq!(moved, [(Action::Move, Some("moved from a.c".into()))]);
        assert_eq!(one(json!(["create", "delete"]), json!({})).unwrap(), [(Action::Replace, None)]);
        assert_eq!(one(json!(["forget"]), json!({})).unwrap(), [(Action::Forget, None)]);
        let both = one(json!(["create", "forget"]), json!({})).unwrap();
        assert_eq!(both, [(Action::Forget, None), (Action::Create, None)]);
        let gone = one(json!(["delete"]), json!({"action_reason": "delete_because_no_module"})).unwrap();
        assert_eq!(gone, [(Action::Destroy, Some("no module".into()))]);
        assert_eq!(one(json!(["defer"]), json!({})).unwrap_err(), "a.b has the unknown action [\"defer\"]");
        assert!(plan(&json!({"format_version": "2.0"}), &Secrets::default(), b"").is_err());
    }

    #[test]
    fn keys_are_taken_off_addresses() {
        assert_eq!(without_keys(r#"module.a["x.y"].t.n[0]"#), "module.a.t.n");
        assert_eq!(without_keys(r#"a.b["]\"].c"].d"#), "a.b.d");
    }

    #[test]
    fn a_state_tells_modules_and_taints() {
        let shown = json!({"format_version": "1.0", "values": {
            "outputs": {"p": {"sensitive": true, "value": "swordfish"}},
            "root_module": {"child_modules": [{"resources": [
                {"address": "module.a.t.n", "mode": "managed", "type": "t", "values": {"id": "1"}, "tainted": true},
                {"address": "module.a.data.t.n", "mode": "data", "type": "t", "values": {}},
            ]}]},
        }});
        let secrets = Secrets::default();
        let state = state(&shown, &secrets).unwrap();
        assert_eq!(state.resources.len(), 1);
        assert!(state.resources[0].tainted);
        assert_eq!(secrets.mask("a swordfish"), "a (secret)");
        assert!(self::state(&json!({"format_version": "1.0"}), &secrets).unwrap().resources.is_empty());
    }
}
