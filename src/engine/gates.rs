//! Gates: sampled until they hold, one after another sample in a row, or past their deadline.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::sync::{mpsc, oneshot};

use super::approval::{Answer, Question};
use super::dispatch::{Request, append};
use super::run::Run;
use super::wave::Stop;
use crate::event::{Verdict, What};
use crate::journal::Body;
use crate::plan::{Gate, OnDeadline, Wave};

/// Waits for all gates of a wave, side by side.
pub(super) async fn pass(
    run: &Run,
    wave: &Wave,
    requests: &mpsc::UnboundedSender<Request>,
) -> Result<(), Stop> {
    let open = wave.gates.iter().filter(|gate| !run.gate_passed(&wave.name, &gate.name));
    let waiting: Vec<Waiting<'_>> = open.map(|gate| Waiting { run, wave, gate, requests }).collect();
    try_join_all(waiting.iter().map(Waiting::pass)).await?;
    Ok(())
}

/// A time after another; the last one there is, where that is too far.
fn later(from: jiff::Timestamp, by: Duration) -> jiff::Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    from.checked_add(by).unwrap_or(jiff::Timestamp::MAX)
}

struct Waiting<'a> {
    run: &'a Run,
    wave: &'a Wave,
    gate: &'a Gate,
    requests: &'a mpsc::UnboundedSender<Request>,
}

impl Waiting<'_> {
    async fn pass(&self) -> Result<(), Stop> {
        let (run, gate) = (self.run, self.gate);
        let (wave_name, gate_name) = (self.wave.name.clone(), gate.name.clone());
        run.teller.tell(What::GateStarted {
            wave: wave_name.clone(),
            gate: gate_name.clone(),
            every: gate.every.as_secs_f64(),
            deadline: gate.deadline.as_secs_f64(),
            consecutive: gate.consecutive,
        });
        let began = run.clock.now();
        let mut until = later(began, gate.deadline);
        let mut passes = 0;
        loop {
            if run.halted() {
                return Err(Stop::Interrupted);
            }
            let (verdict, detail) = run.samples.gate(gate, &run.facts.scope()).await;
            let waited = run.clock.now().duration_since(began).as_secs_f64();
            passes = if verdict == Verdict::Pass { passes + 1 } else { 0 };
            run.teller.tell(What::GateSampled {
                wave: wave_name.clone(),
                gate: gate_name.clone(),
                verdict,
                detail: detail.clone(),
                passes,
                needed: gate.consecutive,
                waited,
            });
            if verdict == Verdict::Fail {
                let error = format!("the gate failed: {detail}");
                self.failed(&error, waited);
                return Err(Stop::Failed { what: gate_name, error, help: None, diagnostics: None });
            }
            if passes >= gate.consecutive {
                let (wave, gate) = (wave_name.clone(), gate_name.clone());
                append(self.requests, Body::GatePassed { wave, gate, detail: detail.clone() }).await?;
                run.teller.tell(What::GatePassed { wave: wave_name, gate: gate_name, detail, waited });
                return Ok(());
            }
            if run.clock.now() >= until {
                match self.past_deadline(&detail, waited).await? {
                    Some(longer) => {
                        until = later(run.clock.now(), longer);
                    }
                    None => return Ok(()),
                }
            }
            tokio::select! {
                () = run.clock.sleep(gate.every) => {}
                () = run.halting() => {}
            }
        }
    }

    fn failed(&self, error: &str, waited: f64) {
        let (wave, gate) = (self.wave.name.clone(), self.gate.name.clone());
        self.run.teller.tell(What::GateFailed { wave, gate, error: error.to_owned(), waited });
    }

    /// What the plan, or the person, says to a gate past its deadline: how much longer to wait, or nothing
    /// to go on without it.
    async fn past_deadline(&self, detail: &str, waited: f64) -> Result<Option<Duration>, Stop> {
        let gate = self.gate;
        let deadline = || Stop::Deadline {
            gate: gate.name.clone(),
            place: gate.span.to_string(),
            deadline: gate.deadline,
            detail: detail.to_owned(),
        };
        let text = format!("past its deadline of {}: {detail}", crate::base::text::duration(gate.deadline));
        let who = match gate.on_deadline {
            OnDeadline::Fail => {
                self.failed(&text, waited);
                return Err(deadline());
            }
            OnDeadline::Continue => "the plan".to_owned(),
            OnDeadline::Ask => {
                let (reply, answer) = oneshot::channel();
                let question = Question::Deadline { gate: gate.name.clone(), detail: text.clone() };
                let asked = self.requests.send(Request::Ask { question, reply });
                let answer =
                    if asked.is_ok() { answer.await.unwrap_or(Answer::Nobody) } else { Answer::Nobody };
                match answer {
                    Answer::Wait => return Ok(Some(gate.deadline)),
                    Answer::Yes { who, .. } => who,
                    Answer::No { .. } | Answer::Nobody => {
                        self.failed(&text, waited);
                        return Err(deadline());
                    }
                }
            }
        };
        let (wave, name) = (self.wave.name.clone(), gate.name.clone());
        self.run.teller.warn(format!("going on without the gate '{name}' ({who}): {detail}"));
        append(self.requests, Body::GateWaived { wave, gate: name, who, detail: detail.to_owned() }).await?;
        Ok(None)
    }
}
