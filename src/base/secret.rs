//! Secrets are collected before the first child starts and masked by value in everything that is
//! shown, stored or sent on.
//!
//! Guarantees: a collected value of six characters or more, each of its lines of that length, and
//! its JSON-escaped form do not pass [`Secrets::mask`]. Does not: recognise a value that was
//! re-encoded (base64, URL), or one under six characters; those are masked by the field that holds them.

use std::sync::{Arc, RwLock};

/// What stands in a secret's place.
pub const MASK: &str = "(secret)";

/// Values shorter than this would mask ordinary text.
pub const SHORTEST: usize = 6;

/// The secrets of this process. Cheap to clone; clones share what they know.
#[derive(Clone, Default)]
pub struct Secrets(Arc<RwLock<Vec<String>>>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

impl Secrets {
    /// Remembers a value, in the forms in which it may turn up.
    pub fn add(&self, value: &str) {
        let mut forms = vec![value.to_owned(), value.trim().to_owned(), json_escaped(value)];
        forms.push(value.escape_default().to_string());
        forms.push(go_escaped(value));
        for line in value.lines() {
            forms.push(line.trim().to_owned());
            forms.push(json_escaped(line.trim()));
            forms.push(go_escaped(line.trim()));
        }
        let mut known = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for form in forms {
            if form.chars().count() >= SHORTEST && !known.contains(&form) {
                known.push(form);
            }
        }
        // The longest first: a secret that contains another is masked whole.
        known.sort_by_key(|form| std::cmp::Reverse(form.len()));
    }

    /// `text` with every known secret replaced.
    pub fn mask(&self, text: &str) -> String {
        let known = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut masked = text.to_owned();
        for secret in known.iter() {
            if masked.contains(secret.as_str()) {
                masked = masked.replace(secret.as_str(), MASK);
            }
        }
        masked
    }

    /// Masks every string of a JSON value in place, keys included.
    pub fn mask_json(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) => *text = self.mask(text),
            serde_json::Value::Array(items) => items.iter_mut().for_each(|item| self.mask_json(item)),
            serde_json::Value::Object(map) => {
                let old = std::mem::take(map);
                for (key, mut item) in old {
                    self.mask_json(&mut item);
                    map.insert(self.mask(&key), item);
                }
            }
            _ => {}
        }
    }
}

fn json_escaped(value: &str) -> String {
    let quoted = serde_json::Value::String(value.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// As Go writes JSON: what HTML would trip over is escaped as well.
fn go_escaped(value: &str) -> String {
    json_escaped(value).replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_collected_passes(value in "\\PC{6,40}", before in "[a-z]{0,5}", after in "[a-z]{0,5}") {
            let secrets = Secrets::default();
            secrets.add(&value);
            let masked = secrets.mask(&format!("{before}{value}{after}"));
            prop_assert!(!masked.contains(&value) || MASK.contains(&value));
            let json = serde_json::json!({ "k": value }).to_string();
            let escaped = json_escaped(&value);
            let masked = secrets.mask(&json);
            prop_assert!(!masked.contains(&escaped) || MASK.contains(&escaped));
        }
    }

    #[test]
    fn lines_of_a_key_are_masked() {
        let secrets = Secrets::default();
        secrets.add("-----BEGIN KEY-----\nabcdefgh\"ij\n-----END KEY-----\n");
        assert_eq!(secrets.mask("x abcdefgh\"ij y"), "x (secret) y");
        assert_eq!(secrets.mask(r#"{"a":"abcdefgh\"ij"}"#), r#"{"a":"(secret)"}"#);
    }
}
