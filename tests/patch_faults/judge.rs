//! What a patch came to, by the server's own state, and whether what was said of it is true.

use std::collections::BTreeMap;

use blackstart::event::Ending;
use blackstart::http::Memory;
use blackstart::journal::Body;
use serde_json::Value;

use crate::bench::Outcome;
use crate::commits;
use crate::patching::get;
use crate::scenarios::{OLD, Scenario};

/// One job as the server has it.
#[derive(Clone, Debug)]
pub struct Server {
    pub tag: String,
    /// Somebody else's change.
    pub colour: Option<String>,
    /// Its newest version runs, and every allocation of it is healthy.
    pub healthy: bool,
    /// Image tags by version, the oldest first.
    pub versions: Vec<String>,
    /// How many registrations asked for an evaluation, by the job's index then.
    pub registrations: BTreeMap<u64, usize>,
}

impl Server {
    pub async fn all(memory: &Memory, scenario: &Scenario) -> BTreeMap<String, Self> {
        let mut all = BTreeMap::new();
        for (id, _) in &scenario.images {
            all.insert((*id).to_owned(), Self::one(memory, id).await);
        }
        all
    }

    async fn one(memory: &Memory, id: &str) -> Self {
        let job = get(memory, &format!("/v1/job/{id}")).await;
        let versions = get(memory, &format!("/v1/job/{id}/versions")).await;
        let mut versions: Vec<(u64, String)> = versions["Versions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|version| (version["Version"].as_u64().unwrap(), looks(version)))
            .collect();
        versions.sort();
        let allocations = get(memory, &format!("/v1/job/{id}/allocations")).await;
        let own = |a: &&Value| a["JobVersion"] == job["Version"] && a["DesiredStatus"] == "run";
        let own: Vec<&Value> = allocations.as_array().unwrap().iter().filter(own).collect();
        let count = job["TaskGroups"][0]["Count"].as_u64().unwrap();
        let well = |a: &&Value| a["ClientStatus"] == "running" && a["DeploymentStatus"]["Healthy"] == true;
        let mut registrations = BTreeMap::new();
        for evaluation in get(memory, &format!("/v1/job/{id}/evaluations")).await.as_array().unwrap() {
            if evaluation["TriggeredBy"] == "job-register" {
                *registrations.entry(evaluation["JobModifyIndex"].as_u64().unwrap()).or_default() += 1;
            }
        }
        Self {
            tag: looks(&job),
            colour: job["TaskGroups"][0]["Tasks"][0]["Env"]["COLOUR"].as_str().map(str::to_owned),
            healthy: own.iter().filter(|one| well(one)).count() as u64 == count,
            versions: versions.into_iter().map(|(_, tag)| tag).collect(),
            registrations,
        }
    }
}

/// What a job is by, of what scenarios change: its image's tag where all else is as it was.
fn looks(job: &Value) -> String {
    let group = &job["TaskGroups"][0];
    let task = &group["Tasks"][0];
    let image = task["Config"]["image"].as_str().unwrap();
    match (task["Env"]["MODE"].as_str(), group["Count"].as_u64()) {
        (Some(mode), _) if mode != "slow" => format!("MODE={mode}"),
        (_, Some(count)) if count != 1 => format!("×{count}"),
        _ => image.rsplit(':').next().unwrap().to_owned(),
    }
}

/// What became of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Every job has its image and is healthy, and that is said.
    Done,
    /// A job couldn't have its image: it runs as before, and what stands before it in the order of
    /// dependencies has its own; that is said.
    Reverted,
    /// Nothing was changed, and that is said.
    Untouched,
    /// Something is left half way or isn't known, and that is said.
    Unfinished,
    /// What is said is not so.
    HalfSaid,
    /// Something happened twice.
    Doubled,
    /// Somebody else's change is gone.
    Overwritten,
}

/// Judges an outcome; for those that are wrong, says why.
pub fn judge(scenario: &Scenario, outcome: &Outcome) -> (Class, String) {
    let later = &outcome.later;
    let text = outcome.told.join("\n");
    if outcome.edited && later["web"].colour.as_deref() != Some("teal") {
        return (Class::Overwritten, "the other's change is gone".into());
    }
    for (id, tag) in &scenario.images {
        let server = &later[*id];
        // Started again, it is as it was before its stop, which made a version, too.
        let before = if scenario.service == Some("start") { 2 } else { 0 };
        let ours = server.versions.iter().filter(|version| *version == tag).count();
        let ours = ours.saturating_sub(before);
        if ours > 1 {
            return (Class::Doubled, format!("'{id}' has {ours} versions of {tag}: {:?}", server.versions));
        }
        if let Some((index, times)) = server.registrations.iter().find(|(_, times)| **times > 1) {
            return (Class::Doubled, format!("'{id}' was registered {times} times at index {index}"));
        }
    }
    let has_it = |id: &str, tag: &str| later[id].tag == tag && later[id].healthy;
    let as_before = |id: &str| later[id].tag == OLD && later[id].healthy;
    let tried = |id: &str, tag: &str| later[id].versions.iter().any(|version| version == tag);
    if let Some(why) = wrong_file(scenario, outcome) {
        return (Class::HalfSaid, why);
    }
    let ending = outcome.finished.as_ref().map(|finished| finished.ending);
    let done = matches!(ending, Some(Ending::Done | Ending::NothingToDo));
    if let Some(why) = commits::wrong(scenario, outcome, done) {
        return (Class::HalfSaid, why);
    }
    if matches!(ending, Some(Ending::Done | Ending::NothingToDo)) {
        for (id, tag) in &scenario.images {
            let now = &outcome.at_the_end[*id];
            if now.tag != *tag || !now.healthy || !has_it(id, tag) {
                return (Class::HalfSaid, format!("it says done; '{id}' is {now:?}, later {:?}", later[*id]));
            }
        }
        return (Class::Done, String::new());
    }
    if let Some(why) = contradicted(scenario, outcome, &tried) {
        return (Class::HalfSaid, why);
    }
    if !scenario.images.iter().any(|(id, tag)| tried(id, tag)) {
        return (Class::Untouched, String::new());
    }
    // What was changed, or may be, is named in the last words.
    for (id, tag) in &scenario.images {
        let last = outcome.finished.as_ref().map_or("", |finished| &finished.summary);
        let changed = tried(id, tag) && !(as_before(id) && outcome.killed);
        if changed && !last.contains(id) {
            return (Class::HalfSaid, format!("'{id}' was changed, and the last words don't name it"));
        }
    }
    // Up to the one that failed all have theirs; that one is as before, and so is what depends on it.
    let has = |(id, tag): &&(&str, &str)| !scenario.revert_all && has_it(id, tag);
    let done = scenario.images.iter().take_while(has).count();
    let rest = &scenario.images[done..];
    let said = ["rolls back", "rolled back", "goes back", "went back", "reverted", "as it was", "as before"];
    if rest.iter().all(|(id, _)| as_before(id))
        && rest.iter().any(|(id, tag)| tried(id, tag))
        && said.iter().any(|words| text.contains(words))
    {
        return (Class::Reverted, String::new());
    }
    (Class::Unfinished, String::new())
}

/// A file that has what doesn't run, or one that lacks what is said to be done.
fn wrong_file(scenario: &Scenario, outcome: &Outcome) -> Option<String> {
    let ending = outcome.finished.as_ref().map(|finished| finished.ending);
    let done = matches!(ending, Some(Ending::Done | Ending::NothingToDo));
    scenario.images.iter().find_map(|(id, looks)| {
        let text = outcome.files.get(*id)?;
        let before = crate::scenarios::file(id);
        let after = crate::scenarios::after(id, looks);
        let runs = &outcome.later[*id].tag;
        match *text == after {
            _ if *text != before && *text != after => Some(format!("the file of '{id}' is spoilt: {text}")),
            true if runs != looks => Some(format!("the file of '{id}' has {looks}, and {runs} runs")),
            false if done => Some(format!("it says done; the file of '{id}' doesn't have {looks}")),
            _ => None,
        }
    })
}

/// How the record or the words contradict the server.
fn contradicted(
    scenario: &Scenario,
    outcome: &Outcome,
    tried: &dyn Fn(&str, &str) -> bool,
) -> Option<String> {
    let changed = scenario.images.iter().any(|(id, tag)| tried(id, tag));
    // Of the last attempt: one whose outcome isn't known leaves its intent open.
    let last = outcome.journal.iter().rev().find_map(|body| match body {
        Body::StepFailed { touched, .. } => Some(Some(*touched)),
        Body::StepIntended { .. } => Some(None),
        _ => None,
    });
    let failed = last.flatten();
    let intended = outcome.journal.iter().any(|body| matches!(body, Body::StepIntended { .. }));
    match (changed, intended, failed) {
        (true, false, _) => Some("it was changed before any intent was journaled".into()),
        (true, _, Some(false)) => Some("the journal says that nothing was touched, but it was".into()),
        (false, _, Some(true)) => Some("the journal says that something was touched, but nothing was".into()),
        _ => {
            let text = outcome.told.join("\n");
            let denies = changed && text.contains("nothing was changed");
            denies.then(|| "it says that nothing was changed, but something was".into())
        }
    }
}
