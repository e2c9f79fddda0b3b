//! Checks everything that a person wrote, every error in one go.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::job::{Waiting, dependencies};
use super::plans;
use super::secrets;
use crate::base::{Diagnostic, Diagnostics, Secrets, Source};
use crate::dialect::{Reader, Values, functions};
use crate::hcl::{self, Value};
use crate::jobspec;
use crate::plan;
use crate::settings;

/// What was looked at, and what is wrong with it.
#[derive(Default)]
pub struct Checked {
    pub files: Vec<String>,
    pub problems: Diagnostics,
}

/// What kind of file a path is taken for.
enum Kind {
    Settings,
    Plan,
    Job,
    VarFile,
}

fn kind_of(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    if name == settings::FILE_NAME {
        return Some(Kind::Settings);
    }
    if name.ends_with(".tfvars") || name.ends_with(".tfvars.json") || name.ends_with(".nomadvars.hcl") {
        return Some(Kind::VarFile);
    }
    if name.ends_with(".nomad.hcl") || name.ends_with(".nomad") {
        return Some(Kind::Job);
    }
    if name.ends_with(".hcl") {
        let text = std::fs::read_to_string(path).ok()?;
        let body = hcl::parse(&Source::new("", text));
        return match body {
            Ok(body) if body.blocks("job").next().is_some() => Some(Kind::Job),
            _ => Some(Kind::Plan),
        };
    }
    None
}

/// Checks the given files and folders, or the project at `root`.
pub fn validate(root: Option<&Path>, paths: &[PathBuf]) -> Checked {
    let mut checked = Checked::default();
    let base = root.map_or_else(|| PathBuf::from("."), Path::to_owned);
    if paths.is_empty() {
        whole(&base, &mut checked);
    }
    let mut jobs = Vec::new();
    for path in paths {
        let path = base_or_given(&base, path);
        if path.is_dir() {
            for file in folder(&path) {
                one(&base, &file, &mut checked, &mut jobs, false);
            }
        } else {
            one(&base, &path, &mut checked, &mut jobs, true);
        }
    }
    dependencies(&jobs, &mut checked.problems);
    checked.problems.0.sort_by_key(place);
    checked
}

/// Paths are relative to where the command was started, else to the project.
fn base_or_given(base: &Path, path: &Path) -> PathBuf {
    if path.exists() { path.to_owned() } else { base.join(path) }
}

fn place(diagnostic: &Diagnostic) -> (String, usize) {
    diagnostic.span.as_ref().map(|span| (span.source.name.clone(), span.range.start)).unwrap_or_default()
}

fn folder(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            files.extend(folder(&path));
        } else if kind_of(&path).is_some() {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Settings, every plan, every job file a plan or folder names, every var file.
fn whole(root: &Path, checked: &mut Checked) {
    let mut jobs = Vec::new();
    one(root, &root.join(settings::FILE_NAME), checked, &mut jobs, true);
    if !checked.problems.0.is_empty() {
        // Which var files are meant can't be told from settings that are wrong: whatever lies there is read.
        for path in folder(root).into_iter().filter(|path| matches!(kind_of(path), Some(Kind::VarFile))) {
            one(root, &path, checked, &mut jobs, false);
        }
        let mut once = Diagnostics::default();
        for problem in std::mem::take(&mut checked.problems).0 {
            if !once.0.contains(&problem) {
                once.push(problem);
            }
        }
        checked.problems = once;
    }
    for path in plans::files(root) {
        one(root, &path, checked, &mut jobs, true);
    }
    for path in folder(&root.join("nomad-jobs")) {
        one(root, &path, checked, &mut jobs, true);
    }
    for path in named_job_files(root) {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if !checked.files.contains(&name) {
            one(root, &path, checked, &mut jobs, true);
        }
    }
    dependencies(&jobs, &mut checked.problems);
}

/// The job files that settings and plans name, as far as they say it without values that come later.
fn named_job_files(root: &Path) -> Vec<PathBuf> {
    let mut patterns: Vec<String> = Vec::new();
    if let Ok(project) = settings::read(root, &settings::unknown_roots(scope())) {
        let nomad = project.environments.iter().filter_map(|environment| environment.nomad.as_ref());
        patterns.extend(nomad.filter_map(|nomad| nomad.files.clone()).flatten());
    }
    let values = plan_values();
    for path in plans::files(root) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(found) = plan::load(&Source::new(path.display().to_string(), text), &values) else { continue };
        for (_, step) in found.iter().flat_map(plan::Plan::steps) {
            if step.kind == plan::StepKind::NomadJob {
                patterns.extend(Reader::new(&values).strings(&step.body, "files").unwrap_or_default());
            }
        }
    }
    let mut files: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let whole = format!("{}/{pattern}", glob::Pattern::escape(&root.display().to_string()));
        let found = glob::glob(&whole).into_iter().flatten().filter_map(Result::ok);
        files.extend(found.filter(|path| path.is_file()));
    }
    files.sort();
    files.dedup();
    files
}

fn one(root: &Path, path: &Path, checked: &mut Checked, jobs: &mut Vec<Waiting>, named: bool) {
    let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
    let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let help = "name a file or folder that is there".to_owned();
            checked.problems.push(Diagnostic::error(format!("{name} can't be read: {error}")).help(help));
            return;
        }
    };
    checked.files.push(name.clone());
    let source = Source::new(name.clone(), text);
    let found = match kind_of(path) {
        Some(Kind::Settings) => settings_file(root, &source),
        Some(Kind::Plan) => plan_file(&source),
        Some(Kind::Job) => job_file(root, &source, jobs),
        Some(Kind::VarFile) => hcl::var_file(&source).map(drop),
        None if named => Err(Diagnostic::error(format!("{name} is no file that blackstart knows"))
            .help(
                "it checks blackstart.hcl, plans, job files (*.nomad.hcl, *.nomad) and var files (*.tfvars)",
            )
            .into()),
        None => Ok(()),
    };
    if let Err(problems) = found {
        checked.problems.extend(problems);
    }
}

fn scope() -> Values {
    Values::new(functions(&Secrets::default()))
}

fn settings_file(root: &Path, source: &Arc<Source>) -> Result<(), Diagnostics> {
    let project = settings::load(source, root, &settings::unknown_roots(scope()))?;
    let mut problems = Diagnostics::default();
    for environment in &project.environments {
        if let Some(terraform) = &environment.terraform {
            // Collects into nowhere: reading is the check.
            if let Err(found) = secrets::collect(root, terraform, &Secrets::default()) {
                problems.extend(found);
            }
        }
        for (path, span) in environment.nomad.iter().flat_map(|nomad| &nomad.var_files) {
            match secrets::read(root, path, span)
                .map_err(Diagnostics::from)
                .and_then(|source| hcl::var_file(&source))
            {
                Ok(_) => {}
                Err(found) => problems.extend(found),
            }
        }
    }
    // Two environments may name one file: its errors are told once.
    let mut once = Diagnostics::default();
    for problem in problems.0 {
        if !once.0.contains(&problem) {
            once.push(problem);
        }
    }
    once.into_result(())
}

fn plan_file(source: &Arc<Source>) -> Result<(), Diagnostics> {
    plan::load(source, &plan_values()).map(drop)
}

fn plan_values() -> Values {
    let mut values = scope();
    let roots = [
        "var",
        "downtime",
        "outage",
        "env",
        "environment",
        "now",
        "terraform",
        "step",
        "wave",
        "probe",
        "recorded",
    ];
    for root in roots {
        values.set(root, Value::Unknown);
    }
    values
}

fn job_file(root: &Path, source: &Arc<Source>, jobs: &mut Vec<Waiting>) -> Result<(), Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut read = None;
    for NomadInputs { var_files, envsubst } in inputs(root) {
        let unknown = envsubst.iter().map(|name| (name.clone(), jobspec::UNKNOWN.to_owned()));
        let inputs = jobspec::Inputs {
            var_files,
            shared: true,
            environment: unknown.collect(),
            envsubst,
            root: root.to_owned(),
            ..jobspec::Inputs::default()
        };
        let found = jobspec::substituted(source, &inputs).map_or_else(
            |found| found,
            |text| {
                let told = match jobspec::parse(&text, &inputs) {
                    Ok(job) => {
                        let mut told = jobspec::check(&job, &inputs);
                        told.0.splice(0..0, read.insert(job).warnings.0.clone());
                        told
                    }
                    Err(found) => found,
                };
                // Only an opened environment has the variables' values.
                told.apart_from_replaced(&text)
            },
        );
        // What is wrong with every environment's values is told once.
        problems.extend(Diagnostics(found.0.into_iter().filter(|one| !problems.0.contains(one)).collect()));
    }
    jobs.extend(read.as_ref().map(Waiting::of));
    if problems.0.is_empty() { Ok(()) } else { Err(problems) }
}

/// What an environment's settings say that its job files are read with.
#[derive(Default)]
struct NomadInputs {
    var_files: Vec<Arc<Source>>,
    envsubst: Vec<String>,
}

/// Each environment's inputs, or none.
fn inputs(root: &Path) -> Vec<NomadInputs> {
    let project = settings::read(root, &settings::unknown_roots(scope()));
    let environments = project.map(|project| project.environments).unwrap_or_default();
    let mut all: Vec<NomadInputs> = Vec::new();
    for nomad in environments.iter().filter_map(|environment| environment.nomad.as_ref()) {
        let read = nomad.var_files.iter().filter_map(|(path, span)| secrets::read(root, path, span).ok());
        let new = NomadInputs { var_files: read.collect(), envsubst: nomad.envsubst.clone() };
        let same = |other: &NomadInputs| {
            let names = |inputs: &NomadInputs| -> Vec<String> {
                inputs.var_files.iter().map(|file| file.name.clone()).collect()
            };
            names(other) == names(&new) && other.envsubst == new.envsubst
        };
        if !all.iter().any(same) {
            all.push(new);
        }
    }
    if all.is_empty() { vec![NomadInputs::default()] } else { all }
}
