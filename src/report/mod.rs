//! Everything that is shown: to people as prose, progress and tables, to machines as JSON lines.
//!
//! Guarantees: nothing printed here holds a control character that came from outside, or a secret
//! that [`crate::base::Secrets`] knows; a closed pipe never ends the program; off a terminal there is
//! no colour, no cursor control, and no line is cut. Does not: decide anything, or know who tells the
//! events. This is the only module that knows indicatif.

mod board;
mod gates;
mod live;
mod options;
mod page;
mod problems;
mod prose;
mod reporter;
mod steps;
mod styled;
mod table;

pub use board::{Board, Row};
pub use options::Options;
pub use page::Page;
pub use problems::{diagnostics, diagnostics_json};
pub use prose::Prose;
pub use reporter::{Held, Reporter};
pub use styled::{Role, Styled};
pub use table::Table;
