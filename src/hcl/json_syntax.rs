//! HCL's JSON syntax: a JSON text with the place of each value.

use std::sync::Arc;

use crate::base::{Diagnostic, Diagnostics, Source, Span};
use crate::hcl::parse::{MAX_DEPTH, MAX_SIZE};
use crate::hcl::tree::{Attribute, Body, Expr, ExprKind, Ident, Item, ObjectItem, ObjectKey};
use crate::hcl::value::{Number, Value};

/// A JSON value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub kind: NodeKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum NodeKind {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Node>),
    /// Members in the order of the file, repeated names included.
    Object(Vec<(Ident, Node)>),
}

/// Reads an object whose members are constants: a body of attributes.
pub fn parse(source: &Arc<Source>) -> Result<Body, Diagnostics> {
    let root = parse_node(source)?;
    let NodeKind::Object(members) = root.kind else {
        return Err(Diagnostic::error("a JSON object is needed here").at(&root.span).into());
    };
    let items = members.into_iter().map(|(name, node)| {
        let span = Span::new(source, name.span.range.start..node.span.range.end);
        Item::Attribute(Attribute { name, expr: node.constant(), span })
    });
    Ok(Body { items: items.collect(), span: Span::new(source, 0..source.text.len()) })
}

impl Node {
    fn value(&self) -> Value {
        match &self.kind {
            NodeKind::Null => Value::Null,
            NodeKind::Bool(truth) => Value::Bool(*truth),
            NodeKind::Number(number) => Value::Number(number.clone()),
            NodeKind::String(text) => Value::string(text.as_str()),
            NodeKind::Array(items) => Value::Tuple(items.iter().map(Self::value).collect()),
            NodeKind::Object(members) => {
                let members = members.iter().map(|(name, node)| match Value::string(name.text.as_str()) {
                    Value::String(name) => (name, node.value()),
                    _ => (name.text.clone(), node.value()),
                });
                Value::Object(members.collect())
            }
        }
    }

    /// The value as an expression in which text is only text.
    pub fn constant(&self) -> Expr {
        let kind = match &self.kind {
            NodeKind::Null => ExprKind::Literal(Value::Null),
            NodeKind::Bool(truth) => ExprKind::Literal(Value::Bool(*truth)),
            NodeKind::Number(number) => ExprKind::Literal(Value::Number(number.clone())),
            NodeKind::String(text) => ExprKind::Literal(Value::string(text.as_str())),
            NodeKind::Array(items) => ExprKind::Tuple(items.iter().map(Self::constant).collect()),
            NodeKind::Object(members) => ExprKind::Object(
                members
                    .iter()
                    .map(|(name, node)| ObjectItem {
                        key: ObjectKey::Name(name.clone()),
                        value: node.constant(),
                    })
                    .collect(),
            ),
        };
        Expr { kind, span: self.span.clone() }
    }
}

/// Reads a whole text as one JSON value.
pub fn parse_node(source: &Arc<Source>) -> Result<Node, Diagnostic> {
    if source.text.len() > MAX_SIZE {
        let error = format!("the file is larger than {} MB", MAX_SIZE >> 20);
        return Err(Diagnostic::error(error).at(&Span::new(source, 0..0)));
    }
    let mut reader = Reader { source, at: 0, depth: 0 };
    let node = reader.value()?;
    reader.blank();
    if reader.at < source.text.len() {
        return reader.fail("expected the end of the file");
    }
    Ok(node)
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.source.text[self.at..]
    }

    fn blank(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn span(&self, from: usize) -> Span {
        Span::new(self.source, from..self.at)
    }

    fn fail<T>(&self, message: &str) -> Result<T, Diagnostic> {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        Err(Diagnostic::error(message).at(&Span::new(self.source, self.at..self.at + length)))
    }

    fn value(&mut self) -> Result<Node, Diagnostic> {
        self.blank();
        let from = self.at;
        if self.depth >= MAX_DEPTH {
            return self.fail(&format!("nested more than {MAX_DEPTH} deep"));
        }
        self.depth += 1;
        let kind = match self.rest().chars().next() {
            Some('{') => self.object()?,
            Some('[') => self.array()?,
            Some('"') => NodeKind::String(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            _ if self.take("null") => NodeKind::Null,
            _ if self.take("true") => NodeKind::Bool(true),
            _ if self.take("false") => NodeKind::Bool(false),
            _ => return self.fail("expected a JSON value"),
        };
        self.depth -= 1;
        Ok(Node { kind, span: self.span(from) })
    }

    fn object(&mut self) -> Result<NodeKind, Diagnostic> {
        self.take("{");
        let mut members = Vec::new();
        self.blank();
        if self.take("}") {
            return Ok(NodeKind::Object(members));
        }
        loop {
            self.blank();
            let from = self.at;
            if !self.rest().starts_with('"') {
                return self.fail("expected a name in double quotes");
            }
            let text = self.string()?;
            let name = Ident { text, span: self.span(from) };
            self.blank();
            if !self.take(":") {
                return self.fail("expected `:` after the name");
            }
            members.push((name, self.value()?));
            self.blank();
            if self.take("}") {
                return Ok(NodeKind::Object(members));
            }
            if !self.take(",") {
                return self.fail("expected `,` or `}`");
            }
        }
    }

    fn array(&mut self) -> Result<NodeKind, Diagnostic> {
        self.take("[");
        let mut items = Vec::new();
        self.blank();
        if self.take("]") {
            return Ok(NodeKind::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.blank();
            if self.take("]") {
                return Ok(NodeKind::Array(items));
            }
            if !self.take(",") {
                return self.fail("expected `,` or `]`");
            }
        }
    }

    fn number(&mut self) -> Result<NodeKind, Diagnostic> {
        let from = self.at;
        let rest = self.rest();
        let end = rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E'));
        let text = &rest[..end.unwrap_or(rest.len())];
        let number = if is_number(text) { Number::parse(text) } else { None };
        self.at += text.len();
        match number {
            Some(number) => Ok(NodeKind::Number(number)),
            None => Err(Diagnostic::error("this is not a JSON number").at(&self.span(from))),
        }
    }

    fn string(&mut self) -> Result<String, Diagnostic> {
        let from = self.at;
        self.take("\"");
        let mut text = String::new();
        loop {
            let Some(next) = self.rest().chars().next() else {
                let open = Span::new(self.source, from..from + 1);
                return Err(Diagnostic::error("this string is not closed").at(&open));
            };
            match next {
                '"' => {
                    self.take("\"");
                    return Ok(text);
                }
                '\\' => text.push(self.escape()?),
                '\0'..='\u{1f}' => return self.fail("a control character can't stand in a string"),
                _ => {
                    self.at += next.len_utf8();
                    text.push(next);
                }
            }
        }
    }

    /// One escape; half of a surrogate pair gives the replacement character, as in Go.
    fn escape(&mut self) -> Result<char, Diagnostic> {
        let from = self.at;
        let simple = self.rest().chars().nth(1).and_then(|selector| match selector {
            '"' | '\\' | '/' => Some(selector),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            _ => None,
        });
        if let Some(c) = simple {
            self.at += 2;
            return Ok(c);
        }
        let Some(first) = self.unit() else {
            self.at = from + 1;
            return self.fail("this is not an escape of JSON");
        };
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let after = self.at;
        match self.unit() {
            Some(second @ 0xdc00..0xe000) => {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            _ => {
                self.at = after;
                Ok(char::REPLACEMENT_CHARACTER)
            }
        }
    }

    /// Goes past `\uXXXX`.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest().strip_prefix("\\u")?.get(..4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let unit = u32::from_str_radix(digits, 16).ok()?;
        self.at += 6;
        Some(unit)
    }
}

/// Whether this is a number by JSON's grammar.
fn is_number(text: &str) -> bool {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(rest[at + 1..].trim_start_matches(['+', '-']))),
        None => (rest, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(digits)
}

/// The value of a JSON text, its numbers exact. Of a name given twice the later counts.
pub fn json_value(text: &str) -> Result<Value, String> {
    let source = Source::new("", text);
    parse_node(&source).map(|node| node.value()).map_err(|error| error.message)
}
