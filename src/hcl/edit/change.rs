//! What an edit is: bytes for bytes.

use crate::base::Span;

/// One range of bytes and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub span: Span,
    pub new: String,
}

impl Change {
    pub fn new(span: &Span, new: impl Into<String>) -> Self {
        Self { span: span.clone(), new: new.into() }
    }
}
