//! The way of events to whoever listens.

use std::sync::Arc;

use super::kinds::What;

/// Where events go. Cheap to clone; never blocks for long.
#[derive(Clone)]
pub struct Teller(Arc<dyn Fn(What) + Send + Sync>);

impl Teller {
    pub fn new(sink: impl Fn(What) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Throws everything away.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    pub fn tell(&self, what: What) {
        (self.0)(what);
    }

    pub fn note(&self, text: impl Into<String>) {
        self.tell(What::Note { text: text.into() });
    }

    pub fn warn(&self, text: impl Into<String>) {
        self.tell(What::Warning { text: text.into() });
    }
}
