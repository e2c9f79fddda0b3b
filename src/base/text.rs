//! Text for people: control characters made harmless, durations, counts, nearest names.

use std::borrow::Cow;
use std::time::Duration;

/// `text` with everything that could steer a terminal shown as an escape: C0 and C1 controls, DEL, the
/// characters that turn the direction of writing, and line ends that aren't line feeds. Line feeds and tabs stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| !steers(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn steers(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{61c}')
}

/// As [`harmless`], on one line.
pub fn one_line(text: &str) -> String {
    harmless(text).replace(['\n', '\t'], " ")
}

/// A length of time in its two largest units: `3d 4h`, `12m 5s`, `8s`, `250ms`.
pub fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    if seconds == 0 {
        return if length.is_zero() { "0s".into() } else { format!("{}ms", length.as_millis().max(1)) };
    }
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(3);
    let (size, name) = units[first];
    let mut out = format!("{}{name}", seconds / size);
    if let Some((next, name)) = units.get(first + 1) {
        let rest = seconds % size / next;
        if rest > 0 {
            out.push_str(&format!(" {rest}{name}"));
        }
    }
    out
}

/// A length of time in nanoseconds, exactly, in the largest unit that it is a whole number of: `30s`, `5m`.
pub fn nanoseconds(nanoseconds: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    let unit = UNITS.iter().find(|(size, _)| nanoseconds % size == 0);
    unit.map_or_else(|| format!("{nanoseconds}ns"), |(size, name)| format!("{}{name}", nanoseconds / size))
}

/// Reads a duration as people and Go write it: `3d`, `1h30m`, `250ms`, `1.5h`. Days and weeks included.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let size = match rest[..unit_end].trim() {
            "w" => 604_800.0,
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number * size;
        rest = &rest[unit_end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Whether names of services in a command or plan stand for several: `*` is any text, `?` any character.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

/// `1 step`, `13 steps`, `2 patches`.
pub fn count(n: usize, noun: &str) -> String {
    let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|end| noun.ends_with(end));
    match n {
        1 => format!("1 {noun}"),
        _ if hisses => format!("{n} {noun}es"),
        _ => format!("{n} {noun}s"),
    }
}

/// The known name nearest to `wanted`, where one is near enough to be a typing error.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wanted, name), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().max(wanted.chars().count()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `a, b and c`
pub fn list<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_read_well() {
        for (seconds, text) in [(0, "0s"), (8, "8s"), (725, "12m 5s"), (273_600, "3d 4h"), (86_400, "1d")] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
        assert_eq!(parse_duration("1h30m"), Some(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("3d"), Some(Duration::from_secs(259_200)));
        for bad in ["", "3", "d", "3 days", "-1s", "1e9d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn counts_read_well() {
        let texts = [count(1, "patch"), count(2, "patch"), count(0, "step"), count(3, "dash")];
        assert_eq!(texts, ["1 patch", "2 patches", "0 steps", "3 dashes"]);
    }

    #[test]
    fn near_names_are_found() {
        assert_eq!(nearest("enviroment", ["project", "environment"]), Some("environment"));
        assert_eq!(nearest("x", ["project", "environment"]), None);
    }

    proptest! {
        #[test]
        fn no_control_character_passes(text in "\\PC*|[\u{0}-\u{9f}]*") {
            prop_assert!(harmless(&text).chars().all(|c| !steers(c)));
        }
    }
}
