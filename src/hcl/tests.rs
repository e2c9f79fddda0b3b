//! Expressions and what they give.

use std::collections::BTreeMap;

use super::*;
use crate::base::Source;

struct Names(BTreeMap<String, Value>, Functions);

impl Scope for Names {
    fn root(&self, name: &str) -> Root {
        match self.0.get(name) {
            Some(value) => Root::Value(value.clone()),
            None if name == "attr" || name == "env" || name == "meta" || name == "NOMAD_A" => Root::KeepText,
            None => Root::Missing,
        }
    }

    fn root_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn functions(&self) -> &Functions {
        &self.1
    }
}

fn scope() -> Names {
    let mut functions = Functions::standard();
    functions.add("double", |args| Ok(Value::from(args[0].as_i64().ok_or("a number")? * 2)));
    let var = serde_json::json!({
        "a": 1, "s": "x", "list": ["p", "q"], "map": { "k": 7, "j": null }, "objects": [{ "n": 1 }, { "n": 2 }],
    });
    let names =
        BTreeMap::from([("var".to_owned(), Value::from_json(&var)), ("late".to_owned(), Value::Unknown)]);
    Names(names, functions)
}

fn eval(text: &str) -> Result<Value, Diagnostic> {
    let source = Source::new("t.hcl", text);
    parse_expression(&source)?.eval(&scope())
}

use crate::base::Diagnostic;

fn json(text: &str) -> String {
    eval(text).map_or_else(|error| format!("{error}"), |value| value.to_json().to_string())
}

#[test]
fn expressions() {
    for (text, wanted) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2 + 5", "3"),
        ("10 % 4", "2"),
        ("!true || true", "true"),
        ("1 < 2 && 2 <= 2", "true"),
        ("\"1\" + 1", "2"),
        ("\"a\" == \"a\"", "true"),
        ("1 == \"1\"", "false"),
        ("true ? 1 : \"b\"", "\"1\""),
        ("false ? [1] : [\"a\", 2]", "[\"a\",\"2\"]"),
        ("\"${var.a}\"", "1"),
        ("\"x${var.a}\"", "\"x1\""),
        ("\"$${x} %%{y}\"", "\"${x} %{y}\""),
        ("\"\\u00e9\\n\\t\\\\\"", "\"é\\n\\t\\\\\""),
        ("var.list[1]", "\"q\""),
        ("var.list.0", "\"p\""),
        ("var.list[\"1\"]", "\"q\""),
        ("var.map[\"k\"]", "7"),
        ("var[\"map\"].k", "7"),
        ("var.objects[*].n", "[1,2]"),
        ("var.objects.*.n", "[1,2]"),
        ("var.objects[*].n[0]", "t.hcl:1:17: a number has no elements"),
        ("var.objects.*.n[0]", "1"),
        ("null[*]", "[]"),
        ("var.s[*]", "[\"x\"]"),
        ("[for x in var.list : upper(x)]", "[\"P\",\"Q\"]"),
        ("[for i, x in var.list : \"${i}${x}\" if x != \"p\"]", "[\"1q\"]"),
        ("{for k, v in {b = 1, a = 2} : v => k...}", "{\"1\":[\"b\"],\"2\":[\"a\"]}"),
        ("[for k, v in {b = 1, a = 2} : k]", "[\"a\",\"b\"]"),
        ("{a = 1, \"b\" : 2, (var.s) = 3}", "{\"a\":1,\"b\":2,\"x\":3}"),
        ("{a = 1, a = 2}", "{\"a\":2}"),
        ("try(var.nope, 5)", "5"),
        ("can(var.nope)", "false"),
        ("try(late.x, 5)", "null"),
        ("max([1, 5, 3]...)", "5"),
        ("double(21)", "42"),
        ("attr.kernel.name", "\"${attr.kernel.name}\""),
        ("\"${ attr.x }-${attr.y}\"", "\"${ attr.x }-${attr.y}\""),
        ("\"%{ if var.a == 1 }one%{ else }many%{ endif }!\"", "\"one!\""),
        ("\"%{ for x in var.list ~}  ${x},%{ endfor }\"", "\"p,q,\""),
        ("[\n1,\n2,\n]", "[1,2]"),
        ("{\na = 1\nb = 2\n}", "{\"a\":1,\"b\":2}"),
        ("1 / 0 > 1e300", "true"),
    ] {
        assert_eq!(json(text), wanted, "{text}");
    }
}

#[test]
fn unknown_spreads() {
    for text in [
        "late",
        "late.x[0]",
        "\"a${late}\"",
        "late + 1",
        "late ? 1 : 2",
        "upper(late)",
        "[for x in late : x]",
        "late[*].x",
        "double(late)",
    ] {
        assert_eq!(eval(text), Ok(Value::Unknown), "{text}");
    }
    assert_eq!(eval("false && late"), Ok(Value::Bool(false)));
    assert!(!eval("[1, {a = late}]").unwrap().is_wholly_known());
}

#[test]
fn errors_have_places_and_advice() {
    for (text, message, help) in [
        ("vra.a", "t.hcl:1:1: there is no `vra` here", "did you mean `var`?"),
        ("var.lst", "t.hcl:1:4: there is no `lst` in this object", "did you mean `list`?"),
        ("uper(\"a\")", "t.hcl:1:1: there is no function `uper` here", "did you mean `upper`?"),
        ("[1] + 1", "t.hcl:1:1: for `+`, a number is needed, not a tuple", ""),
        ("upper(\"a\", \"b\")", "t.hcl:1:1: `upper` takes 1 argument, not 2", ""),
        (
            "\"a${[1]}\"",
            "t.hcl:1:5: a tuple can't be put into a string",
            "use join(\", \", …) or jsonencode(…)",
        ),
        (
            "var.list[2]",
            "t.hcl:1:9: there is no element 2 in this tuple",
            "it has 2 elements, the first is 0",
        ),
    ] {
        let error = eval(text).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(error.help.unwrap_or_default(), help, "{text}");
    }
}

fn attribute(text: &str, name: &str) -> String {
    let body = parse(&Source::new("t.hcl", text)).unwrap();
    body.attribute(name).unwrap().expr.eval(&scope()).unwrap().as_str().unwrap().to_owned()
}

#[test]
fn heredocs() {
    assert_eq!(attribute("a = <<EOT\n  x\n  ${var.a}\nEOT\n", "a"), "  x\n  1\n");
    assert_eq!(attribute("a = <<-EOT\n    x\n\n      y\n   \n    EOT\n", "a"), "x\n\n  y\n   \n");
    assert_eq!(attribute("a = <<EOT\nEOTX\n EOT Y\n\\n\n  EOT  \n", "a"), "EOTX\n EOT Y\n\\n\n");
    assert_eq!(attribute("a = <<-EOT\n  %{ if true ~}\n  x\n  %{ endif ~}\n  EOT\n", "a"), "  x\n");
}

#[test]
fn bodies() {
    let text = "a = 1 # one\n// two\nblock \"x\" y {\n  b { c = 2 }\n  d {}\n}\n/* three */ e = [\n 1 ]\n";
    let body = parse(&Source::new("t.hcl", text)).unwrap();
    let block = body.blocks("block").next().unwrap();
    assert_eq!(block.labels.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(block.labels[0].span.text(), "\"x\"");
    assert_eq!(block.body.all_blocks().count(), 2);
    assert_eq!(block.span.text(), "block \"x\" y {\n  b { c = 2 }\n  d {}\n}");
    assert_eq!(body.attribute("e").unwrap().expr.span.text(), "[\n 1 ]");
}

#[test]
fn all_errors_are_told() {
    let text = "a = \nb = 1\nb = 2\nc {\n  d = = 3\n  e = 'x'\n}\nf \"x\n\ng = 1\n}\n";
    let errors = parse(&Source::new("t.hcl", text)).unwrap_err();
    let told: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "t.hcl:1:5: expected a value, found the end of the line",
            "t.hcl:3:1: `b` is set twice",
            "t.hcl:5:7: expected a value, found `=`",
            "t.hcl:6:7: expected a value, found `'`",
            "t.hcl:8:5: a quoted string ends on its own line",
            "t.hcl:11:1: expected the name of an attribute or block, found `}`",
        ]
    );
    let errors = parse(&Source::new("t.hcl", "a {\n  b = 1\n")).unwrap_err();
    assert_eq!(errors.to_string(), "t.hcl:1:1: this block is not closed");
}

#[test]
fn references_are_found() {
    let source =
        Source::new("t.hcl", "step.a.out[\"x\"].y[0].z + length([for v in late.list : v.q + var.a])");
    let expr = parse_expression(&source).unwrap();
    let told: Vec<String> = expr
        .references()
        .iter()
        .map(|r| {
            format!(
                "{}:{}",
                r.root.text,
                r.path.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(".")
            )
        })
        .collect();
    assert_eq!(told, ["step:a.out.x.y", "late:list", "var:a"]);
    let whole = parse_expression(&Source::new("t", "step.types")).unwrap().as_traversal().unwrap();
    assert_eq!(whole.path[0].text, "types");
    assert!(expr.as_traversal().is_none());
}

#[test]
fn var_files() {
    let source = Source::new("p.tfvars", "a = 1\nb = [\"x\", { c = true }]\n");
    let values = var_file(&source).unwrap();
    assert_eq!(values["b"].0.to_json().to_string(), "[\"x\",{\"c\":true}]");
    assert_eq!(values["a"].1.to_string(), "p.tfvars:1:1");
    let source = Source::new("p.json", "{\"a\": \"x${y}\", \"b\": [1.5, null]}");
    assert_eq!(var_file(&source).unwrap()["a"].0, Value::from("x${y}"));
    let source = Source::new("p.tfvars", "a = var.b\nb = upper(\"x\")\nc {}\n");
    assert_eq!(var_file(&source).unwrap_err().0.len(), 3);
}
