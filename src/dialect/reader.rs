//! Reading blocks by their rules: every error is gathered, and what is unknown is told apart from what
//! is wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rules::{BlockRule, Type};
use super::scope::{Values, duration_of};
use crate::base::{Diagnostic, Diagnostics, Span, text};
use crate::hcl::{Block, Body, Expr, ExprKind, Ident, ObjectKey, Value};

/// Reads attributes in one scope. Getters give nothing where the attribute is absent, wrong (the error
/// is kept) or unknown (its place is kept).
pub struct Reader<'a> {
    scope: &'a Values,
    pub problems: Diagnostics,
    /// Attributes whose value isn't known yet.
    pub unknown: Vec<Span>,
}

impl<'a> Reader<'a> {
    pub fn new(scope: &'a Values) -> Self {
        Self { scope, problems: Diagnostics::default(), unknown: Vec::new() }
    }

    /// `value`, unless something was wrong.
    pub fn finish<T>(self, value: T) -> Result<T, Diagnostics> {
        self.problems.into_result(value)
    }

    pub fn error(&mut self, message: impl Into<String>, span: &Span, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(message).at(span);
        diagnostic.help = help;
        self.problems.push(diagnostic);
    }

    /// Checks what stands in a body against its rule: names and missing ones, not values. Blocks within
    /// are checked for their kind and labels only.
    pub fn check(&mut self, body: &Body, rule: &BlockRule, head: &Span) {
        let shown = shown(rule);
        for attribute in body.attributes() {
            let name = &attribute.name;
            if rule.attributes.iter().all(|known| known.name != name.text) {
                let known = rule.attributes.iter().map(|known| known.name);
                let is_block = rule.blocks.iter().any(|block| block.kind == name.text);
                let help = if is_block {
                    Some(format!(
                        "'{}' is a block here: write `{} {{ … }}` without '='",
                        name.text, name.text
                    ))
                } else {
                    suggest(&name.text, known)
                };
                self.error(format!("{shown} has no attribute '{}'", name.text), &name.span, help);
            }
        }
        for block in body.all_blocks() {
            self.check_head(block, rule, &shown);
        }
        for missing in rule.attributes.iter().filter(|rule| rule.required) {
            if body.attribute(missing.name).is_none() {
                let message = format!("{shown} needs the attribute '{}'", missing.name);
                self.error(message, head, None);
            }
        }
    }

    /// As [`Self::check`], of the body and of every block in it.
    pub fn check_whole(&mut self, body: &Body, rule: &BlockRule, head: &Span) {
        self.check(body, rule, head);
        for block in body.all_blocks() {
            if let Some(rule) = rule.blocks.iter().find(|rule| rule.kind == block.kind.text) {
                self.check_whole(&block.body, rule, &block.kind.span);
            }
        }
    }

    fn check_head(&mut self, block: &Block, rule: &BlockRule, shown: &str) {
        let kind = &block.kind;
        let Some(known) = rule.blocks.iter().find(|known| known.kind == kind.text) else {
            let is_attribute = rule.attributes.iter().any(|a| a.name == kind.text);
            let help = if is_attribute {
                Some(format!("'{}' is an attribute here: write `{} = …`", kind.text, kind.text))
            } else {
                suggest(&kind.text, rule.blocks.iter().map(|known| known.kind))
            };
            self.error(format!("{shown} has no block '{}'", kind.text), &kind.span, help);
            return;
        };
        if block.labels.len() != known.labels.len() {
            let form: String = known.labels.iter().map(|label| format!(" \"{label}\"")).collect();
            let message = format!(
                "a {} block has {}, not {}",
                known.kind,
                text::count(known.labels.len(), "label"),
                block.labels.len()
            );
            self.error(message, &kind.span, Some(format!("write it as `{}{form} {{ … }}`", known.kind)));
        }
    }

    /// The value of an expression; nothing where it is unknown or wrong.
    pub fn eval(&mut self, expr: &Expr) -> Option<Value> {
        match expr.eval(self.scope) {
            Ok(value) if value.is_wholly_known() => Some(value),
            Ok(_) => {
                self.unknown.push(expr.span.clone());
                None
            }
            Err(diagnostic) => {
                self.problems.push(diagnostic);
                None
            }
        }
    }

    fn get<T>(
        &mut self,
        body: &Body,
        name: &str,
        wanted: &str,
        convert: impl FnOnce(&Value) -> Result<T, Option<String>>,
    ) -> Option<T> {
        let attribute = body.attribute(name)?.clone();
        let value = self.eval(&attribute.expr)?;
        if matches!(value, Value::Null) {
            return None;
        }
        match convert(&value) {
            Ok(converted) => Some(converted),
            Err(reason) => {
                let reason =
                    reason.unwrap_or_else(|| format!("'{name}' must be {wanted}, not {}", value.type_name()));
                self.error(reason, &attribute.expr.span, None);
                None
            }
        }
    }

    pub fn string(&mut self, body: &Body, name: &str) -> Option<String> {
        self.get(body, name, "a string", |value| value.as_str().map(str::to_owned).ok_or(None))
    }

    pub fn bool(&mut self, body: &Body, name: &str) -> Option<bool> {
        self.get(body, name, "true or false", |value| value.as_bool().ok_or(None))
    }

    pub fn number(&mut self, body: &Body, name: &str) -> Option<u64> {
        self.get(body, name, "a whole number", |value| whole(value).ok_or(None))
    }

    pub fn duration(&mut self, body: &Body, name: &str) -> Option<Duration> {
        self.get(body, name, "a duration", |value| duration_of(value).map_err(Some))
    }

    pub fn strings(&mut self, body: &Body, name: &str) -> Option<Vec<String>> {
        self.get(body, name, "a list of strings", |value| {
            let json = value.to_json();
            let items = json.as_array().ok_or(None)?;
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(None)).collect()
        })
    }

    /// Strings by name; numbers and booleans are taken as their text.
    pub fn string_map(&mut self, body: &Body, name: &str) -> Option<BTreeMap<String, String>> {
        let values = self.object(body, name)?;
        let text_of = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Some(values.into_iter().map(|(key, value)| (key, text_of(value))).collect())
    }

    pub fn object(&mut self, body: &Body, name: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
        self.get(body, name, "an object", |value| match value.to_json() {
            serde_json::Value::Object(map) => Ok(map),
            _ => Err(None),
        })
    }

    pub fn any(&mut self, body: &Body, name: &str) -> Option<serde_json::Value> {
        self.get(body, name, "a value", |value| Ok(value.to_json()))
    }

    /// The names of `[root.a, root.b]`, or of `["a", "b"]`.
    pub fn names(&mut self, body: &Body, name: &str, root: &str) -> Vec<Ident> {
        let Some(attribute) = body.attribute(name) else { return Vec::new() };
        let help = Some(format!("write it as `{name} = [{root}.first, {root}.second]`"));
        let Some(items) = list_items(&attribute.expr) else {
            let message = format!("'{name}' must be a list of {root}s");
            self.error(message, &attribute.expr.span, help);
            return Vec::new();
        };
        let mut names = Vec::new();
        for item in items {
            if let Some(text) = item.as_plain_string() {
                names.push(Ident { text, span: item.span.clone() });
                continue;
            }
            match item.as_traversal() {
                Some(reference) if reference.root.text == root && reference.path.len() == 1 => {
                    names.extend(reference.path);
                }
                _ => self.error(format!("this is not the name of a {root}"), &item.span, help.clone()),
            }
        }
        names
    }

    /// Evaluates what must be known on loading, so that wrong values are found then.
    pub fn check_values(&mut self, body: &Body, rule: &BlockRule) {
        for attribute in rule.attributes {
            match attribute.r#type {
                Type::String => drop(self.string(body, attribute.name)),
                Type::Bool => drop(self.bool(body, attribute.name)),
                Type::Number => drop(self.number(body, attribute.name)),
                Type::Duration => drop(self.duration(body, attribute.name)),
                Type::Strings => drop(self.strings(body, attribute.name)),
                Type::Object => drop(self.object(body, attribute.name)),
                Type::Any | Type::Names => {}
            }
        }
    }
}

fn whole(value: &Value) -> Option<u64> {
    let number = value.as_f64()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and small"
    )]
    (number >= 0.0 && number.fract() == 0.0 && number < 9e15).then_some(number as u64)
}

fn shown(rule: &BlockRule) -> String {
    if rule.kind.is_empty() { "this file".into() } else { format!("'{}'", rule.kind) }
}

fn suggest<'k>(wanted: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<String> {
    if let Some(near) = text::nearest(wanted, known.clone()) {
        return Some(format!("did you mean '{near}'?"));
    }
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    (!known.is_empty()).then(|| format!("it may have {}", text::list(&known)))
}

/// The items of a list that is written out.
pub fn list_items(expr: &Expr) -> Option<&[Expr]> {
    match &expr.kind {
        ExprKind::Tuple(items) => Some(items),
        ExprKind::Parens(inner) => list_items(inner),
        _ => None,
    }
}

/// The items of an object that is written out, by their plain names.
pub fn object_items(expr: &Expr) -> Option<Vec<(String, &Expr)>> {
    let ExprKind::Object(items) = &expr.kind else { return None };
    let name = |key: &ObjectKey| match key {
        ObjectKey::Name(ident) => Some(ident.text.clone()),
        ObjectKey::Expr(expr) => expr.as_plain_string(),
    };
    items.iter().map(|item| Some((name(&item.key)?, &item.value))).collect()
}
