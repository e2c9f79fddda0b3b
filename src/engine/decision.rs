//! The decision a person takes, as a canonical document and its digest.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The version of the document's form.
const VERSION: u32 = 1;

/// What an approval binds to.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub document: Value,
    pub digest: String,
}

impl Decision {
    /// `about`: project, environment, plan, file hashes, inputs, addresses. `steps`: each step's decision.
    pub fn new(about: Value, steps: Vec<(String, Value)>) -> Self {
        let steps: serde_json::Map<String, Value> = steps.into_iter().collect();
        let document = json!({ "version": VERSION, "about": about, "steps": steps });
        let digest = digest_of(&document);
        Self { document, digest }
    }
}

/// The first 24 hexadecimal digits (96 bits) of a document's SHA-256. Maps are sorted, so equal
/// documents have equal text.
pub fn digest_of(document: &Value) -> String {
    let hash = Sha256::digest(document.to_string());
    hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

/// Every place where two documents differ: the keys that lead to it, and what stands there in each.
pub(super) fn leaves<'d>(
    old: &'d Value,
    new: &'d Value,
) -> Vec<(Vec<String>, Option<&'d Value>, Option<&'d Value>)> {
    let (Value::Object(a), Value::Object(b)) = (old, new) else {
        return if old == new { Vec::new() } else { vec![(Vec::new(), Some(old), Some(new))] };
    };
    let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let mut found = Vec::new();
    for key in keys {
        let below = match (a.get(key), b.get(key)) {
            (Some(old), Some(new)) => leaves(old, new),
            (old, new) => vec![(Vec::new(), old, new)],
        };
        found.extend(below.into_iter().map(|(mut path, old, new)| {
            path.insert(0, key.clone());
            (path, old, new)
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_document_has_another_digest() {
        let a = json!({"steps": {"core": {"serial": 3, "gone": 1}}});
        let b = json!({"steps": {"core": {"serial": 4, "new": 1}}});
        assert_ne!(digest_of(&a), digest_of(&b));
        let places: Vec<String> = leaves(&a, &b).into_iter().map(|(path, ..)| path.join(".")).collect();
        assert_eq!(places, ["steps.core.gone", "steps.core.new", "steps.core.serial"]);
        assert!(leaves(&a, &a).is_empty());
    }
}
