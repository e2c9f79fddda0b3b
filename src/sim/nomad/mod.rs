//! A Nomad cluster as its HTTP API shows it.

mod admission;
mod canonical;
mod checks;
mod client;
mod cluster;
mod deployment;
mod diff;
mod evaluate;
mod failure;
mod fate;
mod implied;
mod launch;
mod lists;
mod nodes;
mod placement;
mod plan;
mod reconcile;
mod records;
mod register;
pub mod routes;
mod value;
mod writes;

pub use canonical::job as canonical_job;
pub use cluster::Cluster;
pub use diff::jobs as job_diff;
pub use nodes::NodeSize;
