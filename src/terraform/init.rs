//! Whether `terraform init` is needed.
//!
//! Guarantees: a data folder counts as initialised only for the files it was initialised with: the
//! root module's, those of every module that it installed, the lock file and the backend
//! configuration. Terraform's own word that it must be initialised counts more.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::settings::Settings;

const STAMP: &str = "blackstart-init";
pub(super) const LOCK_FILE: &str = ".terraform.lock.hcl";

/// Makes the data folder, readable by its owner only.
pub(super) fn data_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

/// Whether the data folder was initialised for exactly these files.
pub(super) fn is_done(settings: &Settings, binary: &Path) -> bool {
    fs::read_to_string(settings.data_dir.join(STAMP)).is_ok_and(|stamp| stamp == hash(settings, binary))
}

/// Remembers that it was.
pub(super) fn done(settings: &Settings, binary: &Path) -> io::Result<()> {
    let path = settings.data_dir.join(STAMP);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    io::Write::write_all(&mut file, hash(settings, binary).as_bytes())
}

/// Forgets it: Terraform says otherwise.
pub(super) fn forget(settings: &Settings) {
    let _ = fs::remove_file(settings.data_dir.join(STAMP));
}

#[derive(Deserialize)]
struct Manifest {
    #[serde(rename = "Modules")]
    modules: Vec<Installed>,
}

#[derive(Deserialize)]
struct Installed {
    #[serde(rename = "Dir")]
    dir: PathBuf,
}

/// Keyed, because a backend configuration may hold secrets.
fn hash(settings: &Settings, binary: &Path) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&settings.key) else { return String::new() };
    let mut files: BTreeSet<PathBuf> = sources(&settings.dir).collect();
    let manifest = fs::read(settings.data_dir.join("modules/modules.json")).unwrap_or_default();
    if let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest) {
        for module in manifest.modules {
            files.extend(sources(&settings.dir.join(module.dir)));
        }
    }
    files.insert(settings.dir.join(LOCK_FILE));
    files.extend(settings.backend_config.iter().cloned());
    files.insert(binary.to_owned());
    for file in files {
        let content = if file == binary { Vec::new() } else { fs::read(&file).unwrap_or_default() };
        for piece in [file.as_os_str().as_encoded_bytes(), &content] {
            mac.update(&(piece.len() as u64).to_be_bytes());
            mac.update(piece);
        }
    }
    mac.finalize().into_bytes().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The files of one module.
fn sources(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".tf") || name.ends_with(".tf.json")
    })
}

/// Whether a folder holds a root module at all.
pub(super) fn has_sources(dir: &Path) -> bool {
    sources(dir).next().is_some()
}
