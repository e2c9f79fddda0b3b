//! What a saved plan and a state file say of the state's history.

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where an apply leaves a state that it couldn't save, in the root module's folder.
const UNSAVED: &str = "errored.tfstate";

/// Which state, and which version of it. A state that was never written has no lineage and serial 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    pub lineage: Option<String>,
    pub serial: u64,
}

#[derive(Deserialize)]
struct StateFile {
    #[serde(default)]
    lineage: String,
    #[serde(default)]
    serial: u64,
}

/// Reads the history off a state file's text.
fn history(state: &[u8]) -> Result<History, String> {
    let file: StateFile = serde_json::from_slice(state).map_err(|error| error.to_string())?;
    Ok(History { lineage: (!file.lineage.is_empty()).then_some(file.lineage), serial: file.serial })
}

/// The state that a saved plan was made against: the plan is a zip with a member `tfstate`.
pub(super) fn of_plan(plan: Vec<u8>) -> Result<History, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(plan)).map_err(|error| error.to_string())?;
    let mut member = archive.by_name("tfstate").map_err(|error| error.to_string())?;
    let mut state = Vec::new();
    member.read_to_end(&mut state).map_err(|error| error.to_string())?;
    history(&state)
}

/// A state that an apply couldn't save, where there is one.
pub(super) fn unsaved(dir: &Path) -> Option<(PathBuf, Option<History>)> {
    let path = dir.join(UNSAVED);
    let state = fs::read(&path).ok()?;
    Some((path, history(&state).ok()))
}

/// Whether an unsaved state holds what the state doesn't: it is of the same lineage, or of no known
/// one, and newer. `terraform state push` makes the two equal and leaves the file.
pub(super) fn is_ahead(unsaved: Option<&History>, of: &History) -> bool {
    let Some(unsaved) = unsaved else { return true };
    match (&unsaved.lineage, &of.lineage) {
        (Some(a), Some(b)) if a != b => false,
        _ => unsaved.serial > of.serial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsaved_state_counts_until_it_is_pushed() {
        let at = |lineage: &str, serial| History { lineage: Some(lineage.into()), serial };
        assert!(is_ahead(Some(&at("a", 4)), &at("a", 3)));
        assert!(!is_ahead(Some(&at("a", 4)), &at("a", 4)));
        assert!(!is_ahead(Some(&at("b", 9)), &at("a", 1)));
        assert!(is_ahead(Some(&at("a", 1)), &History::default()));
        assert!(is_ahead(None, &at("a", 1)));
    }
}
