//! Runs a short child to its end and captures what it says.
//!
//! Guarantees: what is handed on is masked, control characters made harmless; the child ends within
//! its time or is ended, its group with it. Does not: keep more output than its limit; the
//! middle of a longer one is left out, and said to be.

use std::io;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::child::{Child, Command, Ended, Interrupter};
use crate::base::{Secrets, text};

/// How long a child that is past its time has between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(5);

/// What a child may take. Real time, also in a run whose clock is scaled.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub time: Duration,
    /// Bytes kept of each stream.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(3600), output: 1 << 20 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// A child that ended by itself, successfully or not. Texts are masked.
#[derive(Clone, Debug)]
pub struct Finished {
    pub ended: Ended,
    pub stdout: String,
    pub stderr: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{program} was not found")]
    NotFound { program: String },
    #[error("{program} could not be started")]
    Start { program: String, source: io::Error },
    #[error("{program} took longer than {} and was ended", text::duration(*limit))]
    TimedOut { program: String, limit: Duration, stdout: String, stderr: String },
    #[error("the output of {program} could not be read")]
    Output { program: String, source: io::Error },
}

/// Runs a command. `started` gets what is needed to know the child again and to interrupt it, before
/// anything else; `line` each line as it is written.
pub async fn run(
    command: &Command,
    secrets: &Secrets,
    limits: Limits,
    started: &(dyn Fn(u32, &str, Interrupter) + Send + Sync),
    line: &mut (dyn FnMut(Stream, &str) + Send),
) -> Result<Finished, RunError> {
    let program = command.argv.first().map(|program| secrets.mask(program)).unwrap_or_default();
    let mut child = Child::spawn(command, None).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound if command.dir.is_dir() => RunError::NotFound { program: program.clone() },
        _ => RunError::Start { program: program.clone(), source },
    })?;
    started(child.pid(), child.started(), child.interrupter());
    let interrupter = child.interrupter();
    let (mut out, mut err) = (Kept::new(limits.output), Kept::new(limits.output));
    let ended = {
        let shared = std::sync::Mutex::new(line);
        let tell = |stream, text: &str| {
            let text = text::harmless(&secrets.mask(text)).into_owned();
            if let Ok(mut line) = shared.lock() {
                line(stream, &text);
            }
            text
        };
        let mut on_out = |text: &str| out.push(&tell(Stream::Out, text));
        let mut on_err = |text: &str| err.push(&tell(Stream::Err, text));
        let follow = child.follow_both(&mut on_out, &mut on_err);
        within(limits.time, follow, &interrupter).await
    };
    match ended {
        Some(Ok(ended)) => Ok(Finished { ended, stdout: out.text(), stderr: err.text() }),
        Some(Err(source)) => Err(RunError::Output { program, source }),
        None => {
            Err(RunError::TimedOut { program, limit: limits.time, stdout: out.text(), stderr: err.text() })
        }
    }
}

async fn within(
    limit: Duration,
    follow: impl Future<Output = io::Result<Ended>>,
    interrupter: &Interrupter,
) -> Option<io::Result<Ended>> {
    tokio::pin!(follow);
    if let Ok(ended) = tokio::time::timeout(limit, &mut follow).await {
        return Some(ended);
    }
    interrupter.signal(Signal::SIGTERM);
    let ended = tokio::time::timeout(GRACE, &mut follow).await;
    // What the leader leaves behind goes too.
    interrupter.kill_group();
    if ended.is_err() {
        let _ = tokio::time::timeout(GRACE, &mut follow).await;
    }
    None
}

/// The first and the last lines of a stream.
struct Kept {
    half: usize,
    head: String,
    tail: std::collections::VecDeque<String>,
    tail_size: usize,
    left_out: usize,
}

impl Kept {
    fn new(limit: usize) -> Self {
        Self {
            half: limit / 2,
            head: String::new(),
            tail: std::collections::VecDeque::new(),
            tail_size: 0,
            left_out: 0,
        }
    }

    fn push(&mut self, line: &str) {
        if self.tail.is_empty() && self.left_out == 0 && self.head.len() + line.len() < self.half {
            self.head.push_str(line);
            self.head.push('\n');
            return;
        }
        self.tail_size += line.len() + 1;
        self.tail.push_back(line.to_owned());
        while self.tail_size > self.half && self.tail.len() > 1 {
            self.tail_size -= self.tail.pop_front().map_or(0, |line| line.len() + 1);
            self.left_out += 1;
        }
    }

    fn text(self) -> String {
        let mut text = self.head;
        if self.left_out > 0 {
            text.push_str(&format!("[{} left out]\n", text::count(self.left_out, "line")));
        }
        for line in self.tail {
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}
