//! What a registration would do, without doing it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::admission::{spec_changed, validate};
use super::canonical;
use super::cluster::Cluster;
use super::diff;
use super::failure::Failure;
use super::placement::{Demand, Draft};
use super::reconcile::Counts;
use super::records::JobKey;
use super::value::{group, int, set, text, uint};

impl Cluster {
    /// The answer to a plan.
    pub fn plan(&self, given: &Value, with_diff: bool) -> Result<Value, Failure> {
        let mut job = canonical::job(given);
        validate(&job)?;
        let key = JobKey::of(&job);
        let old = self.job(&key);
        let index = old.map_or(0, |o| uint(o, "JobModifyIndex"));
        match old {
            Some(old) => {
                let same = !spec_changed(old, &job);
                for field in [
                    "Status",
                    "StatusDescription",
                    "Stable",
                    "Version",
                    "CreateIndex",
                    "ModifyIndex",
                    "JobModifyIndex",
                    "SubmitTime",
                ] {
                    set(&mut job, field, old[field].clone());
                }
                if !same {
                    set(&mut job, "Version", json!(uint(old, "Version") + 1));
                    set(&mut job, "JobModifyIndex", json!(index + 1));
                }
            }
            None => set(&mut job, "JobModifyIndex", json!(1)),
        }
        let scheduled = job["Periodic"].is_null() && job["ParameterizedJob"].is_null();
        let changes = if scheduled { self.reconciled(&key, Some(&job), "") } else { BTreeMap::new() };
        let mut failed = Map::new();
        let mut draft = Draft::default();
        for (name, change) in &changes {
            draft.gone.extend(change.stop.iter().map(|(id, _)| id.clone()));
            for place in &change.place {
                let mut attempt = draft.clone();
                attempt.gone.extend(place.replaces.clone());
                let (node, metrics) = self.place(&job, name, place.node.as_deref(), &attempt);
                if let Some(node) = node {
                    let demand = group(&job, name).map(Demand::of).unwrap_or_default();
                    draft = attempt;
                    draft.placed.push((node, key.clone(), demand));
                } else {
                    let entry = failed.entry(name.clone()).or_insert_with(|| {
                        let mut first = metrics;
                        set(&mut first, "CoalescedFailures", json!(-1));
                        first
                    });
                    let more = int(entry, "CoalescedFailures") + 1;
                    set(entry, "CoalescedFailures", json!(more));
                }
            }
        }
        let counts: BTreeMap<String, Counts> = changes.iter().map(|(n, c)| (n.clone(), c.counts)).collect();
        let updates: Map<String, Value> = counts.iter().map(|(n, c)| (n.clone(), c.json())).collect();
        let difference = if with_diff {
            let mut difference = diff::jobs(old, Some(&job));
            diff::annotate(&mut difference, &counts);
            difference
        } else {
            Value::Null
        };
        let next = if job["Periodic"].is_null() {
            Value::Null
        } else {
            super::launch::next(&job["Periodic"], self.now).map_or(Value::Null, |t| json!(t.to_string()))
        };
        Ok(json!({
            "Annotations": {"DesiredTGUpdates": updates, "PreemptedAllocs": null},
            "FailedTGAllocs": if failed.is_empty() { Value::Null } else { Value::Object(failed) },
            "JobModifyIndex": index, "CreatedEvals": null, "Diff": difference, "NextPeriodicLaunch": next,
            "Warnings": warnings(&job), "Index": self.index,
        }))
    }
}

/// What Nomad warns of though it goes ahead.
pub fn warnings(job: &Value) -> String {
    let kind = text(job, "Type");
    let groups = super::value::array(job, "TaskGroups");
    let slow = groups.iter().any(|g| {
        kind == "service"
            && int(&g["Update"], "MaxParallel") > 1
            && int(&g["Update"], "MaxParallel") > int(g, "Count")
            && int(g, "Count") > 0
    });
    if slow {
        let group = groups.iter().find(|g| int(&g["Update"], "MaxParallel") > int(g, "Count"));
        let (name, most, count) = group.map_or((String::new(), 0, 0), |g| {
            (text(g, "Name").to_owned(), int(&g["Update"], "MaxParallel"), int(g, "Count"))
        });
        return format!(
            "1 warning:\n\n* Group {name:?} has warnings: 1 error occurred:\n\t* Update max parallel count is greater than task group count ({most} > {count}). A destructive change would result in the simultaneous replacement of all allocations.\n\n"
        );
    }
    String::new()
}
