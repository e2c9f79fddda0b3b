//! Finding the plan that is meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use crate::base::{Diagnostic, Diagnostics, Source, text};
use crate::dialect::Values;
use crate::hcl::{self, Value};
use crate::plan::{self, Operation, Plan, Summary};

/// A plan and the text it was read from.
pub struct Chosen {
    pub plan: Plan,
    pub source: Arc<Source>,
}

/// The plan files of a project, by name.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join("plans")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "hcl"))
        .collect();
    files.sort();
    files
}

fn sources(root: &Path) -> Result<Vec<Arc<Source>>, Failure> {
    let mut sources = Vec::new();
    for path in files(root) {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let text = std::fs::read_to_string(&path)
            .map_err(|error| Failure::error(format!("{name} can't be read: {error}")))?;
        sources.push(Source::new(name, text));
    }
    if sources.is_empty() {
        let message = format!("there is no plan in {}", root.join("plans").display());
        return Err(Failure::error(message).help("a plan is a file plans/NAME.hcl; the README shows one"));
    }
    Ok(sources)
}

fn load(source: &Arc<Source>, name: &str, scope: &Values) -> Result<Chosen, Failure> {
    let plans = plan::load(source, scope)?;
    let plan = plans.into_iter().find(|plan| plan.name == name);
    let plan = plan.ok_or_else(|| Failure::error(format!("{} has no plan '{name}'", source.name)))?;
    Ok(Chosen { plan, source: Arc::clone(source) })
}

/// The plan of that name, or of that file.
pub fn by_name(root: &Path, name: &str, scope: &Values) -> Result<Chosen, Failure> {
    let mut heads: Vec<Summary> = Vec::new();
    let mut problems = Diagnostics::default();
    for source in sources(root)? {
        match plan::summaries(&source) {
            Ok(found) => heads.extend(found),
            Err(found) => problems.extend(found),
        }
    }
    let file = name.strip_prefix("./").unwrap_or(name);
    let meant = |head: &&Summary| head.name == name || head.source.name == file;
    let found: Vec<&Summary> = heads.iter().filter(meant).collect();
    match found.as_slice() {
        [one] => load(&one.source, &one.name, scope),
        [] if problems.has_errors() => Err(problems.into()),
        [] => {
            let names: Vec<&str> = heads.iter().map(|head| head.name.as_str()).collect();
            let help = match text::nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("the plans are {}", text::list(&names)),
            };
            Err(Failure::error(format!("there is no plan '{name}'")).help(help))
        }
        several => {
            let places: Vec<&str> = several.iter().map(|head| head.source.name.as_str()).collect();
            Err(Failure::error(format!("there are several plans '{name}': in {}", text::list(&places))))
        }
    }
}

/// The one plan of an operation that applies.
pub fn by_operation(root: &Path, operation: Operation, scope: &Values) -> Result<Chosen, Failure> {
    let mut applying = Vec::new();
    let mut others = Vec::new();
    let mut unknown = false;
    for source in sources(root)? {
        for head in plan::summaries(&source)? {
            if head.operation != Some(operation) {
                continue;
            }
            let applies = match &head.applies {
                None => Value::Bool(true),
                Some(expr) => expr.eval(scope).map_err(Diagnostics::from)?,
            };
            match applies {
                Value::Bool(true) => applying.push(head),
                Value::Bool(false) => others.push(head),
                value if !value.is_wholly_known() => {
                    unknown = true;
                    others.push(head);
                }
                value => {
                    let message = format!("'applies' must be true or false, not {}", value.type_name());
                    let span = head.applies.map(|expr| expr.span);
                    let mut problem = Diagnostic::error(message);
                    problem.span = span;
                    return Err(problem.into());
                }
            }
        }
    }
    let names = |heads: &[Summary]| heads.iter().map(|head| head.name.clone()).collect::<Vec<_>>();
    match applying.as_slice() {
        _ if unknown => super::downtime::Known::Unknown.needed().and_then(|_| {
            Err(Failure::refused("which plan applies is not known yet").help("name one with --plan"))
        }),
        [one] => load(&one.source, &one.name, scope),
        [] if others.is_empty() => {
            let verb = operation.name();
            Err(Failure::refused(format!("there is no plan with operation = \"{verb}\""))
                .help("add one to plans/, or run one by name: blackstart run NAME".to_string()))
        }
        [] => Err(Failure::refused(format!("no plan to {} applies", operation.name()))
            .help(format!("name one with --plan: {}", text::list(&names(&others))))),
        several => Err(Failure::refused(format!(
            "several plans to {} apply: {}",
            operation.name(),
            text::list(&names(several))
        ))
        .help("name one with --plan, or make their `applies` exclude one another")),
    }
}

/// A plan's inputs from a var file, as text.
pub fn inputs_of(path: &Path) -> Result<BTreeMap<String, String>, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::error(format!("the var file {name} can't be read: {error}")))?;
    let values = hcl::var_file(&Source::new(name, text))?;
    let as_text = |value: &Value| value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned);
    Ok(values.into_iter().map(|(name, (value, _))| (name, as_text(&value))).collect())
}
