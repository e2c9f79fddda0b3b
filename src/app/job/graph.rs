//! What jobs wait for: what `meta.depends_on` names, and the services they look for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::consumed::{Service, consumed, offered};
use super::files::JobOptions;
use super::read::each;
use crate::app::failure::Failure;
use crate::base::{Diagnostic, Diagnostics, Source, text};
use crate::jobspec::{self, Job};
use crate::plan::{Cycle, levels};

/// What is known of a job for its place among others.
pub struct Waiting {
    id: String,
    source: Arc<Source>,
    depends_on: Vec<String>,
    offered: Vec<Service>,
    consumed: Vec<Service>,
}

impl Waiting {
    pub fn of(job: &Job) -> Self {
        Self {
            id: job.id().to_owned(),
            source: Arc::clone(&job.source),
            depends_on: job.depends_on(),
            offered: offered(&job.json),
            consumed: consumed(&job.json),
        }
    }

    /// With the place of its `depends_on`, where that can be told.
    fn problem(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        diagnostic.span = jobspec::place_of_depends_on(&self.source);
        if diagnostic.span.is_none() {
            diagnostic.message = format!("{}: {}", self.source.name, diagnostic.message);
        }
        diagnostic
    }
}

/// Why a job waits for another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "why", content = "service", rename_all = "snake_case")]
pub enum Why {
    DependsOn,
    Service(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Wait {
    pub job: String,
    #[serde(flatten)]
    pub why: Why,
}

#[derive(Clone, Debug, Serialize)]
pub struct JobNode {
    pub id: String,
    pub file: String,
    /// In what order, each name once for each reason.
    pub after: Vec<Wait>,
    /// Services that it looks for and no job here offers.
    pub outside: Vec<String>,
}

/// Jobs in the order in which they can start.
#[derive(Debug, Default)]
pub struct JobGraph {
    /// Each level waits only for those before it. Empty where there is a cycle.
    pub levels: Vec<Vec<JobNode>>,
    /// Names that wait for one another, each for the next and the last for the first. Of rings that share a
    /// job, only one is told.
    pub cycles: Vec<Vec<String>>,
    pub problems: Diagnostics,
}

/// Reads the job files and puts their jobs in order.
pub fn job_graph(paths: &[PathBuf], options: &JobOptions) -> Result<JobGraph, Failure> {
    let (read, _, problems) = each(paths, options, |job, _| Waiting::of(&job))?;
    let mut graph = JobGraph { problems, ..JobGraph::default() };
    let mut jobs = Vec::new();
    for (job, found) in read {
        jobs.extend(job);
        graph.problems.extend(found);
    }
    unknown(&jobs, &mut graph.problems);
    twice(&jobs, &mut graph.problems);
    let nodes = nodes(&jobs);
    let names: Vec<String> = nodes.keys().cloned().collect();
    let after = nodes.iter().map(|(id, node)| {
        let others: BTreeSet<String> = node.after.iter().map(|wait| wait.job.clone()).collect();
        (id.clone(), others.into_iter().collect())
    });
    match ordered(names, &after.collect()) {
        Ok(levels) => {
            let level =
                |names: Vec<String>| names.iter().filter_map(|name| nodes.get(name).cloned()).collect();
            graph.levels = levels.into_iter().map(level).collect();
        }
        Err(cycles) => {
            graph.problems.0.extend(cycles.iter().map(|cycle| circular(&jobs, cycle)));
            graph.cycles = cycles.into_iter().map(|cycle| cycle.0).collect();
        }
    }
    Ok(graph)
}

/// The names in levels, or rings of them until none is left; no two of these share a name.
fn ordered(
    mut names: Vec<String>,
    after: &BTreeMap<String, Vec<String>>,
) -> Result<Vec<Vec<String>>, Vec<Cycle>> {
    let mut cycles: Vec<Cycle> = Vec::new();
    loop {
        match levels(&names, after) {
            Ok(levels) => return if cycles.is_empty() { Ok(levels) } else { Err(cycles) },
            Err(cycle) => {
                names.retain(|name| !cycle.0.contains(name));
                cycles.push(cycle);
            }
        }
    }
}

fn nodes(jobs: &[Waiting]) -> BTreeMap<String, JobNode> {
    let known: BTreeSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    let mut by_service: BTreeMap<&Service, BTreeSet<&str>> = BTreeMap::new();
    for job in jobs {
        for service in &job.offered {
            by_service.entry(service).or_default().insert(&job.id);
        }
    }
    let node = |job: &Waiting| {
        let named = job.depends_on.iter().filter(|name| known.contains(name.as_str()));
        let mut after: Vec<Wait> =
            named.map(|name| Wait { job: name.clone(), why: Why::DependsOn }).collect();
        let mut outside = Vec::new();
        for service in &job.consumed {
            match by_service.get(service) {
                // A job may look for its own services.
                Some(by) if by.contains(job.id.as_str()) => {}
                Some(by) => after.extend(
                    by.iter()
                        .map(|id| Wait { job: (*id).to_owned(), why: Why::Service(service.name.clone()) }),
                ),
                None => outside.push(service.name.clone()),
            }
        }
        after.sort();
        after.dedup();
        outside.dedup();
        (job.id.clone(), JobNode { id: job.id.clone(), file: job.source.name.clone(), after, outside })
    };
    jobs.iter().map(node).collect()
}

/// Tells of jobs that depend on one another, or on what no file holds.
pub fn dependencies(jobs: &[Waiting], problems: &mut Diagnostics) {
    let names: Vec<String> = jobs.iter().map(|job| job.id.clone()).collect();
    let after = jobs.iter().map(|job| (job.id.clone(), job.depends_on.clone())).collect();
    if let Err(cycles) = ordered(names, &after) {
        problems.0.extend(cycles.iter().map(|cycle| circular(jobs, cycle)));
    }
    unknown(jobs, problems);
    twice(jobs, problems);
}

/// Of two files with one job, the one that is registered last goes over the other.
fn twice(jobs: &[Waiting], problems: &mut Diagnostics) {
    let mut files: BTreeMap<&str, &str> = BTreeMap::new();
    for job in jobs {
        if let Some(other) = files.insert(&job.id, &job.source.name) {
            let message = format!("{other} and {} both hold the job '{}'", job.source.name, job.id);
            let warning = Diagnostic::warning(message);
            problems.push(warning.help("where both are registered, the later goes over the earlier"));
        }
    }
}

fn circular(jobs: &[Waiting], cycle: &Cycle) -> Diagnostic {
    let mut path = cycle.0.clone();
    path.extend(cycle.0.first().cloned());
    let error = Diagnostic::error(format!("these jobs wait for one another: {}", path.join(" → ")));
    let named = |job: &&Waiting| job.depends_on.iter().any(|name| cycle.0.contains(name));
    match jobs.iter().filter(|job| cycle.0.contains(&job.id)).find(named) {
        Some(job) => job.problem(error.help("take one of the names out of a meta.depends_on")),
        None => error.help("each looks for a service of the next: one of them has to start without it"),
    }
}

fn unknown(jobs: &[Waiting], problems: &mut Diagnostics) {
    let known: BTreeSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
    // A file with errors may hold it: those are told.
    let broken: Vec<Arc<Source>> =
        problems.0.iter().filter_map(|problem| Some(Arc::clone(&problem.span.as_ref()?.source))).collect();
    let begun = |name: &str| broken.iter().any(|source| source.text.contains(&format!("job \"{name}\"")));
    for job in jobs {
        let missing = |name: &&String| !known.contains(name.as_str()) && !begun(name);
        for name in job.depends_on.iter().filter(missing) {
            let message = format!("'{}' depends on '{name}', and no file holds such a job", job.id);
            let warning = Diagnostic::warning(message);
            let others = known.iter().copied().filter(|other| *other != job.id);
            problems.push(job.problem(match text::nearest(name, others) {
                Some(near) => warning.help(format!("did you mean '{near}'?")),
                None => warning,
            }));
        }
    }
}
