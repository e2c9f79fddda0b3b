//! Schedules, as Nomad's library reads them: five fields (minute, hour, day, month, day of the week), six
//! with a year at the end, or seven with seconds before them; what comes after the seventh is ignored.

use crate::base::text;

pub const HELP: &str = "the fields are: minute, hour, day of the month, month, day of the week";

struct Field {
    name: &'static str,
    least: u32,
    most: u32,
    /// Names of values, from the least on, short or in full.
    names: &'static [&'static str],
}

const SECOND: Field = Field { name: "seconds", least: 0, most: 59, names: &[] };
const MINUTE: Field = Field { name: "minutes", least: 0, most: 59, names: &[] };
const HOUR: Field = Field { name: "hours", least: 0, most: 23, names: &[] };
const DAY: Field = Field { name: "days of the month", least: 1, most: 31, names: &[] };
const MONTH: Field = Field {
    name: "months",
    least: 1,
    most: 12,
    names: &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
};
const WEEKDAY: Field = Field {
    name: "days of the week",
    least: 0,
    most: 6,
    names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
};
const YEAR: Field = Field { name: "years", least: 1970, most: 2099, names: &[] };

const ALIASES: [(&str, &str); 6] = [
    ("@yearly", "0 0 0 1 1 * *"),
    ("@annually", "0 0 0 1 1 * *"),
    ("@monthly", "0 0 0 1 * * *"),
    ("@weekly", "0 0 0 * * 0 *"),
    ("@daily", "0 0 0 * * * *"),
    ("@hourly", "0 0 * * * * *"),
];

/// Why a text is no schedule.
pub fn check(spec: &str) -> Result<(), String> {
    let mut spec = spec.to_owned();
    for (alias, meaning) in ALIASES {
        if spec.contains(alias) {
            spec = spec.replace(alias, meaning);
        }
    }
    let parts: Vec<&str> =
        spec.split([' ', '\t', '\n', '\r', '\u{c}']).filter(|part| !part.is_empty()).collect();
    let fields: &[&Field] = match parts.len() {
        0..5 => return Err(format!("it has {} and needs five", text::count(parts.len(), "field"))),
        5 => &[&MINUTE, &HOUR, &DAY, &MONTH, &WEEKDAY],
        6 => &[&MINUTE, &HOUR, &DAY, &MONTH, &WEEKDAY, &YEAR],
        _ => &[&SECOND, &MINUTE, &HOUR, &DAY, &MONTH, &WEEKDAY, &YEAR],
    };
    fields.iter().zip(parts).try_for_each(|(field, part)| field.check(part))
}

impl Field {
    fn check(&self, part: &str) -> Result<(), String> {
        let entries: Vec<&str> = part.split(',').filter(|entry| !entry.is_empty()).collect();
        if entries.is_empty() {
            return Err(format!("{part:?} names no {}", self.name));
        }
        for entry in entries {
            let plain = entry.to_lowercase();
            if !self.is_entry(&plain)? && !self.is_special(&plain) {
                return Err(format!(
                    "{entry:?} stands for no {} ({} to {})",
                    self.name, self.least, self.most
                ));
            }
        }
        Ok(())
    }

    fn is_entry(&self, entry: &str) -> Result<bool, String> {
        if matches!(entry, "*" | "?") {
            return Ok(true);
        }
        let (base, step) = match entry.split_once('/') {
            None => (entry, None),
            Some((base, step)) => (base, Some(step)),
        };
        let fits = base == "*" && step.is_some()
            || self.is_value(base)
            || base.split_once('-').is_some_and(|(from, to)| self.is_value(from) && self.is_value(to));
        let Some(step) = step.filter(|_| fits) else { return Ok(fits) };
        if step.is_empty() || !step.bytes().all(|digit| digit.is_ascii_digit()) {
            return Ok(false);
        }
        // The library knows numbers from 0 to 59, with one leading zero at most, and years.
        let known = step.len() <= 2 || is_year(step);
        let number = step.parse::<u32>().ok().filter(|number| known && (*number <= 59 || is_year(step)));
        match number {
            Some(number) if (1..=self.most).contains(&number) => Ok(true),
            _ => Err(format!("a step of {step} doesn't fit {} (1 to {})", self.name, self.most)),
        }
    }

    fn is_value(&self, text: &str) -> bool {
        if let Some(value) = text.parse::<u32>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit())) {
            // Sunday is 7, too.
            let most = if self.most == WEEKDAY.most { 7 } else { self.most };
            return text.len() <= if self.least == YEAR.least { 4 } else { 2 }
                && (self.least..=most).contains(&value);
        }
        self.names.iter().any(|name| *name == text || &name[..3] == text)
    }

    /// What only one field knows: `L`, `LW`, `15W`; `5L`, `5#3`.
    fn is_special(&self, entry: &str) -> bool {
        match self.name {
            name if name == DAY.name => {
                matches!(entry, "l" | "lw") || entry.strip_suffix('w').is_some_and(|day| self.is_value(day))
            }
            name if name == WEEKDAY.name => {
                entry.strip_suffix('l').is_some_and(|day| self.is_value(day))
                    || entry.split_once('#').is_some_and(|(day, week)| {
                        self.is_value(day) && matches!(week, "1" | "2" | "3" | "4" | "5")
                    })
            }
            _ => false,
        }
    }
}

fn is_year(text: &str) -> bool {
    text.len() == 4 && text.parse::<u32>().is_ok_and(|year| (YEAR.least..=YEAR.most).contains(&year))
}
