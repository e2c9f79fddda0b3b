//! `format` and `formatlist`: Go's verbs over values.

use unicode_segmentation::UnicodeSegmentation;

use crate::hcl::functions::encoding::json_text;
use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::functions::strings::text;
use crate::hcl::value::{Number, Type, Value, convert};

/// Wider or more exact than any text for people.
const MAX_WIDTH: usize = 10_000;

pub fn register(table: &mut Table) {
    use Type::{Any, String};
    table
        .variadic("format", &[String], Any, |args| {
            Ok(Value::from(format(text(args, 0)?, &args[1..]).map_err(|error| Fault::at(0, error))?))
        })
        .with_nulls();
    table.variadic("formatlist", &[String], Any, format_list).with_nulls();
}

fn format_list(args: &[Value]) -> Outcome {
    let pattern = text(args, 0)?;
    let mut length = None;
    for (i, arg) in args.iter().enumerate().skip(1) {
        if let Some(items) = arg.as_list()
            && *length.get_or_insert(items.len()) != items.len()
        {
            return Err(Fault::at(i, "this list has another length than the one before it"));
        }
    }
    let rows = (0..length.unwrap_or(1)).map(|row| {
        let values: Vec<Value> = args[1..]
            .iter()
            .map(|arg| arg.as_list().map_or_else(|| arg.clone(), |items| items[row].clone()))
            .collect();
        format(pattern, &values).map(Value::from).map_err(|error| Fault::at(0, error))
    });
    Ok(Value::List(rows.collect::<Result<_, _>>()?))
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "these are the flags of a verb")]
struct Verb {
    alternate: bool,
    zero: bool,
    plus: bool,
    minus: bool,
    space: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

fn format(pattern: &str, args: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    let (mut next, mut used) = (0, 0);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = rest.chars().next().filter(|c| "#0+- ".contains(*c)) {
            match flag {
                '#' => verb.alternate = true,
                '0' => verb.zero = true,
                '+' => verb.plus = true,
                '-' => verb.minus = true,
                _ => verb.space = true,
            }
            rest = &rest[1..];
        }
        verb.width = number(&mut rest)?;
        if let Some(after) = rest.strip_prefix('.') {
            rest = after;
            verb.precision = Some(number(&mut rest)?.unwrap_or(0));
        }
        if let Some(after) = rest.strip_prefix('[') {
            rest = after;
            let index = number(&mut rest)?.filter(|index| *index > 0);
            let (Some(index), Some(after)) = (index, rest.strip_prefix(']')) else {
                return Err("an index in brackets is a number from 1".to_owned());
            };
            rest = after;
            next = index - 1;
        }
        let Some(mode) = rest.chars().next() else {
            return Err("the text ends within a verb".to_owned());
        };
        rest = &rest[mode.len_utf8()..];
        let Some(arg) = args.get(next) else {
            return Err(format!("there is no argument {} for %{mode}", next + 1));
        };
        next += 1;
        used = used.max(next);
        out.push_str(&verb.apply(mode, arg)?);
    }
    out.push_str(rest);
    if used < args.len() {
        return Err(format!("only {used} of {} arguments are used", args.len()));
    }
    Ok(out)
}

fn number(rest: &mut &str) -> Result<Option<usize>, String> {
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Ok(None);
    }
    let number = rest[..digits].parse().ok().filter(|number| *number <= MAX_WIDTH);
    *rest = &rest[digits..];
    number.map(Some).ok_or_else(|| format!("no width may be over {MAX_WIDTH}"))
}

impl Verb {
    fn apply(&self, mode: char, arg: &Value) -> Result<String, String> {
        if mode != 'v' && arg.is_null() {
            return Err(format!("null can't be written with %{mode}"));
        }
        let to = |of: Type| convert(arg, &of).map_err(|error| format!("for %{mode}, {error}"));
        match mode {
            'v' => Ok(self.padded(match arg {
                Value::String(text) if !self.alternate => text.clone(),
                Value::Number(number) if !self.alternate => general(number, None, 'e'),
                _ => json_text(arg)?,
            })),
            't' => Ok(to(Type::Bool)?.as_bool().unwrap_or_default().to_string()),
            's' | 'q' => {
                let value = to(Type::String)?;
                let whole = value.as_str().unwrap_or_default();
                let text: String = match self.precision {
                    Some(precision) if precision > 0 => whole.graphemes(true).take(precision).collect(),
                    _ => whole.to_owned(),
                };
                Ok(self.padded(if mode == 'q' { json_text(&Value::String(text))? } else { text }))
            }
            'b' | 'd' | 'o' | 'x' | 'X' | 'e' | 'E' | 'f' | 'g' | 'G' => {
                let value = to(Type::Number)?;
                self.number(mode, value.as_number().unwrap_or(&Number::ZERO))
            }
            _ => Err(format!("there is no verb %{mode}")),
        }
    }

    fn padded(&self, text: String) -> String {
        let missing = self.width.unwrap_or(0).saturating_sub(text.graphemes(true).count());
        let pad = if self.zero { "0" } else { " " }.repeat(missing);
        if self.minus { text + &pad } else { pad + &text }
    }

    fn number(&self, mode: char, number: &Number) -> Result<String, String> {
        let mut zero = self.zero && !self.minus;
        let (prefix, digits) = match mode {
            'b' | 'd' | 'o' | 'x' | 'X' => {
                let whole =
                    number.whole().ok_or_else(|| format!("%{mode} needs a whole number, not {number}"))?;
                let radix = match mode {
                    'b' => 2,
                    'o' => 8,
                    'x' | 'X' => 16,
                    _ => 10,
                };
                let mut digits = whole.magnitude().to_str_radix(radix);
                if mode == 'X' {
                    digits.make_ascii_uppercase();
                }
                if let Some(precision) = self.precision {
                    zero = false;
                    digits = if precision == 0 && digits == "0" { String::new() } else { digits };
                    digits = format!("{digits:0>precision$}");
                }
                let prefix = match mode {
                    'b' if self.alternate => "0b",
                    'o' if self.alternate => "0",
                    'x' if self.alternate => "0x",
                    'X' if self.alternate => "0X",
                    _ => "",
                };
                (prefix, digits)
            }
            _ if number.is_infinite() => {
                zero = false;
                ("", "Inf".to_owned())
            }
            'f' => ("", number.fixed(u32::try_from(self.precision.unwrap_or(6)).unwrap_or(6))),
            'e' | 'E' => ("", scientific(number, self.precision.unwrap_or(6), mode)),
            _ => ("", general(&number_abs(number), self.precision, if mode == 'g' { 'e' } else { 'E' })),
        };
        let sign = match (number.is_negative(), self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ if number.is_infinite() => "+",
            _ => "",
        };
        let length = sign.len() + prefix.len() + digits.len();
        let missing = self.width.unwrap_or(0).saturating_sub(length);
        Ok(if zero {
            format!("{sign}{prefix}{}{digits}", "0".repeat(missing))
        } else if self.minus {
            format!("{sign}{prefix}{digits}{}", " ".repeat(missing))
        } else {
            format!("{}{sign}{prefix}{digits}", " ".repeat(missing))
        })
    }
}

fn number_abs(number: &Number) -> Number {
    if number.is_negative() { number.negated() } else { number.clone() }
}

/// `d.ddde+dd`, of the magnitude.
fn scientific(number: &Number, decimals: usize, letter: char) -> String {
    let (digits, point) = number.significant(decimals + 1);
    exponential(&digits, if digits.is_empty() { 1 } else { point }, decimals, letter)
}

fn exponential(digits: &str, point: i64, decimals: usize, letter: char) -> String {
    let digits = format!("{digits:0<width$}", width = decimals + 1);
    let (first, rest) = digits.split_at(1);
    let dot = if rest.is_empty() { "" } else { "." };
    let exponent = point - 1;
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{first}{dot}{rest}{letter}{sign}{:02}", exponent.unsigned_abs())
}

/// The shorter of both notations, with as many digits as wanted or needed.
fn general(number: &Number, precision: Option<usize>, letter: char) -> String {
    if number.is_infinite() {
        return number.to_string();
    }
    let sign = if number.is_negative() { "-" } else { "" };
    let (digits, point) = match precision {
        Some(precision) => number.significant(precision.max(1)),
        None => number.shortest(),
    };
    if digits.is_empty() {
        return format!("{sign}0");
    }
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let limit = match precision.map(|precision| i64::try_from(precision.max(1)).unwrap_or(i64::MAX)) {
        None => 6,
        Some(precision) if precision > count && count >= point => count,
        Some(precision) => precision,
    };
    // Without a precision the decision is by that of six, however many digits there are.
    if point - 1 < -4 || point > limit.max(if precision.is_none() { 6 } else { limit }) {
        let decimals = digits.len() - 1;
        return format!("{sign}{}", exponential(&digits, point, decimals, letter));
    }
    let decimals = u32::try_from((count - point).max(0)).unwrap_or(0);
    let plain = match precision {
        // The number itself has more digits than are wanted.
        Some(_) => Number::parse(&format!("{digits}e{}", point - count)).unwrap_or_default().fixed(decimals),
        None => number.fixed(decimals),
    };
    format!("{sign}{plain}")
}
