//! How a group is updated, migrated, restarted and rescheduled: the job's blocks below the group's, and
//! Nomad's defaults below both.

use super::found::{Found, time};
use super::group::Group;
use super::job::Whole;
use super::node::Node;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A block of the group over the same of the job.
#[derive(Clone, Copy)]
struct Layers<'a> {
    group: Option<Node<'a>>,
    job: Option<Node<'a>>,
}

impl<'a> Layers<'a> {
    /// None where neither has the block.
    fn of(whole: &'a Whole<'a>, group: &'a Node<'a>, own: &'a str, outer: &'a str) -> Option<Self> {
        let layers = Self { group: group.get(own), job: whole.node.get(outer) };
        (layers.group.is_some() || layers.job.is_some()).then_some(layers)
    }

    fn layer(&self, name: &str) -> Option<Node<'a>> {
        [self.group, self.job].into_iter().flatten().find(|layer| layer.has(name))
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.layer(name).and_then(|layer| layer.int(name)).unwrap_or(default)
    }

    fn text(&self, name: &str, default: &'a str) -> &'a str {
        self.layer(name).map_or(default, |layer| layer.text(name))
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        self.layer(name).map_or(default, |layer| layer.flag(name))
    }

    fn refuse(&self, name: &str, message: impl AsRef<str>, help: &str, found: &mut Found) {
        if let Some(layer) = self.layer(name).or(self.group).or(self.job) {
            found.refuse(&layer, if layer.has(name) { name } else { "" }, message, help);
        }
    }
}

/// How a group is updated.
pub struct Update<'a> {
    layers: Layers<'a>,
    pub canary: i64,
    pub max_parallel: i64,
    pub progress_deadline: i64,
    pub auto_promote: bool,
}

/// None where neither the job nor the group has the block.
pub fn update<'a>(whole: &'a Whole<'a>, group: &'a Node<'a>) -> Option<Update<'a>> {
    let layers = Layers::of(whole, group, "Update", "Update")?;
    Some(Update {
        layers,
        canary: layers.int("Canary", 0),
        max_parallel: layers.int("MaxParallel", 1),
        progress_deadline: layers.int("ProgressDeadline", 10 * MINUTE),
        auto_promote: layers.flag("AutoPromote", false),
    })
}

impl<'a> Update<'a> {
    /// The block that says how health is told, and what it says; none where no block does.
    /// What an update waits for, and where that stands: in the block that says it, or, for Nomad's default,
    /// in any.
    pub fn health_check(&self) -> Option<(Node<'a>, &'a str)> {
        let written = self.layers.layer("HealthCheck").map(|layer| (layer, layer.text("HealthCheck")));
        written.or_else(|| Some((self.block()?, "checks")))
    }

    /// The group's own block, or the job's.
    pub fn block(&self) -> Option<Node<'a>> {
        self.layers.group.or(self.layers.job)
    }
}

pub fn policies(group: &Group, found: &mut Found) {
    if let Some(update) = &group.update {
        updating(group, update, found);
    }
    migrating(group, found);
    restarting(group, found);
    rescheduling(group, found);
}

fn updating(group: &Group, update: &Update, found: &mut Found) {
    let layers = update.layers;
    let kind = group.whole.kind;
    if matches!(kind, "batch" | "sysbatch") && !is_nothing(&layers) {
        let at = layers.group.or(layers.job);
        if let Some(at) = at {
            let message = format!("a {kind} job can't have an update block");
            found.refuse(&at, "", message, "take it out: its tasks run to their end");
        }
    }
    let health = layers.text("HealthCheck", "checks");
    if !matches!(health, "checks" | "task_states" | "manual") {
        let help = "there are checks, task_states and manual";
        layers.refuse("HealthCheck", format!("`{health}` is no way to tell health"), help, found);
    }
    if update.max_parallel < 0 {
        let message = format!("`max_parallel` can't be {}", update.max_parallel);
        layers.refuse("MaxParallel", message, "0 for all at once, or more", found);
    }
    if update.canary < 0 {
        layers.refuse(
            "Canary",
            format!("there can't be {} canaries", update.canary),
            "0 is the least",
            found,
        );
    }
    if update.canary == 0 && update.auto_promote {
        let message = "`auto_promote` has no canaries to promote";
        layers.refuse("AutoPromote", message, "set canary = 1 or more, or take `auto_promote` out", found);
    }
    let least = layers.int("MinHealthyTime", 10 * SECOND);
    let (most, progress) = (layers.int("HealthyDeadline", 5 * MINUTE), update.progress_deadline);
    if least < 0 {
        layers.refuse("MinHealthyTime", "`min_healthy_time` is less than nothing", "use 0s or more", found);
    }
    if most <= 0 {
        layers.refuse("HealthyDeadline", "`healthy_deadline` leaves no time", "use more than 0s", found);
    }
    if progress < 0 {
        let help = "use 0s for the first failure to end it, or more";
        layers.refuse("ProgressDeadline", "`progress_deadline` is less than nothing", help, found);
    }
    if least >= most {
        too_short(&layers, least, most, found);
    }
    if progress != 0 && most >= progress {
        let message = format!(
            "`progress_deadline` ({}) is over before `healthy_deadline` ({})",
            time(progress),
            time(most)
        );
        let help = "make `progress_deadline` longer, or 0s for none";
        layers.refuse(written(&layers, "HealthyDeadline", "ProgressDeadline"), message, help, found);
    }
    if layers.int("Stagger", 30 * SECOND) <= 0 {
        layers.refuse("Stagger", "`stagger` leaves no time", "use more than 0s", found);
    }
}

/// Of two fields the one that the file has, the first before the second.
fn written<'n>(layers: &Layers, first: &'n str, second: &'n str) -> &'n str {
    if layers.layer(first).is_some() { first } else { second }
}

/// A job's update block of zeros alone counts as none, where the group has none of its own.
fn is_nothing(layers: &Layers) -> bool {
    let Some(job) = layers.job.filter(|_| layers.group.is_none()) else { return false };
    let numbers =
        ["Stagger", "MaxParallel", "MinHealthyTime", "HealthyDeadline", "ProgressDeadline", "Canary"];
    // Canary has no default other than zero.
    numbers.iter().all(|name| job.int(name).map_or(*name == "Canary", |value| value == 0))
        && job.has("HealthCheck")
        && job.text("HealthCheck").is_empty()
        && !job.flag("AutoRevert")
        && !job.flag("AutoPromote")
}

fn migrating(group: &Group, found: &mut Found) {
    let Some(layers) = Layers::of(group.whole, group.node, "Migrate", "Migrate") else { return };
    if !group.whole.is_service() {
        if let Some(at) = layers.group.or(layers.job) {
            let message = format!("a {} job can't have a migrate block", group.whole.kind);
            found.refuse(&at, "", message, "take it out: only service jobs are migrated");
        }
        return;
    }
    let parallel = layers.int("MaxParallel", 1);
    if parallel < 0 {
        layers.refuse("MaxParallel", format!("`max_parallel` can't be {parallel}"), "0 is the least", found);
    }
    let health = layers.text("HealthCheck", "checks");
    if !matches!(health, "checks" | "task_states") && (!health.is_empty() || parallel > 0) {
        let help = "there are checks and task_states";
        layers.refuse("HealthCheck", format!("{health:?} is no way to tell health"), help, found);
    }
    let (least, most) =
        (layers.int("MinHealthyTime", 10 * SECOND), layers.int("HealthyDeadline", 5 * MINUTE));
    for (name, word, value) in
        [("MinHealthyTime", "min_healthy_time", least), ("HealthyDeadline", "healthy_deadline", most)]
    {
        if value < 0 {
            layers.refuse(name, format!("`{word}` is less than nothing"), "use 0s or more", found);
        }
    }
    if least > most {
        too_short(&layers, least, most, found);
    }
}

/// An instance can't be healthy for as long as it must within the time that it has.
fn too_short(layers: &Layers, least: i64, most: i64, found: &mut Found) {
    let message = format!(
        "an instance has {} to become healthy (`healthy_deadline`) and must be so for {} (`min_healthy_time`)",
        time(most),
        time(least)
    );
    let name = written(layers, "MinHealthyTime", "HealthyDeadline");
    layers.refuse(name, message, "make the first longer than the second", found);
}

fn restarting(group: &Group, found: &mut Found) {
    let Some(block) = group.node.get("RestartPolicy") else { return };
    let (attempts, interval) = match group.whole.kind {
        "service" | "system" => (2, 30 * MINUTE),
        _ => (3, 24 * HOUR),
    };
    let attempts = block.int("Attempts").unwrap_or(attempts);
    let interval = block.int("Interval").unwrap_or(interval);
    let delay = block.int("Delay").unwrap_or(15 * SECOND);
    let mode = block.text_or("Mode", "fail");
    if !matches!(mode, "delay" | "fail") {
        let message = format!("`{mode}` is no mode of a restart");
        found.refuse(&block, "Mode", message, "there are fail and delay");
    }
    if attempts == 0 && mode != "fail" {
        let message = format!("no attempts and mode `{mode}` contradict each other");
        found.refuse(&block, "Attempts", message, "set mode = \"fail\", or attempts = 1 or more");
    }
    if interval < 5 * SECOND {
        let message = format!("an interval of {} is too short", time(interval));
        found.refuse(&block, "Interval", message, "5s is the least");
    } else if attempts.wrapping_mul(delay) > interval {
        let message = format!(
            "{attempts} restarts with {} between them don't fit into {}",
            time(delay),
            time(interval)
        );
        found.refuse(&block, "Interval", message, "make `interval` longer, or `attempts` or `delay` less");
    }
}

fn rescheduling(group: &Group, found: &mut Found) {
    let Some(layers) = Layers::of(group.whole, group.node, "ReschedulePolicy", "Reschedule") else { return };
    let kind = group.whole.kind;
    if matches!(kind, "system" | "sysbatch") {
        if let Some(at) = layers.group.or(layers.job) {
            let message = format!("a {kind} job can't have a reschedule block");
            found.refuse(&at, "", message, "take it out: it runs on every node anyway");
        }
        return;
    }
    let (attempts, interval, delay, function, ceiling, unlimited) = match kind {
        "service" => (0, 0, 30 * SECOND, "exponential", HOUR, true),
        "batch" => (1, 24 * HOUR, 5 * SECOND, "constant", 0, false),
        _ => return,
    };
    let policy = Reschedule {
        attempts: layers.int("Attempts", attempts),
        interval: layers.int("Interval", interval),
        delay: layers.int("Delay", delay),
        function: layers.text("DelayFunction", function),
        ceiling: layers.int("MaxDelay", ceiling),
        unlimited: layers.flag("Unlimited", unlimited),
    };
    policy.check(&layers, found);
}

struct Reschedule<'a> {
    attempts: i64,
    interval: i64,
    delay: i64,
    function: &'a str,
    ceiling: i64,
    unlimited: bool,
}

impl Reschedule<'_> {
    fn check(&self, layers: &Layers, found: &mut Found) {
        let Self { attempts, interval, delay, function, ceiling, unlimited } = *self;
        if attempts <= 0 && !unlimited {
            return;
        }
        if attempts > 0 && unlimited {
            let message = format!("{attempts} attempts and `unlimited` contradict each other");
            layers.refuse("Attempts", message, "set unlimited = false, or attempts = 0", found);
        } else if attempts > 0 && interval <= 0 {
            layers.refuse(
                "Interval",
                "the attempts have no interval",
                "add interval = \"1h\", for example",
                found,
            );
        }
        let mut sound = true;
        if delay < 5 * SECOND {
            let message = format!("a delay of {} is too short", time(delay));
            layers.refuse("Delay", message, "5s is the least", found);
            sound = false;
        }
        if !matches!(function, "constant" | "exponential" | "fibonacci") {
            let help = "there are constant, exponential and fibonacci";
            layers.refuse(
                "DelayFunction",
                format!("`{function}` is no way for a delay to grow"),
                help,
                found,
            );
            sound = false;
        }
        if function != "constant" && (ceiling < 5 * SECOND || ceiling < delay) {
            let message = format!("a longest delay of {} is too short", time(ceiling));
            let help = "it can't be less than 5s, or less than `delay`";
            layers.refuse("MaxDelay", message, help, found);
            sound = false;
        }
        if unlimited {
            return;
        }
        if interval < 15 * SECOND && interval > 0 {
            let message = format!("an interval of {} is too short", time(interval));
            layers.refuse("Interval", message, "15s is the least", found);
        } else if sound && interval > 0 && !self.fits() {
            let message = format!(
                "{attempts} attempts don't fit into {}, with a delay of {} that is {function}",
                time(interval),
                time(delay)
            );
            layers.refuse(
                "Interval",
                message,
                "make `interval` longer, or `attempts` or `delay` less",
                found,
            );
        }
    }

    /// Whether the attempts fit into the interval, by Nomad's own count.
    fn fits(&self) -> bool {
        // More are not counted here: it would take longer than it tells.
        if self.attempts > 10_000 {
            return true;
        }
        match self.function {
            "constant" => self.interval >= self.attempts.wrapping_mul(self.delay),
            "exponential" => {
                let (mut possible, mut needed) = (0, 0_i64);
                for i in 0..self.attempts {
                    let factor = if i < 63 { 1_i64 << i } else { i64::MIN };
                    let next = factor.wrapping_mul(self.delay);
                    needed = if next > self.ceiling { needed.wrapping_add(self.ceiling) } else { next };
                    if needed < self.interval {
                        possible += 1;
                    }
                }
                possible >= self.attempts
            }
            _ => {
                let (mut before, mut last, mut reached) = (self.delay, self.delay, false);
                for _ in 2..self.attempts {
                    let mut next = last.wrapping_add(if reached { self.ceiling } else { before });
                    if !reached && next > self.ceiling {
                        next = self.ceiling;
                        reached = true;
                    }
                    (before, last) = (last, next);
                }
                self.interval >= last
            }
        }
    }
}
