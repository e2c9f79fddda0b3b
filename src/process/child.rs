//! One child and its end.
//!
//! Guarantees: the child leads a process group of its own; dropping [`Child`], or our death, leaves it
//! running; it is sent at most one interrupt by [`Interrupter`]. Does not: mask anything.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::identity;
use super::memory::{Lines, Memory};

/// How often the output of a running child is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What to start. There is no shell in between.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// The program and its arguments. A program without a slash is looked for on the PATH of
    /// `environment`.
    pub argv: Vec<String>,
    /// All that the child sees: nothing is added.
    pub environment: BTreeMap<String, String>,
    pub dir: PathBuf,
}

/// A started child.
#[derive(Debug)]
pub struct Child {
    inner: tokio::process::Child,
    pid: u32,
    started: String,
    interrupter: Interrupter,
    stdout: Memory,
    stderr: Memory,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// None where a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

impl Ended {
    pub fn success(self) -> bool {
        self.code == Some(0)
    }
}

/// `exit code 1`, `signal 9`
impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("no exit code"),
        }
    }
}

impl Child {
    /// Starts it. `stdin` is what it reads from; nothing where none is given. `/proc/self/fd/0` names
    /// that file inside the child.
    pub fn spawn(command: &Command, stdin: Option<&Memory>) -> io::Result<Self> {
        let (program, arguments) = command.argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (stdout, stderr) = (Memory::new("stdout")?, Memory::new("stderr")?);
        let inner = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(&command.environment)
            .current_dir(&command.dir)
            .stdin(stdin.map_or_else(|| Ok(Stdio::null()), |memory| memory.share().map(Stdio::from))?)
            .stdout(Stdio::from(stdout.share()?))
            .stderr(Stdio::from(stderr.share()?))
            .process_group(0)
            .kill_on_drop(false)
            .spawn()?;
        let pid = inner.id().ok_or(io::ErrorKind::NotFound)?;
        // It can't have been reaped yet: only `wait` does that.
        let started = identity::started(pid).unwrap_or_default();
        let interrupter =
            Interrupter(Arc::new(Target { pid, started: started.clone(), sent: AtomicBool::new(false) }));
        Ok(Self { inner, pid, started, interrupter, stdout, stderr })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells it from a later process with the same number: see [`super::started`].
    pub fn started(&self) -> &str {
        &self.started
    }

    /// A handle that can interrupt it from elsewhere.
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    pub fn stdout(&self) -> &Memory {
        &self.stdout
    }

    pub fn stderr(&self) -> &Memory {
        &self.stderr
    }

    /// Follows its standard output until it has ended; what its own children write after that is not
    /// waited for.
    pub async fn follow(&mut self, line: &mut (dyn FnMut(&str) + Send)) -> io::Result<Ended> {
        self.follow_both(line, &mut |_| {}).await
    }

    /// Follows both streams until it has ended. The order between the two isn't kept.
    pub async fn follow_both(
        &mut self,
        out: &mut (dyn FnMut(&str) + Send),
        err: &mut (dyn FnMut(&str) + Send),
    ) -> io::Result<Ended> {
        let (mut out_lines, mut err_lines) = (Lines::default(), Lines::default());
        let ended = loop {
            let waited = tokio::time::timeout(LOOK, self.inner.wait()).await;
            out_lines.follow(&self.stdout, out)?;
            err_lines.follow(&self.stderr, err)?;
            if let Ok(status) = waited {
                break status?;
            }
        };
        out_lines.finish(&self.stdout, out)?;
        err_lines.finish(&self.stderr, err)?;
        Ok(ended.into())
    }

    /// Waits for its end and returns how it ended.
    pub async fn wait(&mut self) -> io::Result<Ended> {
        Ok(self.inner.wait().await?.into())
    }
}

impl From<std::process::ExitStatus> for Ended {
    fn from(status: std::process::ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self { code: status.code(), signal: status.signal() }
    }
}

/// Sends signals to a child's group, the interrupt only once.
#[derive(Clone, Debug)]
pub struct Interrupter(Arc<Target>);

#[derive(Debug)]
struct Target {
    pid: u32,
    started: String,
    sent: AtomicBool,
}

impl Interrupter {
    /// Sends SIGINT, as a terminal's Ctrl-C does. Only the first call does; true if this one did.
    pub fn interrupt(&self) -> bool {
        !self.0.sent.swap(true, Ordering::SeqCst) && self.signal(Signal::SIGINT)
    }

    /// Whose interrupter it is.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Whether it was interrupted through this handle or a clone of it.
    pub fn interrupted(&self) -> bool {
        self.0.sent.load(Ordering::SeqCst)
    }

    pub(super) fn signal(&self, signal: Signal) -> bool {
        let Ok(group) = i32::try_from(self.0.pid) else { return false };
        // A number that was given to another process is left alone.
        identity::is_running(self.0.pid, &self.0.started) && killpg(Pid::from_raw(group), signal).is_ok()
    }

    /// Kills what is left of the group, whether or not its leader has ended.
    pub(super) fn kill_group(&self) {
        let reused = identity::started(self.0.pid).is_some_and(|started| started != self.0.started);
        if let (false, Ok(group)) = (reused, i32::try_from(self.0.pid)) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}
