//! The one place that prints.

use std::io::{IsTerminal as _, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value;

use super::live::{Live, TICK};
use super::options::Options;
use super::page::Page;
use super::problems;
use super::prose::Prose;
use super::styled::{Role, Styled};
use super::table::Table;
use crate::base::{Clock, Diagnostics, RunId, Secrets, text};
use crate::event::{self, Event, Teller, What};

/// Shows events, tables and errors. Cheap to clone; clones share one screen. Nothing here fails: what
/// can't be written, because a pipe was closed, is dropped.
#[derive(Clone)]
pub struct Reporter(Arc<Shared>);

struct Shared {
    options: Options,
    secrets: Secrets,
    state: Mutex<State>,
}

struct State {
    prose: Prose,
    /// None off a terminal and with `--json`.
    live: Option<Live>,
    ticking: bool,
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    /// How many prompts have the screen, and what would have been printed meanwhile.
    holds: usize,
    held: Vec<u8>,
}

impl Reporter {
    /// On this process's stdout and stderr. `secrets` are masked once more by value.
    pub fn new(options: Options, secrets: Secrets) -> Self {
        let live = (options.terminal && !options.json).then(|| Live::new(secrets.clone(), options.width));
        Self::build(options, secrets, live, Box::new(std::io::stdout()), Box::new(std::io::stderr()))
    }

    /// On other outputs, without live progress.
    pub fn with_output(
        options: Options,
        secrets: Secrets,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self::build(options, secrets, None, Box::new(out), Box::new(err))
    }

    fn build(
        options: Options,
        secrets: Secrets,
        live: Option<Live>,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        let prose = Prose::new(options.clone(), secrets.clone());
        let state = State { prose, live, ticking: false, out, err, holds: 0, held: Vec::new() };
        Self(Arc::new(Shared { options, secrets, state: Mutex::new(state) }))
    }

    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Shows one event: prose, or with `--json` one line of it.
    pub fn event(&self, event: &Event) {
        let shared = &self.0;
        let mut state = shared.state();
        if shared.options.json {
            let line = json_line(event, &shared.secrets);
            state.print(&line);
            return;
        }
        let lines = state.prose.lines(event);
        state.print(&laid_out(&lines, &Page::from(&shared.options)));
        if let Some(live) = &mut state.live {
            live.update(event);
        }
        self.keep_ticking(&mut state);
    }

    /// A teller whose events, timed by `clock`, are shown here.
    pub fn teller(&self, clock: &Clock, run: Option<RunId>) -> Teller {
        let (reporter, clock) = (self.clone(), clock.clone());
        Teller::new(move |what: What| {
            let simulated = reporter.0.options.simulated;
            reporter.event(&Event {
                v: event::VERSION,
                at: clock.now(),
                run: run.clone(),
                simulated,
                event: what,
            });
        })
    }

    /// A line on stdout for people; nothing with `--json`.
    pub fn say(&self, text: &str) {
        let masked = self.0.secrets.mask(text);
        self.lines(&masked.lines().map(said).collect::<Vec<_>>());
    }

    /// Lines on stdout for people; nothing with `--json`.
    pub fn lines(&self, lines: &[Styled]) {
        if !self.0.options.json {
            let page = Page::from(&self.0.options);
            let lines: Vec<Styled> = lines.iter().map(|line| line.clone().masked(&self.0.secrets)).collect();
            self.0.state().print(&laid_out(&lines, &page));
        }
    }

    /// The one line on stdout that other programs wait for, whoever reads.
    pub fn address(&self, address: &str) {
        self.0.state().print(&format!("{address}\n"));
    }

    /// A line on stderr, beside a stdout that other programs read.
    pub fn remark(&self, text: &str) {
        let masked = self.0.secrets.mask(&text::one_line(text));
        self.0.state().complain(&format!("{masked}\n"));
    }

    /// A table on stdout for people; nothing with `--json`.
    pub fn table(&self, table: &Table) {
        let table = table.clone().masked(&self.0.secrets);
        self.lines(&table.lines(&Page::from(&self.0.options)));
    }

    /// A JSON document on stdout, on one line; nothing without `--json`.
    pub fn json(&self, document: &Value) {
        if self.0.options.json {
            let mut document = document.clone();
            self.0.secrets.mask_json(&mut document);
            self.0.state().print(&format!("{}\n", escaped(&document.to_string())));
        }
    }

    /// A text on stdout for whoever reads it next, as it is; on a terminal without what could steer that.
    pub fn document(&self, text: &str) {
        let masked = self.0.secrets.mask(text);
        let shown =
            if std::io::stdout().is_terminal() { text::harmless(&masked) } else { masked.as_str().into() };
        self.0.state().print(&shown);
    }

    /// An error on stderr: what is wrong, and what to do about it.
    pub fn error(&self, message: &str, help: Option<&str>) {
        self.problem(Role::Bad, "error: ", message, help);
    }

    /// A warning on stderr.
    pub fn warning(&self, message: &str, help: Option<&str>) {
        self.problem(Role::Warn, "warning: ", message, help);
    }

    /// Errors in what a person wrote, on stderr, with their places.
    pub fn diagnostics(&self, found: &Diagnostics) {
        let text = problems::render(found, &self.error_page(), &self.0.secrets);
        self.0.state().complain(&self.0.secrets.mask(&text));
    }

    /// Nothing else is on the screen until what is returned is dropped. What is told meanwhile is shown then.
    pub fn hold(&self) -> Held {
        let mut state = self.0.state();
        state.holds += 1;
        if state.holds == 1
            && let Some(live) = &mut state.live
        {
            live.hide();
        }
        drop(state);
        Held(self.clone())
    }

    /// Takes progress off the screen, before a command ends or something else prints.
    pub fn finish(&self) {
        if let Some(live) = &mut self.0.state().live {
            live.clear();
        }
    }

    fn error_page(&self) -> Page {
        let page = Page::from(&self.0.options);
        // With `--json` stderr is read by programs as often as not.
        if self.0.options.json { Page { width: None, color: false, unicode: false, ..page } } else { page }
    }

    fn problem(&self, role: Role, word: &str, message: &str, help: Option<&str>) {
        let page = self.error_page();
        let message = self.0.secrets.mask(message);
        let mut lines = Vec::new();
        for (i, line) in message.lines().enumerate() {
            lines.push(match i {
                0 => Styled::new(0).with(role, word).plain(line),
                _ => Styled::new(2).plain(line).hanging(4 + line.len() - line.trim_start_matches(' ').len()),
            });
        }
        let help = help.map(|help| self.0.secrets.mask(help)).unwrap_or_default();
        for (i, line) in help.lines().enumerate() {
            let label = if i == 0 { "help: " } else { "      " };
            lines.push(Styled::new(2).with(Role::Change, label).plain(line).hanging(8));
        }
        self.0.state().complain(&laid_out(&lines, &page));
    }

    /// Starts the thread that turns the spinners, once there is something to turn.
    fn keep_ticking(&self, state: &mut State) {
        if state.ticking || state.live.is_none() {
            return;
        }
        let shared = Arc::downgrade(&self.0);
        let thread = std::thread::Builder::new().name("report".into()).spawn(move || turn(&shared));
        // Without it the rows only change with the events.
        state.ticking = thread.is_ok();
    }
}

/// Nothing else is on the screen while this lives.
pub struct Held(Reporter);

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.0.0.state();
        state.holds = state.holds.saturating_sub(1);
        if state.holds == 0 {
            let held = std::mem::take(&mut state.held);
            write(&mut state.out, &held);
            if let Some(live) = &mut state.live {
                live.show();
            }
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn print(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.holds > 0 {
            self.held.extend_from_slice(text.as_bytes());
            return;
        }
        let out = &mut self.out;
        match &self.live {
            Some(live) => live.above(|| write(out, text.as_bytes())),
            None => write(out, text.as_bytes()),
        }
    }

    fn complain(&mut self, text: &str) {
        let err = &mut self.err;
        match &self.live {
            Some(live) if self.holds == 0 => live.above(|| write(err, text.as_bytes())),
            _ => write(err, text.as_bytes()),
        }
    }
}

/// A reader that went away is no reason to stop a run.
fn write(out: &mut Box<dyn Write + Send>, bytes: &[u8]) {
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

fn turn(shared: &Weak<Shared>) {
    loop {
        std::thread::sleep(TICK);
        let Some(shared) = shared.upgrade() else { return };
        if let Some(live) = &mut shared.state().live {
            live.tick();
        }
    }
}

fn laid_out(lines: &[Styled], page: &Page) -> String {
    lines.iter().flat_map(|line| line.lay_out(page)).map(|row| row + "\n").collect()
}

/// One event as its line. Reads back as the same event, but for what is masked.
fn json_line(event: &Event, secrets: &Secrets) -> String {
    let masked = serde_json::to_value(&event.event).and_then(|mut what| {
        mask_event(&mut what, secrets);
        serde_json::from_value(what)
    });
    let line = masked.and_then(|what| serde_json::to_string(&Event { event: what, ..event.clone() }));
    line.map(|line| format!("{}\n", escaped(&line))).unwrap_or_default()
}

/// Masks what an event says; names of fields and kinds stay, or nobody could read it back.
fn mask_event(value: &mut Value, secrets: &Secrets) {
    match value {
        Value::String(text) => *text = secrets.mask(text),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_event(item, secrets)),
        Value::Object(map) => {
            for (key, item) in map {
                match key.as_str() {
                    "type" | "mark" | "verdict" | "ending" => {}
                    "value" => secrets.mask_json(item),
                    _ => mask_event(item, secrets),
                }
            }
        }
        _ => {}
    }
}

/// JSON text in which what could steer a terminal is escaped as JSON does; it stands only in strings.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut buffer = [0; 4];
    for c in json.chars() {
        let alone: &str = c.encode_utf8(&mut buffer);
        if text::harmless(alone) == alone {
            out.push(c);
        } else {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    out
}

/// A line; what is indented goes on below its own beginning, and a bit to the right of it.
fn said(line: &str) -> Styled {
    let indent = line.len() - line.trim_start_matches(' ').len();
    Styled::new(0).plain(line).hanging(if indent == 0 { 0 } else { indent + 2 })
}
