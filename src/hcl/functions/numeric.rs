//! Functions of numbers.

use crate::hcl::functions::floats;
use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::value::{Number, Type, Value};

pub fn register(table: &mut Table) {
    use Type::{Number, String};
    table.add("abs", &[Number], |args| one(args, |n| if n.is_negative() { n.negated() } else { n.clone() }));
    table.add("ceil", &[Number], |args| one(args, self::Number::ceil));
    table.add("floor", &[Number], |args| one(args, self::Number::floor));
    table.add("signum", &[Number], |args| {
        let number = number(args, 0)?.as_i64().ok_or_else(|| Fault::at(0, "a whole number is needed"))?;
        Ok(Value::from(number.signum()))
    });
    table.variadic("max", &[], Number, |args| extreme(args, true));
    table.variadic("min", &[], Number, |args| extreme(args, false));
    table.add("log", &[Number, Number], |args| float(args, |n, base| floats::ln(n) / floats::ln(base)));
    table.add("pow", &[Number, Number], |args| float(args, floats::pow));
    table.add("parseint", &[Type::Any, Number], parse_int);
    let _ = String;
}

fn number(args: &[Value], i: usize) -> Result<&Number, Fault> {
    args.get(i).and_then(Value::as_number).ok_or_else(|| Fault::at(i, "a number is needed"))
}

fn one(args: &[Value], f: impl Fn(&Number) -> Number) -> Outcome {
    Ok(Value::Number(f(number(args, 0)?)))
}

fn float(args: &[Value], f: impl Fn(f64, f64) -> f64) -> Outcome {
    let float = |i: usize| {
        let given = number(args, i)?;
        let float = given.as_f64();
        if float.is_infinite() && !given.is_infinite() {
            return Err(Fault::at(i, "the number is too large"));
        }
        Ok(float)
    };
    let result = f(float(0)?, float(1)?);
    // A fraction is the shortest one that means the same float, as Nomad prints it: 10^-1 is 0.1.
    let number = if result.is_finite() && result.fract() != 0.0 {
        Number::parse(&result.to_string())
    } else {
        Number::from_f64(result)
    };
    number.map(Value::Number).ok_or_else(|| "the result is not a number".into())
}

fn extreme(args: &[Value], largest: bool) -> Outcome {
    let numbers = args.iter().filter_map(Value::as_number);
    let found = if largest { numbers.max() } else { numbers.min() };
    found.cloned().map(Value::Number).ok_or_else(|| "at least one number is needed".into())
}

fn parse_int(args: &[Value]) -> Outcome {
    let Value::String(text) = &args[0] else {
        return Err(Fault::at(0, format!("a string is needed, not {}", args[0].described())));
    };
    let base = number(args, 1)?.as_i64().and_then(|base| u32::try_from(base).ok()).unwrap_or(0);
    if !(2..=62).contains(&base) {
        return Err(Fault::at(1, "the base must be a whole number from 2 to 62"));
    }
    let wrong = || Fault::at(0, format!("this text is no whole number in base {base}"));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || digits.len() > 1_000 {
        return Err(wrong());
    }
    let mut whole = num_bigint::BigInt::default();
    for c in digits.chars() {
        // Up to base 36 letters of both cases count alike; beyond, capitals follow small letters.
        let digit = match c {
            '0'..='9' => u32::from(c) - u32::from('0'),
            'a'..='z' => u32::from(c) - u32::from('a') + 10,
            'A'..='Z' => u32::from(c) - u32::from('A') + if base <= 36 { 10 } else { 36 },
            _ => return Err(wrong()),
        };
        if digit >= base {
            return Err(wrong());
        }
        whole = whole * base + digit;
    }
    Ok(Value::Number(Number::from_whole(if negative { -whole } else { whole })))
}
