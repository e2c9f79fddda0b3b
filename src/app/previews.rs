//! What digests stood for: kept so that a stale approval can say what changed. They hold no secret:
//! only names, counts and keyed hashes.

use std::path::Path;

use serde_json::Value;

use crate::base::paths;
use crate::engine::Decision;

/// How many are kept.
const KEPT: usize = 50;

/// Keeps a decision; failing to only costs the words of a later refusal.
pub fn keep(state_dir: &Path, decision: &Decision) {
    let dir = state_dir.join("previews");
    if paths::private_dir(&dir).is_err() {
        return;
    }
    let _ = paths::write_private(&dir.join(&decision.digest), decision.document.to_string().as_bytes());
    let Ok(entries) = std::fs::read_dir(&dir) else { return };
    let mut files: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    for (_, path) in files.iter().rev().skip(KEPT) {
        let _ = std::fs::remove_file(path);
    }
}

/// The decision with this digest.
pub fn find(state_dir: &Path, digest: &str) -> Option<Value> {
    let plain = digest.chars().all(|c| c.is_ascii_hexdigit());
    let text = plain.then(|| std::fs::read_to_string(state_dir.join("previews").join(digest)).ok())??;
    serde_json::from_str(&text).ok()
}
