//! The dispatcher: the only one that changes a run's state. Waves run as tasks and ask it for every
//! transition; it journals each before it answers. What announces no effect (that a wave began, that a step
//! is done) it may answer first: that is on the disk with the next intent, or as soon as all wait.

use std::collections::BTreeMap;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};

use super::approval::{Answer, Question};
use super::run::Run;
use super::steps;
use super::traits::Preview;
use super::wave::{self, Stop};
use crate::event::What;
use crate::journal::{Body, JournalError};

/// What tasks ask of the dispatcher.
pub enum Request {
    /// Journal this, then take it into the state.
    Append {
        body: Body,
        reply: oneshot::Sender<Result<(), JournalError>>,
    },
    Ask {
        question: Question,
        reply: oneshot::Sender<Answer>,
    },
}

/// Asks the dispatcher to journal; returns when that is done, and an intent is on the disk.
pub(super) async fn append(
    dispatcher: &mpsc::UnboundedSender<Request>,
    body: Body,
) -> Result<(), JournalError> {
    let gone = || JournalError::Store { path: String::new(), source: "the run has ended".into() };
    let (reply, done) = oneshot::channel();
    dispatcher.send(Request::Append { body, reply }).map_err(|_| gone())?;
    done.await.unwrap_or_else(|_| Err(gone()))
}

/// The run isn't gone on with: has each step put back what it has changed, where it is to. What there is to be
/// said of that.
pub(super) async fn withdraw(run: &Run) -> Result<Option<String>, Stop> {
    let (requests, mut inbox) = mpsc::unbounded_channel::<Request>();
    let all = async {
        let mut said = Vec::new();
        for (wave, spec) in run.plan.steps() {
            said.extend(steps::withdraw(run, wave, spec, None, &requests, run.clock.now()).await?);
        }
        Ok((!said.is_empty()).then(|| said.join("\n")))
    };
    tokio::pin!(all);
    loop {
        tokio::select! {
            biased;
            Some(request) = inbox.recv() => match request {
                Request::Append { body, reply } => drop(reply.send(run.append(&body))),
                Request::Ask { reply, .. } => drop(reply.send(Answer::Nobody)),
            },
            said = &mut all => return said,
        }
    }
}

/// Runs the waves, each once those before it are done, until all are or one stops.
pub(super) async fn waves(run: &Run, previews: BTreeMap<String, Preview>) -> Result<(), Stop> {
    let (requests, mut inbox) = mpsc::unbounded_channel::<Request>();
    let shelf = wave::Shelf::new(previews);
    let mut running = FuturesUnordered::new();
    let mut started: Vec<String> = Vec::new();
    let mut done: Vec<String> = run.state().waves_done.iter().cloned().collect();
    let mut stop: Option<Stop> = None;
    // Questions wait for a person while everything else goes on.
    let mut asking = FuturesUnordered::new();
    let mut interrupts = run.interrupts.clone();
    let mut interrupted = false;
    // Whether everything that was journaled is on the disk.
    let mut settled = false;
    loop {
        if stop.is_none() && !run.halted() {
            for (index, wave) in run.plan.waves.iter().enumerate() {
                let ready = wave.after.iter().all(|before| done.contains(before));
                if ready && !done.contains(&wave.name) && !started.contains(&wave.name) {
                    started.push(wave.name.clone());
                    running.push(wave::run_wave(run, index, &shelf, requests.clone()));
                }
            }
        }
        if running.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            Some(request) = inbox.recv() => match request {
                Request::Append { body, reply } => {
                    let result = run.append(&body);
                    settled = false;
                    unrecorded(run, &result, &mut stop);
                    let _ = reply.send(result);
                }
                Request::Ask { question, reply } => asking.push(async move {
                    let answer = run.approver.ask(&question).await;
                    let _ = reply.send(answer);
                }),
            },
            Ok(()) = async { interrupts.wait_for(|count| *count > 0).await.map(drop) }, if !interrupted => {
                interrupted = true;
                let text = "nothing new is started, and what runs is waited for; once more asks it to end";
                run.teller.tell(What::Interrupted { text: text.to_owned() });
            }
            Some(()) = asking.next(), if !asking.is_empty() => {}
            Some((name, result)) = running.next() => match result {
                Ok(()) => done.push(name),
                Err(reason) => {
                    // What waits elsewhere stops waiting.
                    run.halt();
                    stop = Some(stop.take().map_or(reason.clone(), |first| first.worse(reason)));
                }
            },
            // The last branch: everything that can go on has gone on, and waits.
            () = tokio::task::yield_now(), if !settled => {
                settled = true;
                unrecorded(run, &run.settle(), &mut stop);
            }
        }
    }
    match stop {
        Some(stop) => Err(stop),
        None if done.len() < run.plan.waves.len() => {
            let text = "stopped between waves".to_owned();
            run.teller.tell(What::Interrupted { text });
            Err(Stop::Interrupted)
        }
        None => Ok(()),
    }
}

/// Nothing may happen that can't be recorded.
fn unrecorded(run: &Run, result: &Result<(), JournalError>, stop: &mut Option<Stop>) {
    if let Err(error) = result {
        run.halt();
        stop.get_or_insert(Stop::Journal(error.to_string()));
    }
}
