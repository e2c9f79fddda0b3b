//! The tokens of a text that is right HCL, with the blanks before each.

use crate::hcl::parse::{continues_name, starts_name};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a line that doesn't end in a `#` or `//` comment: such a comment holds its line end.
    LineEnd,
    Comment,
    Word,
    Number,
    OpenBrace,
    CloseBrace,
    OpenBracket,
    CloseBracket,
    OpenParen,
    CloseParen,
    OpenQuote,
    CloseQuote,
    /// `<<EOT` with its line end.
    OpenHeredoc,
    /// The closing marker with the blanks around it.
    CloseHeredoc,
    /// Literal text within quotes or a heredoc.
    Text,
    /// `${` or `%{`
    OpenTemplate,
    /// The `}` of one.
    CloseTemplate,
    Dot,
    Comma,
    Ellipsis,
    DoubleColon,
    Equal,
    Arrow,
    Colon,
    Question,
    Bang,
    Minus,
    /// Any other operator of two operands.
    Operator,
    /// The end of the file.
    End,
}

impl Kind {
    /// By how much it changes the number of open brackets.
    pub fn opens(self) -> isize {
        match self {
            Self::OpenBrace | Self::OpenBracket | Self::OpenParen | Self::OpenTemplate => 1,
            Self::CloseBrace | Self::CloseBracket | Self::CloseParen | Self::CloseTemplate => -1,
            _ => 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Blanks before it.
    pub blanks: usize,
}

impl Token<'_> {
    pub fn ends_line(&self) -> bool {
        self.kind == Kind::LineEnd || self.kind == Kind::Comment && self.text.ends_with('\n')
    }
}

/// What the next character is a part of.
enum Mode<'a> {
    /// Expressions and bodies, and how many braces are open in them.
    Code(usize),
    Quote,
    Heredoc {
        marker: &'a str,
        line_start: bool,
    },
}

/// Never fails and never leaves a byte out: what no token fits is a token of its own.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, last: 0, tokens: Vec::with_capacity(text.len() / 4) };
    if text.starts_with('\u{feff}') {
        // HashiCorp's formatter counts its bytes as blanks.
        lexer.at = '\u{feff}'.len_utf8();
    }
    let mut modes = vec![Mode::Code(0)];
    while lexer.at < text.len() {
        match modes.last_mut() {
            Some(Mode::Code(_)) | None => lexer.code(&mut modes),
            Some(Mode::Quote) => lexer.quote(&mut modes),
            Some(Mode::Heredoc { .. }) => lexer.heredoc(&mut modes),
        }
    }
    lexer.push(Kind::End, 0);
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// Where the token before ended.
    last: usize,
    tokens: Vec<Token<'a>>,
}

/// Signs of more than one character, and those that are the start of one.
const SIGNS: [(&str, Kind); 30] = [
    ("...", Kind::Ellipsis),
    ("==", Kind::Operator),
    ("=>", Kind::Arrow),
    ("!=", Kind::Operator),
    (">=", Kind::Operator),
    ("<=", Kind::Operator),
    ("&&", Kind::Operator),
    ("||", Kind::Operator),
    ("::", Kind::DoubleColon),
    ("[", Kind::OpenBracket),
    ("]", Kind::CloseBracket),
    ("(", Kind::OpenParen),
    (")", Kind::CloseParen),
    ("{", Kind::OpenBrace),
    ("}", Kind::CloseBrace),
    ("\"", Kind::OpenQuote),
    ("\r\n", Kind::LineEnd),
    ("\n", Kind::LineEnd),
    (".", Kind::Dot),
    (",", Kind::Comma),
    ("=", Kind::Equal),
    (":", Kind::Colon),
    ("?", Kind::Question),
    ("!", Kind::Bang),
    ("-", Kind::Minus),
    ("+", Kind::Operator),
    ("*", Kind::Operator),
    ("%", Kind::Operator),
    ("<", Kind::Operator),
    (">", Kind::Operator),
];

impl<'a> Lexer<'a> {
    fn push(&mut self, kind: Kind, length: usize) {
        let end = self.at + length;
        let text = &self.text[self.at..end];
        self.tokens.push(Token { kind, text, blanks: self.at - self.last });
        (self.at, self.last) = (end, end);
    }

    fn code(&mut self, modes: &mut Vec<Mode<'a>>) {
        let rest = &self.text[self.at..];
        let Some(next) = rest.chars().next() else { return };
        if matches!(next, ' ' | '\t') {
            self.at += 1;
        } else if starts_name(next) {
            self.push(Kind::Word, rest.find(|c| !continues_name(c)).unwrap_or(rest.len()));
        } else if next.is_ascii_digit() {
            self.push(Kind::Number, number(rest.as_bytes()));
        } else if next == '#' || rest.starts_with("//") {
            self.push(Kind::Comment, rest.find('\n').map_or(rest.len(), |end| end + 1));
        } else if rest.starts_with("/*") {
            self.push(Kind::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2));
        } else if let Some((length, marker)) = heredoc_start(rest) {
            self.push(Kind::OpenHeredoc, length);
            modes.push(Mode::Heredoc { marker, line_start: true });
        } else if next == '}' || rest.starts_with("~}") {
            self.closing(rest, modes);
        } else if let Some((sign, kind)) = SIGNS.iter().find(|(sign, _)| rest.starts_with(sign)) {
            self.push(*kind, sign.len());
            match (kind, modes.last_mut()) {
                (Kind::OpenQuote, _) => modes.push(Mode::Quote),
                (Kind::OpenBrace, Some(Mode::Code(open))) => *open += 1,
                _ => {}
            }
        } else {
            self.push(Kind::Operator, next.len_utf8());
        }
    }

    /// `}` or `~}`: of a template where none is open since its start.
    fn closing(&mut self, rest: &str, modes: &mut Vec<Mode<'a>>) {
        let length = if rest.starts_with('}') { 1 } else { 2 };
        let within_template = modes.len() > 1;
        match modes.last_mut() {
            Some(Mode::Code(0)) if within_template => {
                modes.pop();
                self.push(Kind::CloseTemplate, length);
            }
            Some(Mode::Code(open)) => {
                *open = open.saturating_sub(1);
                self.push(Kind::CloseBrace, length);
            }
            _ => self.push(Kind::CloseBrace, length),
        }
    }

    fn quote(&mut self, modes: &mut Vec<Mode<'a>>) {
        let rest = &self.text[self.at..];
        if rest.starts_with('"') {
            modes.pop();
            self.push(Kind::CloseQuote, 1);
        } else if !self.template(rest, modes) {
            self.push(Kind::Text, literal(rest, Some('"')));
        }
    }

    fn heredoc(&mut self, modes: &mut Vec<Mode<'a>>) {
        let rest = &self.text[self.at..];
        let Some(Mode::Heredoc { marker, line_start }) = modes.last_mut() else { return };
        if *line_start && let Some(length) = closing_marker(rest, marker) {
            modes.pop();
            self.push(Kind::CloseHeredoc, length);
            return;
        }
        *line_start = false;
        if !self.template(rest, modes) {
            let length = literal(rest, None);
            if let Some(Mode::Heredoc { line_start, .. }) = modes.last_mut() {
                *line_start = rest[..length].ends_with('\n');
            }
            self.push(Kind::Text, length);
        }
    }

    fn template(&mut self, rest: &str, modes: &mut Vec<Mode<'a>>) -> bool {
        if !rest.starts_with("${") && !rest.starts_with("%{") {
            return false;
        }
        self.push(Kind::OpenTemplate, if rest[2..].starts_with('~') { 3 } else { 2 });
        modes.push(Mode::Code(0));
        true
    }
}

/// The length of the number that the text begins with; a dot behind it is no part of it.
fn number(text: &[u8]) -> usize {
    let (mut at, mut end) = (1, 1);
    while at < text.len() {
        let signed = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        match text[at] {
            b'0'..=b'9' => at += 1,
            b'.' => {
                at += 1;
                continue;
            }
            b'e' | b'E' if text.get(at + 1 + signed).is_some_and(u8::is_ascii_digit) => at += 2 + signed,
            _ => break,
        }
        end = at;
    }
    end
}

/// `<<EOT` or `<<-EOT` with its line end: its length, and the marker.
fn heredoc_start(text: &str) -> Option<(usize, &str)> {
    let after = text.strip_prefix("<<")?;
    let name = after.strip_prefix('-').unwrap_or(after);
    let end = name.find(|c| !continues_name(c)).filter(|_| name.starts_with(starts_name))?;
    let (marker, rest) = name.split_at(end);
    let rest = rest.strip_prefix('\r').unwrap_or(rest).strip_prefix('\n')?;
    Some((text.len() - rest.len(), marker))
}

/// The length of a line that holds nothing but the marker, without its line end, which it must have.
fn closing_marker(text: &str, marker: &str) -> Option<usize> {
    let line = &text[..text.find('\n')?];
    let line = line.strip_suffix('\r').unwrap_or(line);
    (line.trim() == marker).then_some(line.len())
}

/// The length of the literal text up to the next template or the closing quote; in a heredoc, to the
/// end of the line.
fn literal(text: &str, quote: Option<char>) -> usize {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\n' if quote.is_none() => return at + 1,
            '\\' if quote.is_some() => {
                chars.next();
            }
            '$' | '%' => {
                let after = &text[at + 1..];
                if after.starts_with(c) && after[1..].starts_with('{') {
                    chars.next();
                    chars.next();
                } else if after.starts_with('{') {
                    return at;
                }
            }
            c if Some(c) == quote => return at,
            _ => {}
        }
    }
    text.len()
}
