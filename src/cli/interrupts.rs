//! Ctrl-C: counted, so that the first starts nothing new and the second asks the child to end.

use tokio::sync::watch;

/// Counts interrupts from now on.
pub fn count() -> watch::Receiver<u32> {
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        let Ok(mut terminations) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        else {
            return;
        };
        loop {
            tokio::select! {
                pressed = tokio::signal::ctrl_c() => if pressed.is_err() { return },
                _ = terminations.recv() => {}
            }
            sender.send_modify(|count| *count += 1);
        }
    });
    receiver
}
