//! Edits of a file by the places of its tree: one range of bytes becomes another text, and every other
//! byte stays.
//!
//! Guarantees: what is written is escaped for the place it stands in, and follows the file's own line
//! ends, indentation and alignment. Does not: look whether the result still means what was wanted; read
//! it again for that.

mod change;
mod encode;
mod insert;
mod json_insert;
mod list;
mod literal;
mod remove;
mod render;
mod units;

pub use change::Change;
pub use insert::{add_attribute, add_block, add_members};
pub use json_insert::add_json_members;
pub use list::replace_elements;
pub use literal::rewrite;
pub use remove::{remove, remove_members};
pub use render::{is_json, is_name, json_text, text};
