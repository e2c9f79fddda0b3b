//! Another text in the place of a literal's.

use crate::base::Span;
use crate::hcl::edit::Change;
use crate::hcl::edit::encode::{encode, json_inside};
use crate::hcl::edit::render::{is_json, json_text, quoted};
use crate::hcl::edit::units::{Form, Layer, Taken, take};
use crate::hcl::trace::{Literal, Place};
use crate::hcl::value::Number;

/// Makes the meant part of a literal say `new`. Where the literal was written in the way it would be
/// written here, all of it is replaced, so that the change reads well; else only the bytes that must
/// be. None where its bytes don't say its text, or only a part of a number is meant.
pub fn rewrite(literal: &Literal, place: &Place, new: &str) -> Option<Change> {
    // In JSON, only what constants stand for is never looked at for `${…}`.
    let plain = matches!(place, Place::Default(_) | Place::VarFile(_));
    let taken = take(literal, plain)?;
    let (cut, text) = (&literal.cut, literal.text.as_str());
    if taken.form == Form::Bare {
        let whole = *cut == (0..text.len());
        return whole.then(|| Change::new(&literal.span, bare(literal, new, plain)));
    }
    let whole = format!("{}{new}{}", &text[..cut.start], &text[cut.end..]);
    let as_written = literal.span.source.text.get(taken.layer.in_file(&taken.range));
    let canonical = as_written == Some(taken.written(&taken.range, text).as_str());
    let one_line = !text.contains('\n') && !whole.contains('\n') && text.len() <= 200;
    let (range, new) = if canonical && one_line && taken.form != Form::Heredoc {
        (taken.range.clone(), whole)
    } else {
        taken.narrowed(text, &whole)?
    };
    let place = Span::new(&literal.span.source, taken.layer.in_file(&range));
    Some(Change::new(&place, taken.written(&range, &new)))
}

impl Taken<'_> {
    /// A text as it must be written in the file in the place of a range.
    fn written(&self, range: &std::ops::Range<usize>, text: &str) -> String {
        let layer = self.layer.text();
        // Beyond the literal, only the start of an interpolation matters.
        let after = if range.end == self.range.end && !layer[range.end..].starts_with(['$', '%']) {
            ""
        } else {
            &layer[range.end..]
        };
        let before = if range.start == self.range.start { "" } else { &layer[..range.start] };
        let mut text = encode(text, self.form, before, after, &self.indent);
        if self.form == Form::Heredoc {
            // Whole lines have their margin in front, and leave the next line its own.
            if layer[..range.start].ends_with('\n') && !text.is_empty() && !text.starts_with('\n') {
                text.insert_str(0, &self.indent);
            }
            if text.ends_with('\n') && !layer[..range.end].ends_with('\n') {
                text.push_str(&self.indent);
            }
        }
        if matches!(self.layer, Layer::Json { .. }) { json_inside(&text) } else { text }
    }

    /// The bytes that differ between two texts, and what takes their place.
    fn narrowed(&self, old: &str, new: &str) -> Option<(std::ops::Range<usize>, String)> {
        let mut same = 0;
        let mut first = 0;
        for unit in &self.units {
            if !new[same..].starts_with(unit.text.as_str()) {
                break;
            }
            same += unit.text.len();
            first += 1;
        }
        // What would become `${` or `%{` with what stays is written as one.
        while first > 0 && new[same..].starts_with('{') && self.units[first - 1].text.ends_with(['$', '%']) {
            first -= 1;
            same -= self.units[first].text.len();
        }
        let mut last = self.units.len();
        let mut tail = 0;
        while last > first {
            let unit = &self.units[last - 1].text;
            if !new[same..new.len() - tail].ends_with(unit.as_str()) {
                break;
            }
            tail += unit.len();
            last -= 1;
        }
        while last < self.units.len()
            && new[same..new.len() - tail].ends_with(['$', '%'])
            && self.units[last].text.starts_with(['{', '$', '%'])
        {
            tail -= self.units[last].text.len();
            last += 1;
        }
        debug_assert!(same + tail <= old.len());
        let new = new.get(same..new.len() - tail)?.to_owned();
        let (from, to) = match (self.units.get(first), last.checked_sub(1).map(|at| &self.units[at])) {
            (Some(from), Some(to)) if first < last => (from.raw.start, to.raw.end),
            // Nothing goes: it is put behind what stays, or before what follows.
            (_, Some(before)) => (before.raw.end, before.raw.end),
            (Some(after), None) => (after.raw.start, after.raw.start),
            (None, None) => (self.range.start, self.range.start),
        };
        let line = self.layer.text()[..from].rfind('\n').map_or(0, |at| at + 1);
        let margin = &self.layer.text()[line..from];
        let whole_lines = from < to && self.layer.text()[..to].ends_with('\n') && margin == self.indent;
        let from = if whole_lines && self.form == Form::Heredoc { line } else { from };
        Some((from..to, new))
    }
}

/// A number or bool, or the text that takes its place.
fn bare(literal: &Literal, new: &str, plain: bool) -> String {
    let is_bool = |text: &str| matches!(text, "true" | "false");
    let is_number = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        digits.starts_with(|c: char| c.is_ascii_digit())
            && Number::parse(text).is_some_and(|number| number.to_string() == text)
    };
    let old = literal.text.as_str();
    if is_bool(old) && is_bool(new) || !is_bool(old) && is_number(new) {
        return new.to_owned();
    }
    if is_json(&literal.span.source) { json_text(&new.into(), plain) } else { quoted(new) }
}
