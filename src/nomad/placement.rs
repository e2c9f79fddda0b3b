//! Why a group finds no place, in words.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::types::PlacementMetric;
use crate::base::text;

/// A group that the scheduler could not place, and everything it counted.
///
/// For each node only the first dimension that was short is counted: more memory may be missing
/// where only cpu is named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlacementFailure {
    pub group: String,
    /// How many allocations are missing.
    pub missing: u64,
    pub metric: PlacementMetric,
}

impl PlacementFailure {
    pub(super) fn all(failed: &BTreeMap<String, PlacementMetric>) -> Vec<Self> {
        let one = |(group, metric): (&String, &PlacementMetric)| Self {
            group: group.clone(),
            missing: metric.coalesced_failures + 1,
            metric: metric.clone(),
        };
        failed.iter().map(one).collect()
    }

    /// The dimensions that were short, with the number of nodes: `memory`, `cpu`, `disk`, …
    pub fn dimensions(&self) -> &BTreeMap<String, u64> {
        &self.metric.dimension_exhausted
    }

    /// Why, one reason each, the weightiest kind first.
    pub fn reasons(&self) -> Vec<String> {
        let m = &self.metric;
        let mut reasons = Vec::new();
        let nodes = |n: u64| text::count(usize::try_from(n).unwrap_or(usize::MAX), "node");
        for (dimension, n) in &m.dimension_exhausted {
            reasons.push(format!("too little {} on {}", text::one_line(dimension), nodes(*n)));
        }
        for quota in &m.quota_exhausted {
            reasons.push(format!("quota used up: {}", text::one_line(quota)));
        }
        for (constraint, n) in &m.constraint_filtered {
            reasons.push(format!("constraint {} rules out {}", text::one_line(constraint), nodes(*n)));
        }
        for (class, n) in &m.class_filtered {
            reasons.push(format!("class {} rules out {}", text::one_line(class), nodes(*n)));
        }
        for (class, n) in &m.class_exhausted {
            reasons.push(format!("{} of class {} full", nodes(*n), text::one_line(class)));
        }
        for (center, n) in &m.nodes_available {
            if *n == 0 {
                reasons.push(format!("no nodes in datacenter {}", text::one_line(center)));
            }
        }
        if m.nodes_evaluated == 0 && reasons.is_empty() {
            reasons.push("no node was eligible".into());
        }
        if reasons.is_empty() {
            reasons.push(format!("{} full, {} unfit", nodes(m.nodes_exhausted), nodes(m.nodes_filtered)));
        }
        reasons
    }
}

/// `group 'web': no place for 2 allocations (of 3 nodes looked at): too little memory on 3 nodes`
impl fmt::Display for PlacementFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = text::count(usize::try_from(self.missing).unwrap_or(usize::MAX), "allocation");
        let looked = text::count(usize::try_from(self.metric.nodes_evaluated).unwrap_or(usize::MAX), "node");
        let group = text::one_line(&self.group);
        write!(
            f,
            "group '{group}': no place for {missing} ({looked} looked at): {}",
            self.reasons().join("; ")
        )
    }
}
