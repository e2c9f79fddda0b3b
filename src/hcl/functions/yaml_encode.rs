//! YAML as cty's library writes it: blocks two blanks deep, lists in maps as deep as the map, texts in
//! double quotes (broken after 80 columns) or, of several lines, as literal blocks.

use crate::hcl::value::Value;

const WIDTH: usize = 80;
/// Keys that are longer stand after a `?`.
const LONGEST_KEY: usize = 128;

pub fn yaml_text(value: &Value) -> Result<String, String> {
    let mut writer =
        Writer { out: String::new(), column: 0, whitespace: true, indention: true, indent: None };
    writer.node(value, Place::Other)?;
    writer.start_line();
    // A word alone might go on: the library ends the document.
    if matches!(value, Value::Null | Value::Bool(_) | Value::Number(_)) {
        writer.out.push_str("...\n");
    }
    Ok(writer.out)
}

/// Where a node stands, as far as that shows.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Key,
    Mapping,
    Other,
}

struct Writer {
    out: String,
    column: usize,
    /// Whether a blank or the line's start was written last.
    whitespace: bool,
    /// Whether the line has nothing but indentation and the marks of blocks so far.
    indention: bool,
    indent: Option<usize>,
}

impl Writer {
    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn line_end(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn start_line(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_end();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    /// A mark; `block` for those that may stand before another block in the same line.
    fn mark(&mut self, mark: &str, apart: bool, block: bool) {
        if apart && !self.whitespace {
            self.put(' ');
        }
        mark.chars().for_each(|c| self.put(c));
        self.whitespace = false;
        self.indention &= block;
    }

    fn deeper(&mut self, same: bool) -> Option<usize> {
        let before = self.indent;
        self.indent = match before {
            None => Some(0),
            Some(indent) if same => Some(indent),
            Some(indent) => Some(indent + 2),
        };
        before
    }

    fn node(&mut self, value: &Value, place: Place) -> Result<(), String> {
        match value {
            Value::Null => self.mark("null", true, false),
            Value::Unknown => return Err("a value that isn't known yet can't be written".to_owned()),
            Value::Bool(truth) => self.mark(if *truth { "true" } else { "false" }, true, false),
            Value::Number(number) if number.is_infinite() => {
                return Err("an infinite number can't be written as YAML".to_owned());
            }
            Value::Number(number) => self.mark(&number.to_string(), true, false),
            Value::String(text) if text.contains('\n') && place != Place::Key && is_literal(text) => {
                self.literal(text);
            }
            Value::String(text) => self.quoted(text, place != Place::Key),
            Value::List(items) | Value::Set(items) | Value::Tuple(items) => {
                if items.is_empty() {
                    self.mark("[]", true, false);
                    return Ok(());
                }
                let before = self.deeper(place == Place::Mapping && !self.indention);
                for item in items {
                    self.start_line();
                    self.mark("-", true, true);
                    self.node(item, Place::Other)?;
                }
                self.indent = before;
            }
            Value::Map(map) | Value::Object(map) => {
                if map.is_empty() {
                    self.mark("{}", true, false);
                    return Ok(());
                }
                let before = self.deeper(false);
                for (key, item) in map {
                    self.start_line();
                    if key.len() <= LONGEST_KEY && !key.contains(is_break) {
                        self.quoted(key, false);
                        self.mark(":", false, false);
                    } else {
                        self.mark("?", true, true);
                        self.node(&Value::String(key.clone()), Place::Mapping)?;
                        self.start_line();
                        self.mark(":", true, true);
                    }
                    self.node(item, Place::Mapping)?;
                }
                self.indent = before;
            }
        }
        Ok(())
    }

    /// Further lines of a text stand deeper.
    fn text_indent(&mut self) -> Option<usize> {
        let before = self.indent;
        self.indent = Some(before.map_or(2, |indent| indent + 2));
        before
    }

    fn quoted(&mut self, text: &str, breaks: bool) {
        let outer = self.text_indent();
        self.mark("\"", true, false);
        // The library takes a byte order mark at the start for one at every place.
        let marked = text.starts_with('\u{feff}');
        let mut spaces = false;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let next = at + c.len_utf8();
            if marked || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
                escaped(c).chars().for_each(|c| self.put(c));
                spaces = false;
            } else if c == ' ' {
                if breaks && !spaces && self.column > WIDTH && at > 0 && next < text.len() {
                    self.start_line();
                    if text[next..].starts_with(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
                // Only a line's start counts as indentation.
                self.indention = false;
            }
            at = next;
        }
        self.mark("\"", false, false);
        self.indent = outer;
    }

    fn literal(&mut self, text: &str) {
        let outer = self.text_indent();
        self.mark("|", true, false);
        if text.starts_with(' ') || text.starts_with(is_break) {
            self.mark("2", false, false);
        }
        let mut ends = text.chars().rev();
        match (ends.next().is_some_and(is_break), ends.next()) {
            (false, _) => self.mark("-", false, false),
            (true, None) => self.mark("+", false, false),
            (true, Some(before)) if is_break(before) => self.mark("+", false, false),
            _ => {}
        }
        self.line_end();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.out.push(c);
                self.column = 0;
                self.indention = true;
            } else {
                if breaks {
                    self.start_line();
                }
                self.put(c);
                self.indention = false;
            }
            breaks = is_break(c);
        }
        self.indent = outer;
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// Whether a text can stand as it is: nothing unprintable, no blank at a line's end.
fn is_literal(text: &str) -> bool {
    let mut before = None;
    let lines = text.chars().all(|c| {
        let good = is_printable(c) && !(is_break(c) && before == Some(' '));
        before = Some(c);
        good
    });
    lines && before != Some(' ')
}

fn escaped(c: char) -> String {
    match c {
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{a0}' => "\\_".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        c => match u32::from(c) {
            code @ 0..=0xff => format!("\\x{code:02X}"),
            code @ 0x100..=0xffff => format!("\\u{code:04X}"),
            code => format!("\\U{code:08X}"),
        },
    }
}
