//! What is done to single services, as made plans: shown, approved, journaled and gone on with like any run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::failure::{Failure, chain};
use super::made::{self, list, quoted};
use super::open::Opened;
use super::plans::Chosen;
use crate::base::text;
use crate::environment::Environment;
use crate::jobspec::Job;
use crate::lasting;
use crate::nomad::{Client, NomadError, depends_on, is_stopped};
use crate::plan::levels;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    Start {
        /// What Nomad has forgotten is registered as it was before its stop, not from its file.
        as_it_was: bool,
    },
    Stop,
    Restart {
        batch: Option<String>,
        delay: Option<Duration>,
    },
    /// One name, which may be `SERVICE/GROUP`.
    Scale {
        count: u64,
        interval: Option<Duration>,
        min: Option<u64>,
    },
}

impl Verb {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Stop => "stop",
            Self::Restart { .. } => "restart",
            Self::Scale { .. } => "scale",
        }
    }
}

/// A plan that does it to the services named: jobs, by their names or patterns (`job_*`).
pub async fn service_plan(
    opened: &Opened,
    verb: &Verb,
    services: &[String],
    timeout: Option<Duration>,
) -> Result<Chosen, Failure> {
    let environment = opened.environment(BTreeMap::new(), None)?;
    let client = environment.nomad().await?;
    let known = known(&client).await?;
    let others = |id: &str| environment.ignores(id);
    let mut steps = String::new();
    let timeout = timeout.map(|timeout| ("timeout", seconds(timeout)));
    match verb {
        Verb::Start { as_it_was } => {
            let mut kept = lasting::kept_jobs(&opened.journal.all());
            kept.retain(|id| !known.contains_key(id));
            let files = if needs_files(services, &known) { jobs_of_files(&environment)? } else { Vec::new() };
            let ids = known.keys().cloned().chain(files.iter().map(|job| job.id().to_owned()));
            let mut ids: BTreeSet<String> = ids.collect();
            if let Some(id) = services.iter().find(|id| kept.contains(*id) && !ids.contains(*id))
                && !as_it_was
            {
                let message = format!("Nomad has forgotten '{}', and no file holds it", text::one_line(id));
                return Err(Failure::error(message).help("start it as it was: --as-it-was"));
            }
            kept.retain(|_| *as_it_was);
            ids.extend(kept.iter().cloned());
            let jobs = meant(services, &ids, &others)?;
            kept.retain(|id| jobs.contains(id));
            let forgotten = files.iter().filter(|job| jobs.contains(&job.id().to_owned()));
            let forgotten = forgotten.filter(|job| !known.contains_key(job.id()) && !kept.contains(job.id()));
            let names: Vec<String> = forgotten.map(|job| glob::Pattern::escape(&job.source.name)).collect();
            let files = (!names.is_empty()).then(|| ("files", list(&names)));
            let kept: Vec<String> = kept.into_iter().collect();
            let kept = (!kept.is_empty()).then(|| ("kept", list(&kept)));
            step(&mut steps, "nomad_start", "start", [Some(("jobs", list(&jobs))), files, kept, timeout]);
        }
        Verb::Stop => {
            let jobs = meant(services, &known.keys().cloned().collect(), &others)?;
            let jobs = dependents_first(&client, jobs).await?;
            step(&mut steps, "nomad_stop", "stop", [Some(("jobs", list(&jobs))), timeout]);
        }
        Verb::Restart { batch, delay } => {
            // A pattern means what runs.
            let running: BTreeMap<&String, bool> = known.iter().map(|(id, stopped)| (id, *stopped)).collect();
            let mut jobs = meant(services, &known.keys().cloned().collect(), &others)?;
            jobs.retain(|id| services.contains(id) || !running.get(id).copied().unwrap_or_default());
            let batch = batch.as_ref().map(|batch| ("batch", quoted(batch)));
            let delay = delay.map(|delay| ("delay", seconds(delay)));
            let attributes = [Some(("jobs", list(&jobs))), batch, delay, timeout];
            step(&mut steps, "nomad_restart", "restart", attributes);
        }
        Verb::Scale { count, interval, min } => {
            let (job, group) = target(services.first().map(String::as_str).unwrap_or_default(), &known)?;
            let attributes = [
                Some(("job", quoted(&job))),
                group.map(|group| ("group", quoted(&group))),
                Some(("count", count.to_string())),
                interval.map(|interval| ("interval", seconds(interval))),
                min.map(|min| ("min", min.to_string())),
                timeout,
            ];
            step(&mut steps, "nomad_scale", "scale", attributes);
        }
    }
    let name = verb.name();
    let text = format!(
        "plan \"service-{name}\" {{\n  operation = \"other\"\n  wave \"service\" {{\n{steps}  }}\n}}\n"
    );
    made::make(opened, text)
}

fn step<const N: usize>(
    out: &mut String,
    kind: &str,
    name: &str,
    attributes: [Option<(&'static str, String)>; N],
) {
    let _ = writeln!(out, "    step \"{kind}\" \"{name}\" {{");
    for (name, value) in attributes.into_iter().flatten() {
        let _ = writeln!(out, "      {name} = {value}");
    }
    out.push_str("    }\n");
}

/// A number of seconds is a duration in plans.
fn seconds(length: Duration) -> String {
    length.as_secs_f64().to_string()
}

/// The jobs of the namespace, and whether each is stopped; children of periodic and parameterized ones left out.
async fn known(client: &Client) -> Result<BTreeMap<String, bool>, Failure> {
    let stubs = client.jobs().await.map_err(|error| nomad(&error))?;
    let own = stubs.into_iter().filter(|stub| stub.parent_id.is_empty());
    Ok(own.map(|stub| (stub.id, stub.stop)).collect())
}

fn nomad(error: &NomadError) -> Failure {
    let failure = Failure::error(chain(error));
    match error.help() {
        Some(help) => failure.help(help),
        None => failure,
    }
}

/// The names that are meant, each once, in the order given. A pattern doesn't mean what is others'.
fn meant(
    wanted: &[String],
    known: &BTreeSet<String>,
    others: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>, Failure> {
    let mut found: Vec<String> = Vec::new();
    for name in wanted {
        let before = found.len();
        if known.contains(name) {
            found.push(name.clone());
        } else if text::is_pattern(name) {
            let pattern = glob::Pattern::new(name).map_err(|error| {
                Failure::error(format!("'{}' is not a pattern: {error}", text::one_line(name)))
            })?;
            let (theirs, ours): (Vec<&String>, Vec<&String>) =
                known.iter().filter(|known| pattern.matches(known)).partition(|known| others(known));
            if ours.is_empty() && !theirs.is_empty() {
                let message = format!("'{}' matches only jobs of others", text::one_line(name));
                let named =
                    "blackstart.hcl says so (nomad { ignore = … }); name them exactly if they are meant";
                return Err(Failure::error(message).help(named));
            }
            found.extend(ours.into_iter().cloned());
        }
        if found.len() == before {
            return Err(unknown(name, known));
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|name| seen.insert(name.clone()));
    Ok(found)
}

fn unknown(name: &str, known: &BTreeSet<String>) -> Failure {
    let shown = text::one_line(name);
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let what = if text::is_pattern(name) {
        format!("no service matches '{shown}'")
    } else {
        format!("there is no service '{shown}'")
    };
    Failure::error(what).help(match text::nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean '{}'?", text::one_line(near)),
        None if names.is_empty() => "no job is registered".to_owned(),
        None => format!("the services are {}", text::one_line(&text::list(&names))),
    })
}

/// A job and, where one is named, its group. A job's id may hold slashes: the longest that is there is meant.
fn target(name: &str, known: &BTreeMap<String, bool>) -> Result<(String, Option<String>), Failure> {
    if known.contains_key(name) {
        return Ok((name.to_owned(), None));
    }
    match name.rsplit_once('/') {
        Some((job, group)) if known.contains_key(job) => Ok((job.to_owned(), Some(group.to_owned()))),
        _ if text::is_pattern(name) => {
            let message = format!("scale takes one service, not a pattern: '{}'", text::one_line(name));
            Err(Failure::error(message).help("name the service, or SERVICE/GROUP"))
        }
        Some((job, _)) => Err(unknown(job, &known.keys().cloned().collect())),
        None => Err(unknown(name, &known.keys().cloned().collect())),
    }
}

/// Files are only read for what Nomad doesn't know.
fn needs_files(wanted: &[String], known: &BTreeMap<String, bool>) -> bool {
    wanted.iter().any(|name| !known.contains_key(name))
}

/// The jobs of the environment's files. Files that can't be read are left out: what is wrong with them,
/// `validate` says.
fn jobs_of_files(environment: &Environment) -> Result<Vec<Job>, Failure> {
    let files = lasting::job_files(environment, &lasting::Overlay::default())?;
    Ok(files.into_iter().filter_map(|file| file.job.ok()).collect())
}

/// Those that depend on others before these.
async fn dependents_first(client: &Client, jobs: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut after: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in &jobs {
        let job = client.job(id).await.map_err(|error| nomad(&error))?.filter(|job| !is_stopped(job));
        let job = job.unwrap_or_default();
        for need in depends_on(&job) {
            after.entry(need).or_default().push(id.clone());
        }
    }
    // Jobs that depend on one another have no order; they are stopped as they were named.
    Ok(levels(&jobs, &after).map_or(jobs, |levels| levels.into_iter().flatten().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn found(wanted: &[&str], known: &[&str]) -> Result<Vec<String>, String> {
        let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        meant(&wanted, &names(known), &|id| id == "theirs")
            .map_err(|f| format!("{}; {}", f.message, f.help.unwrap_or_default()))
    }

    #[test]
    fn names_and_patterns() {
        let known = ["job_creation", "job_publication", "monitor", "team/[x]"];
        assert_eq!(found(&["job_*", "job_creation"], &known).unwrap(), ["job_creation", "job_publication"]);
        assert_eq!(found(&["monitor", "*"], &known).unwrap().len(), 4);
        assert_eq!(found(&["team/[x]"], &known).unwrap(), ["team/[x]"], "a name is a name first");
        assert!(found(&["monitr"], &known).unwrap_err().contains("did you mean 'monitor'?"));
        assert_eq!(found(&["t*", "theirs"], &["tea", "theirs"]).unwrap(), ["tea", "theirs"]);
        assert_eq!(found(&["t*"], &["tea", "theirs"]).unwrap(), ["tea"], "a pattern isn't for others' jobs");
        assert!(found(&["th*"], &["tea", "theirs"]).unwrap_err().contains("only jobs of others"));
        assert!(found(&["web*"], &known).unwrap_err().contains("no service matches 'web*'"));
    }

    #[test]
    fn the_longest_job_is_meant() {
        let known: BTreeMap<String, bool> =
            ["team/pair", "web"].iter().map(|name| ((*name).to_owned(), false)).collect();
        let of = |name| target(name, &known).map_err(|failure| failure.message);
        assert_eq!(of("team/pair"), Ok(("team/pair".into(), None)));
        assert_eq!(of("team/pair/left"), Ok(("team/pair".into(), Some("left".into()))));
        assert_eq!(of("web/api"), Ok(("web".into(), Some("api".into()))));
        assert_eq!(of("wbe/api"), Err("there is no service 'wbe'".into()));
        assert_eq!(of("we*"), Err("scale takes one service, not a pattern: 'we*'".into()));
        assert_eq!(of("we*/api"), Err("scale takes one service, not a pattern: 'we*/api'".into()));
    }
}
