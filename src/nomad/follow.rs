//! Follows a registration until it is healthy, or it is known that it won't be.
//!
//! Always ends: by its own timeout at the latest, also where Nomad itself would wait for ever (an
//! unplaceable job's deployment has no deadline before its first placement). All times are the
//! given clock's. Dropping the future stops nothing on the server.

use std::time::Duration;

use jiff::Timestamp;

use super::client::Client;
use super::error::NomadError;
use super::events::Told;
use super::judge::Patience;
use super::observe::Observer;
use super::placement::PlacementFailure;
use super::verdict::{GroupProgress, Progress, Verdict};
use super::write::Registered;
use crate::base::Clock;

/// When a batch job counts as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchGoal {
    /// Its allocations have finished, or have run for as long as it takes to be [steady](FollowOptions::steady).
    #[default]
    Started,
    /// They have finished, with success.
    Finished,
}

/// How long to wait for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FollowOptions {
    /// For everything.
    pub timeout: Duration,
    /// For a place, while nothing about it changes: nodes may be joining.
    pub placement_wait: Duration,
    /// How long tasks must run without a restart where Nomad doesn't judge their health itself.
    pub steady: Duration,
    /// How many unhealthy allocations of a group are a failure, though the server would go on
    /// replacing them until its progress deadline (ten minutes by default).
    pub unhealthy_limit: u64,
    /// Where the server will go back to an older version by itself: wait until it does.
    pub await_revert: bool,
    pub batch: BatchGoal,
    /// How long the server may be out of reach in between (its leader may be changing).
    pub trouble: Duration,
    /// Once all is healthy: how long to wait for the server to close the deployment. Only then is the
    /// version one that a later failure can go back to.
    pub closing: Duration,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(15 * 60),
            placement_wait: Duration::from_secs(30),
            steady: Duration::from_secs(10),
            unhealthy_limit: 1,
            await_revert: false,
            batch: BatchGoal::Started,
            trouble: Duration::from_secs(30),
            closing: Duration::ZERO,
        }
    }
}

/// How long the server may take to close a deployment (1.25 s, measured).
pub const CLOSING: Duration = Duration::from_secs(3);

/// Follows `registered` and tells what happens. Errors are those of asking, not of the job.
pub async fn follow(
    client: &Client,
    clock: &Clock,
    registered: &Registered,
    options: &FollowOptions,
    tell: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Verdict, NomadError> {
    let start = clock.now();
    let mut observer = Observer::new(client, registered);
    let mut teller = Teller::new(tell);
    let mut stuck: Option<(u64, Timestamp)> = None;
    let mut calm: (Vec<(String, u64)>, Timestamp) = (Vec::new(), start);
    let mut lost: Option<Timestamp> = None;
    let mut well: Option<Timestamp> = None;
    let mut trouble = Trouble::default();
    loop {
        let mut left = options.timeout.saturating_sub(elapsed(clock, start));
        if let Some((_, since)) = stuck {
            left = left.min(options.placement_wait.saturating_sub(elapsed(clock, since)));
        }
        if let Some(since) = lost {
            left = left.min(CLOSING.saturating_sub(elapsed(clock, since)));
        }
        if let Some(since) = well {
            left = left.min(options.closing.saturating_sub(elapsed(clock, since)));
        }
        if !calm.0.is_empty() {
            let steady_in = options.steady.saturating_sub(elapsed(clock, calm.1));
            left = if steady_in.is_zero() { left } else { left.min(steady_in) };
        }
        let wait = left.min(longest_wait(clock)).max(Duration::from_millis(1));
        match observer.look(wait).await {
            Ok(Some(verdict)) => return Ok(verdict),
            Ok(None) => trouble.over(),
            Err(error) => {
                trouble.bear(error, clock, options.trouble, tell).await?;
                continue;
            }
        }
        teller.tell(&observer);
        let view = &observer.view;
        let now = clock.now();
        let placed = view.placed();
        if view.blocked.is_empty() && !view.has_no_node() {
            stuck = None;
        } else if stuck.is_none_or(|(before, _)| before != placed) {
            stuck = Some((placed, now));
        }
        let losing = view.lost(options.unhealthy_limit, options.await_revert);
        lost = losing.as_ref().map(|_| lost.unwrap_or(now));
        let pulse = view.pulse();
        if pulse != calm.0 {
            calm = (pulse, now);
        }
        let patience = Patience {
            place_over: stuck.is_some_and(|(_, since)| elapsed(clock, since) >= options.placement_wait),
            steady: elapsed(clock, calm.1) >= options.steady,
            lost: losing.filter(|_| lost.is_some_and(|since| elapsed(clock, since) >= CLOSING)),
            batch: options.batch,
        };
        let verdict = view.judge(&patience);
        // Healthy, but not yet what the server would go back to.
        well = verdict.as_ref().filter(|v| v.is_healthy() && view.is_open()).map(|_| well.unwrap_or(now));
        let closing = well.is_some_and(|since| elapsed(clock, since) < options.closing);
        let over = elapsed(clock, start) >= options.timeout;
        if let Some(verdict) = verdict.filter(|_| !closing || over) {
            return Ok(verdict);
        }
        if over {
            return Ok(Verdict::TimedOut { seconds: options.timeout.as_secs(), seen: view.seen() });
        }
    }
}

/// Tells what is new, once.
struct Teller<'a> {
    tell: &'a (dyn Fn(Progress) + Send + Sync),
    evaluated: bool,
    waiting: Vec<PlacementFailure>,
    groups: Vec<GroupProgress>,
    tasks: Told,
}

impl<'a> Teller<'a> {
    fn new(tell: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        Self { tell, evaluated: false, waiting: Vec::new(), groups: Vec::new(), tasks: Told::default() }
    }

    fn tell(&mut self, observer: &Observer<'_>) {
        let view = &observer.view;
        if let Some(evaluation) = view.evaluation.as_ref().filter(|e| e.is_done() && !self.evaluated) {
            self.evaluated = true;
            (self.tell)(Progress::Evaluated {
                evaluation: evaluation.id.clone(),
                deployment: view.deployment.as_ref().map(|d| d.id.clone()),
            });
        }
        if view.blocked != self.waiting {
            self.waiting.clone_from(&view.blocked);
            if !self.waiting.is_empty() {
                (self.tell)(Progress::Waiting { failures: self.waiting.clone() });
            }
        }
        for task in self.tasks.news(observer.audible()) {
            (self.tell)(Progress::Task(task));
        }
        let groups = view.groups();
        if groups != self.groups {
            self.groups.clone_from(&groups);
            (self.tell)(Progress::Groups { groups });
        }
    }
}

/// How long the server has been out of reach.
#[derive(Default)]
pub(super) struct Trouble(Option<Timestamp>);

impl Trouble {
    pub fn over(&mut self) {
        self.0 = None;
    }

    /// Tells of a failure that may pass, and waits a little; the error, once it has lasted for `limit`
    /// or won't pass.
    pub async fn bear(
        &mut self,
        error: NomadError,
        clock: &Clock,
        limit: Duration,
        tell: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<(), NomadError> {
        let since = *self.0.get_or_insert(clock.now());
        if !error.is_transient() || elapsed(clock, since) >= limit {
            return Err(error);
        }
        tell(Progress::Trouble { message: chain(&error) });
        clock.sleep(Duration::from_secs(1)).await;
        Ok(())
    }
}

pub(super) fn elapsed(clock: &Clock, since: Timestamp) -> Duration {
    Duration::try_from(clock.now().duration_since(since)).unwrap_or_default()
}

/// How long one request is held: two real seconds, so that task events get through soon; longer where
/// nobody watches.
pub(super) fn longest_wait(clock: &Clock) -> Duration {
    if clock.is_virtual() { Duration::from_secs(30) } else { Duration::from_secs(2).mul_f64(clock.speed()) }
}

/// A server (or a proxy) that holds no requests must not be asked in a tight loop: waits a little where
/// a query for what comes after index `asked` was answered `answered` too soon and without news.
pub(super) async fn breathe(clock: &Clock, (asked, answered): (u64, u64), wait: Duration, since: Timestamp) {
    let breath = Duration::from_millis(500).mul_f64(clock.speed());
    let news = answered > asked;
    if !news && elapsed(clock, since) < breath.min(wait.mul_f64(0.9)) {
        clock.sleep(breath.min(wait)).await;
    }
}

/// An error and its causes on one line.
fn chain(error: &NomadError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
