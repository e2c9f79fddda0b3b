//! Values of jobs, taken to where their files have them.
//!
//! Looked at as a whole: the edits of all jobs together are evaluated again, here and in every environment
//! of the project that reads one of the files, before anything is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::choice::{NotSo, choose};
use super::files::{JobFile, Overlay, inputs, job_files, read_file};
use super::own::Part;
use super::reach::count;
use super::replace::{ReplaceError, Replacement, check, replace};
use super::submission::{says_the_same, submission};
use crate::base::{Diagnostics, Severity, Source, text, threads};
use crate::environment::Environment;
use crate::jobspec::{self, Change, Edit, EditError, Edits, Inputs, Job, Path, Wanted, apply, edits_of};
use crate::nomad::Submission;

/// What a job is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub job: String,
    pub values: Vec<(Path, Value)>,
    /// The job as it is to be with these values and no others.
    pub meant: Arc<Value>,
}

/// Edits of an environment's files, shown and not written yet.
#[derive(Debug, Default)]
pub struct WriteBack {
    /// By job.
    pub(super) jobs: BTreeMap<String, Placed>,
    /// The texts that are edited, by file.
    pub(super) texts: BTreeMap<String, Arc<Source>>,
    pub(super) edits: Vec<Shared>,
    /// What else reads the edited places, a line each; of another job is `true`.
    pub(super) others: Vec<(bool, String)>,
    /// The jobs of this environment that change in their files, and aren't asked for.
    pub(super) strangers: Vec<String>,
    /// Other environments that are protected and have a job that changes, or may.
    pub(super) protected: BTreeSet<String>,
    pub(super) conflict: Option<String>,
    /// What Nomad would refuse of an edited file, and took before.
    pub(super) unfit: Vec<String>,
    /// Whether what else reads a place is meant to change with it.
    pub(super) shared: bool,
}

/// An edit, and the jobs that it is for.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) edit: Edit,
    pub(super) jobs: BTreeSet<String>,
}

/// How the values of a job are placed.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) file: Option<String>,
    /// Other values of the same job that change in the file too.
    pub(super) also: Vec<Also>,
    /// What won't last, and why.
    pub(super) lost: Vec<String>,
    /// The source after the edits, and the job that it then is.
    pub(super) after: Option<(Job, Inputs)>,
}

/// A value that changes in a file, and that nobody asked for.
#[derive(Debug)]
pub(super) struct Also {
    pub(super) change: Change,
    /// What runs, or is to, where that is something else.
    pub(super) runs: Option<Value>,
}

impl WriteBack {
    /// Looks for the places of all values. What has no place is told by [`Self::lost`]; only what can't be
    /// looked at is an error. `shared`: what else reads a place is meant to change with it.
    pub fn look(environment: &Environment, asked: &[Asked], shared: bool) -> Result<Self, Diagnostics> {
        let overlay = Overlay::default();
        let files = job_files(environment, &overlay)?;
        Self::over(environment, &files, &overlay, asked, shared)
    }

    /// As [`Self::look`], over other texts than the work tree's.
    pub(super) fn over(
        environment: &Environment,
        files: &[JobFile],
        overlay: &Overlay,
        asked: &[Asked],
        shared: bool,
    ) -> Result<Self, Diagnostics> {
        let inputs = inputs(environment, overlay)?;
        let mut holding: BTreeMap<&str, Vec<(&str, &Job)>> = BTreeMap::new();
        for file in files {
            if let Ok(job) = &file.job {
                holding.entry(job.id()).or_default().push((&file.name, job));
            }
        }
        let bad: Vec<&str> =
            files.iter().filter(|file| file.job.is_err()).map(|file| file.name.as_str()).collect();
        let others =
            |job: &Job, edits: &Edits| count(environment, files, overlay, (job, &inputs), edits, shared);
        let found = threads::each(threads::cores(), asked, |one| {
            let holding = holding.get(one.job.as_str()).map_or(&[][..], Vec::as_slice);
            place(environment, holding, &bad, &inputs, one, others)
        });
        let mut back = Self { shared, ..Self::default() };
        for (one, (placed, source, edits)) in asked.iter().zip(found) {
            back.add(one, placed, source, edits, &inputs);
        }
        back.conflict = back.overlap();
        if back.conflict.is_none() && !back.edits.is_empty() {
            let after = Overlay(overlay.0.clone().into_iter().chain(back.after(|_| true)).collect());
            back.prove(environment, &after, asked);
            back.unfit = back.newly_refused(files);
            back.elsewhere(environment, files, overlay, &after);
        } else {
            back.prove(environment, overlay, asked);
        }
        Ok(back)
    }

    /// Takes the edits of one job among the others.
    fn add(
        &mut self,
        asked: &Asked,
        placed: Placed,
        source: Option<Arc<Source>>,
        edits: Vec<Edit>,
        inputs: &Inputs,
    ) {
        self.jobs.insert(asked.job.clone(), placed);
        let Some(source) = source else { return };
        self.texts.insert(source.name.clone(), source);
        for file in &inputs.var_files {
            self.texts.insert(file.name.clone(), Arc::clone(file));
        }
        for edit in edits {
            let same = |known: &&mut Shared| {
                known.edit.file == edit.file && known.edit.range == edit.range && known.edit.new == edit.new
            };
            match self.edits.iter_mut().find(same) {
                Some(known) => drop(known.jobs.insert(asked.job.clone())),
                None => self.edits.push(Shared { edit, jobs: BTreeSet::from([asked.job.clone()]) }),
            }
        }
    }

    /// Two edits of one place that differ.
    fn overlap(&self) -> Option<String> {
        for (at, one) in self.edits.iter().enumerate() {
            for other in &self.edits[at + 1..] {
                let (a, b) = (&one.edit, &other.edit);
                let apart = a.range.end <= b.range.start || b.range.end <= a.range.start;
                let twice = a.range == b.range && a.range.is_empty();
                if a.file == b.file && (!apart || twice) {
                    let jobs: Vec<&str> = one.jobs.iter().chain(&other.jobs).map(String::as_str).collect();
                    return Some(format!(
                        "{} take different values from one place: {} ({} and {})",
                        text::list(&jobs),
                        self.line_of(a),
                        text::one_line(&a.new),
                        text::one_line(&b.new)
                    ));
                }
            }
        }
        None
    }

    /// The edited texts, with those edits whose jobs all count.
    pub(super) fn after(&self, counts: impl Fn(&str) -> bool) -> BTreeMap<String, Option<String>> {
        let mut texts = BTreeMap::new();
        for (name, source) in &self.texts {
            let own: Vec<Edit> = self
                .edits
                .iter()
                .filter(|shared| shared.edit.file == *name && shared.jobs.iter().all(|job| counts(job)))
                .map(|shared| shared.edit.clone())
                .collect();
            if !own.is_empty() {
                texts.insert(name.clone(), Some(apply(&source.text, &own)));
            }
        }
        texts
    }

    /// Evaluates each job with all edits made: what it then doesn't have won't last.
    fn prove(&mut self, environment: &Environment, after: &Overlay, asked: &[Asked]) {
        let Ok(inputs) = inputs(environment, after) else { return };
        let jobs = threads::each(threads::cores(), asked, |one| {
            read_file(environment, self.file_of(&one.job)?, &inputs, after).ok()
        });
        for (one, job) in asked.iter().zip(jobs) {
            let (Some(placed), Some(job)) = (self.jobs.get_mut(&one.job), job) else { continue };
            for (path, value) in &one.values {
                let told = placed.lost.iter().any(|why| why.contains(&path.to_string()));
                if !told && path.get(&job.json).unwrap_or(&Value::Null) != value {
                    placed.lost.push(format!("`{path}` would be something else once all is written"));
                }
            }
            placed.after = Some((job, inputs.clone()));
        }
    }

    /// What Nomad would refuse once all is written, and doesn't as the files are.
    fn newly_refused(&self, files: &[JobFile]) -> Vec<String> {
        let errors = |job: &Job, inputs: &Inputs| -> Vec<String> {
            let found = jobspec::check(job, inputs);
            let errors = found.0.iter().filter(|one| one.severity == Severity::Error);
            errors.map(|one| one.message.clone()).collect()
        };
        let all: Vec<&Placed> = self.jobs.values().collect();
        let unfit = threads::each(threads::cores(), &all, |placed| {
            let Some((after, inputs)) = &placed.after else { return Vec::new() };
            let mut new = errors(after, inputs);
            if !new.is_empty() {
                let before = files.iter().find(|file| placed.file.as_ref() == Some(&file.name));
                let before = before.and_then(|file| file.job.as_ref().ok());
                let before = before.map(|job| errors(job, inputs)).unwrap_or_default();
                new.retain(|error| !before.contains(error));
            }
            new.iter().map(|error| format!("{}: {error}", after.source.name)).collect()
        });
        unfit.concat()
    }

    /// Whether a job's file has a value there once all is written.
    pub fn lands(&self, job: &str, path: &Path, value: &Value) -> bool {
        let after = self.jobs.get(job).and_then(|placed| placed.after.as_ref());
        after.is_some_and(|(job, _)| path.get(&job.json).unwrap_or(&Value::Null) == value)
    }

    /// The file that holds a job.
    pub(super) fn file_of(&self, job: &str) -> Option<&str> {
        self.jobs.get(job)?.file.as_deref()
    }

    /// Whether a file is edited for a job, where only the edits of those jobs are made that count.
    pub(super) fn edits(&self, file: &str, job: &str, counts: impl Fn(&str) -> bool) -> bool {
        let own = self.edits.iter().filter(|shared| shared.edit.file == file && shared.jobs.contains(job));
        own.into_iter().any(|shared| shared.jobs.iter().all(|job| counts(job)))
    }

    /// The edits of a file, in the order of its text.
    pub(super) fn parts(&self, file: &str) -> Vec<Part> {
        let own = self.edits.iter().map(|shared| &shared.edit).filter(|edit| edit.file == file);
        let mut parts: Vec<Part> =
            own.map(|edit| (edit.range.start, edit.range.end, edit.new.clone())).collect();
        parts.sort();
        parts
    }

    pub fn has_edits(&self) -> bool {
        !self.edits.is_empty()
    }

    /// The source for the server's page, where it is the truth of the job that is to run: everything that
    /// the file says is so in it.
    pub fn source(&self, environment: &Environment, job: &str, running: &Value) -> Option<Submission> {
        let (written, inputs) = self.jobs.get(job)?.after.as_ref()?;
        says_the_same(&written.json, running).then(|| submission(environment, written, inputs))
    }

    /// Whether the files can be written as they were shown; asked before anything is done.
    pub fn check(&self, environment: &Environment) -> Result<(), ReplaceError> {
        check(environment.root(), &self.replacements(|_| true)).map(drop)
    }

    /// Writes the edits of those jobs that count; the names of the files. An edit that is for a job that
    /// doesn't count as well stays undone.
    pub fn write(
        &self,
        environment: &Environment,
        counts: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, ReplaceError> {
        let files = self.replacements(counts);
        replace(environment.root(), &files)?;
        Ok(files.into_iter().map(|file| file.name).collect())
    }

    pub(super) fn replacements(&self, counts: impl Fn(&str) -> bool) -> Vec<Replacement> {
        let after = self.after(counts).into_iter();
        let with_before = |(name, after): (String, Option<String>)| {
            let before = self.texts.get(&name)?.text.clone();
            Some(Replacement { name, before, after: after? })
        };
        after.filter_map(with_before).collect()
    }
}

/// Looks where the values of a job come from: how they are placed, the text of the file that holds the job, and
/// the edits. `others` tells how many values change with edits that nobody asked for.
fn place(
    environment: &Environment,
    holding: &[(&str, &Job)],
    bad: &[&str],
    inputs: &Inputs,
    asked: &Asked,
    others: impl Fn(&Job, &Edits) -> usize,
) -> (Placed, Option<Arc<Source>>, Vec<Edit>) {
    let mut placed = Placed { file: None, also: Vec::new(), lost: Vec::new(), after: None };
    let (name, job) = match holding {
        [one] => *one,
        [] => {
            placed.lost.push(format!("no job file of '{}' holds the job", environment.name()));
            if !bad.is_empty() {
                placed.lost.push(format!("{} can't be read", text::list(bad)));
            }
            return (placed, None, Vec::new());
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(name, _)| *name).collect();
            placed.lost.push(format!("several files hold the job: {}", text::list(&names)));
            return (placed, None, Vec::new());
        }
    };
    placed.file = Some(name.to_owned());
    let wanted: Vec<Wanted> = asked
        .values
        .iter()
        .map(|(path, value)| Wanted { path: path.clone(), value: value.clone() })
        .collect();
    // Files are for many eyes.
    let secrets = environment.secrets();
    let placing = |wanted: &[Wanted], here: &BTreeSet<usize>| -> Result<Edits, NotSo> {
        let found = edits_of(job, inputs, wanted, &|number| here.contains(&number)).map_err(Some)?;
        let public = found.edits.iter().all(|edit| secrets.mask(&edit.new) == edit.new);
        if public { Ok(found) } else { Err(None) }
    };
    let placing = |wanted: &[Wanted]| choose(wanted, placing, |found| others(job, found));
    let Edits { edits, also, .. } = match placing(&wanted) {
        Ok(found) => found,
        Err(_) => {
            // Those that have a place are taken there all the same.
            let mut fit: Vec<Wanted> = Vec::new();
            let mut found = Edits::default();
            for one in wanted {
                let tried: Vec<Wanted> = fit.iter().cloned().chain([one.clone()]).collect();
                match placing(&tried) {
                    Ok(edits) => (fit, found) = (tried, edits),
                    Err(Some(error)) => placed.lost.push(why(&one.path, &error)),
                    Err(None) => placed.lost.push(format!(
                        "`{}` would be a secret in the file: put it where secrets are kept",
                        one.path
                    )),
                }
            }
            found
        }
    };
    let also = also.into_iter().map(|change| {
        let runs = change.path.get(&asked.meant).cloned().unwrap_or_default();
        Also { runs: Some(runs).filter(|runs| *runs != change.new), change }
    });
    placed.also = also.collect();
    (placed, Some(Arc::clone(job.source.original().unwrap_or(&job.source))), edits)
}

fn why(path: &Path, error: &EditError) -> String {
    let at = error.span().map(|span| format!(" ({span})")).unwrap_or_default();
    let said = error.to_string();
    if said.contains(&path.to_string()) { format!("{said}{at}") } else { format!("`{path}`: {said}{at}") }
}
