//! Names, paths and references that Nomad checks by their letters.

/// `${…}` of letters, digits, `_`, `-` and `.`: what Nomad takes for a reference in a text. Gives what
/// stands before the first, its name, and what comes after it.
pub fn reference(text: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let start = from + text.get(from..)?.find("${")?;
        let inner = &text[start + 2..];
        let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')));
        match end {
            Some(end) if end > 0 && inner[end..].starts_with('}') => {
                return Some((&text[..start], &inner[..end], &inner[end + 1..]));
            }
            _ => from = start + 2,
        }
    }
}

/// `text` with each reference replaced; what `with` doesn't know stays.
pub fn replaced<'a>(text: &str, with: impl Fn(&str) -> Option<&'a str>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, name, after)) = reference(rest) {
        out.push_str(before);
        match with(name) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[before.len()..rest.len() - after.len()]),
        }
        rest = after;
    }
    out + rest
}

/// A service's name: letters, digits and dashes, at most 63, no dash at either end.
pub fn is_service_name(name: &str) -> bool {
    let ends = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && ends(bytes.first().copied())
        && ends(bytes.last().copied())
        && bytes.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'-')
}

/// The name of an identity, with dashes, or of a secret, without.
pub fn is_word(name: &str, dashes: bool) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || (dashes && c == b'-'))
}

/// Whether a path leads out of the allocation's folder, from the folder `prefix` in it.
pub fn escapes(prefix: &str, path: &str) -> bool {
    let mut parts = vec!["alloc-dir", "alloc-id"];
    for part in prefix.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    match parts.strip_prefix(["alloc-dir", "alloc-id"].as_slice()) {
        None => true,
        // As Nomad, which looks at the letters only.
        Some(inner) => inner.first().is_some_and(|first| first.starts_with("..")),
    }
}

/// Whether a name can't be one of the DNS; told only where that is sure.
pub fn is_no_domain(name: &str) -> bool {
    if name.contains('\\') || name == "." {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() > 253 || name.split('.').any(|label| label.is_empty() || label.len() > 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let with = |name: &str| (name == "JOB").then_some("web");
        assert_eq!(replaced("${JOB}-${attr.x}-${ JOB}${JOB}", with), "web-${attr.x}-${ JOB}web");
        assert_eq!(replaced("a${", with), "a${");
        assert_eq!(replaced("${${JOB}", with), "${web");
    }

    #[test]
    fn paths_stay_in_the_allocation() {
        for inside in ["local/x", "../alloc/x", "/etc/x", "${NOMAD_SECRETS_DIR}/x", "..x", "a/../../b"] {
            assert!(!escapes("task", inside), "{inside}");
        }
        for outside in ["../../x", "../../../x", "a/../../../b", "../..x"] {
            assert!(escapes("task", outside), "{outside}");
        }
        assert!(!escapes("task/local", "../../x") && escapes("task/local", "../../../x"));
    }
}
