//! Edits that are made one after another, told as edits of the files as they were.

use std::ops::Range;
use std::sync::Arc;

use crate::base::Source;
use crate::hcl::edit::Change;
use crate::hcl::trace::Place;
use crate::jobspec::edit::edits::{Edit, apply};
use crate::jobspec::job::Inputs;

/// A job's files while they are edited.
pub struct Draft<'a> {
    /// As they were: the job file and then the var files.
    files: Vec<Arc<Source>>,
    edits: Vec<Vec<Edit>>,
    inputs: &'a Inputs,
}

impl<'a> Draft<'a> {
    pub fn new(file: &Arc<Source>, inputs: &'a Inputs) -> Self {
        let files: Vec<Arc<Source>> =
            std::iter::once(file).chain(&inputs.var_files).map(Arc::clone).collect();
        let edits = vec![Vec::new(); files.len()];
        Self { files, edits, inputs }
    }

    /// The job file and the inputs as they are now.
    pub fn now(&self) -> (Arc<Source>, Inputs) {
        let mut texts = self.files.iter().zip(&self.edits).map(|(file, edits)| {
            if edits.is_empty() {
                return Arc::clone(file);
            }
            Source::new(file.name.clone(), apply(&file.text, edits))
        });
        let job = texts.next().unwrap_or_else(|| Source::new("", ""));
        (job, Inputs { var_files: texts.collect(), ..self.inputs.clone() })
    }

    /// Makes some changes at once, in the files of `now`; no two of them overlap.
    pub fn add(&mut self, now: &[Arc<Source>], mut changes: Vec<(Change, Place)>) {
        // From the end on: what lies before a change stays where it is.
        changes.sort_by_key(|(change, _)| std::cmp::Reverse(change.span.range.start));
        for (change, place) in changes {
            if let Some(at) = now.iter().position(|file| Arc::ptr_eq(file, &change.span.source)) {
                self.one(at, change, place);
            }
        }
    }

    /// One change of the text as it is now; edits that it touches become one with it.
    fn one(&mut self, file: usize, change: Change, place: Place) {
        let was = &self.files[file];
        let now = apply(&was.text, &self.edits[file]);
        let Range { start: a, end: b } = change.span.range;
        let (mut from, mut to) = (a, b);
        // By how much places before and behind it have moved.
        let (mut before, mut behind, mut shift) = (0, 0, 0_isize);
        let mut kept = Vec::new();
        for edit in self.edits[file].drain(..) {
            let start = edit.range.start.saturating_add_signed(shift);
            let end = start + edit.new.len();
            shift += edit.new.len().cast_signed() - edit.range.len().cast_signed();
            if end < a {
                before = shift;
            }
            if start <= b {
                behind = shift;
            }
            if start <= b && end >= a {
                (from, to) = (from.min(start), to.max(end));
            } else {
                kept.push(edit);
            }
        }
        let range = from.saturating_add_signed(-before)..to.saturating_add_signed(-behind);
        let text = |range: Range<usize>| now.get(range).unwrap_or_default();
        let new = format!("{}{}{}", text(from..a), change.new, text(b..to));
        let old = was.text.get(range.clone()).unwrap_or_default().to_owned();
        kept.push(Edit { file: was.name.clone(), range, old, new, place });
        kept.sort_by_key(|edit| edit.range.start);
        self.edits[file] = kept;
    }

    pub fn edits(self) -> Vec<Edit> {
        self.edits.into_iter().flatten().filter(|edit| edit.old != edit.new).collect()
    }
}
