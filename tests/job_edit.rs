//! Edits of job files: over the conformance corpus where it is found, over files derived from it, and
//! by hand.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use std::fs;
use std::sync::Arc;

use blackstart::base::Source;
use blackstart::hcl::trace::Place;
use blackstart::hcl::{Block, Body, Item, JsonNode, JsonNodeKind};
use blackstart::jobspec::{
    Change, Edit, EditError, Edits, Inputs, Path, Wanted, apply, edit_at, edits, edits_of, parse, places,
    undo,
};
use serde_json::Value as Json;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

mod corpus;

use corpus::{Case, cases, corpus};

/// A job file and what it is read with.
#[derive(Clone)]
struct Files {
    job: Arc<Source>,
    inputs: Inputs,
}

impl Files {
    fn of(case: &Case) -> Self {
        let job = Source::new(case.name.clone(), fs::read_to_string(&case.file).unwrap());
        Self { job, inputs: case.inputs.clone() }
    }

    fn var_file(mut self, name: &str, text: &str) -> Self {
        self.inputs.var_files.push(Source::new(name, text));
        self
    }

    fn json(&self) -> Json {
        parse(&self.job, &self.inputs).unwrap_or_else(|errors| panic!("{errors}\n{}", self.job.text)).json
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Source>> {
        std::iter::once(&self.job).chain(&self.inputs.var_files)
    }

    fn edited(&self, edits: &[Edit]) -> Self {
        let edit = |file: &Arc<Source>| {
            let own: Vec<Edit> = edits.iter().filter(|edit| edit.file == file.name).cloned().collect();
            for edit in &own {
                assert_eq!(file.text[edit.range.clone()], edit.old);
            }
            Source::new(file.name.clone(), apply(&file.text, &own))
        };
        let mut inputs = self.inputs.clone();
        inputs.var_files = inputs.var_files.iter().map(edit).collect();
        Self { job: edit(&self.job), inputs }
    }

    fn text(&self) -> String {
        self.all().map(|file| file.text.as_str()).collect()
    }

    /// Sets a value, and looks that the job has it, that the rest stays as it was or was told, and that
    /// the way back leads to the same bytes.
    fn set(&self, path: &str, value: impl Into<Json>) -> Result<(Self, Edits), EditError> {
        let value = value.into();
        let path: Path = path.parse().unwrap();
        let before = self.json();
        let made = edits(&self.job, &self.inputs, &[Wanted { path: path.clone(), value: value.clone() }])?;
        let after = self.edited(&made.edits);
        let mut expected = before.clone();
        let old = path.set(&mut expected, &value).unwrap();
        let json = after.json();
        for Change { path: also, old, new } in &made.also {
            assert_ne!(old, new, "{also}");
            assert_eq!(also.get(&before).unwrap_or(&Json::Null), old);
            also.set(&mut expected, new).unwrap();
        }
        assert_eq!(corpus::difference("", &json, &expected), None, "{path}");
        if !old.is_null() {
            let undone = edits(&after.job, &after.inputs, &[Wanted { path: path.clone(), value: old }]);
            let undone = undone.unwrap_or_else(|error| panic!("{path}: {error}"));
            // Values are in Unicode's normal form: of text that isn't, they don't tell how it was written.
            let undone = after.edited(&undone.edits).text();
            let same = undone == self.text() || undone.nfc().eq(self.text().nfc()) && !is_nfc(&self.text());
            assert!(same, "{path}: {undone}");
        }
        Ok((after, made))
    }
}

/// The lines that differ, where none was added or taken out.
fn changed_lines(before: &Files, after: &Files) -> Option<Vec<String>> {
    let (old, new) = (before.text(), after.text());
    let (old, new): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    if old.len() != new.len() {
        return None;
    }
    Some(old.iter().zip(&new).filter(|(a, b)| a != b).map(|(_, line)| (*line).to_owned()).collect())
}

fn images(job: &Json) -> Vec<(String, String)> {
    let every = Path::every(job).into_iter().map(|(path, value)| (path.to_string(), value));
    every
        .filter(|(path, _)| path.ends_with(".config.image"))
        .filter_map(|(path, value)| Some((path, value.as_str()?.to_owned())))
        .collect()
}

fn other(value: &Json) -> Json {
    match value {
        Json::String(text) if text.parse::<i64>().is_ok() => format!("1{text}").into(),
        Json::String(text) => format!("{text}-x9").into(),
        Json::Bool(truth) => (!truth).into(),
        Json::Number(number) => (number.as_i64().unwrap_or_default() + 1).into(),
        other => other.clone(),
    }
}

/// The corpus's files that Nomad takes.
fn sound() -> Vec<(String, Files)> {
    let Some(corpus) = corpus() else { return Vec::new() };
    let cases = cases(&corpus).into_iter().filter(|case| case.expected.is_some());
    cases.map(|case| (case.name.clone(), Files::of(&case))).collect()
}

/// The first value that is written in a tree, in the order of the file; of a file without any, the
/// first label.
fn first_place(source: &Arc<Source>) -> Option<usize> {
    fn value(body: &Body) -> Option<usize> {
        body.items.iter().find_map(|item| match item {
            Item::Attribute(attribute) => Some(attribute.expr.span.range.start),
            Item::Block(block) => value(&block.body),
        })
    }
    fn label(block: &Block) -> Option<usize> {
        let own = block.labels.first().map(|label| label.span.range.start);
        own.or_else(|| block.body.all_blocks().find_map(label))
    }
    fn scalar(node: &JsonNode) -> Option<usize> {
        match &node.kind {
            JsonNodeKind::Object(members) => members.iter().find_map(|(_, node)| scalar(node)),
            JsonNodeKind::Array(items) => items.iter().find_map(scalar),
            _ => Some(node.span.range.start),
        }
    }
    if source.text.trim_start_matches(' ').starts_with('{') {
        return scalar(&blackstart::hcl::parse_json(source).ok()?);
    }
    let body = blackstart::hcl::parse(source).ok()?;
    value(&body).or_else(|| body.all_blocks().find_map(label))
}

/// Edits what stands first in a file; the lines that change, after the way back was proven.
fn edit_first(source: &Arc<Source>) -> Result<Option<Vec<String>>, String> {
    let at = first_place(source).ok_or("nothing stands in it")?;
    let edit = edit_at(source, at, &"x9".into()).map_err(|error| error.to_string())?;
    let after = apply(&source.text, std::slice::from_ref(&edit));
    assert_eq!(apply(&after, &undo(&[edit])), source.text);
    let files = |text: &str| Files { job: Source::new("f", text), inputs: Inputs::default() };
    Ok(changed_lines(&files(&source.text), &files(&after)))
}

#[test]
fn the_first_value_of_every_file_is_edited_and_undone() {
    let (mut images, mut firsts, mut failures) = (0, 0, Vec::new());
    let Some(corpus) = corpus() else { return };
    for case in cases(&corpus) {
        let files = Files::of(&case);
        let name = &case.name;
        // What Nomad refuses has no job, but may have a tree.
        let job = case.expected.as_ref().map(|_| files.json());
        let image = job.as_ref().and_then(|job| self::images(job).into_iter().next());
        if let Some((path, image)) = image {
            match files.set(&path, format!("{image}-x9")) {
                Ok((after, made)) if changed_lines(&files, &after).is_some_and(|lines| lines.len() == 1) => {
                    assert_eq!(after.edited(&undo(&made.edits)).text(), files.text(), "{name}");
                    images += 1;
                }
                Ok((after, _)) => {
                    failures.push(format!("{name}: {path}: {:?}", changed_lines(&files, &after)));
                }
                Err(error) => failures.push(format!("{name}: {path}: {error}")),
            }
        }
        if job.is_none() && first_place(&files.job).is_none() {
            println!("{name} can't be read, not by Nomad either");
            continue;
        }
        match edit_first(&files.job) {
            Ok(Some(lines)) if lines.len() == 1 => firsts += 1,
            other => failures.push(format!("{name}: {other:?}")),
        }
    }
    println!("{images} images and {firsts} first values edited and undone");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_value_of_every_job_is_edited_by_its_path() {
    let (mut done, mut without, mut failures) = (0, 0, Vec::new());
    for (name, files) in sound() {
        let job = files.json();
        let first_image = images(&job).into_iter().map(|(path, image)| (path, Json::from(image)));
        let others = Path::every(&job).into_iter().map(|(path, value)| (path.to_string(), value.clone()));
        let places = places(&files.job, &files.inputs).unwrap();
        let written = |path: &str| {
            let pointer = path.parse::<Path>().unwrap().pointer(&job).unwrap();
            let outer = &pointer[..pointer.rfind('/').unwrap()];
            places.of(&pointer) != places.of(outer)
        };
        let others = others.filter(|(path, _)| path != "id" && path != "name" && written(path));
        let mut told = Vec::new();
        let found =
            first_image.chain(others).find_map(|(path, value)| match files.set(&path, other(&value)) {
                Ok((after, _)) => Some((path, after)),
                Err(error) => {
                    told.push(format!("{path}: {error}"));
                    None
                }
            });
        match found.map(|(path, after)| (path, changed_lines(&files, &after))) {
            Some((_, Some(lines))) if lines.len() == 1 => done += 1,
            Some((path, lines)) => failures.push(format!("{name}: {path}: {lines:?}")),
            // Nothing is written there, or functions make all of it.
            None if told
                .iter()
                .all(|why| why.contains("is made by") || why.contains("not give what is wanted")) =>
            {
                println!("{name} has no value that a path leads to: {}", told.join("; "));
                without += 1;
            }
            None => failures.push(format!("{name}: no value could be edited: {}", told.join("; "))),
        }
    }
    println!("{done} files edited and undone, {without} without a value");
    assert!(without * 10 <= done, "too many files are left out");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_image_is_edited_where_it_stands() {
    let (mut done, mut failures) = (0, Vec::new());
    for (name, files) in sound() {
        for (path, image) in images(&files.json()) {
            match files.set(&path, format!("{image}-x9")) {
                Ok((after, _)) if changed_lines(&files, &after).is_some_and(|lines| lines.len() == 1) => {
                    done += 1;
                }
                Ok((after, made)) => {
                    failures.push(format!("{name}: {path}: {made:?} {:?}", changed_lines(&files, &after)));
                }
                Err(error) => failures.push(format!("{name}: {path} = {image:?}: {error}")),
            }
        }
    }
    println!("{done} images edited");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The same job with its first image somewhere else: files, the path, the image and the place.
fn moved(files: &Files) -> Vec<(Files, String, String, Place)> {
    let job = files.json();
    let places = places(&files.job, &files.inputs).unwrap();
    let plain = images(&job).into_iter().find_map(|(path, image)| {
        let pointer = path.parse::<Path>().unwrap().pointer(&job).unwrap();
        let span = places.of(&pointer)?.clone();
        (span.text() == format!("\"{image}\"")).then_some((path, image, span))
    });
    let Some((path, image, span)) = plain else { return Vec::new() };
    if files.job.text.trim_start().starts_with('{') {
        return Vec::new();
    }
    let put = |expr: &str, more: &str| {
        let mut text = files.job.text.clone();
        text.replace_range(span.range.clone(), expr);
        Files { job: Source::new(files.job.name.clone(), format!("{text}\n{more}")), ..files.clone() }
    };
    let (base, tag) = match image.rsplit_once(':') {
        Some((base, tag)) => (base.to_owned(), tag.to_owned()),
        None => (image.clone(), "latest".to_owned()),
    };
    let name = || "moved_image".to_owned();
    let declared = "variable \"moved_image\" {\n  type = string\n}\n";
    let mut all = vec![
        (
            put("local.moved_image", &format!("locals {{\n  moved_image = \"{image}\"\n}}\n")),
            Place::Local(name()),
        ),
        (
            put(
                "var.moved_image",
                &format!("variable \"moved_image\" {{\n  default = \"{image}\" # here\n}}\n"),
            ),
            Place::Default(name()),
        ),
        (
            put("var.moved_image", declared)
                .var_file("moved.hcl", &format!("# The image.\r\nmoved_image   = \"{image}\" // ours\r\n")),
            Place::VarFile(name()),
        ),
        (
            put("(var.moved_image)", declared)
                .var_file("moved.json", &format!("{{\n  \"moved_image\":\t\"{image}\"\n}}\n")),
            Place::VarFile(name()),
        ),
    ];
    if image.contains(':') {
        let split = format!(
            "locals {{\n  moved_tag = \"{tag}\"\n}}\nvariable \"moved_base\" {{\n  default = \"{base}\"\n}}\n"
        );
        let files = put("\"${var.moved_base}:${local.moved_tag}\"", &split);
        all.push((files, Place::Local("moved_tag".to_owned())));
    }
    all.into_iter().map(|(files, place)| (files, path.clone(), image.clone(), place)).collect()
}

#[test]
fn an_image_is_edited_where_it_comes_from() {
    let (mut done, mut failures) = (0, Vec::new());
    for (name, files) in sound() {
        let job = files.json();
        for (moved, path, image, place) in moved(&files) {
            assert_eq!(corpus::difference("", &moved.json(), &job), None, "{name}");
            match moved.set(&path, format!("{image}-x9")) {
                Ok((after, made)) => {
                    let lines = changed_lines(&moved, &after);
                    let places: Vec<&Place> = made.edits.iter().map(|edit| &edit.place).collect();
                    if lines.is_some_and(|lines| lines.len() == 1) && places == [&place] {
                        done += 1;
                    } else {
                        failures.push(format!("{name}: {place}: {made:?}"));
                    }
                }
                Err(error) => failures.push(format!("{name}: {place}: {error}")),
            }
        }
    }
    println!("{done} images edited in locals, defaults and var files");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// In the job's own expression, whatever it refers to: one line of the job file, and nothing else changes.
#[test]
fn an_image_is_written_in_the_place_of_what_it_refers_to() {
    let (mut done, mut failures) = (0, Vec::new());
    for (name, files) in sound() {
        let job = files.json();
        for (moved, path, image, _) in moved(&files) {
            let path: Path = path.parse().unwrap();
            let value = Json::from(format!("mirror.example.com:5000/{image}-x9"));
            let wanted = [Wanted { path: path.clone(), value: value.clone() }];
            let made =
                edits_of(&parse(&moved.job, &moved.inputs).unwrap(), &moved.inputs, &wanted, &|_| true)
                    .unwrap();
            let after = moved.edited(&made.edits);
            let mut expected = job.clone();
            path.set(&mut expected, &value).unwrap();
            let one = changed_lines(&moved, &after).is_some_and(|lines| lines.len() == 1);
            let here = made.edits.len() == 1 && made.edits[0].file == moved.job.name;
            if !one || !here || corpus::difference("", &after.json(), &expected).is_some() {
                failures.push(format!("{name}: {made:?}"));
            }
            done += 1;
        }
    }
    println!("{done} images written where they are used");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
