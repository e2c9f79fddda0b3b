//! What it takes to undo something exactly: bytes named by their SHA-256, never masked, beside the journal and
//! left out of exports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::base::paths;

/// Undo material by its hash, hexadecimal.
#[derive(Debug)]
pub enum Blobs {
    /// For rehearsals, which leave nothing behind.
    Memory(Mutex<BTreeMap<String, Vec<u8>>>),
    /// For this user only.
    Folder(PathBuf),
}

impl Default for Blobs {
    fn default() -> Self {
        Self::Memory(Mutex::default())
    }
}

impl Blobs {
    /// Keeps bytes, and names them.
    pub fn keep(&self, bytes: &[u8]) -> std::io::Result<String> {
        let name = name_of(bytes);
        match self {
            Self::Memory(kept) => {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.insert(name.clone(), bytes.to_vec());
            }
            Self::Folder(folder) => {
                paths::private_dir(folder)?;
                paths::write_private(&folder.join(&name), bytes)?;
            }
        }
        Ok(name)
    }

    /// The bytes of that name; none where they are gone or are others.
    pub fn find(&self, name: &str) -> Option<Vec<u8>> {
        let found = match self {
            Self::Memory(kept) => kept.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned(),
            Self::Folder(folder) => std::fs::read(folder.join(name)).ok(),
        };
        found.filter(|bytes| name_of(bytes) == name)
    }
}

fn name_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_kept_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for blobs in [Blobs::default(), Blobs::Folder(folder.path().join("undo"))] {
            let name = blobs.keep(b"a job").unwrap();
            assert_eq!(blobs.find(&name).as_deref(), Some(&b"a job"[..]));
            assert_eq!(blobs.find("another"), None);
        }
        let blobs = Blobs::Folder(folder.path().to_owned());
        let name = blobs.keep(b"a job").unwrap();
        std::fs::write(folder.path().join(&name), "half of it").unwrap();
        assert_eq!(blobs.find(&name), None, "what somebody changed is no undo material");
    }
}
