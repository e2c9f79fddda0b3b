//! How a run begins: the yes to what was shown, and the first records.

use super::approval::{Answer, Question};
use super::decision::Decision;
use super::dispatch;
use super::explain::decision_changes;
use super::look::Looked;
use super::run::{Approval, Finished, Resume, Run, end};
use crate::event::{Ending, What};
use crate::journal::{self, Body, JournalError};
use crate::plan::Operation;

/// Journals the start of a new run.
pub(super) fn start(run: &Run) -> Result<(), JournalError> {
    let Resume::New { downtime } = &run.resume else { return Ok(()) };
    run.append(&Body::RunStarted {
        format: journal::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        plan: run.plan.name.clone(),
        operation: run.plan.operation.map(|operation| operation.name().to_owned()),
        plan_hash: run.plan_hash.clone(),
        inputs: run.inputs.clone(),
        downtime: *downtime,
        who: run.who.clone(),
        root: run.root.clone(),
    })
}

/// What a run that isn't approved leaves: one that is gone on with may have changed something before.
fn left(run: &Run) -> String {
    let state = run.state();
    // What was cut off may have begun, whatever a look found of it afterwards.
    let cut_off = state.intents.values().flatten().any(|intent| intent.evidence.is_none());
    if !state.may_have_changed() && !cut_off {
        return "nothing was changed".to_owned();
    }
    match run.progress().0.as_slice() {
        [] => "nothing more was changed, but this run had begun to change something before".to_owned(),
        done => format!("nothing more was changed; done before: {}", crate::base::text::list(done)),
    }
}

/// Gets the yes, and journals the run's start with it.
pub(super) async fn approve(run: &Run, looked: &Looked, approval: Approval) -> Result<(), Finished> {
    let resumed = matches!(run.resume, Resume::Of(_));
    let Decision { document, digest } = looked.decision.clone();
    let mut also: Vec<String> = looked.previews.values().flat_map(|p| p.protects.clone()).collect();
    also.sort();
    also.dedup();
    let failed = |error: JournalError| Finished::journal(run, &error);
    let denied = |summary: String, help: Option<String>| {
        let next = resumed.then(|| run.next.clone());
        Finished { help, next, ..Finished::nothing_done(run, Ending::Denied, summary) }
    };
    let answer = match approval {
        Approval::Yes if !also.is_empty() => {
            if resumed {
                run.append(&Body::RunPaused { reason: "--yes is not enough".into() }).map_err(failed)?;
            }
            let summary = format!(
                "--yes is not enough: this changes files of {}, which {} protected; {}",
                crate::base::text::list(&also),
                if also.len() == 1 { "is" } else { "are" },
                left(run)
            );
            let sparing = looked.previews.values().find_map(|preview| preview.sparing);
            let sparing = sparing.map(|way| format!("; {way}")).unwrap_or_default();
            let help =
                format!("give --approve {digest} in its place, or run it in a terminal without it{sparing}");
            return Err(denied(summary, Some(help)));
        }
        Approval::Yes => Answer::Yes { who: run.who.clone(), how: "--yes".into() },
        Approval::Digest { given, .. } if given == digest => {
            Answer::Yes { who: run.who.clone(), how: "--approve".into() }
        }
        Approval::Digest { given, old } => {
            if resumed {
                run.append(&Body::RunPaused { reason: "the approval is stale".into() }).map_err(failed)?;
            }
            let changed = match old.map(|old| decision_changes(&old, &document)) {
                Some(list) if !list.is_empty() => format!("since then: {}", list.join("; ")),
                _ => "what it was the digest of is not known here".to_owned(),
            };
            let summary = format!("the approval {given} is not for this decision ({digest}); {changed}");
            let help = format!("look at what would be done now, and approve it with --approve {digest}");
            return Err(denied(summary, Some(help)));
        }
        Approval::Ask => {
            let question = Question::Approve {
                digest: digest.clone(),
                environment: run.environment.clone(),
                protected: run.protected,
                also,
                what: match run
                    .plan
                    .description
                    .as_ref()
                    .filter(|_| run.plan.operation == Some(Operation::Patch))
                {
                    Some(description) => format!("run {} ({description})", run.plan.name),
                    None => format!("run {}", run.plan.name),
                },
            };
            run.approver.ask(&question).await
        }
    };
    match answer {
        Answer::Yes { who, how } => {
            start(run).map_err(failed)?;
            run.append(&Body::Approved { digest, who: who.clone(), how: how.clone() }).map_err(failed)?;
            run.teller.tell(What::Approved { who, how });
            Ok(())
        }
        Answer::No { who } => {
            start(run).map_err(failed)?;
            run.append(&Body::Denied { digest, who: who.clone() }).map_err(failed)?;
            let (said, last) = if resumed {
                let said = dispatch::withdraw(run).await.map_err(|stop| end(run, Err(stop)))?;
                (said, Body::RunPaused { reason: "not approved".into() })
            } else {
                (None, Body::RunAbandoned { who })
            };
            run.append(&last).map_err(failed)?;
            let left = said.unwrap_or_else(|| left(run));
            Err(denied(format!("not approved; {left}"), None))
        }
        Answer::Wait | Answer::Nobody => {
            if resumed {
                run.append(&Body::RunPaused { reason: "nobody to approve".into() }).map_err(failed)?;
            }
            let how = if run.protected { "" } else { "--yes, or " };
            let help = format!("run it in a terminal, or give {how}--approve {digest}");
            let summary = format!("this needs an approval, and nobody is there to ask; {}", left(run));
            Err(denied(summary, Some(help)))
        }
    }
}
