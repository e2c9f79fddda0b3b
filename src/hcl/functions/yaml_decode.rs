//! YAML as cty's library reads it: YAML 1.1's words (`yes`, `off`, `~`), dates as RFC 3339, merge keys,
//! anchors, one document; tags of the core only.
//!
//! Where the library (a port of libyaml) and the parser used here read the syntax itself differently, the
//! latter counts: it follows YAML 1.2.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput, Tag};

use crate::hcl::parse::MAX_DEPTH;
use crate::hcl::value::Type;
use crate::hcl::value::{Number, Value, convert};

/// Of what anchors make of a text: more is a bomb.
const MOST: usize = 1_000_000;

pub fn yaml_value(text: &str) -> Result<Value, String> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        open: BTreeSet::new(),
        weight: 0,
        end: 0,
        length: text.trim_end().chars().count(),
        cut: text.rsplit('\n').next().is_some_and(|last| !last.trim().is_empty()),
    };
    loop {
        match reader.next()? {
            Event::StreamEnd => return Err("there is no value in it".to_owned()),
            Event::DocumentStart(_) => break,
            _ => {}
        }
    }
    let value = reader.value(0)?;
    loop {
        match reader.next()? {
            Event::StreamEnd => return Ok(value),
            Event::DocumentStart(_) => return Err("it has more than one document".to_owned()),
            _ => {}
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Value>,
    /// Anchors of what is being read.
    open: BTreeSet<usize>,
    weight: usize,
    /// Where the last event ended, and where the text does but for blanks behind it; in characters.
    end: usize,
    length: usize,
    /// Whether the last line has no line end.
    cut: bool,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.end = span.end.index();
                Ok(event)
            }
            Some(Err(error)) => Err(error.to_string()),
            None => Ok(Event::StreamEnd),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        let event = self.next()?;
        self.rest(event, depth)
    }

    /// The value that begins with an event.
    fn rest(&mut self, event: Event<'t>, depth: usize) -> Result<Value, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.weight += 1;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                // A block has the line end of its last line, where that has one.
                let open = block && self.cut && self.end >= self.length;
                let text = if open { text.strip_suffix('\n').unwrap_or(&text) } else { &text };
                (anchor, scalar(text, style, tag_of(tag.as_deref())?)?)
            }
            Event::Alias(anchor) => {
                if self.open.contains(&anchor) {
                    return Err("an alias stands within what it names".to_owned());
                }
                let value = self.anchors.get(&anchor).cloned().ok_or("an alias names nothing")?;
                self.weight += value.weight();
                (0, value)
            }
            Event::SequenceStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "seq")?;
                self.open.insert(anchor);
                (anchor, self.sequence(depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "map")?;
                self.open.insert(anchor);
                (anchor, self.mapping(depth)?)
            }
            _ => return Err("a value is missing".to_owned()),
        };
        if self.weight > MOST {
            return Err("this is beyond all measure".to_owned());
        }
        // 0 is none.
        if anchor > 0 {
            self.open.remove(&anchor);
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, String> {
        self.open.remove(&0);
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(Value::Tuple(items)),
                event => items.push(self.rest(event, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, String> {
        self.open.remove(&0);
        let mut members = BTreeMap::new();
        loop {
            let (text, style, tag) = match self.next()? {
                Event::MappingEnd => return Ok(Value::Object(members)),
                Event::Scalar(text, style, _, tag) => (text, style, tag),
                _ => return Err("only text can be a key".to_owned()),
            };
            let merges = match tag.as_deref() {
                None => text == "<<",
                Some(tag) => core_name(tag) == Some("merge"),
            };
            if merges {
                let value = self.value(depth + 1)?;
                merge(&mut members, value)?;
                continue;
            }
            let key = scalar(&text, style, tag_of(tag.as_deref())?)?;
            let Ok(Value::String(key)) = convert(&key, &Type::String) else {
                return Err("a key can't be null".to_owned());
            };
            let value = self.value(depth + 1)?;
            members.insert(key, value);
        }
    }
}

fn merge(members: &mut BTreeMap<String, Value>, value: Value) -> Result<(), String> {
    match value {
        Value::Object(more) => members.extend(more),
        Value::Tuple(all) => {
            for one in all {
                let Value::Object(more) = one else {
                    return Err(format!("{} can't be merged into a map", one.described()));
                };
                members.extend(more);
            }
        }
        other => return Err(format!("{} can't be merged into a map", other.described())),
    }
    Ok(())
}

/// A core tag's own name, whether written `!!str` or `!<tag:yaml.org,2002:str>`.
fn core_name(tag: &Tag) -> Option<&str> {
    if tag.is_yaml_core_schema() { Some(&tag.suffix) } else { tag.suffix.strip_prefix("tag:yaml.org,2002:") }
}

/// The name of a core tag, empty where there is none.
fn tag_of(tag: Option<&Tag>) -> Result<&str, String> {
    const KNOWN: [&str; 7] = ["str", "bool", "int", "float", "null", "timestamp", "binary"];
    match tag {
        None => Ok(""),
        Some(tag) => core_name(tag)
            .filter(|name| KNOWN.contains(name))
            .ok_or_else(|| format!("the tag {tag} isn't known")),
    }
}

fn collection_tag(tag: Option<&Tag>, wanted: &str) -> Result<(), String> {
    match tag {
        None => Ok(()),
        Some(tag) if core_name(tag) == Some(wanted) => Ok(()),
        Some(tag) => Err(format!("the tag {tag} isn't one of what follows it")),
    }
}

fn word(text: &str) -> Option<Value> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Value::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Value::Bool(false))
        }
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        _ => None,
    }
}

/// A block of text is text, and yet spelled as the value that a plain word would be.
fn scalar(text: &str, style: ScalarStyle, tag: &str) -> Result<Value, String> {
    let value = plain(text, style, tag)?;
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) && tag.is_empty();
    if block { convert(&value, &Type::String) } else { Ok(value) }
}

fn plain(text: &str, style: ScalarStyle, tag: &str) -> Result<Value, String> {
    let wrong = || Err(format!("{text:?} can't be read as {tag}"));
    let mut tag = tag;
    let first = text.bytes().next().unwrap_or(b'~');
    let hinted = b"+-.0123456789yYnNtTfFoO~".contains(&first);
    if hinted && !matches!(tag, "str" | "binary") {
        if matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted) {
            return Ok(Value::string(text));
        }
        if let Some(value) = word(text) {
            return Ok(value);
        }
        let unsigned = text.trim_start_matches(['+', '-']);
        if matches!(unsigned, ".inf" | ".Inf" | ".INF") && text.len() - unsigned.len() <= 1 {
            return Err("an infinite number can't be kept".to_owned());
        }
        if tag.is_empty() && matches!(text, ".nan" | ".NaN" | ".NAN") {
            return Err("what isn't a number can't be kept".to_owned());
        }
        if first == b'.' {
            if let Some(number) = decimal(text) {
                return Ok(Value::Number(number));
            }
        } else if first.is_ascii_digit() || matches!(first, b'+' | b'-') {
            if matches!(tag, "" | "timestamp")
                && let Some(time) = timestamp(text)
            {
                return Ok(Value::from(time));
            }
            if is_integer(text) || is_decimal(text) {
                tag = "float";
            }
        }
    }
    match tag {
        "binary" if super::encoding::from_base64(text).is_none() => wrong(),
        "str" | "binary" | "" => Ok(Value::string(text)),
        "bool" => word(text).filter(|value| matches!(value, Value::Bool(_))).map_or_else(wrong, Ok),
        "null" => Ok(Value::Null),
        "timestamp" => timestamp(text).map_or_else(wrong, |time| Ok(Value::from(time))),
        _ => {
            let plain = text.replace('_', "");
            decimal(&plain)
                .or_else(|| prefixed(&plain))
                .map_or_else(wrong, |number| Ok(Value::Number(number)))
        }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn is_integer(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |text: &str, fits: fn(u8) -> bool| !text.is_empty() && text.bytes().all(fits);
    all(unsigned, |c| c.is_ascii_digit())
        || text.strip_prefix("0o").is_some_and(|rest| all(rest, |c| (b'0'..=b'7').contains(&c)))
        || text.strip_prefix("0x").is_some_and(|rest| all(rest, |c| c.is_ascii_hexdigit()))
}

/// `-1.5e3`, `.5`, `1.`
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let whole = digits(unsigned);
    let mut rest = &unsigned[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole + fraction == 0 {
            return false;
        }
        rest = &after[fraction..];
    } else if whole == 0 {
        return false;
    }
    let Some(exponent) = rest.strip_prefix(['e', 'E']) else { return rest.is_empty() };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

fn decimal(text: &str) -> Option<Number> {
    if !is_decimal(text) {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let (mantissa, exponent) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    Number::parse(&format!("{sign}{whole}{fraction}{exponent}"))
}

/// `0x1f`, `0o17`, `0b11`
fn prefixed(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = match unsigned.get(..2)? {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => return None,
    };
    let number = u64::from_str_radix(&unsigned[2..], radix).ok()?;
    let sign = if text.starts_with('-') { "-" } else { "" };
    Number::parse(&format!("{sign}{number}"))
}

/// `2024-1-5`, with a time after a `T` and its zone, or after a blank without one; as RFC 3339.
fn timestamp(text: &str) -> Option<String> {
    let (date, time) = match text.find(['T', 't', ' ']) {
        None => (text, None),
        Some(at) => (&text[..at], Some((&text[at..=at], &text[at + 1..]))),
    };
    let mut parts = date.split('-');
    let year = parts.next().filter(|year| year.len() == 4)?;
    let (month, day) = (short(parts.next()?)?, short(parts.next()?)?);
    if parts.next().is_some() || digits(year) != 4 {
        return None;
    }
    let civil = jiff::civil::Date::new(year.parse().ok()?, month, day).ok()?;
    let Some((mark, time)) = time else { return Some(format!("{civil}T00:00:00Z")) };
    let (clock, zone) = if mark == " " { (time, "Z") } else { time.split_at(time.find(['Z', '+', '-'])?) };
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, "0"));
    if fraction.is_empty() || digits(fraction) != fraction.len() {
        return None;
    }
    let mut parts = clock.split(':');
    let (hour, minute, second) = (short(parts.next()?)?, short(parts.next()?)?, short(parts.next()?)?);
    let zone = match zone {
        "Z" | "+00:00" | "-00:00" => "Z",
        zone => {
            let (hours, minutes) = zone[1..].split_once(':').filter(|(h, m)| h.len() == 2 && m.len() == 2)?;
            (short(hours)? < 25 && short(minutes)? < 60).then_some(zone)?
        }
    };
    let valid = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    valid.then(|| format!("{civil}T{hour:02}:{minute:02}:{second:02}{zone}"))
}

/// One or two digits.
fn short(text: &str) -> Option<i8> {
    (matches!(text.len(), 1 | 2) && digits(text) == text.len()).then(|| text.parse().ok()).flatten()
}
