//! All values of a job with their paths.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::syntax::{Change, Part, Path};
use super::walk::{given_name, is_named};
use crate::jobspec::schema::{Field, JOB, Kind, Struct};

impl Path {
    /// Every value of the job that isn't null, in the order of the table. Lists and maps are gone
    /// into; empty ones count as values.
    pub fn every(job: &Json) -> Vec<(Self, &Json)> {
        let mut all = Vec::new();
        fields(&JOB, job, &mut Vec::new(), &mut all);
        all
    }

    /// The values at which two jobs differ, by their paths; null where one has none.
    pub fn differences(old: &Json, new: &Json) -> Vec<Change> {
        let all = |job| Self::every(job).into_iter().collect::<BTreeMap<Self, &Json>>();
        let (old, new) = (all(old), all(new));
        let paths: BTreeSet<&Self> = old.keys().chain(new.keys()).collect();
        let change = |path: &Self| {
            let value = |all: &BTreeMap<Self, &Json>| all.get(path).copied().cloned().unwrap_or_default();
            Change { path: path.clone(), old: value(&old), new: value(&new) }
        };
        let differing = paths.into_iter().filter(|path| old.get(path) != new.get(path));
        let mut found: Vec<Change> = differing.map(change).collect();
        found.sort_by_cached_key(|change| change.path.to_string());
        found
    }
}

type All<'j> = Vec<(Path, &'j Json)>;

fn fields<'j>(of: &'static Struct, json: &'j Json, path: &mut Vec<Part>, all: &mut All<'j>) {
    // A network's ports are in two lists, one of them without a name of its own.
    let ports = of.name == "NetworkResource";
    for field in of.fields.iter().filter(|field| is_named(field) && !(ports && field.json == "ReservedPorts"))
    {
        path.push(Part::Name(field.name.to_owned()));
        let value = json.get(field.json).unwrap_or(&Json::Null);
        if ports && field.json == "DynamicPorts" {
            let reserved = json.get("ReservedPorts").unwrap_or(&Json::Null);
            blocks(
                field,
                [value, reserved].into_iter().filter_map(Json::as_array).flatten().collect(),
                path,
                all,
            );
        } else {
            one(field, value, path, all);
        }
        path.pop();
    }
}

fn one<'j>(field: &'static Field, value: &'j Json, path: &mut Vec<Part>, all: &mut All<'j>) {
    match (field.kind, value) {
        (_, Json::Null) => {}
        (Kind::One(of), value) => fields(of, value, path, all),
        (Kind::Many(_), Json::Array(items)) => blocks(field, items.iter().collect(), path, all),
        (Kind::ByLabel(of), Json::Object(map)) => {
            for (label, block) in map {
                path.push(Part::Name(label.clone()));
                fields(of, block, path, all);
                path.pop();
            }
        }
        (_, value) => inner(value, path, all),
    }
}

fn blocks<'j>(field: &'static Field, items: Vec<&'j Json>, path: &mut Vec<Part>, all: &mut All<'j>) {
    let Some(of) = field.kind.of() else { return };
    let name_of = |block: &'j Json| given_name(of, block);
    for (at, block) in items.iter().enumerate() {
        let name = name_of(block);
        let unique = items.iter().filter(|other| name_of(other) == name).count() == 1;
        path.push(if unique && !name.is_empty() { Part::Name(name.to_owned()) } else { Part::Index(at) });
        fields(of, block, path, all);
        path.pop();
    }
}

/// What no table knows: names by name, elements by number.
fn inner<'j>(value: &'j Json, path: &mut Vec<Part>, all: &mut All<'j>) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                path.push(Part::Name(name.clone()));
                inner(value, path, all);
                path.pop();
            }
        }
        Json::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                path.push(Part::Index(at));
                inner(item, path, all);
                path.pop();
            }
        }
        Json::Null => {}
        value => all.push((Path { parts: path.clone() }, value)),
    }
}
