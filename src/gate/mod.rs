//! Samples and what they say: SQL, HTTP, Prometheus, Nomad and commands, judged by conditions.
//!
//! Five verdicts: pass, not yet, fail, error, no data. No data is never a pass, nor is an error, nor a
//! condition whose value isn't plainly true.

mod judge;
mod probes;

pub use judge::Gatekeeper;
pub use probes::Sample;
