//! Types that a value alone doesn't tell: of null, and of lists and maps without elements.
//!
//! Guarantees: what a scope declares, and what `convert` names, is known through parentheses, steps
//! and conditionals. Does not: follow types through other functions, `for` or splats; there, null and
//! what is empty is of no settled type.

use std::cell::Cell;

use crate::hcl::eval::env::Env;
use crate::hcl::eval::scope::Scope;
use crate::hcl::tree::{Expr, ExprKind, Step};
use crate::hcl::value::{Type, TypeRules, Value, unify};

impl Expr {
    /// The type of this expression where it has this value in a scope.
    pub fn type_in(&self, value: &Value, scope: &dyn Scope) -> Type {
        type_of(self, value, &Env::new(scope, &Cell::new(0)))
    }
}

/// The type of an expression that has this value.
pub fn type_of(expr: &Expr, value: &Value, env: &Env<'_>) -> Type {
    let known = Type::of(value);
    if is_settled(&known) { known } else { declared(expr, env).unwrap_or(known) }
}

fn is_settled(of: &Type) -> bool {
    match of {
        Type::Any => false,
        Type::Bool | Type::Number | Type::String => true,
        Type::List(of) | Type::Set(of) | Type::Map(of) => is_settled(of),
        Type::Tuple(all) => all.iter().all(is_settled),
        Type::Object(all) => all.values().all(is_settled),
    }
}

/// What is written about the type of an expression.
fn declared(expr: &Expr, env: &Env<'_>) -> Option<Type> {
    match &expr.kind {
        ExprKind::Parens(inner) => declared(inner, env),
        ExprKind::Traversal { root, steps } if env.lookup(&root.text).is_none() => {
            let (Step::Name(name), rest) = steps.split_first()? else { return None };
            let of = env.scope.declared(&root.text, &name.text)?;
            rest.iter().try_fold(of, inner).cloned()
        }
        ExprKind::Conditional { yes, no, .. } => unify(&[declared(yes, env)?, declared(no, env)?]),
        ExprKind::Call { name, args, expand: false } if name.text == "convert" => {
            Type::read(args.get(1)?, TypeRules::Any).ok()
        }
        _ => None,
    }
}

fn inner<'t>(of: &'t Type, step: &Step) -> Option<&'t Type> {
    match (of, step) {
        (Type::Object(all), Step::Name(name)) => all.get(&name.text),
        (Type::Object(all), Step::Key(Value::String(name), _)) => all.get(name),
        (Type::Map(of) | Type::List(of), _) => Some(of),
        (Type::Tuple(all), Step::Key(Value::Number(at), _)) => all.get(usize::try_from(at.as_u64()?).ok()?),
        _ => None,
    }
}
