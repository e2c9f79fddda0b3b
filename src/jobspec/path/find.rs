//! Short forms: what a path means from a job, a group or a task on.

use serde_json::Value as Json;

use super::deeper::deeper;
use super::syntax::{Part, Path};
use super::walk::{Leaf, PathError, is_named, names, walk};
use crate::base::text;
use crate::jobspec::schema::{JOB, Struct};

/// Blocks of a job that Nomad has handed down to its groups: there they count.
const HANDED_DOWN: [&str; 3] = ["update", "reschedule", "migrate"];

impl Path {
    /// The value that this path names from `within` on (the job, a group or a task: [`Path::to`]): in
    /// it, or in its only group or task that has such a thing (`count`, `env.LOG`, `config.image`), or in its
    /// only block that has such a one (`check.interval`).
    pub fn find(&self, job: &Json, within: &Self) -> Result<Self, PathError> {
        let groups = match within.place() {
            (Some(_), _) => vec![Self::to(within.place().0, None)],
            (None, _) => below(job, &Self::default(), "/TaskGroups", "group"),
        };
        let tasks = match within.place() {
            (_, Some(_)) => vec![within.clone()],
            _ => groups
                .iter()
                .flat_map(|group| {
                    let pointer = format!("{}/Tasks", group.pointer(job).unwrap_or_default());
                    below(job, group, &pointer, "task")
                })
                .collect(),
        };
        let levels = [(&JOB, vec![Self::default()]), (group(), groups), (task(), tasks)];
        let start = within.parts.len() / 2;
        let mut first_error = None;
        let mut known = Vec::new();
        for (of, places) in levels.into_iter().skip(start) {
            let Some(Part::Name(first)) = self.parts.first() else { continue };
            known.extend(names(of));
            let handed_down = of.name == JOB.name && HANDED_DOWN.contains(&first.as_str());
            if handed_down || !of.fields.iter().any(|field| is_named(field) && field.name == first) {
                continue;
            }
            let mut found = Vec::new();
            for place in places {
                match walk(&place.join(self), job) {
                    Ok(walked) => found.push(walked),
                    Err(error) => {
                        first_error.get_or_insert(error);
                    }
                }
            }
            match found.as_slice() {
                [] => {}
                [one] => match &one.leaf {
                    Leaf::Block(known) => {
                        return Err(PathError::Block { path: one.path.to_string(), known: known.clone() });
                    }
                    _ => return Ok(one.path.clone()),
                },
                several => {
                    let candidates = several.iter().map(|walked| walked.path.to_string()).collect();
                    return Err(PathError::Ambiguous { path: self.to_string(), candidates });
                }
            }
        }
        if first_error.is_none()
            && let Some(found) = deeper(self, job, within, start_of(within))
        {
            return found;
        }
        Err(first_error.unwrap_or_else(|| {
            let name = match self.parts.first() {
                Some(Part::Name(name)) => name.clone(),
                _ => self.to_string(),
            };
            let near = text::nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
            let within = match within.to_string() {
                job if job.is_empty() => "a job".to_owned(),
                path => path,
            };
            PathError::Unknown { name, within, near, known: Vec::new() }
        }))
    }
}

fn below(job: &Json, outer: &Path, pointer: &str, kind: &str) -> Vec<Path> {
    let blocks = job.pointer(pointer).and_then(Json::as_array).into_iter().flatten();
    let names = blocks.filter_map(|block| block.get("Name")?.as_str());
    names
        .map(|name| {
            let parts = vec![Part::Name(kind.to_owned()), Part::Name(name.to_owned())];
            outer.join(&Path { parts })
        })
        .collect()
}

/// What a path from there on begins in.
fn start_of(within: &Path) -> &'static Struct {
    match within.place() {
        (_, Some(_)) => task(),
        (Some(_), None) => group(),
        (None, _) => &JOB,
    }
}

fn group() -> &'static Struct {
    inner(&JOB, "group")
}

fn task() -> &'static Struct {
    inner(group(), "task")
}

fn inner(of: &'static Struct, kind: &str) -> &'static Struct {
    of.fields.iter().find(|field| field.name == kind).and_then(|field| field.kind.of()).unwrap_or(of)
}
