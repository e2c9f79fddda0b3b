//! What was found, before its places in the file are looked up.

use super::node::Node;
use crate::base::Severity;

/// What every error here begins with: it isn't the file's language that is wrong.
const MARK: &str = "Nomad refuses this at register: ";

pub struct Finding {
    pub severity: Severity,
    pub pointer: String,
    pub message: String,
    pub help: String,
}

/// Everything found in one job.
#[derive(Default)]
pub struct Found(pub Vec<Finding>);

impl Found {
    /// What Nomad refuses, at a field of `node` (or at itself, where that is empty).
    pub fn refuse(&mut self, node: &Node, field: &str, message: impl AsRef<str>, help: impl Into<String>) {
        self.push(Severity::Error, node, field, format!("{MARK}{}", message.as_ref()), help.into());
    }

    pub fn warn(&mut self, node: &Node, field: &str, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, node, field, message.into(), help.into());
    }

    fn push(&mut self, severity: Severity, node: &Node, field: &str, message: String, help: String) {
        self.0.push(Finding { severity, pointer: node.pointer(field), message, help });
    }
}

/// Nanoseconds, as Nomad writes a length of time.
pub fn time(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let all = nanoseconds.unsigned_abs();
    let fraction = |value: u64, unit: u64, name: &str| {
        let digits = unit.ilog10() as usize;
        let rest = format!("{:0digits$}", value % unit);
        match rest.trim_end_matches('0') {
            "" => format!("{sign}{}{name}", value / unit),
            rest => format!("{sign}{}.{rest}{name}", value / unit),
        }
    };
    match all {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{all}ns"),
        1_000..1_000_000 => fraction(all, 1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(all, 1_000_000, "ms"),
        _ => {
            let seconds = all / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = all - (hours * 3600 + minutes * 60) * 1_000_000_000;
            let mut shown = sign.to_owned();
            if hours > 0 {
                shown.push_str(&format!("{hours}h"));
            }
            if minutes > 0 {
                shown.push_str(&format!("{minutes}m"));
            }
            if rest > 0 {
                shown.push_str(fraction(rest, 1_000_000_000, "s").trim_start_matches('-'));
            }
            shown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let second = 1_000_000_000;
        for (length, shown) in [
            (0, "0s"),
            (500_000_000, "500ms"),
            (1_500_000, "1.5ms"),
            (15 * second, "15s"),
            (90 * second, "1m30s"),
            (1800 * second, "30m"),
            (86_400 * second, "24h"),
            (-5 * second, "-5s"),
            (3_600_500_000_000, "1h0.5s"),
        ] {
            assert_eq!(time(length), shown);
        }
    }
}
