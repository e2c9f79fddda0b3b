//! Values and their types.

mod convert;
mod digits;
mod duration;
mod json;
mod number;
mod read;
mod types;
mod values;

pub use convert::{convert, unify};
pub use duration::parse as go_duration;
pub use number::Number;
pub use read::TypeRules;
pub use types::Type;
pub use values::Value;
