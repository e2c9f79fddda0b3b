//! What Nomad's server would refuse when a job is registered, as far as that can be known without one.
//!
//! Guarantees: an error here is one there (Nomad 2.0.5, community edition, its own settings untouched);
//! each says that it is told at register, with the place in the file and what to do. Warnings tell what
//! Nomad takes and then doesn't do as meant, or calls deprecated itself.
//! Does not: tell everything. What hangs on the server's settings (namespaces, node pools, Vault, ACLs,
//! the highest priority), on the nodes (drivers, volumes) or on a licence is not an error here; gateways'
//! listeners and a sidecar task of one's own are not looked into.
//!
//! Rules that no document tells, found by running Nomad:
//! - A group's service may name a port that no network has; a task's may not, and of group networks it
//!   sees only the first.
//! - A volume of another type than host and csi is dropped, and then its mount has no volume.
//! - `ttl` of the identity without a name is refused, `aud` of it ignored.
//! - A restart block in a task is never checked, the group's is.

mod connect;
mod constraint;
mod cron;
mod found;
mod group;
mod job;
mod names;
mod network;
mod node;
mod policies;
mod probe;
mod register;
mod resources;
mod service;
mod task;
mod template;
mod volume;
mod warnings;

pub use register::check;
