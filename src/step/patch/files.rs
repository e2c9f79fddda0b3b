//! A patch of job files alone: Nomad isn't spoken to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::edits::Edited;
use super::lasting::Lasting;
use super::look::{Material, described};
use super::order::After;
use super::select::{Jobs, select};
use super::wanted::Wanted;
use crate::base::{Diagnostics, text};
use crate::engine::{Breach, Context, Outcome, Preview, StepError};
use crate::environment::Environment;
use crate::event::{Line, Mark};
use crate::lasting::{Overlay, job_files, uncommitted};

pub(super) async fn preview(
    cx: &Context,
    environment: &Arc<Environment>,
    wanted: &Wanted,
) -> Result<Preview, StepError> {
    let files = job_files(environment, &Overlay::default())?;
    let unreadable = files.iter().filter_map(|file| file.job.as_ref().err().cloned());
    let jobs: BTreeMap<String, Value> = files
        .iter()
        .filter_map(|file| file.job.as_ref().ok())
        .map(|job| (job.id().to_owned(), job.json.clone()))
        .collect();
    let edited = match select(Jobs::Written(&jobs), &wanted.services, |job| async { Ok(job) }).await {
        Ok(edited) => edited,
        // It may be in one of those.
        Err(error) => return Err(unreadable.reduce(both).map_or(error, StepError::from)),
    };
    let lasting = Lasting::of_files(cx, environment, wanted, edited.iter()).await?;
    let mut lines = described(wanted);
    for Edited { id, .. } in &edited {
        lines.push(Line::new(Mark::Change, 0, text::one_line(id)));
        lines.extend(lasting.lines(id));
    }
    lines.extend(lasting.closing());
    let lost: Vec<String> = edited.iter().flat_map(|job| lasting.lost(&job.id)).collect();
    let summary = match edited.len() {
        _ if !lasting.changes() => "nothing to do: the files have it already".to_owned(),
        n => format!("the files of {} to change; what runs stays as it is", text::count(n, "job")),
    };
    let breach = lasting.breach().or_else(|| {
        let help = "change what can be changed, or write it by hand".to_owned();
        (!lost.is_empty() && !lasting.changes())
            .then(|| Breach { message: lost.join("; "), help: Some(help) })
    });
    let decision = json!({ "lasting": lasting.decision() });
    Ok(Preview {
        lines,
        changes: lasting.changes(),
        breach,
        precondition: json!({
            "jobs": running(wanted, &edited, &lasting),
            "patch": wanted,
            "commit": lasting.meant(),
        }),
        settled: true,
        protects: lasting.protects(),
        material: Some(Box::new(Material {
            jobs: Vec::new(),
            after: After::default(),
            lasting,
            back: false,
        })),
        ..Preview::new(summary, decision)
    })
}

fn both(mut all: Diagnostics, more: Diagnostics) -> Diagnostics {
    all.extend(more);
    all
}

/// The changes of jobs that run so already, and that their files have once all is written.
fn running(wanted: &Wanted, edited: &[Edited], lasting: &Lasting) -> Vec<Value> {
    let of = |job: &Edited| {
        let landing = job.changes.iter().filter(|change| lasting.lands(&job.id, change));
        json!({ "id": job.id, "changes": landing.collect::<Vec<_>>() })
    };
    if wanted.running { edited.iter().map(of).collect() } else { Vec::new() }
}

/// `precondition`: of the preview.
pub(super) async fn execute(
    cx: &Context,
    environment: &Environment,
    lasting: &Lasting,
    precondition: &Value,
) -> Result<Outcome, StepError> {
    let written = lasting.write(cx, |_| true).await;
    let mut jobs = precondition["jobs"].clone();
    let outcome = if written.files.is_empty() && written.error.is_some() { "not_begun" } else { "done" };
    for job in jobs.as_array_mut().into_iter().flatten() {
        job["outcome"] = outcome.into();
    }
    let mut evidence = json!({ "jobs": jobs });
    written.record(&mut evidence);
    if let Some(error) = written.error {
        return Err(StepError { evidence, ..error });
    }
    if !written.files.is_empty() {
        let mut open = uncommitted(environment).await;
        open.retain(|name| written.files.contains(name));
        if !open.is_empty() {
            cx.teller.warn(format!("not committed yet: {}", text::list(&open)));
        }
    }
    let summary = match written.files.len() {
        0 => "the files had it already".to_owned(),
        n => format!("{} written", text::count(n, "file")),
    };
    Ok(Outcome { summary, evidence, output: Value::Null })
}
