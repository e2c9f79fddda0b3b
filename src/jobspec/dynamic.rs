//! `dynamic "kind" { for_each = … content { … } }`: one block for each element.

use crate::base::{Diagnostic, Diagnostics, text};
use crate::hcl::edit::{is_json, is_name};
use crate::hcl::{Block, Expr, ExprKind, Ident, Type, Value, convert};
use crate::jobspec::context::Context;
use crate::jobspec::schema::Struct;
use crate::jobspec::view::{Found, View, block_field, label_count};

/// More blocks than any cluster could run, and few enough for memory.
const MAX_BLOCKS: usize = 100_000;

/// Adds the blocks that `dynamic` stands for to `found`.
pub fn expand<'a>(
    dynamic: &'a Block,
    of: &'static Struct,
    context: &Context<'a>,
    found: &mut Vec<Found<'a>>,
    errors: &mut Diagnostics,
) {
    let before = errors.0.len();
    let [kind] = dynamic.labels.as_slice() else {
        errors.push(
            Diagnostic::error("`dynamic` needs one label, the kind of block it makes")
                .at(&dynamic.kind.span)
                .help("write dynamic \"group\" { … }"),
        );
        return;
    };
    let Some(field) = block_field(kind, of, errors) else { return };
    let labels = label_count(field);
    for attribute in dynamic.body.attributes() {
        let name = attribute.name.text.as_str();
        if !(matches!(name, "for_each" | "iterator") || name == "labels" && labels > 0) {
            errors.push(
                Diagnostic::error(format!("`{name}` means nothing in this `dynamic`"))
                    .at(&attribute.name.span)
                    .help("there are for_each, iterator, labels (of kinds that have any) and content"),
            );
        }
    }
    let mut contents = Vec::new();
    for block in dynamic.body.all_blocks() {
        if block.kind.text == "content" && block.labels.is_empty() {
            contents.push(block);
        } else {
            errors.push(
                Diagnostic::error(format!("`{}` can't stand in a `dynamic`", block.kind.text))
                    .at(&block.kind.span)
                    .help("what the blocks hold goes into content { … }"),
            );
        }
    }
    if contents.len() != 1 {
        errors.push(Diagnostic::error("`dynamic` needs one `content` block").at(&dynamic.kind.span));
    }
    let Some(made) = contents.first() else { return };
    let iterator = iterator_name(dynamic, kind, errors);
    let for_each = dynamic.body.attribute("for_each");
    if for_each.is_none() {
        errors.push(Diagnostic::error("`dynamic` needs `for_each`").at(&dynamic.kind.span));
    }
    let elements = for_each.map(|attribute| elements(&attribute.expr, context, errors)).unwrap_or_default();
    let label_exprs = label_exprs(dynamic, labels, errors);
    if errors.0.len() > before {
        return;
    }
    let Some(for_each) = for_each else { return };
    for (key, value) in elements {
        let context = context.turn(&iterator, key, value, &for_each.expr);
        let Some(labels) = turn_labels(label_exprs, &context, errors) else { return };
        if found.len() >= MAX_BLOCKS {
            errors.push(Diagnostic::error(format!("more than {MAX_BLOCKS} blocks")).at(&dynamic.kind.span));
            return;
        }
        let view = View { body: &made.body, context, header: &kind.span };
        found.push(Found { field, labels, view });
    }
}

fn iterator_name(dynamic: &Block, kind: &Ident, errors: &mut Diagnostics) -> String {
    let Some(attribute) = dynamic.body.attribute("iterator") else { return kind.text.clone() };
    match &attribute.expr.kind {
        ExprKind::Traversal { root, steps } if steps.is_empty() => root.text.clone(),
        // In JSON there is no other way to write a name.
        _ if is_json(&attribute.expr.span.source)
            && attribute.expr.as_plain_string().is_some_and(|name| is_name(&name)) =>
        {
            attribute.expr.as_plain_string().unwrap_or_default()
        }
        _ => {
            errors
                .push(Diagnostic::error("an iterator is one name, without quotes").at(&attribute.expr.span));
            String::new()
        }
    }
}

fn elements(for_each: &Expr, context: &Context<'_>, errors: &mut Diagnostics) -> Vec<(Value, Value)> {
    let value = match for_each.eval(context) {
        Ok(value) => value,
        Err(error) => {
            errors.push(error);
            return Vec::new();
        }
    };
    match &value {
        Value::List(items) | Value::Tuple(items) => {
            items.iter().enumerate().map(|(i, item)| (Value::from(i), item.clone())).collect()
        }
        Value::Set(items) => items.iter().map(|item| (item.clone(), item.clone())).collect(),
        Value::Map(map) | Value::Object(map) => {
            map.iter().map(|(key, item)| (Value::String(key.clone()), item.clone())).collect()
        }
        other => {
            let error = format!("`for_each` needs a list, set, map or object, not {}", other.described());
            errors.push(Diagnostic::error(error).at(&for_each.span));
            Vec::new()
        }
    }
}

/// What gives the labels, which must be there even if no block is made.
fn label_exprs<'a>(dynamic: &'a Block, wanted: usize, errors: &mut Diagnostics) -> &'a [Expr] {
    let Some(attribute) = dynamic.body.attribute("labels") else {
        if wanted > 0 {
            errors.push(
                Diagnostic::error("these blocks have a label, and `labels` is missing")
                    .at(&dynamic.kind.span)
                    .help("write labels = [NAME.value], NAME being the kind of block or the iterator"),
            );
        }
        return &[];
    };
    let ExprKind::Tuple(items) = &attribute.expr.kind else {
        errors.push(Diagnostic::error("`labels` is a list in brackets").at(&attribute.expr.span));
        return &[];
    };
    if items.len() != wanted {
        let error = format!("`labels` needs {}, not {}", text::count(wanted, "element"), items.len());
        errors.push(Diagnostic::error(error).at(&attribute.expr.span));
    }
    items
}

/// The labels of one turn; `None` after an error.
fn turn_labels(exprs: &[Expr], context: &Context<'_>, errors: &mut Diagnostics) -> Option<Vec<Ident>> {
    let mut labels = Vec::new();
    for expr in exprs {
        let value = expr.eval(context).and_then(|value| {
            convert(&value, &Type::String)
                .map_err(|error| Diagnostic::error(format!("as a label, {error}")).at(&expr.span))
        });
        match value {
            Ok(Value::String(text)) => labels.push(Ident { text, span: expr.span.clone() }),
            Ok(_) => {
                errors.push(Diagnostic::error("a label can't be null").at(&expr.span));
                return None;
            }
            Err(error) => {
                errors.push(error);
                return None;
            }
        }
    }
    Some(labels)
}
