//! What an expression gives.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use unicode_normalization::{UnicodeNormalization, is_nfc_quick};

use super::Number;
use crate::base::{Diagnostic, Span};
use crate::hcl::parse::MAX_DEPTH;

/// A value. Strings are in Unicode's normal form C where they were made by [`Value::string`], as all
/// those are that come of evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    /// Elements of one type.
    List(Vec<Value>),
    /// Elements of one type, sorted, without repetition.
    Set(Vec<Value>),
    /// Elements of any types: what `[…]` gives.
    Tuple(Vec<Value>),
    /// Elements of one type by key.
    Map(BTreeMap<String, Value>),
    /// Attributes of any types: what `{…}` gives.
    Object(BTreeMap<String, Value>),
    /// Known later.
    Unknown,
}

impl Value {
    /// The value, where its lists and maps are nested no deeper than a file may nest them; otherwise an error
    /// at `place`. What is deeper would fill the stack of whoever walks through it.
    pub fn no_deeper(self, place: &Span) -> Result<Self, Diagnostic> {
        if self.is_deeper_than(MAX_DEPTH) {
            return Err(
                Diagnostic::error(format!("this value is nested more than {MAX_DEPTH} deep")).at(place)
            );
        }
        Ok(self)
    }

    fn is_deeper_than(&self, levels: usize) -> bool {
        let Some(left) = levels.checked_sub(1) else {
            return matches!(
                self,
                Self::List(_) | Self::Tuple(_) | Self::Set(_) | Self::Map(_) | Self::Object(_)
            );
        };
        match self {
            Self::List(items) | Self::Tuple(items) | Self::Set(items) => {
                items.iter().any(|item| item.is_deeper_than(left))
            }
            Self::Map(map) | Self::Object(map) => map.values().any(|item| item.is_deeper_than(left)),
            _ => false,
        }
    }

    /// A string in normal form C.
    pub fn string(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_ascii() || is_nfc_quick(text.chars()) == unicode_normalization::IsNormalized::Yes {
            return Self::String(text);
        }
        Self::String(text.nfc().collect())
    }

    /// A set of these elements.
    pub fn set(mut items: Vec<Value>) -> Self {
        items.sort_by(Value::order);
        items.dedup();
        Self::Set(items)
    }

    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    pub fn as_number(&self) -> Option<&Number> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    pub fn as_f64(&self) -> Option<f64> {
        self.as_number().map(Number::as_f64)
    }

    pub fn as_i64(&self) -> Option<i64> {
        self.as_number().and_then(Number::as_i64)
    }

    /// The elements of a list, set or tuple.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(items) | Self::Set(items) | Self::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The elements of a map or object.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Value>> {
        match self {
            Self::Map(map) | Self::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The element of a map or object with this key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map().and_then(|map| map.get(key))
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether no part of it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::List(items) | Self::Set(items) | Self::Tuple(items) => {
                items.iter().all(Self::is_wholly_known)
            }
            Self::Map(map) | Self::Object(map) => map.values().all(Self::is_wholly_known),
            _ => true,
        }
    }

    /// About how much work a copy is: its elements, and its text by sixteen bytes.
    pub fn weight(&self) -> usize {
        match self {
            Self::String(text) => 1 + text.len() / 16,
            Self::List(items) | Self::Set(items) | Self::Tuple(items) => {
                1 + items.iter().map(Self::weight).sum::<usize>()
            }
            Self::Map(map) | Self::Object(map) => 1 + map.values().map(Self::weight).sum::<usize>(),
            _ => 1,
        }
    }

    /// What kind of value this is, for errors: `string`, `number`, `list`, …
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Tuple(_) => "tuple",
            Self::Map(_) => "map",
            Self::Object(_) => "object",
            Self::Unknown => "value that is known later",
        }
    }

    /// How a person calls it in a sentence: `a string`, `an object`, `null`.
    pub fn described(&self) -> Cow<'static, str> {
        match self {
            Self::Null => "null".into(),
            Self::Object(_) => "an object".into(),
            _ => format!("a {}", self.type_name()).into(),
        }
    }

    /// A total order, by which sets are sorted: texts, numbers and bools by content, null behind them;
    /// what has parts by the bytes that cty hashes it by.
    pub fn order(&self, other: &Self) -> Ordering {
        let rank = |value: &Self| match value {
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::String(_) => 3,
            Self::List(_) | Self::Set(_) | Self::Tuple(_) => 4,
            Self::Map(_) | Self::Object(_) => 5,
            Self::Null => 6,
            Self::Unknown => 7,
        };
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            _ => {
                if let (4 | 5, 4 | 5) = (rank(self), rank(other)) {
                    let bytes = |value: &Self| {
                        let mut bytes = String::new();
                        value.hashed(&mut bytes);
                        bytes
                    };
                    return bytes(self).cmp(&bytes(other)).then_with(|| self.by_parts(other));
                }
                rank(self).cmp(&rank(other))
            }
        }
    }

    /// By the parts, one after another: numbers that differ beyond the tenth digit hash alike.
    fn by_parts(&self, other: &Self) -> Ordering {
        if let (Some(a), Some(b)) = (self.as_list(), other.as_list()) {
            let first = a.iter().zip(b).map(|(a, b)| a.order(b)).find(|order| order.is_ne());
            return first.unwrap_or(a.len().cmp(&b.len()));
        }
        if let (Some(a), Some(b)) = (self.as_map(), other.as_map()) {
            let pairs = a.iter().zip(b).map(|((k, a), (l, b))| k.cmp(l).then_with(|| a.order(b)));
            let first = pairs.into_iter().find(|order| order.is_ne());
            return first.unwrap_or(a.len().cmp(&b.len()));
        }
        self.as_map().is_some().cmp(&other.as_map().is_some())
    }

    fn hashed(&self, out: &mut String) {
        let (open, close) = match self {
            Self::Null => return out.push('~'),
            Self::Unknown => return out.push('?'),
            Self::Bool(truth) => return out.push(if *truth { 'T' } else { 'F' }),
            Self::Number(number) => return out.push_str(&number.ten_digits()),
            Self::String(text) => {
                // As Go quotes it, but for what can't be printed.
                out.push('"');
                for c in text.chars() {
                    match c {
                        '"' | '\\' => out.extend(['\\', c]),
                        '\n' => out.push_str("\\n"),
                        '\r' => out.push_str("\\r"),
                        '\t' => out.push_str("\\t"),
                        c => out.push(c),
                    }
                }
                return out.push('"');
            }
            Self::List(_) | Self::Set(_) => ('[', ']'),
            Self::Map(_) => ('{', '}'),
            Self::Tuple(_) | Self::Object(_) => ('<', '>'),
        };
        out.push(open);
        for item in self.as_list().unwrap_or_default() {
            item.hashed(out);
            out.push(';');
        }
        for (key, item) in self.as_map().into_iter().flatten() {
            if open == '{' {
                Self::String(key.clone()).hashed(out);
                out.push(':');
            }
            item.hashed(out);
            out.push(';');
        }
        out.push(close);
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::string(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Number(int.into())
    }
}

impl From<usize> for Value {
    fn from(int: usize) -> Self {
        Self::Number(int.into())
    }
}

/// Not a number becomes null.
impl From<f64> for Value {
    fn from(float: f64) -> Self {
        Number::from_f64(float).map_or(Self::Null, Self::Number)
    }
}

impl From<BTreeMap<String, Value>> for Value {
    fn from(map: BTreeMap<String, Value>) -> Self {
        Self::Object(map)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Tuple(items)
    }
}
