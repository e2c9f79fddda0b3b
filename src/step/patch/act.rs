//! All jobs of a patch: in the order in which they depend on one another, so many at once.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{FuturesUnordered, StreamExt};

use super::edits::Edited;
use super::one::Worker;
use super::order::After;
use super::outcome::Ended;
use super::select::AT_ONCE;
use super::taken::Standing;
use super::wanted::{OnFailure, Wanted};
use crate::base::text;

/// Changes the jobs; how each ended, in their order. A job begins once those it depends on are healthy;
/// after a failure none begins, and what runs is waited for: what an earlier attempt has begun, too.
pub(super) async fn act(worker: Worker<'_>, wanted: &Wanted, jobs: &[Edited], after: &After) -> Vec<Ended> {
    let mut ended: BTreeMap<usize, Ended> = BTreeMap::new();
    let mut healthy: BTreeSet<&str> = BTreeSet::new();
    let mut changing = FuturesUnordered::new();
    let mut closing = FuturesUnordered::new();
    let limit = wanted.parallel.unwrap_or(AT_ONCE);
    let begin = |at: usize| async move { (at, worker.change(&jobs[at]).await) };
    // The others of the patch that each waits for.
    let mut open: BTreeMap<usize, &[String]> = BTreeMap::new();
    for (at, job) in jobs.iter().enumerate() {
        if job.standing == Standing::Open {
            open.insert(at, after.of(&job.id));
        } else {
            changing.push(begin(at));
        }
    }
    let mut failed = jobs.iter().any(|job| matches!(job.standing, Standing::Back(_)));
    loop {
        let halted = failed || *worker.cx.interrupts.borrow() > 0;
        while !halted && changing.len() < limit {
            let is_ready = |after: &&[String]| after.iter().all(|other| healthy.contains(other.as_str()));
            let Some(at) = open.iter().find(|(_, after)| is_ready(after)).map(|(at, _)| *at) else { break };
            open.remove(&at);
            changing.push(begin(at));
        }
        tokio::select! {
            biased;
            Some((at, result)) = changing.next(), if !changing.is_empty() => match result {
                Ok(registered) => {
                    healthy.insert(&jobs[at].id);
                    let of = Some((healthy.len(), jobs.len()));
                    worker.cx.progress(Some(text::one_line(&jobs[at].id)), "healthy", of);
                    closing.push(async move { (at, worker.closed(&jobs[at], registered).await) });
                }
                Err(bad) => {
                    failed = true;
                    ended.insert(at, bad);
                }
            },
            Some((at, end)) = closing.next(), if !closing.is_empty() => {
                failed |= is_failure(&end);
                ended.insert(at, end);
            }
            else => break,
        }
    }
    // What became of one that is open is to be found out first; one that waits for a person is no failure.
    let failed = ended.values().any(|end| {
        !matches!(end, Ended::Healthy(_) | Ended::Conflict(_) | Ended::Open(_) | Ended::Promotion(..))
    });
    // Ctrl-C begins nothing more, and ends nothing: the run can be gone on with.
    let interrupted = *worker.cx.interrupts.borrow() > 0;
    if failed && !interrupted && wanted.on_failure == OnFailure::RevertAll {
        put_all_back(worker, jobs, after, &mut ended).await;
    }
    (0..jobs.len()).map(|at| ended.remove(&at).unwrap_or(Ended::NotBegun)).collect()
}

/// Puts the jobs back that earlier attempts have changed; how each ended, in their order.
pub(super) async fn withdraw(worker: Worker<'_>, jobs: &[Edited], after: &After) -> Vec<Ended> {
    let taken = |(at, job): (usize, &Edited)| match &job.standing {
        Standing::Taken(registered) => Some((at, Ended::Healthy(registered.clone()))),
        Standing::Open | Standing::Back(_) => None,
    };
    let mut ended: BTreeMap<usize, Ended> = jobs.iter().enumerate().filter_map(taken).collect();
    put_all_back(worker, jobs, after, &mut ended).await;
    (0..jobs.len()).map(|at| ended.remove(&at).unwrap_or(Ended::NotBegun)).collect()
}

fn is_failure(ended: &Ended) -> bool {
    !matches!(ended, Ended::Healthy(_))
}

/// Those that others depend on last.
async fn put_all_back(
    worker: Worker<'_>,
    jobs: &[Edited],
    after: &After,
    ended: &mut BTreeMap<usize, Ended>,
) {
    // Where they depend on one another by now, any order is better than none.
    let all = || vec![jobs.iter().map(|job| job.id.clone()).collect()];
    let order = after.levels(jobs.iter()).unwrap_or_else(|_| all());
    for id in order.iter().rev().flatten() {
        let Some(at) = jobs.iter().position(|job| job.id == *id) else { continue };
        let Some(Ended::Healthy(registered)) = ended.get(&at) else { continue };
        let index = registered.job_modify_index;
        if *worker.cx.interrupts.borrow() > 1 {
            break;
        }
        worker.cx.progress(Some(text::one_line(id)), "putting it back as it was", None);
        let back = worker.put_back(&jobs[at], index).await;
        ended.insert(at, Ended::Taken(back));
    }
}
