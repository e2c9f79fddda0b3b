//! A task.

use std::collections::BTreeSet;

use super::constraint::{affinities, constraints};
use super::found::{Found, time};
use super::group::Group;
use super::names::{escapes, is_word, reference};
use super::node::Node;
use super::{resources, template, volume};

const SECOND: i64 = 1_000_000_000;

pub fn task(group: &Group, node: &Node, found: &mut Found) {
    own(group, node, found);
    resources::resources(node, found);
    logs(group, node, found);
    constraints(node, true, found);
    affinities(node, group.whole.is_system(), found);
    template::templates(node, found);
    artifacts(node, found);
    actions(node, found);
    vault_and_secrets(node, found);
    identities(node, found);
    volume::mounts(group, node, found);
    if let Some(payload) = node.get("DispatchPayload")
        && escapes("task/local", payload.text("File"))
    {
        let message = "the file of the payload lies outside of the allocation";
        found.refuse(&payload, "File", message, "name one below the task's folder local/");
    }
    if let Some(lifecycle) = node.get("Lifecycle") {
        let hook = lifecycle.text("Hook");
        if !matches!(hook, "prestart" | "poststart" | "poststop") {
            let message = match hook {
                "" => "the lifecycle has no hook".to_owned(),
                hook => format!("`{hook}` is no hook of a lifecycle"),
            };
            found.refuse(&lifecycle, "Hook", message, "there are prestart, poststart and poststop");
        }
    }
    if let Some(plugin) = node.get("CSIPluginConfig") {
        if plugin.text("ID").is_empty() {
            found.refuse(&plugin, "ID", "the CSI plugin has no id", "add id = \"NAME\"");
        }
        let kind = plugin.text("Type");
        if !matches!(kind, "node" | "controller" | "monolith") {
            let message = format!("{kind:?} is no type of CSI plugin");
            found.refuse(&plugin, "Type", message, "there are node, controller and monolith");
        }
    }
}

fn own(group: &Group, node: &Node, found: &mut Found) {
    let name = node.text("Name");
    if name == "alloc" {
        let help = "call it otherwise: the allocation has a folder of that name";
        found.refuse(node, "Name", "a task can't be called `alloc`", help);
    }
    if name.contains(['/', '\\']) {
        let message = format!("the task's name {name:?} has a slash in it");
        found.refuse(node, "Name", message, "use `-` in its place: it names a folder");
    } else if name.contains('\0') {
        found.refuse(node, "Name", "the task's name has a null character in it", "take it out");
    }
    if node.text("Driver").is_empty() {
        let message = format!("task `{name}` has no driver");
        found.refuse(node, "Driver", message, "add driver = \"docker\", for example");
    }
    let kill = match node.int("KillTimeout").unwrap_or(0) {
        0 => 5 * SECOND,
        other => other,
    };
    let deadline = group.update.as_ref().map_or(600 * SECOND, |update| update.progress_deadline);
    if kill < 0 {
        found.refuse(node, "KillTimeout", "`kill_timeout` is less than nothing", "use 0s or more");
    } else if group.whole.is_service() && deadline > 0 && kill > deadline {
        let message = format!(
            "task `{name}` may take {} to end, and the update's `progress_deadline` is {}",
            time(kill),
            time(deadline)
        );
        let help = "make `progress_deadline` in `update` longer than `kill_timeout`";
        found.refuse(node, "KillTimeout", message, help);
    }
    if node.int("ShutdownDelay").is_some_and(|delay| delay < 0) {
        found.refuse(node, "ShutdownDelay", "`shutdown_delay` is less than nothing", "use 0s or more");
    }
}

fn logs(group: &Group, node: &Node, found: &mut Found) {
    let block = node.get("LogConfig");
    let read = |name: &str| block.as_ref().and_then(|block| block.int(name)).unwrap_or(10);
    let (files, size) = (read("MaxFiles"), read("MaxFileSizeMB"));
    let at = block.as_ref().unwrap_or(node);
    if files < 1 {
        found.refuse(at, "MaxFiles", format!("logs can't have {files} files"), "1 is the least");
    }
    if size < 1 {
        found.refuse(at, "MaxFileSizeMB", format!("a log file can't have {size} MB"), "1 is the least");
    }
    let all = files.wrapping_mul(size);
    // A disk that is too small is told of by the group.
    if group.disk <= all && group.disk >= 10 {
        let message = format!(
            "the logs of task `{}` may take {all} MB, and the group's disk has {}",
            node.text("Name"),
            group.disk
        );
        let help =
            "raise `size` in the group's ephemeral_disk, or lower max_files or max_file_size in `logs`";
        found.refuse(at, "", message, help);
    }
}

fn artifacts(node: &Node, found: &mut Found) {
    for artifact in node.items("Artifacts") {
        if artifact.text("GetterSource").is_empty() {
            found.refuse(&artifact, "GetterSource", "the artifact has no source", "add source = \"URL\"");
        }
        let mode = artifact.text("GetterMode");
        if !matches!(mode, "" | "any" | "file" | "dir") {
            let message = format!("`{mode}` is no mode of an artifact");
            found.refuse(&artifact, "GetterMode", message, "there are any, file and dir");
        }
        if escapes("task", artifact.text("RelativeDest")) {
            let message = "the artifact's destination lies outside of the allocation";
            found.refuse(&artifact, "RelativeDest", message, "name a folder below local/");
        }
        let sum = artifact.map("GetterOptions").and_then(|options| options.get("checksum"));
        if let Some(why) = sum.and_then(|sum| sum.as_str()).and_then(wrong_checksum) {
            let message = format!("the checksum {why}");
            found.refuse(&artifact, "GetterOptions", message, "write it as \"sha256:HEX\"");
        }
    }
}

fn wrong_checksum(text: &str) -> Option<String> {
    if reference(text).is_some() {
        return None;
    }
    let text = text.trim();
    let Some((kind, sum)) = text.split_once(':').filter(|(_, sum)| !sum.contains(':')) else {
        return Some(format!("{text:?} isn't TYPE:HEX"));
    };
    let length = match kind {
        "md5" => 32,
        "sha1" => 40,
        "sha256" => 64,
        "sha512" => 128,
        _ => return Some(format!("has the type {kind:?}; there are md5, sha1, sha256 and sha512")),
    };
    let hex = sum.bytes().all(|digit| digit.is_ascii_hexdigit());
    (!hex || sum.len() != length)
        .then(|| format!("isn't one of {kind}: that has {length} hexadecimal digits"))
}

fn actions(node: &Node, found: &mut Found) {
    let mut seen = BTreeSet::new();
    for action in node.items("Actions") {
        let name = action.text("Name");
        if action.text("Command").is_empty() {
            found.refuse(&action, "Command", format!("the action `{name}` has no command"), "add `command`");
        }
        let blank = |c: char| matches!(c, '\0' | '\t' | '\n' | '\r' | ' ' | '\u{c}');
        let length = name.chars().count();
        if length == 0 || length > 128 || name.contains(blank) {
            let message = format!("{name:?} can't name an action");
            found.refuse(&action, "Name", message, "1 to 128 characters without blanks");
        }
        if !seen.insert(name) {
            let message = format!("there are two actions `{name}`");
            found.refuse(&action, "Name", message, "give one of them another name");
        }
    }
}

fn vault_and_secrets(node: &Node, found: &mut Found) {
    let vault = node.get("Vault");
    if let Some(vault) = &vault {
        let mode = vault.text("ChangeMode");
        if !matches!(mode, "" | "noop" | "restart" | "signal") {
            let message = format!("`{mode}` is no way to react to a change");
            found.refuse(vault, "ChangeMode", message, "there are noop, restart and signal");
        }
        if mode == "signal" && vault.text_or("ChangeSignal", "SIGHUP").is_empty() {
            let help = "add change_signal = \"SIGHUP\", for example";
            found.refuse(vault, "ChangeSignal", "`vault` is to send a signal and names none", help);
        }
    }
    let mut seen = BTreeSet::new();
    for secret in node.items("Secrets") {
        let (name, provider) = (secret.text("Name"), secret.text("Provider"));
        if !seen.insert(name) {
            let message = format!("there are two secrets `{name}`");
            found.refuse(&secret, "Name", message, "give one of them another name");
        }
        if !is_word(name, false) {
            let message = format!("{name:?} can't name a secret");
            found.refuse(&secret, "Name", message, "letters, digits and `_`, 1 to 128 of them");
        }
        if provider.is_empty() {
            let message = format!("the secret `{name}` has no provider");
            found.refuse(&secret, "Provider", message, "add provider = \"nomad\", for example");
        }
        if secret.text("Path").is_empty() {
            found.refuse(&secret, "Path", format!("the secret `{name}` has no path"), "add `path`");
        }
        if provider == "vault" && vault.is_none() {
            let message = format!("the secret `{name}` comes from Vault, and the task has no vault block");
            found.refuse(&secret, "Provider", message, "add vault {}");
        }
        let (field, word) =
            if matches!(provider, "nomad" | "vault") { ("Env", "env") } else { ("Config", "config") };
        if secret.any(field) {
            let message = format!("a secret of the provider `{provider}` can't have `{word}`");
            found.refuse(&secret, field, message, "take it out");
        }
    }
}

fn identities(node: &Node, found: &mut Found) {
    let is_default = |identity: &Node| matches!(identity.text("Name"), "" | "default");
    let last = node.items("Identities").filter(is_default).count();
    let mut defaults = 0;
    // The default one of the list takes the place of the other.
    let single = node.get("Identity").filter(|_| last == 0);
    for identity in single.into_iter().chain(node.items("Identities")) {
        let default = is_default(&identity);
        defaults += u32::from(default);
        if default && defaults > 1 {
            let help = "name the others, or take them out";
            found.refuse(&identity, "Name", "there are two identities without a name", help);
        }
        self::identity(&identity, default, found);
    }
}

fn identity(node: &Node, default: bool, found: &mut Found) {
    let name = node.text_or("Name", "default");
    let name = if name.is_empty() { "default" } else { name };
    if !is_word(name, true) {
        let message = format!("{name:?} can't name an identity");
        found.refuse(node, "Name", message, "letters, digits, `_` and `-`, 1 to 128 of them");
    }
    if !default && node.texts("Audience").any(str::is_empty) {
        found.refuse(node, "Audience", format!("the identity `{name}` has an empty audience"), "take it out");
    }
    let (mode, signal) = (node.text("ChangeMode"), node.text("ChangeSignal"));
    match mode {
        "" | "noop" | "restart" if !signal.is_empty() => {
            let message = format!("the identity `{name}` names a signal and doesn't send it");
            found.refuse(node, "ChangeSignal", message, "set change_mode = \"signal\", or take it out");
        }
        "" | "noop" | "restart" => {}
        "signal" if signal.is_empty() => {
            let message = format!("the identity `{name}` is to send a signal and names none");
            found.refuse(node, "ChangeMode", message, "add change_signal = \"SIGHUP\", for example");
        }
        "signal" => {}
        mode => {
            let message = format!("`{mode}` is no way to react to a change");
            found.refuse(node, "ChangeMode", message, "there are noop, restart and signal");
        }
    }
    let ttl = node.int("TTL").unwrap_or(0);
    if ttl > 0 && default {
        let message = "the identity without a name can't have a `ttl`";
        found.refuse(node, "TTL", message, "name the identity, or take `ttl` out");
    }
    if ttl < 0 {
        found.refuse(node, "TTL", "`ttl` is less than nothing", "use 0s or more");
    }
    if !node.text("Filepath").is_empty() && !node.flag("File") {
        let message = format!("the identity `{name}` has a file path and makes no file");
        found.refuse(node, "Filepath", message, "add file = true");
    }
}

/// A text with each reference replaced by letters that may stand in a name.
pub fn with_placeholders(text: &str) -> String {
    super::names::replaced(text, |_| Some("ENV-VAR"))
}
