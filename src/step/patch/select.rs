//! From what a patch wants to the jobs as they would be: names and patterns, and values set in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::edits::{Edit, Edited, Name, Target, covered};
use super::problems::{Problem, Problems};
use super::wanted::ServiceChange;
use crate::base::text;
use crate::engine::StepError;
use crate::environment::Environment;
use crate::nomad::{Client, JobStub, NomadError, Reference, Selector, is_stopped};
use crate::step::jobs::refused;

/// Jobs asked about at once.
pub(super) const AT_ONCE: usize = 8;

/// Where jobs are read from.
#[derive(Clone, Copy)]
pub(super) enum Jobs<'a> {
    /// Patterns don't mean what is others' in this environment.
    Running(&'a Client, &'a Environment),
    /// As the job files have them, by id.
    Written(&'a BTreeMap<String, Value>),
}

impl Jobs<'_> {
    async fn list(self) -> Result<Vec<JobStub>, NomadError> {
        match self {
            Self::Running(client, _) => client.jobs().await,
            Self::Written(jobs) => {
                Ok(jobs.keys().map(|id| JobStub { id: id.clone(), ..JobStub::default() }).collect())
            }
        }
    }

    /// Whether a pattern may mean a job.
    fn is_ours(self, id: &str) -> bool {
        match self {
            Self::Running(_, environment) => !environment.ignores(id),
            Self::Written(_) => true,
        }
    }

    async fn job(self, id: &str) -> Result<Option<Value>, NomadError> {
        match self {
            Self::Running(client, _) => client.job(id).await,
            Self::Written(jobs) => Ok(jobs.get(id).cloned()),
        }
    }
}

/// Reads the jobs that the services name, sets in them what is wanted, and does with each what is to be done
/// with it then: at once, while others are still being read. What is wrong with any of them comes before
/// what goes wrong with one of them then.
pub(super) async fn select<T, F>(
    from: Jobs<'_>,
    services: &[ServiceChange],
    then: impl Fn(Edited) -> F,
) -> Result<Vec<T>, StepError>
where
    F: Future<Output = Result<T, StepError>>,
{
    // A plain name needs no list of what is there.
    let plain =
        services.iter().all(|change| !text::is_pattern(&change.service) && !change.service.contains('/'));
    let stubs = if plain { None } else { Some(from.list().await.map_err(refused)?) };
    let mut problems = Problems::default();
    let mut targets: Vec<(&ServiceChange, Vec<Target>)> = Vec::new();
    for change in services {
        match named(from, &change.service, stubs.as_deref()) {
            Some(found) => targets.push((change, found)),
            None => problems.add(change, nothing_there(from, &change.service).await?),
        }
    }
    let mut ids: Vec<String> = Vec::new();
    let mut known: BTreeSet<&str> = BTreeSet::new();
    for target in targets.iter().flat_map(|(_, found)| found) {
        if known.insert(&target.job) {
            ids.push(target.job.clone());
        }
    }
    // Once one went wrong, there is no use in asking about the others.
    let failed = AtomicBool::new(!problems.is_empty());
    let one = |id: String| {
        let (targets, then, failed) = (&targets, &then, &failed);
        async move {
            let mut found = Found::of(from.job(&id).await.map_err(refused)?, &id, targets);
            let edited = found.edited.take().filter(|_| !failed.load(Ordering::Relaxed));
            if let Some(edited) = edited {
                let done = then(edited).await;
                failed.fetch_or(done.is_err(), Ordering::Relaxed);
                found.done = Some(done);
            }
            Ok::<_, StepError>((id, found))
        }
    };
    let mut found: BTreeMap<String, Found<T>> =
        stream::iter(ids.iter().cloned().map(one)).buffer_unordered(AT_ONCE).try_collect().await?;
    for (at, (change, targets)) in targets.iter().enumerate() {
        if let Err(problem) = check_spread((at, change), targets, &found) {
            problems.add(change, problem);
            continue;
        }
        let mut fitted = false;
        for target in targets {
            let Some(found) = found.get_mut(&target.job) else { continue };
            match found.fits.remove(&at).map(|fit| fit.fits) {
                _ if !found.there => problems.add(change, nothing_there(from, &change.service).await?),
                Some(Ok(fits)) => fitted |= fits,
                Some(Err(problem)) => problems.add(change, problem),
                None => {}
            }
        }
        if !fitted && problems.is_empty() {
            let message =
                format!("'{}' names nothing that could be changed so", text::one_line(&change.service));
            problems.add(change, Problem::new(message));
        }
    }
    problems.into_result()?;
    ids.iter().filter_map(|id| found.remove(id)?.done).collect()
}

/// A job that was read, and what became of it.
struct Found<T> {
    there: bool,
    /// What came of each change that names it, by its place in the patch.
    fits: BTreeMap<usize, Fit>,
    /// None where something is wrong, or no change names it.
    edited: Option<Edited>,
    done: Option<Result<T, StepError>>,
}

/// What came of one change of a job.
struct Fit {
    /// Whether there was anything to set.
    fits: Result<bool, Problem>,
    /// Where the images come from that a pattern covers.
    origins: BTreeSet<String>,
}

impl<T> Found<T> {
    fn of(job: Option<Value>, id: &str, targets: &[(&ServiceChange, Vec<Target>)]) -> Self {
        let mut found = Self { there: job.is_some(), fits: BTreeMap::new(), edited: None, done: None };
        let Some(job) = job else { return found };
        let stopped = is_stopped(&job);
        let mut edit = Edit::of(job);
        for (at, (change, targets)) in targets.iter().enumerate() {
            for target in targets.iter().filter(|target| target.job == id) {
                let origins = if target.loose { origins(edit.prior(), target) } else { BTreeSet::new() };
                let fits = match (stopped, target.loose) {
                    (true, true) => continue,
                    (true, false) => {
                        let id = text::one_line(id);
                        let problem = Problem::new(format!("the job '{id}' is stopped"));
                        let start = format!("start it as it last ran: blackstart service start {id}");
                        Err(problem.help(format!("{start}; --file-only changes its file alone")))
                    }
                    (false, _) => edit.apply(change, target),
                };
                found.fits.insert(at, Fit { fits, origins });
            }
        }
        let right = !found.fits.is_empty() && found.fits.values().all(|fit| fit.fits.is_ok());
        found.edited = right.then(|| edit.done());
        found
    }
}

/// The targets that a text names; none where it names nothing. A job's id may hold slashes: the longest
/// reading that names a job is meant.
fn named(from: Jobs<'_>, service: &str, stubs: Option<&[JobStub]>) -> Option<Vec<Target>> {
    let readings = Selector::readings(service);
    let Some(stubs) = stubs.filter(|_| text::is_pattern(service) || service.contains('/')) else {
        let target = |reading: Selector| Target { job: reading.job, group: None, task: None, loose: false };
        return readings.into_iter().next().map(|reading| vec![target(reading)]);
    };
    for Selector { job, group, task } in readings {
        let name = Name::of(&job);
        let loose = name.exactly().is_none();
        let runs = |stub: &JobStub| !stub.stop && stub.parent_id.is_empty();
        let fits =
            |stub: &&JobStub| name.fits(&stub.id) && (!loose || (runs(stub) && from.is_ours(&stub.id)));
        let found: Vec<Target> = stubs
            .iter()
            .filter(fits)
            .map(|stub| Target {
                job: stub.id.clone(),
                group: group.as_deref().map(Name::of),
                task: task.as_deref().map(Name::of),
                loose,
            })
            .collect();
        if !found.is_empty() {
            return Some(found);
        }
    }
    None
}

/// Why a text names no job, with the nearest one that is there.
async fn nothing_there(from: Jobs<'_>, service: &str) -> Result<Problem, StepError> {
    let stubs = from.list().await.map_err(refused)?;
    let stubs: Vec<&JobStub> = stubs.iter().filter(|stub| stub.parent_id.is_empty()).collect();
    let names: Vec<&str> = stubs.iter().map(|stub| stub.id.as_str()).collect();
    let first = service.split('/').next().unwrap_or(service);
    let whole = text::one_line(service);
    if text::is_pattern(first) {
        let name = Name::of(first);
        if stubs.iter().any(|stub| name.fits(&stub.id) && !stub.stop && !from.is_ours(&stub.id)) {
            let problem = Problem::new(format!("only jobs of others are like '{whole}'"));
            let help = "blackstart.hcl says so (nomad { ignore = … }); name them exactly if they are meant";
            return Ok(problem.help(help));
        }
        return Ok(Problem::new(format!("no running job is like '{whole}'")).help(known(&names)));
    }
    if names.contains(&first) {
        let problem = Problem::new(format!("there is no job '{whole}', nor is it JOB[/GROUP[/TASK]]"));
        return Ok(problem.help(format!("'{first}' is a job")));
    }
    let readings = Selector::readings(service);
    let near = |reading: &Selector| text::nearest(&reading.job, names.iter().copied());
    let mistyped = readings.iter().find_map(|reading| Some((reading.job.as_str(), near(reading)?)));
    let job = mistyped.map_or(first, |(job, _)| job);
    let problem = Problem::new(format!("there is no job '{}'", text::one_line(job)));
    Ok(problem.help(match mistyped {
        Some((_, near)) => format!("did you mean '{}'?", text::one_line(near)),
        None => known(&names),
    }))
}

fn known(names: &[&str]) -> String {
    if names.is_empty() {
        "no job is registered".to_owned()
    } else {
        format!("the jobs are {}", text::one_line(&text::list(names)))
    }
}

/// One tag for images of different origins is hardly meant: a pattern covers more than one thinks.
fn check_spread<T>(
    (at, change): (usize, &ServiceChange),
    targets: &[Target],
    found: &BTreeMap<String, Found<T>>,
) -> Result<(), Problem> {
    let whole = |image: &String| image.contains(['/', ':', '@']);
    let Some(_) = change.image.as_ref().filter(|image| !whole(image) && change.repository.is_none()) else {
        return Ok(());
    };
    let mut origins: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for target in targets {
        let fit = found.get(&target.job).and_then(|found| found.fits.get(&at));
        for origin in fit.iter().flat_map(|fit| &fit.origins) {
            origins.entry(origin).or_default().push(&target.job);
        }
    }
    if origins.len() <= 1 {
        return Ok(());
    }
    let shown = |(origin, jobs): (&&str, &Vec<&str>)| {
        let origin = if origin.is_empty() { "no registry" } else { *origin };
        text::one_line(&format!("{} from {origin}", text::list(jobs)))
    };
    let parts: Vec<String> = origins.iter().map(shown).collect();
    let message = format!(
        "'{}' covers images of different origins: {}",
        text::one_line(&change.service),
        parts.join("; ")
    );
    Err(Problem::new(message).help("name the jobs, or say which origin is meant: --repository REGISTRY/PATH"))
}

/// Where the images come from that a target covers.
fn origins(job: &Value, target: &Target) -> BTreeSet<String> {
    let origin = |(_, image): ((String, String), String)| {
        let repository = Reference::split(&image).repository;
        repository.rsplit_once('/').map_or("", |(origin, _)| origin).to_owned()
    };
    covered(job, target, None).into_iter().map(origin).collect()
}
