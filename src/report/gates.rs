//! Which samples of a gate are worth a line.
//!
//! Guarantees: a changed verdict is always told, an unchanged one at most every ten minutes (thirty
//! seconds on a real clock) and ever more seldom while the wait goes on. Goes by the events' own times.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::event::Verdict;

/// Seconds between lines that say the same.
const REAL: f64 = 30.0;
const SIMULATED: f64 = 600.0;

/// Lines that say the same come after a twelfth of the time waited so far, if that is longer.
const SLOWER: f64 = 12.0;

/// What was last told of each gate, by wave and name.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<(String, String), (Verdict, Timestamp)>);

impl Samples {
    /// Whether this sample is worth a line; remembers that it was told.
    pub(super) fn worth(
        &mut self,
        gate: (String, String),
        verdict: Verdict,
        at: Timestamp,
        say: &Say,
    ) -> bool {
        let worth = match self.0.get(&gate) {
            None => true,
            Some((told, _)) if *told != verdict => true,
            Some((_, when)) => {
                let least = if say.simulated { SIMULATED } else { REAL };
                let quiet = at.duration_since(*when).as_secs_f64();
                say.all || !say.live && quiet >= least.max(say.waited / SLOWER)
            }
        };
        if worth {
            self.0.insert(gate, (verdict, at));
        }
        worth
    }

    pub(super) fn over(&mut self, wave: &str, gate: &str) {
        self.0.remove(&(wave.to_owned(), gate.to_owned()));
    }
}

/// What else decides.
pub(super) struct Say {
    pub(super) simulated: bool,
    /// Something else on the screen shows the samples: only changes are told.
    pub(super) live: bool,
    /// Every sample was asked for.
    pub(super) all: bool,
    pub(super) waited: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetition_is_told_seldom() {
        let start: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let mut samples = Samples::default();
        let mut told = Vec::new();
        // Twelve hours, sampled every thirty seconds; the last two minutes pass.
        for i in 0..1440_i32 {
            let waited = f64::from(i) * 30.0;
            let verdict = if i < 1436 { Verdict::NotYet } else { Verdict::Pass };
            let say = Say { simulated: true, live: false, all: false, waited };
            let at = start + jiff::SignedDuration::from_secs(i64::from(i) * 30);
            if samples.worth(("w".into(), "g".into()), verdict, at, &say) {
                told.push(i);
            }
        }
        assert_eq!(told.first(), Some(&0));
        assert_eq!(told.last(), Some(&1436), "the change is told, the passes after it are not");
        assert!((15..40).contains(&told.len()), "{told:?}");
        let repeated = &told[..told.len() - 1];
        assert!(repeated.windows(2).all(|pair| pair[1] - pair[0] >= 20), "ten minutes between: {told:?}");
    }
}
