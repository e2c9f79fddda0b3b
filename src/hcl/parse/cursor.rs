//! A place in the text that moves forward, over white space and comments.

use std::sync::Arc;

use crate::base::{Diagnostic, Source, Span};

/// Blocks, brackets and operands within one another: enough for any file written by a person, and
/// little enough for the stack of a thread.
pub const MAX_DEPTH: usize = 100;

pub type Parsed<T> = Result<T, Diagnostic>;

pub struct Cursor<'a> {
    pub source: &'a Arc<Source>,
    pub text: &'a str,
    pub at: usize,
    /// Where false, a line feed is white space: within parentheses, brackets and interpolations.
    pub lines: bool,
    depth: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(source: &'a Arc<Source>) -> Self {
        let text = source.text.as_str();
        // A byte order mark is not part of the text, though it counts in offsets.
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { source, text, at, lines: true, depth: 0 }
    }

    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub fn done(&self) -> bool {
        self.at >= self.text.len()
    }

    pub fn span(&self, from: usize) -> Span {
        Span::new(self.source, from..self.at.max(from))
    }

    /// The place of the next character.
    pub fn here(&self) -> Span {
        let end = self.at + self.peek().map_or(0, char::len_utf8);
        Span::new(self.source, self.at..end)
    }

    pub fn starts(&self, text: &str) -> bool {
        self.rest().starts_with(text)
    }

    /// Goes past `text` where it comes next.
    pub fn take(&mut self, text: &str) -> bool {
        let found = self.starts(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Goes past blanks and comments; past line ends too where they do not matter here.
    pub fn skip(&mut self) -> Parsed<()> {
        loop {
            let rest = self.rest();
            let Some(next) = rest.chars().next() else { return Ok(()) };
            match next {
                ' ' | '\t' => self.at += 1,
                '\r' if rest.starts_with("\r\n") && !self.lines => self.at += 2,
                '\n' if !self.lines => self.at += 1,
                '#' => self.skip_line(),
                '/' if rest.starts_with("//") => self.skip_line(),
                '/' if rest.starts_with("/*") => {
                    let Some(end) = rest.find("*/") else {
                        let span = Span::new(self.source, self.at..self.at + 2);
                        return Err(Diagnostic::error("comment is not closed")
                            .at(&span)
                            .help("end it with */"));
                    };
                    self.at += end + 2;
                }
                _ => return Ok(()),
            }
        }
    }

    /// To the end of the line, not past it.
    fn skip_line(&mut self) {
        let rest = self.rest();
        let end = rest.find('\n').unwrap_or(rest.len());
        self.at += if rest[..end].ends_with('\r') { end - 1 } else { end };
    }

    /// As [`Cursor::skip`], and past line ends in any case.
    pub fn skip_lines(&mut self) -> Parsed<()> {
        let before = std::mem::replace(&mut self.lines, false);
        let result = self.skip();
        self.lines = before;
        result
    }

    /// Whether a line ends here (blanks and comments have been skipped).
    pub fn at_line_end(&self) -> bool {
        self.starts("\n") || self.starts("\r\n")
    }

    /// Runs `inner` where line ends matter as `lines` says.
    pub fn within<T>(&mut self, lines: bool, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let before = std::mem::replace(&mut self.lines, lines);
        let result = inner(self);
        self.lines = before;
        result
    }

    /// Runs `inner` one level deeper, and refuses what is nested beyond reason.
    pub fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.enter()?;
        let result = inner(self);
        self.leave();
        result
    }

    /// One level down; [`Cursor::leave`] goes back up. Used instead of [`Cursor::deeper`] where every
    /// byte of stack counts.
    pub fn enter(&mut self) -> Parsed<()> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        Ok(())
    }

    pub fn leave(&mut self) {
        self.depth -= 1;
    }

    fn too_deep(&self) -> Diagnostic {
        Diagnostic::error(format!("nested more than {MAX_DEPTH} deep")).at(&self.here())
    }

    /// The name that starts here, where one does.
    pub fn word(&mut self) -> Option<crate::hcl::tree::Ident> {
        let rest = self.rest();
        let mut end = 0;
        for (i, c) in rest.char_indices() {
            let fits = if i == 0 { starts_name(c) } else { continues_name(c) };
            if !fits {
                break;
            }
            end = i + c.len_utf8();
        }
        if end == 0 {
            return None;
        }
        let from = self.at;
        self.at += end;
        Some(crate::hcl::tree::Ident { text: rest[..end].to_owned(), span: self.span(from) })
    }

    /// What stands here, for the words of an error.
    pub fn found(&self) -> String {
        match self.peek() {
            None => "the end of the file".to_owned(),
            Some('\n' | '\r') => "the end of the line".to_owned(),
            Some(c) if starts_name(c) || c.is_ascii_digit() => {
                let rest = self.rest();
                let end = rest.find(|c: char| !continues_name(c)).unwrap_or(rest.len());
                format!("`{}`", &rest[..end])
            }
            Some(c) if c.is_control() => format!("`{}`", c.escape_default()),
            Some(c) => format!("`{c}`"),
        }
    }

    pub fn fail<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(Diagnostic::error(message).at(&self.here()))
    }
}

pub fn starts_name(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub fn continues_name(c: char) -> bool {
    c == '_' || c == '-' || c.is_alphanumeric() || is_mark(c)
}

/// Combining marks, which may continue a name.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}
