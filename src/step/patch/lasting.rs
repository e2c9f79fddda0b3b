//! What lasts of a patch, beside what runs: the source that the server keeps with each job.
//!
//! The job files are left as they are; that is said.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};

use super::select::{AT_ONCE, Edited};
use crate::engine::{Context, StepError};
use crate::event::{Line, Mark};
use crate::nomad::{Client, Submission, job_version};
use crate::step::jobs::refused;

/// By job.
#[derive(Debug, Default)]
pub(super) struct Lasting(BTreeMap<String, Sources>);

/// The source as it was, and as it is to be; none where the server keeps none.
#[derive(Debug)]
struct Sources {
    before: Option<Submission>,
    after: Option<Submission>,
}

impl Lasting {
    /// Looks at where the changed values come from.
    pub async fn look(client: &Client, jobs: &[Edited]) -> Result<Self, StepError> {
        let one = |job: Edited| async move {
            let before = client.submission_of(&job.id, job_version(&job.prior)).await?;
            let after = before.as_ref().map(|before| before.after(&job.job, job.images.as_deref()));
            Ok((job.id, Sources { before, after }))
        };
        let found = stream::iter(jobs.to_vec()).map(one).buffer_unordered(AT_ONCE).try_collect().await;
        found.map(Self).map_err(refused)
    }

    /// What is shown of a job beside the server's diff, before it is approved.
    pub fn lines(&self, id: &str) -> Vec<Line> {
        let Some(Sources { before: Some(before), after: Some(after) }) = self.0.get(id) else {
            return Vec::new();
        };
        if before.format == after.format {
            return Vec::new();
        }
        let text = "Nomad's page will show it as JSON: where its source has these values isn't known";
        vec![Line::new(Mark::Plain, 1, text)]
    }

    /// The source to register the changed job with.
    pub fn source(&self, id: &str) -> Option<&Submission> {
        self.0.get(id)?.after.as_ref()
    }

    /// The source to put the job back with.
    pub fn source_before(&self, id: &str) -> Option<&Submission> {
        self.0.get(id)?.before.as_ref()
    }

    /// All jobs are healthy.
    pub fn done(&self, cx: &Context) {
        if self.0.is_empty() {
            return;
        }
        cx.teller.note("the job files don't have this yet: set it there too, or the next start undoes it");
    }
}
