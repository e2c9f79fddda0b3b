//! The checks of services.

use super::found::{Found, time};
use super::group::Group;
use super::node::Node;
use super::service::{Service, declared};

const SECOND: i64 = 1_000_000_000;

/// Its name, or the one that Nomad gives it.
pub fn name(service: &Service, check: &Node) -> String {
    match check.text("Name") {
        "" => format!("service: {:?} check", service.name),
        name => name.to_owned(),
    }
}

fn needs_port(check: &Node) -> bool {
    matches!(check.text("Type"), "grpc" | "http" | "tcp")
}

/// What only a check in a task is asked.
pub fn of_task(group: &Group, task: &Node, service: &Service, check: &Node, found: &mut Found) {
    let (name, mode) = (name(service, check), check.text("AddressMode"));
    if mode == "alloc" || mode == "alloc_ipv6" {
        let message = format!("the check `{name}` of a task can't have the address mode `{mode}`");
        found.refuse(check, "AddressMode", message, "move the service into the group");
    }
    if !needs_port(check) {
        return;
    }
    let own = check.text("PortLabel");
    let (port, at, field) =
        if own.is_empty() { (service.port, service.node, "PortLabel") } else { (own, check, "PortLabel") };
    if port.is_empty() {
        // Told by `check`.
        return;
    }
    match port.parse::<i64>() {
        Ok(number) if mode == "driver" => {
            if number <= 0 {
                let message = format!("the check `{name}` can't look at port {number}");
                found.refuse(at, field, message, "use a port's name, or a number from 1 on");
            }
        }
        Ok(number) => {
            let message = format!("the check `{name}` has the number {number} for a port");
            let help = "name the port in the group's network, or set address_mode = \"driver\"";
            found.refuse(at, field, message, help);
        }
        // That of the service was looked at already.
        Err(_) if own.is_empty() => {}
        Err(_) => declared(group, task, service, port, at, field, found),
    }
}

/// What every check is asked.
pub fn check(service: &Service, check: &Node, found: &mut Found) {
    let (name, kind) = (name(service, check), check.text("Type"));
    if service.port.is_empty() && check.text("PortLabel").is_empty() && needs_port(check) {
        let message = format!("neither the check `{name}` nor its service has a port");
        found.refuse(check, "", message, "add port = \"NAME\" to the service");
        return;
    }
    let consul = service.provider == "consul";
    if consul && kind == "tcp" && service.node.get("Connect").is_some_and(|c| c.has("SidecarService")) {
        let message = format!("the check `{name}` can't be of type tcp: its service is behind a sidecar");
        found.refuse(check, "Type", message, "use type = \"http\" with expose = true, or a script");
        return;
    }
    kinds(check, &name, kind, consul, found);
    times(check, &name, found);
    words(service, check, &name, found);
    if consul { of_consul(check, &name, kind, found) } else { of_nomad(check, &name, kind, found) }
}

fn kinds(check: &Node, name: &str, kind: &str, consul: bool, found: &mut Found) {
    match kind.to_lowercase().as_str() {
        "http" => {
            let path = check.text("Path");
            if path.is_empty() {
                let help = "add path = \"/health\", for example";
                found.refuse(check, "", format!("the check `{name}` has no path"), help);
            } else if has_scheme(path) {
                let message = format!("the path of the check `{name}` is a whole URL");
                found.refuse(check, "Path", message, "begin it with /: the address is that of the port");
            }
        }
        "tcp" => {}
        "grpc" if consul => {}
        "script" if consul => {
            if check.text("Command").is_empty() {
                let message = format!("the check `{name}` has no command");
                found.refuse(check, "", message, "add command = \"/path/of/it\"");
            }
        }
        _ => {
            let message =
                format!("{kind:?} is no type of check of {}", if consul { "Consul" } else { "Nomad" });
            let help = if consul {
                "there are http, tcp, grpc and script"
            } else {
                "there are http and tcp; provider = \"consul\" has grpc and script, too"
            };
            found.refuse(check, "Type", message, help);
        }
    }
}

/// `http://…`, as URLs begin.
fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

fn times(check: &Node, name: &str, found: &mut Found) {
    for (field, word) in [("Interval", "interval"), ("Timeout", "timeout")] {
        match check.int(field).unwrap_or(0) {
            0 => {
                let message = format!("the check `{name}` has no {word}");
                found.refuse(check, field, message, format!("add {word} = \"10s\", for example"));
            }
            length if length < SECOND => {
                let message = format!("the {word} of the check `{name}` is {}", time(length));
                found.refuse(check, field, message, "1s is the least");
            }
            _ => {}
        }
    }
}

fn words(service: &Service, check: &Node, name: &str, found: &mut Found) {
    let status = check.text("InitialStatus");
    if !matches!(status, "" | "passing" | "warning" | "critical") {
        let help = "there are passing, warning and critical";
        found.refuse(check, "InitialStatus", format!("`{status}` is no status of a check"), help);
    }
    match check.text("AddressMode") {
        "" | "host" | "driver" | "alloc" | "alloc_ipv6" => {}
        mode => {
            let help = "there are host, driver, alloc and alloc_ipv6";
            found.refuse(check, "AddressMode", format!("`{mode}` is no address mode of a check"), help);
        }
    }
    let own = check.text("OnUpdate");
    let update = if own.is_empty() { service.node.text("OnUpdate") } else { own };
    if !matches!(own, "" | "ignore" | "require_healthy" | "ignore_warnings") {
        let help = "there are require_healthy, ignore_warnings and ignore";
        found.refuse(check, "OnUpdate", format!("`{own}` says nothing about updates"), help);
    }
    let (outer, inner) = (service.node.get("CheckRestart"), check.get("CheckRestart"));
    let Some(at) = inner.or(outer) else { return };
    let layers = || [inner, outer].into_iter().flatten();
    let limit = layers().filter_map(|layer| layer.int("Limit")).find(|limit| *limit > 0);
    let limit = limit.or_else(|| outer.or(inner).and_then(|layer| layer.int("Limit"))).unwrap_or(0);
    let grace = layers().find_map(|layer| layer.int("Grace")).unwrap_or(SECOND);
    let lenient = layers().any(|layer| layer.flag("IgnoreWarnings"));
    if update == "ignore" {
        let message = format!("the check `{name}` can't restart what `on_update = \"ignore\"` calls healthy");
        found.refuse(&at, "", message, "take `check_restart` or `on_update` out");
    }
    if update == "ignore_warnings" && !lenient {
        let message = format!("the check `{name}` ignores warnings, its `check_restart` doesn't");
        found.refuse(&at, "", message, "add ignore_warnings = true to `check_restart`");
    }
    if limit < 0 {
        found.refuse(&at, "Limit", format!("a limit of {limit} is less than nothing"), "0 is the least");
    }
    if grace < 0 {
        found.refuse(&at, "Grace", "`grace` is less than nothing", "use 0s or more");
    }
    if service.provider == "nomad" && lenient {
        let message = format!("the check `{name}` of provider `nomad` knows no warnings to ignore");
        found.refuse(&at, "IgnoreWarnings", message, "take `ignore_warnings` out");
    }
}

fn of_nomad(check: &Node, name: &str, kind: &str, found: &mut Found) {
    let mut only = |there: bool, field: &str, word: &str| {
        if there {
            let message = format!("the check `{name}` has {word}, which only Consul's checks have");
            found.refuse(check, field, message, "take it out, or set provider = \"consul\"");
        }
    };
    only(check.flag("Expose"), "Expose", "`expose`");
    only(check.text("OnUpdate") == "ignore_warnings", "OnUpdate", "`on_update = \"ignore_warnings\"`");
    only(check.text("AddressMode") == "driver", "AddressMode", "`address_mode = \"driver\"`");
    // What is less than 0 becomes 0 before it is looked at.
    for (field, word) in [
        ("SuccessBeforePassing", "`success_before_passing`"),
        ("FailuresBeforeCritical", "`failures_before_critical`"),
        ("FailuresBeforeWarning", "`failures_before_warning`"),
    ] {
        only(check.int(field).is_some_and(|count| count > 0), field, word);
    }
    only(!check.text("TLSServerName").is_empty(), "TLSServerName", "`tls_server_name`");
    let method = check.text("Method");
    let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];
    if kind == "http" && !method.is_empty() && !known.contains(&method.to_uppercase().as_str()) {
        let message = format!("`{method}` is no method of HTTP");
        found.refuse(check, "Method", message, "GET is the usual one");
    }
}

fn of_consul(check: &Node, name: &str, kind: &str, found: &mut Found) {
    if check.flag("Expose") && !matches!(kind.to_lowercase().as_str(), "http" | "grpc") {
        let message = format!("the check `{name}` of type {kind:?} can't be exposed");
        found.refuse(check, "Expose", message, "http and grpc checks can");
    }
    for (field, word) in [
        ("SuccessBeforePassing", "success_before_passing"),
        ("FailuresBeforeCritical", "failures_before_critical"),
        ("FailuresBeforeWarning", "failures_before_warning"),
    ] {
        if check.int(field).is_some_and(|count| count > 0) && !matches!(kind, "tcp" | "http" | "grpc") {
            let message = format!("the check `{name}` of type {kind:?} can't have `{word}`");
            found.refuse(check, field, message, "tcp, http and grpc checks can");
        }
    }
    if check.text("Notes").len() > 255 {
        let message = format!("the notes of the check `{name}` are longer than 255 bytes");
        found.refuse(check, "Notes", message, "shorten them");
    }
}
