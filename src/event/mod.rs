//! What a run tells, as serialisable data that knows nothing of who executes or shows it.
//!
//! One [`Event`] is one JSON line of `--json`; [`VERSION`] changes when a reader of an older version
//! would misunderstand one.

mod kinds;
mod teller;

pub use kinds::{Ending, Event, Line, Mark, StepShown, VERSION, Verdict, What};
pub use teller::Teller;
