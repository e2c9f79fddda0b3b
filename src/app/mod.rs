//! Wires everything together: from a folder and flags to an environment that can be worked on, and from
//! there to runs, rehearsals and what is known of them.

mod downtime;
mod drift;
mod failure;
mod give_up;
mod job;
mod job_files;
mod latch;
mod made;
mod open;
mod patch;
mod plans;
mod preflight;
mod previews;
mod rehearse;
mod runs;
mod sandbox;
mod save;
mod secrets;
mod service;
mod single;
mod status;
mod stopped;
mod validate;

pub use crate::lasting::{Drift, Drifted, How};
pub use crate::step::{OnFailure, Only, ServiceChange, Wanted};
pub use downtime::{Known, last_stop};
pub use drift::drift;
pub use failure::{Code, Failure};
pub use give_up::{GivingUp, give_up, to_give_up};
pub use job::{
    CheckedJobs, Formatted, JobDiff, JobGraph, JobNode, JobOptions, STDIN, Side, Wait, Why, check_jobs,
    format_files, job_diff, job_graph, job_text, read_job,
};
pub use latch::ways_out;
pub use open::{Access, Opened, Options, choose, open, project};
pub use patch::{PatchFile, patch_file, patch_plan};
pub use plans::{Chosen, by_name, by_operation, files as plan_files, inputs_of};
pub use preflight::{JobFit, Preflight, WaveFit, preflight};
pub use rehearse::{Rehearsal, Rehearsed, rehearse};
pub use runs::{
    GuardOverride, Request, Session, abandon, guard_override, preview, preview_made, resume, start,
    start_made,
};
pub use sandbox::SandboxPlace;
pub use save::{Saving, drift_to_save, to_save};
pub use service::{Verb, service_plan};
pub use status::{JobRow, Status, glance, status};
pub use stopped::refuse_stopped;
pub use validate::{Checked, validate};
