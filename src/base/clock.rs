//! The one source of "now" and of waiting.
//!
//! Three clocks share one type: the real one; a scaled one, on which a sandbox and every run against
//! it live; and a virtual one for rehearsals, which follows tokio's paused time and so jumps to the
//! next timer when nothing else can run. Timeouts on children and sockets stay in real time and do
//! not come through here.

#![expect(clippy::disallowed_methods, reason = "this is where the real clocks are read")]

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};

/// Tells the time and waits. Cheap to clone; clones tell the same time.
#[derive(Clone, Debug)]
pub struct Clock(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Real,
    Scaled { from: Timestamp, since: SystemTime, speed: f64 },
    Virtual { from: Timestamp, since: tokio::time::Instant },
}

impl Clock {
    /// The machine's own clock.
    pub fn real() -> Self {
        Self(Kind::Real)
    }

    /// A clock that said `from` at the real time `since` and has run `speed` times as fast from then on.
    pub fn scaled(from: Timestamp, since: SystemTime, speed: f64) -> Self {
        Self(Kind::Scaled { from, since, speed })
    }

    /// A clock that says `from` now and follows tokio's time, which the caller has paused.
    pub fn virtual_from(from: Timestamp) -> Self {
        Self(Kind::Virtual { from, since: tokio::time::Instant::now() })
    }

    /// What time it is on this clock.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Real => Timestamp::now(),
            Kind::Scaled { from, since, speed } => {
                let real = SystemTime::now().duration_since(*since).unwrap_or_default();
                *from + signed(real.mul_f64(*speed))
            }
            Kind::Virtual { from, since } => *from + signed(since.elapsed()),
        }
    }

    /// Waits until `duration` has gone by on this clock.
    pub async fn sleep(&self, duration: Duration) {
        let real = match &self.0 {
            Kind::Scaled { speed, .. } => duration.div_f64(*speed),
            Kind::Real | Kind::Virtual { .. } => duration,
        };
        tokio::time::sleep(real).await;
    }

    /// Waits until this clock says `when`; returns at once where that is past.
    pub async fn sleep_until(&self, when: Timestamp) {
        let left = when.duration_since(self.now());
        if let Ok(left) = Duration::try_from(left) {
            self.sleep(left).await;
        }
    }

    /// How many seconds of this clock pass in one real second (1 for a virtual one).
    pub fn speed(&self) -> f64 {
        match self.0 {
            Kind::Scaled { speed, .. } => speed,
            Kind::Real | Kind::Virtual { .. } => 1.0,
        }
    }

    /// The same kind of clock, set `ahead` of what this one says now and running at `speed` from now on
    /// (a real clock becomes a scaled one; a virtual one keeps following tokio's time).
    #[must_use]
    pub fn moved(&self, ahead: Duration, speed: f64) -> Self {
        let from = self.now() + signed(ahead);
        match self.0 {
            Kind::Real | Kind::Scaled { .. } => Self::scaled(from, SystemTime::now(), speed),
            Kind::Virtual { .. } => Self::virtual_from(from),
        }
    }

    /// What a scaled clock is made of, for another process to make the same one: what it said when, and
    /// its speed.
    pub fn anchor(&self) -> Option<(Timestamp, SystemTime, f64)> {
        match &self.0 {
            Kind::Scaled { from, since, speed } => Some((*from, *since, *speed)),
            Kind::Real | Kind::Virtual { .. } => None,
        }
    }

    /// Whether nothing real passes while this clock's time does.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Kind::Virtual { .. })
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn virtual_time_jumps() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::virtual_from(start);
        clock.sleep(Duration::from_secs(12 * 3600)).await;
        assert_eq!(clock.now().duration_since(start).as_secs(), 12 * 3600);
    }

    #[tokio::test]
    async fn scaled_time_runs_ahead() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::scaled(start, SystemTime::now(), 3600.0);
        clock.sleep(Duration::from_secs(36)).await;
        assert!(clock.now().duration_since(start).as_secs() >= 36);
    }

    #[tokio::test]
    async fn a_moved_clock_goes_on_from_there() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::scaled(start, SystemTime::now(), 1.0).moved(Duration::from_secs(86_400), 10.0);
        let passed = clock.now().duration_since(start).as_secs();
        assert!((86_400..86_500).contains(&passed), "{passed}");
        assert!(clock.anchor().is_some_and(|(_, _, speed)| (speed - 10.0).abs() < 1e-9));
    }
}
