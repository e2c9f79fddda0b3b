//! Where a value's text was written.
//!
//! There is one evaluator: which branch counts, which element is meant and what the text is are always
//! its own results; here they are only followed back through the tree. What was found is held against
//! the evaluated text, piece by piece: where the two don't agree, the text counts as made there.

mod calls;
mod frame;
mod pieces;
mod stand;

pub use frame::{Frame, Key, Lead, Origins, Place};
pub use pieces::{Literal, Origin, Piece, pieces};
pub use stand::{Stand, stand};
