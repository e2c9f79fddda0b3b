//! What steps of a plan name, for those who look at a plan without running it.

use std::sync::Arc;

use super::build::{Inputs, Known};
use crate::engine::{Facts, StepError};
use crate::environment::Environment;
use crate::jobspec::Job;
use crate::lasting::read_jobs;
use crate::plan::{StepKind, StepSpec};

/// What of Nomad a step names, with the values of now.
pub enum Named {
    /// Job files that it registers.
    Registers(Vec<Job>),
    /// Jobs that it stops.
    Stops(Vec<String>),
    /// What isn't known before the plan gets there.
    NotYet(String),
    /// It has nothing to do with jobs.
    Nothing,
}

/// What a step names.
pub fn named(spec: &StepSpec, environment: &Arc<Environment>) -> Result<Named, StepError> {
    let inputs = Inputs { environment: Arc::clone(environment), body: spec.body.clone() };
    let strings = |attribute: &str| {
        inputs.read_in(&environment.scope(), |reader, body| {
            // Where none are named, none are meant.
            Some(reader.strings(body, attribute).unwrap_or_default())
        })
    };
    Ok(match spec.kind {
        StepKind::NomadJob => match strings("files")? {
            Known::All(files) => Named::Registers(read_jobs(environment, &files)?),
            Known::Not(what) => Named::NotYet(what),
        },
        StepKind::NomadStop => match strings("jobs")? {
            Known::All(jobs) => Named::Stops(jobs),
            Known::Not(what) => Named::NotYet(what),
        },
        _ => Named::Nothing,
    })
}
