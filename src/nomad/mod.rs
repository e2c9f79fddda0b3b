//! A client for Nomad's HTTP API: reads, check-and-set writes, and the patience to follow a change
//! until it is healthy or known to have failed.
//!
//! Jobs are untyped JSON from end to end: what a newer server adds to a job survives a change. What
//! is only read (deployments, allocations, evaluations) is typed, and tolerates missing and null fields.

mod advice;
mod capacity;
mod client;
mod compare;
mod diff;
mod error;
mod events;
mod facts;
mod feasible;
mod follow;
mod health;
mod image;
mod judge;
mod observe;
mod packing;
mod placement;
mod read;
mod reference;
mod restarting;
mod stopping;
mod submission;
mod surely;
mod types;
mod verdict;
mod write;

pub use advice::{Advice, GroupAdvice, Offer};
pub use capacity::{Amounts, Capacity, Dimension, Room, asked, asked_by_group};
pub use client::{Access, Client};
pub use compare::{compared, planned_apart};
pub use diff::{DiffLine, SPANS, Sign, canonical, diff_lines, is_unchanged};
pub use error::NomadError;
pub use events::{FailedAllocation, TaskReport};
pub use facts::{
    depends_on, is_idle, is_stopped, job_id, job_modify_index, job_version, kind, specification, version_tag,
    waits_for_dispatch,
};
pub use feasible::Feasible;
pub use follow::{BatchGoal, CLOSING, FollowOptions, follow};
pub use health::{GroupHealth, JobHealth, JobState, TaskImage, health_of};
pub use image::{EditError, ImageChange, Selector, set_image, task_images};
pub use packing::{Ask, Shortage, pack, pack_largest_first};
pub use placement::PlacementFailure;
pub use read::{Indexed, MINIMUM_VERSION, Readiness};
pub use reference::{Reference, flaw as image_flaw};
pub use restarting::{Before, HealthRule, Look, Restarted, follow_restart, is_restarted};
pub use stopping::{Stopped, follow_stop};
pub use types::{
    Allocation, CheckResult, Deployment, DeploymentGroup, DeploymentStatus, Evaluation, JobStub, Node,
    TaskEvent, TaskState,
};
pub use verdict::{Failure, GroupProgress, Progress, Verdict};
pub use write::{Planned, Registered, Submission};
