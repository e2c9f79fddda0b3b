//! One step: look again, hold it against what was approved, journal the intent, act, journal the outcome.

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::approval::{Answer, Question};
use super::decision::digest_of;
use super::dispatch::{Request, append};
use super::run::Run;
use super::traits::{Context, Horizon, Preview, StepError, Touched};
use super::wave::{Shelf, Stop};
use crate::event::{StepShown, What};
use crate::journal::{Body, StepStatus};
use crate::plan::{StepSpec, Wave};

pub(super) async fn run_step(
    run: &Run,
    wave: &Wave,
    spec: &StepSpec,
    shelf: &Shelf,
    requests: &mpsc::UnboundedSender<Request>,
) -> Result<(), Stop> {
    let began = run.clock.now();
    // What the last attempt left, where there is to be another.
    let mut left: Option<StepError> = None;
    loop {
        let cx = run.context(&spec.name, Some(requests.clone()));
        let ended = match ready(run, wave, spec, shelf, &cx).await {
            Ok(preview) => carry_out(run, wave, spec, &cx, preview, requests, began).await?,
            Err(refusal) => {
                let words = withdraw(run, wave, spec, left.as_ref(), requests, began).await?;
                match refusal {
                    Refusal::Stop(stop) => return Err(stop.and(words)),
                    Refusal::Error(error) => return Err(told(run, spec, began, error).and(words)),
                }
            }
        };
        let Err(error) = ended else { return Ok(()) };
        if !error.again {
            return Err(told(run, spec, began, error));
        }
        if run.halted() {
            let words = withdraw(run, wave, spec, None, requests, began).await?;
            return Err(told(run, spec, began, error).and(words));
        }
        run.teller.warn(format!("{}: {}", spec.name, chain(&error)));
        // One that did nothing says nothing of what those before it did.
        if left.is_none() || error.touched != Touched::Nothing {
            left = Some(error);
        }
    }
}

/// Says that a step failed.
fn told(run: &Run, spec: &StepSpec, began: Timestamp, error: StepError) -> Stop {
    let text = chain(&error);
    let seconds = run.clock.now().duration_since(began).as_secs_f64();
    let pressed = *run.interrupts.borrow();
    let interrupted = error.interrupted || (error.again && pressed > 0);
    run.teller.tell(What::StepFailed { step: spec.name.clone(), error: text.clone(), seconds, interrupted });
    if interrupted || pressed >= 2 {
        return Stop::Interrupted;
    }
    if error.denied {
        return Stop::Denied { what: error.message };
    }
    let (help, diagnostics) = (error.help, error.diagnostics);
    if error.waits {
        return Stop::Waits { what: spec.name.clone(), error: text, help };
    }
    Stop::Failed { what: spec.name.clone(), error: text, help, diagnostics }
}

/// There won't be another attempt: has the step put back what earlier ones of it changed, where it is to.
/// What is to be said of that, or else of what they left.
pub(super) async fn withdraw(
    run: &Run,
    wave: &Wave,
    spec: &StepSpec,
    left: Option<&StepError>,
    requests: &mpsc::UnboundedSender<Request>,
    began: Timestamp,
) -> Result<Option<String>, Stop> {
    let left = left.filter(|error| error.touched != Touched::Nothing).map(chain);
    // Ctrl-C ends nothing: the run can be gone on with.
    if !matches!(run.status_of(&spec.name), StepStatus::Failed(_)) || *run.interrupts.borrow() > 0 {
        return Ok(left);
    }
    let cx = run.context(&spec.name, Some(requests.clone()));
    match run.step(&spec.name).withdrawal(&cx).await {
        Ok(None) => Ok(left),
        Ok(Some(preview)) => {
            let ended = carry_out(run, wave, spec, &cx, preview, requests, began).await?;
            Ok(ended.err().map(|error| chain(&error)).or(left))
        }
        Err(error) => {
            let why = format!("it is NOT put back: {}", chain(&error));
            Ok(Some(left.map_or_else(|| why.clone(), |left| format!("{left}\n{why}"))))
        }
    }
}

/// Journals the intent, acts, journals the outcome: the outer error ends the wave as it is, the inner one is the
/// step's own, journaled.
async fn carry_out(
    run: &Run,
    wave: &Wave,
    spec: &StepSpec,
    cx: &Context,
    preview: Preview,
    requests: &mpsc::UnboundedSender<Request>,
    began: Timestamp,
) -> Result<Result<(), StepError>, Stop> {
    let took = || run.clock.now().duration_since(began).as_secs_f64();
    let changes = preview.changes;
    let (step, attempt) = (spec.name.clone(), cx.attempt);
    if changes {
        let (kind, summary) = (spec.kind.name().to_owned(), preview.summary.clone());
        run.teller.tell(What::StepStarted { wave: wave.name.clone(), step: step.clone(), kind, summary });
    }
    let intent = Body::StepIntended {
        wave: wave.name.clone(),
        step: step.clone(),
        attempt,
        digest: digest_of(&run.sealed(&preview.decision)),
        who: run.who.clone(),
        precondition: preview.precondition.clone(),
        undo: match &preview.undo {
            Some(bytes) => Some(run.blobs.keep(bytes).map_err(|e| Stop::Journal(e.to_string()))?),
            None => None,
        },
    };
    append(requests, intent).await?;
    let result = if changes {
        run.step(&step).execute(cx, preview).await
    } else {
        Ok(super::Outcome { summary: preview.summary, ..Default::default() })
    };
    match result {
        Ok(outcome) => {
            run.facts.step_done(&step, &outcome.output);
            let (evidence, output) = (outcome.evidence, outcome.output);
            append(
                requests,
                Body::StepDone { step: step.clone(), attempt, changed: changes, evidence, output },
            )
            .await?;
            run.teller.tell(What::StepDone { step, summary: outcome.summary, seconds: took() });
            Ok(Ok(()))
        }
        Err(error) => {
            // Where it may have happened the intent stays open: resume looks before it does it again.
            if error.touched != Touched::Unknown {
                let body = Body::StepFailed {
                    step,
                    attempt,
                    error: chain(&error),
                    touched: error.touched == Touched::Something,
                    evidence: error.evidence.clone(),
                };
                append(requests, body).await?;
            }
            Ok(Err(error))
        }
    }
}

enum Refusal {
    Stop(Stop),
    Error(StepError),
}

/// The preview to act by: the approved one where it still stands, else a fresh one within its bounds, else
/// one that the person is asked about.
async fn ready(
    run: &Run,
    wave: &Wave,
    spec: &StepSpec,
    shelf: &Shelf,
    cx: &Context,
) -> Result<Preview, Refusal> {
    if let Some(kept) = shelf.take(&spec.name) {
        return Ok(kept);
    }
    let preview = run.step(&spec.name).preview(cx, &Horizon::Now).await.map_err(Refusal::Error)?;
    if let Some(breach) = &preview.breach {
        show(run, wave, spec, &preview);
        let error = format!("{}: {}", spec.name, breach.message);
        return Err(Refusal::Stop(Stop::Refused { error, help: breach.help.clone() }));
    }
    let within = shelf.within(&spec.name, preview.bound.as_ref());
    if !preview.changes || within || shelf.approved(&spec.name, &preview.decision) {
        return Ok(preview);
    }
    show(run, wave, spec, &preview);
    if let Some(approved) = shelf.decision(&spec.name) {
        for change in super::explain::step_changes(approved, &preview.decision) {
            run.teller.warn(format!("{}: since the approval: {change}", spec.name));
        }
    }
    let digest = digest_of(&run.sealed(&preview.decision));
    let question = Question::Approve {
        digest: digest.clone(),
        environment: run.environment.clone(),
        protected: run.protected,
        also: preview.protects.clone(),
        what: format!("{}: {}, which is not what was approved at the start", spec.name, preview.summary),
    };
    match cx.ask(question).await {
        Answer::Yes { who, how } => {
            cx.append(Body::Approved { digest, who: who.clone(), how: how.clone() })
                .await
                .map_err(|e| Refusal::Stop(e.into()))?;
            run.teller.tell(What::Approved { who, how });
            Ok(preview)
        }
        Answer::No { .. } | Answer::Wait => Err(Refusal::Stop(Stop::Denied { what: spec.name.clone() })),
        Answer::Nobody => {
            let what = format!("{} changed since the approval, and nobody is there to ask", spec.name);
            Err(Refusal::Stop(Stop::Denied { what }))
        }
    }
}

fn show(run: &Run, wave: &Wave, spec: &StepSpec, preview: &Preview) {
    run.teller.tell(What::Shown {
        step: StepShown {
            wave: wave.name.clone(),
            step: spec.name.clone(),
            kind: spec.kind.name().to_owned(),
            summary: preview.summary.clone(),
            lines: preview.lines.clone(),
            later: None,
        },
    });
}

/// An error with its causes, each telling only its own part.
pub(super) fn chain(error: &StepError) -> String {
    let mut text = error.message.clone();
    let mut cause = error.source.as_ref().map(|e| e.as_ref() as &dyn std::error::Error);
    while let Some(error) = cause {
        let own = error.to_string();
        if !text.contains(&own) {
            text.push_str(": ");
            text.push_str(&own);
        }
        cause = error.source();
    }
    text
}

/// After a crash: looks at each step whose outcome isn't in the journal.
pub(super) async fn reconcile(run: &Run) -> Result<(), Stop> {
    use super::traits::Reconciled;
    let open: Vec<(String, u32)> = run
        .state()
        .steps
        .iter()
        .filter_map(|(name, status)| match status {
            StepStatus::Intended(attempt) => Some((name.clone(), *attempt)),
            _ => None,
        })
        .collect();
    for (step, attempt) in open {
        let cx = Context { attempt, ..run.context(&step, None) };
        let Some(intent) = cx.earlier.last().cloned() else { continue };
        let doing = "looking whether it happened before the run was cut off".to_owned();
        run.teller.tell(What::Looking { step: step.clone(), doing });
        let Some(known) = run.find_step(&step) else {
            let gone = Reconciled::Undecided("the plan has no such step any more".into());
            settle(run, step, attempt, gone).await?;
            continue;
        };
        let found = known.reconcile(&cx, &intent).await.map_err(|error| {
            let (what, error, help, diagnostics) =
                (step.clone(), chain(&error), error.help, error.diagnostics);
            if *cx.interrupts.borrow() > 0 {
                Stop::Interrupted
            } else {
                Stop::Failed { what, error, help, diagnostics }
            }
        })?;
        settle(run, step, attempt, found).await?;
    }
    Ok(())
}

/// Journals what a look after a crash found; where it found nothing, a person says.
async fn settle(run: &Run, step: String, attempt: u32, found: super::traits::Reconciled) -> Result<(), Stop> {
    use super::traits::Reconciled;
    let (found, detail) = match found {
        Reconciled::Done(outcome) => {
            run.facts.step_done(&step, &outcome.output);
            (crate::journal::Found::Done, outcome.summary)
        }
        Reconciled::NotDone(detail) => (crate::journal::Found::NotDone, detail),
        Reconciled::Undecided(detail) => {
            let question = Question::Unknown { step: step.clone(), detail: detail.clone() };
            match run.approver.ask(&question).await {
                Answer::Yes { who, .. } => {
                    (crate::journal::Found::Done, format!("{who} says that it happened"))
                }
                Answer::No { who } => {
                    (crate::journal::Found::NotDone, format!("{who} says that it did not happen"))
                }
                Answer::Wait | Answer::Nobody => return Err(Stop::Undecided { step, detail }),
            }
        }
    };
    run.teller.note(format!("{step}: {detail}"));
    run.append(&Body::StepReconciled { step, attempt, found, detail })?;
    Ok(())
}
