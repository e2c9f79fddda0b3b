//! Free-form blocks: a driver's configuration, a scaling policy, Envoy's options.
//!
//! The table knows nothing of what they hold. Blocks in them count as lists of objects, and so does
//! an attribute that is written as an object; `dynamic` means nothing there.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::base::{Diagnostic, Diagnostics};
use crate::hcl::{Block, Body, Expr, ExprKind, Scope, Value};
use crate::jobspec::view::View;

/// The JSON of a free-form block. What is null at its top level is left out.
pub fn decode(view: &View<'_>, errors: &mut Diagnostics) -> Map<String, Json> {
    let mut map = Map::new();
    for (name, value) in members(view.body, &view.context, errors) {
        if !value.is_null() {
            map.insert(name, json(&value));
        }
    }
    map
}

/// A map of maps or objects counts as the list of them.
fn json(value: &Value) -> Json {
    let is_map = |value: &Value| matches!(value, Value::Map(_) | Value::Object(_));
    match value {
        Value::Map(map) if !map.is_empty() && map.values().all(is_map) => map.values().map(json).collect(),
        Value::Map(map) | Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), json(value))).collect()
        }
        Value::List(items) | Value::Set(items) | Value::Tuple(items) => items.iter().map(json).collect(),
        other => other.to_json(),
    }
}

/// The values of a body by name; a block wins over an attribute of the same name.
fn members(body: &Body, scope: &dyn Scope, errors: &mut Diagnostics) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for attribute in body.attributes() {
        match attribute_value(&attribute.expr, scope) {
            Ok(value) => {
                values.insert(attribute.name.text.clone(), value);
            }
            Err(error) => errors.push(error),
        }
    }
    let mut lists: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for block in body.all_blocks() {
        lists.entry(block.kind.text.clone()).or_default().push(block_value(block, scope, errors));
    }
    values.extend(lists.into_iter().map(|(kind, blocks)| (kind, Value::Tuple(blocks))));
    values
}

fn attribute_value(expr: &Expr, scope: &dyn Scope) -> Result<Value, Diagnostic> {
    let value = expr.eval(scope)?.no_deeper(&expr.span)?;
    if has_infinity(&value) {
        return Err(Diagnostic::error("an infinite number can't be sent to Nomad").at(&expr.span));
    }
    Ok(if matches!(expr.kind, ExprKind::Object(_)) { Value::Tuple(vec![value]) } else { value })
}

fn has_infinity(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_none() && number.as_f64().is_infinite(),
        _ => {
            value.as_list().is_some_and(|items| items.iter().any(has_infinity))
                || value.as_map().is_some_and(|map| map.values().any(has_infinity))
        }
    }
}

fn block_value(block: &Block, scope: &dyn Scope, errors: &mut Diagnostics) -> Value {
    let inner = Value::Object(members(&block.body, scope, errors));
    let labels = block.labels.iter().rev();
    let whole = labels
        .fold(inner, |inner, label| Value::Object([(label.text.clone(), Value::Tuple(vec![inner]))].into()));
    whole.no_deeper(&block.kind.span).unwrap_or_else(|error| {
        errors.push(error);
        Value::Null
    })
}
