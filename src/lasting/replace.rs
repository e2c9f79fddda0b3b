//! Replacing files of the project, whole or not at all.
//!
//! Guarantees: readers see the old text or the new; the file's mode is kept; nothing outside the project's
//! root is touched, links followed; a file that isn't what was shown is left alone. Does not: keep another
//! name of the same file (a hard link) in step.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::base::threads;

/// Files written at once: what they wait for is the disk.
const AT_ONCE: usize = 8;

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

/// Checks all; then writes each beside the old one; and once all of them are on the disk, puts each in the
/// other's place. A disk waits for many as long as for one.
pub fn replace(root: &Path, files: &[Replacement]) -> Result<(), ReplaceError> {
    let places = check(root, files)?;
    let both: Vec<(&Replacement, PathBuf)> = files.iter().zip(places).collect();
    let made = threads::each(AT_ONCE, &both, |(file, place)| written(place, file));
    let io = |file: &Replacement, source| ReplaceError::Io { name: file.name.clone(), source };
    let mut new = Vec::new();
    for ((file, place), made) in both.iter().zip(made) {
        new.push((file, place, made.map_err(|source| io(file, source))?));
    }
    let mut folders = BTreeMap::new();
    for (file, place, made) in new {
        made.persist(place).map_err(|error| io(file, error.error))?;
        folders.insert(place.parent().unwrap_or(Path::new("/")), file);
    }
    for (folder, file) in folders {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| io(file, source))?;
    }
    Ok(())
}

/// Where the files lie, if they may be replaced.
pub fn check(root: &Path, files: &[Replacement]) -> Result<Vec<PathBuf>, ReplaceError> {
    let real = root.canonicalize();
    files.iter().map(|file| one(real.as_deref(), file)).collect()
}

fn one(root: Result<&Path, &io::Error>, file: &Replacement) -> Result<PathBuf, ReplaceError> {
    let io = |source| ReplaceError::Io { name: file.name.clone(), source };
    let root = root.map_err(|error| io(io::Error::new(error.kind(), error.to_string())))?;
    let place = root.join(&file.name).canonicalize().map_err(io)?;
    if !place.starts_with(root) {
        return Err(ReplaceError::Outside { name: file.name.clone() });
    }
    match fs::read_to_string(&place) {
        Ok(text) if text == file.before => Ok(place),
        Ok(_) => Err(ReplaceError::Changed { name: file.name.clone() }),
        Err(error) => Err(io(error)),
    }
}

/// The new text on the disk, under another name in the same folder.
fn written(place: &Path, file: &Replacement) -> io::Result<TempPath> {
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
    Ok(temporary.into_temp_path())
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
