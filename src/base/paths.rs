//! Where things lie: the state directory of an environment, private folders and files.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Replaces the machine-wide state directory.
pub const STATE_DIR_VARIABLE: &str = "BLACKSTART_STATE_DIR";

/// The state directory of one environment of one project, made with mode 0700 where it is not there.
/// `BLACKSTART_STATE_DIR`, else `/var/lib/blackstart` where that is writable, else the user's.
pub fn environment_state_dir(root: &Path, project: &str, environment: &str) -> io::Result<PathBuf> {
    let dir = root.join(project).join(environment);
    private_dir(&dir)?;
    Ok(dir)
}

/// The state directory of this machine, from the given variables of the process environment.
pub fn state_root(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(dir) = variable(STATE_DIR_VARIABLE).filter(|d| !d.is_empty()) {
        return Some(PathBuf::from(dir));
    }
    let machine = PathBuf::from("/var/lib/blackstart");
    if nix::unistd::access(&machine, nix::unistd::AccessFlags::W_OK).is_ok()
        || (nix::unistd::geteuid().is_root() && private_dir(&machine).is_ok())
    {
        return Some(machine);
    }
    if let Some(dir) = variable("XDG_STATE_HOME").filter(|d| d.starts_with('/')) {
        return Some(Path::new(&dir).join("blackstart"));
    }
    variable("HOME").map(|home| Path::new(&home).join(".local/state/blackstart"))
}

/// Makes a folder, and those above it, that only its owner can open.
pub fn private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only its owner can read, in one piece: readers see the old text or the new.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let temporary = dir.join(format!(".{}.{}", file_name(path), std::process::id()));
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}

/// Writes a file that is there anew, in one piece, with the mode and, where that is allowed, the owner that
/// it has. Of a link, what it leads to is written.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let data = fs::metadata(&path)?;
    if data.permissions().readonly() && nix::unistd::access(&path, nix::unistd::AccessFlags::W_OK).is_err() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    let temporary = dir.join(format!(".{}.{}", file_name(&path), std::process::id()));
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        io::Write::write_all(&mut file, bytes)?;
        let _ = std::os::unix::fs::fchown(&file, Some(data.uid()), Some(data.gid()));
        file.set_permissions(data.permissions())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
