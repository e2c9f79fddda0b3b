//! What holds a run back as a whole, before any of its steps is looked at.

use async_trait::async_trait;

use super::traits::Breach;
use crate::event::Teller;
use crate::journal::Body;

/// Refuses runs that would lose something, and keeps what they change.
#[async_trait]
pub trait Latch: Send + Sync {
    /// Finds out where what runs can be seen, before anything of the run is looked at: what stands there now,
    /// not what the run will bring.
    async fn reach(&self);
    /// Once it is known that there is something to do; says what the person should know of it.
    async fn look(&self, teller: &Teller) -> Result<(), Breach>;
    /// Right after the approval: what may have changed meanwhile is looked at again. What is journaled
    /// before the first step.
    async fn keep(&self) -> Result<Vec<Body>, Breach>;
}
