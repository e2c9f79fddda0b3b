//! Image references: `[registry[:port]/]repository[:tag][@digest]`.
//!
//! Splitting loses nothing: the parts put together again are the text that was split.

use std::fmt;

/// An image reference in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// With registry and port, if any: `registry.example.com:5000/team/app`.
    pub repository: String,
    pub tag: Option<String>,
    /// With its algorithm: `sha256:…`.
    pub digest: Option<String>,
}

impl Reference {
    /// Splits a reference. A colon before the last slash belongs to a port.
    pub fn split(text: &str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.to_owned())),
            None => (text, None),
        };
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match rest[last..].find(':') {
            Some(colon) => (&rest[..last + colon], Some(rest[last + colon + 1..].to_owned())),
            None => (rest, None),
        };
        Self { repository: repository.to_owned(), tag, digest }
    }

    /// The last part of the repository: `app` of `registry:5000/team/app`.
    pub fn short_name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or(&self.repository)
    }

    /// The reference that `wanted` means for this image: what begins with `sha256:` is a digest and
    /// replaces tag and digest; what else holds `/`, `:` or `@` is a whole reference; the rest is a
    /// tag, which replaces tag and digest.
    #[must_use]
    pub fn changed_to(&self, wanted: &str) -> Self {
        let repository = self.repository.clone();
        if wanted.starts_with("sha256:") {
            return Self { repository, tag: None, digest: Some(wanted.to_owned()) };
        }
        if wanted.contains(['/', ':', '@']) {
            return Self::split(wanted);
        }
        Self { repository, tag: Some(wanted.to_owned()), digest: None }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// What is wrong with `wanted` as a tag, digest or reference; none where it may stand.
pub fn flaw(wanted: &str) -> Option<&'static str> {
    if wanted.is_empty() {
        return Some("is empty");
    }
    if !wanted.chars().all(|c| c.is_ascii_graphic()) {
        return Some("holds a space or a character that no image reference has");
    }
    if let Some(hex) = wanted.strip_prefix("sha256:") {
        let whole = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        return (!whole).then_some("is not a whole digest (sha256: and 64 hexadecimal digits)");
    }
    if wanted.contains(['/', ':', '@']) {
        let parts = Reference::split(wanted);
        if parts.repository.is_empty() || parts.repository.ends_with('/') {
            return Some("is not an image reference: it names no repository");
        }
        let tag_is_bad = parts.tag.as_deref().is_some_and(|tag| !is_tag(tag));
        let digest_is_bad =
            parts.digest.as_deref().is_some_and(|d| !d.contains(':') || d.contains(['/', '@']));
        return (tag_is_bad || digest_is_bad).then_some("is not an image reference");
    }
    (!is_tag(wanted)).then_some(
        "is not an image tag (letters, digits, '_', '.' and '-', at most 128, not beginning with '.' or '-')",
    )
}

fn is_tag(tag: &str) -> bool {
    !tag.is_empty()
        && tag.len() <= 128
        && !tag.starts_with(['.', '-'])
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_are_not_tags() {
        let r = Reference::split("registry.example.com:5000/team/app");
        assert_eq!(
            (r.repository.as_str(), r.tag, r.digest),
            ("registry.example.com:5000/team/app", None, None)
        );
        let r = Reference::split("localhost:5000/app:git-1@sha256:abc");
        assert_eq!(r.repository, "localhost:5000/app");
        assert_eq!(r.tag.as_deref(), Some("git-1"));
        assert_eq!(r.digest.as_deref(), Some("sha256:abc"));
        assert_eq!(Reference::split("redis:7").short_name(), "redis");
    }

    #[test]
    fn wanted_is_told_apart() {
        let r = Reference::split("registry:5000/a/b:old@sha256:0");
        assert_eq!(r.changed_to("new").to_string(), "registry:5000/a/b:new");
        assert_eq!(r.changed_to("sha256:ff").to_string(), "registry:5000/a/b@sha256:ff");
        assert_eq!(r.changed_to("other/c:1").to_string(), "other/c:1");
        assert_eq!(r.changed_to("redis:7").to_string(), "redis:7");
    }

    #[test]
    fn flaws_are_seen() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for good in
            ["git-1a2b", "v1.2_3", digest.as_str(), "r:5000/a/b", "r:5000/a/b:t", "redis:7", "a@sha256:00"]
        {
            assert_eq!(flaw(good), None, "{good}");
        }
        for bad in ["", "a b", "-x", ".x", "sha256:12", ":x", "@x", "a/:x", "a:", "a/b@x", "ä"] {
            assert!(flaw(bad).is_some(), "{bad}");
        }
    }

    fn repository() -> impl Strategy<Value = String> {
        ("([a-z0-9.-]{1,12}(:[0-9]{2,5})?/)?", "[a-z0-9]{1,8}(/[a-z0-9._-]{1,8}){0,3}")
            .prop_map(|(registry, path)| format!("{registry}{path}"))
    }

    proptest! {
        #[test]
        fn parts_come_back(
            repository in repository(),
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}"),
            digest in proptest::option::of("sha256:[0-9a-f]{64}"),
        ) {
            let whole = Reference { repository, tag, digest };
            prop_assert_eq!(Reference::split(&whole.to_string()), whole);
        }

        #[test]
        fn nothing_is_lost(text in "\\PC{0,60}") {
            prop_assert_eq!(Reference::split(&text).to_string(), text);
        }

        #[test]
        fn a_tag_keeps_the_repository(text in "[a-z0-9.:/@-]{0,40}", tag in "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}") {
            let old = Reference::split(&text);
            let new = old.changed_to(&tag);
            prop_assert_eq!(&new.repository, &old.repository);
            prop_assert_eq!((new.tag, new.digest), (Some(tag), None));
        }
    }
}
