//! Why a decision isn't the one that was approved, in words for people: no digests, no keys of documents.

use serde_json::Value;

use super::decision::leaves;
use crate::base::text;

/// What of a whole decision is other than it was.
pub fn decision_changes(old: &Value, new: &Value) -> Vec<String> {
    let mut said = Vec::new();
    for (path, old, new) in leaves(old, new) {
        let parts: Vec<&str> = path.iter().map(String::as_str).collect();
        let words = match parts.as_slice() {
            ["about", rest @ ..] => about(rest, old, new),
            ["steps", step] if old.is_none() => format!("the step {step} is new"),
            ["steps", step] if new.is_none() => format!("the step {step} is gone"),
            ["steps", step, rest @ ..] => format!("{step}: {}", of_step(rest, old, new)),
            _ => "it was looked at by another version of blackstart".to_owned(),
        };
        said.push(text::one_line(&words));
    }
    said.dedup();
    said
}

/// What of one step's decision is other than it was.
pub fn step_changes(old: &Value, new: &Value) -> Vec<String> {
    let leaves = leaves(old, new).into_iter();
    let mut said: Vec<String> = leaves
        .map(|(path, old, new)| {
            let parts: Vec<&str> = path.iter().map(String::as_str).collect();
            text::one_line(&of_step(&parts, old, new))
        })
        .collect();
    said.dedup();
    said
}

fn about(path: &[&str], old: Option<&Value>, new: Option<&Value>) -> String {
    match path {
        ["plan_file"] => "the plan was changed".to_owned(),
        ["files", file] => was_changed(file, old, new),
        ["inputs", name] => format!("the variable {name} {}", has_another(old, new)),
        ["variables"] => "a variable of the environment has another value".to_owned(),
        ["nomad_address"] => format!("--nomad-address {}", is_now(old, new)),
        [name, ..] => format!("the {} {}", spaced(name), is_now(old, new)),
        [] => "it is another decision".to_owned(),
    }
}

fn of_step(path: &[&str], old: Option<&Value>, new: Option<&Value>) -> String {
    match path {
        // Sealed: what is secret stands beside it as a keyed hash.
        ["decision", rest @ ..] => of_step(rest, old, new),
        ["secrets"] => "a secret has another value".to_owned(),
        ["jobs", id] if old.is_none() => format!("the job '{id}' is new in it"),
        ["jobs", id] if new.is_none() => format!("the job '{id}' isn't in it any more"),
        ["jobs", id, "running"] if new == Some(&Value::Bool(true)) => format!("the job '{id}' runs now"),
        ["jobs", id, "running"] => format!("the job '{id}' doesn't run any more"),
        ["jobs", id, "spec"] => format!("the file of the job '{id}' was changed"),
        ["jobs", id, "diff"] => format!("what would change in the job '{id}' is something else now"),
        ["jobs", id, "index"] => format!("somebody changed the job '{id}'"),
        ["jobs", id, "allocations", ..] => format!("the job '{id}' has other allocations"),
        ["jobs", id, ..] => format!("the job '{id}' is something else now"),
        ["lasting", "files", "files", file, ..] => was_changed(file, old, new),
        ["lasting", "commit", "branch"] => format!("the branch {}", is_now(old, new)),
        ["lasting", "commit", "head"] => "the branch is at another commit".to_owned(),
        ["lasting", "commit", "files", file, ..] => format!("{file} is committed otherwise"),
        ["lasting", "commit", "push", ..] => {
            "the branch that it is pushed to is at another commit".to_owned()
        }
        ["lasting", "files" | "commit", "others" | "protected", ..] => {
            "what else reads these lines is something else now".to_owned()
        }
        ["lasting", "commit", ..] => "whether it is committed is something else now".to_owned(),
        ["lasting", "files", "lost", ..] => "what has no place in the files is something else now".to_owned(),
        ["lasting", "files", ..] => "what is written to the files is something else now".to_owned(),
        ["changes", address] if old.is_none() => format!("{address} is to change too"),
        ["changes", address] if new.is_none() => format!("{address} isn't to change any more"),
        ["changes", address] => format!("{address} is to change otherwise"),
        ["serial"] => format!("Terraform's state was changed (its serial {})", is_now(old, new)),
        ["lineage"] => "Terraform's state is another one".to_owned(),
        ["nomad"] => format!("Nomad's address {}", is_now(old, new)),
        ["index"] => "somebody changed the job".to_owned(),
        ["diff"] => "what would change is something else now".to_owned(),
        [name, ..] => format!("its {} {}", spaced(name), is_now(old, new)),
        [] => "it is another step".to_owned(),
    }
}

fn was_changed(file: &str, old: Option<&Value>, new: Option<&Value>) -> String {
    match (old, new) {
        (None, _) => format!("{file} is in it now"),
        (_, None) => format!("{file} isn't in it any more"),
        _ => format!("{file} was changed"),
    }
}

fn has_another(old: Option<&Value>, new: Option<&Value>) -> &'static str {
    match (old, new) {
        (None, _) => "is given now",
        (_, None) => "isn't given any more",
        _ => "has another value",
    }
}

/// `is "b" now, not "a"`; what only a machine reads isn't shown.
fn is_now(old: Option<&Value>, new: Option<&Value>) -> String {
    match (old.and_then(plain), new.and_then(plain)) {
        (Some(old), Some(new)) => format!("is {new} now, not {old}"),
        _ => "is something else now".to_owned(),
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => {
            let digest = text.len() >= 24 && text.bytes().all(|b| b.is_ascii_hexdigit());
            (!digest && text.chars().count() <= 60).then(|| text.clone())
        }
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stale_decision_is_explained_without_hashes() {
        let hash = |n: u8| format!("{n:02x}").repeat(12);
        let document = |n: u8| {
            json!({
                "version": 1,
                "about": { "plan_file": hash(n), "files": { "vars/a.hcl": hash(n) }, "nomad_address": null, "inputs": {} },
                "steps": { "patch": {
                    "nomad": "http://a",
                    "jobs": { "api": { "index": n, "diff": hash(n) }, "web": { "index": 1, "diff": hash(0) } },
                    "lasting": {
                        "files": {
                            "files": { "jobs/api.hcl": { "before": hash(n), "after": hash(n) } },
                            "others": [], "lost": {},
                        },
                        "commit": { "branch": format!("b{n}"), "head": hash(n), "files": {}, "push": null },
                    },
                } },
            })
        };
        let said = decision_changes(&document(1), &document(2));
        let expected = [
            "vars/a.hcl was changed",
            "the plan was changed",
            "patch: what would change in the job 'api' is something else now",
            "patch: somebody changed the job 'api'",
            "patch: the branch is b2 now, not b1",
            "patch: the branch is at another commit",
            "patch: jobs/api.hcl was changed",
        ];
        assert_eq!(said, expected);
        assert_eq!(decision_changes(&document(1), &document(1)), [""; 0]);
        let sealed = |n: u8| json!({ "decision": { "serial": n }, "secrets": hash(n) });
        let said = step_changes(&sealed(3), &sealed(4));
        assert_eq!(
            said,
            ["Terraform's state was changed (its serial is 4 now, not 3)", "a secret has another value"]
        );
    }

    /// Each part of a decision has words of its own, whichever way it changed.
    #[test]
    fn each_part_that_is_stale_is_named() {
        let hash = |n: u8| format!("{n:02x}").repeat(12);
        let (a, b) = (json!(hash(1)), json!(hash(2)));
        // A place, what stood there, what stands there now, and the words.
        let none = Value::Null;
        let rows = [
            ("/about/inputs/tag", json!("a"), json!("b"), "the variable tag has another value"),
            ("/about/inputs/tag", none.clone(), json!("b"), "the variable tag is given now"),
            ("/about/inputs/tag", json!("a"), none.clone(), "the variable tag isn't given any more"),
            ("/about/variables", a.clone(), b.clone(), "a variable of the environment has another value"),
            (
                "/about/nomad_address",
                json!("http://a"),
                json!("http://b"),
                "--nomad-address is http://b now, not http://a",
            ),
            (
                "/about/terraform_version",
                json!("1.9"),
                json!("1.10"),
                "the terraform version is 1.10 now, not 1.9",
            ),
            ("/about/files/x.hcl", none.clone(), b.clone(), "x.hcl is in it now"),
            ("/about/files/x.hcl", a.clone(), none.clone(), "x.hcl isn't in it any more"),
            ("/steps/s", none.clone(), json!({ "nomad": "http://a" }), "the step s is new"),
            ("/steps/s", json!({ "nomad": "http://a" }), none.clone(), "the step s is gone"),
            ("/steps/s/jobs/api", none.clone(), json!({ "index": 1 }), "s: the job 'api' is new in it"),
            (
                "/steps/s/jobs/api",
                json!({ "index": 1 }),
                none.clone(),
                "s: the job 'api' isn't in it any more",
            ),
            ("/steps/s/jobs/api/running", json!(false), json!(true), "s: the job 'api' runs now"),
            ("/steps/s/jobs/api/running", json!(true), json!(false), "s: the job 'api' doesn't run any more"),
            ("/steps/s/jobs/api/spec", a.clone(), b.clone(), "s: the file of the job 'api' was changed"),
            (
                "/steps/s/jobs/api/allocations/1",
                json!("x"),
                json!("y"),
                "s: the job 'api' has other allocations",
            ),
            ("/steps/s/jobs/api/else", json!(1), json!(2), "s: the job 'api' is something else now"),
            (
                "/steps/s/lasting/commit/files/x.hcl/before",
                a.clone(),
                b.clone(),
                "s: x.hcl is committed otherwise",
            ),
            (
                "/steps/s/lasting/commit/push/there",
                a.clone(),
                b.clone(),
                "s: the branch that it is pushed to is at another commit",
            ),
            (
                "/steps/s/lasting/commit/others/0",
                json!("x"),
                json!("y"),
                "s: what else reads these lines is something else now",
            ),
            (
                "/steps/s/lasting/files/lost/api",
                json!("x"),
                json!("y"),
                "s: what has no place in the files is something else now",
            ),
            ("/steps/s/changes/r.x", none.clone(), json!("create"), "s: r.x is to change too"),
            ("/steps/s/changes/r.x", json!("create"), none.clone(), "s: r.x isn't to change any more"),
            ("/steps/s/changes/r.x", json!("create"), json!("delete"), "s: r.x is to change otherwise"),
            ("/steps/s/lineage", a.clone(), b.clone(), "s: Terraform's state is another one"),
            (
                "/steps/s/nomad",
                json!("http://a"),
                json!("http://b"),
                "s: Nomad's address is http://b now, not http://a",
            ),
            ("/steps/s/diff", a.clone(), b.clone(), "s: what would change is something else now"),
            ("/steps/s/count", json!(1), json!(2), "s: its count is 2 now, not 1"),
            ("/version", json!(1), json!(2), "it was looked at by another version of blackstart"),
        ];
        for (place, old, new, words) in rows {
            let document = |value: Value| {
                place.rsplit_once('/').map_or(Value::Null, |(above, name)| {
                    let own = if value.is_null() { json!({}) } else { json!({ name: value }) };
                    above
                        .split('/')
                        .skip(1)
                        .collect::<Vec<_>>()
                        .into_iter()
                        .rev()
                        .fold(own, |inner, name| json!({ name: inner }))
                })
            };
            assert_eq!(decision_changes(&document(old), &document(new)), [words], "{place}");
        }
    }
}
