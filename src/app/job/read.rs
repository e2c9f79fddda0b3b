//! Reading job files: one, or many at once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::files::{Empty, JobOptions, expand, is_job_file, source};
use super::graph::{Waiting, dependencies};
use crate::app::failure::Failure;
use crate::base::{Diagnostic, Diagnostics, threads};
use crate::jobspec::{self, Inputs, Job};

/// Reads one job file as the stock client does.
pub fn read_job(path: &Path, options: &JobOptions) -> Result<Job, Failure> {
    let inputs = options.inputs()?;
    let name = path.display().to_string();
    let at = options.at(path);
    if at.is_dir() {
        return Err(Failure::error(format!("{name} is a folder")).help("name one job file"));
    }
    let source = source(&at, &name)?;
    Ok(jobspec::parse(&source, &inputs)?)
}

/// A job as the stock client prints it.
pub fn job_text(job: &Job) -> String {
    jobspec::print(&job.json)
}

/// What was checked, and what is wrong with it, by file.
#[derive(Debug, Default)]
pub struct CheckedJobs {
    pub files: usize,
    pub problems: Diagnostics,
}

/// Reads every job file that the paths stand for, and looks at what Nomad would refuse at register and at what
/// the jobs wait for.
pub fn check_jobs(paths: &[PathBuf], options: &JobOptions) -> Result<CheckedJobs, Failure> {
    let made = each(paths, options, |job, inputs| (Waiting::of(&job), jobspec::check(&job, inputs)))?;
    let (read, files, mut problems) = made;
    let mut jobs = Vec::with_capacity(read.len());
    for (job, found) in read {
        problems.extend(found);
        if let Some((job, found)) = job {
            jobs.push(job);
            problems.extend(found);
        }
    }
    dependencies(&jobs, &mut problems);
    Ok(CheckedJobs { files, problems })
}

/// What was made of a file, and what is wrong with it.
pub(super) type Made<T> = (Option<T>, Diagnostics);

/// Reads the files that the paths stand for, several at a time, and makes of each job what is needed of it:
/// the jobs themselves would fill the memory. Gives what was made in the order of the files, how many
/// files there were, and what is wrong with none of them in particular.
pub(super) fn each<T: Send>(
    paths: &[PathBuf],
    options: &JobOptions,
    make: impl Fn(Job, &Inputs) -> T + Sync,
) -> Result<(Vec<Made<T>>, usize, Diagnostics), Failure> {
    let mut inputs = options.inputs()?;
    let (files, mut problems) = expand(paths, options, true, &is_job_file, Empty::Error);
    // What several files share, not each of them has to declare.
    let several = files.len() > 1;
    inputs.shared |= several;
    let unused = Mutex::new(inputs.variables.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>());
    let made = threads::each(threads::cores(), &files, |(path, name)| {
        let source = match source(path, name) {
            Ok(source) => source,
            Err(problem) => return (None, problem.into()),
        };
        let own;
        let mut inputs = &inputs;
        if several && !inputs.variables.is_empty() {
            own = with_declared(inputs, &jobspec::declared(&source), &unused);
            inputs = &own;
        }
        match jobspec::parse(&source, inputs) {
            Ok(mut job) => {
                let warnings = std::mem::take(&mut job.warnings);
                (Some(make(job, inputs)), warnings)
            }
            Err(found) => (None, found),
        }
    });
    for name in unused.into_inner().unwrap_or_default().iter().filter(|_| several) {
        let message = format!("no job file has a variable `{name}`, which -var sets");
        problems.push(Diagnostic::error(message).help("correct its name, or leave it out"));
    }
    Ok((made, files.len(), problems))
}

/// The inputs without the variables that a file doesn't declare.
fn with_declared(inputs: &Inputs, declared: &BTreeSet<String>, unused: &Mutex<BTreeSet<String>>) -> Inputs {
    let mut own = inputs.clone();
    own.variables.retain(|(name, _)| declared.contains(name));
    if let Ok(mut unused) = unused.lock() {
        unused.retain(|name| !declared.contains(name));
    }
    own
}
