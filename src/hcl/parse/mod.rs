//! The reader of HCL's native syntax, by recursive descent over the text itself.

mod body;
mod constructor;
mod cursor;
mod expr;
mod template;

pub use body::{MAX_SIZE, parse};
pub use cursor::MAX_DEPTH;
pub use cursor::{Cursor, continues_name, starts_name};
pub use expr::parse_expression;
pub use template::parse_template;
