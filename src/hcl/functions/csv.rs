//! Comma-separated values, as RFC 4180 and Go's reader have them.

use std::collections::BTreeMap;

use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::functions::strings::text;
use crate::hcl::value::{Type, Value};

pub fn register(table: &mut Table) {
    table.add("csvdecode", &[Type::String], decode);
}

fn decode(args: &[Value]) -> Outcome {
    let mut rows = rows(text(args, 0)?).map_err(|error| Fault::at(0, error))?.into_iter();
    let Some((_, header)) = rows.next() else {
        return Err(Fault::at(0, "the first line, which names the columns, is missing"));
    };
    for (i, name) in header.iter().enumerate() {
        if header[..i].contains(name) {
            return Err(Fault::at(0, format!("two columns are called {name:?}")));
        }
    }
    let objects = rows.map(|(line, row)| {
        if row.len() != header.len() {
            let error = format!("line {line} has {} columns, not {}", row.len(), header.len());
            return Err(Fault::at(0, error));
        }
        let object: BTreeMap<String, Value> =
            header.iter().cloned().zip(row.into_iter().map(Value::from)).collect();
        Ok(Value::Object(object))
    });
    Ok(Value::List(objects.collect::<Result<_, _>>()?))
}

type Rows = Vec<(usize, Vec<String>)>;

/// The rows with their lines; empty lines are passed over.
fn rows(text: &str) -> Result<Rows, String> {
    let text = text.replace("\r\n", "\n");
    let mut rows = Vec::new();
    let mut rest = text.as_str();
    let mut line = 1;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('\n') {
            rest = after;
            line += 1;
            continue;
        }
        let started = line;
        let mut row = Vec::new();
        loop {
            let field;
            if let Some(after) = rest.strip_prefix('"') {
                let (content, length) =
                    quoted(after).ok_or(format!("line {started}: a quote is not closed"))?;
                line += content.matches('\n').count();
                rest = &after[length..];
                field = content;
            } else {
                let end = rest.find([',', '\n']).unwrap_or(rest.len());
                if rest[..end].contains('"') {
                    return Err(format!("line {line}: a quote in a column without quotes"));
                }
                field = rest[..end].to_owned();
                rest = &rest[end..];
            }
            row.push(field);
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
                continue;
            }
            if let Some(after) = rest.strip_prefix('\n') {
                rest = after;
                line += 1;
            } else if !rest.is_empty() {
                return Err(format!("line {line}: text after a closing quote"));
            }
            break;
        }
        rows.push((started, row));
    }
    Ok(rows)
}

/// The text up to the closing quote, two quotes being one, and its length with that.
fn quoted(rest: &str) -> Option<(String, usize)> {
    let mut content = String::new();
    let mut at = 0;
    loop {
        let end = at + rest[at..].find('"')?;
        content.push_str(&rest[at..end]);
        if rest[end + 1..].starts_with('"') {
            content.push('"');
            at = end + 2;
        } else {
            return Some((content, end + 1));
        }
    }
}
