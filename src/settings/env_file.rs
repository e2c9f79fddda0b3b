//! Files of environment variables: dotenv, or a shell script (an OpenStack RC file asks for its
//! password). Read only once an environment is chosen and about to be used.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::base::{Diagnostic, Secrets, Source, Span};

/// Ends of names whose values are no secret, for files whose every other value is taken for one.
const PUBLIC: [&str; 17] = [
    "_URL",
    "_NAME",
    "_ID",
    "_REGION",
    "_DOMAIN",
    "_VERSION",
    "_HOST",
    "_PORT",
    "_ADDR",
    "_USERNAME",
    "_USER",
    "_INTERFACE",
    "_TYPE",
    "_PROFILE",
    "_TAG",
    "_IMAGE",
    "_COMMIT",
];

/// The variables that a file sets. Their values are secrets from then on, but for plainly public ones.
/// `base` is what a script sees of the shell.
pub fn read(
    path: &Path,
    named_at: &Span,
    base: &BTreeMap<String, String>,
    secrets: &Secrets,
) -> Result<BTreeMap<String, String>, Diagnostic> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Diagnostic::error(format!("the env file {} can't be read: {error}", path.display()))
            .at(named_at)
            .help("name a file that is there, or take env_file out")
    })?;
    let source = Source::new(path.display().to_string(), text);
    let variables = match dotenv(&source.text) {
        Some(variables) => variables,
        None => run_script(path, named_at, base)?,
    };
    collect(&variables, secrets);
    Ok(variables)
}

/// Takes values for secrets, but for plainly public ones; passwords in URLs always.
pub fn collect(variables: &BTreeMap<String, String>, secrets: &Secrets) {
    for (name, value) in variables {
        let public =
            PUBLIC.iter().any(|end| name.to_ascii_uppercase().ends_with(end)) && !value.contains('@');
        if !public {
            secrets.add(value);
        }
        if let Some(password) = password_of(value) {
            secrets.add(password);
        }
    }
}

/// The password in a URL.
fn password_of(value: &str) -> Option<&str> {
    let authority = value.split_once("://")?.1.split('/').next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// `NAME=value` lines, with comments, `export` and quotes; nothing where any line is more than that.
fn dotenv(text: &str) -> Option<BTreeMap<String, String>> {
    let mut variables = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return None;
        }
        let mut value = value.trim().to_owned();
        if let Some(quote) = value.chars().next().filter(|c| *c == '"' || *c == '\'') {
            while !closed(&value, quote) {
                value.push('\n');
                value.push_str(lines.next()?);
            }
            value = unquote(&value, quote)?;
        } else {
            if value.contains(['$', '`', ';', '(']) {
                return None;
            }
            if let Some(comment) = value.find(" #") {
                value.truncate(comment);
            }
        }
        variables.insert(name.to_owned(), value.trim_end().to_owned());
    }
    Some(variables)
}

fn closed(value: &str, quote: char) -> bool {
    let mut escaped = false;
    value.chars().skip(1).any(|c| {
        let ends = c == quote && !escaped;
        escaped = quote == '"' && c == '\\' && !escaped;
        ends
    })
}

fn unquote(value: &str, quote: char) -> Option<String> {
    let mut out = String::new();
    let mut chars = value.chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Some(out),
            // An expansion needs a shell.
            '$' | '`' if quote == '"' => return None,
            '\\' if quote == '"' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}

/// Sources the script in a shell with our terminal, so that it may ask, and takes what it exports.
fn run_script(
    path: &Path,
    named_at: &Span,
    base: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Diagnostic> {
    let failed = |reason: String| {
        Diagnostic::error(format!("the env file {} failed: {reason}", path.display())).at(named_at)
    };
    let output = Command::new("bash")
        .args(["-c", ". \"$1\" >&2 && env -0", "blackstart"])
        .arg(path)
        .env_clear()
        .envs(base)
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("it ended with {}", output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, value)| base.get(*name).map(String::as_str) != Some(*value))
        .filter(|(name, _)| !matches!(*name, "_" | "SHLVL" | "PWD" | "OLDPWD"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_is_read_without_a_shell() {
        let text = "# c\nexport A=1\nB=\"two words\" \nC='it\"s $5'\nD=x # note\nE=\"a\nb\"\n";
        let read = dotenv(text).unwrap();
        assert_eq!(read["A"], "1");
        assert_eq!(read["B"], "two words");
        assert_eq!(read["C"], "it\"s $5");
        assert_eq!(read["D"], "x");
        assert_eq!(read["E"], "a\nb");
    }

    #[test]
    fn a_script_is_told_apart() {
        for script in ["read -s X\nexport X\n", "A=$(date)\n", "if true; then A=1; fi\n", "A=\"$HOME\"\n"] {
            assert_eq!(dotenv(script), None, "{script}");
        }
    }

    #[test]
    fn credentials_are_secrets() {
        let pairs = [("AWS_PROFILE", "my-profile"), ("AWS_SECRET_ACCESS_KEY", "hunter2-hunter2")];
        let secrets = Secrets::default();
        collect(&BTreeMap::from(pairs.map(|(k, v)| (k.to_owned(), v.to_owned()))), &secrets);
        assert_eq!(secrets.mask("my-profile hunter2-hunter2"), "my-profile (secret)");
    }
}
