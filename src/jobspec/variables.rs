//! Variables and locals: declared in the file, set from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::{Diagnostic, Diagnostics, Source, Span, text};
use crate::hcl::{
    Attribute, Block, Body, Expr, Functions, Root, Scope, Type, TypeRules, Value, constants, convert,
    parse_expression, var_file,
};
use crate::jobspec::context::{Context, Names};
use crate::jobspec::job::Inputs;

struct Variable<'a> {
    /// None where neither a type nor a default says it: then what is given is text as it stands.
    of: Option<Type>,
    value: Option<Value>,
    /// Where the value was set.
    place: Option<Span>,
    header: &'a Span,
    validations: Vec<&'a Block>,
}

/// The values of all variables: default, then `NOMAD_VAR_…`, then var files, then what was given by hand.
/// `set_at` hears where the one that counts was set. Beside them, their types.
pub fn variables(
    body: &Body,
    inputs: &Inputs,
    functions: &Functions,
    set_at: &mut dyn FnMut(&str, &Span),
    errors: &mut Diagnostics,
) -> (Value, BTreeMap<String, Type>) {
    let mut declared = declarations(body, errors);
    for (name, text) in &inputs.environment {
        let Some(name) = name.strip_prefix("NOMAD_VAR_") else { continue };
        if let Some(variable) = declared.get_mut(name) {
            let source = Source::new(format!("NOMAD_VAR_{name}"), text.as_str());
            set_from_text(variable, &source, errors);
        }
    }
    for file in &inputs.var_files {
        match var_file(file) {
            Ok(values) => {
                for (name, (value, span)) in values {
                    match declared.get_mut(&name) {
                        Some(variable) => set(variable, value, &span, errors),
                        None if inputs.shared => {}
                        None => errors.push(undeclared(&name, &declared).at(&span)),
                    }
                }
            }
            Err(more) => errors.extend(more),
        }
    }
    // Of a name given twice, only the last counts.
    let given: BTreeMap<&str, &str> =
        inputs.variables.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    for (name, text) in given {
        let source = Source::new(format!("-var {name}"), text);
        match declared.get_mut(name) {
            Some(variable) => set_from_text(variable, &source, errors),
            None => errors.push(undeclared(name, &declared).at(&Span::new(&source, 0..text.len()))),
        }
    }
    let (mut values, mut types) = (BTreeMap::new(), BTreeMap::new());
    for (name, variable) in declared {
        if let Some(of) = &variable.of {
            types.insert(name.clone(), of.clone());
        }
        match &variable.value {
            Some(value) => {
                for validation in &variable.validations {
                    validate(&name, value, &variable, validation, functions, errors);
                }
                if let Some(place) = &variable.place {
                    set_at(&name, place);
                }
                values.insert(name, value.clone());
            }
            None => errors.push(
                Diagnostic::error(format!("variable `{name}` has no value"))
                    .at(variable.header)
                    .help(format!("give it a default, or set it with -var {name}=… or in a var file")),
            ),
        }
    }
    (Value::Object(values), types)
}

fn undeclared(name: &str, declared: &BTreeMap<String, Variable<'_>>) -> Diagnostic {
    let error = Diagnostic::error(format!("the job file has no variable `{name}`"));
    match text::nearest(name, declared.keys().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("declare it in the job file: variable \"{name}\" {{}}")),
    }
}

fn declarations<'a>(body: &'a Body, errors: &mut Diagnostics) -> BTreeMap<String, Variable<'a>> {
    let mut declared: BTreeMap<String, Variable<'_>> = BTreeMap::new();
    for block in body.all_blocks() {
        let mut new = Vec::new();
        match block.kind.text.as_str() {
            "variable" => {
                let Some(label) = block.labels.first() else { continue };
                new.push((label, declaration(block, errors)));
            }
            "variables" => {
                for inner in block.body.all_blocks() {
                    errors.push(
                        Diagnostic::error("`variables` holds `name = value` lines").at(&inner.kind.span),
                    );
                }
                for attribute in block.body.attributes() {
                    new.push((&attribute.name, Some(shorthand(attribute, errors))));
                }
            }
            _ => {}
        }
        for (name, variable) in new {
            let Some(variable) = variable else { continue };
            if declared.insert(name.text.clone(), variable).is_some() {
                errors.push(
                    Diagnostic::error(format!("variable `{}` is declared twice", name.text)).at(&name.span),
                );
            }
        }
    }
    declared
}

fn shorthand<'a>(attribute: &'a Attribute, errors: &mut Diagnostics) -> Variable<'a> {
    let value = constant(&attribute.expr, errors);
    Variable {
        of: value.as_ref().map(Type::of),
        value,
        place: Some(attribute.expr.span.clone()),
        header: &attribute.name.span,
        validations: Vec::new(),
    }
}

fn constant(expr: &Expr, errors: &mut Diagnostics) -> Option<Value> {
    expr.eval(&constants()).map_err(|error| errors.push(error)).ok()
}

fn declaration<'a>(block: &'a Block, errors: &mut Diagnostics) -> Option<Variable<'a>> {
    let label = block.labels.first()?;
    let before = errors.0.len();
    if !is_name(&label.text) {
        errors.push(
            Diagnostic::error(format!("{:?} can't name a variable", label.text))
                .at(&label.span)
                .help("a name starts with a letter or _, and holds letters, digits, _ and -"),
        );
    }
    for attribute in block.body.attributes() {
        let name = attribute.name.text.as_str();
        if !matches!(name, "type" | "default" | "description") {
            let error = Diagnostic::error(format!("`{name}` means nothing in a variable"));
            errors.push(match name {
                "sensitive" | "nullable" | "ephemeral" => {
                    error.at(&attribute.name.span).help(format!("Terraform has `{name}`, Nomad hasn't"))
                }
                _ => {
                    error.at(&attribute.name.span).help("there are type, default, description and validation")
                }
            });
        }
    }
    let mut validations = Vec::new();
    for inner in block.body.all_blocks() {
        if inner.kind.text == "validation" && inner.labels.is_empty() {
            check_validation(&label.text, inner, errors);
            validations.push(inner);
        } else {
            let error = format!("`{}` can't stand in a variable", inner.kind.text);
            errors.push(Diagnostic::error(error).at(&inner.kind.span).help("there is validation { … }"));
        }
    }
    if let Some(attribute) = block.body.attribute("description") {
        let value = constant(&attribute.expr, errors);
        if let Some(value) = value
            && (value.is_null() || convert(&value, &Type::String).is_err())
        {
            errors.push(Diagnostic::error("a description is text").at(&attribute.expr.span));
        }
    }
    let mut of = None;
    if let Some(attribute) = block.body.attribute("type") {
        match Type::read(&attribute.expr, TypeRules::Exact) {
            Ok(read) => of = Some(read),
            Err(error) => errors.push(error),
        }
    }
    let mut variable = Variable { of, value: None, place: None, header: &label.span, validations };
    if let Some(attribute) = block.body.attribute("default")
        && let Some(value) = constant(&attribute.expr, errors)
    {
        set(&mut variable, value, &attribute.expr.span, errors);
        if variable.of.is_none() {
            variable.of = variable.value.as_ref().map(Type::of);
        }
    }
    (errors.0.len() == before).then_some(variable)
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_alphabetic())
        && chars.all(|c| c == '_' || c == '-' || c.is_alphanumeric())
}

fn set(variable: &mut Variable<'_>, value: Value, place: &Span, errors: &mut Diagnostics) {
    let value = match &variable.of {
        None => Ok(value),
        Some(of) => convert(&value, of),
    };
    match value {
        Ok(value) => {
            variable.value = Some(value);
            variable.place = Some(place.clone());
        }
        Err(error) => {
            // Known as set, so that nobody is told that it isn't.
            variable.value = Some(Value::Unknown);
            errors.push(Diagnostic::error(format!("for this variable, {error}")).at(place));
        }
    }
}

/// Text stands for itself where text or a number is wanted; otherwise it is an expression.
fn set_from_text(variable: &mut Variable<'_>, source: &Arc<Source>, errors: &mut Diagnostics) {
    let span = Span::new(source, 0..source.text.len());
    let value = match variable.of {
        None | Some(Type::String | Type::Number) => Ok(Value::from(source.text.as_str())),
        Some(_) => parse_expression(source).and_then(|expr| expr.eval(&constants())),
    };
    match value {
        Ok(value) => set(variable, value, &span, errors),
        Err(error) => {
            variable.value = Some(Value::Unknown);
            errors.push(error);
        }
    }
}

fn check_validation(name: &str, block: &Block, errors: &mut Diagnostics) {
    for attribute in block.body.attributes() {
        if !matches!(attribute.name.text.as_str(), "condition" | "error_message") {
            let error = format!("`{}` means nothing in a validation", attribute.name.text);
            errors.push(
                Diagnostic::error(error)
                    .at(&attribute.name.span)
                    .help("there are condition and error_message"),
            );
        }
    }
    for inner in block.body.all_blocks() {
        errors.push(Diagnostic::error("no block can stand in a validation").at(&inner.kind.span));
    }
    match block.body.attribute("condition") {
        None => errors.push(Diagnostic::error("`condition` is missing").at(&block.kind.span)),
        Some(attribute) => {
            let references = attribute.expr.references();
            let good = |r: &crate::hcl::Reference| {
                r.root.text == "var" && r.path.first().is_some_and(|first| first.text == name)
            };
            for reference in references.iter().filter(|reference| !good(reference)) {
                errors.push(
                    Diagnostic::error(format!("this condition can only look at var.{name}"))
                        .at(&reference.span),
                );
            }
            if !references.iter().any(good) {
                let error = format!("this condition doesn't look at var.{name}");
                errors.push(Diagnostic::error(error).at(&attribute.expr.span));
            }
        }
    }
    match block.body.attribute("error_message") {
        None => errors.push(Diagnostic::error("`error_message` is missing").at(&block.kind.span)),
        Some(attribute) => {
            let Some(value) = constant(&attribute.expr, errors) else { return };
            let message = convert(&value, &Type::String).unwrap_or_default();
            if message.as_str().is_none_or(|message| message.trim().is_empty()) {
                errors.push(Diagnostic::error("`error_message` must say something").at(&attribute.expr.span));
            }
        }
    }
}

/// One variable alone, for its validations.
struct Alone<'a>(&'a str, &'a Value, &'a Functions);

impl Scope for Alone<'_> {
    fn root(&self, name: &str) -> Root {
        match name {
            "var" => Root::Value(Value::Object([(self.0.to_owned(), self.1.clone())].into())),
            _ => Root::Missing,
        }
    }

    fn root_names(&self) -> Vec<String> {
        vec!["var".to_owned()]
    }

    fn functions(&self) -> &Functions {
        self.2
    }
}

fn validate(
    name: &str,
    value: &Value,
    variable: &Variable<'_>,
    block: &Block,
    functions: &Functions,
    errors: &mut Diagnostics,
) {
    let Some(condition) = block.body.attribute("condition") else { return };
    if value.is_unknown() {
        return;
    }
    let result = condition.expr.eval(&Alone(name, value, functions)).and_then(|result| {
        convert(&result, &Type::Bool).map_err(|error| {
            Diagnostic::error(format!("for the condition, {error}")).at(&condition.expr.span)
        })
    });
    match result {
        Ok(Value::Bool(true) | Value::Unknown) => {}
        Ok(Value::Bool(false)) => {
            let message = block
                .body
                .attribute("error_message")
                .and_then(|attribute| attribute.expr.eval(&constants()).ok())
                .and_then(|message| message.as_str().map(str::to_owned))
                .unwrap_or_default();
            let place = variable.place.as_ref().unwrap_or(variable.header);
            errors.push(
                Diagnostic::error(format!("variable `{name}`: {message}"))
                    .at(place)
                    .help(format!("the rule is at {}", condition.span)),
            );
        }
        Ok(_) => errors.push(Diagnostic::error("the condition is null").at(&condition.expr.span)),
        Err(error) => errors.push(error),
    }
}

/// The values of all locals, each evaluated after those it names.
pub fn locals(body: &Body, mut names: Names, errors: &mut Diagnostics) -> Names {
    let mut exprs: BTreeMap<&str, &Expr> = BTreeMap::new();
    let mut shadowed = Vec::new();
    for block in body.blocks("locals") {
        for inner in block.body.all_blocks() {
            errors.push(Diagnostic::error("`locals` holds `name = value` lines").at(&inner.kind.span));
        }
        // A name that a later block sets again counts there; what it was before must be right, too.
        for attribute in block.body.attributes() {
            shadowed.extend(exprs.insert(attribute.name.text.as_str(), &attribute.expr));
        }
    }
    // How many others each still waits for, and who waits for it: a chain of thousands is walked once.
    let mut waits: BTreeMap<&str, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, expr) in &exprs {
        let references = expr.references();
        let local = references.iter().filter(|reference| reference.root.text == "local");
        let needs: BTreeSet<&str> = local
            .filter_map(|reference| exprs.get_key_value(reference.path.first()?.text.as_str()))
            .map(|(need, _)| *need)
            .collect();
        waits.insert(name, needs.len());
        for need in needs {
            dependents.entry(need).or_default().push(name);
        }
    }
    let mut ready: Vec<&str> =
        waits.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(name) = ready.pop() {
        waits.remove(name);
        let expr = exprs[name];
        // Each may hold another: without this, their depth would grow without limit.
        let value = expr.eval(&Context::new(&names)).and_then(|value| value.no_deeper(&expr.span));
        let value = value.unwrap_or_else(|error| {
            errors.push(error);
            Value::Unknown
        });
        let of = expr.type_in(&value, &Context::new(&names));
        names.local_types.insert(name.to_owned(), of);
        if let Value::Object(locals) = &mut names.locals {
            locals.insert(name.to_owned(), value);
        }
        for dependent in dependents.remove(name).unwrap_or_default() {
            if let Some(count) = waits.get_mut(dependent) {
                *count -= 1;
                if *count == 0 {
                    ready.push(dependent);
                }
            }
        }
    }
    errors.0.extend(shadowed.iter().filter_map(|expr| expr.eval(&Context::new(&names)).err()));
    if let Some(first) = waits.keys().next() {
        let all: Vec<&str> = waits.keys().copied().collect();
        let error = format!("these locals need one another: {}", text::list(&all));
        errors.push(Diagnostic::error(error).at(&exprs[first].span));
    }
    names
}
