//! From what a patch wants to the jobs as they would be: names and patterns, and values set in them.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use glob::Pattern;
use serde_json::Value;

use super::taken::Standing;
use super::wanted::{MADE, ServiceChange};
use crate::base::{Diagnostic, Diagnostics, text};
use crate::engine::StepError;
use crate::jobspec::{Change, Path};
use crate::lasting::Asked;
use crate::nomad::{
    Client, ImageChange, JobStub, NomadError, Reference, Selector, is_stopped, job_modify_index, set_image,
    task_images,
};
use crate::step::jobs::refused;

/// Jobs asked about at once.
pub(super) const AT_ONCE: usize = 8;

/// What a job is called by: another one would be another job.
const NAMING: [&str; 4] = ["id", "name", "namespace", "region"];

/// One job with its changes.
#[derive(Clone, Debug)]
pub(super) struct Edited {
    pub id: String,
    /// As it was read.
    pub prior: Value,
    pub job: Value,
    /// `JobModifyIndex` as it was read.
    pub index: u64,
    /// What becomes something else; empty where all is so already.
    pub changes: Vec<Change>,
    /// The same, where images are all that changes.
    pub images: Option<Vec<ImageChange>>,
    /// All that is wanted, whether it is so already or not.
    pub meant: Vec<(Path, Value)>,
    pub standing: Standing,
}

impl Edited {
    /// The values that it is to have, for its file.
    pub fn asked(&self) -> Asked {
        Asked { job: self.id.clone(), values: self.meant.clone() }
    }
}

/// Where jobs are read from.
#[derive(Clone, Copy)]
pub(super) enum Jobs<'a> {
    Running(&'a Client),
    /// As the job files have them, by id.
    Written(&'a BTreeMap<String, Value>),
}

impl Jobs<'_> {
    async fn list(self) -> Result<Vec<JobStub>, NomadError> {
        match self {
            Self::Running(client) => client.jobs().await,
            Self::Written(jobs) => {
                Ok(jobs.keys().map(|id| JobStub { id: id.clone(), ..JobStub::default() }).collect())
            }
        }
    }

    async fn job(self, id: &str) -> Result<Option<Value>, NomadError> {
        match self {
            Self::Running(client) => client.job(id).await,
            Self::Written(jobs) => Ok(jobs.get(id).cloned()),
        }
    }
}

/// What a service's name means among the jobs that are there.
struct Target {
    job: String,
    group: Option<Name>,
    task: Option<Name>,
    /// Whether the job was found by a pattern: then what doesn't fit is left out.
    loose: bool,
}

enum Name {
    Exactly(String),
    Like(Pattern),
}

impl Name {
    fn of(text: &str) -> Self {
        match Pattern::new(text) {
            Ok(pattern) if text::is_pattern(text) => Self::Like(pattern),
            _ => Self::Exactly(text.to_owned()),
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exactly(exactly) => exactly == name,
            Self::Like(pattern) => pattern.matches(name),
        }
    }

    fn exactly(&self) -> Option<&str> {
        match self {
            Self::Exactly(name) => Some(name),
            Self::Like(_) => None,
        }
    }
}

/// Something wrong with one service of the patch.
struct Problem {
    message: String,
    help: Option<String>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Reads the jobs that the services name and sets in them what is wanted.
pub(super) async fn select(from: Jobs<'_>, services: &[ServiceChange]) -> Result<Vec<Edited>, StepError> {
    // A plain name needs no list of what is there.
    let plain =
        services.iter().all(|change| !text::is_pattern(&change.service) && !change.service.contains('/'));
    let stubs = if plain { None } else { Some(from.list().await.map_err(refused)?) };
    let mut problems = Problems::default();
    let mut targets: Vec<(&ServiceChange, Vec<Target>)> = Vec::new();
    for change in services {
        match named(&change.service, stubs.as_deref()) {
            Some(found) => targets.push((change, found)),
            None => problems.add(change, nothing_there(from, &change.service).await?),
        }
    }
    let mut ids: Vec<&str> = Vec::new();
    for target in targets.iter().flat_map(|(_, found)| found) {
        if !ids.contains(&target.job.as_str()) {
            ids.push(&target.job);
        }
    }
    let jobs = read(from, &ids).await.map_err(refused)?;
    let mut edits = Edits::default();
    for (change, found) in &targets {
        if let Err(problem) = check_spread(change, found, &jobs) {
            problems.add(change, problem);
            continue;
        }
        let mut fitted = false;
        for target in found {
            match jobs.get(&target.job).and_then(Option::as_ref) {
                None => problems.add(change, nothing_there(from, &change.service).await?),
                Some(job) if is_stopped(job) && target.loose => {}
                Some(job) if is_stopped(job) => {
                    let problem =
                        Problem::new(format!("the job '{}' is stopped", text::one_line(&target.job)));
                    problems.add(change, problem.help("start it from its file instead"));
                }
                Some(job) => match edits.apply(change, target, job) {
                    Ok(fits) => fitted |= fits,
                    Err(problem) => problems.add(change, problem),
                },
            }
        }
        if !fitted && problems.is_empty() {
            let message =
                format!("'{}' names nothing that could be changed so", text::one_line(&change.service));
            problems.add(change, Problem::new(message));
        }
    }
    problems.into_result()?;
    Ok(ids.iter().filter_map(|id| edits.done(id)).collect())
}

async fn read(from: Jobs<'_>, ids: &[&str]) -> Result<BTreeMap<String, Option<Value>>, NomadError> {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    stream::iter(ids)
        .map(|id| async move { from.job(&id).await.map(|job| (id, job)) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// The targets that a text names; none where it names nothing. A job's id may hold slashes: the longest
/// reading that names a job is meant.
fn named(service: &str, stubs: Option<&[JobStub]>) -> Option<Vec<Target>> {
    let readings = Selector::readings(service);
    let Some(stubs) = stubs.filter(|_| text::is_pattern(service) || service.contains('/')) else {
        let target = |reading: Selector| Target { job: reading.job, group: None, task: None, loose: false };
        return readings.into_iter().next().map(|reading| vec![target(reading)]);
    };
    for Selector { job, group, task } in readings {
        let name = Name::of(&job);
        let loose = name.exactly().is_none();
        let fits =
            |stub: &&JobStub| name.fits(&stub.id) && !(loose && (stub.stop || !stub.parent_id.is_empty()));
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
fn check_spread(
    change: &ServiceChange,
    targets: &[Target],
    jobs: &BTreeMap<String, Option<Value>>,
) -> Result<(), Problem> {
    let whole = |image: &String| image.contains(['/', ':', '@']);
    let Some(_) = change.image.as_ref().filter(|image| !whole(image) && change.repository.is_none()) else {
        return Ok(());
    };
    let mut origins: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for target in targets.iter().filter(|target| target.loose) {
        let Some(Some(job)) = jobs.get(&target.job) else { continue };
        for image in covered(job, target, None) {
            let repository = Reference::split(&image.1).repository;
            let origin = repository.rsplit_once('/').map_or("", |(origin, _)| origin).to_owned();
            let known = origins.entry(origin).or_default();
            if !known.contains(&target.job.as_str()) {
                known.push(&target.job);
            }
        }
    }
    if origins.len() <= 1 {
        return Ok(());
    }
    let shown = |(origin, jobs): (&String, &Vec<&str>)| {
        let origin = if origin.is_empty() { "no registry" } else { origin };
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

/// The tasks with images that a target covers: (group, task) and the image.
fn covered(job: &Value, target: &Target, repository: Option<&str>) -> Vec<((String, String), String)> {
    let begins = |image: &str| {
        let Some(wanted) = repository else { return true };
        let repository = Reference::split(image).repository;
        let rest = repository.strip_prefix(wanted.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let fits = |name: &Option<Name>, is: &str| name.as_ref().is_none_or(|name| name.fits(is));
    task_images(job)
        .into_iter()
        .filter(|image| fits(&target.group, &image.group) && fits(&target.task, &image.task))
        .filter(|image| begins(&image.image))
        .map(|image| ((image.group, image.task), image.image))
        .collect()
}

/// The groups and tasks that `resources` and `set` of a target are for: the job itself where it names none.
fn scopes(job: &Value, target: &Target) -> Vec<Path> {
    let Some(group) = &target.group else { return vec![Path::default()] };
    if let (Some(group), None) = (group.exactly(), &target.task) {
        return vec![Path::to(Some(group), None)];
    }
    if let (Some(group), Some(task)) = (group.exactly(), target.task.as_ref().and_then(Name::exactly)) {
        return vec![Path::to(Some(group), Some(task))];
    }
    let mut found = Vec::new();
    let names = |value: &Value, key: &str| -> Vec<(String, Value)> {
        let items = value.get(key).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(|item| Some((item.get("Name")?.as_str()?.to_owned(), item.clone()))).collect()
    };
    for (group_name, body) in names(job, "TaskGroups").into_iter().filter(|(name, _)| group.fits(name)) {
        let Some(task) = &target.task else {
            found.push(Path::to(Some(&group_name), None));
            continue;
        };
        for (name, _) in names(&body, "Tasks").into_iter().filter(|(name, _)| task.fits(name)) {
            found.push(Path::to(Some(&group_name), Some(&name)));
        }
    }
    found
}

/// Jobs as they become, by id.
#[derive(Default)]
struct Edits(BTreeMap<String, Edit>);

struct Edit {
    prior: Value,
    job: Value,
    /// What was set, by path: the value, and by which service of the patch.
    set: BTreeMap<Path, (Value, String)>,
    images: Vec<ImageChange>,
    only_images: bool,
}

impl Edits {
    /// Sets in a job what a service of the patch wants; whether there was anything to set it in.
    fn apply(&mut self, change: &ServiceChange, target: &Target, job: &Value) -> Result<bool, Problem> {
        let edit = self.0.entry(target.job.clone()).or_insert_with(|| Edit {
            prior: job.clone(),
            job: job.clone(),
            set: BTreeMap::new(),
            images: Vec::new(),
            only_images: true,
        });
        let mut fitted = false;
        if let Some(image) = &change.image {
            fitted |= edit.image(change, target, image)?;
        }
        for (path, value) in &change.set {
            let path: Path = path.parse().map_err(wrong(target))?;
            for scope in scopes(&edit.job, target) {
                fitted = true;
                edit.only_images = false;
                let at = path.find(&edit.job, &scope).map_err(wrong(target))?;
                if NAMING.contains(&at.to_string().as_str()) {
                    let message = format!("`{at}` is what the job is called by: a patch can't change it");
                    return Err(Problem::new(message));
                }
                at.set(&mut edit.job, value).map_err(wrong(target))?;
                edit.once(&at, change)?;
            }
        }
        Ok(fitted)
    }

    fn done(&self, id: &str) -> Option<Edited> {
        let edit = self.0.get(id)?;
        let change = |path: &Path| {
            let value = |job: &Value| path.get(job).cloned().unwrap_or_default();
            let (old, new) = (value(&edit.prior), value(&edit.job));
            (old != new).then(|| Change { path: path.clone(), old, new })
        };
        Some(Edited {
            id: id.to_owned(),
            index: job_modify_index(&edit.prior),
            changes: edit.set.keys().filter_map(change).collect(),
            images: edit.only_images.then(|| edit.images.clone()),
            meant: edit
                .set
                .keys()
                .map(|path| (path.clone(), path.get(&edit.job).cloned().unwrap_or_default()))
                .collect(),
            prior: edit.prior.clone(),
            job: edit.job.clone(),
            standing: Standing::default(),
        })
    }
}

impl Edit {
    fn image(&mut self, change: &ServiceChange, target: &Target, image: &str) -> Result<bool, Problem> {
        let exact = |name: &Option<Name>| name.as_ref().map(|name| name.exactly().map(str::to_owned));
        let whole = match (exact(&target.group), exact(&target.task)) {
            (None, _) => Some((None, None)),
            (Some(Some(group)), None) => Some((Some(group), None)),
            (Some(Some(group)), Some(Some(task))) => Some((Some(group), Some(task))),
            _ => None,
        };
        let covered = covered(&self.job, target, change.repository.as_deref());
        if covered.is_empty() && target.loose {
            return Ok(false);
        }
        let selectors: Vec<Selector> = match whole {
            Some((group, task)) if change.repository.is_none() => {
                vec![Selector { job: target.job.clone(), group, task }]
            }
            _ => {
                let selector = |(group, task)| Selector {
                    job: target.job.clone(),
                    group: Some(group),
                    task: Some(task),
                };
                covered.into_iter().map(|(at, _)| selector(at)).collect()
            }
        };
        for selector in &selectors {
            let changed = set_image(&mut self.job, selector, image);
            for made in changed.map_err(|error| Problem::new(error.to_string()))? {
                let image_path: Path = "config.image".parse().map_err(wrong(target))?;
                let at = Path::to(Some(&made.group), Some(&made.task)).join(&image_path);
                self.once(&at, change)?;
                self.images.push(made);
            }
        }
        Ok(!selectors.is_empty())
    }

    /// Two values for one place are a mistake.
    fn once(&mut self, at: &Path, change: &ServiceChange) -> Result<(), Problem> {
        let value = at.get(&self.job).cloned().unwrap_or_default();
        match self.set.get(at) {
            Some((other, by)) if *other != value => Err(Problem::new(format!(
                "`{at}` of '{}' is named twice: {other} (by '{by}') and {value} (by '{}')",
                text::one_line(crate::nomad::job_id(&self.job)),
                change.service
            ))),
            _ => {
                self.set.insert(at.clone(), (value, change.service.clone()));
                Ok(())
            }
        }
    }
}

fn wrong(target: &Target) -> impl Fn(crate::jobspec::PathError) -> Problem {
    let job = text::one_line(&target.job);
    move |error| Problem::new(format!("'{job}': {error}"))
}

/// What is wrong, all of it.
#[derive(Default)]
struct Problems {
    placed: Diagnostics,
    others: Vec<Problem>,
}

impl Problems {
    fn is_empty(&self) -> bool {
        self.placed.0.is_empty() && self.others.is_empty()
    }

    fn add(&mut self, change: &ServiceChange, problem: Problem) {
        match change.place.as_ref().filter(|place| place.source.name != MADE) {
            Some(place) => {
                let mut diagnostic = Diagnostic::error(problem.message).at(place);
                diagnostic.help = problem.help;
                self.placed.push(diagnostic);
            }
            None => self.others.push(problem),
        }
    }

    fn into_result(self) -> Result<(), StepError> {
        if !self.placed.0.is_empty() {
            return Err(self.placed.into());
        }
        let mut messages: Vec<String> = Vec::new();
        let mut helps: Vec<String> = Vec::new();
        for Problem { message, help } in self.others {
            if !messages.contains(&message) {
                messages.push(message);
            }
            if let Some(help) = help.filter(|help| !helps.contains(help)) {
                helps.push(help);
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        let error = StepError::untouched(messages.join("\n"));
        Err(if helps.is_empty() { error } else { error.help(helps.join("\n")) })
    }
}
