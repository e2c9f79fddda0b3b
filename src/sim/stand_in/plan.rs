//! What an apply or a destroy would change, from the files, the state and the targets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::config::Node;
use super::driver::{StandIn, failed, json_of, shown};
use super::evaluate::{Picture, Wanted, picture};
use super::state::{StateFile, Stored};
use crate::hcl::Value;
use crate::terraform::{Action, Change, TerraformError};

/// Actions in groups: those of one group happen at the same time.
pub type Levels = Vec<Vec<(String, Action)>>;

/// Changes, outputs that change, and the order of work.
pub type Plan = (Vec<Change>, Vec<String>, Levels);

impl StandIn {
    fn targeted(&self, address: &str) -> bool {
        self.options().targets.is_empty() || self.options().targets.iter().any(|t| within(address, t))
    }

    fn check_targets(&self, wanted: &[Wanted], state: &StateFile) -> Result<(), TerraformError> {
        let known: Vec<&str> = wanted
            .iter()
            .map(|w| w.address.as_str())
            .chain(state.resources.keys().map(String::as_str))
            .collect();
        for target in &self.options().targets {
            if !known.iter().any(|address| within(address, target)) {
                let modules = known.iter().filter_map(|a| a.split(".terraform_data").next());
                let nearest = modules
                    .chain(known.iter().copied())
                    .min_by_key(|name| strsim::damerau_levenshtein(name, target))
                    .map(str::to_owned);
                return Err(TerraformError::NoSuchTarget { target: target.clone(), nearest });
            }
        }
        Ok(())
    }

    fn change(
        state: &StateFile,
        wanted: &Wanted,
        making: &BTreeSet<String>,
        needs: &BTreeSet<String>,
    ) -> Option<Change> {
        let after: BTreeMap<String, Json> =
            wanted.attributes.iter().map(|(k, v)| (k.clone(), shown(v))).collect();
        let unknown = wanted.attributes.values().any(|v| !v.is_wholly_known());
        let Some(before) = state.resources.get(&wanted.address) else {
            return Some(change(
                &wanted.address,
                Action::Create,
                &state.lineage,
                &Json::Null,
                &json_of(&after),
                Vec::new(),
            ));
        };
        let upstream = needs.iter().any(|n| making.contains(n));
        let differing: Vec<&String> = after
            .iter()
            .filter(|(key, value)| {
                let known = wanted.attributes.get(*key).is_some_and(Value::is_wholly_known);
                if known { before.attributes.get(*key) != Some(value) } else { upstream }
            })
            .map(|(key, _)| key)
            .chain(before.attributes.keys().filter(|k| !after.contains_key(*k)))
            .collect();
        if differing.is_empty() && !(unknown && upstream) {
            return None;
        }
        let action =
            if differing.iter().any(|k| *k == "triggers_replace") { Action::Replace } else { Action::Update };
        let detail = differing.iter().map(|k| format!("{k}: (changed)")).collect();
        Some(change(
            &wanted.address,
            action,
            &state.lineage,
            &json_of(&before.attributes),
            &json_of(&after),
            detail,
        ))
    }

    pub(super) fn plan_apply(&self, state: &StateFile) -> Result<Plan, TerraformError> {
        let (module, variables) = self.configuration()?;
        let all = picture(&module, &variables, &state.resources);
        if let Some(problem) = all.problems.first() {
            return Err(failed("plan", "Invalid count or for_each", problem.clone()));
        }
        self.check_targets(&all.wanted, state)?;
        let needs = module.dependencies();
        let node_of: BTreeMap<&str, &Node> =
            all.wanted.iter().map(|w| (w.address.as_str(), &w.node)).collect();
        let mut chosen: BTreeSet<&Node> =
            all.wanted.iter().filter(|w| self.targeted(&w.address)).map(|w| &w.node).collect();
        // What targets need comes along.
        loop {
            let more: Vec<&Node> = chosen
                .iter()
                .filter_map(|n| needs.get(*n))
                .flatten()
                .filter(|n| !chosen.contains(*n))
                .collect();
            if more.is_empty() {
                break;
            }
            chosen.extend(more);
        }
        let order = levels(&chosen, &needs);
        let mut making: BTreeSet<String> = BTreeSet::new();
        let mut changes = Vec::new();
        let mut steps = Vec::new();
        for level in &order {
            let mut step = Vec::new();
            for w in all.wanted.iter().filter(|w| level.contains(&&w.node)) {
                let upstream: BTreeSet<String> =
                    needs.get(&w.node).into_iter().flatten().map(Node::address).collect();
                if let Some(change) = Self::change(state, w, &making, &upstream) {
                    step.push((change.address.clone(), change.action));
                    changes.push(change);
                }
            }
            making.extend(step.iter().filter_map(|(a, _)| node_of.get(a.as_str())).map(|n| n.address()));
            steps.push(step);
        }
        // What the configuration no longer has goes, and what was made of it before it.
        let gone: Vec<&Stored> = state
            .resources
            .iter()
            .filter(|(a, _)| self.targeted(a) && !all.wanted.iter().any(|w| w.address == **a))
            .map(|(_, s)| s)
            .collect();
        let gone_step: Vec<(String, Action)> = gone.iter().map(|s| (s.address(), Action::Destroy)).collect();
        for s in gone {
            changes.push(change(
                &s.address(),
                Action::Destroy,
                &state.lineage,
                &json_of(&s.attributes),
                &Json::Null,
                Vec::new(),
            ));
        }
        steps.insert(0, gone_step);
        steps.retain(|s| !s.is_empty());
        let outputs = output_changes(&all, state);
        changes.sort_by(|a, b| a.address.cmp(&b.address));
        Ok((changes, outputs, steps))
    }

    pub(super) fn plan_destroy(&self, state: &StateFile) -> Result<Plan, TerraformError> {
        let (module, variables) = self.configuration()?;
        let wanted = picture(&module, &variables, &state.resources).wanted;
        self.check_targets(&wanted, state)?;
        let mut chosen: BTreeSet<String> =
            state.resources.keys().filter(|a| self.targeted(a)).cloned().collect();
        loop {
            // Who needs what goes, goes along.
            let bare: BTreeSet<String> =
                chosen.iter().filter_map(|a| state.resources.get(a)).map(bare_address).collect();
            let more: Vec<String> = state
                .resources
                .iter()
                .filter(|(a, s)| !chosen.contains(*a) && s.dependencies.iter().any(|d| bare.contains(d)))
                .map(|(a, _)| a.clone())
                .collect();
            if more.is_empty() {
                break;
            }
            chosen.extend(more);
        }
        let mut left = chosen.clone();
        let mut steps = Vec::new();
        while !left.is_empty() {
            let needed: BTreeSet<&String> =
                left.iter().filter_map(|a| state.resources.get(a)).flat_map(|s| &s.dependencies).collect();
            let free: Vec<String> = left
                .iter()
                .filter(|a| state.resources.get(*a).is_some_and(|s| !needed.contains(&bare_address(s))))
                .cloned()
                .collect();
            let free = if free.is_empty() { left.iter().cloned().collect() } else { free };
            left.retain(|a| !free.contains(a));
            steps.push(free.into_iter().map(|a| (a, Action::Destroy)).collect());
        }
        let changes = chosen
            .iter()
            .filter_map(|a| state.resources.get(a).map(|s| (a, s)))
            .map(|(a, s)| {
                change(a, Action::Destroy, &state.lineage, &json_of(&s.attributes), &Json::Null, Vec::new())
            })
            .collect::<Vec<_>>();
        let everything = chosen.len() == state.resources.len();
        let outputs = if changes.is_empty() || !everything {
            Vec::new()
        } else {
            state.outputs.keys().cloned().collect()
        };
        Ok((changes, outputs, steps))
    }
}

/// The resources in groups, each needing only those of groups before it.
fn levels<'a>(chosen: &BTreeSet<&'a Node>, needs: &BTreeMap<Node, BTreeSet<Node>>) -> Vec<Vec<&'a Node>> {
    let mut left = chosen.clone();
    let mut out = Vec::new();
    while !left.is_empty() {
        let free: Vec<&Node> = left
            .iter()
            .filter(|n| needs.get(**n).is_none_or(|d| !d.iter().any(|x| left.contains(x))))
            .copied()
            .collect();
        let free = if free.is_empty() { left.iter().copied().collect() } else { free };
        left.retain(|n| !free.contains(n));
        out.push(free);
    }
    out
}

fn output_changes(all: &Picture, state: &StateFile) -> Vec<String> {
    let now = |name: &str| state.outputs.get(name).map(|(v, _)| v);
    all.outputs
        .iter()
        .filter(|(name, value)| {
            if value.is_wholly_known() { now(name).unwrap_or(&Json::Null) != &value.to_json() } else { true }
        })
        .map(|(name, _)| name.clone())
        .collect()
}

fn change(
    address: &str,
    action: Action,
    key: &str,
    before: &Json,
    after: &Json,
    detail: Vec<String>,
) -> Change {
    let mut hash = Sha256::new();
    for part in [key, &before.to_string(), &after.to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let fingerprint = hash.finalize().iter().fold(String::new(), |all, byte| format!("{all}{byte:02x}"));
    Change { address: address.to_owned(), action, reason: None, tainted: false, fingerprint, detail }
}

/// The address without its index.
fn bare_address(stored: &Stored) -> String {
    super::config::join(&stored.module, &format!("{}.{}", stored.kind, stored.name))
}

/// Whether an address is a target, or lies in the module or resource that is one.
fn within(address: &str, target: &str) -> bool {
    address.strip_prefix(target).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}
