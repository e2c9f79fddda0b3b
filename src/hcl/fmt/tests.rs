use std::sync::Arc;

use proptest::prelude::*;

use super::format;
use super::token::tokens;
use crate::base::Source;

fn formatted(text: &str) -> String {
    format(&Source::new("f.hcl", text)).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// Each was compared with `nomad fmt` 2.0.5.
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
    // Here we keep what stock Nomad deletes.
    ("job /* old */ \"a\" {\n}\n", "job /* old */ \"a\" {\n}\n"),
];

#[test]
fn layout_is_canonical() {
    for (given, expected) in CASES {
        assert_eq!(formatted(given), *expected, "of {given:?}");
        assert_eq!(formatted(expected), *expected, "once more");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let errors = format(&Source::new("f.hcl", "a = [1\nb = 2\n")).expect_err("it isn't closed");
    assert!(errors.to_string().starts_with("f.hcl:2:1: "), "{errors}");
}

/// A text of pieces that are often right together.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b-1",
        "é",
        "in",
        "for",
        "if",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "=",
        "==",
        "=>",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "\"",
        "${",
        "%{",
        "~}",
        "~",
        "$$",
        "%",
        ".",
        "...",
        ",",
        ":",
        "::",
        "?",
        "!",
        "-",
        "+",
        "*",
        "1",
        "1.5",
        "1e5",
        "<<E\n",
        "<<-E\r\n",
        "E\n",
        "# c\n",
        "// d",
        "/* e */",
        "\\",
        "\\\"",
        "\u{feff}",
        "\u{301}",
        "a = 1\n",
        "b {\n",
        "}\n",
        "c = \"x\"\n",
        "d = [\n",
        "e = f(1, 2)\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever the text: the tokens hold every byte but blanks.
    #[test]
    fn no_byte_is_lost(text in pieces()) {
        let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        let mut first = at;
        for token in tokens(&text) {
            let gap = token.blanks - std::mem::take(&mut first);
            prop_assert!(text[at..at + gap].bytes().all(|b| b == b' ' || b == b'\t'));
            at += gap;
            prop_assert!(text[at..].starts_with(token.text));
            at += token.text.len();
        }
        prop_assert_eq!(at, text.len());
    }

    /// Once is enough, and the tree stays what it was.
    #[test]
    fn formatting_twice_changes_nothing(text in pieces()) {
        let source: Arc<Source> = Source::new("f.hcl", text);
        if let Ok(once) = format(&source) {
            prop_assert_eq!(formatted(&once), once.clone());
            let bare = |text: &str| text.trim_start_matches('\u{feff}').replace([' ', '\t'], "");
            prop_assert_eq!(bare(&once), bare(&source.text));
        }
    }
}
