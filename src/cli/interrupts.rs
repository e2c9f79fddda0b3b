//! Ctrl-C: counted, so that the first starts nothing new and the second asks the child to end. A request to
//! terminate counts as one, and so does a terminal that goes away (a dropped ssh connection), unless the
//! process was started to outlive it.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// Counts interrupts from now on.
pub fn count() -> watch::Receiver<u32> {
    let (sender, receiver) = watch::channel(0);
    // Whoever starts us with nohup wants no hangup to count, and a handler would undo that.
    let mut hangups = if outlives_its_terminal() { None } else { signal(SignalKind::hangup()).ok() };
    tokio::spawn(async move {
        let Ok(mut terminations) = signal(SignalKind::terminate()) else { return };
        loop {
            tokio::select! {
                pressed = tokio::signal::ctrl_c() => if pressed.is_err() { return },
                _ = terminations.recv() => {}
                Some(()) = next(hangups.as_mut()) => {}
            }
            sender.send_modify(|count| *count += 1);
        }
    });
    receiver
}

async fn next(signal: Option<&mut Signal>) -> Option<()> {
    match signal {
        Some(signal) => signal.recv().await,
        None => None,
    }
}

/// Whether SIGHUP, the first of the signals, is ignored: as Linux tells, where it does.
fn outlives_its_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 != 0)
}
