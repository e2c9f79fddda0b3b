//! The templates of a task.

use std::collections::BTreeSet;

use super::found::{Found, time};
use super::names::escapes;
use super::node::Node;

pub fn templates(task: &Node, found: &mut Found) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for template in task.items("Templates") {
        let target = template.text("DestPath");
        if !seen.insert(target) {
            let message = format!("two templates are written to {target:?}");
            found.refuse(&template, "DestPath", message, "give one of them another destination");
        }
        one(&template, target, found);
    }
}

fn one(node: &Node, target: &str, found: &mut Found) {
    if node.text("SourcePath").is_empty() && node.text("EmbeddedTmpl").is_empty() {
        let help = "add `data` with its text, or `source` with its file";
        found.refuse(node, "", "the template has neither `data` nor `source`", help);
    }
    if target.is_empty() {
        let help = "add destination = \"local/NAME\"";
        found.refuse(node, "DestPath", "the template has no destination", help);
    }
    if escapes("task", target) {
        let message = "the template's destination lies outside of the allocation";
        found.refuse(node, "DestPath", message, "name a file below local/ or secrets/");
    }
    change(node, found);
    if node.int("Splay").is_some_and(|splay| splay < 0) {
        found.refuse(node, "Splay", "`splay` is less than nothing", "use 0s or more");
    }
    let perms = node.text("Perms");
    let octal = perms.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    if !perms.is_empty() && (!octal || u64::from_str_radix(perms, 8).is_ok_and(|perms| perms > 0o7777)) {
        let message = format!("{perms:?} are no permissions of a file");
        found.refuse(node, "Perms", message, "write them in octal, such as \"0644\"");
    }
    if let Some(wait) = node.get("Wait")
        && let (Some(least), Some(most)) = (wait.int("Min"), wait.int("Max"))
        && least > most
    {
        let message = format!("`wait` has a `min` of {} above its `max` of {}", time(least), time(most));
        found.refuse(&wait, "Min", message, "swap them");
    }
}

fn change(node: &Node, found: &mut Found) {
    match node.text_or("ChangeMode", "restart") {
        "noop" | "restart" => {}
        "signal" => {
            if node.text_or("ChangeSignal", "SIGHUP").is_empty() {
                let help = "add change_signal = \"SIGHUP\", for example";
                found.refuse(node, "ChangeSignal", "the template is to send a signal and names none", help);
            }
            if node.flag("Envvars") {
                let message = "a template of environment variables can't send a signal";
                found.refuse(node, "Envvars", message, "set change_mode = \"restart\"");
            }
        }
        "script" => match node.get("ChangeScript") {
            None => {
                let help = "add change_script { command = \"…\" }";
                found.refuse(node, "ChangeMode", "the template is to run a script and names none", help);
            }
            Some(script) if script.text("Command").is_empty() => {
                found.refuse(
                    &script,
                    "Command",
                    "the script of the template has no command",
                    "add `command`",
                );
            }
            Some(_) => {}
        },
        mode => {
            let message = format!("`{mode}` is no way to react to a change");
            found.refuse(node, "ChangeMode", message, "there are noop, restart, signal and script");
        }
    }
}
