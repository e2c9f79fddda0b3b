//! The house's rooms: which module may use which, who alone may know what, and how long a file may get.
//!
//! The table is exact both ways: an edge that isn't in it fails, and so does one that no code uses any
//! more. What it can't see: a name that reaches a module through a re-export of another.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking and prints notes")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top of the house to its ground: a module uses only those below it, and of them only these.
const ROOMS: &[(&str, &[&str])] = &[
    ("cli", &["app", "report", "sim", "engine", "settings", "plan", "event", "journal", "process", "base"]),
    (
        "app",
        &[
            "sim",
            "step",
            "lasting",
            "gate",
            "environment",
            "engine",
            "terraform",
            "nomad",
            "jobspec",
            "settings",
            "plan",
            "dialect",
            "hcl",
            "event",
            "journal",
            "process",
            "http",
            "base",
        ],
    ),
    ("report", &["event", "base"]),
    ("sim", &["terraform", "hcl", "http", "base"]),
    (
        "step",
        &[
            "lasting",
            "environment",
            "engine",
            "terraform",
            "nomad",
            "jobspec",
            "db",
            "plan",
            "dialect",
            "hcl",
            "event",
            "journal",
            "process",
            "http",
            "base",
        ],
    ),
    (
        "gate",
        &[
            "environment",
            "engine",
            "nomad",
            "db",
            "plan",
            "dialect",
            "hcl",
            "event",
            "process",
            "http",
            "base",
        ],
    ),
    ("lasting", &["environment", "nomad", "process", "journal", "jobspec", "hcl", "base"]),
    ("environment", &["engine", "terraform", "nomad", "db", "settings", "dialect", "hcl", "http", "base"]),
    ("engine", &["plan", "dialect", "event", "journal", "base"]),
    ("terraform", &["process", "base"]),
    ("nomad", &["http", "base"]),
    ("db", &[]),
    ("process", &["base"]),
    ("journal", &["base"]),
    ("event", &["base"]),
    ("plan", &["dialect", "hcl", "base"]),
    ("settings", &["dialect", "hcl", "base"]),
    ("jobspec", &["hcl", "base"]),
    ("dialect", &["hcl", "base"]),
    ("hcl", &["base"]),
    ("http", &["base"]),
    ("base", &[]),
];

/// What only some modules may know of the world outside: (a path in code, where it may stand).
const KNOWN_BY: &[(&str, &[&str])] = &[
    ("indicatif", &["report"]),
    ("miette", &["report"]),
    ("terminal_size", &["report"]),
    ("dialoguer", &["cli"]),
    ("clap", &["cli"]),
    ("reqwest", &["http"]),
    ("rustls", &["http"]),
    ("rusqlite", &["db", "journal", "sim"]),
    ("axum", &["http", "sim"]),
    ("tokio::net", &["sim/door", "http"]),
    ("tokio::process", &["process"]),
    ("SystemTime::now", &["base/clock.rs"]),
    ("Instant::now", &["base/clock.rs"]),
    ("Timestamp::now", &["base/clock.rs"]),
    ("Zoned::now", &["base/clock.rs"]),
];

const LONGEST: usize = 600;
const LONG: usize = 400;

struct File {
    /// Below src/.
    path: PathBuf,
    lines: usize,
    /// Without comments and texts.
    code: String,
}

impl File {
    /// The module of the crate's root that it belongs to; none for the root itself.
    fn room(&self) -> Option<String> {
        let first = self.path.iter().next()?.to_str()?.trim_end_matches(".rs");
        (!matches!(first, "lib" | "main")).then(|| first.to_owned())
    }

    /// How many modules lie between its own items and the crate's root.
    fn depth(&self) -> usize {
        let parts = self.path.iter().count();
        if self.path.file_name().is_some_and(|name| name == "mod.rs") { parts - 1 } else { parts }
    }

    fn is_in(&self, place: &str) -> bool {
        self.path.starts_with(place) || self.path == Path::new(&format!("{place}.rs"))
    }
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut files) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_owned();
                files.push(File { path, lines: text.lines().count(), code: code_of(&text) });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 100, "the sources were not found");
    files
}

/// A source without its comments and without what stands in quotes.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.chars().last().is_some_and(|c| c.is_alphanumeric() || c == '_');
        let hashes = rest.strip_prefix('r').map_or(0, |r| r.len() - r.trim_start_matches('#').len());
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if !after_word && rest.starts_with('r') && rest[1 + hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let begin = 2 + hashes;
            rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len())
        } else if first == '"' {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(at, _)| at + 1)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').unwrap() + 2
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[length..];
    }
    code
}

/// The modules of the crate's root that code names: `crate::a`, `crate::{a, b::c}` and `super::…::a`.
fn named(file: &File) -> BTreeSet<String> {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let mut found = BTreeSet::new();
    for (at, _) in file.code.match_indices("crate::") {
        let rest = file.code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(first_words(group)),
            None => found.extend(word(rest)),
        }
    }
    let mut rest = file.code.as_str();
    while let Some(at) = rest.find("super::") {
        rest = &rest[at..];
        let mut climbed = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, climbed) = (after, climbed + 1);
        }
        if climbed >= file.depth() {
            found.extend(word(rest).filter(|name| rooms.contains(name.as_str())));
        }
    }
    found
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// The first word of each member of a group, whose opening brace is gone.
fn first_words(group: &str) -> Vec<String> {
    let (mut depth, mut words, mut begins) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => begins = true,
            c if begins && !c.is_whitespace() => {
                words.extend(word(&group[at..]));
                begins = false;
            }
            _ => {}
        }
    }
    words
}

/// Where `path` stands in code as a whole path, or the end of one.
fn has_path(code: &str, path: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(path)
        .any(|(at, _)| !part(code[..at].chars().next_back()) && !part(code[at + path.len()..].chars().next()))
}

#[test]
fn every_module_uses_only_what_the_table_says() {
    let table: BTreeMap<&str, BTreeSet<&str>> =
        ROOMS.iter().map(|(room, uses)| (*room, uses.iter().copied().collect())).collect();
    let mut used: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for file in files() {
        let Some(room) = file.room() else { continue };
        let Some(allowed) = table.get(room.as_str()) else {
            wrong.push(format!("the module '{room}' is not in the table"));
            continue;
        };
        for name in named(&file).into_iter().filter(|name| *name != room) {
            if !allowed.contains(name.as_str()) {
                wrong.push(format!("src/{}: {room} may not use {name}", file.path.display()));
            }
            used.entry(room.clone()).or_default().entry(name).or_insert_with(|| file.path.clone());
        }
    }
    for (room, uses) in ROOMS {
        for name in *uses {
            if !used.get(*room).is_some_and(|used| used.contains_key(*name)) {
                wrong.push(format!("{room} doesn't use {name} any more: take it out of the table"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_table_names_only_what_lies_below() {
    let place = |room: &str| ROOMS.iter().position(|(name, _)| *name == room);
    for (i, (room, uses)) in ROOMS.iter().enumerate() {
        for name in *uses {
            assert!(place(name).is_some_and(|below| below > i), "{name} doesn't lie below {room}");
        }
    }
    // And it is whole: every module of the crate's root.
    let root = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    for line in root.lines().filter_map(|line| line.strip_prefix("pub mod ")) {
        assert!(place(line.trim_end_matches(';')).is_some(), "{line} is not in the table");
    }
}

#[test]
fn what_only_some_may_know_stays_there() {
    let files = files();
    let mut wrong = Vec::new();
    for (path, places) in KNOWN_BY {
        let knowing: Vec<_> = files.iter().filter(|file| has_path(&file.code, path)).collect();
        assert!(
            !knowing.is_empty() || path.ends_with("::now"),
            "nobody knows {path}: take it out of the table"
        );
        for file in knowing.iter().filter(|file| !places.iter().any(|place| file.is_in(place))) {
            wrong.push(format!("src/{} knows {path}; only {} may", file.path.display(), places.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_too_long() {
    let mut too_long = Vec::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let tests = fs::read_dir(tests).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let tests =
        tests.map(|path| (path.clone(), fs::read_to_string(path).unwrap_or_default().lines().count()));
    let sources = files().into_iter().map(|file| (Path::new("src").join(&file.path), file.lines));
    for (path, lines) in sources.chain(tests) {
        if lines > LONG {
            println!("note: {} has {lines} lines", path.display());
        }
        if lines > LONGEST {
            too_long.push(format!("{} has {lines} lines", path.display()));
        }
    }
    assert!(too_long.is_empty(), "\n{}", too_long.join("\n"));
}

#[test]
fn a_mod_file_only_declares_and_re_exports() {
    for file in files().iter().filter(|file| file.path.file_name().is_some_and(|name| name == "mod.rs")) {
        let mut code = file.code.clone();
        // Attributes belong to what they stand before.
        while let Some(at) = code.find("#[") {
            let end = code[at..].find(']').unwrap();
            code.replace_range(at..=at + end, " ");
        }
        for item in code.split(';').map(str::trim).filter(|item| !item.is_empty()) {
            let item = item.strip_prefix("pub").map_or(item, |rest| {
                rest.trim_start().strip_prefix("(super)").or(rest.strip_prefix("(crate)")).unwrap_or(rest)
            });
            let first = item.split_whitespace().next().unwrap_or_default();
            assert!(
                matches!(first, "mod" | "use"),
                "src/{} holds more than declarations: {item}",
                file.path.display()
            );
        }
    }
}

/// The scanner itself: what it must see, and what it must not.
#[test]
fn the_scanner_reads_code_and_nothing_else() {
    let file = |path: &str, text: &str| File { path: path.into(), lines: 0, code: code_of(text) };
    let seen = |path: &str, text: &str| Vec::from_iter(named(&file(path, text)));
    assert_eq!(seen("a/b.rs", "use crate::sim::World; fn f() { crate::db::x() }"), ["db", "sim"]);
    assert_eq!(
        seen("a/b.rs", "use crate::{base::{self, Clock}, hcl,\n event::What};"),
        ["base", "event", "hcl"]
    );
    assert_eq!(seen("a/b.rs", "use super::super::sim::World; use super::gate;"), ["sim"]);
    assert_eq!(seen("a/mod.rs", "use super::sim;"), ["sim"]);
    let text = "// crate::sim\n/* crate::db */ let x = \"crate::gate \\\" crate::step\"; r#\"\"crate::app\"#; 'a'; '\"'";
    assert!(seen("a.rs", text).is_empty(), "{:?}", seen("a.rs", text));
    assert!(has_path("let a = std::time::Instant::now();", "Instant::now"));
    assert!(!has_path("my_clap::x; clapper::y", "clap"));
}
