//! What every other module may use: time, secrets, diagnostics, text, ids, paths and threads.

pub mod clock;
pub mod diagnostic;
pub mod ids;
pub mod paths;
pub mod secret;
pub mod text;
pub mod threads;

pub use clock::Clock;
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Source, Span};
pub use ids::RunId;
pub use secret::Secrets;
