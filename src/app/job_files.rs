//! Which job files belong to which environment, as far as plans and settings say.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::open::Opened;
use super::plans;
use crate::base::Source;
use crate::environment::{Environment, JobFiles, Parts};
use crate::hcl::Value;
use crate::http::Transport;
use crate::plan::{self, StepKind};
use crate::process;

/// What the `nomad_job` steps of every plan name. A plan that can't be read names nothing: whoever runs
/// it hears why.
pub(super) fn named_by_plans(opened: &Opened) -> Vec<JobFiles> {
    let scope = opened.plan_scope(Value::Unknown, None);
    let mut named = Vec::new();
    for path in plans::files(&opened.root) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let Ok(found) = plan::load(&Source::new(path.display().to_string(), text), &scope) else { continue };
        for plan in &found {
            let default = |input: &plan::Input| Some((input.name.clone(), input.default.clone()?));
            let inputs: BTreeMap<String, Value> = plan.inputs.iter().filter_map(default).collect();
            let steps = plan.steps().filter(|(_, step)| step.kind == StepKind::NomadJob);
            named.extend(steps.filter_map(|(_, step)| {
                let expr = step.body.attribute("files")?.expr.clone();
                Some(JobFiles { plan: plan.name.clone(), expr, inputs: inputs.clone() })
            }));
        }
    }
    named
}

/// The project's other environments. Of the shell they get what their own `inherit` names; their env
/// files are not read (they may be scripts that ask), and nothing of theirs is contacted.
pub(super) fn siblings(
    opened: &Opened,
    transport: &Arc<dyn Transport>,
    job_files: &[JobFiles],
) -> Vec<Arc<Environment>> {
    let shell = process::shell();
    let others = opened.project.environments.iter().filter(|other| other.name != opened.settings.name);
    let sibling = |settings: &crate::settings::Environment| {
        let named = |(name, _): &(&String, &String)| process::is_named(&settings.inherit, name);
        Arc::new(Environment::new(Parts {
            project: opened.project.name.clone(),
            root: opened.root.clone(),
            settings: settings.clone(),
            terraform: None,
            transport: Arc::clone(transport),
            clock: opened.clock.clone(),
            secrets: opened.secrets.clone(),
            functions: Arc::clone(&opened.functions),
            variables: shell.iter().filter(named).map(|(k, v)| (k.clone(), v.clone())).collect(),
            shell: process::environment(&shell, &settings.inherit, &BTreeMap::new()),
            nomad_address: None,
            sandbox: None,
            inputs: BTreeMap::new(),
            downtime: None,
            last_stop: None,
            recorded: BTreeMap::new(),
            rehearsal: false,
            whole: settings.env_file.is_none(),
            job_files: job_files.to_vec(),
            siblings: Vec::new(),
        }))
    };
    others.map(sibling).collect()
}
