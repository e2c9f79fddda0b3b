//! Edits of job files, case by case.

#![expect(clippy::unwrap_used, reason = "this is a test")]

use std::sync::Arc;

use blackstart::base::Source;
use blackstart::jobspec::{
    Edit, EditError, Inputs, Job, Wanted, apply, edit_at, edits, edits_of, parse, undo,
};
use serde_json::{Value as Json, json};

const IMAGE: &str = "group.g.task.t.config.image";

fn inputs() -> Inputs {
    Inputs::default()
}

fn wanted(path: &str, value: impl Into<Json>) -> Wanted {
    Wanted { path: path.parse().unwrap(), value: value.into() }
}

/// A file whose one task has this body, after some lines.
fn task(before: &str, body: &str) -> String {
    format!(
        "{before}job \"j\" {{\n  group \"g\" {{\n    task \"t\" {{\n      driver = \"docker\"\n{body}    }}\n  }}\n}}\n"
    )
}

fn image(before: &str, expr: &str) -> String {
    task(before, &format!("      config {{\n        image = {expr}\n      }}\n"))
}

struct Done {
    text: String,
    edits: Vec<Edit>,
    also: Vec<String>,
}

fn try_with(text: &str, inputs: &Inputs, all: &[Wanted]) -> Result<Done, EditError> {
    let source = Source::new("f.hcl", text);
    let made = edits(&source, inputs, all)?;
    let own: Vec<Edit> = made.edits.iter().filter(|edit| edit.file == "f.hcl").cloned().collect();
    let also = made.also.iter().map(|also| also.path.to_string()).collect();
    Ok(Done { text: apply(text, &own), edits: made.edits, also })
}

fn set(text: &str, path: &str, value: impl Into<Json>) -> Done {
    try_with(text, &inputs(), &[wanted(path, value)]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn job(text: &str) -> Job {
    parse(&Source::new("f.hcl", text), &inputs()).unwrap()
}

/// What becomes of a text when a value is set: the lines that are new.
fn lines(text: &str, path: &str, value: impl Into<Json>) -> Vec<String> {
    let done = set(text, path, value);
    let old: Vec<&str> = text.split('\n').collect();
    done.text
        .split('\n')
        .filter(|line| !old.contains(line))
        .map(|line| line.trim_start().to_owned())
        .collect()
}

fn refused(text: &str, inputs: &Inputs, path: &str, value: impl Into<Json>) -> String {
    let error = try_with(text, inputs, &[wanted(path, value)]).map(|done| done.text).unwrap_err();
    let told = error.to_diagnostic();
    format!("{told} ({})", told.help.clone().unwrap_or_default())
}

#[test]
fn the_piece_that_differs_is_edited() {
    let split = image(
        "variable \"registry\" {\n  default = \"r.example.com\"\n}\nlocals {\n  tag = \"1\"\n}\n",
        "\"${var.registry}/x:${local.tag}\"",
    );
    assert_eq!(lines(&split, IMAGE, "r.example.com/x:2"), ["tag = \"2\""]);
    assert_eq!(lines(&split, IMAGE, "r.example.com/x:21"), ["tag = \"21\""]);
    assert_eq!(lines(&split, IMAGE, "r.example.com:5000/x:1"), ["default = \"r.example.com:5000\""]);
    assert_eq!(lines(&split, IMAGE, "r.example.com/y:1"), ["image = \"${var.registry}/y:${local.tag}\""]);
    assert_eq!(lines(&split, IMAGE, "q/x:2"), ["default = \"q\"", "tag = \"2\""]);
    let done = set(&split, IMAGE, "r.example.com/x:2");
    assert_eq!(done.edits[0].place.to_string(), "local.tag");
    assert_eq!((done.edits[0].old.as_str(), done.edits[0].new.as_str()), ("1", "2"));
    assert!(done.also.is_empty());
}

#[test]
fn the_expression_is_followed() {
    let locals = |body: &str| format!("locals {{\n{body}\n}}\n");
    for (before, expr, new, changed) in [
        (
            "variable \"p\" {\n  default = false\n}\n",
            "var.p ? \"a:1\" : \"b:1\"",
            "b:2",
            "image = var.p ? \"a:1\" : \"b:2\"",
        ),
        (
            &locals("m = { a = \"x:1\", b = \"y:1\" }"),
            "local.m[\"b\"]",
            "y:2",
            "m = { a = \"x:1\", b = \"y:2\" }",
        ),
        (
            &locals("m = { a = \"x:1\" }"),
            "lookup(local.m, \"z\", \"d:1\")",
            "d:2",
            "image = lookup(local.m, \"z\", \"d:2\")",
        ),
        (
            &locals("m = { a = \"x:1\" }"),
            "merge(local.m, { a = \"z:1\" }).a",
            "z:2",
            "image = merge(local.m, { a = \"z:2\" }).a",
        ),
        (
            &locals("l = [\"a:1\"]"),
            "concat(local.l, [\"b:1\"])[1]",
            "b:2",
            "image = concat(local.l, [\"b:2\"])[1]",
        ),
        (&locals("l = [\"a\", \"1\"]"), "join(\":\", local.l)", "a:2", "l = [\"a\", \"2\"]"),
        (&locals("t = \"1\""), "format(\"r/%s:%s\", \"x\", local.t)", "r/x:2", "t = \"2\""),
        (
            &locals("t = \"1\""),
            "format(\"r/%s:%s\", \"x\", local.t)",
            "q/x:1",
            "image = format(\"q/%s:%s\", \"x\", local.t)",
        ),
        (&locals("t = 1"), "\"x:${local.t}\"", "x:2", "t = 2"),
        (&locals("t = 1"), "\"x:${local.t}\"", "x:two", "t = \"two\""),
        (&locals("t = -1"), "\"x:${local.t}\"", "x:-2", "t = -2"),
        (&locals("t = true"), "\"x:${local.t}\"", "x:false", "t = false"),
        (
            &locals("l = [\"a:1\", \"b:1\"]"),
            "[for x in local.l : \"r/${x}\" if x != \"a:1\"][0]",
            "r/b:2",
            "l = [\"a:1\", \"b:2\"]",
        ),
        (&locals("l = [{ i = \"a:1\" }]"), "(local.l[*].i)[0]", "a:2", "l = [{ i = \"a:2\" }]"),
        (&locals("n = null"), "coalesce(local.n, \"x:1\")", "x:2", "image = coalesce(local.n, \"x:2\")"),
        (&locals("m = {}"), "try(local.m.none, \"x:1\")", "x:2", "image = try(local.m.none, \"x:2\")"),
        (&locals("t = \" x:1 \""), "trimspace(local.t)", "x:2", "t = \" x:2 \""),
        (
            &locals("t = convert([\"x:1\"], set(string))"),
            "[for t in local.t : t][0]",
            "x:2",
            "t = convert([\"x:2\"], set(string))",
        ),
        (
            &locals("a = \"1\"\nb = local.a"),
            "\"x:%{ if true }${local.b}%{ else }9%{ endif }\"",
            "x:2",
            "a = \"2\"",
        ),
        (
            &locals("l = [\"a\", \"b\"]"),
            "\"%{ for x in local.l }${x}/%{ endfor }\"",
            "a/c/",
            "l = [\"a\", \"c\"]",
        ),
        ("", "\"q\\\"\\u00e9:1\"", "q\"é:2", "image = \"q\\\"\\u00e9:2\""),
        ("", "\"x:1\"", "${attr.x}%{if}", "image = \"$${attr.x}%%{if}\""),
        ("", "\"x$${y}:1\"", "x${z}:1", "image = \"x$${z}:1\""),
    ] {
        assert_eq!(lines(&image(before, expr), IMAGE, new), [changed], "{expr}");
    }
}

#[test]
fn an_expression_can_be_written_anew_where_it_stands() {
    let before = "locals {\n  r = \"r.example.com\"\n  t = \"1\"\n  m = { i = \"a:1\" }\n}\n";
    for (expr, new, made) in [
        ("\"${local.r}/x:${local.t}\"", "r.example.com/x:2", "\"${local.r}/x:2\""),
        ("\"${local.r}/x:${local.t}\"", "r.example.com/x@sha256:0", "\"${local.r}/x@sha256:0\""),
        ("\"${local.r}/x:${local.t}\"", "q:5/y:1", "\"q:5/y:${local.t}\""),
        ("\"${local.r}/x:${local.t}\"", "r.example.com:5/x:1", "\"r.example.com:5/x:${local.t}\""),
        ("\"${local.r}/x:${local.t}\"", "q:5/y:2", "\"q:5/y:2\""),
        ("\"${ local.r }/x:${ (local.t) }-a\"", "r.example.com/x:2-a", "\"${ local.r }/x:2-a\""),
        ("\"\\u00e9/x:${local.t}\"", "é/x:2", "\"\\u00e9/x:2\""),
        ("\"${meta.m}/x:${local.t}\"", "${meta.m}/x:${y}", "\"${meta.m}/x:$${y}\""),
        ("\"${local.m[\"i\"]}b\"", "a:2b", "\"a:2b\""),
        ("(local.t)", "q\"", "(\"q\\\"\")"),
        ("local.m[\"i\"]", "a:2", "\"a:2\""),
    ] {
        let text = image(before, expr);
        let wanted = [wanted(IMAGE, new)];
        let done = edits_of(&job(&text), &inputs(), &wanted, &|_| true);
        let done = done.unwrap_or_else(|error| panic!("{expr}: {error}"));
        assert_eq!(apply(&text, &done.edits), image(before, made), "{expr}");
        assert_eq!((done.edits.len(), done.also.len(), done.parted), (1, 0, false), "{expr}");
    }
    // What others take as well, or what functions make, is no place of its own.
    for (expr, new) in [
        ("local.t == \"1\" ? local.m.i : \"b\"", "a:2"),
        ("\"%{ if true }${local.m.i}%{ endif }\"", "a:2"),
        ("trimspace(local.m.i)", "a:2"),
    ] {
        let text = image(before, expr);
        let source = Source::new("f.hcl", text.as_str());
        let here = edits_of(&job(&text), &inputs(), &[wanted(IMAGE, new)], &|_| true).unwrap();
        assert_eq!(here, edits(&source, &inputs(), &[wanted(IMAGE, new)]).unwrap(), "{expr}");
    }
}

#[test]
fn iterators_lead_to_what_they_go_through() {
    let text = "variable \"apps\" {\n  default = {\n    a = { image = \"a:1\", count = 1 }\n    b = { image = \"b:1\", count = 2 }\n  }\n}\n\
        job \"j\" {\n  dynamic \"group\" {\n    for_each = var.apps\n    labels   = [group.key]\n    content {\n      count = group.value.count\n      \
        task \"t\" {\n        driver = \"docker\"\n        config {\n          image = group.value.image\n        }\n      }\n    }\n  }\n}\n";
    assert_eq!(lines(text, "group.b.task.t.config.image", "b:2"), ["b = { image = \"b:2\", count = 2 }"]);
    assert_eq!(lines(text, "group.a.count", 5), ["a = { image = \"a:1\", count = 5 }"]);
    // What all turns share changes for all of them, and that is told.
    let done = set(text, "group.a.task.t.driver", "podman");
    assert_eq!(done.also, ["group.b.task.t.driver"]);
    let done = set(text, "group.a.task.t.resources.cpu", 100);
    assert!(done.also.contains(&"group.b.task.t.resources.cpu".to_owned()), "{:?}", done.also);
    assert!(done.text.contains("}\n        resources {\n          cpu = 100\n        }\n"), "{}", done.text);
}

#[test]
fn blocks_made_by_dynamic_are_not_doubled() {
    let text = task(
        "",
        "      dynamic \"env\" {\n        for_each = [1]\n        content {\n          A = \"1\"\n        }\n      }\n      \
         dynamic \"resources\" {\n        for_each = [{ cpu = 500 }]\n        content {\n          cpu = resources.value.cpu\n        }\n      }\n",
    );
    assert_eq!(lines(&text, "group.g.task.t.env.B", "2"), ["B = \"2\""]);
    assert_eq!(lines(&text, "group.g.task.t.resources.cpu", 600), ["for_each = [{ cpu = 600 }]"]);
    assert_eq!(lines(&text, "group.g.task.t.resources.memory", 64), ["memory = 64"]);
}

#[test]
fn what_no_edit_can_do_is_refused_with_its_place() {
    let text = image("variable \"x\" {\n  default = \"a\"\n}\n", "upper(var.x)");
    assert_eq!(
        refused(&text, &inputs(), IMAGE, "B"),
        "f.hcl:9:17: `group.g.task.t.config.image` is made by the function `upper`, which no edit can turn round (change the expression by hand)"
    );
    let text = image("variable \"t\" {\n  type = string\n}\n", "\"x:${var.t}\"");
    let given = Inputs { variables: vec![("t".into(), "1".into())], ..inputs() };
    assert_eq!(
        refused(&text, &given, IMAGE, "x:2"),
        "f.hcl:9:22: `group.g.task.t.config.image` is set by -var t, which is in no file (change what sets -var t, or leave it out)"
    );
    let given = Inputs { environment: [("NOMAD_VAR_t".to_owned(), "1".to_owned())].into(), ..inputs() };
    assert!(refused(&text, &given, IMAGE, "x:2").contains("is set by NOMAD_VAR_t"));
    // What else the text is made of can still be changed.
    assert!(try_with(&text, &given, &[wanted(IMAGE, "y:1")]).unwrap().text.contains("\"y:${var.t}\""));
    let text = image("", "\"${meta.registry}/x:1\"");
    assert!(refused(&text, &inputs(), IMAGE, "r/x:1").contains("filled in by Nomad's agents"));
    assert_eq!(lines(&text, IMAGE, "${meta.registry}/x:2"), ["image = \"${meta.registry}/x:2\""]);
    let text = image("", "\"x:${TAG}\"");
    let given = Inputs {
        environment: [("TAG".to_owned(), "1".to_owned())].into(),
        envsubst: vec!["TAG".into()],
        ..inputs()
    };
    assert!(refused(&text, &given, IMAGE, "x:2").contains("the environment's variables are put in"));
    assert!(refused(&text, &given, "group.g.task.u.config.image", "x").contains("there is no task 'u'"));
    assert!(refused(&image("", "1 + 1"), &inputs(), IMAGE, "3").contains("the operator `+`"));
}

#[test]
fn several_values_at_once() {
    let text = task("", "      config {\n        image = \"a:1\"\n      }\n");
    let all = [
        wanted(IMAGE, "a:2"),
        wanted("group.g.task.t.resources.cpu", 500),
        wanted("group.g.task.t.resources.memory", 64),
        wanted("group.g.count", 3),
        wanted(IMAGE, "a:2"),
    ];
    let done = try_with(&text, &inputs(), &all).unwrap();
    assert!(done.text.contains("  group \"g\" {\n    count = 3\n\n    task"), "{}", done.text);
    assert!(
        done.text
            .contains("      }\n      resources {\n        cpu = 500\n        memory = 64\n      }\n    }"),
        "{}",
        done.text
    );
    assert_eq!(done.edits.len(), 3);
    let shared = "locals {\n  tag = \"1\"\n}\njob \"j\" {\n  group \"g\" {\n    task \"t\" {\n      driver = \"docker\"\n      config { image = \"a:${local.tag}\" }\n    }\n    \
        task \"u\" {\n      driver = \"docker\"\n      config { image = \"b:${local.tag}\" }\n    }\n  }\n}\n";
    let other = "group.g.task.u.config.image";
    let done = try_with(shared, &inputs(), &[wanted(IMAGE, "a:2")]).unwrap();
    assert_eq!(done.also, [other]);
    let done = try_with(shared, &inputs(), &[wanted(IMAGE, "a:2"), wanted(other, "b:2")]).unwrap();
    assert_eq!((done.edits.len(), done.also.len()), (1, 0));
    let error =
        try_with(shared, &inputs(), &[wanted(IMAGE, "a:2"), wanted(other, "b:3")]).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{IMAGE}` and `{other}` come from one place, and are to be different")
    );
}

#[test]
fn new_attributes_follow_the_lines_around_them() {
    let resources = |inner: &str| task("", &format!("      resources{inner}\n"));
    let cpu = "group.g.task.t.resources.cpu";
    for (inner, made) in [
        (" {}", " {\n        cpu = 7\n      }"),
        (" { memory = 64 }", " {\n        memory = 64\n        cpu    = 7\n      }"),
        (" {\n      }", " {\n        cpu = 7\n      }"),
        (" { # all\n        # of it\n      }", " { # all\n        # of it\n        cpu = 7\n      }"),
        (
            " {\n        memory     = 64 # MB\n        memory_max = 65\n      }",
            " {\n        memory     = 64 # MB\n        memory_max = 65\n        cpu        = 7\n      }",
        ),
        (
            " {\n        memory = 64 /* a\n b */\n      }",
            " {\n        memory = 64 /* a\n b */\n        cpu    = 7\n      }",
        ),
        (
            " {\n        device \"gpu\" {}\n      }",
            " {\n        cpu = 7\n\n        device \"gpu\" {}\n      }",
        ),
        (" {\n\tmemory = 64\n      }", " {\n\tmemory = 64\n\tcpu    = 7\n      }"),
    ] {
        assert_eq!(set(&resources(inner), cpu, 7).text, resources(made));
        let (old, new) = (resources(inner).replace('\n', "\r\n"), resources(made).replace('\n', "\r\n"));
        assert_eq!(set(&format!("\u{feff}{old}"), cpu, 7).text, format!("\u{feff}{new}"));
    }
    let tabs = task("", "").replace("  ", "\t");
    assert!(set(&tabs, cpu, 7).text.contains("\n\n\t\t\tresources {\n\t\t\t\tcpu = 7\n\t\t\t}\n\t\t}\n"));
    let env = "group.g.task.t.env";
    let text = task("", "");
    assert!(set(&text, &format!("{env}.A"), "1").text.contains("      env {\n        A = \"1\"\n      }\n"));
    assert!(
        set(&text, &format!("{env}[\"A.B\"]"), "1").text.contains("      env    = { \"A.B\" = \"1\" }\n")
    );
    for (old, new) in [
        ("{ A = \"1\" }", "{ A = \"1\", B = \"2\" }"),
        ("{}", "{ B = \"2\" }"),
        ("{\n        A = \"1\" # x\n      }", "{\n        A = \"1\" # x\n        B = \"2\"\n      }"),
        ("{\n        A : \"1\", # x\n      }", "{\n        A : \"1\", # x\n        B: \"2\",\n      }"),
        ("merge({ A = \"1\" }, {})", "merge({ A = \"1\" }, { B = \"2\" })"),
    ] {
        let text = |expr: &str| task("", &format!("      env = {expr}\n"));
        assert_eq!(set(&text(old), &format!("{env}.B"), "2").text, text(new));
    }
    let lists = |list: &str| task("", &format!("      config {{\n        args = {list}\n      }}\n"));
    for (old, new, made) in [
        ("[\"a\", \"b\"]", json!(["a", "c"]), "[\"a\", \"c\"]"),
        ("[\"a\", \"b\"]", json!(["a", "b", "c"]), "[\"a\", \"b\", \"c\"]"),
        ("[\"a\", \"b\"]", json!(["b"]), "[\"b\"]"),
        ("[\"a\", \"b\"]", json!(["a"]), "[\"a\"]"),
        ("[\"a\"]", json!([]), "[]"),
        ("[]", json!(["a"]), "[\"a\"]"),
        (
            "[\n          \"a\", # x\n          \"b\",\n        ]",
            json!(["a", "n", "b"]),
            "[\n          \"a\",\n          \"n\", # x\n          \"b\",\n        ]",
        ),
    ] {
        assert_eq!(set(&lists(old), "group.g.task.t.config.args", new).text, lists(made));
    }
}

#[test]
fn lengths_of_time_have_their_unit() {
    let text = task("", "      kill_timeout = \"20s\"\n");
    assert_eq!(lines(&text, "group.g.task.t.kill_timeout", "1m"), ["kill_timeout = \"1m\""]);
    assert_eq!(lines(&text, "group.g.task.t.kill_timeout", 90_000_000_000_i64), ["kill_timeout = \"90s\""]);
    assert_eq!(
        lines(&task("", ""), "group.g.task.t.kill_timeout", 5_000_000_000_i64),
        ["kill_timeout = \"5s\""]
    );
}

#[test]
fn null_takes_out_what_was_put_in() {
    let text = task(
        "",
        "      env {\n        A = \"1\"\n        B = \"2\" # b\n      }\n      kill_signal = \"SIGINT\"\n",
    );
    assert!(!set(&text, "group.g.task.t.kill_signal", Json::Null).text.contains("kill_signal"));
    let text_without = set(&text, "group.g.task.t.env.B", Json::Null).text;
    assert_eq!(text_without, text.replace("        B = \"2\" # b\n", ""));
    let member = task("", "      env = { A = \"1\", B = \"2\" }\n");
    assert_eq!(lines(&member, "group.g.task.t.env.B", Json::Null), ["env = { A = \"1\" }"]);
}

#[test]
fn heredocs_keep_their_shape() {
    let text = task(
        "",
        "      template {\n        destination = \"x\"\n        data        = <<-EOT\n          a=1\n            b=$${x}\n          EOT\n      }\n",
    );
    let data = "group.g.task.t.template[0].data";
    assert_eq!(lines(&text, data, "a=2\n  b=${x}\n"), ["a=2"]);
    assert_eq!(lines(&text, data, "a=1\n  b=${y}\n"), ["b=$${y}"]);
    assert_eq!(lines(&text, data, "a=1\nc=3\n  b=${x}\n"), ["c=3"]);
    assert!(
        set(&text, data, "a=1\nc=3\n  b=${x}\n")
            .text
            .contains("          a=1\n          c=3\n            b=")
    );
    // A heredoc ends with the end of a line, and where its mark stands: other texts are quoted.
    for (new, quoted) in [("x", "\"x\""), ("a\nEOT\nb\n", "\"a\\nEOT\\nb\\n\""), ("", "\"\"")] {
        let line = format!("data        = {quoted}");
        assert_eq!(lines(&text, data, new), [line.as_str()], "{new:?}");
    }
    let made = text.replace("$${x}", "${local.x}");
    let made = format!("locals {{\n  x = \"1\"\n}}\n{made}");
    let why = refused(&made, &inputs(), data, "a=1\n  b=1");
    assert!(why.contains("its heredoc ends with the end of a line"), "{why}");
}

#[test]
fn json_files_are_edited_too() {
    let text = "{\n  \"variable\": {\"tag\": {\"default\": \"1\"}},\n  \"job\": {\"j\": {\n    \"group\": {\"g\": {\n      \"task\": {\"t\": {\n        \
        \"driver\": \"docker\",\n        \"config\": {\"image\": \"q\\\"\\u00e9/x:${var.tag}\", \"args\": [\"a\", \"${upper(\\\"b\\\")}\"]}\n      }}\n    }}\n  }}\n}\n";
    assert_eq!(lines(text, IMAGE, "q\"é/x:2"), ["\"variable\": {\"tag\": {\"default\": \"2\"}},"]);
    assert_eq!(
        lines(text, IMAGE, "q\"é/\"y:1"),
        [
            "\"config\": {\"image\": \"q\\\"\\u00e9/\\\"y:${var.tag}\", \"args\": [\"a\", \"${upper(\\\"b\\\")}\"]}"
        ]
    );
    let done = set(text, "group.g.task.t.config.args[0]", "${a}");
    assert!(done.text.contains("[\"$${a}\", "), "{}", done.text);
    let done = set(text, "group.g.count", 2);
    assert!(done.text.contains("}},\n      \"count\": 2\n    }}"), "{}", done.text);
    let done = set(text, "group.g.task.t.resources.cpu", 2);
    assert!(done.text.contains("]},\n        \"resources\": {\"cpu\": 2}\n      }}"), "{}", done.text);
    let file = Source::new("v.json", "{\"tag\": \"1\", \"other\": \"${x}\"}");
    let given = Inputs { var_files: vec![Arc::clone(&file)], ..inputs() };
    let given = Inputs { shared: true, ..given };
    let done = try_with(text, &given, &[wanted(IMAGE, "q\"é/x:${2}")]).unwrap();
    assert_eq!(apply(&file.text, &done.edits), "{\"tag\": \"${2}\", \"other\": \"${x}\"}");
    assert_eq!(done.edits[0].place.to_string(), "the var file's tag");
}

#[test]
fn chains_end() {
    let mut locals = String::from("locals {\n  a0 = \"x:1\"\n");
    for i in 0..500 {
        locals.push_str(&format!("  a{} = local.a{i}\n", i + 1));
    }
    let text = image(&format!("{locals}}}\n"), "local.a500");
    assert_eq!(lines(&text, IMAGE, "x:2"), ["a0 = \"x:2\""]);
    let mut locals = String::from("locals {\n  a0 = \"\"\n");
    for i in 0..60 {
        locals.push_str(&format!("  a{} = \"${{local.a{i}}}${{local.a{i}}}\"\n", i + 1));
    }
    let text = image(&format!("{locals}}}\n"), "\"x:1${local.a60}\"");
    assert!(parse(&Source::new("f", text.as_str()), &inputs()).is_ok());
    assert!(!refused(&text, &inputs(), IMAGE, "x:2").is_empty());
}

/// The text with what stands at `mark` changed, after the way back was proven.
fn at(text: &str, mark: &str, value: impl Into<Json>) -> String {
    let source = Source::new("f.hcl", text);
    let edit = edit_at(&source, text.find(mark).unwrap(), &value.into());
    let edit = edit.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let after = apply(text, std::slice::from_ref(&edit));
    assert_eq!(apply(&after, &undo(&[edit])), text);
    after
}

#[test]
fn what_stands_at_a_place_is_edited_whatever_the_file_comes_to() {
    // Nomad would take none of these.
    assert_eq!(at("a = upper(\"x\") # c", "upper", 3), "a = 3 # c");
    assert_eq!(at("a = [1, f(x), {b = \"c\"}]", "f(", "${y}"), "a = [1, \"$${y}\", {b = \"c\"}]");
    assert_eq!(at("a = [1, f(x), {b = \"c\"}]", "\"c", "d"), "a = [1, f(x), {b = \"d\"}]");
    assert_eq!(at("a = [1, f(x), {b = \"c\"}]", "[1", false), "a = false");
    assert_eq!(at("a = (\n  1\n)", "1", json!({"b": [2]})), "a = (\n  { b = [2] }\n)");
    assert_eq!(at("a = <<-E\n  one\n  two\n  E\n", "two", "one\n2\n"), "a = <<-E\n  one\n  2\n  E\n");
    assert_eq!(at("a = <<-E\n  one\n  two\n  E\n", "two", "no end"), "a = \"no end\"\n");
    assert_eq!(at("a = \"\"\r\n", "\"\"", "é\n"), "a = \"é\\n\"\r\n");
    assert_eq!(at("b one \"two\" {}", "one", "x"), "b x \"two\" {}");
    assert_eq!(at("b one \"two\" {}", "one", "x y"), "b \"x y\" \"two\" {}");
    assert_eq!(at("b one \"two\" {}", "two", "3"), "b one \"3\" {}");
    let json = r#"{"variable": {"v": {"default": "a"}}, "job": {"j": {"type": "${x}", "priority": 5}}}"#;
    assert_eq!(at(json, "a\"}}", "${b}"), json.replace("\"a\"", "\"${b}\""));
    assert_eq!(at(json, "${x}", "${b}"), json.replace("${x}", "$${b}"));
    assert_eq!(at(json, "5", json!(["${b}"])), json.replace('5', "[\"$${b}\"]"));
    assert_eq!(at(json, "j\"", "k"), json.replace("\"j\"", "\"k\""));
    for (text, mark) in [("a = 1\n", "a"), ("b \"c\" {}\n", "{"), ("# d\n", "d")] {
        let source = Source::new("f.hcl", text);
        let error = edit_at(&source, text.find(mark).unwrap(), &json!(1)).unwrap_err();
        assert!(error.to_string().contains("no value or label stands here"), "{error}");
    }
    let label = edit_at(&Source::new("f.hcl", "b \"c\" {}"), 3, &json!(1)).unwrap_err();
    assert!(label.to_string().contains("a label is a text"), "{label}");
}

/// The text with a map set, after the way back by its old value was proven to give the same job.
fn map(text: &str, path: &str, value: Json) -> String {
    let before = parse(&Source::new("f.hcl", text), &inputs()).unwrap().json;
    let done = set(text, path, value);
    let path: blackstart::jobspec::Path = path.parse().unwrap();
    let old = path.get(&before).cloned().unwrap_or_default();
    let job = parse(&Source::new("f.hcl", done.text.as_str()), &inputs()).unwrap().json;
    assert_ne!(job, before);
    if !old.is_null() {
        let wanted = Wanted { path, value: old };
        let back = try_with(&done.text, &inputs(), &[wanted]).unwrap_or_else(|error| panic!("{error}"));
        let job = parse(&Source::new("f.hcl", back.text.as_str()), &inputs()).unwrap().json;
        assert_eq!(job, before, "{}", back.text);
    }
    done.text
}

#[test]
fn several_members_go_in_at_once() {
    let two = || json!({"a": "1", "b": "2", "c d": "3"});
    for (written, made) in [
        ("{ a = 1 }", "{ a = 1, b = \"2\", \"c d\" = \"3\" }"),
        ("{}", "{ a = \"1\", b = \"2\", \"c d\" = \"3\" }"),
        ("{\n    a = 1 # one\n  }", "{\n    a = 1 # one\n    b = \"2\"\n    \"c d\" = \"3\"\n  }"),
        ("{\n    a = 1,\n  }", "{\n    a = 1,\n    b = \"2\",\n    \"c d\" = \"3\",\n  }"),
        ("merge(local.m, { a : 1 })", "merge(local.m, { a : 1, b: \"2\", \"c d\": \"3\" })"),
        (
            "{\n    # none yet\n  }",
            "{\n    # none yet\n    a = \"1\"\n    b = \"2\"\n    \"c d\" = \"3\"\n  }",
        ),
        ("{ /* none */ }", "{ /* none */ a = \"1\", b = \"2\", \"c d\" = \"3\" }"),
    ] {
        let text = format!("locals {{\n  m = {{}}\n}}\njob \"j\" {{\n  meta = {written}\n}}\n");
        assert_eq!(
            map(&text, "meta", two()),
            text.replace(&format!("meta = {written}"), &format!("meta = {made}"))
        );
    }
    let text = "job \"j\" {\n  group \"g\" {\n    service {\n      name = \"s\"\n    }\n  }\n}\n";
    let made = map(text, "group.g.service.s.meta", json!({"a": "1", "long": "2"}));
    let block = "\n\n      meta {\n        a    = \"1\"\n        long = \"2\"\n      }\n";
    assert_eq!(made, text.replace("\"s\"\n", &format!("\"s\"{block}")));
    let text = "{\"job\": {\"j\": {\"meta\": {\n  \"a\": \"1\"\n}}}}";
    let made = map(text, "meta", two());
    assert_eq!(made, text.replace("\"1\"", "\"1\",\n  \"b\": \"2\",\n  \"c d\": \"3\""));
}

#[test]
fn comments_stay_when_the_last_member_goes() {
    for (written, left) in [
        ("{ a = 1 }", "{}"),
        ("{\n    # of both\n    a = 1\n  }", "{\n    # of both\n  }"),
        ("{ /* one */ a = 1 }", "{ /* one */  }"),
    ] {
        let text = format!("job \"j\" {{\n  meta = {written}\n}}\n");
        let made = map(&text, "meta", json!({}));
        assert_eq!(made, text.replace(written, left));
    }
}
