//! Which roots an expression reads.

use crate::base::Span;
use crate::hcl::Value;
use crate::hcl::tree::{Expr, ExprKind, Ident, ObjectKey, Part, Reference, Step};

impl Expr {
    /// Every absolute traversal in it whose root isn't a `for` variable, in the order of the text.
    pub fn references(&self) -> Vec<Reference> {
        let mut found = Vec::new();
        collect(self, &mut Vec::new(), &mut found);
        found
    }

    /// The traversal that is the whole expression, such as `step.types`.
    pub fn as_traversal(&self) -> Option<Reference> {
        match &self.kind {
            ExprKind::Traversal { root, steps } if steps.iter().all(is_name) => {
                Some(reference(root, steps, &self.span))
            }
            ExprKind::Parens(inner) => inner.as_traversal(),
            _ => None,
        }
    }

    /// The text of a plain string without interpolation.
    pub fn as_plain_string(&self) -> Option<String> {
        match &self.kind {
            ExprKind::Template(parts) => match parts.as_slice() {
                [] => Some(String::new()),
                [Part::Literal(text, _)] => Some(text.clone()),
                _ => None,
            },
            ExprKind::Literal(Value::String(text)) => Some(text.clone()),
            _ => None,
        }
    }
}

fn is_name(step: &Step) -> bool {
    matches!(step, Step::Name(_) | Step::Key(Value::String(_), _))
}

fn reference(root: &Ident, steps: &[Step], span: &Span) -> Reference {
    let path = steps
        .iter()
        .map_while(|step| match step {
            Step::Name(ident) => Some(ident.clone()),
            Step::Key(Value::String(text), span) => Some(Ident { text: text.clone(), span: span.clone() }),
            Step::Key(..) => None,
        })
        .collect();
    Reference { root: root.clone(), path, span: span.clone() }
}

fn collect(expr: &Expr, bound: &mut Vec<String>, found: &mut Vec<Reference>) {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Item => {}
        ExprKind::Template(parts) => collect_parts(parts, bound, found),
        ExprKind::Tuple(items) | ExprKind::Call { args: items, .. } => {
            for item in items {
                collect(item, bound, found);
            }
        }
        ExprKind::Object(items) => {
            for item in items {
                if let ObjectKey::Expr(key) = &item.key {
                    collect(key, bound, found);
                }
                collect(&item.value, bound, found);
            }
        }
        ExprKind::Traversal { root, steps } => {
            if !bound.contains(&root.text) {
                found.push(reference(root, steps, &expr.span));
            }
        }
        ExprKind::Relative { base, .. } => collect(base, bound, found),
        ExprKind::Index { base: first, key: second }
        | ExprKind::Splat { base: first, each: second }
        | ExprKind::Binary { left: first, right: second, .. } => {
            collect(first, bound, found);
            collect(second, bound, found);
        }
        ExprKind::Conditional { condition, yes, no } => {
            for part in [condition, yes, no] {
                collect(part, bound, found);
            }
        }
        ExprKind::Unary { operand: inner, .. } | ExprKind::Parens(inner) => collect(inner, bound, found),
        ExprKind::For(each) => {
            collect(&each.over, bound, found);
            let before = bound.len();
            bound.extend(each.key_name.iter().chain([&each.value_name]).map(|ident| ident.text.clone()));
            for part in each.key.iter().chain([&each.value]).chain(&each.condition) {
                collect(part, bound, found);
            }
            bound.truncate(before);
        }
    }
}

fn collect_parts(parts: &[Part], bound: &mut Vec<String>, found: &mut Vec<Reference>) {
    for part in parts {
        match part {
            Part::Literal(..) => {}
            Part::Interpolation(expr) => collect(expr, bound, found),
            Part::If { condition, yes, no } => {
                collect(condition, bound, found);
                collect_parts(yes, bound, found);
                collect_parts(no, bound, found);
            }
            Part::For { key_name, value_name, over, body } => {
                collect(over, bound, found);
                let before = bound.len();
                bound.extend(key_name.iter().chain([value_name]).map(|ident| ident.text.clone()));
                collect_parts(body, bound, found);
                bound.truncate(before);
            }
        }
    }
}
