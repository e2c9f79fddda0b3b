//! Values of jobs, taken to where their files have them.
//!
//! Looked at as a whole: the edits of all jobs together are evaluated again, here and in every environment
//! of the project that reads one of the files, before anything is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::changed::{Changed, changed};
use super::files::{JobFile, Overlay, inputs, job_files, read_file, var_files};
use super::own::Part;
use super::replace::{ReplaceError, Replacement, check, replace};
use super::submission::submission;
use crate::base::{Diagnostics, Severity, Source, text, threads};
use crate::environment::Environment;
use crate::hcl::trace::Place;
use crate::jobspec::{self, Edit, EditError, Edits, Inputs, Job, Path, Wanted, apply, edits_of};
use crate::nomad::Submission;

/// What a job is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub job: String,
    pub values: Vec<(Path, Value)>,
}

/// Edits of an environment's files, shown and not written yet.
#[derive(Debug, Default)]
pub struct WriteBack {
    /// By job.
    jobs: BTreeMap<String, Placed>,
    /// The texts that are edited, by file.
    texts: BTreeMap<String, Arc<Source>>,
    edits: Vec<Shared>,
    /// What else reads the edited places, a line each; of another job is `true`.
    others: Vec<(bool, String)>,
    /// Other environments that are protected and have a job that changes, or may.
    protected: BTreeSet<String>,
    conflict: Option<String>,
    /// What Nomad would refuse of an edited file, and took before.
    unfit: Vec<String>,
}

/// An edit, and the jobs that it is for.
#[derive(Clone, Debug)]
struct Shared {
    edit: Edit,
    jobs: BTreeSet<String>,
}

/// How the values of a job are placed.
#[derive(Debug)]
struct Placed {
    file: Option<String>,
    /// Other values of the same job that change in the file too.
    also: Vec<String>,
    /// What won't last, and why.
    lost: Vec<String>,
    /// The source after the edits, and the job that it then is.
    after: Option<(Job, Inputs)>,
}

impl WriteBack {
    /// Looks for the places of all values. What has no place is told by [`Self::lost`]; only what can't be
    /// looked at is an error.
    pub fn look(environment: &Environment, asked: &[Asked]) -> Result<Self, Diagnostics> {
        let overlay = Overlay::default();
        let files = job_files(environment, &overlay)?;
        Self::over(environment, &files, &overlay, asked)
    }

    /// As [`Self::look`], over other texts than the work tree's.
    pub(super) fn over(
        environment: &Environment,
        files: &[JobFile],
        overlay: &Overlay,
        asked: &[Asked],
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
        let found = threads::each(threads::cores(), asked, |one| {
            let holding = holding.get(one.job.as_str()).map_or(&[][..], Vec::as_slice);
            place(environment, holding, &bad, &inputs, one)
        });
        let mut back = Self::default();
        for (one, (placed, source, edits)) in asked.iter().zip(found) {
            back.add(one, placed, source, edits, &inputs);
        }
        back.conflict = back.overlap();
        if back.conflict.is_none() && !back.edits.is_empty() {
            let after = Overlay(overlay.0.clone().into_iter().chain(back.after(|_| true)).collect());
            back.prove(environment, &after, asked);
            back.unfit = back.newly_refused(files);
            (back.others, back.protected) = back.elsewhere(environment, files, overlay, &after);
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
    fn after(&self, counts: impl Fn(&str) -> bool) -> BTreeMap<String, Option<String>> {
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

    /// What else changes with the edited texts: in this environment and in the others that read them.
    fn elsewhere(
        &self,
        environment: &Environment,
        files: &[JobFile],
        before: &Overlay,
        after: &Overlay,
    ) -> (Vec<(bool, String)>, BTreeSet<String>) {
        let edited: BTreeSet<&str> = self.edits.iter().map(|shared| shared.edit.file.as_str()).collect();
        let own: BTreeSet<&str> = self.jobs.values().filter_map(|placed| placed.file.as_deref()).collect();
        let (mut others, mut protected) = (Vec::new(), BTreeSet::new());
        let strangers = changed(environment, Ok(files), &edited, after, &own).unwrap_or_default();
        others.extend(strangers.iter().map(|change| (true, change.words(None))));
        for sibling in environment.siblings() {
            // An edited job file may be anybody's, a var file is whose settings name it.
            let by_variables = var_files(sibling).any(|name| edited.contains(name.as_str()));
            if !by_variables && edited.is_disjoint(&own) {
                continue;
            }
            let found = match changed(sibling, Err(before), &edited, after, &BTreeSet::new()) {
                Ok(found) => found,
                Err(why) => {
                    // What nobody can look at may change.
                    if sibling.settings().protected {
                        protected.insert(sibling.name().to_owned());
                    }
                    let line = format!(
                        "'{}' may read it too; whether it changes can't be told: {why}",
                        sibling.name()
                    );
                    others.push((false, line));
                    continue;
                }
            };
            if sibling.settings().protected && !found.is_empty() {
                protected.insert(sibling.name().to_owned());
            }
            let (same, other): (Vec<Changed>, Vec<Changed>) = found
                .into_iter()
                .partition(|change| own.contains(change.file.as_str()) && change.unknown.is_none());
            // Of many files that are changed anyway, their names are enough.
            if same.len() > 2 {
                let files: Vec<&str> = same.iter().map(|change| change.file.as_str()).collect();
                let line = format!("'{}' reads these too: {}", sibling.name(), text::list(&files));
                others.push((false, line));
            } else {
                others.extend(same.iter().map(|change| (false, change.words(Some(sibling.name())))));
            }
            others.extend(
                other
                    .iter()
                    .map(|change| (!own.contains(change.file.as_str()), change.words(Some(sibling.name())))),
            );
        }
        (others, protected)
    }

    /// Why it can't be done as it is asked: two jobs that take one place, a job that Nomad would refuse, or
    /// another job that would change (unless that is meant).
    pub fn refusal(&self, shared: bool) -> Option<(String, String)> {
        if let Some(conflict) = &self.conflict {
            let help = "patch them one after the other, or give each a place of its own".to_owned();
            return Some((conflict.clone(), help));
        }
        if !self.unfit.is_empty() {
            let message = format!("the job could not be started any more:\n  {}", self.unfit.join("\n  "));
            return Some((message, "give it a value that Nomad takes".to_owned()));
        }
        let strangers: Vec<&str> =
            self.others.iter().filter(|(other, _)| *other).map(|(_, line)| line.as_str()).collect();
        if strangers.is_empty() || shared {
            return None;
        }
        let message = format!("other jobs read the same place:\n  {}", strangers.join("\n  "));
        let help = "--shared changes it for all of them; --live-only leaves the files alone".to_owned();
        Some((message, help))
    }

    /// What is shown of a job: each line that changes, and what won't last.
    pub fn lines(&self, job: &str) -> Vec<String> {
        let Some(placed) = self.jobs.get(job) else { return Vec::new() };
        let mut lines = Vec::new();
        for shared in self.edits.iter().filter(|shared| shared.jobs.contains(job)) {
            lines.extend(self.shown(&shared.edit));
        }
        if lines.is_empty() && placed.lost.is_empty() {
            let file = placed.file.as_deref().unwrap_or_default();
            lines.push(format!("{file} has it already"));
        }
        lines.extend(placed.also.iter().map(|path| format!("in the file, this changes {path} too")));
        lines.extend(placed.lost.iter().map(|why| format!("this won't last: {why}")));
        lines
    }

    /// What else reads the places, a line each; whether it is another job.
    pub fn others(&self) -> impl Iterator<Item = (bool, &str)> {
        self.others.iter().map(|(other, line)| (*other, line.as_str()))
    }

    /// Other environments that are protected and have a job that changes, or may.
    pub fn protected(&self) -> impl Iterator<Item = &String> {
        self.protected.iter()
    }

    /// Why values of a job won't last.
    pub fn lost(&self, job: &str) -> &[String] {
        self.jobs.get(job).map_or(&[], |placed| placed.lost.as_slice())
    }

    /// `FILE:LINE: old line → new line`, with the variable or local that it goes through.
    fn shown(&self, edit: &Edit) -> Vec<String> {
        let place = self.line_of(edit);
        let literal = edit.place == Place::Literal;
        let through = if literal { String::new() } else { format!(" ({})", edit.place) };
        let Some(source) = self.texts.get(&edit.file) else { return Vec::new() };
        let (old, new) = line_change(&source.text, edit);
        if old.is_empty() {
            return vec![format!("{place}{through}: + {}", text::one_line(new.trim()))];
        }
        if new.is_empty() {
            return vec![format!("{place}{through}: - {}", text::one_line(old.trim()))];
        }
        vec![
            format!("{place}{through}: {}", text::one_line(old.trim())),
            format!(
                "{}→ {}",
                " ".repeat(place.chars().count().saturating_sub(1)),
                text::one_line(new.trim())
            ),
        ]
    }

    /// `FILE:LINE`
    fn line_of(&self, edit: &Edit) -> String {
        let line = self.texts.get(&edit.file).map_or(1, |source| source.position(edit.range.start).0);
        format!("{}:{line}", edit.file)
    }

    /// Each change of a line: the file, the line as it was, and as it becomes.
    pub(super) fn changes(&self) -> BTreeSet<(String, String, String)> {
        let change = |shared: &Shared| {
            let (old, new) = line_change(&self.texts.get(&shared.edit.file)?.text, &shared.edit);
            Some((shared.edit.file.clone(), old.trim().to_owned(), new.trim().to_owned()))
        };
        self.edits.iter().filter_map(change).collect()
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

    /// What stays undone for a job that counts, since it is for one that doesn't as well; a line each.
    pub fn undone(&self, counts: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for Shared { edit, jobs } in &self.edits {
            let (healthy, other): (Vec<&String>, Vec<&String>) = jobs.iter().partition(|job| counts(job));
            if !healthy.is_empty() && !other.is_empty() {
                let line = self.line_of(edit);
                lines.push(format!(
                    "{line} stays as it is, and {} unsaved: {} takes it from there too, and isn't healthy",
                    text::list(&healthy),
                    text::list(&other)
                ));
            }
        }
        lines
    }

    pub fn has_edits(&self) -> bool {
        !self.edits.is_empty()
    }

    /// What the person decides on: files by their hashes, before and after, and what else changes.
    pub fn decision(&self) -> Value {
        let hash = |text: &str| -> String {
            Sha256::digest(text).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
        };
        let files: BTreeMap<String, Value> = self
            .after(|_| true)
            .into_iter()
            .map(|(name, after)| {
                let before = self.texts.get(&name).map(|source| hash(&source.text));
                (name, json!({ "before": before, "after": after.as_deref().map(hash) }))
            })
            .collect();
        let lost: BTreeMap<&String, &Vec<String>> =
            self.jobs.iter().map(|(job, placed)| (job, &placed.lost)).collect();
        json!({ "files": files, "others": self.others().collect::<Vec<_>>(), "lost": lost })
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
/// the edits.
fn place(
    environment: &Environment,
    holding: &[(&str, &Job)],
    bad: &[&str],
    inputs: &Inputs,
    asked: &Asked,
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
    let placing = |wanted: &[Wanted]| -> Result<Edits, Option<EditError>> {
        let found = edits_of(job, inputs, wanted).map_err(Some)?;
        let public = found.edits.iter().all(|edit| secrets.mask(&edit.new) == edit.new);
        if public { Ok(found) } else { Err(None) }
    };
    let Edits { edits, also } = match placing(&wanted) {
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
    placed.also = also;
    (placed, Some(Arc::clone(job.source.original().unwrap_or(&job.source))), edits)
}

fn why(path: &Path, error: &EditError) -> String {
    let at = error.span().map(|span| format!(" ({span})")).unwrap_or_default();
    let said = error.to_string();
    if said.contains(&path.to_string()) { format!("{said}{at}") } else { format!("`{path}`: {said}{at}") }
}

/// The lines that an edit touches, as they were and as they become.
fn line_change(file: &str, edit: &Edit) -> (String, String) {
    let start = file.get(..edit.range.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let end = file
        .get(edit.range.end..)
        .and_then(|rest| rest.find('\n'))
        .map_or(file.len(), |at| edit.range.end + at);
    let text = |from: usize, to: usize| file.get(from..to).unwrap_or_default();
    let whole_lines = edit.range.start == start
        && (edit.new.is_empty() || edit.new.ends_with('\n'))
        && (edit.old.is_empty() || edit.old.ends_with('\n'));
    if whole_lines || edit.old.is_empty() && edit.new.contains('\n') {
        return (edit.old.clone(), edit.new.clone());
    }
    let new = format!("{}{}{}", text(start, edit.range.start), edit.new, text(edit.range.end, end));
    (text(start, end).to_owned(), new)
}

/// Whether all that a file says of a job is so in the job that is to run, and the names that it sets in
/// free maps are all that this one has there.
fn says_the_same(written: &Value, running: &Value) -> bool {
    let said = Path::every(written);
    let free = |path: &str| [".env", ".config", "meta"].iter().any(|map| path.contains(map));
    let is_so = |path: &Path, value: &Value| {
        let now = path.get(running).filter(|now| !now.is_null());
        now == Some(value) || is_silent(value, now) || is_inherited(path, value, written, running)
    };
    if !said.iter().all(|(path, value)| is_so(path, value)) {
        return false;
    }
    let known: BTreeSet<&Path> = said.iter().map(|(path, _)| path).collect();
    Path::every(running).iter().all(|(path, value)| {
        known.contains(path)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || !free(&path.to_string())
    })
}

/// Whether a file that has this value leaves it to the server what it is.
fn is_silent(value: &Value, now: Option<&Value>) -> bool {
    let empty = value.as_bool() == Some(false) || value.as_u64() == Some(0);
    value.as_str() == Some("") || (now.is_none() && empty)
}

/// A job's `update` is that of its groups, and the server keeps it there only.
fn is_inherited(path: &Path, value: &Value, written: &Value, running: &Value) -> bool {
    let path = path.to_string();
    if !path.starts_with("update.") {
        return false;
    }
    let groups = running["TaskGroups"].as_array().into_iter().flatten();
    groups.filter_map(|group| group["Name"].as_str()).all(|group| {
        let own: Option<Path> = Path::to(Some(group), None).to_string().parse().ok();
        let Some(own) = own.zip(path.parse().ok()).map(|(group, rest): (Path, Path)| group.join(&rest))
        else {
            return false;
        };
        own.get(written).is_some_and(|own| !own.is_null()) || own.get(running) == Some(value)
    })
}
