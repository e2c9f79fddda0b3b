//! Looks at everything that is still to be done, in the order in which it would be.

use std::collections::BTreeMap;

use super::decision::Decision;
use super::run::{Finished, Resume, Run};
use super::traits::{Horizon, Preview};
use crate::base::text;
use crate::event::{Ending, StepShown, What};
use crate::journal::StepStatus;
use crate::plan::{Check, Wave};

/// What a look found.
pub struct Looked {
    pub previews: BTreeMap<String, Preview>,
    pub decision: Decision,
    /// Whether anything would be changed.
    pub changes: bool,
}

/// Checks what must hold, previews each open step and shows it.
pub(super) async fn look_at(run: &Run) -> Result<Looked, Finished> {
    if let Some(latch) = &run.latch {
        latch.reach().await;
    }
    let names: Vec<String> = run.plan.steps().map(|(_, spec)| spec.name.clone()).collect();
    run.facts.expect_steps(&names);
    for (step, output) in &run.state().outputs {
        run.facts.step_done(step, output);
    }
    checks(run).await?;
    let mut previews = BTreeMap::new();
    let mut decisions = Vec::new();
    let mut pending_terraform: Option<String> = None;
    let mut refused = Vec::new();
    for wave in run.plan.waves.iter().filter(|wave| !run.wave_done(&wave.name)) {
        conditions(run, wave, &wave.checks);
        for spec in wave.steps.iter().chain(&wave.finally) {
            if matches!(run.status_of(&spec.name), StepStatus::Done(_)) {
                continue;
            }
            let cx = run.context(&spec.name, None);
            let horizon = match &pending_terraform {
                Some(before) => Horizon::Later(format!("once {before} is done")),
                None => Horizon::Now,
            };
            let doing = format!("looking at {} {}", spec.kind, spec.name);
            run.teller.tell(What::Looking { step: spec.name.clone(), doing });
            let mut looked = run.step(&spec.name).preview(&cx, &horizon).await;
            // A run that was cut off while it waited for what an earlier wave brings up: not there yet.
            if let (Err(_), Some(before)) = (&looked, half_done_before(run, &wave.name)) {
                let horizon = Horizon::Later(format!("once the wave {before} is done"));
                looked = run.step(&spec.name).preview(&cx, &horizon).await;
            }
            let preview = match looked {
                Ok(preview) => preview,
                Err(error) => return Err(Finished::step_failed(run, &spec.name, error)),
            };
            if run.halted() {
                return Err(Finished::nothing_done(
                    run,
                    Ending::Paused,
                    "interrupted before anything was done".into(),
                ));
            }
            run.teller.tell(What::Shown {
                step: StepShown {
                    wave: wave.name.clone(),
                    step: spec.name.clone(),
                    kind: spec.kind.name().to_owned(),
                    summary: preview.summary.clone(),
                    lines: preview.lines.clone(),
                    later: preview.later.clone(),
                },
            });
            if let Some(breach) = &preview.breach {
                refused.push((spec.name.clone(), breach.clone()));
            }
            if spec.kind.is_terraform() && preview.changes && pending_terraform.is_none() {
                pending_terraform = Some(spec.name.clone());
                run.facts.forget_outputs();
            }
            decisions.push((spec.name.clone(), run.sealed(&preview.decision)));
            previews.insert(spec.name.clone(), preview);
        }
        waits(run, wave);
    }
    if let Some((step, breach)) = refused.into_iter().next() {
        let summary = format!("{step}: {}", breach.message);
        return Err(Finished { help: breach.help, ..Finished::nothing_done(run, Ending::Refused, summary) });
    }
    let later = previews.values().filter(|preview| preview.later.is_some()).count();
    let changes = previews.is_empty() || previews.values().any(|p| p.changes || p.later.is_some());
    let decision = Decision::new(run.about.clone(), decisions);
    if changes {
        let waves = run.plan.waves.iter().map(|wave| wave.name.clone()).collect();
        run.teller.tell(What::Decision { digest: decision.digest.clone(), waves, later });
    }
    Ok(Looked { previews, decision, changes })
}

/// The first wave before this one that a resumed run began and has not ended: what it brings up may not
/// answer yet.
fn half_done_before<'r>(run: &'r Run, wave: &str) -> Option<&'r str> {
    let Resume::Of(_) = &run.resume else { return None };
    let state = run.state();
    let mut before = run.plan.waves.iter().map(|wave| wave.name.as_str()).take_while(|name| *name != wave);
    before.find(|name| state.waves_started.contains(*name) && !state.waves_done.contains(*name))
}

/// The plan's own checks: before anything else.
async fn checks(run: &Run) -> Result<(), Finished> {
    for check in &run.plan.checks {
        let scope = run.facts.scope();
        match run.samples.check(check, &scope).await {
            Ok(()) => run.teller.tell(What::CheckPassed { name: check.name.clone(), wave: None }),
            Err(error) => {
                let name = check.name.clone();
                run.teller.tell(What::CheckFailed { name, wave: None, error: error.clone() });
                let summary = format!("the check '{}' doesn't hold: {error}", check.name);
                return Err(Finished::nothing_done(run, Ending::Refused, summary));
            }
        }
    }
    Ok(())
}

/// Tells what must hold when a wave starts.
fn conditions(run: &Run, wave: &Wave, checks: &[Check]) {
    for check in checks {
        tell(run, wave, &check.name, "check", format!("must hold: {}", check.condition.span.text()));
    }
}

/// Tells what a wave waits for and keeps, after its steps.
fn waits(run: &Run, wave: &Wave) {
    for gate in wave.gates.iter().filter(|gate| !run.gate_passed(&wave.name, &gate.name)) {
        let often = match gate.consecutive {
            1 => String::new(),
            n => format!(", {n} times in a row"),
        };
        let summary = format!(
            "waits until {}{often}; looked at every {}, for at most {}",
            gate.until.span.text(),
            text::duration(gate.every),
            text::duration(gate.deadline)
        );
        tell(run, wave, &gate.name, "gate", summary);
    }
    for record in &wave.records {
        let optional = if record.optional { ", where it can be had" } else { "" };
        tell(run, wave, &record.name, "record", format!("kept for later runs{optional}"));
    }
}

fn tell(run: &Run, wave: &Wave, name: &str, kind: &str, summary: String) {
    let summary = summary.split_whitespace().collect::<Vec<_>>().join(" ");
    run.teller.tell(What::Shown {
        step: StepShown {
            wave: wave.name.clone(),
            step: name.to_owned(),
            kind: kind.to_owned(),
            summary,
            lines: Vec::new(),
            later: None,
        },
    });
}
