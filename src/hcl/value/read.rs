//! Type expressions: `list(string)`.

use std::collections::BTreeMap;

use crate::base::{Diagnostic, text};
use crate::hcl::tree::{Expr, ExprKind, ObjectKey};

use super::Type;

/// Which types may be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TypeRules {
    /// Nomad's: the whole type.
    Exact,
    /// `any` too.
    Any,
    /// Terraform's: `any`, `list` alone and `optional(…)` too.
    Loose,
}

impl Type {
    /// Reads `string`, `list(number)`, `object({ a = bool })` …
    pub fn read(expr: &Expr, as_in: TypeRules) -> Result<Self, Diagnostic> {
        match &expr.kind {
            ExprKind::Traversal { root, steps } if steps.is_empty() => match root.text.as_str() {
                "bool" => Ok(Self::Bool),
                "number" => Ok(Self::Number),
                "string" => Ok(Self::String),
                "any" if as_in != TypeRules::Exact => Ok(Self::Any),
                "any" => Err(Diagnostic::error("the type must be exact: `any` is not allowed")
                    .at(&expr.span)
                    .help("name the type, such as list(string)")),
                "list" if as_in == TypeRules::Loose => Ok(Self::List(Self::Any.into())),
                "map" if as_in == TypeRules::Loose => Ok(Self::Map(Self::Any.into())),
                "list" | "set" | "map" => {
                    let name = &root.text;
                    Err(Diagnostic::error(format!("`{name}` needs the type of its elements"))
                        .at(&expr.span)
                        .help(format!("write {name}(string), for instance")))
                }
                name => Err(unknown(name, expr)),
            },
            ExprKind::Call { name, args, expand: false } => Self::constructed(&name.text, args, expr, as_in),
            _ => {
                let error = Diagnostic::error("this is not a type").at(&expr.span);
                Err(match expr.as_plain_string() {
                    Some(name) => error.help(format!("write {name} without quotes")),
                    None => error.help("types are bool, number, string, list(…), set(…), map(…), …"),
                })
            }
        }
    }

    fn constructed(name: &str, args: &[Expr], expr: &Expr, as_in: TypeRules) -> Result<Self, Diagnostic> {
        if !matches!(name, "list" | "set" | "map" | "tuple" | "object" | "optional") {
            return Err(unknown(name, expr));
        }
        let arg = match args {
            [arg] => arg,
            [arg, _] if name == "optional" && as_in == TypeRules::Loose => arg,
            _ => {
                return Err(Diagnostic::error(format!("`{name}` takes one argument")).at(&expr.span));
            }
        };
        Ok(match (name, &arg.kind) {
            ("list", _) => Self::List(Self::read(arg, as_in)?.into()),
            ("set", _) => Self::Set(Self::read(arg, as_in)?.into()),
            ("map", _) => Self::Map(Self::read(arg, as_in)?.into()),
            ("tuple", ExprKind::Tuple(items)) => {
                Self::Tuple(items.iter().map(|item| Self::read(item, as_in)).collect::<Result<_, _>>()?)
            }
            ("object", ExprKind::Object(items)) => {
                let mut types = BTreeMap::new();
                for item in items {
                    let key = match &item.key {
                        ObjectKey::Name(name) => name.text.clone(),
                        ObjectKey::Expr(key) => key.as_plain_string().ok_or_else(|| {
                            Diagnostic::error("an attribute's name must be constant").at(&key.span)
                        })?,
                    };
                    types.insert(key, Self::read(&item.value, as_in)?);
                }
                Self::Object(types)
            }
            ("optional", _) if as_in == TypeRules::Loose => Self::read(arg, as_in)?,
            _ => {
                let help = match name {
                    "tuple" => "write tuple([string, number])",
                    "object" => "write object({ name = string })",
                    _ => "optional(…) is Terraform's, not Nomad's",
                };
                return Err(Diagnostic::error("this is not a type").at(&expr.span).help(help));
            }
        })
    }
}

fn unknown(name: &str, expr: &Expr) -> Diagnostic {
    let error = Diagnostic::error(format!("there is no type `{name}`")).at(&expr.span);
    match text::nearest(name, ["bool", "number", "string", "list", "set", "map", "tuple", "object"]) {
        Some(near) => error.help(format!("did you mean {near}?")),
        None => {
            error.help("types are bool, number, string, list(…), set(…), map(…), tuple([…]), object({…})")
        }
    }
}
