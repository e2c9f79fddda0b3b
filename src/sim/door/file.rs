//! `sandbox.json`: where a running sandbox is found, for environments marked `simulated`.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::Clock;
use crate::base::paths::write_private;

/// The file's name in a state directory.
const NAME: &str = "sandbox.json";

/// What the file says. Only its owner can read it: the token opens the control door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SandboxFile {
    /// Of this format.
    pub version: u32,
    pub pid: u32,
    /// `http://HOST:PORT` of the Nomad API; nothing listens there while its server is down.
    pub nomad: String,
    /// `http://HOST:PORT` of publication and index.
    pub services: String,
    /// The `SQLite` file; not there while the database is down.
    pub database: PathBuf,
    /// `http://HOST:PORT` of the control door.
    pub control: String,
    /// What the control door wants as `Authorization: Bearer`.
    pub token: String,
    pub clock: ClockFile,
    /// When the environment went down, where the sandbox began with it down.
    #[serde(default)]
    pub down_since: Option<Timestamp>,
}

/// A scaled clock: it said `from` at `since_unix_ms` and has run `speed` times as fast since.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockFile {
    pub from: Timestamp,
    pub since_unix_ms: u64,
    pub speed: f64,
}

impl SandboxFile {
    pub const VERSION: u32 = 1;

    pub fn path(state_dir: &Path) -> PathBuf {
        state_dir.join(NAME)
    }

    /// Reads the file of a state directory; none where no sandbox has written one.
    pub fn read(state_dir: &Path) -> std::io::Result<Option<Self>> {
        let text = match std::fs::read_to_string(Self::path(state_dir)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let file: Self = serde_json::from_str(&text)?;
        if file.version != Self::VERSION {
            return Err(std::io::Error::other(format!("sandbox.json has version {}, not 1", file.version)));
        }
        Ok(Some(file))
    }

    pub fn write(&self, state_dir: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        write_private(&Self::path(state_dir), text.as_bytes())
    }
}

impl ClockFile {
    /// Of a scaled clock; none of any other.
    pub fn of(clock: &Clock) -> Option<Self> {
        let (from, since, speed) = clock.anchor()?;
        let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Whole milliseconds are enough for people, but the two ends must agree: what is cut off is given back.
        let cut = Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000)).mul_f64(speed);
        let from = jiff::SignedDuration::try_from(cut).map_or(from, |cut| from - cut);
        Some(Self { from, since_unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), speed })
    }

    /// The clock that the file tells of.
    pub fn clock(&self) -> Clock {
        Clock::scaled(
            self.from,
            SystemTime::UNIX_EPOCH + Duration::from_millis(self.since_unix_ms),
            self.speed,
        )
    }
}
