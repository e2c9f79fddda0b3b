//! Lines and their cells: what stands before a `=`, from the `=` on, and the comment at the end.

use std::ops::Range;
use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use super::spacing::blank_between;
use super::token::{Kind, Token, tokens};
use crate::base::{Diagnostics, Source};
use crate::hcl::parse::parse;

/// The text in canonical layout.
///
/// # Errors
/// What is wrong with it as HCL.
pub fn format(source: &Arc<Source>) -> Result<String, Diagnostics> {
    parse(source)?;
    let mut tokens = tokens(&source.text);
    let lines = split(&tokens);
    indent(&mut tokens, &lines);
    space(&mut tokens, &lines);
    align(&mut tokens, &lines);
    let mut text = String::with_capacity(source.text.len() + source.text.len() / 8);
    for token in &tokens {
        text.extend(std::iter::repeat_n(' ', token.blanks));
        text.push_str(token.text);
    }
    Ok(text)
}

/// Places of tokens. The cells follow one another.
struct Line {
    lead: Range<usize>,
    /// From the `=` on; empty where there is none, or what follows it goes on in the next line.
    value: Range<usize>,
    /// One token, or none.
    comment: Range<usize>,
}

fn split(tokens: &[Token<'_>]) -> Vec<Line> {
    let end = tokens.len().saturating_sub(1);
    let mut lines = Vec::new();
    let mut start = 0;
    for i in 0..end {
        if tokens[i].ends_line() || i + 1 == end {
            lines.push(cells(tokens, start, i + 1));
            start = i + 1;
        }
    }
    lines
}

fn cells(tokens: &[Token<'_>], start: usize, end: usize) -> Line {
    let comment = if end - start > 1 && tokens[end - 1].kind == Kind::Comment { end - 1 } else { end };
    let equal = (start + 1..comment).find(|i| tokens[*i].kind == Kind::Equal);
    let whole =
        |from: &usize| tokens[*from..comment].iter().map(|token| token.kind.opens()).sum::<isize>() == 0;
    let value = equal.filter(whole).unwrap_or(comment);
    Line { lead: start..value, value: value..comment, comment: comment..end }
}

/// Two blanks for each earlier line that opened brackets which are still open, however many it opened.
fn indent(tokens: &mut [Token<'_>], lines: &[Line]) {
    let mut open: Vec<usize> = Vec::new();
    for line in lines {
        let first = line.lead.start;
        if tokens[first].kind == Kind::LineEnd {
            tokens[first].blanks = 0;
            continue;
        }
        // What a heredoc's text holds counts only behind a `=`.
        let lead = &tokens[line.lead.clone()];
        let heredoc = lead.iter().position(|token| token.kind == Kind::OpenHeredoc).unwrap_or(lead.len());
        let counted = lead[..heredoc].iter().chain(&tokens[line.value.clone()]);
        let net: isize = counted.map(|token| token.kind.opens()).sum();
        let mut closed = net.min(0).unsigned_abs();
        while closed > 0
            && let Some(last) = open.last_mut()
        {
            if *last > closed {
                *last -= closed;
                break;
            }
            closed -= *last;
            open.pop();
        }
        tokens[first].blanks = 2 * open.len();
        if net > 0 {
            open.push(net.unsigned_abs());
        }
    }
}

fn space(tokens: &mut [Token<'_>], lines: &[Line]) {
    for line in lines {
        for cell in [&line.lead, &line.value] {
            for i in cell.clone().skip(1) {
                let before = (i - 1 > cell.start).then(|| &tokens[i - 2]);
                tokens[i].blanks = blank_between(before, &tokens[i - 1], &tokens[i]).into();
            }
        }
        if !line.value.is_empty() {
            tokens[line.value.start].blanks = 1;
        }
    }
}

/// The values of lines that follow one another begin in one column, and then their comments.
fn align(tokens: &mut [Token<'_>], lines: &[Line]) {
    column(tokens, lines, |line| (line.lead.clone(), line.value.clone()));
    column(tokens, lines, |line| (line.lead.start..line.value.end, line.comment.clone()));
}

/// `cells` gives what comes before the column in a line, and what stands in it.
fn column(tokens: &mut [Token<'_>], lines: &[Line], cells: impl Fn(&Line) -> (Range<usize>, Range<usize>)) {
    for rows in lines.chunk_by(|a, b| cells(a).1.is_empty() == cells(b).1.is_empty()) {
        if rows.first().is_none_or(|line| cells(line).1.is_empty()) {
            continue;
        }
        let widths: Vec<usize> = rows.iter().map(|line| width(&tokens[cells(line).0])).collect();
        let widest = widths.iter().copied().max().unwrap_or_default();
        for (line, own) in rows.iter().zip(widths) {
            tokens[cells(line).1.start].blanks = widest - own + 1;
        }
    }
}

fn width(tokens: &[Token<'_>]) -> usize {
    tokens.iter().map(|token| token.blanks + characters(token.text)).sum()
}

fn characters(text: &str) -> usize {
    if text.is_ascii() && !text.contains('\r') { text.len() } else { text.graphemes(true).count() }
}
