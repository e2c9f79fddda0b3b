//! Expressions give what real Nomad makes of them: four tables, made by running it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "this is a test")]

use std::fs;
use std::path::Path;

use blackstart::base::Source;
use blackstart::jobspec::{Inputs, parse};
use serde_json::Value as Json;

const NAMES: &str = r#"variable "s" { default = "str" }
variable "n" { default = 7 }
variable "t" { default = ["a", "b", "c"] }
variable "l" {
  type    = list(string)
  default = ["x", "y"]
}
variable "ln" {
  type    = list(number)
  default = [3, 1, 2]
}
variable "st" {
  type    = set(string)
  default = ["z", "a", "z"]
}
variable "m" {
  type    = map(string)
  default = { k = "v", a = "b" }
}
variable "mn" {
  type    = map(number)
  default = { k = 1, a = 2 }
}
variable "o" { default = { k = 1, l = ["p"], z = { q = true } } }
variable "nul" {
  type    = string
  default = null
}
locals { x = "loc" }
"#;

/// The value as `config` has it; none where it is refused.
fn value(expression: &str, root: &Path) -> Option<Json> {
    let expression = expression.replace("\\N", "\n");
    let text = format!(
        "{NAMES}job \"j\" {{\n  group \"g\" {{\n    task \"t\" {{\n      config {{\n        v = {expression}\n      }}\n    }}\n  }}\n}}\n"
    );
    let source = Source::new("job.nomad.hcl", text);
    match parse(&source, &Inputs { root: root.to_owned(), ..Inputs::default() }) {
        Ok(job) => Some(job.json.pointer("/TaskGroups/0/Tasks/0/Config/v").cloned().unwrap_or_default()),
        Err(errors) => {
            assert!(errors.0.iter().all(|error| error.span.is_some()), "{expression}: {errors}");
            None
        }
    }
}

fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

fn check(table: &str) {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("x.txt"), "hello").unwrap();
    fs::write(root.path().join("y.txt"), "").unwrap();
    fs::create_dir(root.path().join("sub")).unwrap();
    fs::write(root.path().join("sub/a.dat"), "").unwrap();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in table.lines().filter(|line| !line.starts_with("# ")) {
        let (expression, wanted) = line.rsplit_once("  =>  ").unwrap();
        let wanted = (wanted != "!").then(|| serde_json::from_str::<Json>(wanted).unwrap());
        let ours = value(expression, root.path());
        count += 1;
        let agree = match (&ours, &wanted) {
            (Some(ours), Some(wanted)) => same(ours, wanted),
            (None, None) => true,
            _ => false,
        };
        if !agree {
            wrong.push(format!("{expression}: ours {ours:?}, Nomad's {wanted:?}"));
        }
    }
    println!("{} of {count} agree", count - wrong.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn syntax_and_operators() {
    check(include_str!("jobspec/expressions.txt"));
}

#[test]
fn functions() {
    check(include_str!("jobspec/functions.txt"));
}

#[test]
fn yaml_keys_networks_and_null() {
    check(include_str!("jobspec/more_functions.txt"));
}

#[test]
fn corners() {
    check(include_str!("jobspec/corners.txt"));
}
