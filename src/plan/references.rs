//! Which names an expression may use, and which it does.

use std::collections::BTreeSet;

use crate::base::{Diagnostic, Diagnostics, text};
use crate::hcl::{Body, Expr, Reference};

/// Everything that can be named in a plan.
pub struct Names {
    pub variables: BTreeSet<String>,
    pub steps: BTreeSet<String>,
    pub waves: BTreeSet<String>,
    pub probes: BTreeSet<String>,
}

/// The roots of the plan language.
const ROOTS: [&str; 12] = [
    "var",
    "env",
    "environment",
    "downtime",
    "outage",
    "now",
    "terraform",
    "step",
    "wave",
    "probe",
    "recorded",
    "result",
];

impl Names {
    /// Checks each name an expression uses; `result` only where there is a sample.
    pub fn check(&self, expr: &Expr, with_result: bool, problems: &mut Diagnostics) {
        for reference in expr.references() {
            if let Some(problem) = self.problem(&reference, with_result) {
                problems.push(problem);
            }
        }
    }

    fn problem(&self, reference: &Reference, with_result: bool) -> Option<Diagnostic> {
        let root = reference.root.text.as_str();
        let known = match root {
            "var" => &self.variables,
            "step" => &self.steps,
            "wave" => &self.waves,
            "probe" => &self.probes,
            "result" if !with_result => {
                let message = "there is no `result` here: it is the sample of a gate or check";
                return Some(Diagnostic::error(message).at(&reference.span));
            }
            known if ROOTS.contains(&known) => return None,
            unknown => {
                let help = match text::nearest(unknown, ROOTS) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("expressions in a plan can use {}", text::list(&ROOTS)),
                };
                let message = format!("nothing is called '{unknown}' here");
                return Some(Diagnostic::error(message).at(&reference.root.span).help(help));
            }
        };
        let name = reference.path.first()?;
        if known.contains(&name.text) {
            return None;
        }
        let what = if root == "var" { "variable" } else { root };
        let help = match text::nearest(&name.text, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean '{root}.{near}'?"),
            None if root == "var" => format!("declare it with `variable \"{}\" {{}}` in the plan", name.text),
            None => format!("the plan has no {what} of that name"),
        };
        Some(Diagnostic::error(format!("there is no {what} '{}'", name.text)).at(&reference.span).help(help))
    }
}

/// Every expression in a body, blocks within included.
pub fn expressions(body: &Body) -> Vec<&Expr> {
    let mut found: Vec<&Expr> = body.attributes().map(|attribute| &attribute.expr).collect();
    for block in body.all_blocks() {
        found.extend(expressions(&block.body));
    }
    found
}

/// The steps that expressions of a body name, `after` included.
pub fn named_steps(body: &Body) -> Vec<String> {
    let references = expressions(body).into_iter().flat_map(Expr::references);
    references
        .filter(|reference| reference.root.text == "step")
        .filter_map(|reference| reference.path.first().map(|name| name.text.clone()))
        .collect()
}
