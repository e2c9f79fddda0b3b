//! What a child sees of the shell's environment.
//!
//! Guarantees: a variable crosses only if it is one of those that every program needs, or if its name
//! was given. Credentials (`AWS_*`, `OS_*`, `PG*`, `TF_VAR_*`, `NOMAD_*`, …) are not among the former,
//! so that a child works with what its environment's settings say and not with what a shell happens
//! to hold.

use std::collections::BTreeMap;

/// What every program may see: where things are, how to talk to the person, how to reach the network.
const ALWAYS: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "LANG",
    "LANGUAGE",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TZ",
    "SSH_AUTH_SOCK",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "TF_CLI_CONFIG_FILE",
    "TF_PLUGIN_CACHE_DIR",
    "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE",
];

/// The environment of this process; variables that aren't UTF-8 are left out.
pub fn shell() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// Whether `inherit` names a variable: itself, or its family.
pub fn is_named(inherit: &[String], name: &str) -> bool {
    inherit.iter().any(|wanted| match wanted.strip_suffix('*') {
        Some(family) => name.starts_with(family),
        None => name == wanted,
    })
}

/// A child's environment: what every program may see of `shell`, what `inherit` names of it
/// (`AWS_PROFILE`, or `AWS_*` for a family), and over those `given`.
pub fn environment(
    shell: &BTreeMap<String, String>,
    inherit: &[String],
    given: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let crosses = |name: &str| ALWAYS.contains(&name) || name.starts_with("LC_") || is_named(inherit, name);
    let mut child: BTreeMap<String, String> =
        shell.iter().filter(|(name, _)| crosses(name)).map(|(k, v)| (k.clone(), v.clone())).collect();
    child.extend(given.iter().map(|(k, v)| (k.clone(), v.clone())));
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn credentials_cross_only_when_named() {
        let shell = map(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("AWS_PROFILE", "p"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("OS_PASSWORD", "o"),
            ("OS_USERNAME", "u"),
            ("TF_VAR_x", "1"),
            ("NOMAD_ADDR", "n"),
            ("PGPASSWORD", "g"),
        ]);
        let child = environment(
            &shell,
            &["AWS_PROFILE".into(), "OS_*".into()],
            &map(&[("LC_ALL", "de"), ("X", "1")]),
        );
        let expected = map(&[
            ("PATH", "/bin"),
            ("LC_ALL", "de"),
            ("AWS_PROFILE", "p"),
            ("OS_PASSWORD", "o"),
            ("OS_USERNAME", "u"),
            ("X", "1"),
        ]);
        assert_eq!(child, expected);
    }
}
