//! Regular expressions. Their syntax is RE2's, as in Go.

use std::collections::BTreeMap;

use regex::{Captures, Regex, RegexBuilder};

use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::functions::strings::text;
use crate::hcl::value::{Type, Value};

pub fn register(table: &mut Table) {
    use Type::String;
    table.add("regex_replace", &[String, String, String], |args| {
        let pattern = compiled(args, 1)?;
        Ok(Value::from(pattern.replace_all(text(args, 0)?, text(args, 2)?).into_owned()))
    });
    table.add("regex", &[String, String], |args| {
        let pattern = compiled(args, 0)?;
        let found = pattern.captures(text(args, 1)?);
        match found {
            Some(found) => groups(&pattern, &found),
            None => Err(Fault::at(1, "the pattern is nowhere in this text")),
        }
    });
    table.add("regexall", &[String, String], |args| {
        let pattern = compiled(args, 0)?;
        let found = pattern.captures_iter(text(args, 1)?).map(|found| groups(&pattern, &found));
        Ok(Value::List(found.collect::<Result<_, _>>()?))
    });
}

fn compiled(args: &[Value], i: usize) -> Result<Regex, Fault> {
    let pattern = text(args, i)?;
    RegexBuilder::new(&as_in_go(pattern))
        .size_limit(1 << 20)
        .build()
        .map_err(|_| Fault::at(i, format!("{pattern:?} is not a regular expression")))
}

/// The pattern as the library used here has to be told: in Go's, `\w`, `\d`, `\s` and `\b` know ASCII
/// only, and a class in brackets has no classes or operators within.
fn as_in_go(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    // How many characters of a class have been read; none outside of one.
    let mut class: Option<usize> = None;
    while let Some(c) = chars.next() {
        let read = class;
        if let Some(read) = &mut class {
            *read += 1;
        }
        match (c, read) {
            ('\\', _) => {
                let Some(next) = chars.next() else {
                    out.push(c);
                    break;
                };
                let members = match next {
                    'w' | 'W' => "0-9A-Za-z_",
                    'd' | 'D' => "0-9",
                    's' | 'S' => "\\t\\n\\x0C\\r ",
                    'b' if read.is_none() => {
                        out.push_str("(?-u:\\b)");
                        continue;
                    }
                    'Q' if read.is_none() => {
                        // Literal text up to \E.
                        let rest: String = chars.clone().collect();
                        let text = rest.split("\\E").next().unwrap_or_default();
                        out.push_str(&regex::escape(text));
                        let skipped = text.chars().count() + if text.len() < rest.len() { 2 } else { 0 };
                        chars.by_ref().take(skipped).for_each(drop);
                        continue;
                    }
                    _ => {
                        out.extend([c, next]);
                        continue;
                    }
                };
                match (next.is_ascii_uppercase(), read.is_some()) {
                    (true, _) => out.push_str(&format!("[^{members}]")),
                    (false, true) => out.push_str(members),
                    (false, false) => out.push_str(&format!("[{members}]")),
                }
            }
            ('[', None) => {
                class = Some(0);
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                // A bracket right behind the first is one of the class.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                    class = Some(1);
                }
            }
            (']', Some(_)) => {
                class = None;
                out.push(']');
            }
            ('[', Some(_)) if chars.peek() == Some(&':') => out.push('['),
            ('[' | '&' | '~', Some(_)) => out.extend(['\\', c]),
            _ => out.push(c),
        }
        if c == ':' && read.is_some() && chars.next_if_eq(&']').is_some() {
            // The end of `[:alpha:]`.
            out.push(']');
        }
    }
    out
}

/// The whole match; with groups a tuple of them, with named groups an object.
fn groups(pattern: &Regex, found: &Captures<'_>) -> Outcome {
    let names: Vec<Option<&str>> = pattern.capture_names().skip(1).collect();
    let group = |i: usize| found.get(i).map_or(Value::Null, |group| Value::from(group.as_str()));
    if names.is_empty() {
        return Ok(group(0));
    }
    if names.iter().all(Option::is_none) {
        return Ok(Value::Tuple((1..=names.len()).map(group).collect()));
    }
    let members = names.iter().enumerate().map(|(i, name)| match name {
        Some(name) => Ok(((*name).to_owned(), group(i + 1))),
        None => Err(Fault::at(0, "groups with and without names can't be mixed")),
    });
    Ok(Value::Object(members.collect::<Result<BTreeMap<_, _>, _>>()?))
}
