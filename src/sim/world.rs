//! The world: cluster, database, production and machines under one lock and one clock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use super::faults::{Fault, FaultKind};
use super::infrastructure::Infrastructure;
use super::nomad::{self, Cluster, NodeSize};
use super::production::{Production, ProductionError, Report};
use super::random::Chance;
use super::services;
use crate::base::Clock;
use crate::http::Memory;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    pub clock: Clock,
    pub seed: u64,
    /// The `SQLite` file that is the environment's database; beside it lies its backup while it is down.
    pub database: PathBuf,
    /// How long ago the environment was stopped.
    pub downtime: Duration,
    /// Sizes of nodes by name; `*` is every other one.
    pub nodes: BTreeMap<String, NodeSize>,
    /// With a token, calls without it are refused.
    pub token: Option<String>,
    /// Where the Nomad API is served (`HOST:PORT`): nodes tell it as their own address.
    pub address: String,
}

impl WorldOptions {
    pub fn new(clock: Clock, database: impl Into<PathBuf>) -> Self {
        Self {
            clock,
            seed: 0,
            database: database.into(),
            downtime: Duration::ZERO,
            nodes: BTreeMap::new(),
            token: None,
            address: "127.0.0.1:4646".into(),
        }
    }
}

/// A handle on a world; clones are the same world.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    clock: RwLock<Clock>,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    /// The agenda's head moved: `run` has to look again.
    moved: Notify,
    address: RwLock<String>,
    doors: Mutex<Option<Doors>>,
    options: WorldOptions,
}

/// Where a world answers in memory.
struct Doors {
    memory: Memory,
    nomad: String,
    services: String,
}

struct State {
    cluster: Option<Cluster>,
    production: Production,
    infrastructure: Infrastructure,
    faults: Vec<Fault>,
    /// What went wrong with the database, until somebody asks.
    trouble: Option<ProductionError>,
}

impl World {
    /// A world whose environment is down, and was stopped `downtime` ago.
    pub fn new(options: WorldOptions) -> Result<Self, ProductionError> {
        let now = options.clock.now();
        let downtime = SignedDuration::try_from(options.downtime).unwrap_or(SignedDuration::MAX);
        let stopped = now.checked_sub(downtime).unwrap_or(now);
        let production = Production::new(options.database.clone(), Chance::new(options.seed), stopped)?;
        let state = State {
            cluster: None,
            production,
            infrastructure: Infrastructure::none(),
            faults: Vec::new(),
            trouble: None,
        };
        Ok(Self(Arc::new(Inner {
            clock: RwLock::new(options.clock.clone()),
            state: Mutex::new(state),
            changed: watch::channel(0).0,
            moved: Notify::new(),
            address: RwLock::new(options.address.clone()),
            doors: Mutex::new(None),
            options,
        })))
    }

    /// Nomad's HTTP API. Whoever serves it closes the door while the Nomad server is down.
    pub fn nomad(&self) -> Router {
        nomad::routes::router(self.clone())
    }

    /// What the environment's own services answer: publication and index lag.
    pub fn services(&self) -> Router {
        services::router(self.clone())
    }

    /// Answers in memory from now on, at these origins: the Nomad API's is closed while its server is down.
    pub fn serve_in(&self, memory: &Memory, nomad: &str, services: &str) {
        let doors = Doors { memory: memory.clone(), nomad: nomad.to_owned(), services: services.to_owned() };
        *self.0.doors.lock().unwrap_or_else(PoisonError::into_inner) = Some(doors);
        self.move_doors();
    }

    fn move_doors(&self) {
        let up = self.infrastructure().nomad_server;
        let doors = self.0.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(doors) = &*doors else { return };
        doors.memory.serve(doors.services.clone(), self.services());
        if up {
            doors.memory.serve(doors.nomad.clone(), self.nomad());
        } else {
            doors.memory.close(&doors.nomad);
        }
    }

    /// Lets changes happen when they are due. Never ends: spawn it, and abort it when the world is done with.
    pub async fn run(self) {
        loop {
            let next = self.locked(|state| state.next());
            match next {
                Some(at) => {
                    let clock = self.clock();
                    tokio::select! {
                        () = clock.sleep_until(at) => {}
                        () = self.0.moved.notified() => {}
                    }
                }
                None => self.0.moved.notified().await,
            }
        }
    }

    /// The clock this world lives on now.
    pub fn clock(&self) -> Clock {
        self.0.clock.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lives on another clock from now on; it mustn't tell an earlier time.
    pub fn set_clock(&self, clock: Clock) {
        *self.0.clock.write().unwrap_or_else(PoisonError::into_inner) = clock;
        self.0.moved.notify_one();
        self.locked(|_| ());
    }

    /// Lets a time pass at once. Answers the clock that goes on from there.
    pub fn jump(&self, ahead: Duration) -> Clock {
        let clock = self.clock();
        let moved = clock.moved(ahead, clock.speed());
        self.set_clock(moved.clone());
        moved
    }

    pub fn set_address(&self, address: &str) {
        address.clone_into(&mut self.0.address.write().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn address(&self) -> String {
        self.0.address.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is up now.
    pub fn infrastructure(&self) -> Infrastructure {
        self.locked(|state| state.infrastructure.clone())
    }

    /// Machines come and go: with the Nomad server its jobs, with the database its file.
    pub fn set_infrastructure(&self, wanted: Infrastructure) -> Result<(), ProductionError> {
        let now = self.clock().now();
        let address = self.address();
        let options = &self.0.options;
        let done = self.locked(|state| {
            if wanted.nomad_server && state.cluster.is_none() {
                state.cluster = Some(Cluster::new(now, Chance::new(options.seed)));
            } else if !wanted.nomad_server {
                state.cluster = None;
            }
            if let Some(cluster) = &mut state.cluster {
                cluster.set_nodes(&wanted.nodes, &options.nodes, &address);
            }
            let done = if wanted.database { state.production.open(now) } else { state.production.close() };
            state.infrastructure = wanted;
            state.follow_services(now);
            done
        });
        self.move_doors();
        self.0.changed.send_modify(|n| *n += 1);
        done
    }

    /// What an observer of the whole sees; no plan can.
    pub fn report(&self) -> Result<Report, ProductionError> {
        let now = self.clock().now();
        self.locked(|state| state.trouble.take().map_or_else(|| state.production.report(now), Err))
    }

    /// Has the next requests fare badly.
    pub fn inject(&self, fault: Fault) {
        self.locked(|state| state.faults.push(fault));
    }

    /// Has an allocation not get well any more once it is restarted, or get well again. Whether there is one of
    /// that id.
    pub fn ail(&self, allocation: &str, ails: bool) -> bool {
        let known = self.cluster(|cluster| {
            if ails {
                cluster.ailing.insert(allocation.to_owned());
            } else {
                cluster.ailing.remove(allocation);
            }
            cluster.allocations.contains_key(allocation)
        });
        known.unwrap_or_default()
    }

    /// The faults that no request has met yet.
    pub fn faults(&self) -> Vec<Fault> {
        self.locked(|state| state.faults.clone())
    }

    pub(super) fn take_fault(&self, path: &str) -> Option<FaultKind> {
        self.locked(|state| {
            let mut due = None;
            for fault in state.faults.iter_mut().filter(|fault| path.starts_with(&fault.path)) {
                if fault.skip > 0 {
                    fault.skip -= 1;
                } else if due.is_none() && fault.times > 0 {
                    fault.times -= 1;
                    due = Some(fault.kind);
                }
            }
            state.faults.retain(|fault| fault.times > 0);
            due
        })
    }

    /// Whether calls need a token.
    pub(super) fn guarded(&self) -> bool {
        self.0.options.token.is_some()
    }

    pub(super) fn admits(&self, token: Option<&str>) -> bool {
        self.0.options.token.as_deref().is_none_or(|wanted| token == Some(wanted))
    }

    /// Tells of every change.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Works with the cluster as it is now; none while there is no Nomad server.
    pub(super) fn cluster<R>(&self, work: impl FnOnce(&mut Cluster) -> R) -> Option<R> {
        self.locked(|state| state.cluster.as_mut().map(work))
    }

    pub(super) fn production<R>(&self, work: impl FnOnce(&mut Production, Timestamp) -> R) -> R {
        let now = self.clock().now();
        self.locked(|state| work(&mut state.production, now))
    }

    /// Brings the world up to now, works with it, and tells those who wait.
    fn locked<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        let now = self.clock().now();
        let mut state: MutexGuard<'_, State> = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (state.index(), state.next());
        state.advance(now);
        let result = work(&mut state);
        let after = (state.index(), state.next());
        drop(state);
        if before.0 != after.0 {
            self.0.changed.send_modify(|n| *n += 1);
        }
        if before.1 != after.1 {
            self.0.moved.notify_one();
        }
        result
    }
}

impl State {
    fn index(&self) -> u64 {
        self.cluster.as_ref().map_or(0, |c| c.index)
    }

    fn next(&self) -> Option<Timestamp> {
        let cluster = self.cluster.as_ref().and_then(Cluster::next);
        [cluster, self.production.next()].into_iter().flatten().min()
    }

    /// Everything due by `now` happens, in the order of its time.
    fn advance(&mut self, now: Timestamp) {
        while let Some(at) = self.next().filter(|at| *at <= now) {
            if let Some(cluster) = &mut self.cluster {
                cluster.advance(at);
            }
            self.follow_services(at);
            if let Err(error) = self.production.advance(at) {
                self.trouble = Some(error);
            }
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.advance(now);
        }
    }

    fn follow_services(&mut self, now: Timestamp) {
        let running = self.cluster.as_ref().map(Cluster::running_jobs).unwrap_or_default();
        self.production.set_running(running, now);
    }
}
