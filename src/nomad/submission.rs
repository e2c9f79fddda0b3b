//! The source that the server keeps beside a job, brought in line with an edit.
//!
//! A registration without a submission inherits that of the version it was read from: the server's
//! web page would show the old image, and registering from there would undo the edit.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Client;
use super::error::NomadError;
use super::image::ImageChange;
use super::types::nullable;
use super::write::Submission;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Kept {
    #[serde(deserialize_with = "nullable")]
    source: String,
    #[serde(deserialize_with = "nullable")]
    format: String,
    #[serde(deserialize_with = "nullable")]
    variable_flags: BTreeMap<String, String>,
    #[serde(deserialize_with = "nullable")]
    variables: String,
}

impl Client {
    /// The source that a version of a job was registered with, to register it with again; none where the
    /// server keeps none.
    pub async fn submission_of(&self, id: &str, version: u64) -> Result<Option<Submission>, NomadError> {
        let kept = self.submission(id, version).await?;
        let kept = kept.and_then(|kept| serde_json::from_value::<Kept>(kept).ok());
        Ok(kept.filter(|kept| !kept.source.is_empty()).map(|kept| Submission {
            source: kept.source,
            format: kept.format,
            variable_flags: kept.variable_flags,
            variables: kept.variables,
        }))
    }
}

impl Submission {
    /// The source to register an edited job with, of which this was the source before.
    ///
    /// Where images are all that changed and the source names each old one as it stands in the job, only
    /// that is replaced. Else the job itself becomes the source, as JSON: less readable, but true.
    #[must_use]
    pub fn after(&self, job: &Value, images: Option<&[ImageChange]>) -> Self {
        match images.and_then(|images| rewritten(&self.source, images)) {
            Some(source) => Self { source, ..self.clone() },
            None => {
                Self { source: json!({ "Job": job }).to_string(), format: "json".into(), ..Self::default() }
            }
        }
    }
}

/// The source with each image replaced. None unless that is sure to mean the same: every old image
/// stands in it, quoted, exactly as often as it was changed.
fn rewritten(source: &str, changes: &[ImageChange]) -> Option<String> {
    let mut wanted: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for change in changes {
        let entry = wanted.entry(&change.old).or_insert((&change.new, 0));
        if entry.0 != change.new {
            return None;
        }
        entry.1 += 1;
    }
    let mut text = source.to_owned();
    for (old, (new, times)) in wanted {
        let quoted = format!("\"{old}\"");
        if text.matches(&quoted).count() != times {
            return None;
        }
        text = text.replace(&quoted, &format!("\"{new}\""));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(old: &str, new: &str) -> ImageChange {
        ImageChange { group: "g".into(), task: "t".into(), old: old.into(), new: new.into() }
    }

    #[test]
    fn only_what_stands_there_is_replaced() {
        let source = "# was r/a:0\nimage = \"r/a:1\" # \"r/a:1x\"\n";
        let expected = "# was r/a:0\nimage = \"r/a:2\" # \"r/a:1x\"\n";
        assert_eq!(rewritten(source, &[change("r/a:1", "r/a:2")]).as_deref(), Some(expected));
        assert_eq!(rewritten("image = \"r/a:${var.tag}\"", &[change("r/a:1", "r/a:2")]), None);
        // One of two places was meant.
        let twice = "image = \"r/a:1\"\nimage = \"r/a:1\"";
        assert_eq!(rewritten(twice, &[change("r/a:1", "r/a:2")]), None);
        assert!(rewritten(twice, &[change("r/a:1", "r/a:2"), change("r/a:1", "r/a:2")]).is_some());
        assert_eq!(rewritten(source, &[change("r/a:1", "r/a:2"), change("r/a:1", "r/a:3")]), None);
    }
}
