//! From events to lines that people read. Pure: no clock, no output.
//!
//! Guarantees: every text of an event is masked and made harmless before it is in a line; the lines of
//! a stream depend on nothing but the events and the options.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::gates::{Samples, Say};
use super::options::Options;
use super::steps::{New, Running};
use super::styled::{Role, Styled};
use crate::base::{Secrets, text};
use crate::event::{Ending, Event, Line, Mark, StepShown, Verdict, What};

/// Turns the events of a run, in their order, into prose.
pub struct Prose {
    options: Options,
    secrets: Secrets,
    samples: Samples,
    running: Running,
    /// The wave under whose heading steps are being shown.
    shown: Option<String>,
    /// What is shown from now on is shown because it differs from what was approved.
    decided: bool,
    /// Waves that are going on.
    waves: BTreeSet<String>,
    /// Whether a step was started.
    changed: bool,
    /// Errors that were told in full.
    told: Vec<String>,
}

impl Prose {
    pub fn new(options: Options, secrets: Secrets) -> Self {
        Self {
            options,
            secrets,
            samples: Samples::default(),
            running: Running::default(),
            shown: None,
            decided: false,
            waves: BTreeSet::new(),
            changed: false,
            told: Vec::new(),
        }
    }

    /// The lines that this event adds to the story; often none.
    pub fn lines(&mut self, event: &Event) -> Vec<Styled> {
        let mut lines = self.told_by(event);
        for line in &mut lines {
            line.simulated = event.simulated;
        }
        lines
    }

    fn told_by(&mut self, event: &Event) -> Vec<Styled> {
        let stamp = if event.simulated { format!("  ({})", stamp(event.at)) } else { String::new() };
        match &event.event {
            What::Target { project, environment, protected, plan, details } => {
                // The first of a run: one process may tell several.
                *self = Self::new(self.options.clone(), self.secrets.clone());
                self.target(event, [project, environment, plan], *protected, details)
            }
            What::Note { text } => self.block(0, Role::Plain, "", text),
            What::Warning { text } => self.block(0, Role::Warn, "warning: ", text),
            What::CheckPassed { name, wave } => {
                let indent = if wave.is_some() { 2 } else { 0 };
                vec![
                    Styled::new(indent)
                        .plain(format!("check {}: ", self.mask(name)))
                        .with(Role::Good, "holds"),
                ]
            }
            What::CheckFailed { name, wave, error } => {
                let indent = if wave.is_some() { 2 } else { 0 };
                self.told.push(error.clone());
                self.block(indent, Role::Bad, &format!("check {name}: does not hold: "), error)
            }
            What::Looking { .. } => Vec::new(),
            What::Shown { step } => self.shown(step),
            What::Decision { digest, waves, later } => self.decision(digest, waves, *later),
            What::Approved { who, how } => {
                let line = Styled::new(0).with(Role::Good, "Approved");
                vec![line.plain(self.mask(&format!(" by {who} ({how})")))]
            }
            What::WaveStarted { wave, index, of } => {
                self.decided = true;
                self.waves.insert(wave.clone());
                let line =
                    Styled::new(0).with(Role::Strong, format!("wave {index} of {of}: {}", self.mask(wave)));
                vec![Styled::blank(), line.with(Role::Dim, stamp)]
            }
            What::WaveDone { wave, seconds } => {
                self.waves.remove(wave);
                let line = Styled::new(0).plain(format!("wave {} is ", self.mask(wave)));
                let line = line.with(Role::Good, "done").plain(format!(" after {}", length(*seconds)));
                vec![line.with(Role::Dim, stamp)]
            }
            What::StepStarted { wave: _, step, kind, summary } => {
                self.decided = true;
                self.changed = true;
                self.running.begin(step, event.at);
                let line = Styled::new(2).with(Role::Strong, self.mask(step));
                let line = line.with(Role::Dim, self.mask(&format!(" ({kind})")));
                vec![line.plain(self.mask(&format!(": {summary}")))]
            }
            What::StepProgress { step, item, text, done, of } => {
                let all = self.options.verbose > 0;
                let new = New { item: item.as_deref(), text, done: *done, at: event.at, all };
                if !self.running.worth(step, &new) {
                    return Vec::new();
                }
                let counts = match (done, of) {
                    (Some(done), Some(of)) => format!("{done:>width$}/{of}  ", width = of.to_string().len()),
                    _ => String::new(),
                };
                let item = item.as_deref().unwrap_or(step);
                // Of one of many its place says enough; what is told of a job stays whole.
                let line = Styled::new(4);
                let line = if counts.is_empty() { line } else { line.cutting() };
                let line = line.with(Role::Dim, counts);
                vec![line.plain(self.mask(&format!("{item}: {text}")))]
            }
            What::StepDone { step, summary, seconds } => {
                let ran = self.running.end(step);
                let line = Styled::new(2).with(Role::Strong, self.mask(step)).plain(": ");
                let line = if ran {
                    line.with(Role::Good, "done").plain(format!(" in {}", length(*seconds)))
                } else {
                    line.with(Role::Good, "ok")
                };
                // Some kinds have no more to say than that.
                let rest = if summary == "done" { String::new() } else { format!(": {summary}") };
                vec![line.plain(self.mask(&rest))]
            }
            What::StepFailed { step, error, interrupted: true, .. } => {
                self.running.end(step);
                self.told.push(error.clone());
                self.block(2, Role::Warn, &format!("{step}: "), error)
            }
            What::StepFailed { step, error, seconds, .. } => {
                self.running.end(step);
                self.told.push(error.clone());
                let first = format!("{step}: FAILED after {}: ", length(*seconds));
                self.block(2, Role::Bad, &first, error)
            }
            What::GateStarted { wave, gate, every, deadline, consecutive } => {
                let times = match consecutive {
                    0 | 1 => "holds".to_owned(),
                    times => format!("holds {times} times in a row"),
                };
                let (every, deadline) = (length(*every), length(*deadline));
                let rule = format!(": looked at every {every} until it {times}, for at most {deadline}");
                vec![self.gate(wave, gate).plain(rule).with(Role::Dim, stamp)]
            }
            What::GateSampled { .. } => self.sampled(event, &stamp),
            What::GatePassed { wave, gate, detail, waited } => {
                self.samples.over(wave, gate);
                let line = self.gate(wave, gate).plain(": ").with(Role::Good, "passed");
                let line = line.plain(self.mask(&format!(" after {}: {detail}", length(*waited))));
                vec![line.with(Role::Dim, stamp)]
            }
            What::GateFailed { wave, gate, error, waited } => {
                self.samples.over(wave, gate);
                self.told.push(error.clone());
                let first =
                    format!("gate {}: FAILED after {}: ", self.gate_name(wave, gate), length(*waited));
                self.block(2, Role::Bad, &first, error)
            }
            What::Recorded { name, value } => {
                vec![Styled::new(2).plain(self.mask(&format!("recorded {name} = {value}")))]
            }
            What::Interrupted { text } => self.block(0, Role::Warn, "interrupted: ", text),
            What::Finished { .. } => self.finished(event),
        }
    }

    fn target(
        &self,
        event: &Event,
        [project, environment, plan]: [&String; 3],
        protected: bool,
        details: &[(String, String)],
    ) -> Vec<Styled> {
        let mut rows = vec![("project", project.clone(), Role::Plain)];
        let (environment, role) = if protected {
            (format!("{environment} (protected)"), Role::Warn)
        } else {
            (environment.clone(), Role::Strong)
        };
        rows.push(("environment", environment, role));
        rows.push(("plan", plan.clone(), Role::Strong));
        rows.extend(details.iter().map(|(name, value)| (name.as_str(), value.clone(), Role::Plain)));
        if event.simulated {
            let at = event.at.strftime("%Y-%m-%d %H:%M");
            rows.push(("clock", format!("{at} UTC, simulated time"), Role::Plain));
        }
        let widest = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or_default().min(24);
        let row = |(name, value, role): &(&str, String, Role)| {
            let label = format!("{:<widest$}  ", self.mask(name));
            Styled::new(0).with(Role::Dim, label).with(*role, self.mask(value)).hanging(widest + 2)
        };
        rows.iter().map(row).collect()
    }

    fn shown(&mut self, step: &StepShown) -> Vec<Styled> {
        let mut lines = Vec::new();
        if self.decided {
            lines.push(Styled::new(2).with(Role::Warn, "this is not what was shown before:"));
        } else {
            if self.shown.is_none() {
                lines.push(Styled::blank());
                lines.push(Styled::new(0).with(Role::Strong, "What is to be done:"));
            }
            if self.shown.as_ref() != Some(&step.wave) {
                self.shown = Some(step.wave.clone());
                lines.push(Styled::new(2).plain(self.mask(&format!("wave {}", step.wave))));
            }
        }
        let line = Styled::new(4).with(Role::Strong, self.mask(&step.step));
        let line = line.with(Role::Dim, self.mask(&format!(" ({})", step.kind)));
        lines.push(line.plain(self.mask(&format!(": {}", step.summary))));
        if let Some(later) = &step.later {
            let text = format!("known in full only later: {later}");
            lines.push(Styled::new(6).with(Role::Dim, self.mask(&text)));
        }
        lines.extend(step.lines.iter().flat_map(|line| self.marked(line)));
        lines
    }

    /// One line of a preview behind its mark; the marks say the same without colour.
    fn marked(&self, line: &Line) -> Vec<Styled> {
        let (mark, role) = match line.mark {
            Mark::Add => ("  + ", Role::Good),
            Mark::Change => ("  ~ ", Role::Warn),
            Mark::Remove => ("  - ", Role::Bad),
            Mark::Replace => ("-/+ ", Role::Warn),
            Mark::Plain => ("    ", Role::Plain),
            Mark::Offending => ("--> ", Role::Bad),
        };
        let depth = usize::from(line.depth.min(16)) * 2;
        let rest = if line.mark == Mark::Offending { Role::Bad } else { Role::Plain };
        let masked = self.mask(&line.text);
        let each = masked.lines().enumerate().map(|(i, text)| {
            let mark = if i == 0 { mark } else { "    " };
            Styled::new(4 + depth).with(role, mark).with(rest, text).hanging(10 + depth)
        });
        each.collect()
    }

    fn decision(&self, digest: &str, waves: &[String], later: usize) -> Vec<Styled> {
        let order = waves.join(", ");
        let line = Styled::new(0).plain("Decision ").with(Role::Strong, self.mask(digest));
        let mut lines = vec![
            Styled::blank(),
            line.plain(self.mask(&format!(": {}: {order}", text::count(waves.len(), "wave")))),
        ];
        if later > 0 {
            let steps = if later == 1 { "1 step is".to_owned() } else { format!("{later} steps are") };
            let text = format!(
                "{steps} known in full only later. What goes beyond what is shown here is asked about then."
            );
            lines.push(Styled::new(0).plain(text));
        }
        lines
    }

    fn gate_name(&self, wave: &str, gate: &str) -> String {
        // Where waves run side by side a gate's name alone may be ambiguous.
        if self.waves.len() > 1 { format!("{wave}/{gate}") } else { gate.to_owned() }
    }

    fn gate(&self, wave: &str, gate: &str) -> Styled {
        let name = self.gate_name(wave, gate);
        Styled::new(2).plain("gate ").with(Role::Strong, self.mask(&name))
    }

    fn sampled(&mut self, event: &Event, stamp: &str) -> Vec<Styled> {
        let What::GateSampled { wave, gate, verdict, detail, passes, needed, waited } = &event.event else {
            return Vec::new();
        };
        let say = Say {
            simulated: event.simulated,
            live: self.options.terminal,
            all: self.options.verbose > 0,
            waited: *waited,
        };
        // The one that passes the gate is told by the gate.
        let last = *verdict == Verdict::Pass && passes >= needed;
        if last || !self.samples.worth((wave.clone(), gate.clone()), *verdict, event.at, &say) {
            return Vec::new();
        }
        let line = self.gate(wave, gate).plain(": ");
        let line = match verdict {
            Verdict::Pass => line,
            Verdict::NotYet => line.plain("not yet: "),
            Verdict::Fail => line.with(Role::Bad, "fails: "),
            Verdict::Error => line.with(Role::Bad, "can't be looked at: "),
            Verdict::NoData => line.with(Role::Warn, "no data: "),
        };
        let line = line.plain(self.mask(detail));
        let line = match verdict {
            Verdict::Pass => line.plain(", ").with(Role::Good, format!("{passes} of {needed} in a row")),
            _ => line,
        };
        vec![line.plain(format!(", waited {}", length(*waited))).with(Role::Dim, stamp)]
    }

    fn finished(&mut self, event: &Event) -> Vec<Styled> {
        let What::Finished { ending, summary, done, not_done, next, help, head, seconds } = &event.event
        else {
            return Vec::new();
        };
        let (title, role) = match ending {
            Ending::Done => ("Done", Role::Good),
            Ending::NothingToDo => ("Nothing to do", Role::Good),
            Ending::Refused => ("Refused", Role::Bad),
            Ending::Denied => ("Not approved", Role::Bad),
            Ending::Failed => ("Failed", Role::Bad),
            Ending::Paused => ("Paused", Role::Warn),
        };
        let summary = self.mask(summary);
        // What was told in full where it happened is named here in one line.
        let again = self.told.iter().any(|error| !error.is_empty() && summary.contains(&self.mask(error)));
        let shown = if again { summary.lines().next().unwrap_or_default() } else { &summary };
        let shown = if shown.to_lowercase().starts_with(&title.to_lowercase()) {
            shown.get(title.len()..).unwrap_or_default().trim_start_matches([':', ';', ' '])
        } else {
            shown
        };
        let first = if shown.is_empty() { title.to_owned() } else { format!("{title}: ") };
        let mut lines = vec![Styled::blank()];
        lines.extend(self.block(0, role, &first, shown));
        // Where there is something to go on with, an earlier attempt may have changed something.
        let untouched = !self.changed && done.is_empty() && next.is_none();
        let nothing_changed = untouched && *ending != Ending::NothingToDo && *ending != Ending::Done;
        if nothing_changed && !summary.contains("nothing was changed") {
            lines.push(Styled::new(2).plain("nothing was changed"));
        }
        let mut rows: Vec<(&str, String, Role)> = Vec::new();
        if !untouched && *ending != Ending::NothingToDo {
            let nothing = "nothing".to_owned();
            rows.push(("done", if done.is_empty() { nothing } else { done.join(", ") }, Role::Plain));
            if !not_done.is_empty() {
                rows.push(("not done", not_done.join(", "), Role::Warn));
            }
        }
        if let Some(next) = next.as_deref().filter(|next| !next.is_empty() && *ending != Ending::Done) {
            rows.push(("go on with", next.to_owned(), Role::Strong));
        }
        if let Some(help) = help {
            rows.push(("help", help.clone(), Role::Strong));
        }
        let simulated = if event.simulated { " of simulated time" } else { "" };
        rows.push(("took", format!("{}{simulated}", length(*seconds)), Role::Plain));
        if let Some(head) = head.as_ref().filter(|_| self.changed || self.options.verbose > 0) {
            rows.push(("journal", format!("{head}  (its head: keep it elsewhere)"), Role::Dim));
        }
        lines.extend(rows.iter().map(|(label, value, role)| {
            let line = Styled::new(2).with(Role::Dim, format!("{label:<10}  ")).hanging(14);
            line.with(*role, self.mask(value))
        }));
        lines
    }

    /// A text that may be of several lines, its first behind `first`.
    fn block(&self, indent: usize, role: Role, first: &str, text: &str) -> Vec<Styled> {
        let masked = self.mask(text);
        let mut rest = masked.lines();
        let head = Styled::new(indent).with(role, self.mask(first)).plain(rest.next().unwrap_or_default());
        let rest = rest.filter(|line| !line.trim().is_empty());
        let below = |line: &str| {
            let deep = line.len() - line.trim_start_matches(' ').len();
            Styled::new(indent + 2).plain(line).hanging(indent + 4 + deep)
        };
        std::iter::once(head).chain(rest.map(below)).collect()
    }

    fn mask(&self, text: &str) -> String {
        self.secrets.mask(text)
    }
}

/// Seconds as people say them.
pub(super) fn length(seconds: f64) -> String {
    text::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// The simulated time of day, with the day: a restart may take several.
fn stamp(at: Timestamp) -> String {
    at.strftime("%b %d %H:%M").to_string()
}
