//! Jobs come, change and go: registration with check-and-set, deregistration, revert, scale, dispatch, tags.
//!
//! The rules of versions and indexes are Nomad's: an unchanged specification makes an evaluation but no new
//! version; a version tag is part of the specification; six untagged versions are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::admission::{enforce, periodicity, preserve_counts, spec_changed, validate};
use super::canonical;
use super::cluster::{Cluster, Happening, Table, nanos};
use super::failure::Failure;
use super::records::{Evaluation, Job, JobKey};
use super::value::{array, int, set, text, truthy, uint};

/// Untagged versions that are kept.
const KEPT_VERSIONS: usize = 6;

/// How long a stopped job is remembered.
const KEPT_STOPPED: Duration = Duration::from_secs(4 * 3600);

/// What a registration comes with beside the job.
#[derive(Default)]
pub struct Registration {
    /// The job modify index the job must have; 0: it must not exist.
    pub enforce: Option<u64>,
    pub preserve_counts: bool,
    pub submission: Value,
    pub priority: i64,
}

/// What a call that changed a job answers.
pub struct Registered {
    pub evaluation: String,
    pub evaluation_index: u64,
    pub job_modify_index: u64,
    pub index: u64,
}

impl Cluster {
    /// Registers a job as the client sent it.
    pub fn register(&mut self, given: &Value, how: &Registration) -> Result<Registered, Failure> {
        let mut job = canonical::job(given);
        validate(&job)?;
        let key = JobKey::of(&job);
        let existing = self.job(&key).cloned();
        if let Some(wanted) = how.enforce {
            enforce(wanted, existing.as_ref())?;
        }
        if let Some(old) = &existing {
            if text(old, "Type") != text(&job, "Type") {
                return Err(Failure::server(format!(
                    "cannot update job from type {:?} to {:?}",
                    text(old, "Type"),
                    text(&job, "Type")
                )));
            }
            periodicity(old, &job)?;
            if how.preserve_counts {
                preserve_counts(old, &mut job);
            }
        }
        let changed = existing.as_ref().is_none_or(|old| spec_changed(old, &job));
        let mut modify_index = existing.as_ref().map_or(0, |old| uint(old, "ModifyIndex"));
        if changed {
            let version = existing.as_ref().map_or(0, |old| uint(old, "Version") + 1);
            modify_index = self.store_version(&key, job, version);
            self.keep_submission(&key, version, &how.submission, given);
        }
        let spec = self.job(&key).cloned().unwrap_or_default();
        if !spec["Periodic"].is_null()
            || (!spec["ParameterizedJob"].is_null() && !truthy(&spec["Dispatched"]))
        {
            if changed && !spec["Periodic"].is_null() {
                self.plan_launch(&key);
            }
            return Ok(Registered {
                evaluation: String::new(),
                evaluation_index: 0,
                job_modify_index: modify_index,
                index: self.index,
            });
        }
        let evaluation = self.new_evaluation(&key, "job-register", how.priority);
        Ok(Registered {
            evaluation_index: self.index,
            evaluation,
            job_modify_index: modify_index,
            index: self.index,
        })
    }

    /// Writes a version of a job, and drops the oldest ones that nobody tagged.
    pub fn store_version(&mut self, key: &JobKey, mut job: Value, version: u64) -> u64 {
        let index = self.change(&[Table::Jobs]);
        let created = self.job(key).map_or(index, |old| uint(old, "CreateIndex"));
        set(&mut job, "Version", json!(version));
        set(&mut job, "CreateIndex", json!(created));
        set(&mut job, "ModifyIndex", json!(index));
        set(&mut job, "JobModifyIndex", json!(index));
        set(&mut job, "SubmitTime", json!(nanos(self.now)));
        set(&mut job, "Stable", json!(false));
        set(&mut job, "Status", json!("pending"));
        set(&mut job, "StatusDescription", json!(""));
        let entry = self
            .jobs
            .entry(key.clone())
            .or_insert_with(|| Job { versions: Vec::new(), submissions: BTreeMap::new() });
        entry.versions.insert(0, job);
        let mut untagged = 0;
        entry.versions.retain(|version| {
            untagged += usize::from(version["VersionTag"].is_null());
            !version["VersionTag"].is_null() || untagged <= KEPT_VERSIONS
        });
        let kept: Vec<u64> = entry.versions.iter().map(|v| uint(v, "Version")).collect();
        entry.submissions.retain(|version, _| kept.contains(version));
        self.settle_status(key);
        index
    }

    /// A submission that isn't sent is copied from the version the job was read as, as Nomad does.
    fn keep_submission(&mut self, key: &JobKey, version: u64, sent: &Value, given: &Value) {
        let index = self.job(key).map_or(0, |job| uint(job, "JobModifyIndex"));
        let Some(job) = self.jobs.get_mut(key) else { return };
        let mut submission = if sent.is_object() {
            sent.clone()
        } else {
            match job.submissions.get(&uint(given, "Version")) {
                Some(old) => old.clone(),
                None => return,
            }
        };
        if super::value::empty(&submission["VariableFlags"]) {
            set(&mut submission, "VariableFlags", Value::Null);
        }
        set(&mut submission, "Namespace", json!(key.namespace));
        set(&mut submission, "JobID", json!(key.id));
        set(&mut submission, "Version", json!(version));
        set(&mut submission, "JobModifyIndex", json!(index));
        job.submissions.insert(version, submission);
    }

    /// Stops a job, or forgets it.
    pub fn deregister(&mut self, key: &JobKey, purge: bool) -> Registered {
        let nothing = |index| Registered {
            evaluation: String::new(),
            evaluation_index: 0,
            job_modify_index: index,
            index,
        };
        let Some(spec) = self.job(key).cloned() else {
            return nothing(self.index);
        };
        let periodic = !spec["Periodic"].is_null() || !spec["ParameterizedJob"].is_null();
        let modify_index;
        if purge {
            modify_index = self.purge(key);
        } else {
            let mut stopped = spec.clone();
            set(&mut stopped, "Stop", json!(true));
            for group in stopped["TaskGroups"].as_array_mut().into_iter().flatten() {
                if group["Scaling"].is_object() {
                    set(&mut group["Scaling"], "Enabled", json!(false));
                }
            }
            let version = uint(&spec, "Version") + 1;
            modify_index = self.store_version(key, stopped, version);
            self.after(KEPT_STOPPED, Happening::Collect { job: key.clone(), version });
        }
        if periodic {
            return nothing(modify_index);
        }
        let priority = int(&spec, "Priority");
        let evaluation = self.evaluation_for(key, text(&spec, "Type"), priority, "job-deregister");
        Registered {
            evaluation_index: self.index,
            evaluation,
            job_modify_index: modify_index,
            index: self.index,
        }
    }

    /// A job goes at once with its versions, deployments and allocations; only evaluations stay.
    fn purge(&mut self, key: &JobKey) -> u64 {
        let index = self.change(&[Table::Jobs, Table::Deployments, Table::Allocations, Table::Evaluations]);
        self.jobs.remove(key);
        self.deployments.retain(|_, d| d.job != *key);
        self.allocations.retain(|_, a| a.job != *key);
        for e in self.evaluations.values_mut().filter(|e| e.job == *key) {
            e.status = "complete".into();
            e.description = format!("job {} deleted", key.id);
            e.modify_index = index;
        }
        self.unblock();
        index
    }

    /// A job that was stopped long ago goes, unless a version of it is tagged.
    pub fn collect_stopped(&mut self, key: &JobKey, version: u64) {
        let over = self.jobs.get(key).is_some_and(|job| {
            uint(job.spec(), "Version") == version
                && text(job.spec(), "Status") == "dead"
                && job.versions.iter().all(|v| v["VersionTag"].is_null())
        });
        if over {
            self.purge(key);
            self.evaluations.retain(|_, e| e.job != *key);
        }
    }

    /// Goes back to an older version, as a new one.
    pub fn revert(&mut self, key: &JobKey, version: u64, prior: Option<u64>) -> Result<Registered, Failure> {
        let current =
            self.job(key).cloned().ok_or_else(|| Failure::missing(format!("job {:?} not found", key.id)))?;
        let at = uint(&current, "Version");
        if at == version {
            return Err(Failure::server("can't revert to current version"));
        }
        let old = self.jobs.get(key).and_then(|job| job.version(version)).cloned().ok_or_else(|| {
            Failure::missing(format!(
                "job {:?} in namespace {:?} at version {version} not found",
                key.id, key.namespace
            ))
        })?;
        if let Some(prior) = prior
            && prior != at
        {
            return Err(Failure::server(format!("Current job has version {at}; enforcing version {prior}")));
        }
        let mut job = old;
        set(&mut job, "VersionTag", Value::Null);
        set(&mut job, "Stop", json!(false));
        let submission =
            self.jobs.get(key).and_then(|j| j.submissions.get(&version)).cloned().unwrap_or_default();
        let how = Registration {
            enforce: Some(uint(&current, "JobModifyIndex")),
            submission,
            ..Registration::default()
        };
        self.register(&job, &how)
    }

    /// Sets the count of a group, within the bounds of its scaling policy and not while it is being deployed.
    pub fn scale(
        &mut self,
        key: &JobKey,
        group: &str,
        count: Option<i64>,
        wanted: Option<u64>,
    ) -> Result<Registered, Failure> {
        let missing = || Failure::missing(format!("job {:?} not found", key.id));
        let mut job = self.job(key).cloned().ok_or_else(missing)?;
        let Some(spec) = array(&job, "TaskGroups").iter().find(|g| text(g, "Name") == group) else {
            return Err(Failure::request(format!(
                "task group {group:?} specified for scaling does not exist in job"
            )));
        };
        if let Some(count) = count {
            within_policy(&job, &spec["Scaling"], count)?;
            if self.deployment_of(key).is_some_and(super::records::Deployment::active) {
                return Err(Failure::request("job scaling blocked due to active deployment"));
            }
        }
        if let Some(wanted) = wanted {
            enforce(wanted, Some(&job))?;
        }
        let Some(count) = count else {
            return Ok(Registered {
                evaluation: String::new(),
                evaluation_index: 0,
                job_modify_index: uint(&job, "ModifyIndex"),
                index: self.index,
            });
        };
        for g in job["TaskGroups"].as_array_mut().into_iter().flatten() {
            if text(g, "Name") == group {
                set(g, "Count", json!(count));
            }
        }
        let version = uint(&job, "Version") + 1;
        let modify_index = self.store_version(key, job, version);
        let evaluation = self.new_evaluation(key, "job-scaling", 0);
        Ok(Registered {
            evaluation_index: self.index,
            evaluation,
            job_modify_index: modify_index,
            index: self.index,
        })
    }

    /// Tags a version, or takes the tag away.
    pub fn tag(
        &mut self,
        key: &JobKey,
        name: &str,
        version: Option<u64>,
        description: Option<&str>,
    ) -> Result<u64, Failure> {
        let now = self.nanos();
        let job = self.jobs.get_mut(key).ok_or_else(|| Failure::missing("job not found"))?;
        let tagged = |v: &Value| text(&v["VersionTag"], "Name") == name;
        let Some(description) = description else {
            let found = job.versions.iter_mut().find(|v| tagged(v));
            let found = found
                .ok_or_else(|| Failure::server(format!("tag {name:?} not found on job {:?}", key.id)))?;
            set(found, "VersionTag", Value::Null);
            return Ok(self.change(&[Table::Jobs]));
        };
        let newest = uint(job.spec(), "Version");
        let version = version.unwrap_or(newest);
        if job.versions.iter().any(|v| tagged(v) && uint(v, "Version") != version) {
            return Err(Failure::server(format!(
                "tag {name:?} already exists on a different version of job {:?}",
                key.id
            )));
        }
        let found = job.versions.iter_mut().find(|v| uint(v, "Version") == version);
        let found =
            found.ok_or_else(|| Failure::server(format!("job {:?} version {version} not found", key.id)))?;
        set(found, "VersionTag", json!({"Name": name, "Description": description, "TaggedTime": now}));
        let index = self.change(&[Table::Jobs]);
        Ok(index)
    }

    /// A new evaluation of a job as it is now, to be taken up at once.
    pub fn new_evaluation(&mut self, key: &JobKey, trigger: &str, priority: i64) -> String {
        let (kind, own) = self
            .job(key)
            .map_or(("service".to_owned(), 50), |job| (text(job, "Type").to_owned(), int(job, "Priority")));
        let priority = if priority > 0 { priority } else { own };
        self.evaluation_for(key, &kind, priority, trigger)
    }

    fn evaluation_for(&mut self, key: &JobKey, kind: &str, priority: i64, trigger: &str) -> String {
        let job_modify_index = self.job(key).map_or(0, |job| uint(job, "JobModifyIndex"));
        let id = self.id();
        let index = self.change(&[Table::Evaluations]);
        let evaluation = Evaluation {
            id: id.clone(),
            job: key.clone(),
            priority,
            kind: kind.to_owned(),
            triggered_by: trigger.to_owned(),
            job_modify_index,
            deployment: String::new(),
            status: "pending".into(),
            description: String::new(),
            wait_until: None,
            next: String::new(),
            previous: String::new(),
            blocked: String::new(),
            related: std::collections::BTreeSet::new(),
            failed_groups: BTreeMap::new(),
            queued: BTreeMap::new(),
            plan_annotations: Value::Null,
            create_index: index,
            modify_index: index,
            create_time: self.now,
            modify_time: self.now,
        };
        self.evaluations.insert(id.clone(), evaluation);
        self.after(Duration::from_millis(15), Happening::Evaluate(id.clone()));
        self.settle_status(key);
        id
    }
}

/// What Nomad holds a count against before it scales.
fn within_policy(job: &Value, policy: &Value, count: i64) -> Result<(), Failure> {
    if text(job, "Type") == "system" && count > 1 {
        return Err(Failure::request("jobs of type \"system\" can only be scaled between 0 and 1"));
    }
    if !policy.is_object() {
        return Ok(());
    }
    let (least, most) = (int(policy, "Min"), int(policy, "Max"));
    if count < least {
        return Err(Failure::request(format!(
            "group count was less than scaling policy minimum: {count} < {least}"
        )));
    }
    if count > most {
        return Err(Failure::request(format!(
            "group count was greater than scaling policy maximum: {count} > {most}"
        )));
    }
    Ok(())
}
