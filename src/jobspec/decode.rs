//! The table's interpreter: a body to the JSON of a struct.

use serde_json::{Map, Value as Json};

use crate::base::{Diagnostic, Diagnostics, Severity};
use crate::hcl::Ident;
use crate::jobspec::schema::{Field, Kind, Place, Struct, words};
use crate::jobspec::trail::{Holds, mark};
use crate::jobspec::view::{Found, View};
use crate::jobspec::{free, hooks, scalar};

/// What a struct counts as work, beside what its expressions do: so many blocks are made at most that
/// memory holds them, some fifty thousand.
const STRUCT_WORK: u64 = 40;

/// The JSON of a struct, every key present. After errors it is only good for finding more of them.
pub fn decode(of: &'static Struct, labels: &[Ident], view: &View<'_>, errors: &mut Diagnostics) -> Json {
    if let Err(error) = view.context.spend(STRUCT_WORK, view.header) {
        // Once is enough to tell.
        if errors.0.last().is_none_or(|last| last.message != error.message) {
            errors.push(error);
        }
        return Json::Null;
    }
    let mut json = by_table(words(of), view, errors);
    mark(&mut json, Holds::Struct(of), labels, view);
    if let Some(field) = of.label()
        && let Some(label) = labels.first()
    {
        json.insert(field.json.to_owned(), label.text.as_str().into());
    }
    hooks::after(of.name, &mut json, view, errors);
    Json::Object(json)
}

fn by_table(of: &'static Struct, view: &View<'_>, errors: &mut Diagnostics) -> Map<String, Json> {
    let content = view.content(of, errors);
    let mut json: Map<String, Json> =
        of.all().map(|field| (field.json.to_owned(), field.kind.empty())).collect();
    for (field, attribute) in &content.attributes {
        match scalar::decode(attribute, field.kind, &view.context) {
            Ok(value) => {
                json.insert(field.json.to_owned(), value);
            }
            Err(error) => errors.push(error),
        }
    }
    for field in of.fields.iter().filter(|field| field.place == Place::Required) {
        if !content.attributes.iter().any(|(present, _)| present.name == field.name) {
            errors.push(Diagnostic::error(format!("`{}` is missing", field.name)).at(view.header));
        }
    }
    for field in of.all() {
        let blocks: Vec<&Found<'_>> =
            content.blocks.iter().filter(|found| std::ptr::eq(found.field, field)).collect();
        if let Some(first) = blocks.first() {
            let attribute = content.attributes.iter().find(|(present, _)| present.name == field.name);
            if attribute.is_some() {
                errors.push(
                    Diagnostic::error(format!(
                        "`{}` is set twice, as an attribute and as a block",
                        field.name
                    ))
                    .at(first.view.header)
                    .help("keep one of them"),
                );
            }
            let before = errors.0.len();
            json.insert(field.json.to_owned(), blocks_json(field, &blocks, errors));
            if hooks::swallows_errors(of.name, field.name) {
                for error in &mut errors.0[before..] {
                    error.severity = Severity::Warning;
                }
            }
        }
    }
    json
}

fn blocks_json(field: &'static Field, blocks: &[&Found<'_>], errors: &mut Diagnostics) -> Json {
    let mut one = |found: &Found<'_>| match field.kind {
        Kind::One(of) | Kind::Many(of) | Kind::ByLabel(of) => decode(of, &found.labels, &found.view, errors),
        Kind::FreeMap => {
            let mut map = free::decode(&found.view, errors);
            mark(&mut map, Holds::Free, &[], &found.view);
            Json::Object(map)
        }
        kind => text_map(kind, &found.view, errors),
    };
    match field.kind {
        Kind::Many(_) => blocks.iter().map(|found| one(found)).collect(),
        Kind::ByLabel(_) => {
            let mut map = Map::new();
            for found in blocks {
                let label = found.labels.first().map(|label| label.text.clone()).unwrap_or_default();
                map.insert(label, one(found));
            }
            Json::Object(map)
        }
        _ => {
            let json = blocks.first().map_or(Json::Null, |found| one(found));
            if let Some(second) = blocks.get(1) {
                let (line, _) = blocks[0].view.header.source.position(blocks[0].view.header.range.start);
                errors.push(
                    Diagnostic::error(format!("only one `{}` block can stand here", field.name))
                        .at(second.view.header)
                        .help(format!("the first is in line {line}")),
                );
                return field.kind.empty();
            }
            json
        }
    }
}

/// A block of free names, each with a text or a list of texts.
fn text_map(kind: Kind, view: &View<'_>, errors: &mut Diagnostics) -> Json {
    let element = if matches!(kind, Kind::TextsMap) { Kind::Texts } else { Kind::Text };
    let mut map = Map::new();
    for attribute in view.body.attributes() {
        match scalar::decode(attribute, element, &view.context) {
            Ok(value) => {
                map.insert(attribute.name.text.clone(), value);
            }
            Err(error) => errors.push(error),
        }
    }
    for block in view.body.all_blocks() {
        errors.push(
            Diagnostic::error(format!("a block can't stand here, only `{} = …`", block.kind.text))
                .at(&block.kind.span),
        );
    }
    mark(&mut map, Holds::Texts, &[], view);
    Json::Object(map)
}
