//! How a task fares is told by its job file alone: an image tag with the word `bad`, `missing` or
//! `nonexistent` can't be pulled, one with `crash` or `badbad…` starts and dies; `sleep`, `exit` and `false` among a
//! command's words do what they say.

use std::time::Duration;

use serde_json::{Value, json};

use super::value::{array, int, text};

/// How a task fares on its node.
pub enum Fate {
    Runs,
    Ends {
        after: Duration,
        code: i64,
    },
    /// Why; and whether trying again could help.
    NeverStarts(String, bool),
}

pub fn event(at: i64, kind: &str, shown: &str, fields: &[(&str, Value)]) -> Value {
    let mut event = json!({
        "Type": kind, "Time": at, "Message": "", "DisplayMessage": shown, "Details": {}, "FailsTask": false,
        "RestartReason": "", "SetupError": "", "DriverError": "", "ExitCode": 0, "Signal": 0, "KillTimeout": 0,
        "KillError": "", "KillReason": "", "StartDelay": 0, "DownloadError": "", "ValidationError": "",
        "DiskLimit": 0, "FailedSibling": "", "VaultError": "", "TaskSignalReason": "", "TaskSignal": "",
        "DriverMessage": "", "GenericSource": "",
    });
    for (key, value) in fields {
        event[*key] = value.clone();
    }
    event
}

pub fn fate(task: &Value) -> Fate {
    let config = &task["Config"];
    let image = text(config, "image");
    if !image.is_empty() {
        let tag = image.rsplit(['/', ':']).next().unwrap_or_default();
        let words: Vec<&str> = tag.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        if words.iter().any(|w| matches!(*w, "bad" | "missing" | "nonexistent"))
            || tag.contains("does-not-exist")
        {
            return Fate::NeverStarts(
                format!(
                    "Failed to pull `{image}`: Error response from daemon: manifest for {image} not found: manifest unknown: manifest unknown"
                ),
                true,
            );
        }
        if words.iter().any(|w| *w == "crash" || w.starts_with("badbad")) {
            return Fate::Ends { after: Duration::from_secs(2), code: 1 };
        }
        return Fate::Runs;
    }
    if text(task, "Driver") == "mock_driver" {
        let error = text(config, "start_error");
        if !error.is_empty() {
            return Fate::NeverStarts(error.to_owned(), config["start_error_recoverable"] == json!(true));
        }
        let run = text(config, "run_for");
        return match run.strip_suffix('s').and_then(|s| s.parse().ok()) {
            Some(seconds) => {
                Fate::Ends { after: Duration::from_secs_f64(seconds), code: int(config, "exit_code") }
            }
            None => Fate::Runs,
        };
    }
    let command = text(config, "command");
    let mut words: Vec<String> = command.split('/').next_back().map(str::to_owned).into_iter().collect();
    for argument in array(config, "args") {
        let argument = argument.as_str().unwrap_or_default();
        words.extend(argument.split([' ', ';', '\n']).filter(|w| !w.is_empty()).map(str::to_owned));
    }
    if command.contains("nonexistent") || command.contains("does-not-exist") {
        return Fate::NeverStarts(
            format!(
                "failed to launch command with executor: rpc error: code = Unknown desc = binary {command:?} could not be found"
            ),
            false,
        );
    }
    let number = |word: &str| {
        words
            .iter()
            .position(|w| w == word)
            .and_then(|i| words.get(i + 1))
            .and_then(|n| n.trim_end_matches('s').parse::<u64>().ok())
    };
    let slept = number("sleep");
    let code = if words.iter().any(|w| w == "false") {
        Some(1)
    } else {
        number("exit").and_then(|n| i64::try_from(n).ok())
    };
    match (slept, code, words.first().map(String::as_str)) {
        // Longer than anybody watches: it runs.
        (Some(seconds), _, _) if seconds >= 3600 => Fate::Runs,
        (Some(seconds), code, _) => {
            Fate::Ends { after: Duration::from_secs(seconds.max(1)), code: code.unwrap_or(0) }
        }
        (None, Some(code), _) => Fate::Ends { after: Duration::from_millis(500), code },
        (None, None, Some("true" | "echo" | "date")) => {
            Fate::Ends { after: Duration::from_millis(500), code: 0 }
        }
        _ => Fate::Runs,
    }
}

/// A duration as Go prints it, to the second where it is longer than one.
pub fn go_duration(nanos: i64) -> String {
    let seconds = nanos / 1_000_000_000;
    if seconds == 0 {
        return if nanos == 0 { "0s".into() } else { format!("{}ms", nanos / 1_000_000) };
    }
    let (hours, minutes, rest) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}
