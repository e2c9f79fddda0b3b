//! Terraform's streaming format (`-json`), line by line.
//!
//! Guarantees: an unknown message, an unknown field and a line that isn't JSON are no errors; an
//! unknown major version of the format is reported. Source of the format: the machine-readable UI of
//! Terraform 1.6 to 1.15, versions 1.2 and 1.3.

use std::collections::BTreeMap;

use serde_json::Value;

use super::api::Action;
use super::error::{Lock, Problem};
use crate::base::text;

/// The one major version of the format that is understood.
const MAJOR: &str = "1";

/// What one line says, as far as it matters here. Texts are as Terraform wrote them.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    Version {
        terraform: String,
    },
    UnknownFormat {
        version: String,
    },
    Refreshing {
        address: String,
    },
    Start {
        address: String,
        action: Action,
    },
    Running {
        address: String,
        elapsed: u64,
    },
    Complete {
        address: String,
        action: Action,
        elapsed: u64,
    },
    Errored {
        address: String,
        action: Action,
    },
    /// What a provisioner printed.
    Provisioner {
        address: String,
        output: String,
    },
    Diagnostic {
        severity: String,
        problem: Problem,
    },
    /// Name → (value where it is told, whether it is sensitive)
    Outputs(BTreeMap<String, (Option<Value>, bool)>),
    /// The last word of an apply that did all of it.
    Applied,
    Text(String),
    Other,
}

pub(super) fn message(line: &str) -> Message {
    let Ok(value) = serde_json::from_str::<Value>(line) else {
        return if line.trim().is_empty() { Message::Other } else { Message::Text(line.to_owned()) };
    };
    read(&value).unwrap_or(Message::Other)
}

fn read(value: &Value) -> Option<Message> {
    let hook = &value["hook"];
    let address = || address_of(hook);
    let elapsed = hook["elapsed_seconds"].as_f64().map_or(0, whole_seconds);
    Some(match value["type"].as_str()? {
        "version" => {
            let version = string(&value["ui"])?;
            if version.split('.').next() != Some(MAJOR) {
                return Some(Message::UnknownFormat { version });
            }
            let terraform = string(&value["terraform"]).or_else(|| string(&value["tofu"]))?;
            Message::Version { terraform }
        }
        "refresh_start" => Message::Refreshing { address: address()? },
        "apply_start" => Message::Start { address: address()?, action: action(&hook["action"])? },
        "apply_progress" => Message::Running { address: address()?, elapsed },
        "apply_complete" => {
            Message::Complete { address: address()?, action: action(&hook["action"])?, elapsed }
        }
        "apply_errored" => Message::Errored { address: address()?, action: action(&hook["action"])? },
        "provision_progress" => {
            Message::Provisioner { address: address()?, output: string(&hook["output"])? }
        }
        "diagnostic" => {
            let diagnostic = &value["diagnostic"];
            let severity = string(&diagnostic["severity"])?;
            Message::Diagnostic { severity, problem: problem(diagnostic) }
        }
        "outputs" => {
            let outputs = value["outputs"].as_object()?.iter().map(|(name, output)| {
                let sensitive = output["sensitive"].as_bool().unwrap_or(false);
                (name.clone(), (output.get("value").cloned(), sensitive))
            });
            Message::Outputs(outputs.collect())
        }
        "change_summary" if value["changes"]["operation"].as_str().is_some_and(|o| o != "plan") => {
            Message::Applied
        }
        _ => return None,
    })
}

/// Addresses aren't masked: Terraform refuses secrets as instance keys, and the guard compares them.
fn address_of(hook: &Value) -> Option<String> {
    Some(text::harmless(hook["resource"]["addr"].as_str()?).into_owned())
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn whole_seconds(seconds: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs()
}

/// The stream's words for actions are not the plan's: here `remove` means to forget.
fn action(value: &Value) -> Option<Action> {
    Some(match value.as_str()? {
        "create" => Action::Create,
        "update" => Action::Update,
        "delete" => Action::Destroy,
        "replace" => Action::Replace,
        "read" => Action::Read,
        "remove" | "forget" => Action::Forget,
        "move" => Action::Move,
        "import" => Action::Import,
        "noop" => Action::NoOp,
        _ => return None,
    })
}

fn problem(diagnostic: &Value) -> Problem {
    let range = &diagnostic["range"];
    let place =
        string(&range["filename"]).map(|file| match (&range["start"]["line"], &range["start"]["column"]) {
            (Value::Number(line), Value::Number(column)) => format!("{file}:{line}:{column}"),
            _ => file,
        });
    Problem {
        summary: string(&diagnostic["summary"]).unwrap_or_default(),
        detail: string(&diagnostic["detail"]).unwrap_or_default(),
        place,
        address: string(&diagnostic["address"]),
    }
}

/// What a set of error diagnostics means, where it is one of those that are told apart.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    Locked(Box<Lock>),
    Stale(String),
    NeedsInit,
}

/// Terraform gives its diagnostics no code: their summaries must do. They have been the same from 1.6
/// to 1.11; one that isn't known again becomes a general error, never a success.
pub(super) fn meaning(problems: &[Problem]) -> Option<Meaning> {
    const STALE: &[&str] = &["Saved plan is stale", "Saved plan does not match the given state"];
    const NEEDS_INIT: &[&str] = &[
        "Module not installed",
        "Module source has changed",
        "Module version requirements have changed",
        "Required plugins are not installed",
        "Inconsistent dependency lock file",
        "Missing required provider",
        "Unavailable required provider",
        "Backend initialization required",
        "Initial configuration of the requested backend",
        "Initialization required",
    ];
    problems.iter().find_map(|problem| {
        let summary = problem.summary.as_str();
        if summary.starts_with("Error acquiring the state lock") || summary.starts_with("Error locking state")
        {
            return Some(Meaning::Locked(Box::new(lock(&problem.detail))));
        }
        if STALE.iter().any(|known| summary.starts_with(known)) {
            return Some(Meaning::Stale(summary.to_owned()));
        }
        NEEDS_INIT.iter().any(|known| summary.starts_with(known)).then_some(Meaning::NeedsInit)
    })
}

/// Reads the `Lock Info:` lines of a diagnostic's detail.
fn lock(detail: &str) -> Lock {
    let field = |name: &str| {
        let value = detail.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'))?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    Lock {
        id: field("ID"),
        path: field("Path"),
        operation: field("Operation"),
        who: field("Who"),
        version: field("Version"),
        created: field("Created"),
    }
}

/// What Terraform warns of whenever there are targets, which is always wanted here.
pub(super) fn expected_with_targets(problem: &Problem) -> bool {
    matches!(
        problem.summary.as_str(),
        "Resource targeting is in effect" | "Applied changes may be incomplete"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_are_told_apart() {
        let line =
            |ui: &str| message(&format!(r#"{{"type":"version","terraform":"1.11.4","ui":"{ui}","new":1}}"#));
        assert_eq!(line("1.9"), Message::Version { terraform: "1.11.4".into() });
        assert_eq!(line("2.0"), Message::UnknownFormat { version: "2.0".into() });
        assert_eq!(line("10.0"), Message::UnknownFormat { version: "10.0".into() });
    }

    #[test]
    fn a_lock_names_its_holder() {
        let detail = "Error message: resource temporarily unavailable\nLock Info:\n  ID:        61de08b7\n  \
                      Path:      terraform.tfstate\n  Operation: OperationTypeApply\n  Who:       ann@bastion\n  \
                      Version:   1.11.4\n  Created:   2026-11-21 03:13:30.26979724 +0000 UTC\n  Info:      \n\n\n";
        let problem = Problem {
            summary: "Error acquiring the state lock".into(),
            detail: detail.into(),
            place: None,
            address: None,
        };
        let Some(Meaning::Locked(lock)) = meaning(&[problem]) else { panic!() };
        assert_eq!(
            lock.to_string(),
            " by ann@bastion since 2026-11-21 03:13:30.26979724 +0000 UTC for OperationTypeApply, lock ID 61de08b7"
        );
    }

    proptest! {
        #[test]
        fn no_line_is_an_error(line in "\\PC*", kind in "version|outputs|diagnostic|apply_complete|change_summary") {
            message(&line);
            message(&serde_json::json!({"type": kind, "outputs": line, "hook": line, "changes": [line]}).to_string());
        }
    }
}
