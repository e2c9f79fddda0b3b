//! The layout of HCL files: own cases, and `nomad fmt` itself over the corpus and changed files of it
//! where `NOMAD_BIN` names it or `nomad` is on PATH. BLACKSTART_FMT_CASES sets how many changed files.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use blackstart::base::Source;
use blackstart::hcl;

mod mutation;

fn formatted(text: &str) -> String {
    hcl::format(&Source::new("f.hcl", text)).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// As it is written, as it shall be.
const CASES: &[(&str, &str)] = &[
    ("", ""),
    ("\n\n", "\n\n"),
    ("a=1", "a = 1"),
    // Blanks behind the last line end stay.
    ("a=1\n   ", "a = 1\n   "),
    ("a=1   ", "a = 1   "),
    ("a = 1\n\n\n\nb = 2\n", "a = 1\n\n\n\nb = 2\n"),
    // What follows one another lines up; an empty line, a block or an open bracket ends that.
    ("a = 1\nlonger = 2\n\nb = 3\n", "a      = 1\nlonger = 2\n\nb = 3\n"),
    ("a = 1\nlist = [\n1,\n]\nb = 2\n", "a = 1\nlist = [\n  1,\n]\nb = 2\n"),
    ("a = 1 # one\nlonger = 22 // two\n", "a      = 1  # one\nlonger = 22 // two\n"),
    ("a = 1 /* one */\nlonger = 22\n", "a      = 1 /* one */\nlonger = 22\n"),
    ("a = 1\n# between\nlonger = 2\n", "a = 1\n# between\nlonger = 2\n"),
    ("é = 1\nab = 2\n", "é  = 1\nab = 2\n"),
    // Indentation counts lines that open, not brackets.
    ("a = f([{\nb = 1\n}])\n", "a = f([{\n  b = 1\n}])\n"),
    ("a = f([{\nb = 1\n}\n])\nc = 1\n", "a = f([{\n  b = 1\n  }\n])\nc = 1\n"),
    (
        "job \"a\" {\n\tgroup   \"b\"  {\n\n   count=1\n\t}\n}\n",
        "job \"a\" {\n  group \"b\" {\n\n    count = 1\n  }\n}\n",
    ),
    ("a {}\nb { c=1 }\n", "a {}\nb { c = 1 }\n"),
    ("a { }\n", "a {}\n"),
    // Signs.
    ("a = - 1\nb = 1 -2\nc = [-1,- 2]\nd = ! true\n", "a = -1\nb = 1 - 2\nc = [-1, -2]\nd = !true\n"),
    ("a = \"${- 1}\"\n", "a = \"${- 1}\"\n"),
    ("a = {b=-1}\nc = true?-1:- 2\n", "a = { b = -1 }\nc = true ? -1 : -2\n"),
    ("a = 1*- 2\nb = (- 1)\n", "a = 1 * -2\nb = (-1)\n"),
    // Steps, calls, indexes.
    ("a = b . c [0] [\"d\"]\n", "a = b.c[0][\"d\"]\n"),
    ("a = f (1 ,2 , g( )) [0]\n", "a = f(1, 2, g())[0]\n"),
    ("a = f(b ...)\n", "a = f(b...)\n"),
    ("a = b [*] . c\nd = b.*.c\n", "a = b[*].c\nd = b.*.c\n"),
    ("a = [for x in[1]:x if x>0]\n", "a = [for x in [1] : x if x > 0]\n"),
    ("a = {for k,v in b:k=>v...}\n", "a = { for k, v in b : k => v... }\n"),
    ("a = {\nb=1,c:2\n}\n", "a = {\n  b = 1, c : 2\n}\n"),
    ("a = {b={}}\n", "a = { b = {} }\n"),
    // Templates.
    ("a = \"x ${ b } %{ if  c }d%{endif}  \"\n", "a = \"x ${b} %{if c}d%{endif}  \"\n"),
    ("a = \"${~ b ~}${ {c=1} }\"\n", "a = \"${~b~}${ { c = 1 } }\"\n"),
    ("a = \"$${b} %%{ c } \\\" # ${ \"}\" }\"\n", "a = \"$${b} %%{ c } \\\" # ${\"}\"}\"\n"),
    // Heredocs keep their text and the place of their marker.
    ("a = <<EOT\n  x  =  ${ b }\n  EOT\nbcd=1\n", "a   = <<EOT\n  x  =  ${b}\n  EOT\nbcd = 1\n"),
    ("t {\ndata = <<-E\n\tx\n\tE\n}\n", "t {\n  data = <<-E\n\tx\n\tE\n}\n"),
    ("a = f(<<E\nx {\nE\n, 1)\n", "a = f(<<E\nx {\nE\n, 1)\n"),
    // Comments.
    ("a { # b\n   # c\nd=1 # e\n}\n", "a { # b\n  # c\n  d = 1 # e\n}\n"),
    ("/* a\n  b */ c=1\n", "/* a\n  b */ c = 1\n"),
    ("a = [\n1, # one\n22, # two\n]\n", "a = [\n  1,  # one\n  22, # two\n]\n"),
    ("#a\n   #b\n", "#a\n#b\n"),
    // Line ends stay what they are; a byte order mark goes.
    ("a{\r\nb=1 # c\r\n}\r\n", "a {\r\n  b = 1 # c\r\n}\r\n"),
    ("\u{feff}a=1\n", "a = 1\n"),
];

#[test]
fn layout_is_canonical() {
    for (given, expected) in CASES {
        assert_eq!(formatted(given), *expected, "of {given:?}");
        assert_eq!(formatted(expected), *expected, "once more");
    }
}

#[test]
fn comments_stay_where_stock_nomad_deletes_them() {
    for text in ["job /* old */ \"a\" {\n}\n", "a = var /* old */ .b\n"] {
        assert!(formatted(text).contains("/* old */"), "{}", formatted(text));
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let errors = hcl::format(&Source::new("f.hcl", "a = [1\nb = 2\n")).unwrap_err();
    assert!(errors.to_string().starts_with("f.hcl:2:1: "), "{errors}");
}

fn nomad() -> Option<PathBuf> {
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("nomad")).find(|file| file.is_file())
    };
    let found = std::env::var_os("NOMAD_BIN").map(PathBuf::from).or_else(on_path);
    if found.is_none() {
        println!("skipped: NOMAD_BIN is not set and nomad is not on PATH");
    }
    found
}

/// Formats all files of a folder by one process of the real thing, and compares each. Where it refuses
/// a file, it leaves it as it was.
fn compare(nomad: &Path, texts: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let name = |i: usize| folder.path().join(format!("{i:06}.hcl"));
    for (i, text) in texts.iter().enumerate() {
        fs::write(name(i), text).unwrap();
    }
    let output = Command::new(nomad).args(["fmt", "-list=false"]).arg(folder.path()).output().unwrap();
    let mut failed = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let (theirs, ours) = (fs::read_to_string(name(i)).unwrap(), formatted(text));
        if theirs != ours {
            failed.push(format!("--- given\n{text}\n--- Nomad\n{theirs}\n--- here\n{ours}"));
        }
    }
    println!("{} compared with nomad fmt, {} differ", texts.len(), failed.len());
    if let Some(dir) = std::env::var_os("BLACKSTART_FMT_FAILED") {
        for (i, text) in failed.iter().enumerate() {
            fs::write(Path::new(&dir).join(format!("{i}.txt")), text).unwrap();
        }
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let first = failed.first().map(String::as_str).unwrap_or_default();
    assert!(failed.is_empty(), "{} of {} differ\n{stderr:.3000}\n{first}", failed.len(), texts.len());
}

#[test]
fn cases_are_those_of_nomad_fmt() {
    let Some(nomad) = nomad() else { return };
    compare(&nomad, &CASES.iter().map(|(given, _)| (*given).to_owned()).collect::<Vec<_>>());
}

#[test]
fn the_corpus_is_formatted_as_nomad_does() {
    let (Some(nomad), Some(dir)) = (nomad(), mutation::conformance()) else { return };
    let mut files = Vec::new();
    mutation::below(&dir, &mut files);
    let texts =
        files.iter().filter(|path| path.extension().is_some_and(|end| end == "hcl" || end == "nomad"));
    let texts = texts.map(|path| fs::read_to_string(path).unwrap());
    let right: Vec<String> =
        texts.filter(|text| hcl::parse(&Source::new("f", text.as_str())).is_ok()).collect();
    assert!(right.len() > 100, "only {} files are right", right.len());
    compare(&nomad, &right);
}

#[test]
fn changed_files_are_formatted_as_nomad_does() {
    let Some(nomad) = nomad() else { return };
    let count = std::env::var("BLACKSTART_FMT_CASES").map_or(300, |count| count.parse().unwrap());
    let mut mutator = mutation::Mutator::new(20_26);
    let mut texts = Vec::new();
    while texts.len() < count {
        let text = mutator.layout();
        if hcl::parse(&Source::new("f", text.as_str())).is_ok() {
            texts.push(text);
        }
    }
    texts.chunks(2_000).for_each(|texts| compare(&nomad, texts));
}
