//! From a plan's steps to things that can be done.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::Command;
use super::nomad_job::NomadJobs;
use super::nomad_restart::NomadRestart;
use super::nomad_scale::NomadScale;
use super::nomad_start::NomadStart;
use super::nomad_stop::NomadStop;
use super::patch::Patch;
use super::person::Person;
use super::request::HttpRequest;
use super::statement::Statement;
use super::terraform::TerraformStep;
use crate::base::Diagnostics;
use crate::dialect::{Reader, Values};
use crate::engine::{Context, Step, StepError};
use crate::environment::Environment;
use crate::hcl::Body;
use crate::plan::{Plan, StepKind, StepSpec};
use crate::terraform::Operation;

/// Builds each step of a plan on an environment.
pub fn build(plan: &Plan, environment: &Arc<Environment>) -> BTreeMap<String, Arc<dyn Step>> {
    plan.steps().map(|(_, spec)| (spec.name.clone(), one(spec, environment))).collect()
}

fn one(spec: &StepSpec, environment: &Arc<Environment>) -> Arc<dyn Step> {
    let inputs = Inputs { environment: Arc::clone(environment), body: spec.body.clone() };
    match spec.kind {
        StepKind::TerraformApply => Arc::new(TerraformStep::new(inputs, Operation::Apply)),
        StepKind::TerraformDestroy => Arc::new(TerraformStep::new(inputs, Operation::Destroy)),
        StepKind::NomadJob => Arc::new(NomadJobs(inputs)),
        StepKind::NomadStop => Arc::new(NomadStop(inputs)),
        StepKind::NomadStart => Arc::new(NomadStart(inputs)),
        StepKind::NomadRestart => Arc::new(NomadRestart(inputs)),
        StepKind::NomadScale => Arc::new(NomadScale(inputs)),
        StepKind::NomadPatch => Arc::new(Patch::new(inputs)),
        StepKind::Sql => Arc::new(Statement(inputs)),
        StepKind::Http => Arc::new(HttpRequest(inputs)),
        StepKind::Exec => Arc::new(Command(inputs)),
        StepKind::Manual => Arc::new(Person { inputs, approves: false }),
        StepKind::Approve => Arc::new(Person { inputs, approves: true }),
    }
}

/// What every kind has: its environment and its attributes.
pub struct Inputs {
    pub environment: Arc<Environment>,
    pub body: Body,
}

/// Attributes, or that some aren't known yet.
pub(super) enum Known<T> {
    All(T),
    /// What isn't known.
    Not(String),
}

impl Inputs {
    /// Reads attributes with the values of now.
    pub(super) fn read<T>(
        &self,
        cx: &Context,
        get: impl FnOnce(&mut Reader<'_>, &Body) -> Option<T>,
    ) -> Result<Known<T>, Diagnostics> {
        self.read_in(&cx.facts.scope(), get)
    }

    pub(super) fn read_in<T>(
        &self,
        scope: &Values,
        get: impl FnOnce(&mut Reader<'_>, &Body) -> Option<T>,
    ) -> Result<Known<T>, Diagnostics> {
        let mut reader = Reader::new(scope);
        let got = get(&mut reader, &self.body);
        if reader.problems.has_errors() {
            return Err(reader.problems);
        }
        let unknown = reader.unknown.first().map(|span| span.text().to_owned());
        Ok(match (got, unknown) {
            (Some(value), None) => Known::All(value),
            (_, Some(text)) => Known::Not(text),
            (None, None) => Known::Not("a needed attribute".into()),
        })
    }

    /// Attributes that must be known by now.
    pub(super) fn now<T>(
        &self,
        cx: &Context,
        get: impl FnOnce(&mut Reader<'_>, &Body) -> Option<T>,
    ) -> Result<T, StepError> {
        match self.read(cx, get)? {
            Known::All(value) => Ok(value),
            Known::Not(what) => Err(StepError::untouched(format!("{what} has no value"))),
        }
    }
}
