//! One job and what a patch sets in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use glob::Pattern;
use serde_json::Value;

use super::problems::Problem;
use super::taken::Standing;
use super::wanted::ServiceChange;
use crate::base::text;
use crate::jobspec::{Change, Path};
use crate::lasting::Asked;
use crate::nomad::{
    EditError, ImageChange, Reference, Selector, job_id, job_modify_index, set_image, task_images,
};

/// What a job is called by: another one would be another job.
const NAMING: [&str; 4] = ["id", "name", "namespace", "region"];

/// One job with its changes.
#[derive(Clone, Debug)]
pub(super) struct Edited {
    pub id: String,
    /// As it was read.
    pub prior: Arc<Value>,
    pub job: Arc<Value>,
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
        Asked { job: self.id.clone(), values: self.meant.clone(), meant: Arc::clone(&self.job) }
    }
}

/// What a service's name means among the jobs that are there.
pub(super) struct Target {
    pub job: String,
    pub group: Option<Name>,
    pub task: Option<Name>,
    /// Whether the job was found by a pattern: then what doesn't fit is left out.
    pub loose: bool,
}

pub(super) enum Name {
    Exactly(String),
    Like(Pattern),
}

impl Name {
    pub fn of(text: &str) -> Self {
        match Pattern::new(text) {
            Ok(pattern) if text::is_pattern(text) => Self::Like(pattern),
            _ => Self::Exactly(text.to_owned()),
        }
    }

    pub fn fits(&self, name: &str) -> bool {
        match self {
            Self::Exactly(exactly) => exactly == name,
            Self::Like(pattern) => pattern.matches(name),
        }
    }

    pub fn exactly(&self) -> Option<&str> {
        match self {
            Self::Exactly(name) => Some(name),
            Self::Like(_) => None,
        }
    }
}

/// The tasks with images that a target covers: (group, task) and the image.
pub(super) fn covered(
    job: &Value,
    target: &Target,
    repository: Option<&str>,
) -> Vec<((String, String), String)> {
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

/// A job as it becomes.
pub(super) struct Edit {
    prior: Value,
    job: Value,
    /// What was set, by path: the value, and by which service of the patch.
    set: BTreeMap<Path, (Value, String)>,
    images: Vec<ImageChange>,
    only_images: bool,
}

impl Edit {
    /// Begins with a job as it was read.
    pub fn of(prior: Value) -> Self {
        let job = prior.clone();
        Self { prior, job, set: BTreeMap::new(), images: Vec::new(), only_images: true }
    }

    /// The job as it was read.
    pub fn prior(&self) -> &Value {
        &self.prior
    }

    /// Sets what a service of the patch wants; whether there was anything to set it in.
    pub fn apply(&mut self, change: &ServiceChange, target: &Target) -> Result<bool, Problem> {
        let mut fitted = false;
        if let Some(image) = &change.image {
            fitted |= self.image(change, target, image)?;
        }
        for (path, value) in &change.set {
            let path: Path = path.parse().map_err(wrong(target))?;
            for scope in scopes(&self.job, target) {
                fitted = true;
                self.only_images = false;
                let at = path.find(&self.job, &scope).map_err(wrong(target))?;
                if NAMING.contains(&at.to_string().as_str()) {
                    let message = format!("`{at}` is what the job is called by: a patch can't change it");
                    return Err(Problem::new(message));
                }
                if at.to_string().ends_with(".resources.disk") {
                    let message = format!("Nomad forgets `{at}`: set `ephemeral_disk.size` of the group");
                    return Err(Problem::new(message));
                }
                let value = at.meant(&self.job, value).map_err(wrong(target))?;
                at.set(&mut self.job, &value).map_err(wrong(target))?;
                self.once(&at, change)?;
            }
        }
        Ok(fitted)
    }

    /// The job with all that was set in it.
    pub fn done(self) -> Edited {
        let value = |job: &Value, path: &Path| path.get(job).cloned().unwrap_or_default();
        let (mut changes, mut meant) = (Vec::new(), Vec::new());
        for path in self.set.into_keys() {
            let (old, new) = (value(&self.prior, &path), value(&self.job, &path));
            if old != new {
                changes.push(Change { path: path.clone(), old, new: new.clone() });
            }
            meant.push((path, new));
        }
        Edited {
            id: job_id(&self.prior).to_owned(),
            index: job_modify_index(&self.prior),
            changes,
            images: self.only_images.then_some(self.images),
            meant,
            prior: Arc::new(self.prior),
            job: Arc::new(self.job),
            standing: Standing::default(),
        }
    }

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
        // A pattern's tag is for each task's own repository; that they are of one origin is seen to beside.
        let each = target.loose && !image.contains(['/', ':', '@']);
        let selectors: Vec<Selector> = match whole {
            Some((group, task)) if change.repository.is_none() && !each => {
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
            let wrong_image = |error: EditError| {
                let problem = Problem::new(error.to_string());
                let job = text::one_line(&target.job);
                match error {
                    EditError::Ambiguous { .. } => problem.help(format!(
                        "a tag for each of them: '{job}/*/*=TAG'; for some: --repository REGISTRY/PATH"
                    )),
                    _ => problem,
                }
            };
            for made in changed.map_err(wrong_image)? {
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
                text::one_line(job_id(&self.job)),
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
