//! What goes on right now, as rows for a terminal. Pure: time is counted in ticks that the caller gives.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::prose::length;
use super::styled::{SIMULATED, clean, cut_middle};
use crate::base::Secrets;
use crate::event::{Event, What};

/// What lasts less is never shown.
const APPEARS_AFTER: Duration = Duration::from_millis(250);

/// One thing that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Tells it from others.
    pub key: String,
    /// `[simulated] ` or nothing.
    pub prefix: &'static str,
    /// How much of it is done, of how much.
    pub counts: Option<(usize, usize)>,
    pub text: String,
}

/// Knows from the events what goes on.
#[derive(Debug, Default)]
pub struct Board {
    secrets: Secrets,
    items: BTreeMap<String, Item>,
    /// The time of the last event, and how long ago that was.
    last: Option<Timestamp>,
    since: Duration,
}

#[derive(Debug)]
struct Item {
    order: usize,
    name: String,
    text: String,
    counts: Option<(usize, usize)>,
    began: Timestamp,
    seen: Duration,
    simulated: bool,
    /// Shows how long it has been going on by itself.
    timed: bool,
}

impl Board {
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, ..Self::default() }
    }

    pub fn update(&mut self, event: &Event) {
        self.last = Some(event.at);
        self.since = Duration::ZERO;
        match &event.event {
            What::Looking { step, doing } => {
                self.items.retain(|key, _| !key.starts_with("look "));
                self.begin(event, format!("look {step}"), doing, "", true);
            }
            What::Shown { step } => self.end(&format!("look {}", step.step)),
            What::StepStarted { step, summary, .. } => {
                self.items.retain(|key, _| !key.starts_with("look "));
                self.begin(event, format!("step {step}"), step, summary, true);
            }
            What::StepProgress { step, item, text, done, of } => {
                let text = match item {
                    Some(item) => format!("{item}: {text}"),
                    None => text.clone(),
                };
                let key = if self.items.contains_key(&format!("step {step}")) { "step" } else { "look" };
                let text = clean(&self.secrets.mask(&text));
                if let Some(running) = self.items.get_mut(&format!("{key} {step}")) {
                    running.counts = done.zip(*of).or(running.counts);
                    running.text = text;
                }
            }
            What::StepDone { step, .. } | What::StepFailed { step, .. } => self.end(&format!("step {step}")),
            What::GateStarted { wave, gate, .. } => {
                self.begin(event, format!("gate {wave} {gate}"), &format!("gate {gate}"), "", true);
            }
            What::GateSampled { wave, gate, detail, passes, needed, waited, .. } => {
                let text = format!("{detail}, {passes}/{needed}, waited {}", length(*waited));
                let text = clean(&self.secrets.mask(&text));
                if let Some(waiting) = self.items.get_mut(&format!("gate {wave} {gate}")) {
                    waiting.text = text;
                    waiting.timed = false;
                }
            }
            What::GatePassed { wave, gate, .. } | What::GateFailed { wave, gate, .. } => {
                self.end(&format!("gate {wave} {gate}"));
            }
            What::WaveDone { wave, .. } => {
                self.items.retain(|key, _| !key.starts_with(&format!("gate {wave} ")));
            }
            What::Decision { .. } => self.items.retain(|key, _| !key.starts_with("look ")),
            What::Finished { .. } => self.items.clear(),
            _ => {}
        }
    }

    /// Real time went by without an event.
    pub fn tick(&mut self, by: Duration) {
        self.since += by;
        for item in self.items.values_mut() {
            item.seen += by;
        }
    }

    /// Nothing goes on any more.
    pub fn clear(&mut self) {
        self.items.clear();
    }

    /// Whether anything goes on, shown or not yet.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What has gone on for long enough to be shown, in the order in which it began; none wider than
    /// `width` with its spinner, bar and counts.
    pub fn rows(&self, width: usize) -> Vec<Row> {
        let mut items: Vec<(&String, &Item)> =
            self.items.iter().filter(|(_, item)| item.seen >= APPEARS_AFTER).collect();
        items.sort_by_key(|(_, item)| item.order);
        let row = |(key, item): (&String, &Item)| {
            let prefix = if item.simulated { SIMULATED } else { "" };
            let mut name = item.name.clone();
            if item.timed {
                name.push_str(&format!(" ({})", self.elapsed(item)));
            }
            let separator = if item.text.is_empty() { "" } else { ": " };
            // A spinner, and a bar of twelve with its numbers.
            let counts = item.counts.map_or(0, |(done, of)| 13 + format!("{done}/{of} ").len());
            let room = width.saturating_sub(prefix.len() + 3 + counts);
            let text = cut_middle(&format!("{name}{separator}{}", item.text), room);
            Row { key: key.clone(), prefix, counts: item.counts, text }
        };
        items.into_iter().map(row).collect()
    }

    /// On the run's clock, as far as that is known: a simulated one stands still between events.
    fn elapsed(&self, item: &Item) -> String {
        let told = self.last.map_or(0.0, |last| last.duration_since(item.began).as_secs_f64());
        let since = if item.simulated { 0.0 } else { self.since.as_secs_f64() };
        // Parts of a second would only flicker.
        length((told + since).max(0.0).floor())
    }

    fn begin(&mut self, event: &Event, key: String, name: &str, text: &str, timed: bool) {
        let order = self.items.values().map(|item| item.order + 1).max().unwrap_or(0);
        let item = Item {
            order,
            name: clean(&self.secrets.mask(name)),
            text: clean(&self.secrets.mask(text)),
            counts: None,
            began: event.at,
            seen: Duration::ZERO,
            simulated: event.simulated,
            timed,
        };
        self.items.insert(key, item);
    }

    fn end(&mut self, key: &str) {
        self.items.remove(key);
    }
}
