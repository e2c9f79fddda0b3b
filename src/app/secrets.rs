//! Collects secrets before the first child starts: from var files, by what the Terraform variables say of
//! themselves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::{Diagnostic, Diagnostics, Secrets, Source, Span};
use crate::hcl::{self, Value};
use crate::settings::{Environment, NomadSettings, TerraformSettings, TokenSource};

/// Reads each var file, those that Terraform finds by their names too, and keeps every value of a sensitive variable, and every value of a file that is
/// called secret. A file that is missing or can't be read is an error at the place that names it.
pub fn collect(root: &Path, settings: &TerraformSettings, secrets: &Secrets) -> Result<(), Diagnostics> {
    let dir = root.join(&settings.dir);
    let sensitive = sensitive_variables(&dir);
    let mut problems = Diagnostics::default();
    let automatic = automatic(&dir).into_iter().map(|file| (settings.dir.join(file), settings.span.clone()));
    for (file, span) in automatic.chain(settings.var_files.iter().cloned()) {
        match read(root, &file, &span) {
            Ok(source) => match hcl::var_file(&source) {
                Ok(values) => {
                    let all = file.to_string_lossy().contains("secret");
                    for (name, (value, _)) in &values {
                        if all || sensitive.contains(name) {
                            keep(value, secrets);
                        }
                    }
                }
                Err(found) => problems.extend(found),
            },
            Err(problem) => problems.push(problem),
        }
    }
    problems.into_result(())
}

/// The var files that Terraform reads of itself, in its order: each counts over those before it, and all
/// of them over `TF_VAR_…` and below `-var-file`.
fn automatic(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let mut found: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".auto.tfvars") || name.ends_with(".auto.tfvars.json"))
        .collect();
    found.sort();
    let fixed = ["terraform.tfvars", "terraform.tfvars.json"];
    let fixed = fixed.into_iter().filter(|name| dir.join(name).is_file()).map(str::to_owned);
    fixed.chain(found).map(PathBuf::from).collect()
}

/// Everything secret that an environment's own files hold.
pub fn collect_all(root: &Path, environment: &Environment, secrets: &Secrets) -> Result<(), Diagnostics> {
    if let Some(nomad) = &environment.nomad {
        collect_nomad(root, nomad, secrets)?;
    }
    environment.terraform.as_ref().map_or(Ok(()), |terraform| collect(root, terraform, secrets))
}

/// The token of a file, and the values of var files that are called secret: children may print them long
/// before Nomad is spoken to. A file that can't be read is told of by whoever needs it.
fn collect_nomad(root: &Path, nomad: &NomadSettings, secrets: &Secrets) -> Result<(), Diagnostics> {
    if let Some(TokenSource::File(path, _)) = &nomad.token
        && let Ok(token) = std::fs::read_to_string(root.join(path))
    {
        secrets.add(token.trim());
    }
    for (file, span) in &nomad.var_files {
        let Ok(source) = read(root, file, span) else { continue };
        let values = hcl::var_file(&source)?;
        if file.to_string_lossy().contains("secret") {
            for (value, _) in values.values() {
                keep(value, secrets);
            }
        }
    }
    Ok(())
}

pub(super) fn read(root: &Path, file: &Path, span: &Span) -> Result<std::sync::Arc<Source>, Diagnostic> {
    let text = std::fs::read_to_string(root.join(file)).map_err(|error| {
        let what =
            if error.kind() == std::io::ErrorKind::NotFound { "is not there" } else { "can't be read" };
        Diagnostic::error(format!("the var file {} {what}", file.display()))
            .at(span)
            .help(format!("it is looked for in {}; copy the example, or correct the path", root.display()))
    })?;
    Ok(Source::new(file.display().to_string(), text))
}

fn keep(value: &Value, secrets: &Secrets) {
    match value.to_json() {
        serde_json::Value::String(text) => secrets.add(&text),
        other => keep_all(&other, secrets),
    }
}

fn keep_all(value: &serde_json::Value, secrets: &Secrets) {
    match value {
        serde_json::Value::String(text) => secrets.add(text),
        serde_json::Value::Number(number) => secrets.add(&number.to_string()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| keep_all(item, secrets)),
        serde_json::Value::Object(map) => map.values().for_each(|item| keep_all(item, secrets)),
        _ => {}
    }
}

/// The variables that the root module marks as sensitive. A file that doesn't parse is Terraform's to
/// complain about; its variables are then all taken for sensitive by the caller's other means.
fn sensitive_variables(dir: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let Ok(entries) = std::fs::read_dir(dir) else { return names };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "tf") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(body) = hcl::parse(&Source::new(path.display().to_string(), text)) else { continue };
        for block in body.blocks("variable") {
            let sensitive =
                block.body.attribute("sensitive").is_some_and(|a| a.expr.span.text().trim() == "true");
            if let (true, Some(label)) = (sensitive, block.labels.first()) {
                names.insert(label.text.clone());
            }
        }
    }
    names
}
