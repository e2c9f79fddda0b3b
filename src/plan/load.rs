//! From blocks to a plan, every error in one go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::graph::{Cycle, levels};
use super::model::{
    Check, Gate, Input, OnDeadline, Operation, Plan, Probe, ProbeKind, Record, StepKind, StepSpec, Summary,
    Wave,
};
use super::references::{Names, expressions, named_steps};
use super::schema;
use crate::base::{Diagnostic, Diagnostics, Source, Span, text};
use crate::dialect::{BlockRule, Reader, Values};
use crate::hcl::{self, Block, Body, Value};

/// The heads of the plans in a file, enough to choose one.
pub fn summaries(source: &Arc<Source>) -> Result<Vec<Summary>, Diagnostics> {
    let body = hcl::parse(source)?;
    let mut found = Vec::new();
    for block in body.blocks("plan") {
        let text_of = |name: &str| block.body.attribute(name).and_then(|a| a.expr.as_plain_string());
        found.push(Summary {
            name: block.labels.first().map(|label| label.text.clone()).unwrap_or_default(),
            operation: text_of("operation").and_then(|name| name.parse().ok()),
            applies: block.body.attribute("applies").map(|a| a.expr.clone()),
            description: text_of("description"),
            source: Arc::clone(source),
        });
    }
    Ok(found)
}

/// The plans of a file. `scope` holds the functions and the roots that are known on loading.
pub fn load(source: &Arc<Source>, scope: &Values) -> Result<Vec<Plan>, Diagnostics> {
    let body = hcl::parse(source)?;
    let mut problems = Diagnostics::default();
    let mut plans = Vec::new();
    let mut reader = Reader::new(scope);
    reader.check(&body, &schema::FILE, &body.span);
    problems.extend(reader.problems);
    for block in body.blocks("plan") {
        match Loader::new(block, scope).load(block, source) {
            Ok(plan) => plans.push(plan),
            Err(found) => problems.extend(found),
        }
    }
    if plans.is_empty() && !problems.has_errors() {
        let empty = Diagnostic::error("there is no plan in this file").at(&body.span);
        problems.push(empty.help("a plan file holds `plan \"NAME\" { … }`"));
    }
    problems.into_result(plans)
}

struct Loader<'a> {
    reader: Reader<'a>,
    names: Names,
    probes: BTreeMap<String, Probe>,
}

/// The rule of a block within another.
fn child(parent: &'static BlockRule, kind: &str) -> &'static BlockRule {
    parent.blocks.iter().find(|rule| rule.kind == kind).unwrap_or(parent)
}

fn label(block: &Block, index: usize) -> String {
    block.labels.get(index).map(|label| label.text.clone()).unwrap_or_default()
}

impl<'a> Loader<'a> {
    fn new(block: &Block, scope: &'a Values) -> Self {
        let labels = |kind: &str| block.body.blocks(kind).map(|b| label(b, 0)).collect::<BTreeSet<_>>();
        let steps_of = |body: &Body| body.blocks("step").map(|step| label(step, 1)).collect::<Vec<_>>();
        let mut steps = BTreeSet::new();
        for wave in block.body.blocks("wave") {
            steps.extend(steps_of(&wave.body));
            steps.extend(wave.body.blocks("finally").flat_map(|finally| steps_of(&finally.body)));
        }
        let names =
            Names { variables: labels("variable"), steps, waves: labels("wave"), probes: labels("probe") };
        Self { reader: Reader::new(scope), names, probes: BTreeMap::new() }
    }

    fn load(mut self, block: &Block, source: &Arc<Source>) -> Result<Plan, Diagnostics> {
        let body = &block.body;
        self.reader.check(body, &schema::PLAN, &block.kind.span);
        let operation = self.operation(body);
        let applies = body.attribute("applies").map(|a| a.expr.clone());
        if let Some(expr) = &applies {
            self.names.check(expr, false, &mut self.reader.problems);
        }
        let inputs: Vec<Input> = body.blocks("variable").map(|b| self.input(b)).collect();
        self.unique(body.blocks("variable"), 0, "variable");
        self.unique(body.blocks("probe"), 0, "probe");
        self.unique(body.blocks("wave"), 0, "wave");
        for block in body.blocks("probe") {
            if let Some(probe) = self.probe_in(&block.body, &label(block, 0)) {
                self.probes.insert(label(block, 0), probe);
            }
        }
        let checks = self.checks(body);
        let mut waves = Vec::new();
        for block in body.blocks("wave") {
            let wave = self.wave(block, waves.last());
            waves.push(wave);
        }
        if waves.is_empty() {
            let help = "a plan is a row of `wave \"NAME\" { step … }` blocks".to_owned();
            self.reader.error("the plan has no wave", &block.kind.span, Some(help));
        }
        self.check_order(&waves);
        let plan = Plan {
            name: label(block, 0),
            description: self.reader.string(body, "description"),
            operation,
            applies,
            inputs,
            checks,
            probes: std::mem::take(&mut self.probes),
            waves,
            source: Arc::clone(source),
        };
        self.reader.finish(plan)
    }

    fn operation(&mut self, body: &Body) -> Option<Operation> {
        let name = self.reader.string(body, "operation")?;
        if let Ok(operation) = name.parse() {
            return Some(operation);
        }
        let span = &body.attribute("operation")?.expr.span;
        let help = Some(format!("an operation is one of {}", text::list(&Operation::NAMES)));
        self.reader.error(format!("there is no operation '{name}'"), span, help);
        None
    }

    fn input(&mut self, block: &Block) -> Input {
        self.reader.check(&block.body, child(&schema::PLAN, "variable"), &block.kind.span);
        let default = block.body.attribute("default").map(|a| a.expr.clone());
        Input {
            name: label(block, 0),
            description: self.reader.string(&block.body, "description"),
            default: default.and_then(|expr| self.reader.eval(&expr)),
            span: block.kind.span.clone(),
        }
    }

    fn unique<'b>(&mut self, blocks: impl Iterator<Item = &'b Block>, at: usize, what: &str) {
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        for block in blocks {
            let Some(name) = block.labels.get(at) else { continue };
            if let Some(first) = seen.insert(name.text.clone(), name.span.clone()) {
                let message = format!("there are two {what}s '{}'", name.text);
                self.reader.error(message, &name.span, Some(format!("the first is at {first}")));
            }
        }
    }

    /// The one probe block of a body.
    fn probe_in(&mut self, body: &Body, name: &str) -> Option<Probe> {
        let mut found: Vec<Probe> = Vec::new();
        for kind in ProbeKind::ALL {
            for block in body.blocks(kind.name()) {
                let rule = schema::PROBES.iter().find(|rule| rule.kind == kind.name())?;
                self.reader.check(&block.body, rule, &block.kind.span);
                for expr in expressions(&block.body) {
                    self.names.check(expr, false, &mut self.reader.problems);
                }
                let span = block.kind.span.clone();
                found.push(Probe { name: name.to_owned(), kind, body: block.body.clone(), span });
            }
        }
        if let [_, second, ..] = found.as_slice() {
            let span = second.span.clone();
            self.reader.error("only one sample can be taken here", &span, None);
        }
        found.into_iter().next()
    }

    fn needed_probe(&mut self, block: &Block) -> Option<Probe> {
        let probe = self.probe_in(&block.body, &label(block, 0));
        if probe.is_none() {
            let kinds: Vec<&str> = ProbeKind::ALL.iter().map(|kind| kind.name()).collect();
            let help = Some(format!("add one block of {}", text::list(&kinds)));
            self.reader.error(
                format!("this {} has nothing to sample", block.kind.text),
                &block.kind.span,
                help,
            );
        }
        probe
    }

    fn checks(&mut self, body: &Body) -> Vec<Check> {
        let mut checks = Vec::new();
        for block in body.blocks("check") {
            self.reader.check(&block.body, &schema::CHECK, &block.kind.span);
            let probe = self.probe_in(&block.body, &label(block, 0));
            let error = block.body.attribute("error").map(|a| a.expr.clone());
            for expr in block.body.attributes().map(|a| &a.expr) {
                self.names.check(expr, probe.is_some(), &mut self.reader.problems);
            }
            if let Some(condition) = block.body.attribute("condition") {
                checks.push(Check { name: label(block, 0), probe, condition: condition.expr.clone(), error });
            }
        }
        checks
    }

    fn wave(&mut self, block: &Block, previous: Option<&Wave>) -> Wave {
        let body = &block.body;
        let rule = child(&schema::PLAN, "wave");
        self.reader.check(body, rule, &block.kind.span);
        let after = if body.attribute("after").is_some() {
            self.known_names(body, "wave")
        } else {
            previous.map(|wave| wave.name.clone()).into_iter().collect()
        };
        let mut steps: Vec<StepSpec> = body.blocks("step").filter_map(|b| self.step(b)).collect();
        let own: BTreeSet<String> = steps.iter().map(|step| step.name.clone()).collect();
        for step in &mut steps {
            // A step of an earlier wave is done anyway; one of this wave has to be waited for.
            step.after.retain(|name| own.contains(name));
        }
        let finally =
            body.blocks("finally").flat_map(|b| b.body.blocks("step")).filter_map(|b| self.step(b)).collect();
        let mut records = Vec::new();
        for block in body.blocks("record") {
            self.reader.check(&block.body, child(rule, "record"), &block.kind.span);
            if let Some(probe) = self.needed_probe(block) {
                let optional = self.reader.bool(&block.body, "optional").unwrap_or(false);
                records.push(Record { name: label(block, 0), optional, probe });
            }
        }
        let gates = body.blocks("gate").filter_map(|b| self.gate(b, child(rule, "gate"))).collect();
        Wave {
            name: label(block, 0),
            after,
            checks: self.checks(body),
            steps,
            records,
            gates,
            finally,
            span: block.kind.span.clone(),
        }
    }

    fn known_names(&mut self, body: &Body, root: &str) -> Vec<String> {
        let mut names = Vec::new();
        for ident in self.reader.names(body, "after", root) {
            let known = if root == "wave" { &self.names.waves } else { &self.names.steps };
            if known.contains(&ident.text) {
                names.push(ident.text);
                continue;
            }
            let help = text::nearest(&ident.text, known.iter().map(String::as_str))
                .map(|near| format!("did you mean '{near}'?"));
            self.reader.error(format!("there is no {root} '{}'", ident.text), &ident.span, help);
        }
        names
    }

    fn step(&mut self, block: &Block) -> Option<StepSpec> {
        let [kind_label, name] = block.labels.as_slice() else { return None };
        let Some(kind) = StepKind::ALL.into_iter().find(|kind| kind.name() == kind_label.text) else {
            let kinds: Vec<&str> = StepKind::ALL.iter().map(|kind| kind.name()).collect();
            let help = match text::nearest(&kind_label.text, kinds.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("the kinds are {}", text::list(&kinds)),
            };
            self.reader.error(
                format!("there is no step kind '{}'", kind_label.text),
                &kind_label.span,
                Some(help),
            );
            return None;
        };
        let rule = schema::STEPS.iter().find(|rule| rule.kind == kind.name())?;
        self.reader.check_whole(&block.body, rule, &block.kind.span);
        for attribute in block.body.attributes().filter(|a| a.name.text != "after") {
            self.names.check(&attribute.expr, false, &mut self.reader.problems);
        }
        let inner = block.body.all_blocks().flat_map(|block| {
            let innermost = block.body.all_blocks().flat_map(|block| block.body.attributes());
            block.body.attributes().chain(innermost)
        });
        for attribute in inner {
            self.names.check(&attribute.expr, false, &mut self.reader.problems);
        }
        let mut after = self.known_names(&block.body, "step");
        after.extend(named_steps(&block.body));
        after.sort();
        after.dedup();
        let span = block.kind.span.clone();
        Some(StepSpec { name: name.text.clone(), kind, after, body: block.body.clone(), span })
    }

    fn gate(&mut self, block: &Block, rule: &'static BlockRule) -> Option<Gate> {
        let body = &block.body;
        self.reader.check(body, rule, &block.kind.span);
        let mut probes = Vec::new();
        for ident in self.reader.names(body, "all", "probe") {
            match self.probes.get(&ident.text) {
                Some(probe) => probes.push(probe.clone()),
                None => {
                    let help = text::nearest(&ident.text, self.probes.keys().map(String::as_str))
                        .map(|near| format!("did you mean 'probe.{near}'?"));
                    self.reader.error(format!("there is no probe '{}'", ident.text), &ident.span, help);
                }
            }
        }
        if body.attribute("all").is_none() {
            probes.extend(self.needed_probe(block));
        }
        for name in ["until", "fail_when"] {
            if let Some(attribute) = body.attribute(name) {
                self.names.check(&attribute.expr, true, &mut self.reader.problems);
            }
        }
        let every = self.reader.duration(body, "every").unwrap_or(Duration::from_secs(30));
        if every.is_zero() {
            self.reader.error("a gate can't be sampled every 0s", &block.kind.span, None);
        }
        let consecutive = self.reader.number(body, "consecutive").unwrap_or(1);
        let on_deadline = match self.reader.string(body, "on_deadline").as_deref() {
            None | Some("ask") => OnDeadline::Ask,
            Some("fail") => OnDeadline::Fail,
            Some("continue") => OnDeadline::Continue,
            Some(other) => {
                let help = Some("it is \"ask\", \"fail\" or \"continue\"".to_owned());
                let span = body.attribute("on_deadline").map_or(&block.kind.span, |a| &a.expr.span).clone();
                self.reader.error(format!("on_deadline can't be '{other}'"), &span, help);
                OnDeadline::Ask
            }
        };
        Some(Gate {
            name: label(block, 0),
            probes,
            until: body.attribute("until")?.expr.clone(),
            fail_when: body.attribute("fail_when").map(|a| a.expr.clone()),
            every,
            consecutive: u32::try_from(consecutive.max(1)).unwrap_or(u32::MAX),
            deadline: self.reader.duration(body, "deadline").unwrap_or(Duration::from_secs(24 * 3600)),
            on_deadline,
            span: block.kind.span.clone(),
        })
    }

    /// Step names are unique in the plan, and nothing waits for itself.
    fn check_order(&mut self, waves: &[Wave]) {
        let mut seen: BTreeMap<&str, &Span> = BTreeMap::new();
        for step in waves.iter().flat_map(|wave| wave.steps.iter().chain(&wave.finally)) {
            if let Some(first) = seen.insert(&step.name, &step.span) {
                let message = format!("there are two steps '{}'", step.name);
                self.reader.error(message, &step.span, Some(format!("the first is at {first}")));
            }
        }
        let names: Vec<String> = waves.iter().map(|wave| wave.name.clone()).collect();
        let after = waves.iter().map(|wave| (wave.name.clone(), wave.after.clone())).collect();
        if let Err(cycle) = levels(&names, &after) {
            let span = waves.iter().find(|w| cycle.0.contains(&w.name)).map(|w| w.span.clone());
            self.cycle(&cycle, "wave", span);
        }
        for wave in waves {
            let names: Vec<String> = wave.steps.iter().map(|step| step.name.clone()).collect();
            let after = wave.steps.iter().map(|step| (step.name.clone(), step.after.clone())).collect();
            if let Err(cycle) = levels(&names, &after) {
                let span = wave.steps.iter().find(|s| cycle.0.contains(&s.name)).map(|s| s.span.clone());
                self.cycle(&cycle, "step", span);
            }
        }
    }

    fn cycle(&mut self, cycle: &Cycle, what: &str, span: Option<Span>) {
        let Some(span) = span else { return };
        let mut path = cycle.0.clone();
        path.extend(cycle.0.first().cloned());
        let message = format!("these {what}s wait for one another: {}", path.join(" → "));
        self.reader.error(message, &span, Some("take one of the names out of an `after`".into()));
    }
}

/// The values of a plan's inputs: what was given over the defaults.
pub fn input_values(
    plan: &Plan,
    given: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Diagnostics> {
    let mut problems = Diagnostics::default();
    let mut values = BTreeMap::new();
    for input in &plan.inputs {
        match (given.get(&input.name), &input.default) {
            (Some(text), default) => {
                values.insert(input.name.clone(), as_default(text, default.as_ref()));
            }
            (None, Some(default)) => {
                values.insert(input.name.clone(), default.clone());
            }
            (None, None) => problems.push(
                Diagnostic::error(format!("the variable '{}' has no value", input.name))
                    .at(&input.span)
                    .help(format!("give it with --var {}=VALUE", input.name)),
            ),
        }
    }
    for name in given.keys().filter(|name| plan.inputs.iter().all(|input| input.name != **name)) {
        let known = plan.inputs.iter().map(|input| input.name.as_str());
        let mut problem = Diagnostic::error(format!("the plan '{}' has no variable '{name}'", plan.name));
        problem.help = Some(match text::nearest(name, known.clone()) {
            Some(near) => format!("did you mean '{near}'?"),
            None if plan.inputs.is_empty() => "it has none: leave --var out".to_owned(),
            None => format!("its variables are {}", text::list(&known.collect::<Vec<_>>())),
        });
        problems.push(problem);
    }
    problems.into_result(values)
}

/// What was given on the command line is text; where the default isn't, it is read as HCL's literals are.
fn as_default(text: &str, default: Option<&Value>) -> Value {
    match default {
        Some(Value::String(_)) | None => Value::from(text),
        Some(_) => {
            serde_json::from_str(text).map_or_else(|_| Value::from(text), |json| Value::from_json(&json))
        }
    }
}
