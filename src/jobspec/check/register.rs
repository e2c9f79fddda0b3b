//! From a job to diagnostics with places.

use super::found::{Finding, Found};
use super::node::Node;
use super::{job, warnings};
use crate::base::{Diagnostic, Diagnostics, Severity, Span};
use crate::jobspec::job::{Inputs, Job};
use crate::jobspec::places::places;

/// What Nomad would refuse at register (errors), and what is worth a warning. The places are looked up
/// only where there is something to say.
pub fn check(job: &Job, inputs: &Inputs) -> Diagnostics {
    let mut found = Found::default();
    let root = Node::root(&job.json);
    job::job(&root, &mut found);
    warnings::warnings(&root, &mut found);
    if found.0.is_empty() {
        return Diagnostics::default();
    }
    placed(job, inputs, found.0)
}

fn placed(job: &Job, inputs: &Inputs, findings: Vec<Finding>) -> Diagnostics {
    // A job that was read can be read again; where it wasn't read from its source, the file is the place.
    let places = places(&job.source, inputs).unwrap_or_default();
    let whole = Span::new(&job.source, 0..0);
    let diagnostics = findings.into_iter().map(|finding| {
        let diagnostic = match finding.severity {
            Severity::Error => Diagnostic::error(finding.message),
            Severity::Warning => Diagnostic::warning(finding.message),
        };
        diagnostic.at(places.of(&finding.pointer).unwrap_or(&whole)).help(finding.help)
    });
    Diagnostics(diagnostics.collect())
}
