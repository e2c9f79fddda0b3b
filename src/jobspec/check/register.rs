//! From a job to diagnostics with places.

use super::found::{Finding, Found};
use super::node::Node;
use super::{job, warnings};
use crate::base::{Diagnostic, Diagnostics, Severity};
use crate::jobspec::job::{Inputs, Job};

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

fn placed(job: &Job, _inputs: &Inputs, findings: Vec<Finding>) -> Diagnostics {
    let body = crate::hcl::parse(&job.source).ok();
    let block = body.as_ref().and_then(|body| body.blocks("job").next());
    let place =
        block.map_or_else(|| crate::base::Span::new(&job.source, 0..0), |block| block.kind.span.clone());
    Diagnostics(
        findings
            .into_iter()
            .map(|finding| {
                let diagnostic = match finding.severity {
                    Severity::Error => Diagnostic::error(finding.message),
                    Severity::Warning => Diagnostic::warning(finding.message),
                };
                diagnostic.at(&place).help(finding.help)
            })
            .collect(),
    )
}
