//! Random edits of generated job files, and the origins of random expressions.

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::rc::Rc;

use blackstart::base::Source;
use blackstart::hcl::trace::{Frame, Key, Lead, Literal, Origin, Origins, Place, pieces};
use blackstart::hcl::{self, Expr, Functions, Root, Scope, Value};
use blackstart::jobspec::{Edit, EditError, Inputs, Path, Wanted, apply, edits, parse, places};
use proptest::prelude::*;

/// Text with everything in it that needs an escape somewhere.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a", "B", "1", "-", ".", "/", ":", "\"", "\\", "$", "{", "}", "%", "${", "%{", "$${", "~", "é", "😀",
        "\n", "\t", "\r", " ", "EOT", "#", "//", "/*", "'",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "$${").replace("%{", "%%{");
    format!("\"{}\"", text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"))
}

#[derive(Debug)]
struct File {
    text: String,
}

fn file() -> impl Strategy<Value = File> {
    (text(), text(), any::<[bool; 5]>(), 0..3_usize).prop_map(|(image, value, [bom, crlf, flush, local, tabs], blank)| {
        let blanks = image.contains("  ") || value.contains("  ");
        let image = quoted(&image);
        let (head, image) = if local {
                (format!("locals {{\n  image   = {image} # the image\n}}\n"), "local.image".to_owned())
            } else {
                (String::new(), image)
            };
        let dash = if flush { "-" } else { "" };
        let text = format!(
            "{head}# A comment: ${{x}} \"\njob \"j\" {{\n  group \"g\" {{\n    count = 1 /* one */\n{}    task \"t\" {{\n      driver = \"docker\"\n      \
             config {{\n        # {{\n        image = {image} // }}\n        args  = [\"a\", \"b\"]\n      }}\n      \
             env {{\n        A    = {}\n        LONG = 1\n      }}\n      template {{\n        destination = \"x\"\n        \
             data        = <<{dash}EOT\n          first $${{a}}\n            second \"x\" \\n\n\n          third\n          EOT\n      }}\n    }}\n  }}\n}}\n",
            "\n".repeat(blank),
            quoted(&value),
        );
        // Two blanks of a value stay what they are.
        let tabs = tabs && !blanks;
        let text = if tabs { text.replace("  ", "\t") } else { text };
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        File { text: if bom { format!("\u{feff}{text}") } else { text } }
    })
}

fn made(text: &str, path: &str, value: &serde_json::Value) -> Result<(String, Vec<Edit>), EditError> {
    let wanted = Wanted { path: path.parse().unwrap(), value: value.clone() };
    let made = edits(&Source::new("f", text), &Inputs::default(), &[wanted])?;
    assert!(made.also.is_empty());
    Ok((apply(text, &made.edits), made.edits))
}

fn job(text: &str) -> serde_json::Value {
    parse(&Source::new("f", text), &Inputs::default())
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
        .json
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_touches_only_what_it_is_about(
        file in file(),
        (path, new) in prop_oneof![
            (prop::sample::select(vec!["config.image", "env.A", "template[0].data", "user", "env.B", "meta.x", "config.x"]), text())
                .prop_map(|(path, text)| (path, serde_json::Value::from(text))),
            (prop::sample::select(vec!["resources.cpu", "env.LONG"]), 1..100_000_i64).prop_map(|(path, n)| (path, n.into())),
        ],
    ) {
        let path = format!("group.g.task.t.{path}");
        let parsed: Path = path.parse().unwrap();
        let before = job(&file.text);
        let mut expected = before.clone();
        let old = parsed.set(&mut expected, &new).unwrap();
        let new = parsed.get(&expected).cloned().unwrap_or_default();
        let (text, edits) = match made(&file.text, &path, &new) {
            Ok(done) => done,
            // A heredoc can't hold just any text, nor can a string one that isn't in normal form.
            Err(EditError::Unproved { .. }) if path.ends_with("data") => return Ok(()),
            Err(error) => return Err(TestCaseError::fail(format!("{error}\n{}", file.text))),
        };
        let after = job(&text);
        prop_assert_eq!(parsed.get(&after), Some(&new));
        for (other, value) in Path::every(&before) {
            if other != parsed {
                prop_assert_eq!(other.get(&after), Some(value), "{}", other);
            }
        }
        // All other bytes are there, in their order.
        let kept: usize = file.text.len() - edits.iter().map(|edit| edit.range.len()).sum::<usize>();
        prop_assert_eq!(text.len() - edits.iter().map(|edit| edit.new.len()).sum::<usize>(), kept);
        prop_assert!(edits.len() <= 1);
        let written = !old.is_null() && old != "";
        if let (true, [edit]) = (written && !path.ends_with("data"), edits.as_slice()) {
            prop_assert!(!edit.new.contains('\n'));
        }
        if written || !path.ends_with("user") {
            let (undone, _) = match made(&text, &path, &old) {
                Ok(done) => done,
                // What a heredoc holds now may stand in a way that the old text can't.
                Err(EditError::Unproved { .. }) if path.ends_with("data") => return Ok(()),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            };
            if written && !path.ends_with("data") {
                prop_assert_eq!(&undone, &file.text);
            } else {
                prop_assert_eq!(parsed.get(&job(&undone)).cloned().unwrap_or_default(), old);
            }
        }
        let places = places(&Source::new("f", text), &Inputs::default()).unwrap();
        prop_assert!(places.of(&parsed.pointer(&after).unwrap()).is_some());
    }

    #[test]
    fn pieces_are_the_text(body in expression()) {
        let source = Source::new("f", format!("\u{feff}v = [\"q\", \"${{1}}r\"]\nx = {body}\n"));
        let file = hcl::parse(&source).unwrap();
        let scope = Names {
            expr: &file.attribute("v").unwrap().expr,
            value: Value::Tuple(vec!["q".into(), "1r".into()]),
            functions: Functions::standard(),
        };
        let frame = Frame::new(Rc::new(scope.clone()), Place::Literal);
        let expr = &file.attribute("x").unwrap().expr;
        let Ok(value) = expr.eval(&scope) else { return Ok(()) };
        let Ok(Value::String(text)) = hcl::convert(&value, &hcl::Type::String) else { return Ok(()) };
        let found = pieces(expr, &frame, Vec::new()).unwrap();
        prop_assert_eq!(found.iter().map(|piece| piece.text.as_str()).collect::<String>(), text);
        for piece in &found {
            if let Origin::Literal(literal) = &piece.origin {
                prop_assert_eq!(said(literal), literal.text.clone());
                prop_assert_eq!(&literal.text[literal.cut.clone()], &piece.text);
            }
        }
    }
}

/// What the bytes of a literal say by themselves.
fn said(literal: &Literal) -> String {
    let bytes = literal.span.text();
    let text = match &literal.template {
        None => bytes.to_owned(),
        Some(template) if template == &literal.span => bytes.to_owned(),
        Some(template) if template.text().starts_with('"') => format!("\"{bytes}\""),
        Some(_) => format!("<<E\n{bytes}\nE\n"),
    };
    let value = hcl::parse(&Source::new("l", format!("x = {text}\n"))).unwrap();
    let value = value.attribute("x").unwrap().expr.eval(&hcl::constants()).unwrap();
    match hcl::convert(&value, &hcl::Type::String) {
        Ok(Value::String(text)) if literal.template.as_ref().is_some_and(|t| t.text().starts_with('<')) => {
            text.strip_suffix('\n').unwrap().to_owned()
        }
        Ok(Value::String(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Random expressions over one name, `v`.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        text().prop_map(|text| quoted(&text)),
        Just("12".to_owned()),
        Just("-1.50".to_owned()),
        Just("true".to_owned()),
        Just("v[0]".to_owned()),
        Just("v[1]".to_owned()),
        Just("\"\"".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let one = inner.clone();
        let list = prop::collection::vec(inner.clone(), 1..3).prop_map(|items| items.join(", "));
        prop_oneof![
            (text(), one.clone(), text()).prop_map(|(a, x, b)| {
                let (a, b) = (quoted(&a), quoted(&b));
                format!("\"{}-${{{x}}}-{}\"", &a[1..a.len() - 1], &b[1..b.len() - 1])
            }),
            (one.clone(), one.clone(), any::<bool>()).prop_map(|(a, b, c)| format!("({c} ? {a} : {b})")),
            one.clone().prop_map(|x| format!("try(v[9], {x})")),
            one.clone().prop_map(|x| format!("coalesce(null, {x})")),
            one.clone().prop_map(|x| format!("lookup({{ a = {x} }}, \"a\", 0)")),
            one.clone().prop_map(|x| format!("merge({{ a = 1 }}, {{ a = {x} }}).a")),
            one.clone().prop_map(|x| format!("[for i, x in [{x}, 2] : \"${{x}}\"][0]")),
            one.clone().prop_map(|x| format!("[{{ a = {x} }}].0.a")),
            one.clone().prop_map(|x| format!("upper({x})")),
            one.clone().prop_map(|x| format!("trimspace(\" ${{{x}}} \")")),
            one.prop_map(|x| format!("\"%{{ for x in [{x}, 1] }}<${{x}}>%{{ endfor }}\"")),
            list.clone().prop_map(|items| format!("join(\"-\", [{items}])")),
            list.clone().prop_map(|items| format!("format(\"a%sb%%%v\", \"x\", [{items}][0])")),
            list.prop_map(|items| format!("concat([0], [{items}])[1]")),
        ]
    })
}

#[derive(Clone)]
struct Names<'a> {
    expr: &'a Expr,
    value: Value,
    functions: Functions,
}

impl Scope for Names<'_> {
    fn root(&self, name: &str) -> Root {
        if name == "v" { Root::Value(self.value.clone()) } else { Root::Missing }
    }

    fn root_names(&self) -> Vec<String> {
        vec!["v".to_owned()]
    }

    fn functions(&self) -> &Functions {
        &self.functions
    }
}

impl<'a> Origins<'a> for Names<'a> {
    fn lead(&self, _: &str, path: &[Key]) -> Lead<'a> {
        let frame = Frame::new(Rc::new(self.clone()), Place::Local("v".to_owned()));
        Lead::Written { expr: self.expr, frame, path: path.to_vec() }
    }
}
