//! Moves an expression that was read from a piece of a file to its place in the file.

use std::sync::Arc;

use crate::base::{Source, Span};
use crate::hcl::tree::{Expr, ExprKind, Ident, ObjectKey, Part, Step};

impl Expr {
    /// Makes every span in it one of `file`, `by` bytes further on.
    pub fn relocate(&mut self, file: &Arc<Source>, by: usize) {
        let mover = Mover { file, by };
        mover.expr(self);
    }
}

struct Mover<'a> {
    file: &'a Arc<Source>,
    by: usize,
}

impl Mover<'_> {
    fn span(&self, span: &mut Span) {
        *span = Span::new(self.file, span.range.start + self.by..span.range.end + self.by);
    }

    fn ident(&self, ident: &mut Ident) {
        self.span(&mut ident.span);
    }

    fn steps(&self, steps: &mut [Step]) {
        for step in steps {
            match step {
                Step::Name(ident) => self.ident(ident),
                Step::Key(_, span) => self.span(span),
            }
        }
    }

    fn expr(&self, expr: &mut Expr) {
        self.span(&mut expr.span);
        match &mut expr.kind {
            ExprKind::Literal(_) | ExprKind::Item => {}
            ExprKind::Template(parts) => self.parts(parts),
            ExprKind::Tuple(items) => items.iter_mut().for_each(|item| self.expr(item)),
            ExprKind::Object(items) => {
                for item in items {
                    match &mut item.key {
                        ObjectKey::Name(ident) => self.ident(ident),
                        ObjectKey::Expr(key) => self.expr(key),
                    }
                    self.expr(&mut item.value);
                }
            }
            ExprKind::Traversal { root, steps } => {
                self.ident(root);
                self.steps(steps);
            }
            ExprKind::Relative { base, steps } => {
                self.expr(base);
                self.steps(steps);
            }
            ExprKind::Index { base: first, key: second }
            | ExprKind::Splat { base: first, each: second }
            | ExprKind::Binary { left: first, right: second, .. } => {
                self.expr(first);
                self.expr(second);
            }
            ExprKind::Call { name, args, .. } => {
                self.ident(name);
                for arg in args {
                    self.expr(arg);
                }
            }
            ExprKind::Conditional { condition, yes, no } => {
                for part in [condition, yes, no] {
                    self.expr(part);
                }
            }
            ExprKind::Unary { operand: inner, .. } | ExprKind::Parens(inner) => self.expr(inner),
            ExprKind::For(each) => {
                each.key_name.iter_mut().chain([&mut each.value_name]).for_each(|name| self.ident(name));
                for part in [&mut each.over, &mut each.value] {
                    self.expr(part);
                }
                each.key.iter_mut().chain(&mut each.condition).for_each(|part| self.expr(part));
            }
        }
    }

    fn parts(&self, parts: &mut [Part]) {
        for part in parts {
            match part {
                Part::Literal(_, span) => self.span(span),
                Part::Interpolation(expr) => self.expr(expr),
                Part::If { condition, yes, no } => {
                    self.expr(condition);
                    self.parts(yes);
                    self.parts(no);
                }
                Part::For { key_name, value_name, over, body } => {
                    key_name.iter_mut().chain([value_name]).for_each(|name| self.ident(name));
                    self.expr(over);
                    self.parts(body);
                }
            }
        }
    }
}
