//! Changing the image of a job's tasks, and nothing else of the job.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::facts::{job_id, list, name};
use super::health::TaskImage;
use super::reference::{Reference, flaw};
use crate::base::text;

/// What `JOB[/GROUP[/TASK]]` names in a job that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    pub job: String,
    pub group: Option<String>,
    pub task: Option<String>,
}

impl Selector {
    /// Reads `JOB[/GROUP[/TASK]]`. A job's name may hold slashes of its own: such a job is found by
    /// trying [`Self::readings`] in turn.
    pub fn parse(text: &str) -> Result<Self, EditError> {
        let mut parts = text.splitn(3, '/').map(str::to_owned);
        let selector =
            Self { job: parts.next().unwrap_or_default(), group: parts.next(), task: parts.next() };
        let empty = |part: &Option<String>| part.as_deref() == Some("");
        if selector.job.is_empty() || empty(&selector.group) || empty(&selector.task) {
            return Err(EditError::BadSelector(text::one_line(text)));
        }
        Ok(selector)
    }

    /// Every way to read a text as job, group and task, the longest job name first.
    pub fn readings(text: &str) -> Vec<Self> {
        let owned = |part: &str| Some(part.to_owned());
        let mut readings = vec![Self { job: text.to_owned(), group: None, task: None }];
        if let Some((job, group)) = text.rsplit_once('/') {
            readings.push(Self { job: job.to_owned(), group: owned(group), task: None });
            if let Some((job, middle)) = job.rsplit_once('/') {
                readings.push(Self { job: job.to_owned(), group: owned(middle), task: owned(group) });
            }
        }
        readings.retain(|reading| {
            let empty = |part: &Option<String>| part.as_deref() == Some("");
            !reading.job.is_empty() && !empty(&reading.group) && !empty(&reading.task)
        });
        readings
    }
}

/// One image that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageChange {
    pub group: String,
    pub task: String,
    pub old: String,
    pub new: String,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("'{0}' does not name a task: JOB[/GROUP[/TASK]]")]
    BadSelector(String),
    #[error("'{wanted}' {flaw}")]
    BadImage { wanted: String, flaw: &'static str },
    #[error("job '{job}' has no group '{group}' ({}it has {})", did_you_mean(nearest.as_deref()), text::list(groups))]
    NoSuchGroup { job: String, group: String, groups: Vec<String>, nearest: Option<String> },
    #[error("group '{group}' has no task '{task}' ({}it has {})", did_you_mean(nearest.as_deref()), text::list(tasks))]
    NoSuchTask { group: String, task: String, tasks: Vec<String>, nearest: Option<String> },
    #[error("{0} has no task with an image")]
    NoImage(String),
    /// The selector covers tasks with images of different repositories: `GROUP/TASK (image)` each.
    #[error("'{selector}' covers tasks with different images; name one: {}", text::list(tasks))]
    Ambiguous { selector: String, tasks: Vec<String> },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("did you mean '{name}'? ")).unwrap_or_default()
}

/// All images of a job, task by task, in the job's order.
pub fn task_images(job: &Value) -> Vec<TaskImage> {
    let mut images = Vec::new();
    for group in list(job, "TaskGroups") {
        for task in list(group, "Tasks") {
            if let Some(image) = image_of(task) {
                images.push(TaskImage {
                    group: name(group).to_owned(),
                    task: name(task).to_owned(),
                    image: image.to_owned(),
                });
            }
        }
    }
    images
}

/// Gives the selected tasks another image: `wanted` is a tag, a digest or a whole reference (see
/// [`Reference::changed_to`]). Changes `Config.image` and nothing else.
///
/// A selector that names no task covers the tasks that have an image. They must all be of one
/// repository, else it is ambiguous what is meant, and nothing is changed. With a whole reference
/// they must be of the repository it names, if there are several repositories and one matches.
pub fn set_image(job: &mut Value, selector: &Selector, wanted: &str) -> Result<Vec<ImageChange>, EditError> {
    if let Some(flaw) = flaw(wanted) {
        return Err(EditError::BadImage { wanted: text::one_line(wanted), flaw });
    }
    let mut selected = select(job, selector)?;
    let repository = |image: &TaskImage| Reference::split(&image.image).repository;
    let mut repositories: BTreeMap<String, usize> = BTreeMap::new();
    for image in &selected {
        *repositories.entry(repository(image)).or_default() += 1;
    }
    if repositories.len() > 1 {
        let meant = Reference::split(wanted).repository;
        if wanted.contains('/') && repositories.contains_key(&meant) {
            selected.retain(|image| repository(image) == meant);
        } else {
            let tasks =
                selected.iter().map(|i| text::one_line(&format!("{}/{} ({})", i.group, i.task, i.image)));
            return Err(EditError::Ambiguous { selector: shown(selector), tasks: tasks.collect() });
        }
    }
    let mut changes = Vec::new();
    for TaskImage { group, task, image } in selected {
        let new = Reference::split(&image).changed_to(wanted).to_string();
        if let Some(place) = image_mut(job, &group, &task) {
            *place = Value::String(new.clone());
            changes.push(ImageChange { group, task, old: image, new });
        }
    }
    Ok(changes)
}

fn select(job: &Value, selector: &Selector) -> Result<Vec<TaskImage>, EditError> {
    let groups: Vec<&Value> = list(job, "TaskGroups").collect();
    if let Some(group) = &selector.group {
        let Some(found) = groups.iter().find(|g| name(g) == group) else {
            let groups: Vec<String> = groups.iter().map(|g| text::one_line(name(g))).collect();
            let nearest = text::nearest(group, groups.iter().map(String::as_str)).map(str::to_owned);
            return Err(EditError::NoSuchGroup {
                job: text::one_line(job_id(job)),
                group: text::one_line(group),
                groups,
                nearest,
            });
        };
        let tasks: Vec<String> = list(found, "Tasks").map(|t| text::one_line(name(t))).collect();
        if let Some(task) =
            selector.task.as_ref().filter(|task| !list(found, "Tasks").any(|t| name(t) == *task))
        {
            let nearest = text::nearest(task, tasks.iter().map(String::as_str)).map(str::to_owned);
            return Err(EditError::NoSuchTask {
                group: text::one_line(group),
                task: text::one_line(task),
                tasks,
                nearest,
            });
        }
    }
    let mut images = task_images(job);
    images.retain(|image| {
        selector.group.as_ref().is_none_or(|group| *group == image.group)
            && selector.task.as_ref().is_none_or(|task| *task == image.task)
    });
    if images.is_empty() {
        return Err(EditError::NoImage(shown(selector)));
    }
    Ok(images)
}

fn shown(selector: &Selector) -> String {
    let parts = [Some(&selector.job), selector.group.as_ref(), selector.task.as_ref()];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    text::one_line(&parts.join("/"))
}

fn image_of(task: &Value) -> Option<&str> {
    task.get("Config")?.get("image")?.as_str().filter(|image| !image.is_empty())
}

fn image_mut<'a>(job: &'a mut Value, group: &str, task: &str) -> Option<&'a mut Value> {
    let named =
        |list: &'a mut Value, wanted: &str| list.as_array_mut()?.iter_mut().find(|item| name(item) == wanted);
    let group = named(job.get_mut("TaskGroups")?, group)?;
    let task = named(group.get_mut("Tasks")?, task)?;
    task.get_mut("Config")?.get_mut("image")
}
