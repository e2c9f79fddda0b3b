//! A whole job file.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::base::{Diagnostic, Diagnostics, Source, Span, text};
use crate::hcl::{self, Block, Body, Item, Value};
use crate::jobspec::context::{Context, Names};
use crate::jobspec::schema::JOB;
use crate::jobspec::view::View;
use crate::jobspec::{decode, envsubst, files, json, normal, variables};

/// What a job file is read with.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `-var NAME=TEXT`, in the order given.
    pub variables: Vec<(String, String)>,
    pub var_files: Vec<Arc<Source>>,
    /// The var files serve other job files too: what this one doesn't declare is theirs. Stock Nomad's
    /// `-var-file` has no such thing.
    pub shared: bool,
    /// Variables of the environment; those named `NOMAD_VAR_…` set variables of the job.
    pub environment: BTreeMap<String, String>,
    /// Names of the environment's variables that are put into the file before it is read, wherever it
    /// has `$NAME` or `${NAME}`, as envsubst does.
    pub envsubst: Vec<String>,
    /// What file functions can't leave.
    pub root: PathBuf,
    /// Where their paths begin: below the root, or absolute.
    pub dir: PathBuf,
}

/// A job as Nomad's API takes it.
#[derive(Clone, Debug)]
pub struct Job {
    /// What `nomad job run -output` gives under "Job".
    pub json: Json,
    /// The text that was read. Where pieces of it came from the environment, its
    /// [`original`](Source::original) is the file.
    pub source: Arc<Source>,
    pub warnings: Diagnostics,
}

impl Job {
    pub fn id(&self) -> &str {
        self.json.get("ID").and_then(Json::as_str).unwrap_or_default()
    }

    /// The names in `meta { depends_on = "postgres, rabbitmq" }`.
    pub fn depends_on(&self) -> Vec<String> {
        let list = self.json.pointer("/Meta/depends_on").and_then(Json::as_str).unwrap_or_default();
        list.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

/// Reads a job file, in HCL or, where its first character other than a space is `{`, in JSON.
pub fn parse(source: &Arc<Source>, inputs: &Inputs) -> Result<Job, Diagnostics> {
    let source = &envsubst::substituted(source, inputs)?;
    let body = body(source)?;
    let names = names(&body, inputs, &mut |_, _| ())?;
    let (json, warnings) = assemble(job_block(&body)?, &Context::new(&names))?;
    Ok(Job { json, source: Arc::clone(source), warnings })
}

/// The tree of a job file.
pub fn body(source: &Arc<Source>) -> Result<Body, Diagnostics> {
    let body = if source.text.trim_start_matches(' ').starts_with('{') {
        json::body(source)?
    } else {
        hcl::parse(source)?
    };
    let mut errors = Diagnostics::default();
    top_level(&body, &mut errors);
    errors.into_result(body)
}

/// The values of its variables and locals; `set_at` hears where each variable was set.
pub fn names(
    body: &Body,
    inputs: &Inputs,
    set_at: &mut dyn FnMut(&str, &Span),
) -> Result<Names, Diagnostics> {
    let mut errors = Diagnostics::default();
    let (variables, variable_types) = variables::variables(body, inputs, &files::pure(), set_at, &mut errors);
    let home = inputs.environment.get("HOME").map(String::as_str);
    let names = Names {
        variables,
        variable_types,
        locals: Value::Object(BTreeMap::new()),
        local_types: BTreeMap::new(),
        functions: files::functions(&inputs.root, &inputs.dir, home),
        work: Cell::new(0),
    };
    let names = variables::locals(body, names, &mut errors);
    errors.into_result(names)
}

pub fn job_block(body: &Body) -> Result<&Block, Diagnostics> {
    body.blocks("job").next().ok_or_else(|| missing_job(&body.span.source).into())
}

/// The job's JSON, and what is worth a warning.
pub fn assemble<'a>(block: &'a Block, context: &Context<'a>) -> Result<(Json, Diagnostics), Diagnostics> {
    let mut errors = Diagnostics::default();
    let label = block.labels.first().map(|label| label.text.clone()).unwrap_or_default();
    let view = View::of(block, context);
    let mut json = decode::decode(&JOB, &[], &view, &mut errors);
    if let Some(job) = json.as_object_mut() {
        normal::job(job, &label);
    }
    if errors.has_errors() { Err(errors) } else { Ok((json, errors)) }
}

/// The names of the variables that a job file declares; none of a file that can't be read.
pub fn declared(source: &Arc<Source>) -> BTreeSet<String> {
    let Ok(body) = body(source) else { return BTreeSet::new() };
    let labels = body.blocks("variable").filter_map(|block| block.labels.first());
    let short =
        body.blocks("variables").flat_map(|block| block.body.attributes()).map(|attribute| &attribute.name);
    labels.chain(short).map(|name| name.text.clone()).collect()
}

/// Where a job file says what its job depends on.
pub fn place_of_depends_on(source: &Arc<Source>) -> Option<Span> {
    let body = body(source).ok()?;
    let job = &body.blocks("job").next()?.body;
    let from_block = job.blocks("meta").find_map(|meta| Some(&meta.body.attribute("depends_on")?.expr));
    let expr = from_block.or_else(|| Some(&job.attribute("meta")?.expr))?;
    Some(expr.span.clone())
}

/// Where a job file says which namespace its job is in.
pub fn place_of_namespace(source: &Arc<Source>) -> Option<Span> {
    let body = body(source).ok()?;
    Some(body.blocks("job").next()?.body.attribute("namespace")?.expr.span.clone())
}

fn missing_job(source: &Arc<Source>) -> Diagnostic {
    Diagnostic::error("there is no job in this file")
        .at(&Span::new(source, 0..0))
        .help("a job file holds one job \"NAME\" { … }")
}

const TOP: [&str; 4] = ["job", "variable", "variables", "locals"];

/// Checks what stands outside all blocks.
fn top_level(body: &Body, errors: &mut Diagnostics) {
    let mut job: Option<&Span> = None;
    for item in &body.items {
        let block = match item {
            Item::Attribute(attribute) => {
                if attribute.name.text == "Job" {
                    let error = "this is the JSON of Nomad's API, not a job file";
                    errors.push(
                        Diagnostic::error(error)
                            .at(&attribute.name.span)
                            .help("in HCL's JSON a job is {\"job\": {\"NAME\": {…}}}; `nomad job run -json` takes this one"),
                    );
                    continue;
                }
                let error = format!("`{}` can't be set outside of a job", attribute.name.text);
                errors.push(
                    Diagnostic::error(error)
                        .at(&attribute.name.span)
                        .help("a job file holds job, variable, variables and locals blocks"),
                );
                continue;
            }
            Item::Block(block) => block,
        };
        let name = block.kind.text.as_str();
        if !TOP.contains(&name) {
            let error =
                Diagnostic::error(format!("`{name}` means nothing outside of a job")).at(&block.kind.span);
            errors.push(match text::nearest(name, TOP) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help("a job file holds job, variable, variables and locals blocks"),
            });
            continue;
        }
        let labels = usize::from(matches!(name, "job" | "variable"));
        if block.labels.len() != labels {
            let error =
                format!("`{name}` has {} here, not {}", text::count(labels, "label"), block.labels.len());
            errors.push(Diagnostic::error(error).at(&block.kind.span));
        }
        if name == "job" {
            if let Some(first) = job {
                let (line, _) = first.source.position(first.range.start);
                errors.push(
                    Diagnostic::error("a file holds one job")
                        .at(&block.kind.span)
                        .help(format!("the first is in line {line}; put this one into a file of its own")),
                );
            } else {
                job = Some(&block.kind.span);
            }
        }
    }
}
