//! Order: what can start once what is done. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Names that wait for one another, each for the next and the last for the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(pub Vec<String>);

/// `names` with each one after those it waits for, otherwise in the given order.
/// Waiting for a name that isn't there counts as done.
pub fn order(names: &[String], after: &BTreeMap<String, Vec<String>>) -> Result<Vec<String>, Cycle> {
    Ok(levels(names, after)?.into_iter().flatten().collect())
}

/// `names` in levels: each level waits only for the ones before it, and each name stands as early as it can.
pub fn levels(names: &[String], after: &BTreeMap<String, Vec<String>>) -> Result<Vec<Vec<String>>, Cycle> {
    let known: BTreeSet<&String> = names.iter().collect();
    let waits = |name: &String| after.get(name).into_iter().flatten().filter(|other| known.contains(other));
    let mut left: Vec<&String> = names.iter().collect();
    let mut done: BTreeSet<&String> = BTreeSet::new();
    let mut levels = Vec::new();
    while !left.is_empty() {
        let (ready, blocked): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|name| waits(name).all(|other| done.contains(other)));
        if ready.is_empty() {
            return Err(cycle(&blocked, |name| {
                waits(name).find(|other| !done.contains(other)).cloned().unwrap_or_default()
            }));
        }
        done.extend(&ready);
        levels.push(ready.into_iter().cloned().collect());
        left = blocked;
    }
    Ok(levels)
}

/// Each of `blocked` waits for another of them: walking on meets one a second time.
fn cycle(blocked: &[&String], next: impl Fn(&String) -> String) -> Cycle {
    let mut path: Vec<String> = Vec::new();
    let mut at = blocked.first().map(|name| (*name).clone()).unwrap_or_default();
    while !path.contains(&at) {
        path.push(at.clone());
        at = next(&at);
    }
    let start = path.iter().position(|name| *name == at).unwrap_or_default();
    Cycle(path.split_off(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edges() -> impl Strategy<Value = Vec<(usize, usize)>> {
        prop::collection::vec((0..9_usize, 0..9_usize), 0..14)
    }

    proptest! {
        /// Either an order in which everyone comes after those it waits for, or a real cycle.
        #[test]
        fn an_order_or_a_cycle(edges in edges()) {
            let names: Vec<String> = (0..9).map(|i| format!("n{i}")).collect();
            let mut after: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for (a, b) in &edges {
                after.entry(names[*a].clone()).or_default().push(names[*b].clone());
            }
            match order(&names, &after) {
                Ok(order) => {
                    prop_assert_eq!(order.len(), names.len());
                    let at = |name: &String| order.iter().position(|n| n == name).unwrap();
                    for (name, waits) in &after {
                        for other in waits {
                            prop_assert!(at(other) < at(name));
                        }
                    }
                }
                Err(Cycle(path)) => {
                    prop_assert!(!path.is_empty());
                    for (i, name) in path.iter().enumerate() {
                        prop_assert!(after[name].contains(&path[(i + 1) % path.len()]));
                    }
                }
            }
        }
    }

    #[test]
    fn the_files_order_is_kept() {
        let names: Vec<String> = ["c", "a", "b"].map(String::from).to_vec();
        assert_eq!(order(&names, &BTreeMap::new()).unwrap(), names);
    }
}
