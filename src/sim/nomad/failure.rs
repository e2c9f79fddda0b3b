//! Calls that Nomad refuses: a status and plain text.

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    pub status: u16,
    pub text: String,
}

impl Failure {
    /// What Nomad answers to nearly everything that goes wrong, conflicts included.
    pub fn server(text: impl Into<String>) -> Self {
        Self { status: 500, text: text.into() }
    }

    pub fn request(text: impl Into<String>) -> Self {
        Self { status: 400, text: text.into() }
    }

    pub fn missing(text: impl Into<String>) -> Self {
        Self { status: 404, text: text.into() }
    }
}
