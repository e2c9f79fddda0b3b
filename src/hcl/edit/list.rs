//! Elements of a list that is written out.

use std::ops::Range;

use crate::base::Span;
use crate::hcl::edit::Change;
use crate::hcl::edit::insert::{indent, line_end};
use crate::hcl::tree::{Expr, ExprKind};

/// Puts `new`, as they are to be written, in the place of some elements; none where the expression is
/// no list that is written out.
pub fn replace_elements(list: &Expr, range: Range<usize>, new: &[String]) -> Option<Change> {
    let ExprKind::Tuple(items) = &list.kind else { return None };
    let source = &list.span.source;
    let text = source.text.as_str();
    let start = |at: usize| items[at].span.range.start;
    let end = |at: usize| items[at].span.range.end;
    let change = |range: Range<usize>, new: String| Some(Change::new(&Span::new(source, range), new));
    let between = match items.first() {
        Some(first) if text[list.span.range.start..first.span.range.start].contains('\n') => {
            format!(",{}{}", line_end(text, list.span.range.start), indent(text, first.span.range.start))
        }
        _ => ", ".to_owned(),
    };
    let joined = new.join(&between);
    let Range { start: from, end: to } = range;
    if to > items.len() || from > to {
        return None;
    }
    if items.is_empty() || from == 0 && to == items.len() && new.is_empty() {
        return change(list.span.range.clone(), format!("[{joined}]"));
    }
    match (from < to, new.is_empty()) {
        (true, false) => change(start(from)..end(to - 1), joined),
        (true, true) if to < items.len() => change(start(from)..start(to), String::new()),
        (true, true) => change(end(from - 1)..end(to - 1), String::new()),
        (false, true) => None,
        (false, false) if from > 0 => change(end(from - 1)..end(from - 1), format!("{between}{joined}")),
        (false, false) => change(start(0)..start(0), format!("{joined}{between}")),
    }
}
