//! A sandbox from its start to its end.
//!
//! Guarantees: the Nomad API listens exactly while the Nomad server's instance exists; `sandbox.json` says at
//! any time what clock the world lives on; the file is gone when the sandbox has ended in order. Does not
//! keep Nomad's jobs over its own end; the database it does.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::control;
use super::file::{ClockFile, SandboxFile};
use super::listener::Door;
use crate::base::Clock;
use crate::base::paths::private_dir;
use crate::sim::production::ProductionError;
use crate::sim::{Infrastructure, NodeSize, World, WorldOptions};

/// How often a Terraform state is looked at, in real time.
const LOOK: Duration = Duration::from_millis(200);

/// What a sandbox is started with.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where the Nomad API is served; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Simulated seconds in a real one.
    pub speed: f64,
    pub seed: u64,
    pub downtime: Duration,
    /// Where `sandbox.json` and the database lie.
    pub state_dir: PathBuf,
    /// The state that says which machines there are. Without one all of them are there from the start.
    pub terraform_state: Option<PathBuf>,
    /// What is up while there is no such state.
    pub without_state: Infrastructure,
    /// The last time that is known of, such as the journal's: the clock starts no earlier than the
    /// downtime after it.
    pub not_before: Option<Timestamp>,
    pub nodes: BTreeMap<String, NodeSize>,
    pub token: Option<String>,
}

impl SandboxOptions {
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4646)),
            speed: 1.0,
            seed: 0,
            downtime: Duration::ZERO,
            state_dir: state_dir.into(),
            terraform_state: None,
            without_state: Infrastructure::none(),
            not_before: None,
            nodes: BTreeMap::new(),
            token: None,
        }
    }
}

/// Why a sandbox couldn't start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    #[error("{address} is taken by another program")]
    Taken { address: SocketAddr, source: io::Error },
    #[error("{address} could not be listened on")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{path} could not be written")]
    File { path: PathBuf, source: io::Error },
    #[error("a speed must be above 0")]
    Speed,
    #[error("the simulated environment failed")]
    World(#[from] ProductionError),
}

/// A running sandbox; clones are the same one.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    world: World,
    options: SandboxOptions,
    nomad: Mutex<Door>,
    file: Mutex<SandboxFile>,
    ended: CancellationToken,
    failed: Mutex<Option<DoorError>>,
}

impl Sandbox {
    /// Opens the doors, writes `sandbox.json`, and lets the world run.
    pub async fn start(options: SandboxOptions) -> Result<Self, DoorError> {
        if !(options.speed.is_finite() && options.speed > 0.0) {
            return Err(DoorError::Speed);
        }
        private_dir(&options.state_dir)
            .map_err(|source| DoorError::File { path: options.state_dir.clone(), source })?;
        let real = Clock::real();
        // What is known of the past ends with the stop: the downtime comes after it.
        let ahead = options.not_before.map_or(Duration::ZERO, |earliest| {
            let left = SignedDuration::try_from(options.downtime).unwrap_or(SignedDuration::MAX);
            let from = earliest.checked_add(left).unwrap_or(earliest);
            Duration::try_from(from.duration_since(real.now())).unwrap_or_default()
        });
        let clock = real.moved(ahead, options.speed);
        let database = options.state_dir.join("environment.db");
        let world = World::new(WorldOptions {
            clock: clock.clone(),
            seed: options.seed,
            database: database.clone(),
            downtime: options.downtime,
            nodes: options.nodes.clone(),
            token: options.token.clone(),
            address: options.listen.to_string(),
        })?;
        let nomad = reserve(options.listen, world.nomad())?;
        world.set_address(&nomad.address().to_string());
        let beside = SocketAddr::new(options.listen.ip(), 0);
        let mut services = reserve(beside, world.services())?;
        let token = world_token();
        let inner = Arc::new(Inner {
            file: Mutex::new(SandboxFile {
                version: SandboxFile::VERSION,
                pid: std::process::id(),
                nomad: format!("http://{}", nomad.address()),
                services: format!("http://{}", services.address()),
                database,
                control: String::new(),
                token: token.clone(),
                down_since: (!options.downtime.is_zero()).then(|| {
                    clock.now() - jiff::SignedDuration::try_from(options.downtime).unwrap_or_default()
                }),
                clock: ClockFile::of(&clock).unwrap_or(ClockFile {
                    from: clock.now(),
                    since_unix_ms: unix_ms(),
                    speed: options.speed,
                }),
            }),
            world: world.clone(),
            options,
            nomad: Mutex::new(nomad),
            ended: CancellationToken::new(),
            failed: Mutex::new(None),
        });
        let sandbox = Self(inner);
        let mut control =
            reserve(SocketAddr::from(([127, 0, 0, 1], 0)), control::router(sandbox.clone(), token))?;
        let listening = |door: &mut Door| {
            let address = door.address();
            door.open().map_err(|source| DoorError::Listen { address, source })
        };
        listening(&mut services)?;
        listening(&mut control)?;
        sandbox.0.file.lock().await.control = format!("http://{}", control.address());
        let machines = sandbox.machines().unwrap_or_default();
        sandbox.set_infrastructure(machines).await?;
        sandbox.write().await?;
        let ended = sandbox.0.ended.clone();
        let follower = sandbox.clone();
        tokio::spawn(async move {
            // The doors live as long as the sandbox.
            let _doors = (services, control);
            tokio::select! {
                () = world.run() => {}
                () = follower.follow() => {}
                () = ended.cancelled() => {}
            }
        });
        Ok(sandbox)
    }

    pub fn world(&self) -> &World {
        &self.0.world
    }

    /// What `sandbox.json` says now.
    pub async fn file(&self) -> SandboxFile {
        self.0.file.lock().await.clone()
    }

    /// Machines come and go; the Nomad API's door with its server.
    pub async fn set_infrastructure(&self, machines: Infrastructure) -> Result<(), DoorError> {
        let up = machines.nomad_server;
        let mut door = self.0.nomad.lock().await;
        let address = door.address();
        let failed = |source| DoorError::Listen { address, source };
        if !up {
            door.close().await.map_err(failed)?;
        }
        self.0.world.set_infrastructure(machines)?;
        if up {
            door.open().map_err(failed)?;
        }
        Ok(())
    }

    /// Lets a time pass at once.
    pub async fn jump(&self, ahead: Duration) -> Result<(), DoorError> {
        self.0.world.jump(ahead);
        self.write().await
    }

    /// Changes how fast time passes.
    pub async fn set_speed(&self, speed: f64) -> Result<(), DoorError> {
        if !(speed.is_finite() && speed > 0.0) {
            return Err(DoorError::Speed);
        }
        let clock = self.0.world.clock().moved(Duration::ZERO, speed);
        self.0.world.set_clock(clock);
        self.write().await
    }

    /// Ends the sandbox: doors close, the database is put away, `sandbox.json` goes.
    pub async fn shut_down(&self) -> Result<(), DoorError> {
        let ended = self.set_infrastructure(Infrastructure::none()).await;
        let _ = std::fs::remove_file(SandboxFile::path(&self.0.options.state_dir));
        self.0.ended.cancel();
        ended
    }

    /// Returns once somebody has shut the sandbox down, or it couldn't go on.
    pub async fn ended(&self) -> Result<(), DoorError> {
        self.0.ended.cancelled().await;
        self.0.failed.lock().await.take().map_or(Ok(()), Err)
    }

    /// Tells in `sandbox.json` what is so now.
    async fn write(&self) -> Result<(), DoorError> {
        let mut file = self.0.file.lock().await;
        if let Some(clock) = ClockFile::of(&self.0.world.clock()) {
            file.clock = clock;
        }
        let dir = &self.0.options.state_dir;
        file.write(dir).map_err(|source| DoorError::File { path: SandboxFile::path(dir), source })
    }

    /// The machines that the Terraform state says there are; none while it is being written.
    fn machines(&self) -> Option<Infrastructure> {
        let Some(path) = &self.0.options.terraform_state else { return Some(Infrastructure::whole()) };
        match std::fs::read(path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).ok().map(|s| Infrastructure::from_terraform_state(&s))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(self.0.options.without_state.clone())
            }
            Err(_) => None,
        }
    }

    async fn follow(&self) {
        let Some(path) = self.0.options.terraform_state.clone() else {
            return std::future::pending().await;
        };
        let look = || std::fs::metadata(&path).ok().map(|m| (m.modified().ok(), m.len()));
        let mut seen = None;
        loop {
            let now = look();
            if seen.as_ref() != Some(&now)
                && let Some(machines) = self.machines()
            {
                seen = Some(now);
                if machines != self.0.world.infrastructure()
                    && let Err(error) = self.set_infrastructure(machines).await
                {
                    *self.0.failed.lock().await = Some(error);
                    self.0.ended.cancel();
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn reserve(address: SocketAddr, router: axum::Router) -> Result<Door, DoorError> {
    Door::reserve(address, router).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => DoorError::Taken { address, source },
        _ => DoorError::Listen { address, source },
    })
}

/// Nobody else on the machine can guess it.
fn world_token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn unix_ms() -> u64 {
    let now = Clock::real().now().as_millisecond();
    u64::try_from(now).unwrap_or_default()
}
