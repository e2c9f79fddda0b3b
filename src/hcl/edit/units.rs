//! The characters of a literal, each with the bytes that say it.

use std::ops::Range;

use crate::base::{Source, Span};
use crate::hcl::edit::render::is_json;
use crate::hcl::trace::Literal;

/// How text stands in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Within the quotes of a template.
    Quoted,
    Heredoc,
    /// A template that is a whole text, as strings in JSON are.
    Text,
    /// A JSON string in which text is only text.
    Plain,
    /// A number or bool.
    Bare,
}

/// A character and the bytes of the layer that say it.
pub struct Unit {
    pub text: String,
    pub raw: Range<usize>,
}

/// A literal taken apart. Offsets are those of the layer: the file, or of strings in JSON their text.
pub struct Taken<'a> {
    pub form: Form,
    pub layer: Layer<'a>,
    /// The bytes of the literal.
    pub range: Range<usize>,
    /// Those that count: what is trimmed is left out.
    pub units: Vec<Unit>,
    /// White space that is taken off each line.
    pub indent: String,
}

/// The text that a literal stands in.
pub enum Layer<'a> {
    File(&'a str),
    /// The text of a JSON string, and where each of its bytes is said in the file.
    Json {
        text: String,
        at: Vec<usize>,
    },
}

impl Layer<'_> {
    pub fn text(&self) -> &str {
        match self {
            Self::File(text) => text,
            Self::Json { text, .. } => text,
        }
    }

    /// A range of the layer as one of the file.
    pub fn in_file(&self, range: &Range<usize>) -> Range<usize> {
        match self {
            Self::File(_) => range.clone(),
            Self::Json { at, .. } => {
                let place = |offset: usize| at.get(offset).or(at.last()).copied().unwrap_or_default();
                place(range.start)..place(range.end)
            }
        }
    }
}

/// Takes a literal apart; none where its bytes don't say its text, as after a substitution.
pub fn take(literal: &Literal, plain: bool) -> Option<Taken<'_>> {
    let source = &literal.span.source;
    let (layer, offset) =
        if is_json(source) { json_layer(source, literal)? } else { (Layer::File(&source.text), 0) };
    let shift =
        |span: &Span| Some(span.range.start.checked_sub(offset)?..span.range.end.checked_sub(offset)?);
    let whole_json = literal.template.is_none() && matches!(layer, Layer::Json { .. });
    let mut range = if whole_json { 0..layer.text().len() } else { shift(&literal.span)? };
    let form = match &literal.template {
        Some(template) => {
            let whole = layer.text().get(shift(template)?)?;
            if whole.starts_with('"') {
                Form::Quoted
            } else if whole.starts_with("<<") {
                Form::Heredoc
            } else {
                Form::Text
            }
        }
        None if matches!(layer, Layer::Json { .. }) => {
            if plain {
                Form::Plain
            } else {
                Form::Text
            }
        }
        None => Form::Bare,
    };
    if literal.template.as_ref() == Some(&literal.span) {
        // A template without parts.
        let start = match form {
            Form::Quoted => range.start + 1,
            Form::Heredoc => range.start + layer.text().get(range)?.find('\n')? + 1,
            _ => return None,
        };
        range = start..start;
    }
    let units = match form {
        Form::Bare => Vec::new(),
        _ => units(layer.text(), range.clone(), form)?,
    };
    let taken = Taken { form, layer, range, units, indent: String::new() };
    if form == Form::Bare { Some(taken) } else { taken.aligned(&literal.text) }
}

impl Taken<'_> {
    /// Leaves out the white space that isn't in the text: margins of a heredoc, what `~` trims.
    fn aligned(mut self, text: &str) -> Option<Self> {
        let mut wanted = text;
        let mut kept = Vec::new();
        for unit in self.units.drain(..).rev() {
            if let Some(rest) = wanted.strip_suffix(unit.text.as_str()) {
                wanted = rest;
                kept.push(unit);
            } else if !unit.text.chars().all(char::is_whitespace) {
                return None;
            }
        }
        if !wanted.is_empty() {
            return None;
        }
        kept.reverse();
        if self.form == Form::Heredoc {
            let layer = self.layer.text();
            let margin = kept.iter().find_map(|unit| {
                let line = layer[..unit.raw.start].rfind('\n').map_or(0, |at| at + 1);
                let blank = &layer[line..unit.raw.start];
                (line >= self.range.start
                    && blank.chars().all(char::is_whitespace)
                    && !kept.iter().any(|other| other.raw.start >= line && other.raw.end <= unit.raw.start))
                .then(|| blank.to_owned())
            });
            self.indent = margin.unwrap_or_default();
        }
        self.units = kept;
        Some(self)
    }
}

/// The JSON string that holds the literal, its text, and the offset that its text counts from.
fn json_layer<'a>(source: &'a Source, literal: &Literal) -> Option<(Layer<'a>, usize)> {
    let whole = source.text.as_str();
    let start = literal.span.range.start;
    if literal.template.is_none() && !whole.get(start..)?.starts_with('"') {
        return Some((Layer::File(whole), 0));
    }
    // Strings can't be told from what is between them but from the start.
    let mut from = 0;
    loop {
        let open = from + whole.get(from..)?.find('"')?;
        let (text, at) = json_string(whole, open)?;
        let close = *at.last()?;
        if (open..=close).contains(&start) {
            return Some((Layer::Json { text, at }, open + 1));
        }
        from = close + 1;
    }
}

/// The text of the JSON string that opens at `open`; for each of its bytes, and for its end, the place
/// in the file.
fn json_string(whole: &str, open: usize) -> Option<(String, Vec<usize>)> {
    let (mut text, mut places) = (String::new(), Vec::new());
    let mut at = open + 1;
    loop {
        let rest = whole.get(at..)?;
        let next = rest.chars().next()?;
        let (c, length) = match next {
            '"' => {
                places.push(at);
                return Some((text, places));
            }
            '\\' => escape(rest)?,
            c => (c, c.len_utf8()),
        };
        places.extend(std::iter::repeat_n(at, c.len_utf8()));
        text.push(c);
        at += length;
    }
}

fn escape(rest: &str) -> Option<(char, usize)> {
    let simple = |c| Some((c, 2));
    match rest.as_bytes().get(1)? {
        b'b' => simple('\u{8}'),
        b'f' => simple('\u{c}'),
        b'n' => simple('\n'),
        b'r' => simple('\r'),
        b't' => simple('\t'),
        b'u' => {
            let unit = |from: usize| u32::from_str_radix(rest.get(from..from + 4)?, 16).ok();
            let first = unit(2)?;
            if (0xd800..0xdc00).contains(&first)
                && rest.get(6..8) == Some("\\u")
                && let Some(second @ 0xdc00..0xe000) = unit(8)
            {
                return Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, 12));
            }
            Some((char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 6))
        }
        other => simple(char::from(*other)),
    }
}

/// The characters of a template's literal.
fn units(layer: &str, range: Range<usize>, form: Form) -> Option<Vec<Unit>> {
    let mut units = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let rest = layer.get(at..range.end)?;
        let next = rest.chars().next()?;
        let doubled = form != Form::Plain && (rest.starts_with("$${") || rest.starts_with("%%{"));
        let (text, length) = if doubled {
            (rest[1..3].to_owned(), 3)
        } else if next == '\\' && form == Form::Quoted {
            quoted_escape(rest)?
        } else {
            (next.to_string(), next.len_utf8())
        };
        units.push(Unit { text, raw: at..at + length });
        at += length;
    }
    Some(units)
}

fn quoted_escape(rest: &str) -> Option<(String, usize)> {
    let digits = match rest.as_bytes().get(1)? {
        b'n' => return Some(("\n".to_owned(), 2)),
        b'r' => return Some(("\r".to_owned(), 2)),
        b't' => return Some(("\t".to_owned(), 2)),
        b'u' => 4,
        b'U' => 8,
        other => return Some((char::from(*other).to_string(), 2)),
    };
    let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
    Some((char::from_u32(code)?.to_string(), 2 + digits))
}
