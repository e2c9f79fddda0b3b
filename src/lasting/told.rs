//! What a person is told of edits: the lines that change, what else changes with them, and why they can't be
//! made so.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::changed::shown;
use super::writeback::{Also, Shared, WriteBack};
use crate::base::text;
use crate::hcl::trace::Place;
use crate::jobspec::{Change, Edit};

impl WriteBack {
    /// Why it can't be done as it is asked: two jobs that take one place, a job that Nomad would refuse, or
    /// another job that would change, or another value of the same one (unless that is meant). What to do: of a
    /// patch that is `live` as well, to leave the files alone is a way.
    pub fn refusal(&self, live: bool) -> Option<(String, String)> {
        let sparing = if live { "; --live-only leaves the files alone" } else { "" };
        if let Some(conflict) = &self.conflict {
            let help = "patch them one after the other, or give each a place of its own".to_owned();
            return Some((conflict.clone(), help));
        }
        if !self.unfit.is_empty() {
            let message = format!("the job could not be started any more:\n  {}", self.unfit.join("\n  "));
            return Some((message, "give it a value that Nomad takes".to_owned()));
        }
        if self.shared {
            return None;
        }
        let strangers: Vec<&str> =
            self.others.iter().filter(|(other, _)| *other).map(|(_, line)| line.as_str()).collect();
        if !strangers.is_empty() {
            let message = format!("other jobs read the same place:\n  {}", strangers.join("\n  "));
            let help = format!("--shared changes it for all of them{sparing}");
            return Some((message, help));
        }
        let (apart, mut lines) = (self.jobs.keys().map(|job| (job, self.apart(job))), Vec::new());
        for (job, values) in apart {
            lines.extend(values.into_iter().map(|value| format!("{job}: {value}")));
        }
        if lines.is_empty() {
            return None;
        }
        let message = format!("the file would have what doesn't run:\n  {}", lines.join("\n  "));
        let help = "patch both in one go, or write this one by hand to a place of its own; --shared changes \
                    the file for both, and only this one live";
        Some((message, format!("{help}{sparing}")))
    }

    /// The values of a job that its file would have and that nothing runs with, a line each.
    pub fn apart(&self, job: &str) -> Vec<String> {
        let also = self.jobs.get(job).into_iter().flat_map(|placed| &placed.also);
        let line = |Also { change: Change { path, old, new }, runs }: &Also| {
            let runs = shown(path, runs.as_ref()?);
            let (old, new) = (shown(path, old), shown(path, new));
            let runs = if runs == old { String::new() } else { format!("; {runs} runs") };
            Some(format!("{path} comes from the same place, and would be {old} → {new} there{runs}"))
        };
        also.filter_map(line).collect()
    }

    /// What has changed in the files besides and doesn't run, once they are written for the jobs that count; a
    /// line each.
    pub fn drifting(&self, counts: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        for (job, placed) in &self.jobs {
            let written = self
                .edits
                .iter()
                .any(|shared| shared.jobs.contains(job) && shared.jobs.iter().all(|job| counts(job)));
            let also = placed.also.iter().filter(|_| written);
            lines.extend(also.filter_map(|Also { change: Change { path, new, .. }, runs }| {
                let (runs, new) = (shown(path, runs.as_ref()?), shown(path, new));
                Some(format!(
                    "drift: {job} {path}: {runs} runs, {new} is in the file; a start takes it along"
                ))
            }));
        }
        if !self.strangers.is_empty()
            && self.edits.iter().any(|shared| shared.jobs.iter().all(|job| counts(job)))
        {
            let jobs = text::list(&self.strangers);
            lines.push(format!(
                "drift: in the files, {jobs} changed too, and not live; a start takes it along"
            ));
        }
        lines
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
        lines.extend(placed.also.iter().map(|Also { change: Change { path, old, new }, runs }| {
            let runs = runs.as_ref().map(|runs| format!("; what runs stays {}", shown(path, runs)));
            let (old, new) = (shown(path, old), shown(path, new));
            format!("in the file, this changes {path} too: {old} → {new}{}", runs.unwrap_or_default())
        }));
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
    pub(super) fn line_of(&self, edit: &Edit) -> String {
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
