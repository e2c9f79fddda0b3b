//! Where the values of a job are written, if there is a choice: at the place that a value comes from, or in the
//! job's own expression, in the place of a reference to what feeds others as well.
//!
//! Guarantees: a value that one place gives, and nothing else of the job takes from there, is written to that
//! place. Otherwise that way is taken which changes least else, of the job itself, of other jobs and of other
//! environments, and of those the one with the fewest places. Does not: say whether it may be done.

use std::collections::BTreeSet;

use crate::jobspec::{EditError, Edits, Wanted};

/// Why values can't be written so; none where they would be a secret in the file.
pub(super) type NotSo = Option<EditError>;

/// How bad a way is: values of others that change with it, and places.
type Cost = (usize, usize);

/// The edits for all the values. `placed` finds them for some way: of the values with these numbers, in the
/// job's own expression; `others` tells how many values change with them that nobody asked for.
pub(super) fn choose(
    wanted: &[Wanted],
    placed: impl Fn(&[Wanted], &BTreeSet<usize>) -> Result<Edits, NotSo>,
    others: impl Fn(&Edits) -> usize,
) -> Result<Edits, NotSo> {
    let mut here = BTreeSet::new();
    let mut best = match placed(wanted, &here) {
        Ok(found) if found.also.is_empty() && !found.parted => return Ok(found),
        // Two values of one place: one of them may have a place of its own.
        Err(Some(EditError::Conflict { .. })) => None,
        Err(error) => return Err(error),
        Ok(found) => Some((cost(&found, &others), found)),
    };
    let mut conflict = None;
    for number in 0..wanted.len() {
        here.insert(number);
        match placed(wanted, &here) {
            Ok(found) => {
                let cost = cost(&found, &others);
                if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                    best = Some((cost, found));
                    continue;
                }
            }
            // With the others in places of their own, it may be none any more.
            Err(Some(error @ EditError::Conflict { .. })) if best.is_none() => {
                conflict = Some(error);
                continue;
            }
            Err(_) => {}
        }
        here.remove(&number);
    }
    best.map(|(_, found)| found).ok_or(conflict)
}

fn cost(found: &Edits, others: impl Fn(&Edits) -> usize) -> Cost {
    (others(found), found.edits.len())
}
