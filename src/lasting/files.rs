//! The job files of an environment, and what they are read with.
//!
//! A file belongs to an environment if `nomad { files = … }` names it there; where that is not written,
//! if a `nomad_job` step of any plan does, as that step reads in this environment.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::base::{Diagnostic, Diagnostics, Source, threads};
use crate::environment::Environment;
use crate::jobspec::{self, Inputs, Job};

/// Texts in the place of what lies in the work tree, by name relative to the root; `None` for a file that
/// isn't there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay(pub BTreeMap<String, Option<String>>);

impl Overlay {
    /// The text of a file of the project.
    pub fn read(&self, root: &Path, name: &str) -> std::io::Result<String> {
        match self.0.get(name) {
            Some(Some(text)) => Ok(text.clone()),
            Some(None) => Err(std::io::ErrorKind::NotFound.into()),
            None => std::fs::read_to_string(root.join(name)),
        }
    }
}

/// A job file of an environment: its name relative to the root, and what it holds.
#[derive(Clone, Debug)]
pub struct JobFile {
    pub name: String,
    pub job: Result<Job, Diagnostics>,
}

/// The jobs of files and patterns, relative to the project's root, in the order of their names. Two files
/// with one job are an error.
pub fn read_jobs(environment: &Environment, patterns: &[String]) -> Result<Vec<Job>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut jobs: Vec<Job> = Vec::new();
    let overlay = Overlay::default();
    let inputs = inputs(environment, &overlay)?;
    for name in matching(environment.root(), patterns)? {
        match read_file(environment, &name, &inputs, &overlay)
            .and_then(|job| checked(environment, job, &inputs))
        {
            Ok(job) => match jobs.iter().find(|other| other.id() == job.id()) {
                Some(other) => problems.push(Diagnostic::error(format!(
                    "{} and {} both hold the job '{}'",
                    other.source.name,
                    job.source.name,
                    job.id()
                ))),
                None => jobs.push(job),
            },
            Err(found) => problems.extend(found),
        }
    }
    problems.into_result(jobs)
}

/// A job that Nomad would take, as far as that can be known without it; what is worth a warning is one of
/// the job's own.
fn checked(environment: &Environment, job: Job, inputs: &Inputs) -> Result<Job, Diagnostics> {
    let mut found = jobspec::check(&job, inputs);
    if environment.is_rehearsal() {
        found = found.apart_from_replaced(&job.source);
    }
    if found.has_errors() {
        return Err(found);
    }
    let mut warnings = job.warnings;
    warnings.extend(found);
    Ok(Job { warnings, ..job })
}

/// One job file, with the inputs that [`inputs`] gave.
pub fn read_file(
    environment: &Environment,
    name: &str,
    inputs: &Inputs,
    overlay: &Overlay,
) -> Result<Job, Diagnostics> {
    let text = overlay
        .read(environment.root(), name)
        .map_err(|error| Diagnostics::from(Diagnostic::error(format!("{name} can't be read: {error}"))))?;
    let job = jobspec::parse(&Source::new(name, text), inputs)?;
    let own = job.json["Namespace"].as_str().unwrap_or_default();
    let Some(there) = environment.nomad_namespace().filter(|there| !own.is_empty() && own != there) else {
        return Ok(job);
    };
    // Elsewhere it is another job, which none of our requests would find.
    let environment = environment.name();
    let message =
        format!("this job's namespace is '{own}', and the environment '{environment}' works in '{there}'");
    let help = format!("an environment for it says nomad {{ namespace = \"{own}\" }}");
    let found = Diagnostic::error(message).help(help);
    Err(jobspec::place_of_namespace(&job.source).map_or(found.clone(), |place| found.at(&place)).into())
}

/// What the job files of an environment are read with: its var files, and the `NOMAD_VAR_…` and
/// envsubst names of its variables. A rehearsal, which knows no variables, puts a stand-in in the places
/// of those that job files want.
pub fn inputs(environment: &Environment, overlay: &Overlay) -> Result<Inputs, Diagnostics> {
    let mut var_files = Vec::new();
    let settings = environment.settings().nomad.as_ref();
    for (path, span) in settings.map(|nomad| nomad.var_files.as_slice()).unwrap_or_default() {
        let name = path.display().to_string();
        let text = overlay.read(environment.root(), &name).map_err(|error| {
            Diagnostics::from(
                Diagnostic::error(format!("the var file {name} can't be read: {error}")).at(span),
            )
        })?;
        var_files.push(Source::new(name, text));
    }
    let envsubst = settings.map(|nomad| nomad.envsubst.clone()).unwrap_or_default();
    let mut given = environment.child_variables();
    given.retain(|name, _| name.starts_with("NOMAD_VAR_") || envsubst.contains(name));
    if environment.is_rehearsal() {
        for name in &envsubst {
            given.entry(name.clone()).or_insert_with(|| jobspec::UNKNOWN.to_owned());
        }
    }
    Ok(Inputs {
        var_files,
        shared: true,
        environment: given,
        envsubst,
        root: environment.root().clone(),
        ..Inputs::default()
    })
}

/// The var files of an environment, as its settings name them.
pub(super) fn var_files(environment: &Environment) -> impl Iterator<Item = String> {
    let nomad = environment.settings().nomad.iter();
    nomad.flat_map(|nomad| &nomad.var_files).map(|(path, _)| path.display().to_string())
}

/// Every job file of an environment, each evaluated by itself; in the order of their names. Patterns that
/// match nothing count only where the settings name them.
pub fn job_files(environment: &Environment, overlay: &Overlay) -> Result<Vec<JobFile>, Diagnostics> {
    let names = job_file_names(environment)?;
    let inputs = inputs(environment, overlay)?;
    let read = |name: &String| {
        let job = read_file(environment, name, &inputs, overlay);
        JobFile { name: name.clone(), job }
    };
    Ok(threads::each(threads::cores(), &names, read))
}

/// The names of [`job_files`], without a look at what they hold.
pub(super) fn job_file_names(environment: &Environment) -> Result<Vec<String>, Diagnostics> {
    let named = environment.settings().nomad.as_ref().and_then(|nomad| nomad.files.as_ref());
    Ok(match named {
        Some(patterns) => matching(environment.root(), patterns)?,
        None => {
            let planned = environment.planned_job_files().into_iter().filter_map(|(_, patterns)| patterns);
            let patterns: Vec<String> = planned.flatten().collect();
            let found = patterns
                .iter()
                .filter_map(|one| matching(environment.root(), std::slice::from_ref(one)).ok());
            let mut names: Vec<String> = found.flatten().collect();
            names.sort();
            names.dedup();
            names
        }
    })
}

/// The files that patterns match, by their names relative to the root, each once.
fn matching(root: &Path, patterns: &[String]) -> Result<Vec<String>, Diagnostic> {
    let mut files: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        let below = Path::new(pattern);
        if below.is_absolute() || below.components().any(|part| part == Component::ParentDir) {
            return Err(Diagnostic::error(format!("'{pattern}' leads out of the project"))
                .help("job files lie below the project's root"));
        }
        let whole = format!("{}/{pattern}", glob::Pattern::escape(&root.display().to_string()));
        let found = glob::glob(&whole)
            .map_err(|error| Diagnostic::error(format!("'{pattern}' is not a pattern: {error}")))?;
        let before = files.len();
        files.extend(found.filter_map(Result::ok).filter(|path| path.is_file()));
        if files.len() == before {
            return Err(Diagnostic::error(format!("no file matches '{pattern}'"))
                .help(format!("it is looked for in {}", root.display())));
        }
    }
    let mut names: Vec<String> =
        files.iter().map(|path| path.strip_prefix(root).unwrap_or(path).display().to_string()).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
