//! What differs between two jobs, as the server would see it.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::files::JobOptions;
use super::read::read_job;
use crate::app::failure::{Failure, chain};
use crate::app::open::{self, Access};
use crate::base::{Clock, Diagnostics};
use crate::http::Tls;
use crate::nomad::{self, Client, DiffLine, NomadError, Sign};
use crate::process;
use crate::sim;

/// One of the two jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    File(PathBuf),
    /// A registered job, now or in an older version.
    Running {
        id: String,
        version: Option<u64>,
    },
}

impl Side {
    fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// `job:NAME` is a registered job, `job:NAME@3` its version 3; all else is a file.
    pub fn of(text: &str) -> Self {
        let Some(named) = text.strip_prefix("job:") else { return Self::File(text.into()) };
        let version = named.rsplit_once('@').and_then(|(id, version)| Some((id, version.parse().ok()?)));
        match version {
            Some((id, version)) => Self::Running { id: id.to_owned(), version: Some(version) },
            None => Self::Running { id: named.to_owned(), version: None },
        }
    }
}

/// What differs, and what is worth knowing of the files.
#[derive(Debug, Default)]
pub struct JobDiff {
    pub lines: Vec<DiffLine>,
    pub warnings: Diagnostics,
}

impl JobDiff {
    /// The changes as lines for people.
    pub fn shown(&self) -> impl Iterator<Item = String> {
        self.lines.iter().flat_map(DiffLine::lines)
    }
}

/// The changes that lead from one job to the other. Of a file's job, what it leaves out counts as what the
/// server would fill in.
pub async fn job_diff(from: &Side, to: &Side, options: &JobOptions) -> Result<JobDiff, Failure> {
    let mut diff = JobDiff::default();
    let mut sides = Vec::new();
    for side in [from, to] {
        sides.push(match side {
            Side::File(path) => {
                let job = read_job(path, options)?;
                diff.warnings.extend(job.warnings);
                sim::canonical_job(&job.json)
            }
            Side::Running { id, version } => running(id, *version, options).await?,
        });
    }
    let (Some(mut new), Some(mut old)) = (sides.pop(), sides.pop()) else { return Ok(diff) };
    if from.is_file() != to.is_file() {
        let running = if from.is_file() { &mut new } else { &mut old };
        without_sidecars(running);
    }
    plain(&mut old);
    plain(&mut new);
    // A job under another name is another one to the server, which would tell of nothing else.
    if old["ID"] != new["ID"] {
        let text = |job: &Json| job["ID"].as_str().map(str::to_owned);
        diff.lines.push(DiffLine {
            sign: Sign::Changed,
            path: Vec::new(),
            field: Some("ID".to_owned()),
            old: text(&old),
            new: text(&new),
            note: None,
        });
        new["ID"] = old["ID"].clone();
    }
    let lines = nomad::diff_lines(&sim::job_diff(Some(&old), Some(&new)));
    let (added, removed) = (filled_in(&new), filled_in(&old));
    let told = |line: &DiffLine| match line.sign {
        Sign::Changed => true,
        Sign::Added => line.field.is_none() || !added.contains(line),
        Sign::Removed => {
            line.field.is_none() || !removed.contains(&DiffLine { sign: Sign::Added, ..swapped(line) })
        }
    };
    diff.lines.extend(lines.into_iter().filter(told));
    Ok(diff)
}

/// What the server fills into the groups and tasks of a job by itself: of a whole one more or less, it says
/// nothing.
fn filled_in(job: &Json) -> Vec<DiffLine> {
    let list = |holder: &Json, key: &str| holder[key].as_array().cloned().unwrap_or_default();
    let groups: Vec<Json> = list(job, "TaskGroups")
        .iter()
        .map(|group| {
            let tasks: Vec<Json> =
                list(group, "Tasks").iter().map(|task| json!({ "Name": task["Name"] })).collect();
            json!({ "Name": group["Name"], "Tasks": tasks })
        })
        .collect();
    let bare = sim::canonical_job(&json!({ "ID": job["ID"], "Type": job["Type"], "TaskGroups": groups }));
    nomad::diff_lines(&sim::job_diff(None, Some(&bare)))
}

fn swapped(line: &DiffLine) -> DiffLine {
    DiffLine { old: line.new.clone(), new: line.old.clone(), ..line.clone() }
}

/// Takes out what the server puts in for Connect: tasks of proxies, and their ports. No file says them.
fn without_sidecars(job: &mut Json) {
    let list = |holder: &mut Json, key: &str, kept: &dyn Fn(&Json) -> bool| {
        if let Some(items) = holder.get_mut(key).and_then(Json::as_array_mut) {
            items.retain(kept);
            if items.is_empty() {
                holder[key] = Json::Null;
            }
        }
    };
    let begins = |value: &Json, start: &str| value.as_str().is_some_and(|text| text.starts_with(start));
    for group in job["TaskGroups"].as_array_mut().into_iter().flatten() {
        list(group, "Tasks", &|task| !begins(&task["Kind"], "connect-"));
        for network in group["Networks"].as_array_mut().into_iter().flatten() {
            list(network, "DynamicPorts", &|port| !begins(&port["Label"], "connect-"));
            if let Some(network) = network.as_object_mut() {
                network.retain(|_, value| !value.is_null());
            }
        }
    }
}

/// Takes out what only the server gives (a scaling's ID and indexes), and writes whole numbers as such.
fn plain(value: &mut Json) {
    match value {
        Json::Object(map) => {
            if let Some(scaling) = map.get_mut("Scaling").and_then(Json::as_object_mut) {
                for key in ["ID", "Namespace", "Target", "CreateIndex", "ModifyIndex"] {
                    scaling.remove(key);
                }
            }
            map.values_mut().for_each(plain);
        }
        Json::Array(items) => items.iter_mut().for_each(plain),
        Json::Number(number) if number.is_f64() => {
            if let Ok(whole) = format!("{number}").trim_end_matches(".0").parse::<i64>() {
                *value = whole.into();
            }
        }
        _ => {}
    }
}

async fn running(id: &str, version: Option<u64>, options: &JobOptions) -> Result<Json, Failure> {
    let client = client(options).await?;
    let asked = match version {
        None => client.job(id).await,
        Some(version) => client.job_at(id, version).await,
    };
    let wrong = |error: NomadError| {
        let failure = Failure::error(format!("{}: {}", client.address(), chain(&error)));
        match error.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    };
    asked.map_err(wrong)?.ok_or_else(|| {
        let version = version.map(|version| format!(" in version {version}")).unwrap_or_default();
        let place = format!("{}, namespace {}", client.address(), client.namespace());
        Failure::error(format!("there is no job '{id}'{version} at {place}"))
            .help("a file is named by its path, a job by job:NAME or job:NAME@VERSION")
    })
}

/// Nomad as the environment reaches it, or without one as the stock client does.
async fn client(options: &JobOptions) -> Result<Client, Failure> {
    if options.place.environment.is_some() {
        let project = open::project(&options.place)?;
        let environment = open::choose(&project, &options.place)?;
        let opened = open::open(&project, environment, &options.place, Access::Look, "look")?;
        let environment = opened.environment(std::collections::BTreeMap::new(), None)?;
        return environment.nomad().await.map_err(|error| Failure::error(chain(&error)));
    }
    let shell = process::shell();
    let set = |name: &str| shell.get(name).filter(|value| !value.is_empty()).cloned();
    let given = options.place.nomad_address.clone().or_else(|| set("NOMAD_ADDR"));
    let address = given.unwrap_or_else(|| "http://127.0.0.1:4646".to_owned());
    let access = nomad::Access {
        token: set("NOMAD_TOKEN"),
        namespace: set("NOMAD_NAMESPACE"),
        region: set("NOMAD_REGION"),
    };
    let sockets = Tls::of_variables(set).sockets(&address).map_err(|error| Failure::error(chain(&error)))?;
    Ok(Client::new(Arc::new(sockets), &address, access, Clock::real()))
}
