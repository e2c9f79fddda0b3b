//! Functions of strings.

use unicode_segmentation::UnicodeSegmentation;

use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::value::{Type, Value};

/// Wider than any line.
const MAX_INDENT: usize = 10_000;

pub fn register(table: &mut Table) {
    use Type::{Number, String};
    let list = || Type::list(String);
    table.add("upper", &[String], |args| map(args, |text| text.chars().map(upper).collect()));
    table.add("lower", &[String], |args| map(args, |text| text.chars().map(lower).collect()));
    table.add("trimspace", &[String], |args| map(args, |text| text.trim().to_owned()));
    table.add("chomp", &[String], |args| map(args, |text| text.trim_end_matches(['\r', '\n']).to_owned()));
    table.add("strlen", &[String], |args| Ok(Value::from(text(args, 0)?.graphemes(true).count())));
    table.add("strrev", &[String], |args| map(args, |text| text.graphemes(true).rev().collect()));
    table.add("title", &[String], |args| map(args, title));
    table.add("trim", &[String, String], |args| {
        let set: Vec<char> = text(args, 1)?.chars().collect();
        map(args, |text| text.trim_matches(|c| set.contains(&c)).to_owned())
    });
    table.add("trimprefix", &[String, String], |args| {
        let prefix = text(args, 1)?;
        map(args, |text| text.strip_prefix(prefix).unwrap_or(text).to_owned())
    });
    table.add("trimsuffix", &[String, String], |args| {
        let suffix = text(args, 1)?;
        map(args, |text| text.strip_suffix(suffix).unwrap_or(text).to_owned())
    });
    table.add("startswith", &[String, String], |args| {
        Ok(Value::Bool(text(args, 0)?.starts_with(text(args, 1)?)))
    });
    table
        .add("endswith", &[String, String], |args| Ok(Value::Bool(text(args, 0)?.ends_with(text(args, 1)?))));
    table.add("strcontains", &[String, String], |args| {
        Ok(Value::Bool(text(args, 0)?.contains(text(args, 1)?)))
    });
    table.add("split", &[String, String], |args| {
        let (separator, whole) = (text(args, 0)?, text(args, 1)?);
        let parts: Vec<Value> = if separator.is_empty() {
            whole.chars().map(|c| Value::string(c.to_string())).collect()
        } else if whole.is_empty() {
            vec![Value::from("")]
        } else {
            whole.split(separator).map(Value::from).collect()
        };
        Ok(Value::List(parts))
    });
    table.variadic("join", &[String, list()], list(), |args| {
        let mut parts = Vec::new();
        for (i, arg) in args.iter().enumerate().skip(1) {
            for item in arg.as_list().unwrap_or_default() {
                parts.push(item.as_str().ok_or_else(|| Fault::at(i, "an element is null"))?);
            }
        }
        Ok(Value::from(parts.join(text(args, 0)?)))
    });
    table.add("replace", &[String, String, String], |args| {
        let (whole, from, to) = (text(args, 0)?, text(args, 1)?, text(args, 2)?);
        Ok(Value::from(whole.replace(from, to)))
    });
    table.add("indent", &[Number, String], |args| {
        let spaces = args[0]
            .as_i64()
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| *n <= MAX_INDENT)
            .ok_or_else(|| Fault::at(0, "a count of spaces is needed"))?;
        map(&args[1..], |text| text.replace('\n', &format!("\n{}", " ".repeat(spaces))))
    });
    table.add("substr", &[String, Number, Number], substr);
}

pub fn text(args: &[Value], i: usize) -> Result<&str, Fault> {
    args.get(i).and_then(Value::as_str).ok_or_else(|| Fault::at(i, "a string is needed"))
}

fn map(args: &[Value], f: impl Fn(&str) -> String) -> Outcome {
    Ok(Value::from(f(text(args, 0)?)))
}

/// One character for one, as Go does it: what has only a longer upper form stays as it is.
fn upper(c: char) -> char {
    let mut forms = c.to_uppercase();
    match (forms.next(), forms.next()) {
        (Some(only), None) => only,
        _ => shift(
            c,
            match c {
                '\u{1f80}'..='\u{1faf}' if u32::from(c) & 8 == 0 => 8,
                '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
                _ => 0,
            },
        ),
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn shift(c: char, by: u32) -> char {
    char::from_u32(u32::from(c) + by).unwrap_or(c)
}

/// Every word with its first letter in its title form.
fn title(text: &str) -> String {
    let mut start = true;
    let convert = |c: char| {
        let out = match c {
            _ if !start => c,
            '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
            '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
            '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
            '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
            '\u{10d0}'..='\u{10ff}' => c,
            _ => upper(c),
        };
        start = if c.is_ascii() { !c.is_ascii_alphanumeric() && c != '_' } else { c.is_whitespace() };
        out
    };
    text.chars().map(convert).collect()
}

fn substr(args: &[Value]) -> Outcome {
    let pieces: Vec<&str> = text(args, 0)?.graphemes(true).collect();
    let offset = args[1].as_i64().ok_or_else(|| Fault::at(1, "a whole number is needed"))?;
    let length = args[2].as_i64().ok_or_else(|| Fault::at(2, "a whole number is needed"))?;
    let count = i64::try_from(pieces.len()).unwrap_or(i64::MAX);
    let from = if offset < 0 { (count + offset).max(0) } else { offset.min(count) };
    let to = if length < 0 { count } else { from.saturating_add(length).min(count) };
    let range = usize::try_from(from).unwrap_or(0)..usize::try_from(to).unwrap_or(0);
    Ok(Value::from(pieces[range].concat()))
}
