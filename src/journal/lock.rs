//! One run at a time in an environment, on this machine: an advisory lock on a file of the state
//! directory, which the kernel lets go of when its holder dies.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// Who holds a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub who: String,
    pub doing: String,
    pub pid: u32,
    pub since: Timestamp,
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
    _file: Flock<File>,
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
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                let text = serde_json::to_vec(holder).unwrap_or_default();
                file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
                file.write_all(&text).map_err(io)?;
                Ok(Self { _file: file })
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                Err(LockError::Held(serde_json::from_str(&text).ok()))
            }
            Err((_, errno)) => Err(io(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_hears_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let holder = Holder { who: "ann".into(), doing: "stop".into(), pid: 1, since: Timestamp::UNIX_EPOCH };
        let first = Lock::take(dir.path(), &holder).unwrap();
        assert!(matches!(Lock::take(dir.path(), &holder), Err(LockError::Held(Some(h))) if h == holder));
        drop(first);
        Lock::take(dir.path(), &holder).unwrap();
    }
}
