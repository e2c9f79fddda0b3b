//! What changes a cluster over HTTP: one answer a method and path.

use serde_json::{Value, json};

use super::admission::validate;
use super::canonical;
use super::cluster::Cluster;
use super::failure::Failure;
use super::lists::Query;
use super::plan::warnings;
use super::records::JobKey;
use super::register::{Registered, Registration};
use super::value::{array, int, text, truthy, uint};

/// The method, as far as it matters: PUT and POST are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Put,
    Delete,
}

type Answer = Result<Value, Failure>;

impl Cluster {
    /// Answers a write below `/v1/`; none where there is no such path.
    pub fn write(&mut self, method: Method, path: &[&str], query: &Query, body: &Value) -> Option<Answer> {
        let answer = match (method, path) {
            (Method::Put, ["jobs"]) => self.put_job(None, query, body),
            (Method::Put, ["job", id]) => self.put_job(Some(id), query, body),
            (Method::Delete, ["job", id]) => {
                let done = self.deregister(&query.key(id), query.flag("purge"));
                Ok(deregistered(&done))
            }
            (Method::Put, ["job", id, "plan"]) => self.put_plan(id, query, body),
            (Method::Put, ["validate", "job"]) => Ok(validated(body)),
            (Method::Put, ["job", id, "revert"]) => {
                let prior = body["EnforcePriorVersion"].as_u64();
                self.revert(&query.key(id), uint(body, "JobVersion"), prior).map(|r| registered(&r, ""))
            }
            (Method::Put, ["job", id, "scale"]) => self.put_scale(&query.key(id), body),
            (Method::Put, ["job", id, "evaluate"]) => self.put_evaluate(&query.key(id)),
            (Method::Put, ["job", id, "stable"]) => self.put_stable(&query.key(id), body),
            (Method::Put, ["job", id, "dispatch"]) => {
                self.dispatch(&query.key(id), &body["Meta"], &body["Payload"]).map(|(child, done)| {
                    json!({"DispatchedJobID": child, "EvalID": done.evaluation,
                        "EvalCreateIndex": done.evaluation_index, "JobCreateIndex": done.job_modify_index,
                        "Index": done.index})
                })
            }
            (Method::Put, ["job", id, "periodic", "force"]) => {
                self.force_launch(&query.key(id)).map(|r| registered(&r, ""))
            }
            (Method::Put, ["job", id, "versions", tag, "tag"]) => {
                let version = body["Version"].as_u64().or_else(|| text(body, "Version").parse().ok());
                let described = text(body, "Description").to_owned();
                self.tag(&query.key(id), tag, version, Some(&described)).map(|index| {
                    json!({"Name": tag, "Description": described, "TaggedTime": self.nanos(), "Index": index})
                })
            }
            (Method::Delete, ["job", id, "versions", tag, "tag"]) => {
                self.tag(&query.key(id), tag, None, None).map(|index| json!({"Index": index}))
            }
            (Method::Put, ["deployment", "promote", id]) => {
                let groups: Vec<String> =
                    array(body, "Groups").iter().filter_map(|g| g.as_str().map(str::to_owned)).collect();
                let all = truthy(&body["All"]) || groups.is_empty();
                self.promote(id, (!all).then_some(groups.as_slice())).map(|done| deployment_changed(&done))
            }
            (Method::Put, ["deployment", "fail", id]) => {
                let done = self.fail_by_hand(id).map(|d| deployment_changed(&d));
                done.map(|mut answer| {
                    answer["RevertedJobVersion"] = self.reverted_to(id).into();
                    answer
                })
            }
            (Method::Put, ["deployment", "pause", id]) => {
                self.pause(id, truthy(&body["Pause"])).map(|d| deployment_changed(&d))
            }
            (Method::Put, ["allocation", id, "stop"]) => self.put_stop(id),
            (Method::Put, ["client", "allocation", id, "restart"]) => {
                let task = text(body, "TaskName").to_owned();
                self.restart_allocation(id, (!task.is_empty()).then_some(task.as_str()))
                    .map(|()| json!({"Index": 0}))
            }
            (Method::Put, ["node", id, "eligibility"]) => {
                let eligible = text(body, "Eligibility") == "eligible";
                let draining = self.nodes.get(*id).is_some_and(|n| n.draining);
                self.node_answer(id, eligible, draining)
            }
            (Method::Put, ["node", id, "drain"]) => {
                let draining = body["DrainSpec"].is_object();
                self.node_answer(id, !draining && truthy(&body["MarkEligible"]), draining)
            }
            (Method::Put, ["search"]) => Ok(self.search(body)),
            (Method::Put, ["system", "gc"]) => {
                self.collect();
                Ok(Value::Null)
            }
            _ => return None,
        };
        Some(answer)
    }

    fn put_job(&mut self, id: Option<&str>, query: &Query, body: &Value) -> Answer {
        let job = &body["Job"];
        if !job.is_object() {
            return Err(Failure::request("Job must be specified"));
        }
        if text(job, "ID").is_empty() {
            return Err(Failure::request("Job ID hasn't been provided"));
        }
        if id.is_some_and(|id| id != text(job, "ID")) {
            return Err(Failure::request("Job ID does not match name"));
        }
        let mut job = job.clone();
        if text(&job, "Namespace").is_empty() && !query.get("namespace").is_empty() {
            job["Namespace"] = json!(query.get("namespace"));
        }
        let enforce = truthy(&body["EnforceIndex"]).then(|| uint(body, "JobModifyIndex"));
        let how = Registration {
            enforce,
            preserve_counts: truthy(&body["PreserveCounts"]),
            submission: body["Submission"].clone(),
            priority: int(body, "EvalPriority"),
        };
        let warnings = warnings(&canonical::job(&job));
        self.register(&job, &how).map(|done| registered(&done, &warnings))
    }

    fn put_plan(&mut self, id: &str, query: &Query, body: &Value) -> Answer {
        let job = &body["Job"];
        if !job.is_object() {
            return Err(Failure::request("Job must be specified"));
        }
        if text(job, "ID").is_empty() {
            return Err(Failure::request("Job must have a valid ID"));
        }
        if id != text(job, "ID") {
            return Err(Failure::request("Job ID does not match"));
        }
        let mut job = job.clone();
        if text(&job, "Namespace").is_empty() && !query.get("namespace").is_empty() {
            job["Namespace"] = json!(query.get("namespace"));
        }
        self.plan(&job, truthy(&body["Diff"]))
    }

    fn put_scale(&mut self, key: &JobKey, body: &Value) -> Answer {
        let group = text(&body["Target"], "Group").to_owned();
        let enforce = Some(uint(body, "JobModifyIndex")).filter(|index| *index > 0);
        self.scale(key, &group, body["Count"].as_i64(), enforce).map(|done| registered(&done, ""))
    }

    fn put_evaluate(&mut self, key: &JobKey) -> Answer {
        let Some(job) = self.job(key) else { return Err(Failure::missing("job not found")) };
        if !job["Periodic"].is_null() {
            return Err(Failure::server("can't evaluate periodic job"));
        }
        if !job["ParameterizedJob"].is_null() {
            return Err(Failure::server("can't evaluate parameterized job"));
        }
        let index = uint(job, "JobModifyIndex");
        let evaluation = self.new_evaluation(key, "job-register", 0);
        Ok(registered(
            &Registered {
                evaluation,
                evaluation_index: self.index,
                job_modify_index: index,
                index: self.index,
            },
            "",
        ))
    }

    fn put_stable(&mut self, key: &JobKey, body: &Value) -> Answer {
        let version = uint(body, "JobVersion");
        let index = self.change(&[super::cluster::Table::Jobs]);
        let job = self.jobs.get_mut(key).ok_or_else(|| Failure::missing("job not found"))?;
        let found = job.versions.iter_mut().find(|v| uint(v, "Version") == version);
        let found = found.ok_or_else(|| Failure::missing("job version not found"))?;
        super::value::set(found, "Stable", json!(truthy(&body["Stable"])));
        Ok(json!({"JobModifyIndex": index, "Index": index}))
    }

    fn put_stop(&mut self, id: &str) -> Answer {
        let Some(a) = self.allocations.get_mut(id) else { return Err(Failure::missing("alloc not found")) };
        a.migrate = true;
        let key = a.job.clone();
        let evaluation = self.new_evaluation(&key, "alloc-stop", 0);
        Ok(json!({"EvalID": evaluation, "Index": self.index}))
    }

    fn node_answer(&mut self, id: &str, eligible: bool, draining: bool) -> Answer {
        let index =
            self.set_node(id, eligible, draining).ok_or_else(|| Failure::missing("node not found"))?;
        Ok(json!({"NodeModifyIndex": index, "EvalIDs": null, "EvalCreateIndex": 0, "Index": index}))
    }

    fn search(&self, body: &Value) -> Value {
        let prefix = text(body, "Prefix");
        let context = text(body, "Context");
        let wanted = |name: &str| context == "all" || context.is_empty() || context == name;
        let mut matches = serde_json::Map::new();
        let mut put = |name: &str, ids: Vec<&String>| {
            if wanted(name) {
                let ids: Vec<&String> =
                    ids.into_iter().filter(|id| id.starts_with(prefix)).take(20).collect();
                matches.insert(name.to_owned(), json!(ids));
            }
        };
        put("jobs", self.jobs.keys().map(|k| &k.id).collect());
        put("evals", self.evaluations.keys().collect());
        put("allocs", self.allocations.keys().collect());
        put("deployment", self.deployments.keys().collect());
        put("nodes", self.nodes.keys().collect());
        json!({"Matches": matches, "Truncations": {}, "Index": self.index, "LastContact": 0, "KnownLeader": true})
    }

    /// Forgets what is over: stopped and finished jobs, unless a version is tagged, and what belongs to them.
    pub fn collect(&mut self) {
        self.evaluations.retain(|_, e| !e.terminal());
        let over: Vec<JobKey> = self
            .jobs
            .iter()
            .filter(|(key, job)| {
                let spec = job.spec();
                let tagged = job.versions.iter().any(|v| !v["VersionTag"].is_null());
                let busy = self.of_job(key).any(|a| !a.client_terminal());
                text(spec, "Status") == "dead"
                    && !tagged
                    && !busy
                    && (truthy(&spec["Stop"]) || matches!(text(spec, "Type"), "batch" | "sysbatch"))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for key in &over {
            self.jobs.remove(key);
            self.deployments.retain(|_, d| d.job != *key);
        }
        self.allocations
            .retain(|_, a| !a.client_terminal() || (a.desired == "run" && !over.contains(&a.job)));
        self.nodes.retain(|_, n| n.ready);
        self.change(&[
            super::cluster::Table::Jobs,
            super::cluster::Table::Evaluations,
            super::cluster::Table::Allocations,
        ]);
    }
}

fn registered(done: &Registered, warnings: &str) -> Value {
    json!({"EvalID": done.evaluation, "EvalCreateIndex": done.evaluation_index,
        "JobModifyIndex": done.job_modify_index, "Warnings": warnings, "Index": done.index, "LastContact": 0,
        "KnownLeader": false, "NextToken": ""})
}

fn deregistered(done: &Registered) -> Value {
    json!({"EvalID": done.evaluation, "EvalCreateIndex": done.evaluation_index,
        "JobModifyIndex": done.job_modify_index, "Index": done.index, "LastContact": 0, "KnownLeader": false,
        "NextToken": "", "VolumeEvalID": "", "VolumeEvalIndex": 0})
}

fn deployment_changed((evaluation, index): &(String, u64)) -> Value {
    json!({"EvalID": evaluation, "EvalCreateIndex": index, "DeploymentModifyIndex": index,
        "RevertedJobVersion": null, "Index": index})
}

fn validated(body: &Value) -> Value {
    let job = canonical::job(&body["Job"]);
    match validate(&job) {
        Ok(()) => {
            json!({"DriverConfigValidated": true, "ValidationErrors": null, "Error": "", "Warnings": warnings(&job)})
        }
        Err(failure) => {
            let errors: Vec<&str> =
                failure.text.lines().filter_map(|line| line.trim().strip_prefix("* ")).collect();
            json!({"DriverConfigValidated": true, "ValidationErrors": errors, "Error": failure.text, "Warnings": ""})
        }
    }
}
