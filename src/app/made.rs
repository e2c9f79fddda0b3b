//! Plans that a command makes for itself: kept by the hash of their text, so that their runs can be gone on
//! with. They name jobs, counts and times: nothing secret.

use std::sync::Arc;

use super::failure::Failure;
use super::open::Opened;
use super::plans::Chosen;
use super::runs::hash;
use crate::base::{Source, paths};
use crate::hcl::{self, Value};
use crate::plan::{self, Plan};

/// What a made plan's text is called in messages.
const NAME: &str = "the command";

/// The one plan of a text, kept.
pub fn make(opened: &Opened, text: String) -> Result<Chosen, Failure> {
    let failed = |path: &std::path::Path, error: &std::io::Error| {
        Failure::error(format!("{} can't be written: {error}", path.display()))
    };
    let dir = opened.state_dir.join("made");
    paths::private_dir(&dir).map_err(|error| failed(&dir, &error))?;
    let path = dir.join(hash(text.as_bytes()));
    if !path.exists() {
        paths::write_private(&path, text.as_bytes()).map_err(|error| failed(&path, &error))?;
    }
    read(opened, &Source::new(NAME, text))
}

/// The made plan of that hash; none where none was made.
pub fn find(opened: &Opened, plan_hash: &str) -> Result<Option<Chosen>, Failure> {
    let known = plan_hash.chars().all(|c| c.is_ascii_hexdigit()) && !plan_hash.is_empty();
    let path = opened.state_dir.join("made").join(plan_hash);
    match std::fs::read_to_string(&path) {
        Ok(text) if known => read(opened, &Source::new(NAME, text)).map(Some),
        _ => Ok(None),
    }
}

pub fn is_made(plan: &Plan) -> bool {
    plan.source.name == NAME
}

fn read(opened: &Opened, source: &Arc<Source>) -> Result<Chosen, Failure> {
    let plans = plan::load(source, &opened.plan_scope(Value::Unknown, None))?;
    let plan = plans.into_iter().next().ok_or_else(|| Failure::error("there is nothing to do"))?;
    Ok(Chosen { plan, source: Arc::clone(source) })
}

/// A text as a string of the plan language.
pub fn quoted(text: &str) -> String {
    hcl::edit::text(&text.into())
}

/// Texts as a list of the plan language.
pub fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}
