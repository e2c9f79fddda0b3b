//! From wanted values to edits, and the proof that these give them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::base::{Source, Span};
use crate::hcl;
use crate::hcl::edit::Change;
use crate::hcl::trace::Place;
use crate::jobspec::context::Context;
use crate::jobspec::edit::EditError;
use crate::jobspec::edit::draft::Draft;
use crate::jobspec::edit::plan::{Goal, plan};
use crate::jobspec::envsubst;
use crate::jobspec::job::{self, Inputs, Job, parse};
use crate::jobspec::path::{Change as Difference, Path};
use crate::jobspec::trail::Trail;

/// A value that the job is to have; null takes it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub path: Path,
    /// As a job file or the API has it: `"30s"` or 30000000000.
    pub value: Json,
}

/// One range of bytes of a file, and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The name of the file's source, as it was given.
    pub file: String,
    /// Bytes of the file as it lies on disk.
    pub range: Range<usize>,
    pub old: String,
    pub new: String,
    pub place: Place,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// By file, and in the order of each; none overlap.
    pub edits: Vec<Edit>,
    /// Other values of the same job that change too.
    pub also: Vec<Difference>,
    /// Whether a value took edits of several places.
    pub parted: bool,
}

/// The text with the edits of one file made.
pub fn apply(text: &str, edits: &[Edit]) -> String {
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| edit.range.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for edit in edits {
        out.push_str(text.get(at..edit.range.start).unwrap_or_default());
        out.push_str(&edit.new);
        at = edit.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

/// The edits of the job file and its var files after which the job has the values wanted, each at the place
/// that it comes from. A value that it has already needs none.
pub fn edits(source: &Arc<Source>, inputs: &Inputs, wanted: &[Wanted]) -> Result<Edits, EditError> {
    let file = source.original().unwrap_or(source);
    edits_of(&parse(file, inputs).map_err(EditError::Job)?, inputs, wanted, &|_| false)
}

/// As [`edits`], of a job that was read with these inputs; those of the values (by their number) that are to
/// stand `here` are written into the job's own expression, in the place of a local or a variable that feeds
/// others as well.
pub fn edits_of(
    job: &Job,
    inputs: &Inputs,
    wanted: &[Wanted],
    here: &dyn Fn(usize) -> bool,
) -> Result<Edits, EditError> {
    let file = job.source.original().unwrap_or(&job.source);
    let before = &job.json;
    let mut goals: Vec<(Path, Json)> = Vec::new();
    let mut draft = Draft::new(file, inputs);
    let mut current = before.clone();
    let mut parted = false;
    for (number, wanted) in wanted.iter().enumerate() {
        let path = wanted.path.canonical(&current)?;
        let mut after = current.clone();
        path.set(&mut after, &wanted.value)?;
        let new = path.get(&after).cloned().unwrap_or_default();
        let old = path.get(&current).cloned().unwrap_or_default();
        if new == old {
            goals.push((path, new));
            continue;
        }
        let (now, inputs) = draft.now();
        let here = here(number);
        let goal = Goal { path: &path, job: &current, old: &old, new: &new, given: &wanted.value, here };
        let changes = changes(&now, &inputs, &goal)?;
        parted |= changes.len() > 1;
        let place = changes.first().map(|(change, _)| change.span.clone());
        let files: Vec<Arc<Source>> = std::iter::once(now).chain(inputs.var_files).collect();
        draft.add(&files, changes);
        let (now, inputs) = draft.now();
        current = match parse(&now, &inputs) {
            Ok(job) => job.json,
            Err(errors) => {
                let why = errors.0.first().map(|error| error.message.clone()).unwrap_or_default();
                return Err(EditError::Unproved { path: path.to_string(), why, at: place });
            }
        };
        prove(&current, &path, &new, place.as_ref())?;
        for (first, value) in &goals {
            if first.get(&current).cloned().unwrap_or_default() != *value {
                let (first, second) = (first.to_string(), path.to_string());
                return Err(EditError::Conflict { first, second, at: place });
            }
        }
        goals.push((path, new));
    }
    let also = also(before, &current, &goals);
    Ok(Edits { edits: draft.edits(), also, parted })
}

/// The changes for one value.
fn changes(
    source: &Arc<Source>,
    inputs: &Inputs,
    goal: &Goal<'_>,
) -> Result<Vec<(Change, Place)>, EditError> {
    let substituted = envsubst::substituted(source, inputs).map_err(EditError::Job)?;
    let body = job::body(&substituted).map_err(EditError::Job)?;
    let mut set = BTreeMap::new();
    let mut set_at = |name: &str, place: &Span| {
        set.insert(name.to_owned(), place.clone());
    };
    let names = job::names(&body, inputs, &mut set_at).map_err(EditError::Job)?;
    let files: Vec<_> = inputs.var_files.iter().filter_map(|file| hcl::var_file_body(file).ok()).collect();
    let trail = Trail::new(&body, &files, &set);
    let block = job::job_block(&body).map_err(EditError::Job)?;
    let context = Context::tracked(&names, &trail);
    let (mut json, _) = job::assemble(block, &context).map_err(EditError::Job)?;
    let sites = trail.collect(&mut json);
    // Following values back has a budget of its own.
    names.work.set(0);
    let changes = plan(&sites, goal)?;
    let on_disk = changes.into_iter().map(|(change, place)| {
        if change.span.is_replaced() {
            return Err(EditError::Substituted { path: goal.path.to_string(), at: change.span });
        }
        Ok((Change { span: change.span.on_disk(), ..change }, place))
    });
    on_disk.collect()
}

fn prove(job: &Json, path: &Path, wanted: &Json, at: Option<&Span>) -> Result<(), EditError> {
    let now = path.get(job).cloned().unwrap_or_default();
    if now == *wanted {
        return Ok(());
    }
    let why = format!("it would be {now}");
    Err(EditError::Unproved { path: path.to_string(), why, at: at.cloned() })
}

/// The values at which two states of a job differ, but for those wanted.
fn also(before: &Json, after: &Json, goals: &[(Path, Json)]) -> Vec<Difference> {
    let below = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let goals: Vec<String> = goals.iter().map(|(goal, _)| goal.to_string()).collect();
    // A block that is now empty, or no longer, is no value of its own.
    let is_wanted = |path: &Path| {
        let path = path.to_string();
        goals.iter().any(|goal| below(&path, goal) || below(goal, &path))
    };
    let mut found = Path::differences(before, after);
    found.retain(|difference| !is_wanted(&difference.path));
    found
}
