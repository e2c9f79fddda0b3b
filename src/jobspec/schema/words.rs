//! Structs whose blocks have other words than their fields: hooks turn these into those.

use crate::jobspec::schema::row::Kind::{LowByte, MaybeFlag, MaybeText};
use crate::jobspec::schema::row::{Struct, optional};

/// The words of a struct's block, where they are not its fields.
pub fn words(of: &'static Struct) -> &'static Struct {
    match of.name {
        "Constraint" => &CONSTRAINT,
        "Affinity" => &AFFINITY,
        _ => of,
    }
}

static CONSTRAINT: Struct = Struct {
    name: "Constraint",
    fields: &[
        optional("attribute", "attribute", MaybeText),
        optional("value", "value", MaybeText),
        optional("operator", "operator", MaybeText),
        optional("version", "version", MaybeText),
        optional("semver", "semver", MaybeText),
        optional("regexp", "regexp", MaybeText),
        optional("set_contains", "set_contains", MaybeText),
        optional("set_contains_all", "set_contains_all", MaybeText),
        optional("set_contains_any", "set_contains_any", MaybeText),
        optional("is_set", "is_set", MaybeText),
        optional("is_not_set", "is_not_set", MaybeText),
        optional("distinct_hosts", "distinct_hosts", MaybeFlag),
        optional("distinct_property", "distinct_property", MaybeText),
    ],
    extra: &[],
};

static AFFINITY: Struct = Struct {
    name: "Affinity",
    fields: &[
        optional("attribute", "attribute", MaybeText),
        optional("value", "value", MaybeText),
        optional("operator", "operator", MaybeText),
        optional("weight", "weight", LowByte),
        optional("version", "version", MaybeText),
        optional("semver", "semver", MaybeText),
        optional("regexp", "regexp", MaybeText),
        optional("set_contains", "set_contains", MaybeText),
        optional("set_contains_all", "set_contains_all", MaybeText),
        optional("set_contains_any", "set_contains_any", MaybeText),
    ],
    extra: &[],
};
