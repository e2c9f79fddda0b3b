//! One run at a time in an environment, on this machine: an advisory lock on a file of the state
//! directory, which the kernel lets go of when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::base::RunId;

/// Who only looks at a lock has it for less than this.
const LOOK: Duration = Duration::from_millis(20);

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub who: String,
    pub doing: String,
    pub pid: u32,
    pub since: Timestamp,
    /// The run it is at, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the environment is locked")]
    Held(Option<Holder>),
    #[error("the lock {path} can't be taken")]
    Io { path: PathBuf, source: std::io::Error },
}

/// The lock of an environment, held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
    holder: Holder,
}

impl Lock {
    /// Takes the lock in `state_dir`, or says who has it.
    pub fn take(state_dir: &Path, holder: &Holder) -> Result<Self, LockError> {
        let path = state_dir.join("lock");
        let io = |source| LockError::Io { path: path.clone(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        let locked = Flock::lock(file, FlockArg::LockExclusiveNonblock).or_else(|(file, _)| {
            std::thread::sleep(LOOK);
            Flock::lock(file, FlockArg::LockExclusiveNonblock)
        });
        match locked {
            Ok(mut file) => {
                let text = serde_json::to_vec(holder).unwrap_or_default();
                file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
                file.write_all(&text).map_err(io)?;
                Ok(Self { file, holder: holder.clone() })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                Err(LockError::Held(serde_json::from_str(&text).ok()))
            }
            Err((_, errno)) => Err(io(errno.into())),
        }
    }

    /// Notes in the lock which run it is held for. Where that can't be written, nobody hears of the run.
    pub fn is_for(&self, run: &RunId) {
        let holder = Holder { run: Some(run.clone()), ..self.holder.clone() };
        // Longer than what is there: in one write, so that who looks meanwhile reads one or the other.
        let text = serde_json::to_vec(&holder).unwrap_or_default();
        let _ = self.file.write_all_at(&text, 0);
    }

    /// Who has the lock in `state_dir` now; none where nobody has it, or the file can't be read.
    pub fn holder(state_dir: &Path) -> Option<Holder> {
        let file = File::open(state_dir.join("lock")).ok()?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                file.read_to_string(&mut text).ok()?;
                serde_json::from_str(&text).ok()
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_hears_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let holder = Holder {
            who: "ann".into(),
            doing: "stop".into(),
            pid: 1,
            since: Timestamp::UNIX_EPOCH,
            run: None,
        };
        assert_eq!(Lock::holder(dir.path()), None);
        let first = Lock::take(dir.path(), &holder).unwrap();
        assert!(matches!(Lock::take(dir.path(), &holder), Err(LockError::Held(Some(h))) if h == holder));
        assert_eq!(Lock::holder(dir.path()), Some(holder.clone()));
        let run = RunId("20261121-013005-k3fq".into());
        first.is_for(&run);
        assert_eq!(Lock::holder(dir.path()), Some(Holder { run: Some(run), ..holder.clone() }));
        drop(first);
        assert_eq!(Lock::holder(dir.path()), None, "what it held is over");
        Lock::take(dir.path(), &holder).unwrap();
    }
}
