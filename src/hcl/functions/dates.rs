//! Points in time, as RFC 3339 writes them. None of these reads a clock.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use crate::hcl::functions::registry::{Fault, Outcome, Table};
use crate::hcl::functions::strings::text;
use crate::hcl::go_duration;
use crate::hcl::value::{Type, Value};

pub fn register(table: &mut Table) {
    use Type::String;
    table.add("formatdate", &[String, String], format_date);
    table.add("timeadd", &[String, String], |args| {
        let moment = moment(args, 0)?;
        let nanoseconds = go_duration(text(args, 1)?).map_err(|error| Fault::at(1, error))?;
        let sum = moment
            .civil
            .checked_add(SignedDuration::from_nanos(nanoseconds))
            .map_err(|_| Fault::at(1, "the result is out of range"))?;
        Ok(Value::from(rfc3339(sum, moment.offset)))
    });
    table.add("timecmp", &[String, String], |args| {
        let order = moment(args, 0)?.since_epoch()?.cmp(&moment(args, 1)?.since_epoch()?);
        Ok(Value::from(i64::from(order as i8)))
    });
}

struct Moment {
    civil: DateTime,
    offset: Offset,
}

impl Moment {
    fn since_epoch(&self) -> Result<Timestamp, Fault> {
        self.offset.to_timestamp(self.civil).map_err(|_| "the time is out of range".into())
    }
}

/// `2026-01-02T03:04:05Z` or with fractions and an offset; nothing else.
fn moment(args: &[Value], i: usize) -> Result<Moment, Fault> {
    let given = text(args, i)?;
    let wrong = || Fault::at(i, format!("{given:?} is not a time such as \"2026-01-02T03:04:05Z\""));
    let shape = given.bytes().take(19).enumerate().all(|(i, byte)| match i {
        4 | 7 => byte == b'-',
        10 => byte == b'T',
        13 | 16 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    if !shape || given.len() < 20 || &given[17..19] == "60" {
        return Err(wrong());
    }
    let after = given[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let seconds = match after.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()) =>
        {
            let two = |a: &u8, b: &u8| i32::from(a - b'0') * 10 + i32::from(b - b'0');
            if two(h1, h2) > 24 || two(m1, m2) > 59 {
                return Err(wrong());
            }
            let seconds = two(h1, h2) * 3600 + two(m1, m2) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return Err(wrong()),
    };
    let clock = given.get(..given.len() - after.len()).ok_or_else(wrong)?;
    let civil: DateTime = clock.parse().map_err(|_| wrong())?;
    let offset = Offset::from_seconds(seconds).map_err(|_| wrong())?;
    Ok(Moment { civil, offset })
}

fn zone(offset: Offset, colon: &str) -> String {
    let minutes = offset.seconds().unsigned_abs() / 60;
    let sign = if offset.is_negative() { '-' } else { '+' };
    format!("{sign}{:02}{colon}{:02}", minutes / 60, minutes % 60)
}

fn rfc3339(civil: DateTime, offset: Offset) -> String {
    let civil = civil.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    if offset.is_zero() { format!("{civil}Z") } else { civil + &zone(offset, ":") }
}

fn format_date(args: &[Value]) -> Outcome {
    let pattern = text(args, 0)?;
    let moment = moment(args, 1)?;
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let end =
            match first {
                '\'' => quoted(rest, &mut out)?,
                'a'..='z' | 'A'..='Z' => {
                    let length = rest.chars().take_while(|c| *c == first).count();
                    out.push_str(&verb(first, length, &moment).ok_or_else(|| {
                        Fault::at(0, format!("{:?} is not a part of a date", &rest[..length]))
                    })?);
                    length
                }
                _ => {
                    out.push(first);
                    first.len_utf8()
                }
            };
        rest = &rest[end..];
    }
    Ok(Value::from(out))
}

/// Text in single quotes, in which two of them stand for one; its length.
fn quoted(rest: &str, out: &mut String) -> Result<usize, Fault> {
    if rest.starts_with("''") {
        out.push('\'');
        return Ok(2);
    }
    let mut at = 1;
    loop {
        let Some(next) = rest[at..].chars().next() else {
            return Err(Fault::at(0, "text in single quotes is not closed"));
        };
        if next != '\'' {
            out.push(next);
            at += next.len_utf8();
        } else if rest[at..].starts_with("''") {
            out.push('\'');
            at += 2;
        } else {
            return Ok(at + 1);
        }
    }
}

fn verb(letter: char, length: usize, moment: &Moment) -> Option<String> {
    let civil = moment.civil;
    let number = |n: i8| match length {
        1 => Some(n.to_string()),
        2 => Some(format!("{n:02}")),
        _ => None,
    };
    let name = |pattern: &str| civil.strftime(pattern).to_string();
    match (letter, length) {
        ('Y', 2) => Some(format!("{:02}", civil.year() % 100)),
        ('Y', 4) => Some(format!("{:04}", civil.year())),
        ('M', 3) => Some(name("%b")),
        ('M', 4) => Some(name("%B")),
        ('M', _) => number(civil.month()),
        ('D', _) => number(civil.day()),
        ('E', 3) => Some(name("%a")),
        ('E', 4) => Some(name("%A")),
        ('h', _) => number(civil.hour()),
        ('H', _) => number(if civil.hour() % 12 == 0 { 12 } else { civil.hour() % 12 }),
        ('A', 2) => Some(if civil.hour() < 12 { "AM" } else { "PM" }.to_owned()),
        ('a', 2) => Some(if civil.hour() < 12 { "am" } else { "pm" }.to_owned()),
        ('m', _) => number(civil.minute()),
        ('s', _) => number(civil.second()),
        ('Z', 1) if moment.offset.is_zero() => Some("Z".to_owned()),
        ('Z', 3) if moment.offset.is_zero() => Some("UTC".to_owned()),
        ('Z', 1 | 5) => Some(zone(moment.offset, ":")),
        ('Z', 3 | 4) => Some(zone(moment.offset, "")),
        _ => None,
    }
}
