//! Which progress of a step is worth a line.
//!
//! Guarantees: nothing that only says again what was said. Of progress with a count only a change of
//! that count is told (a resource is done); of progress about an item only what differs from the last
//! about it (health, a task's event); what belongs to no item, such as a command's output, always. A
//! step that has nothing new to tell is heard of every five minutes.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Seconds after which a step that only repeats itself is heard of.
const SIGN_OF_LIFE: f64 = 300.0;

/// The steps that are running.
#[derive(Debug, Default)]
pub(super) struct Running(BTreeMap<String, Told>);

#[derive(Debug)]
struct Told {
    done: usize,
    items: BTreeMap<String, String>,
    at: Timestamp,
}

impl Running {
    pub(super) fn begin(&mut self, step: &str, at: Timestamp) {
        self.0.insert(step.to_owned(), Told { done: 0, items: BTreeMap::new(), at });
    }

    /// Whether it was running.
    pub(super) fn end(&mut self, step: &str) -> bool {
        self.0.remove(step).is_some()
    }

    /// Whether this progress is worth a line; remembers that it was told. Steps that are only being
    /// looked at have none.
    pub(super) fn worth(&mut self, step: &str, new: &New<'_>) -> bool {
        let Some(told) = self.0.get_mut(step) else { return false };
        let differs = match (new.done, new.item) {
            (Some(done), _) => done != told.done,
            (None, Some(item)) => told.items.get(item).is_none_or(|last| last != new.text),
            (None, None) => true,
        };
        let long_ago = new.at.duration_since(told.at).as_secs_f64() >= SIGN_OF_LIFE;
        let worth = differs || long_ago || new.all;
        if worth {
            told.at = new.at;
            told.done = new.done.unwrap_or(told.done);
            if let Some(item) = new.item {
                told.items.insert(item.to_owned(), new.text.to_owned());
            }
        }
        worth
    }
}

/// One piece of progress.
pub(super) struct New<'a> {
    pub(super) item: Option<&'a str>,
    pub(super) text: &'a str,
    pub(super) done: Option<usize>,
    pub(super) at: Timestamp,
    /// Everything was asked for.
    pub(super) all: bool,
}
