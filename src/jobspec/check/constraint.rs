//! Constraints, affinities and spreads.

use std::collections::BTreeSet;

use super::found::Found;
use super::node::Node;

/// The constraints of a job, a group or (where `inner`) a task or device, which take no `distinct_…`.
pub fn constraints(node: &Node, inner: bool, found: &mut Found) {
    for constraint in node.items("Constraints") {
        one(&constraint, inner, found);
    }
}

const OPERATORS: &str = "there are =, !=, <, <=, >, >=, regexp, version, semver, set_contains, \
                         set_contains_any, is_set, is_not_set, distinct_hosts and distinct_property";

fn one(node: &Node, inner: bool, found: &mut Found) {
    let (left, right, operand) = (node.text("LTarget"), node.text("RTarget"), node.text("Operand"));
    match operand {
        "distinct_hosts" | "distinct_property" if inner => {
            let message = format!("`{operand}` can't stand in a task or device");
            found.refuse(node, "Operand", message, "move the constraint into the group");
            return;
        }
        "distinct_hosts" => return,
        "distinct_property" => match right.parse::<u64>() {
            _ if right.is_empty() => {}
            Ok(1..) if !right.starts_with('+') => {}
            _ => {
                let message = format!("`distinct_property` counts, and {right:?} is no number from 1 on");
                found.refuse(node, "RTarget", message, "write a number, or leave `value` out for 1");
            }
        },
        "is_set" | "is_not_set" => {
            if !right.is_empty() {
                let message = format!("`{operand}` takes no value");
                found.refuse(node, "RTarget", message, "take `value` out, or use another operator");
            }
        }
        "" => found.refuse(node, "Operand", "the constraint has no operator", OPERATORS),
        _ => {
            if !compared(node, operand, right, found) {
                found.refuse(node, "Operand", format!("`{operand}` is no operator"), OPERATORS);
            }
        }
    }
    if let Some((message, help)) = attribute(left) {
        found.refuse(node, "LTarget", message, help);
    }
}

/// What constraints and affinities share; false for an operator that isn't one.
fn compared(node: &Node, operand: &str, right: &str, found: &mut Found) -> bool {
    match operand {
        "set_contains" | "set_contains_all" | "set_contains_any" | "=" | "==" | "is" | "!=" | "not" | "<"
        | "<=" | ">" | ">=" => {
            if right.is_empty() {
                let message = format!("`{operand}` has nothing to compare with");
                found.refuse(node, "RTarget", message, "add `value`");
            }
        }
        "regexp" => {
            if let Some(why) = wrong_pattern(right) {
                let message = format!("{right:?} is no regular expression: {why}");
                found.refuse(node, "RTarget", message, "the syntax is that of RE2, which Go uses");
            }
        }
        "version" | "semver" => {
            if let Some(part) = right.split(',').find(|part| !is_version(part, operand == "semver")) {
                let message = format!("{part:?} is no condition on a {operand}");
                found.refuse(node, "RTarget", message, "write for example \">= 1.2, < 2.0\"");
            }
        }
        _ => return false,
    }
    true
}

/// What Nomad's scheduler can't look up on a node.
fn attribute(target: &str) -> Option<(String, &'static str)> {
    const HELP: &str = "nodes have ${attr.…}, ${meta.…}, ${device.…}, ${node.class}, ${node.datacenter}, \
                        ${node.pool}, ${node.unique.id} and ${node.unique.name}";
    if target.is_empty() {
        return Some(("the constraint has no attribute".to_owned(), HELP));
    }
    if !target.starts_with('$') {
        return None;
    }
    let known = ["node.unique.id", "node.datacenter", "node.unique.name", "node.class", "node.pool"];
    match target.strip_prefix("${").map(|rest| rest.strip_suffix('}')) {
        None => Some((format!("{target:?} lacks a brace after `$`"), HELP)),
        Some(None) => Some((format!("{target:?} lacks a closing brace"), HELP)),
        Some(Some(name)) => {
            let prefixed = ["attr.", "device.", "meta."].iter().any(|prefix| name.starts_with(prefix));
            (!prefixed && !known.contains(&name)).then(|| (format!("nodes have no {target:?}"), HELP))
        }
    }
}

/// Why Go can't read a pattern; none where that isn't sure. The two engines differ in what few use, so
/// only mistakes that are the same in both count, in patterns that both read alike.
fn wrong_pattern(pattern: &str) -> Option<String> {
    use regex_syntax::ast::ErrorKind;
    let odd = ["\\Q", "\\C", "(?", "\\p", "\\P", "\\x", "[]", "[^]", "--", "&&", "~~", "{"];
    if odd.iter().any(|odd| pattern.contains(odd)) || pattern.matches('[').count() > 1 {
        return None;
    }
    let error = regex_syntax::ast::parse::Parser::new().parse(pattern).err()?;
    matches!(
        error.kind(),
        ErrorKind::GroupUnclosed
            | ErrorKind::GroupUnopened
            | ErrorKind::RepetitionMissing
            | ErrorKind::ClassUnclosed
            | ErrorKind::ClassRangeInvalid
            | ErrorKind::EscapeUnexpectedEof
    )
    .then(|| error.kind().to_string())
}

/// `>= 1.2.3-beta+x`; semver wants a dash before what follows the numbers, and knows no `~>`.
fn is_version(text: &str, semver: bool) -> bool {
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\u{c}']);
    let operators: &[&str] =
        if semver { &["<=", ">=", "!=", "<", ">", "="] } else { &["<=", ">=", "!=", "~>", "<", ">", "="] };
    let version = operators.iter().find_map(|operator| trimmed.strip_prefix(operator)).unwrap_or(trimmed);
    let version = version.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
    let version = version.strip_prefix('v').unwrap_or(version);
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = version;
    loop {
        let length = digits(rest);
        if length == 0 || rest[..length].parse::<i64>().is_err() {
            return false;
        }
        rest = &rest[length..];
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None => break,
        }
    }
    let (before, build) = match rest.split_once('+') {
        None => (rest, None),
        Some((before, build)) => (before, Some(build)),
    };
    let words = |text: &str| {
        text.split('.').all(|word| {
            !word.is_empty() && word.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'~'))
        })
    };
    let pre = if semver { before.strip_prefix('-').is_some_and(words) } else { words(before) };
    (before.is_empty() || pre) && build.is_none_or(words)
}

/// The affinities of a job, group, task or device.
pub fn affinities(node: &Node, system: bool, found: &mut Found) {
    for affinity in node.items("Affinities") {
        if system {
            let help = "a system job runs on every node that meets its constraints: use `constraint`";
            found.refuse(&affinity, "", "a system job can't have affinities", help);
            return;
        }
        let operand = affinity.text("Operand");
        if operand.is_empty() {
            found.refuse(&affinity, "Operand", "the affinity has no operator", AFFINITY_OPERATORS);
        } else if !compared(&affinity, operand, affinity.text("RTarget"), found) {
            let message = format!("`{operand}` is no operator of an affinity");
            found.refuse(&affinity, "Operand", message, AFFINITY_OPERATORS);
        }
        if affinity.text("LTarget").is_empty() {
            found.refuse(&affinity, "LTarget", "the affinity has no attribute", "add `attribute`");
        }
        let weight = affinity.int("Weight").unwrap_or(50);
        if weight == 0 || !(-100..=100).contains(&weight) {
            let message = format!("an affinity can't weigh {weight}");
            found.refuse(&affinity, "Weight", message, "from -100 to 100, but not 0");
        }
    }
}

const AFFINITY_OPERATORS: &str =
    "there are =, !=, <, <=, >, >=, regexp, version, semver, set_contains and set_contains_any";

/// The spreads of a job or group.
pub fn spreads(node: &Node, system: bool, found: &mut Found) {
    for spread in node.items("Spreads") {
        if system {
            let help = "a system job runs on every node anyway: take it out";
            found.refuse(&spread, "", "a system job can't be spread", help);
            return;
        }
        if spread.text("Attribute").is_empty() {
            let help = "add `attribute`, for example \"${node.datacenter}\"";
            found.refuse(&spread, "Attribute", "the spread has no attribute", help);
        }
        let weight = spread.int("Weight").unwrap_or(50);
        if !(1..=100).contains(&weight) {
            found.refuse(&spread, "Weight", format!("a spread can't weigh {weight}"), "from 1 to 100");
        }
        let mut seen = BTreeSet::new();
        let mut sum = 0;
        for target in spread.items("SpreadTarget") {
            let value = target.text("Value");
            if !seen.insert(value) {
                let message = format!("the target {value:?} stands twice in the spread");
                found.refuse(&target, "Value", message, "take one of them out");
            }
            let percent = target.int("Percent").unwrap_or(0);
            if percent > 100 {
                let message = format!("the target {value:?} wants {percent} percent");
                found.refuse(&target, "Percent", message, "from 0 to 100");
            }
            sum += percent;
        }
        if sum > 100 {
            let message = format!("the targets of the spread add up to {sum} percent");
            found.refuse(&spread, "SpreadTarget", message, "100 is the most");
        }
    }
}
