//! Operators.

use crate::base::{Diagnostic, Span};
use crate::hcl::eval::env::Evaluated;
use crate::hcl::tree::{Binary, Unary};
use crate::hcl::value::{Number, Type, Value, convert};

pub fn unary(operator: Unary, value: &Value, span: &Span) -> Evaluated {
    Ok(match operator {
        Unary::Negate => match operand(value, &Type::Number, "-", span)? {
            Value::Number(number) => Value::Number(number.negated()),
            other => other,
        },
        Unary::Not => match operand(value, &Type::Bool, "!", span)? {
            Value::Bool(truth) => Value::Bool(!truth),
            other => other,
        },
    })
}

fn operand(value: &Value, to: &Type, symbol: &str, span: &Span) -> Evaluated {
    if value.is_null() {
        return Err(Diagnostic::error(format!("`{symbol}` can't be used on null")).at(span));
    }
    convert(value, to).map_err(|error| Diagnostic::error(format!("for `{symbol}`, {error}")).at(span))
}

/// `spans` are those of the left and right operand and of the whole.
pub fn binary(operator: Binary, left: &Value, right: &Value, spans: [&Span; 3]) -> Evaluated {
    let sign = operator.symbol();
    match operator {
        Binary::Equal | Binary::NotEqual => {
            if !left.is_wholly_known() || !right.is_wholly_known() {
                return Ok(Value::Unknown);
            }
            Ok(Value::Bool((left == right) == (operator == Binary::Equal)))
        }
        Binary::And | Binary::Or => {
            let left = operand(left, &Type::Bool, sign, spans[0])?;
            let right = operand(right, &Type::Bool, sign, spans[1])?;
            let decisive = operator == Binary::Or;
            Ok(match (left.as_bool(), right.as_bool()) {
                (Some(truth), _) | (_, Some(truth)) if truth == decisive => Value::Bool(decisive),
                (Some(_), Some(_)) => Value::Bool(!decisive),
                _ => Value::Unknown,
            })
        }
        _ => {
            let left = operand(left, &Type::Number, sign, spans[0])?;
            let right = operand(right, &Type::Number, sign, spans[1])?;
            let (Some(a), Some(b)) = (left.as_number(), right.as_number()) else {
                return Ok(Value::Unknown);
            };
            arithmetic(operator, a, b)
                .ok_or_else(|| Diagnostic::error(format!("{a} {sign} {b} has no result")).at(spans[2]))
        }
    }
}

fn arithmetic(operator: Binary, a: &Number, b: &Number) -> Option<Value> {
    Some(match operator {
        Binary::Greater => Value::Bool(a > b),
        Binary::GreaterOrEqual => Value::Bool(a >= b),
        Binary::Less => Value::Bool(a < b),
        Binary::LessOrEqual => Value::Bool(a <= b),
        Binary::Add => Value::Number(a.add(b)?),
        Binary::Subtract => Value::Number(a.subtract(b)?),
        Binary::Multiply => Value::Number(a.multiply(b)?),
        Binary::Divide => Value::Number(a.divide(b)?),
        Binary::Modulo => Value::Number(a.modulo(b)?),
        Binary::Or | Binary::And | Binary::Equal | Binary::NotEqual => return None,
    })
}
