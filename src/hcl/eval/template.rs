//! Strings with interpolations and directives.

use crate::base::{Diagnostic, Span};
use crate::hcl::eval::env::{Env, Evaluated};
use crate::hcl::eval::expr::{condition, elements, evaluate};
use crate::hcl::tree::{Expr, Part};
use crate::hcl::value::{Type, Value, convert};

pub fn template(parts: &[Part], span: &Span, env: &Env<'_>) -> Evaluated {
    match parts {
        // One interpolation alone is that value, of whatever type.
        [Part::Interpolation(expr)] => evaluate(expr, env),
        [Part::Literal(text, _)] => Ok(Value::string(text.as_str())),
        _ => Ok(match text(parts, span, env)? {
            Some(text) => Value::string(text),
            None => Value::Unknown,
        }),
    }
}

/// The text of a template; `None` where a part of it is unknown.
fn text(parts: &[Part], span: &Span, env: &Env<'_>) -> Result<Option<String>, Diagnostic> {
    let mut out = Some(String::new());
    for part in parts {
        let piece = match part {
            Part::Literal(text, _) => Some(text.clone()),
            Part::Interpolation(expr) => interpolated(expr, env)?,
            Part::If { condition: test, yes, no } => match condition(test, env, "the condition of `if`")? {
                Some(true) => text(yes, span, env)?,
                Some(false) => text(no, span, env)?,
                None => None,
            },
            Part::For { key_name, value_name, over, body } => {
                let collection = evaluate(over, env)?;
                match elements(&collection, &over.span)? {
                    None => None,
                    Some(items) => {
                        let mut whole = Some(String::new());
                        for (key, value) in items {
                            env.spend(1, &over.span)?;
                            let key = key_name.as_ref().map(|name| (name, key));
                            let piece = env.bind(key, (value_name, value), |env| text(body, span, env))?;
                            append(&mut whole, piece);
                        }
                        whole
                    }
                }
            }
        };
        env.spend(piece.as_ref().map_or(0, |piece| piece.len() / 16), span)?;
        append(&mut out, piece);
    }
    Ok(out)
}

fn append(out: &mut Option<String>, piece: Option<String>) {
    match (out.as_mut(), piece) {
        (Some(text), Some(piece)) => text.push_str(&piece),
        _ => *out = None,
    }
}

fn interpolated(expr: &Expr, env: &Env<'_>) -> Result<Option<String>, Diagnostic> {
    let value = evaluate(expr, env)?;
    match convert(&value, &Type::String) {
        Ok(Value::String(text)) => Ok(Some(text)),
        Ok(Value::Unknown) => Ok(None),
        Ok(_) => Err(Diagnostic::error("null can't be put into a string").at(&expr.span)),
        Err(_) => {
            let error = format!("{} can't be put into a string", value.described());
            Err(Diagnostic::error(error).at(&expr.span).help("use join(\", \", …) or jsonencode(…)"))
        }
    }
}
