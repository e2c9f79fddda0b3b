//! Paths that leave out the blocks around what they name: `check.interval` for `service.web.check.interval`.

use serde_json::Value as Json;

use super::syntax::{Part, Path};
use super::walk::{PathError, is_named, walk};
use crate::jobspec::schema::{Kind, Struct};

/// How many blocks deep a block is looked for that the job doesn't have.
const DEEP: usize = 4;

/// What a path means that begins with a block which stands deeper in `within`: where the job has one such, in
/// it. None where no block is known that could be meant. A single name is never enough: it is told what it may
/// be.
pub(super) fn deeper(
    path: &Path,
    job: &Json,
    within: &Path,
    from: &'static Struct,
) -> Option<Result<Path, PathError>> {
    let [Part::Name(first), rest @ ..] = path.parts.as_slice() else { return None };
    let mut holders = Vec::new();
    if let Some(value) = within.pointer(job).and_then(|pointer| job.pointer(&pointer)) {
        blocks(from, value, within, &mut holders);
    }
    holders.retain(|(_, of)| has(of, first));
    let found: Vec<_> = holders.iter().map(|(holder, _)| walk(&holder.join(path), job)).collect::<Vec<_>>();
    let right: Vec<String> =
        found.iter().filter_map(|found| Some(found.as_ref().ok()?.path.to_string())).collect();
    let candidates = || PathError::Ambiguous { path: path.to_string(), candidates: right.clone() };
    match (right.as_slice(), rest.is_empty()) {
        ([one], false) => Some(one.parse()),
        ([one], true) => Some(Err(PathError::Deep { path: path.to_string(), meant: one.clone() })),
        ([], _) => match found.into_iter().find_map(Result::err) {
            Some(error) => Some(Err(error)),
            None if rest.is_empty() => None,
            None => {
                let block = lacking(from, first, DEEP)?;
                Some(Err(PathError::NoBlock { name: first.clone(), block, within: shown(within) }))
            }
        },
        _ => Some(Err(candidates())),
    }
}

/// `the job`, or the group or task.
fn shown(within: &Path) -> String {
    match within.to_string() {
        job if job.is_empty() => "the job".to_owned(),
        path => path,
    }
}

fn has(of: &Struct, name: &str) -> bool {
    of.fields.iter().any(|field| is_named(field) && field.name == name)
}

/// Every block below a value, with its path.
fn blocks(of: &'static Struct, json: &Json, path: &Path, found: &mut Vec<(Path, &'static Struct)>) {
    for field in of.fields.iter().filter(|field| is_named(field)) {
        let Some(value) = json.get(field.json) else { continue };
        let at = |part: Option<Part>| {
            let parts = std::iter::once(Part::Name(field.name.to_owned())).chain(part);
            path.join(&Path { parts: parts.collect() })
        };
        let mut add = |inner: &'static Struct, path: Path, value: &Json| {
            blocks(inner, value, &path, found);
            found.push((path, inner));
        };
        match (field.kind, value) {
            (Kind::One(inner), Json::Object(_)) => add(inner, at(None), value),
            (Kind::Many(inner), Json::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    add(inner, at(Some(Part::Index(index))), item);
                }
            }
            (Kind::ByLabel(inner), Json::Object(items)) => {
                for (label, item) in items {
                    add(inner, at(Some(Part::Name(label.clone()))), item);
                }
            }
            _ => {}
        }
    }
}

/// The kinds of the blocks, from the outermost on, in which a name may stand; the shortest way.
fn lacking(of: &'static Struct, name: &str, deep: usize) -> Option<String> {
    let inner = || {
        of.fields.iter().filter(|field| is_named(field)).filter_map(|field| Some((field, field.kind.of()?)))
    };
    if let Some((field, _)) = inner().find(|(_, of)| has(of, name)) {
        return Some(field.name.to_owned());
    }
    let deeper = deep.checked_sub(1)?;
    let ways =
        inner().filter_map(|(field, of)| Some(format!("{}.{}", field.name, lacking(of, name, deeper)?)));
    ways.min_by_key(|way| way.matches('.').count())
}
