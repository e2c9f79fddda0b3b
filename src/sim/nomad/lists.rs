//! What is read from a cluster: one answer a path, with the index a blocking query waits on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::cluster::{Cluster, Table};
use super::failure::Failure;
use super::records::{Allocation, Deployment, Evaluation, Job, JobKey};
use super::value::{array, int, text, truthy, uint};

/// Parameters of a query.
#[derive(Clone, Debug, Default)]
pub struct Query(pub BTreeMap<String, String>);

impl Query {
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map(String::as_str).unwrap_or_default()
    }

    /// A flag; a parameter without a value is a yes, as in Nomad's own client.
    pub fn flag(&self, key: &str) -> bool {
        self.0.get(key).is_some_and(|v| !matches!(v.as_str(), "false" | "0"))
    }

    fn namespace(&self) -> &str {
        match self.get("namespace") {
            "" => "default",
            other => other,
        }
    }

    fn in_namespace(&self, namespace: &str) -> bool {
        self.namespace() == "*" || self.namespace() == namespace
    }

    pub fn key(&self, id: &str) -> JobKey {
        let namespace = if self.namespace() == "*" { "default" } else { self.namespace() };
        JobKey { namespace: namespace.to_owned(), id: id.to_owned() }
    }
}

/// An answer to a read.
pub struct Read {
    pub index: u64,
    pub body: Result<Value, Failure>,
    pub next: Option<String>,
}

impl Read {
    fn one(index: u64, body: Value) -> Self {
        Self { index: index.max(1), body: Ok(body), next: None }
    }

    fn missing(index: u64, what: &str) -> Self {
        Self { index: index.max(1), body: Err(Failure::missing(what)), next: None }
    }
}

/// What Nomad says to an id that can't be one.
fn no_uuid(path: &[&str]) -> Option<Failure> {
    let (id, what) = match path {
        ["evaluation", id] => (id, "failed to lookup eval: eval lookup failed"),
        ["allocation", id] => (id, "alloc lookup failed"),
        ["deployment", id] => (id, "deployment lookup failed"),
        ["node", id] => (id, "node lookup failed"),
        _ => return None,
    };
    (id.len() != 36).then(|| Failure::server(format!("{what}: index error: UUID must be 36 characters")))
}

impl Cluster {
    /// Answers a GET of a path below `/v1/`; none where there is no such path.
    pub fn read(&self, path: &[&str], query: &Query) -> Option<Read> {
        if let Some(failure) = no_uuid(path) {
            return Some(Read { index: 1, body: Err(failure), next: None });
        }
        let read = match path {
            ["jobs"] => self.jobs_list(query),
            ["jobs", "statuses"] => self.job_statuses(query),
            ["job", id] => match self.job(&query.key(id)) {
                Some(job) => Read::one(uint(job, "ModifyIndex"), job.clone()),
                None => Read::missing(self.table(Table::Jobs), "job not found"),
            },
            ["job", id, what] => self.of_one_job(&query.key(id), what, query)?,
            ["evaluations"] => self.evaluations_list(query),
            ["evaluation", id] => match self.evaluations.get(*id) {
                Some(e) => {
                    let related = query.flag("related").then(|| self.related(e));
                    Read::one(e.modify_index, e.json(related))
                }
                None => Read::missing(self.table(Table::Evaluations), "eval not found"),
            },
            ["evaluation", id, "allocations"] => {
                self.allocation_list(query, Table::Allocations, |a| a.evaluation == *id)
            }
            ["allocations"] => {
                let prefix = query.get("prefix").to_owned();
                self.allocation_list(query, Table::Allocations, move |a| {
                    a.id.starts_with(&prefix) && query.in_namespace(&a.job.namespace)
                })
            }
            ["allocation", id] => match self.allocations.get(*id) {
                Some(a) => Read::one(a.modify_index, a.json()),
                None => Read::missing(self.table(Table::Allocations), "alloc not found"),
            },
            ["allocation", _, "services"] => Read::one(self.index, json!([])),
            ["deployments"] => {
                let found = self.deployments.values().filter(|d| {
                    d.id.starts_with(query.get("prefix")) && query.in_namespace(&d.job.namespace)
                });
                let mut found: Vec<&Deployment> = found.collect();
                found.sort_by_key(|d| std::cmp::Reverse(d.create_index));
                let items = found.into_iter().map(|d| (d.id.clone(), d.json())).collect();
                page(self.table(Table::Deployments), items, query)
            }
            ["deployment", id] => match self.deployments.get(*id) {
                Some(d) => Read::one(d.modify_index, d.json()),
                None => Read::missing(self.table(Table::Deployments), "deployment not found"),
            },
            ["deployment", "allocations", id] => {
                self.allocation_list(query, Table::Allocations, |a| a.deployment == *id)
            }
            ["nodes"] => {
                let resources = query.flag("resources");
                let found = self.nodes.values().filter(|n| n.id.starts_with(query.get("prefix")));
                page(
                    self.table(Table::Nodes),
                    found.map(|n| (n.id.clone(), n.stub(resources))).collect(),
                    query,
                )
            }
            ["node", id] => match self.nodes.get(*id) {
                Some(n) => Read::one(n.modify_index, n.json()),
                None => Read::missing(self.table(Table::Nodes), "node not found"),
            },
            ["node", id, "allocations"] => {
                let found: Vec<Value> =
                    self.allocations.values().filter(|a| a.node == *id).map(Allocation::json).collect();
                Read::one(self.table(Table::Allocations), json!(found))
            }
            _ => return None,
        };
        Some(read)
    }

    fn of_one_job(&self, key: &JobKey, what: &str, query: &Query) -> Option<Read> {
        let jobs = self.table(Table::Jobs);
        let read = match what {
            "allocations" => {
                let all = query.flag("all");
                let created = self.job(key).map(|j| uint(j, "CreateIndex"));
                self.allocation_list(query, Table::Allocations, |a| {
                    a.job == *key && (all || created.is_none_or(|c| uint(&a.spec, "CreateIndex") == c))
                })
            }
            "evaluations" => {
                let mut found: Vec<&Evaluation> =
                    self.evaluations.values().filter(|e| e.job == *key).collect();
                found.sort_by_key(|e| std::cmp::Reverse(e.create_index));
                let index =
                    found.iter().map(|e| e.modify_index).max().unwrap_or(self.table(Table::Evaluations));
                Read::one(index, json!(found.iter().map(|e| e.json(None)).collect::<Vec<_>>()))
            }
            "deployment" => {
                let latest = self.deployment_of(key);
                let index = latest.map_or(self.table(Table::Deployments), |d| d.modify_index);
                Read::one(index, latest.map_or(Value::Null, Deployment::json))
            }
            "deployments" => {
                let mut found: Vec<&Deployment> =
                    self.deployments.values().filter(|d| d.job == *key).collect();
                found.sort_by_key(|d| std::cmp::Reverse(d.create_index));
                let index =
                    found.iter().map(|d| d.modify_index).max().unwrap_or(self.table(Table::Deployments));
                Read::one(index, json!(found.iter().map(|d| d.json()).collect::<Vec<_>>()))
            }
            "summary" => match self.job(key) {
                Some(_) => Read::one(self.summary_index(key), self.summary(key)),
                None => Read::missing(jobs, "job not found"),
            },
            "versions" => match self.jobs.get(key) {
                Some(job) => {
                    let diffs: Vec<Value> = job
                        .versions
                        .windows(2)
                        .map(|pair| super::diff::jobs(pair.get(1), pair.first()))
                        .collect();
                    let diffs = if query.flag("diffs") { json!(diffs) } else { Value::Null };
                    let body = json!({"Versions": job.versions, "Diffs": diffs, "Index": self.index,
                        "LastContact": 0, "KnownLeader": true, "NextToken": ""});
                    Read::one(uint(job.spec(), "ModifyIndex"), body)
                }
                None => Read::missing(jobs, "job versions not found"),
            },
            "submission" => {
                let job = self.jobs.get(key);
                let version = query.get("version").parse::<u64>().ok();
                let version = version.or_else(|| job.map(|j| uint(j.spec(), "Version")));
                match version.and_then(|v| job.and_then(|j| j.submissions.get(&v))) {
                    Some(submission) => Read::one(jobs, submission.clone()),
                    None => Read::missing(jobs, "job source not found"),
                }
            }
            "scale" => match self.job(key) {
                Some(job) => Read::one(uint(job, "ModifyIndex"), self.scale_status(key, job)),
                None => Read::missing(jobs, "job not found"),
            },
            "services" | "actions" => Read::one(jobs, json!([])),
            _ => return None,
        };
        Some(read)
    }

    fn jobs_list(&self, query: &Query) -> Read {
        let found: Vec<(String, Value)> = self
            .jobs
            .iter()
            .filter(|(key, _)| key.id.starts_with(query.get("prefix")) && query.in_namespace(&key.namespace))
            .map(|(key, job)| (key.id.clone(), self.job_stub(key, job, query.flag("meta"))))
            .collect();
        let index = self.table(Table::Jobs).max(self.table(Table::Allocations));
        page(index, found, query)
    }

    fn job_stub(&self, key: &JobKey, job: &Job, meta: bool) -> Value {
        let spec = job.spec();
        let mut out = Map::new();
        for field in [
            "ID",
            "ParentID",
            "Name",
            "Namespace",
            "Datacenters",
            "NodePool",
            "Multiregion",
            "Type",
            "Priority",
            "Stop",
            "Status",
            "StatusDescription",
            "CreateIndex",
            "ModifyIndex",
            "JobModifyIndex",
            "SubmitTime",
        ] {
            out.insert(field.into(), spec[field].clone());
        }
        out.insert("Periodic".into(), json!(!spec["Periodic"].is_null()));
        out.insert("ParameterizedJob".into(), json!(!spec["ParameterizedJob"].is_null()));
        out.insert("JobSummary".into(), self.summary(key));
        if meta && !spec["Meta"].is_null() {
            out.insert("Meta".into(), spec["Meta"].clone());
        }
        Value::Object(out)
    }

    fn job_statuses(&self, query: &Query) -> Read {
        let found: Vec<(String, Value)> = self
            .jobs
            .iter()
            .filter(|(key, job)| {
                query.in_namespace(&key.namespace) && (query.flag("include_children") || text(job.spec(), "ParentID").is_empty())
            })
            .map(|(key, job)| {
                let spec = job.spec();
                let allocs: Vec<Value> = self
                    .of_job(key)
                    .map(|a| json!({"ID": a.id, "Group": a.group, "ClientStatus": a.client, "NodeID": a.node,
                        "DeploymentStatus": {"Canary": a.canary, "Healthy": a.healthy.map(|h| h.0)},
                        "JobVersion": a.version(), "FollowupEvalID": a.followup, "HasPausedTask": false}))
                    .collect();
                let total: i64 = array(spec, "TaskGroups").iter().map(|g| int(g, "Count")).sum();
                let latest = self.deployment_of(key).map_or(Value::Null, |d| {
                    json!({"ID": d.id, "IsActive": d.active(), "JobVersion": d.version, "Status": d.status,
                        "StatusDescription": d.description, "AllAutoPromote": d.groups.values().all(|g| g.auto_promote),
                        "RequiresPromotion": d.needs_promotion()})
                });
                let status = json!({"ID": key.id, "Name": spec["Name"], "Namespace": key.namespace, "Type": spec["Type"],
                    "NodePool": spec["NodePool"], "Datacenters": spec["Datacenters"], "Priority": spec["Priority"],
                    "Version": spec["Version"], "ParentID": spec["ParentID"], "SubmitTime": spec["SubmitTime"],
                    "ModifyIndex": spec["ModifyIndex"], "Stop": spec["Stop"], "IsPack": false, "Status": spec["Status"],
                    "GroupCountSum": total, "ChildStatuses": null, "Allocs": allocs, "LatestDeployment": latest});
                (key.id.clone(), status)
            })
            .collect();
        page(self.index, found, query)
    }

    fn evaluations_list(&self, query: &Query) -> Read {
        let mut found: Vec<&Evaluation> = self
            .evaluations
            .values()
            .filter(|e| {
                let wanted = |key: &str, have: &str| query.get(key).is_empty() || query.get(key) == have;
                e.id.starts_with(query.get("prefix"))
                    && query.in_namespace(&e.job.namespace)
                    && wanted("job", &e.job.id)
                    && wanted("status", &e.status)
            })
            .collect();
        found.sort_by_key(|e| e.create_index);
        if query.flag("reverse") {
            found.reverse();
        }
        page(
            self.table(Table::Evaluations),
            found.iter().map(|e| (e.id.clone(), e.json(None))).collect(),
            query,
        )
    }

    fn related(&self, e: &Evaluation) -> Vec<Value> {
        let linked = [&e.next, &e.previous, &e.blocked];
        self.evaluations
            .values()
            .filter(|o| linked.contains(&&o.id) || o.previous == e.id || e.related.contains(&o.id))
            .map(|o| {
                let stub = json!({"ID": o.id, "Priority": o.priority, "Type": o.kind, "TriggeredBy": o.triggered_by,
                    "Namespace": o.job.namespace, "JobID": o.job.id, "NodeID": "", "DeploymentID": o.deployment,
                    "Status": o.status, "StatusDescription": o.description,
                    "WaitUntil": o.wait_until.map_or(Value::Null, |w| json!(w.to_string())), "NextEval": o.next,
                    "PreviousEval": o.previous, "BlockedEval": o.blocked, "CreateIndex": o.create_index,
                    "ModifyIndex": o.modify_index, "CreateTime": super::cluster::nanos(o.create_time),
                    "ModifyTime": super::cluster::nanos(o.modify_time)});
                stub
            })
            .collect()
    }

    fn allocation_list(&self, query: &Query, table: Table, keep: impl Fn(&Allocation) -> bool) -> Read {
        let resources = query.flag("resources");
        let states = !query.0.contains_key("task_states") || query.flag("task_states");
        let mut found: Vec<&Allocation> = self.allocations.values().filter(|a| keep(a)).collect();
        found.sort_by_key(|a| std::cmp::Reverse(a.create_index));
        if query.flag("reverse") {
            found.reverse();
        }
        page(
            self.table(table),
            found.iter().map(|a| (a.id.clone(), a.stub(resources, states))).collect(),
            query,
        )
    }

    fn summary_index(&self, key: &JobKey) -> u64 {
        let job = self.job(key).map_or(1, |j| uint(j, "ModifyIndex"));
        self.of_job(key).map(|a| a.modify_index).max().unwrap_or(1).max(job)
    }

    /// The counts of a job's allocations by group.
    pub fn summary(&self, key: &JobKey) -> Value {
        let spec = self.job(key).cloned().unwrap_or_default();
        let mut groups = Map::new();
        let queued = self
            .evaluations
            .values()
            .filter(|e| e.job == *key && (e.status == "blocked" || e.status == "complete"))
            .max_by_key(|e| e.modify_index)
            .map(|e| e.queued.clone())
            .unwrap_or_default();
        for group in array(&spec, "TaskGroups") {
            let name = text(group, "Name");
            let count =
                |status: &str| self.of_job(key).filter(|a| a.group == name && a.client == status).count();
            groups.insert(
                name.to_owned(),
                json!({"Queued": queued.get(name).copied().unwrap_or_default(), "Complete": count("complete"),
                    "Failed": count("failed"), "Running": count("running"), "Starting": count("pending"),
                    "Lost": count("lost"), "Unknown": count("unknown")}),
            );
        }
        let parent = !spec["Periodic"].is_null() || !spec["ParameterizedJob"].is_null();
        let children = if parent {
            let of = |status: &str| {
                self.jobs
                    .values()
                    .filter(|j| text(j.spec(), "ParentID") == key.id && text(j.spec(), "Status") == status)
                    .count()
            };
            json!({"Pending": of("pending"), "Running": of("running"), "Dead": of("dead")})
        } else {
            json!({"Pending": 0, "Running": 0, "Dead": 0})
        };
        json!({"JobID": key.id, "Namespace": key.namespace, "Summary": groups, "Children": children,
            "CreateIndex": spec["CreateIndex"], "ModifyIndex": self.summary_index(key)})
    }

    fn scale_status(&self, key: &JobKey, job: &Value) -> Value {
        let groups: Map<String, Value> = array(job, "TaskGroups")
            .iter()
            .map(|g| {
                let name = text(g, "Name");
                let of = |running: bool| {
                    self.of_job(key)
                        .filter(|a| {
                            a.group == name && a.desired == "run" && (!running || a.client == "running")
                        })
                        .count()
                };
                let healthy = self
                    .of_job(key)
                    .filter(|a| a.group == name && a.desired == "run" && a.healthy.is_some_and(|h| h.0))
                    .count();
                let status = json!({"Desired": g["Count"], "Placed": of(false), "Running": of(true),
                    "Healthy": healthy, "Unhealthy": 0, "Events": null});
                (name.to_owned(), status)
            })
            .collect();
        json!({"JobID": key.id, "Namespace": key.namespace, "JobCreateIndex": job["CreateIndex"],
            "JobModifyIndex": job["ModifyIndex"], "JobStopped": truthy(&job["Stop"]), "TaskGroups": groups})
    }
}

/// One page of a list: the items in their order, from a token on.
fn page(index: u64, items: Vec<(String, Value)>, query: &Query) -> Read {
    let from = query.get("next_token");
    let start =
        if from.is_empty() { 0 } else { items.iter().position(|(id, _)| id == from).unwrap_or(items.len()) };
    let size = query.get("per_page").parse::<usize>().ok().filter(|n| *n > 0).unwrap_or(usize::MAX);
    let end = start.saturating_add(size).min(items.len());
    let next = items.get(end).map(|(id, _)| id.clone());
    let mut out = json!([]);
    if let Some(list) = out.as_array_mut() {
        list.extend(items.into_iter().take(end).skip(start).map(|(_, v)| v));
    }
    let mut read = Read::one(index, out);
    read.next = next;
    read
}
