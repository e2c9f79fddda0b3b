//! Replacing files of the project, whole or not at all.
//!
//! Guarantees: readers see the old text or the new; the file's mode is kept; nothing outside the project's
//! root is touched, links followed; a file that isn't what was shown is left alone. Does not: keep another
//! name of the same file (a hard link) in step.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file, and the text to take the place of the one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Relative to the root.
    pub name: String,
    pub before: String,
    pub after: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    #[error("{name} was changed since it was shown")]
    Changed { name: String },
    #[error("{name} leads out of the project")]
    Outside { name: String },
    #[error("{name} can't be written")]
    Io { name: String, source: io::Error },
}

/// Checks all, then replaces each.
pub fn replace(root: &Path, files: &[Replacement]) -> Result<(), ReplaceError> {
    let mut places = Vec::new();
    for file in files {
        places.push(check(root, file)?);
    }
    for (file, place) in files.iter().zip(places) {
        write(&place, file).map_err(|source| ReplaceError::Io { name: file.name.clone(), source })?;
    }
    Ok(())
}

/// Where the file lies, if it may be replaced.
pub fn check(root: &Path, file: &Replacement) -> Result<PathBuf, ReplaceError> {
    let io = |source| ReplaceError::Io { name: file.name.clone(), source };
    let root = root.canonicalize().map_err(io)?;
    let place = root.join(&file.name).canonicalize().map_err(io)?;
    if !place.starts_with(&root) {
        return Err(ReplaceError::Outside { name: file.name.clone() });
    }
    match fs::read_to_string(&place) {
        Ok(text) if text == file.before => Ok(place),
        Ok(_) => Err(ReplaceError::Changed { name: file.name.clone() }),
        Err(error) => Err(io(error)),
    }
}

fn write(place: &Path, file: &Replacement) -> io::Result<()> {
    let dir = place.parent().unwrap_or(Path::new("/"));
    let known = fs::metadata(place)?;
    let mut temporary = tempfile::Builder::new().prefix(".blackstart-").tempfile_in(dir)?;
    temporary.write_all(file.after.as_bytes())?;
    let new = temporary.as_file();
    let own = new.metadata()?;
    if (own.uid(), own.gid()) != (known.uid(), known.gid()) {
        // Only root can give a file away; its owner stays otherwise whoever writes it.
        let _ = std::os::unix::fs::fchown(new, Some(known.uid()), Some(known.gid()));
    }
    new.set_permissions(Permissions::from_mode(known.mode() & 0o7777))?;
    new.sync_all()?;
    temporary.persist(place).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(name: &str, before: &str, after: &str) -> Replacement {
        Replacement { name: name.into(), before: before.into(), after: after.into() }
    }

    #[test]
    fn mode_and_links_are_kept_and_nothing_is_half_done() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a"), "one\r\n").unwrap();
        fs::set_permissions(root.join("a"), Permissions::from_mode(0o640)).unwrap();
        fs::write(root.join("b"), "b").unwrap();
        std::os::unix::fs::symlink("a", root.join("link")).unwrap();
        replace(&root, &[edit("link", "one\r\n", "two\r\n")]).unwrap();
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "two\r\n");
        assert_eq!(fs::metadata(root.join("a")).unwrap().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(root.join("link")).unwrap().is_symlink());

        let both = [edit("b", "b", "B"), edit("a", "one\r\n", "three")];
        assert!(matches!(replace(&root, &both), Err(ReplaceError::Changed { name }) if name == "a"));
        assert_eq!(fs::read_to_string(root.join("b")).unwrap(), "b", "the first of two was written");

        fs::write(dir.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink("../outside", root.join("out")).unwrap();
        for name in ["out", "../outside"] {
            let found = replace(&root, &[edit(name, "x", "y")]);
            assert!(matches!(found, Err(ReplaceError::Outside { .. })), "{found:?}");
        }
        assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "x");
        let left: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 4, "{left:?}");
    }
}
