//! The durable record of runs: what was intended, done, approved and seen.
//!
//! A record is appended and synced *before* the effect it announces and again after it; an intent
//! without an outcome is what a crash leaves. What announces nothing may wait for the next that does, and
//! is on the disk before that is acted on. Records form a hash chain, which shows edits (and not
//! truncation: keep the head elsewhere). [`state::Run`] is a fold over records, and the only way to
//! know where a run stands. A store only appends, reads and locks.

mod lock;
mod memory;
mod record;
mod sqlite;
mod state;
mod store;

pub use lock::{Holder, Lock, LockError};
pub use memory::MemoryStore;
pub use record::{Body, Downtime, DowntimeSource, FORMAT, Found, Record};
pub use sqlite::SqliteStore;
pub use state::{Illegal, Intent, Run, RunStatus, StepStatus, next_run_status, next_step_status};
pub use store::{Journal, JournalError, Store};
