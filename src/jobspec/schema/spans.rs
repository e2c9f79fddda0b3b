//! Which fields hold lengths of time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::job::JOB;
use super::row::{Field, Kind, Struct};

/// Names that stand for a length of time in whatever block they are: in the API's JSON, and in job files. A
/// name that means something else elsewhere (a scaling's `max`) isn't one.
pub struct Spans {
    pub json: BTreeSet<&'static str>,
    pub files: BTreeSet<&'static str>,
}

pub fn spans() -> &'static Spans {
    static SPANS: LazyLock<Spans> = LazyLock::new(|| {
        let mut fields = Vec::new();
        gather(&JOB, &mut BTreeSet::new(), &mut fields);
        Spans {
            json: only_spans(&fields, |field| field.json),
            files: only_spans(&fields, |field| field.name),
        }
    });
    &SPANS
}

fn only_spans(fields: &[&'static Field], name: fn(&Field) -> &'static str) -> BTreeSet<&'static str> {
    let mut all: BTreeMap<&'static str, bool> = BTreeMap::new();
    for field in fields {
        let span = matches!(field.kind, Kind::Span | Kind::MaybeSpan);
        all.entry(name(field)).and_modify(|always| *always &= span).or_insert(span);
    }
    all.into_iter().filter(|(name, always)| *always && !name.is_empty()).map(|(name, _)| name).collect()
}

fn gather(of: &'static Struct, seen: &mut BTreeSet<&'static str>, fields: &mut Vec<&'static Field>) {
    if !seen.insert(of.name) {
        return;
    }
    for field in of.all() {
        fields.push(field);
        if let Some(inner) = field.kind.of() {
            gather(inner, seen, fields);
        }
    }
}
