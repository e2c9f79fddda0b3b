use std::sync::Arc;

use proptest::prelude::*;

use super::format;
use super::token::tokens;
use crate::base::Source;

fn formatted(text: &str) -> String {
    format(&Source::new("f.hcl", text)).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
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
