//! The source of a job as the server's own page shows it.
//!
//! Any reader of the job sees it: values that are known to be secret, and files that say so by their name,
//! are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::environment::Environment;
use crate::hcl;
use crate::jobspec::{Inputs, Job, Path};
use crate::nomad::Submission;

/// The text of a job file, with the variables that it is read with.
pub fn submission(environment: &Environment, job: &Job, inputs: &Inputs) -> Submission {
    let given = |name: &String| name.starts_with("NOMAD_VAR_");
    let any = !inputs.var_files.is_empty() || inputs.environment.keys().any(given);
    let declared = if any { declared(job) } else { BTreeSet::new() };
    let secrets = environment.secrets();
    let is_public = |text: &str| secrets.mask(text) == text;
    // With what envsubst put in, so that it can be registered from there again.
    let original = job.source.original().filter(|_| !is_public(&job.source.text));
    let file = original.unwrap_or(&job.source);
    // None for one that is left out.
    let mut lines: BTreeMap<String, Option<String>> = BTreeMap::new();
    for var_file in &inputs.var_files {
        let says_secret = var_file.name.to_lowercase().contains("secret");
        for (name, (value, span)) in hcl::var_file(var_file).unwrap_or_default() {
            if !declared.contains(&name) {
                continue;
            }
            let json = var_file.text.trim_start_matches(' ').starts_with('{');
            let escaped = || value.to_json().to_string().replace("${", "$${").replace("%{", "%%{");
            let line =
                if json { format!("{name} = {}", escaped()) } else { span.text().trim_end().to_owned() };
            // What an earlier file said of it doesn't count any more.
            lines.insert(name, Some(line).filter(|line| !says_secret && is_public(line)));
        }
    }
    let mut flags = BTreeMap::new();
    for (name, value) in &inputs.environment {
        let Some(name) = name.strip_prefix("NOMAD_VAR_").filter(|name| declared.contains(*name)) else {
            continue;
        };
        // A var file's line goes over it, one that is left out as well.
        if !lines.contains_key(name) && is_public(value) {
            flags.insert(name.to_owned(), value.clone());
        }
    }
    Submission {
        source: file.text.clone(),
        format: if file.text.trim_start_matches(' ').starts_with('{') { "json" } else { "hcl2" }.into(),
        variable_flags: flags,
        variables: lines.into_values().flatten().map(|line| line + "\n").collect(),
    }
}

/// The variables that a job file declares.
fn declared(job: &Job) -> BTreeSet<String> {
    let Ok(body) = hcl::parse(&job.source) else { return BTreeSet::new() };
    let mut names = BTreeSet::new();
    for block in body.all_blocks() {
        match block.kind.text.as_str() {
            "variable" => names.extend(block.labels.first().map(|label| label.text.clone())),
            "variables" => names.extend(block.body.attributes().map(|a| a.name.text.clone())),
            _ => {}
        }
    }
    names
}

/// Whether all that a file says of a job is so in the job that is to run, and the names that it sets in
/// free maps are all that this one has there.
pub(super) fn says_the_same(written: &Value, running: &Value) -> bool {
    let said = Path::every(written);
    let is_so = |path: &Path, value: &Value| {
        let now = path.get(running).filter(|now| !now.is_null());
        now == Some(value) || is_silent(value, now) || is_inherited(path, value, written, running)
    };
    if !said.iter().all(|(path, value)| is_so(path, value)) {
        return false;
    }
    let known: BTreeSet<&Path> = said.iter().map(|(path, _)| path).collect();
    Path::every(running).iter().all(|(path, value)| {
        known.contains(path)
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || !path.is_free(running)
    })
}

/// Whether a file that has this value leaves it to the server what it is.
fn is_silent(value: &Value, now: Option<&Value>) -> bool {
    let empty = value.as_bool() == Some(false) || value.as_u64() == Some(0);
    value.as_str() == Some("") || (now.is_none() && empty)
}

/// A job's `update` is that of its groups, and the server keeps it there only.
fn is_inherited(path: &Path, value: &Value, written: &Value, running: &Value) -> bool {
    let path = path.to_string();
    if !path.starts_with("update.") {
        return false;
    }
    let groups = running["TaskGroups"].as_array().into_iter().flatten();
    groups.filter_map(|group| group["Name"].as_str()).all(|group| {
        let own: Option<Path> = Path::to(Some(group), None).to_string().parse().ok();
        let Some(own) = own.zip(path.parse().ok()).map(|(group, rest): (Path, Path)| group.join(&rest))
        else {
            return false;
        };
        own.get(written).is_some_and(|own| !own.is_null()) || own.get(running) == Some(value)
    })
}
