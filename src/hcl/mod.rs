//! HCL: a spanned tree, values, the evaluator, functions and var files.
//!
//! Guarantees: values and errors are those of HashiCorp's HCL 2 and cty, save where a module's page
//! says otherwise; every error has the place it came from; nothing here panics, recurses without
//! limit, or touches the network; files are read only by functions that a dialect adds. Does not:
//! keep refinements of unknown values, nor marks.

pub mod edit;
mod eval;
mod fmt;
mod functions;
mod json_syntax;
mod parse;
mod references;
mod relocate;
#[cfg(test)]
mod tests;
pub mod trace;
mod tree;
mod value;
mod varfile;

pub use eval::{MAX_WORK, Root, Scope};
pub use fmt::format;
pub use functions::{Functions, base64, json_string};
pub use json_syntax::{Node as JsonNode, NodeKind as JsonNodeKind, parse_node as parse_json};
pub use parse::{MAX_DEPTH, MAX_SIZE, parse, parse_expression, parse_template};
pub use tree::{
    Attribute, Binary, Block, Body, Expr, ExprKind, For, Ident, Item, ObjectItem, ObjectKey, Part, Reference,
    Step, Unary,
};
pub use value::{Number, Type, TypeRules, Value, convert, go_duration, unify};
pub use varfile::{constants, var_file, var_file_body};
