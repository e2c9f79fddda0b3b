//! The guard: what a step may change, in counts and in addresses.
//!
//! Guarantees: a plan passes only if every resource that it touches matches one of the patterns, and
//! its counts together with what earlier attempts of the same run completed are exactly the expected
//! ones. A plan that touches no resource passes whatever was expected. Does not: guard output
//! values, which have no counts; a plan that changes only those passes as [`Verdict::OutputsOnly`],
//! never as nothing to do.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::api::{Action, Change, Counts, Planned};

/// What is expected of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    pub add: usize,
    pub change: usize,
    pub destroy: usize,
    pub forget: usize,
    /// Patterns of which each touched address must match one: see [`matches()`]. None: any address.
    pub addresses: Vec<String>,
}

/// What earlier attempts of the same run did to the same root, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earlier {
    pub deeds: Vec<Deed>,
}

/// One action of an earlier attempt on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    pub address: String,
    pub action: Action,
    /// False: it was begun, and whether it had an effect isn't known. A creation like that leaves a
    /// resource that is this run's own leftover.
    pub completed: bool,
}

impl Earlier {
    /// Adds one attempt: what [`super::Applied`] or the error of an apply says was done, and what was
    /// begun only.
    pub fn attempt(&mut self, done: &[(String, Action)], unfinished: &[(String, Action)]) {
        let all = done.iter().map(|deed| (deed, true)).chain(unfinished.iter().map(|deed| (deed, false)));
        for ((address, action), completed) in all {
            self.deeds.push(Deed { address: address.clone(), action: *action, completed });
        }
    }

    /// Adds an attempt of unknown outcome: it set out to do `intended`, and `remaining` is what a
    /// fresh plan still wants. What is no longer wanted must have been done.
    pub fn infer(&mut self, intended: &[Change], remaining: &[Change]) {
        for change in intended.iter().filter(|change| !change.action.is_harmless()) {
            let left = remaining.iter().find(|left| left.address == change.address);
            let left = left.filter(|left| left.action != Action::NoOp);
            let mut deed = |action, completed| {
                self.deeds.push(Deed { address: change.address.clone(), action, completed });
            };
            match (change.action, left) {
                (action, None) => deed(action, true),
                (Action::Create, Some(left)) if left.tainted => deed(Action::Create, false),
                // The old one is gone; its successor is tainted or missing.
                (Action::Replace, Some(left)) if left.tainted && !change.tainted => {
                    deed(Action::Destroy, true);
                    deed(Action::Create, false);
                }
                (Action::Replace, Some(left)) if left.action == Action::Create => {
                    deed(Action::Destroy, true);
                }
                (_, Some(_)) => {}
            }
        }
    }

    /// What all this counts as. Removing what this run itself left half made is no loss: only its
    /// creation counts.
    fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for (at, deed) in self.deeds.iter().enumerate().filter(|(_, deed)| deed.completed) {
            let mut counts = deed.action.counts();
            if Self::leaves(&self.deeds[..at], &deed.address) {
                counts.destroy = 0;
            }
            sum = sum + counts;
        }
        sum
    }

    /// Whether the last thing these deeds did to an address was to begin creating it.
    fn leaves(deeds: &[Deed], address: &str) -> bool {
        let mut of_address = deeds.iter().rev().filter(|deed| deed.address == address);
        // An interrupted removal of a leftover leaves the leftover.
        let last = of_address.find(|deed| deed.completed || deed.action != Action::Destroy);
        last.is_some_and(|deed| !deed.completed && matches!(deed.action, Action::Create | Action::Replace))
    }
}

impl Guard {
    /// Holds a plan's changes and what the run already did against what is expected.
    pub fn check(&self, changes: &[Change], earlier: &Earlier) -> Result<GuardReport, Box<Breach>> {
        let touched: Vec<&Change> = changes.iter().filter(|change| !change.action.is_harmless()).collect();
        let planned =
            touched.iter().map(|change| remaining(change, earlier)).fold(Counts::default(), |a, b| a + b);
        let already = earlier.counts();
        let report = GuardReport { expected: self.counts(), planned, already, verdict: Verdict::AsExpected };
        if touched.is_empty() {
            return Ok(GuardReport { verdict: Verdict::NothingToDo, ..report });
        }
        let offending: Vec<Offender> = touched
            .iter()
            .filter(|change| !self.allows(&change.address))
            .map(|change| Offender {
                address: change.address.clone(),
                action: change.action,
                offence: Offence::OutsideAddresses,
            })
            .collect();
        let counts = wrong_counts(report.expected, planned + already);
        if offending.is_empty() && counts.is_empty() {
            return Ok(report);
        }
        Err(Box::new(Breach {
            expected: report.expected,
            addresses: self.addresses.clone(),
            planned,
            already,
            counts,
            offending,
        }))
    }

    /// As [`Guard::check`], with the plan's output changes taken into account for the verdict.
    pub fn check_planned(&self, planned: &Planned, earlier: &Earlier) -> Result<GuardReport, Box<Breach>> {
        let mut report = self.check(&planned.changes, earlier)?;
        if report.verdict == Verdict::NothingToDo && !planned.output_changes.is_empty() {
            report.verdict = Verdict::OutputsOnly;
        }
        Ok(report)
    }

    /// Whether this address may be touched.
    pub fn allows(&self, address: &str) -> bool {
        // What a replacement left behind belongs to the resource it was.
        let address = address.split_once(" (deposed ").map_or(address, |(resource, _)| resource);
        self.addresses.is_empty() || self.addresses.iter().any(|pattern| matches(pattern, address))
    }

    fn counts(&self) -> Counts {
        Counts { add: self.add, change: self.change, destroy: self.destroy, forget: self.forget }
    }
}

/// How a plan fits a guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardReport {
    pub expected: Counts,
    /// What the plan still wants to do.
    pub planned: Counts,
    /// What earlier attempts of this run did.
    pub already: Counts,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    AsExpected,
    /// No resource is touched. From [`Guard::check`], which doesn't see outputs, this says nothing
    /// about those.
    NothingToDo,
    /// No resource is touched, and output values change.
    OutputsOnly,
}

/// Why a plan was refused: every wrong count and every address that offends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    pub expected: Counts,
    pub addresses: Vec<String>,
    pub planned: Counts,
    pub already: Counts,
    pub counts: Vec<WrongCount>,
    pub offending: Vec<Offender>,
}

impl Breach {
    /// Marks what the last run that passed this guard didn't touch. Where only a count is wrong, that
    /// is the one way to tell the fourteenth from the thirteen. `last` holds the addresses of that
    /// run; empty changes nothing.
    pub fn compare(&mut self, changes: &[Change], last: &[String]) {
        let too_many = self.counts.iter().any(|count| count.found > count.expected);
        if last.is_empty() || !too_many {
            return;
        }
        let known: BTreeSet<&str> = last.iter().map(String::as_str).collect();
        for change in changes.iter().filter(|change| !change.action.is_harmless()) {
            let marked = self.offending.iter().any(|offender| offender.address == change.address);
            if !marked && !known.contains(change.address.as_str()) {
                self.offending.push(Offender {
                    address: change.address.clone(),
                    action: change.action,
                    offence: Offence::NewSinceLastRun,
                });
            }
        }
    }

    /// Whether this address is one of those that offend.
    pub fn marks(&self, address: &str) -> bool {
        self.offending.iter().any(|offender| offender.address == address)
    }
}

/// `14 to add instead of 13; outside module.core.*: terraform_data.x`
impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.counts.iter().map(ToString::to_string).collect();
        let of = |offence: Offence| -> Vec<String> {
            let mine = self.offending.iter().filter(|offender| offender.offence == offence);
            mine.map(|offender| format!("{} {}", offender.action, offender.address)).collect()
        };
        let outside = of(Offence::OutsideAddresses);
        if !outside.is_empty() {
            parts.push(format!("outside {}: {}", self.addresses.join(", "), outside.join(", ")));
        }
        let new = of(Offence::NewSinceLastRun);
        if !new.is_empty() {
            parts.push(format!("not touched by the last run: {}", new.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

impl std::error::Error for Breach {}

/// `14 to add instead of 13`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrongCount {
    pub count: Count,
    pub expected: usize,
    /// What remains and what was done before, together.
    pub found: usize,
}

impl fmt::Display for WrongCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} instead of {}", self.found, self.count, self.expected)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    Add,
    Change,
    Destroy,
    Forget,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Destroy => "destroy",
            Self::Forget => "forget",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offender {
    pub address: String,
    pub action: Action,
    pub offence: Offence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offence {
    /// Matches none of the guard's patterns.
    OutsideAddresses,
    /// Too many are touched, and the last run didn't touch this one.
    NewSinceLastRun,
}

/// Whether a pattern covers an address. `*` stands for any text, dots and brackets included; every
/// other character stands for itself.
pub fn matches(pattern: &str, address: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = address.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

fn remaining(change: &Change, earlier: &Earlier) -> Counts {
    let mut counts = change.action.counts();
    if change.action == Action::Replace && change.tainted && Earlier::leaves(&earlier.deeds, &change.address)
    {
        counts.destroy = 0;
    }
    counts
}

fn wrong_counts(expected: Counts, found: Counts) -> Vec<WrongCount> {
    [
        (Count::Add, expected.add, found.add),
        (Count::Change, expected.change, found.change),
        (Count::Destroy, expected.destroy, found.destroy),
        (Count::Forget, expected.forget, found.forget),
    ]
    .into_iter()
    .filter(|(_, expected, found)| expected != found)
    .map(|(count, expected, found)| WrongCount { count, expected, found })
    .collect()
}
