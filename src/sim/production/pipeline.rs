//! How products come to be: creation, configuration, execution, publication, indexing, each as far as its
//! service runs and its capacity reaches.
//!
//! A product is *degraded* if, when it is generated, one of its needed products isn't published. It waits
//! for needed ones that are under way, but not beyond a day of age: after a short stop everything falls into
//! place by itself, after a long one it does not.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::database::{self, Parameters, ProductionError, Stage};
use super::types::{self, JobType, MARGIN, PATIENCE, TYPES, UP_TO_DATE};
use crate::sim::random::Chance;

/// Seconds between two rounds of work.
const ROUND: i64 = 300;
/// Products a worker instance makes in an hour.
const PER_WORKER: f64 = 20.0;
/// Products published, and indexed, in an hour at most.
const PUBLISHED: f64 = 260.0;

/// The backlogs, and what works them off.
pub struct Production {
    path: PathBuf,
    pub(super) db: Option<Connection>,
    chance: Chance,
    running: BTreeSet<String>,
    /// Times at which work is done, soonest first; the regular round is added when the last one is over.
    rounds: BTreeSet<i64>,
    worked: i64,
    carried: BTreeMap<&'static str, f64>,
    pub(super) opened: i64,
    pub(super) started: BTreeMap<&'static str, i64>,
    pub(super) caught_up: BTreeMap<&'static str, i64>,
}

impl Production {
    /// Nothing runs; the backup of the database is as it was at the stop.
    pub fn new(path: PathBuf, chance: Chance, stopped: Timestamp) -> Result<Self, ProductionError> {
        // A file that is there was left by a world that ended without taking its environment down.
        if path.exists() || !database::backup_path(&path).exists() {
            let mut db = database::open(&path)?;
            database::fill_history(&mut db, stopped.as_second())?;
            database::put_away(db, &path)?;
        }
        Ok(Self {
            path,
            db: None,
            chance,
            running: BTreeSet::new(),
            rounds: BTreeSet::new(),
            worked: stopped.as_second(),
            carried: BTreeMap::new(),
            opened: 0,
            started: BTreeMap::new(),
            caught_up: BTreeMap::new(),
        })
    }

    /// The database comes up, with what its backup holds.
    pub fn open(&mut self, now: Timestamp) -> Result<(), ProductionError> {
        if self.db.is_some() {
            return Ok(());
        }
        database::bring_back(&self.path)?;
        let mut db = database::open(&self.path)?;
        database::fill_history(&mut db, now.as_second())?;
        self.db = Some(db);
        self.opened = now.as_second();
        self.started.clear();
        self.caught_up.clear();
        self.plan_rounds(now.as_second());
        Ok(())
    }

    /// The database goes; its backup stays.
    pub fn close(&mut self) -> Result<(), ProductionError> {
        self.rounds.clear();
        match self.db.take() {
            Some(db) => database::put_away(db, &self.path),
            None => Ok(()),
        }
    }

    /// The services whose allocations run now, by job ID.
    pub fn set_running(&mut self, jobs: BTreeSet<String>, now: Timestamp) {
        let jobs: BTreeSet<String> = jobs.into_iter().map(|id| id.replace('-', "_")).collect();
        if jobs != self.running {
            self.running = jobs;
            self.plan_rounds(now.as_second());
        }
    }

    /// When work is done next.
    pub fn next(&self) -> Option<Timestamp> {
        self.rounds.first().and_then(|at| Timestamp::from_second(*at).ok())
    }

    /// Does the work that is due.
    pub fn advance(&mut self, now: Timestamp) -> Result<(), ProductionError> {
        let now = now.as_second();
        while let Some(at) = self.rounds.first().copied().filter(|at| *at <= now) {
            self.rounds.pop_first();
            if self.rounds.is_empty() {
                self.plan_regular(at);
            }
            self.work(at)?;
        }
        Ok(())
    }

    /// The horizon of the named types, or of the enabled ones; none while the database is down.
    pub fn horizons(
        &self,
        stage: Stage,
        names: &[String],
    ) -> Result<Option<Vec<(String, i64)>>, ProductionError> {
        let Some(db) = &self.db else { return Ok(None) };
        let enabled = database::parameters(db)?.enabled;
        let wanted = if names.is_empty() { &enabled[..] } else { names };
        let mut found = Vec::new();
        for t in TYPES.iter().filter(|t| wanted.iter().any(|w| w == t.name)) {
            found.push((t.name.to_owned(), database::horizon(db, t, stage)?));
        }
        Ok(Some(found))
    }

    /// A service that has just come up starts with a round of work of its own.
    fn plan_rounds(&mut self, now: i64) {
        if self.db.is_none() || self.running.is_empty() {
            self.rounds.clear();
            return;
        }
        self.rounds.insert(now + 1);
    }

    fn plan_regular(&mut self, now: i64) {
        if self.db.is_some() && !self.running.is_empty() {
            self.rounds.insert(now - now.rem_euclid(ROUND) + ROUND);
        }
    }

    fn runs(&self, service: &str) -> bool {
        self.running.contains(service)
    }

    fn work(&mut self, now: i64) -> Result<(), ProductionError> {
        let Some(mut db) = self.db.take() else { return Ok(()) };
        let done = self.work_with(&mut db, now);
        self.db = Some(db);
        self.worked = now;
        done
    }

    fn work_with(&mut self, db: &mut Connection, now: i64) -> Result<(), ProductionError> {
        #[expect(clippy::cast_precision_loss, reason = "at most a round's seconds")]
        let hours = (now - self.worked).clamp(0, ROUND) as f64 / 3600.0;
        let parameters = database::parameters(db)?;
        let work = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        if self.runs("job_creation") {
            for t in TYPES.iter().filter(|t| parameters.enabled.iter().any(|e| e == t.name)) {
                self.started.entry(t.name).or_insert(now);
                create(&work, t, &parameters, now)?;
            }
            if parameters.enabled.iter().any(|e| e == "gfsc_job") {
                create_daily(&work, &parameters, now)?;
            }
        }
        if self.runs("job_configuration") {
            work.prepare_cached("update jobs set status = 'ready' where status = 'created'")?.execute(())?;
        }
        if self.runs("job_execution") && self.runs("worker_pool_management") {
            #[expect(clippy::cast_precision_loss, reason = "a handful of workers")]
            let capacity = parameters.workers.clamp(0, 1000) as f64 * PER_WORKER * hours;
            let capacity = capacity * self.chance.between(&format!("execution {now}"), 0.85, 1.15);
            let capacity = self.whole("execution", capacity);
            execute(&work, capacity, now)?;
        }
        if self.runs("job_publication") {
            let capacity = self.whole("publication", PUBLISHED * hours);
            self.pass_on(&work, Stage::Generated, Stage::Published, "published", capacity, now)?;
        }
        // The index lies outside: it takes up what was published as long as anything is there to tell it.
        let capacity = self.whole("indexing", PUBLISHED * hours);
        self.pass_on(&work, Stage::Published, Stage::Indexed, "done", capacity, now)?;
        for t in &TYPES {
            if self.started.contains_key(t.name) && !self.caught_up.contains_key(t.name) {
                let mut behind = false;
                for stage in [Stage::Generated, Stage::Published, Stage::Indexed] {
                    behind |= now - database::horizon(&work, t, stage)? >= UP_TO_DATE;
                }
                if !behind {
                    self.caught_up.insert(t.name, now);
                }
            }
        }
        work.commit()?;
        Ok(())
    }

    /// Whole products out of a capacity; what is left over is kept for the next round.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
    fn whole(&mut self, of: &'static str, capacity: f64) -> usize {
        let left = self.carried.entry(of).or_default();
        let all = *left + capacity;
        *left = all.fract();
        all.floor() as usize
    }

    /// Publishes or indexes what has been ready long enough, type by type in turn.
    fn pass_on(
        &self,
        db: &Connection,
        from: Stage,
        to: Stage,
        status: &str,
        capacity: usize,
        now: i64,
    ) -> Result<(), ProductionError> {
        let (ready, done) = (from.column(), to.column());
        let mut queues: Vec<VecDeque<i64>> = Vec::new();
        let sql = format!(
            "select id, {ready}, product_time from jobs
             where type = ?1 and {done} is null and {ready} is not null order by product_time limit 60"
        );
        for t in &TYPES {
            let mut queue = VecDeque::new();
            let mut find = db.prepare_cached(&sql)?;
            let mut rows = find.query((t.name,))?;
            while let Some(row) = rows.next()? {
                let (id, since, product): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                // Whoever works off a backlog waits longer at every counter.
                let late = since - product > 2 * 3600;
                let (low, high) = if late { (720.0, 1500.0) } else { (180.0, 480.0) };
                #[expect(clippy::cast_possible_truncation, reason = "below an hour")]
                let takes = self.chance.between(&format!("{done} {} {product}", t.name), low, high) as i64;
                if since + takes <= now {
                    queue.push_back(id);
                }
            }
            queues.push(queue);
        }
        let sql = format!("update jobs set {done} = ?2, status = ?3 where id = ?1");
        for id in in_turn(queues, capacity) {
            db.prepare_cached(&sql)?.execute((id, now, status))?;
        }
        Ok(())
    }
}

/// Makes rows for everything a type hasn't got yet.
fn create(db: &Connection, t: &JobType, parameters: &Parameters, now: i64) -> Result<(), ProductionError> {
    let last: Option<i64> = db
        .prepare_cached("select max(product_time) from jobs where type = ?1")?
        .query_row((t.name,), |r| r.get(0))?;
    let newest = now - now.rem_euclid(t.every);
    let mut at = last.map_or(newest, |l| l + t.every);
    if t.name == "rlies1s2_job" {
        // It doesn't look for its last product: it searches some days backward from now.
        let earliest = now - parameters.search_window_days.clamp(0, 3650) * 86_400;
        let earliest = earliest + (t.every - earliest.rem_euclid(t.every)) % t.every;
        at = at.max(earliest);
    }
    let mut insert = db.prepare_cached(
        "insert or ignore into jobs (type, status, product_time, created_at) values (?1, 'created', ?2, ?3)",
    )?;
    while at <= newest {
        insert.execute((t.name, at, now))?;
        at += t.every;
    }
    Ok(())
}

/// The gap-filled daily products: of the last two days, or from the day that the parameters name.
fn create_daily(db: &Connection, parameters: &Parameters, now: i64) -> Result<(), ProductionError> {
    let today = now.div_euclid(86_400);
    let named = parameters
        .daily_start
        .as_deref()
        .and_then(|d| d.get(..10))
        .and_then(|d| d.parse::<jiff::civil::Date>().ok())
        .and_then(|d| d.to_zoned(jiff::tz::TimeZone::UTC).ok())
        .map(|z| z.timestamp().as_second().div_euclid(86_400));
    let first = named.map_or(today - 2, |n| n.min(today - 2)).max(today - 365);
    for day in first..today {
        db.prepare_cached("insert or ignore into daily_jobs values (?1, ?2)")?.execute((day, now))?;
    }
    Ok(())
}

/// Generates up to a number of products, type by type in turn, oldest first.
fn execute(db: &Connection, capacity: usize, now: i64) -> Result<(), ProductionError> {
    let mut queues: Vec<VecDeque<(i64, bool)>> = Vec::new();
    for t in &TYPES {
        let mut queue = VecDeque::new();
        let mut find = db.prepare_cached(
            "select id, product_time from jobs
             where type = ?1 and generated_at is null and status = 'ready' order by product_time limit ?2",
        )?;
        let mut rows = find.query((t.name, i64::try_from(capacity).unwrap_or(i64::MAX)))?;
        while let Some(row) = rows.next()? {
            let (id, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            match inputs(db, t, at)? {
                Inputs::Published => queue.push_back((id, false)),
                Inputs::UnderWay if now - at < PATIENCE => {}
                Inputs::UnderWay | Inputs::Missing => queue.push_back((id, true)),
            }
        }
        queues.push(queue);
    }
    for (id, degraded) in in_turn(queues, capacity) {
        let quality = if degraded { "degraded" } else { "nominal" };
        db.prepare_cached(
            "update jobs set generated_at = ?2, quality = ?3, status = 'generated' where id = ?1",
        )?
        .execute((id, now, quality))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Inputs {
    Published,
    UnderWay,
    Missing,
}

/// Whether what a product of this time is made of has been published.
fn inputs(db: &Connection, t: &JobType, at: i64) -> Result<Inputs, ProductionError> {
    let mut worst = Inputs::Published;
    for need in t.needs.iter().filter_map(|n| types::of(n)) {
        let upto = at - MARGIN;
        let found: Option<(i64, Option<i64>)> = db
            .prepare_cached(
                "select product_time, published_at from jobs where type = ?1 and product_time <= ?2
                 order by product_time desc limit 1",
            )?
            .query_row((need.name, upto), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        worst = worst.max(match found {
            Some((time, Some(_))) if time > upto - need.every => Inputs::Published,
            Some((time, None)) if time > upto - need.every => Inputs::UnderWay,
            _ => Inputs::Missing,
        });
    }
    Ok(worst)
}

/// Takes from queues in turn, up to a number.
fn in_turn<T>(mut queues: Vec<VecDeque<T>>, most: usize) -> Vec<T> {
    let mut out = Vec::new();
    while out.len() < most && queues.iter().any(|q| !q.is_empty()) {
        for queue in &mut queues {
            if out.len() < most {
                out.extend(queue.pop_front());
            }
        }
    }
    out
}
