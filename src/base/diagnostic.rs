//! Errors in what a person wrote: which file, which line, which piece of text, and what to do.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// One text that a person wrote, with the name to call it by.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as it is shown: relative to the project's root where it lies below it.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Where pieces of the file were replaced: the file as it lies on disk, and the pieces in its order.
    made_from: Option<(Arc<Self>, Vec<Replaced>)>,
    /// Where the lines begin, once somebody asked.
    lines: Lines,
}

/// The offsets at which lines begin. Made from the text: two of them never differ.
#[derive(Debug, Default)]
struct Lines(OnceLock<Vec<usize>>);

impl PartialEq for Lines {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Lines {}

/// A piece of a file and what stands in its place.
#[derive(Debug, PartialEq, Eq)]
struct Replaced {
    in_file: Range<usize>,
    in_text: Range<usize>,
}

impl Source {
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), made_from: None, lines: Lines::default() })
    }

    /// `file` with pieces of it replaced (ranges of bytes in its order, none within another). Positions
    /// remain those of the file.
    pub fn replacing(file: &Arc<Self>, pieces: &[(Range<usize>, &str)]) -> Arc<Self> {
        let (mut text, mut replaced, mut at) = (String::with_capacity(file.text.len()), Vec::new(), 0);
        for (range, new) in pieces {
            text.push_str(file.text.get(at..range.start).unwrap_or_default());
            let start = text.len();
            text.push_str(new);
            replaced.push(Replaced { in_file: range.clone(), in_text: start..text.len() });
            at = range.end;
        }
        text.push_str(file.text.get(at..).unwrap_or_default());
        Arc::new(Self {
            name: file.name.clone(),
            text,
            made_from: Some((Arc::clone(file), replaced)),
            lines: Lines::default(),
        })
    }

    /// The file as it lies on disk, where pieces of it were replaced.
    pub fn original(&self) -> Option<&Arc<Self>> {
        self.made_from.as_ref().map(|(file, _)| file)
    }

    /// Whether pieces within this range of the file were replaced.
    pub fn replaces(&self, in_file: &Range<usize>) -> bool {
        let pieces = self.made_from.iter().flat_map(|(_, replaced)| replaced);
        pieces.map(|one| &one.in_file).any(|one| one.start < in_file.end && in_file.start < one.end)
    }

    /// Where an offset lies in the file: within a replaced piece, at the piece's start or end.
    fn in_file(&self, offset: usize, is_end: bool) -> usize {
        let Some((_, replaced)) = &self.made_from else { return offset };
        let before = |one: &Replaced| {
            if is_end { one.in_text.start < offset } else { one.in_text.start <= offset }
        };
        match replaced.iter().take_while(|one| before(one)).last() {
            None => offset,
            Some(last) if is_end && offset <= last.in_text.end => last.in_file.end,
            Some(last) if !is_end && (offset < last.in_text.end || offset == last.in_text.start) => {
                last.in_file.start
            }
            Some(last) => last.in_file.end + (offset - last.in_text.end),
        }
    }

    /// Line and column of a byte offset, both from 1; columns count characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        if let Some((file, _)) = &self.made_from {
            return file.position(self.in_file(offset, false));
        }
        let mut at = offset.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let lines = self.lines.0.get_or_init(|| {
            std::iter::once(0).chain(self.text.match_indices('\n').map(|(i, _)| i + 1)).collect()
        });
        let line = lines.partition_point(|start| *start <= at);
        let start = lines.get(line - 1).copied().unwrap_or_default();
        (line, self.text[start..at].chars().count() + 1)
    }
}

/// A range of bytes of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub source: Arc<Source>,
    pub range: Range<usize>,
}

impl Span {
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        Self { source: Arc::clone(source), range }
    }

    /// The same place in the file as it lies on disk.
    #[must_use]
    pub fn on_disk(&self) -> Self {
        let Some(file) = self.source.original() else { return self.clone() };
        let start = self.source.in_file(self.range.start, false);
        Self::new(file, start..self.source.in_file(self.range.end, true).max(start))
    }

    /// Whether a piece of it was replaced, so that it isn't what lies on disk.
    pub fn is_replaced(&self) -> bool {
        self.source.replaces(&self.on_disk().range)
    }

    /// The text it covers.
    pub fn text(&self) -> &str {
        self.source.text.get(self.range.clone()).unwrap_or_default()
    }
}

/// `FILE:LINE:COL`
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.source.position(self.range.start);
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong with what a person wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where; none for what has no place in a file.
    pub span: Option<Span>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), span: None, help: None }
    }

    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Places it: in the file as it lies on disk.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.span = Some(span.on_disk());
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// `FILE:LINE:COL: message`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(span) = &self.span {
            write!(f, "{span}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Everything that was found wrong in one go; never empty when it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn extend(&mut self, others: Diagnostics) {
        self.0.extend(others.0);
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// Without those at places where pieces of a file were replaced; `text` is what came out.
    #[must_use]
    pub fn apart_from_replaced(mut self, text: &Source) -> Self {
        if let Some(file) = text.original() {
            let there = |span: &Span| Arc::ptr_eq(&span.source, file) && text.replaces(&span.range);
            self.0.retain(|one| !one.span.as_ref().is_some_and(there));
        }
        self
    }

    /// `value`, unless there are errors.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.has_errors() { Err(self) } else { Ok(value) }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let source = Source::new("f", "é = 1\nüb = 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position("é".len()), (1, 2));
        assert_eq!(source.position("é = 1\nü".len()), (2, 2));
        assert_eq!(source.position(1_000), (3, 1));
    }

    #[test]
    fn what_was_replaced_keeps_the_places_of_the_file() {
        let file = Source::new("f", "a = ${X}\nb = ${Y}c${X}\n");
        let pieces = [(4..8, "one\ntwo"), (13..17, ""), (18..22, "z")];
        let made = Source::replacing(&file, &pieces);
        assert_eq!(made.text, "a = one\ntwo\nb = cz\n");
        let at = |text: &str| {
            let start = made.text.find(text).unwrap();
            Span::new(&made, start..start + text.len())
        };
        for (text, on_disk, replaced) in [
            ("a =", "a =", false),
            ("two", "${X}", true),
            ("= one", "= ${X}", true),
            ("b =", "b =", false),
            ("cz", "${Y}c${X}", true),
            ("z", "${X}", true),
            ("two\nb", "${X}\nb", true),
        ] {
            let span = at(text);
            assert_eq!((span.on_disk().text(), span.is_replaced()), (on_disk, replaced), "{text}");
            assert_eq!(span.to_string(), span.on_disk().to_string());
        }
        let end = Span::new(&made, made.text.len()..made.text.len());
        assert_eq!(end.to_string(), "f:3:1");
        assert_eq!(Diagnostic::error("x").at(&at("two")).to_string(), "f:1:5: x");
    }
}
