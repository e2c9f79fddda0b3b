//! The evaluator itself.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::base::{Diagnostic, Span, text};
use crate::hcl::eval::env::{Env, Evaluated};
use crate::hcl::eval::scope::{Root, Scope};
use crate::hcl::eval::typing::type_of;
use crate::hcl::eval::{access, operators, template};
use crate::hcl::functions::call;
use crate::hcl::tree::{Expr, ExprKind, For, Ident, ObjectItem, ObjectKey};
use crate::hcl::value::{Type, Value, convert, unify};

impl Expr {
    /// Its value in `scope`.
    pub fn eval(&self, scope: &dyn Scope) -> Result<Value, Diagnostic> {
        let own = Cell::new(0);
        evaluate(self, &Env::new(scope, scope.work().unwrap_or(&own)))
    }
}

pub fn evaluate(expr: &Expr, env: &Env<'_>) -> Evaluated {
    env.spend(1, &expr.span)?;
    match &expr.kind {
        ExprKind::Literal(value) => Ok(value.clone()),
        ExprKind::Parens(inner) => evaluate(inner, env),
        ExprKind::Template(parts) => template::template(parts, &expr.span, env),
        ExprKind::Tuple(items) => {
            items.iter().map(|item| evaluate(item, env)).collect::<Result<_, _>>().map(Value::Tuple)
        }
        ExprKind::Object(items) => object(items, env),
        ExprKind::Traversal { root, steps } => {
            if let Some(value) = env.lookup(&root.text).or_else(|| env.scope.root_ref(&root.text)) {
                return copied(access::steps(value, steps)?, &expr.span, env);
            }
            match env.scope.root(&root.text) {
                Root::Value(value) if steps.is_empty() => Ok(value),
                Root::Value(value) => copied(access::steps(&value, steps)?, &expr.span, env),
                Root::KeepText => kept_text(&expr.span, env),
                Root::Missing => Err(unknown_root(root, env)),
            }
        }
        ExprKind::Relative { base, steps } => {
            copied(access::steps(&evaluate(base, env)?, steps)?, &expr.span, env)
        }
        ExprKind::Index { base, key } => {
            let value = evaluate(base, env)?;
            access::element(&value, &evaluate(key, env)?, &key.span).cloned()
        }
        ExprKind::Splat { base, each } => splat(base, each, env),
        ExprKind::Item => env.item.map_or(Ok(Value::Null), |item| copied(item, &expr.span, env)),
        ExprKind::Call { name, args, expand } => call(name, args, *expand, &expr.span, env),
        ExprKind::Conditional { condition, yes, no } => conditional(condition, yes, no, &expr.span, env),
        ExprKind::Unary { operator, operand } => {
            operators::unary(*operator, &evaluate(operand, env)?, &operand.span)
        }
        ExprKind::Binary { .. } => chain(expr, env),
        ExprKind::For(each) => for_expr(each, env),
    }
}

fn copied(value: &Value, span: &Span, env: &Env<'_>) -> Evaluated {
    env.spend(value.weight(), span)?;
    Ok(value.clone())
}

/// Operators in a row lean to the left: they are walked in a loop, not by recursion.
fn chain(expr: &Expr, env: &Env<'_>) -> Evaluated {
    let mut pending = Vec::new();
    let mut first = expr;
    while let ExprKind::Binary { operator, left, right } = &first.kind {
        pending.push((*operator, left, right, &first.span));
        first = left;
    }
    let mut value = evaluate(first, env)?;
    for (operator, left, right, span) in pending.into_iter().rev() {
        env.spend(1, span)?;
        let other = evaluate(right, env)?;
        value = operators::binary(operator, &value, &other, [&left.span, &right.span, span])?;
    }
    Ok(value)
}

fn unknown_root(root: &Ident, env: &Env<'_>) -> Diagnostic {
    let names = env.scope.root_names();
    let error = Diagnostic::error(format!("there is no `{}` here", root.text)).at(&root.span);
    match text::nearest(&root.text, names.iter().map(String::as_str)) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if names.is_empty() => {
            error.help("only constants can stand here; text needs double quotes around it")
        }
        None => error.help(format!("there are {}; text needs double quotes around it", text::list(&names))),
    }
}

/// A traversal as it stands in the file, `${…}` around it, as Nomad keeps it for its agents: with the
/// blanks inside the braces where it was interpolated. Of closing braces that follow its own, with
/// nothing but blanks between, Nomad has always repeated those before the last; so does this.
fn kept_text(span: &Span, env: &Env<'_>) -> Evaluated {
    let file = span.source.text.as_bytes();
    let end = span.range.end.min(file.len());
    let start = span.range.start.min(end);
    let mut open = start;
    while open > 0 && file[open - 1] == b' ' {
        open -= 1;
    }
    let mut text = Vec::new();
    if file[..open].ends_with(b"${") {
        text.extend_from_slice(&file[open - 2..end]);
        for (at, byte) in file.iter().enumerate().skip(end + 1) {
            match byte {
                b'}' => {
                    env.spend(1 + (at - end) / 16, span)?;
                    text.extend_from_slice(&file[end..at]);
                }
                b' ' => {}
                _ => {
                    text.push(b'}');
                    break;
                }
            }
        }
    } else {
        text.extend_from_slice(b"${");
        text.extend_from_slice(&file[start..end]);
        text.push(b'}');
    }
    Ok(Value::string(String::from_utf8_lossy(&text)))
}

fn object(items: &[ObjectItem], env: &Env<'_>) -> Evaluated {
    let mut map = BTreeMap::new();
    let mut known = true;
    for item in items {
        let value = evaluate(&item.value, env)?;
        let key = match &item.key {
            ObjectKey::Name(ident) => Value::string(ident.text.as_str()),
            // Refused only here: within `try` or `can` it may be written.
            ObjectKey::Expr(expr) if matches!(expr.kind, ExprKind::Traversal { .. }) => {
                return Err(Diagnostic::error("a key can't be a reference")
                    .at(&expr.span)
                    .help("put it in parentheses to use its value, or in quotes to use its text"));
            }
            ObjectKey::Expr(expr) => key(&evaluate(expr, env)?, &expr.span)?,
        };
        match key {
            Value::String(key) => {
                map.insert(key, value);
            }
            _ => known = false,
        }
    }
    Ok(if known { Value::Object(map) } else { Value::Unknown })
}

/// A value as the key of an object: a string or unknown.
fn key(value: &Value, span: &Span) -> Evaluated {
    if value.is_null() {
        return Err(Diagnostic::error("a key can't be null").at(span));
    }
    convert(value, &Type::String).map_err(|error| Diagnostic::error(format!("as a key, {error}")).at(span))
}

fn splat(base: &Expr, each: &Expr, env: &Env<'_>) -> Evaluated {
    let source = evaluate(base, env)?;
    let one = [source];
    let items = match &one[0] {
        Value::Unknown => return Ok(Value::Unknown),
        Value::Null => return Ok(Value::Tuple(Vec::new())),
        Value::List(items) | Value::Set(items) | Value::Tuple(items) => items.as_slice(),
        // What isn't a list counts as a list of one.
        _ => &one,
    };
    let values: Vec<Value> = items
        .iter()
        .map(|item| evaluate(each, &Env { item: Some(item), ..*env }))
        .collect::<Result<_, _>>()?;
    Ok(match &one[0] {
        Value::List(_) | Value::Set(_) => Value::List(values),
        _ => Value::Tuple(values),
    })
}

/// A condition's truth; `None` where it is unknown.
pub fn condition(expr: &Expr, env: &Env<'_>, what: &str) -> Result<Option<bool>, Diagnostic> {
    let value = evaluate(expr, env)?;
    truth(&value, &expr.span, what)
}

pub fn truth(value: &Value, span: &Span, what: &str) -> Result<Option<bool>, Diagnostic> {
    match convert(value, &Type::Bool) {
        Ok(Value::Bool(truth)) => Ok(Some(truth)),
        Ok(Value::Unknown) => Ok(None),
        Ok(_) => Err(Diagnostic::error(format!("{what} is null")).at(span)),
        Err(error) => Err(Diagnostic::error(format!("for {what}, {error}")).at(span)),
    }
}

/// Both branches count for the type of the result; only the chosen one may fail.
fn conditional(test: &Expr, yes: &Expr, no: &Expr, span: &Span, env: &Env<'_>) -> Evaluated {
    let truth = condition(test, env, "the condition")?;
    let (yes_value, no_value) = (evaluate(yes, env), evaluate(no, env));
    let (chosen, other, exprs) = match truth {
        None => return Ok(Value::Unknown),
        Some(true) => (yes_value?, no_value, [yes, no]),
        Some(false) => (no_value?, yes_value, [no, yes]),
    };
    let Ok(other) = other else { return Ok(chosen) };
    match unify(&[type_of(exprs[0], &chosen, env), type_of(exprs[1], &other, env)]) {
        Some(of) => convert(&chosen, &of)
            .map_err(|error| Diagnostic::error(format!("for the result, {error}")).at(span)),
        None => Err(Diagnostic::error(format!(
            "both results of a conditional must be of one type, and these are {} and {}",
            chosen.described(),
            other.described()
        ))
        .at(span)),
    }
}

/// Keys and values in order; `None` where the collection is unknown.
pub fn elements(collection: &Value, span: &Span) -> Result<Option<Vec<(Value, Value)>>, Diagnostic> {
    Ok(Some(match collection {
        Value::Unknown => return Ok(None),
        Value::List(items) | Value::Tuple(items) => {
            items.iter().enumerate().map(|(i, item)| (Value::from(i), item.clone())).collect()
        }
        Value::Set(items) => items.iter().map(|item| (item.clone(), item.clone())).collect(),
        Value::Map(map) | Value::Object(map) => {
            map.iter().map(|(key, item)| (Value::String(key.clone()), item.clone())).collect()
        }
        other => {
            let error = format!("`for` needs a list, set, map or object, not {}", other.described());
            return Err(Diagnostic::error(error).at(span));
        }
    }))
}

fn for_expr(each: &For, env: &Env<'_>) -> Evaluated {
    let collection = evaluate(&each.over, env)?;
    let Some(items) = elements(&collection, &each.over.span)? else { return Ok(Value::Unknown) };
    let mut list = Vec::new();
    let mut object: BTreeMap<String, Value> = BTreeMap::new();
    let mut known = true;
    for (name, value) in items {
        env.spend(1, &each.over.span)?;
        let name = each.key_name.as_ref().map(|ident| (ident, name));
        env.bind(name, (&each.value_name, value), |env| {
            if let Some(test) = &each.condition {
                match condition(test, env, "the condition of `for`")? {
                    Some(true) => {}
                    Some(false) => return Ok(()),
                    None => {
                        known = false;
                        return Ok(());
                    }
                }
            }
            let Some(key_expr) = &each.key else {
                list.push(evaluate(&each.value, env)?);
                return Ok(());
            };
            let Value::String(key) = key(&evaluate(key_expr, env)?, &key_expr.span)? else {
                known = false;
                return Ok(());
            };
            let value = evaluate(&each.value, env)?;
            if each.group {
                if let Value::Tuple(values) = object.entry(key).or_insert_with(|| Value::Tuple(Vec::new())) {
                    values.push(value);
                }
            } else if object.insert(key.clone(), value).is_some() {
                return Err(Diagnostic::error(format!("two elements have the key {key:?}"))
                    .at(&key_expr.span)
                    .help("put `...` after the value to collect the values of each key"));
            }
            Ok(())
        })?;
    }
    Ok(match (known, &each.key) {
        (false, _) => Value::Unknown,
        (true, Some(_)) => Value::Object(object),
        (true, None) => Value::Tuple(list),
    })
}
