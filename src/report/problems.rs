//! Errors in what a person wrote, with the piece of text they are about.

use std::fmt;
use std::ops::Range;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};

use serde_json::{Value, json};

use super::page::Page;
use super::styled::{Role, SIMULATED, Styled};
use crate::base::{Diagnostic, Diagnostics, Secrets, Severity, Span, text};

/// All of them in the order of the files, each beginning with `error: FILE:LINE:COL: message`, the line
/// of source with a caret under it, and `help: …`. With colour, frames are Unicode too. `width` is in columns.
pub fn diagnostics(found: &Diagnostics, color: bool, width: usize) -> String {
    let page = Page { width: Some(width), color, unicode: color, simulated: false };
    render(found, &page, &Secrets::default())
}

/// The same for machines: `{"file", "line", "column", "severity", "message", "help"}` each, null where there is
/// none.
pub fn diagnostics_json(found: &Diagnostics) -> Value {
    in_order(found)
        .into_iter()
        .map(|diagnostic| {
            let place = diagnostic.span.as_ref();
            let position = place.map(|span| span.source.position(span.range.start));
            json!({
                "file": place.map(|span| &span.source.name),
                "line": position.map(|(line, _)| line),
                "column": position.map(|(_, column)| column),
                "severity": match diagnostic.severity {
                    Severity::Error => "error",
                    Severity::Warning => "warning",
                },
                "message": diagnostic.message,
                "help": diagnostic.help,
            })
        })
        .collect()
}

pub(super) fn render(found: &Diagnostics, page: &Page, secrets: &Secrets) -> String {
    let mut out = String::new();
    for diagnostic in in_order(found) {
        if !out.is_empty() {
            out.push_str(if page.simulated { SIMULATED } else { "" });
            out.push('\n');
        }
        one(&mut out, diagnostic, page, secrets);
    }
    out
}

/// Files in the order in which they are first named, and from top to bottom in each.
fn in_order(found: &Diagnostics) -> Vec<&Diagnostic> {
    let mut files: Vec<&str> = Vec::new();
    for span in found.0.iter().filter_map(|diagnostic| diagnostic.span.as_ref()) {
        if !files.contains(&span.source.name.as_str()) {
            files.push(&span.source.name);
        }
    }
    let mut sorted: Vec<&Diagnostic> = found.0.iter().collect();
    sorted.sort_by_key(|diagnostic| {
        let place = diagnostic.span.as_ref();
        place.map(|span| (files.iter().position(|file| *file == span.source.name), span.range.start))
    });
    sorted
}

fn one(out: &mut String, diagnostic: &Diagnostic, page: &Page, secrets: &Secrets) {
    let (role, word) = match diagnostic.severity {
        Severity::Error => (Role::Bad, "error"),
        Severity::Warning => (Role::Warn, "warning"),
    };
    let place = diagnostic.span.as_ref().map(|span| format!("{span}: ")).unwrap_or_default();
    // The first line is for machines and eyes alike: it is never wrapped.
    let flat = Page { width: None, ..*page };
    let message = secrets.mask(&diagnostic.message);
    let mut message = message.lines();
    let first = message.next().unwrap_or_default();
    let head = Styled::new(0).with(role, format!("{word}:")).plain(format!(" {place}"));
    push(out, &head.with(Role::Strong, first), &flat);
    for line in message {
        push(out, &Styled::new(2).plain(line), page);
    }
    if let Some(span) = &diagnostic.span {
        let prefix = if page.simulated { SIMULATED } else { "" };
        for line in snippet(span, page, secrets) {
            out.push_str(&format!("{prefix}{line}\n"));
        }
    }
    let help = diagnostic.help.as_deref().map(|help| secrets.mask(help));
    for (i, line) in help.as_deref().unwrap_or_default().lines().enumerate() {
        let line = match i {
            0 => Styled::new(2).with(Role::Change, "help: ").plain(line).hanging(8),
            _ => Styled::new(8).plain(line).hanging(8),
        };
        push(out, &line, page);
    }
}

fn push(out: &mut String, line: &Styled, page: &Page) {
    for row in line.lay_out(page) {
        out.push_str(&row);
        out.push('\n');
    }
}

/// The frame with the source line and its caret.
fn snippet(span: &Span, page: &Page, secrets: &Secrets) -> Vec<String> {
    let theme = match (page.unicode, page.color) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => {
            let styles = GraphicalTheme::unicode().styles;
            GraphicalTheme { styles, ..GraphicalTheme::ascii() }
        }
        (false, false) => GraphicalTheme::none(),
    };
    let corner = theme.characters.ltop;
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_context_lines(0)
        .tab_width(4)
        .with_width(page.width.unwrap_or(200))
        .without_syntax_highlighting();
    let place = Place::new(span, page, secrets);
    let mut text = String::new();
    if handler.render_report(&mut text, &place).is_err() {
        return Vec::new();
    }
    // What comes before the frame is the message, which has been said.
    text.lines()
        .skip_while(|line| !line.contains(corner))
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.trim_end().to_owned())
        .collect()
}

/// The line in which a span begins, in the form miette reads: harmless, masked, and no more of a very
/// long one than what surrounds the span. Only this line is shown: its neighbours may hold what nobody
/// knows yet to be secret.
#[derive(Debug)]
struct Place {
    name: String,
    line: String,
    /// In `line`.
    label: Range<usize>,
    /// Of the span in its file, from 1.
    position: (usize, usize),
}

impl Place {
    fn new(span: &Span, page: &Page, secrets: &Secrets) -> Self {
        let text = &span.source.text;
        let position = span.source.position(span.range.start);
        let mut start = span.range.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let from = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[from..].lines().next().unwrap_or_default();
        let masked = secrets.mask(line);
        let (shown, label) = if masked == line {
            (line, start - from..span.range.end.saturating_sub(from))
        } else {
            // Where in the line something stood is no longer true: all of it is marked.
            (masked.as_str(), 0..masked.len())
        };
        let room = page.width.map_or(400, |width| width.saturating_sub(16).max(20));
        let (line, label) = around(shown, &label, room);
        Self { name: super::styled::clean(&span.source.name), line, label, position }
    }
}

/// At most `room` characters of `line` with `label` among them, and where it then is.
fn around(line: &str, label: &Range<usize>, room: usize) -> (String, Range<usize>) {
    let before = line.char_indices().take_while(|(at, _)| *at < label.start).count();
    let skipped = if line.chars().count() > room { before.saturating_sub(room / 3) } else { 0 };
    let mut shown = if skipped > 0 { "…".to_owned() } else { String::new() };
    let (mut start, mut end) = (None, None);
    for (i, (at, c)) in line.char_indices().enumerate().skip(skipped) {
        if i >= skipped + room {
            shown.push('…');
            break;
        }
        if at >= label.start {
            start.get_or_insert(shown.len());
        }
        if at >= label.end {
            end.get_or_insert(shown.len());
        }
        shown.push(plain(c));
    }
    let start = start.unwrap_or(shown.len());
    let end = end.unwrap_or(shown.len()).max(start);
    if start == shown.len() {
        // Something is missing where the line ends: the caret needs a place to stand.
        shown.push(' ');
    }
    (shown, start..end)
}

/// A character that can't steer a terminal, in the place of one that can.
fn plain(c: char) -> char {
    let mut buffer = [0; 4];
    let alone: &str = c.encode_utf8(&mut buffer);
    if text::harmless(alone) == alone { c } else { char::REPLACEMENT_CHARACTER }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("here")
    }
}

impl std::error::Error for Place {}

impl SourceCode for Place {
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        _: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (line, column) = self.position;
        let whole = SourceSpan::from(0..self.line.len());
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            self.line.as_bytes(),
            whole,
            line.saturating_sub(1),
            column.saturating_sub(1),
            1,
        );
        Ok(Box::new(contents))
    }
}

impl miette::Diagnostic for Place {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, self.label.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Source;

    fn two() -> Diagnostics {
        let source =
            Source::new("blackstart.hcl", "project = \"cosims\"\r\n\tenviroment \"prod\" {\r\n}\r\n");
        let at = |word: &str| {
            let start = source.text.find(word).unwrap();
            Span::new(&source, start..start + word.len())
        };
        let mut found = Diagnostics::default();
        found.push(
            Diagnostic::error("there is no block 'enviroment'")
                .at(&at("enviroment"))
                .help("did you mean 'environment'?"),
        );
        let end = source.text.rfind('}').unwrap() + 1;
        found.push(Diagnostic::error("something is missing").at(&Span::new(&source, end..end)));
        found.push(Diagnostic::error("nothing to show\nof this"));
        found.push(Diagnostic::warning("this project is odd").at(&at("\"cosims\"")));
        found
    }

    #[test]
    fn places_are_shown() {
        insta::assert_snapshot!(diagnostics(&two(), false, 80));
        let page = Page { width: Some(80), unicode: true, ..Page::default() };
        insta::assert_snapshot!(render(&two(), &page, &Secrets::default()));
    }

    #[test]
    fn secrets_of_the_source_are_masked() {
        let source = Source::new("prod_secrets.tfvars", "a = 1\nkey = \"hunter22hunter22\" !\n");
        let start = source.text.find('!').unwrap();
        let secrets = Secrets::default();
        secrets.add("hunter22hunter22");
        let found = Diagnostic::error("unexpected '!'").at(&Span::new(&source, start..start + 1)).into();
        let shown = render(&found, &Page::default(), &secrets);
        // The neighbouring line isn't shown, the line itself is without the value.
        assert!(!shown.contains("a = 1"), "{shown}");
        assert!(!shown.contains("hunter") && shown.contains("(secret)"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_span_of_any_text(text in "(\\PC|[\u{0}-\u{9f}]|\u{202e}){0,80}", a in 0_usize..90, b in 0_usize..90) {
            let source = Source::new("f.hcl", text);
            let span = Span::new(&source, a.min(b)..a.max(b));
            let shown = diagnostics(&Diagnostic::error("no").at(&span).into(), false, 80);
            prop_assert!(shown.starts_with("error: f.hcl:"));
            prop_assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
        }
    }
}
