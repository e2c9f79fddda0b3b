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
    RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| Fault::at(i, format!("{pattern:?} is not a regular expression")))
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
