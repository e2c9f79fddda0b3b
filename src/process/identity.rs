//! Tells one process from a later one with the same number.
//!
//! Guarantees: [`is_running`] is true only for the very process that [`started`] was asked about, on
//! the same boot of the machine. A process that ended and was not waited for by its parent counts as
//! ended.

use std::fs;
use std::time::Duration;

/// When a process started, as `TICKS@BOOT`: field 22 of `/proc/PID/stat` (clock ticks since boot) and
/// the kernel's boot id. None where there is no such process.
pub fn started(pid: u32) -> Option<String> {
    let (_, ticks) = stat(pid)?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{ticks}@{}", boot.trim()))
}

/// Whether the process that had this number and start time still runs.
pub fn is_running(pid: u32, started_at: &str) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
        && started(pid).as_deref() == Some(started_at)
}

/// Returns once that process, which need not be a child of ours, has ended. Looks five times a second.
pub async fn ended(pid: u32, started_at: &str) {
    while is_running(pid, started_at) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// State (field 3) and start time (field 22). The name before them, in parentheses, may hold both
/// blanks and parentheses.
fn stat(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let ticks = fields.nth(18)?.parse().ok()?;
    Some((state, ticks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_known_again_until_it_ends() {
        let me = std::process::id();
        let since = started(me).unwrap();
        assert!(is_running(me, &since));
        assert!(!is_running(me, "1@another-boot"));
        assert!(!is_running(me, &format!("1{since}")));

        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let since = started(child.id()).unwrap();
        assert!(is_running(child.id(), &since));
        child.kill().unwrap();
        // Not waited for yet: it is a zombie, and no longer runs.
        while started(child.id()).is_some() && is_running(child.id(), &since) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(started(child.id()), None);
    }
}
