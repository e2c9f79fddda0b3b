//! Files in canonical layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{Empty, JobOptions, STDIN, expand, source};
use crate::base::{Diagnostic, Diagnostics, Source, paths};
use crate::hcl;

/// What formatting did.
#[derive(Debug, Default)]
pub struct Formatted {
    /// The files that weren't in canonical layout.
    pub changed: Vec<String>,
    /// What standard input becomes, where that was named.
    pub text: Option<String>,
    /// What can't be formatted, and why; such a file stays as it is.
    pub problems: Diagnostics,
}

/// Formats HCL files in place, each in one piece: readers see the old text or the new. Of a folder it takes
/// what `nomad fmt` takes, files that end in `.hcl` or `.nomad`. With `check` nothing is written.
pub fn format_files(given: &[PathBuf], options: &JobOptions, recursive: bool, check: bool) -> Formatted {
    let mut formatted = Formatted::default();
    let wanted = |path: &Path| path.extension().is_some_and(|end| end == "hcl" || end == "nomad");
    let (files, problems) = expand(given, options, recursive, &wanted, Empty::Fine);
    formatted.problems.extend(problems);
    for (path, name) in files {
        let one = source(&path, &name).map_err(Diagnostics::from).and_then(|source| {
            let text = hcl::format(&source)?;
            Ok((source, text))
        });
        match one {
            Ok((source, text)) => keep(&path, &name, &source, text, check, &mut formatted),
            Err(found) => formatted.problems.extend(found),
        }
    }
    formatted
}

fn keep(path: &Path, name: &str, source: &Arc<Source>, text: String, check: bool, formatted: &mut Formatted) {
    let changed = text != source.text;
    if name == STDIN {
        formatted.text = Some(text);
    } else if changed
        && !check
        && let Err(error) = paths::replace(path, text.as_bytes())
    {
        let message = format!("{name} can't be written: {error}");
        formatted.problems.push(Diagnostic::error(message).help("it is as it was"));
        return;
    }
    if changed {
        formatted.changed.push(source.name.clone());
    }
}
