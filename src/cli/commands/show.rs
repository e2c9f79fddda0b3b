use clap::Args;

use super::common::open_record;
use crate::app::{Code, Failure};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;
use crate::journal::{Body, Record};

/// Shows the record of a run: what was approved by whom, and what was done
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart show 20261121-0130 -e test")]
pub struct Show {
    /// The run, or a part of its name
    run: String,
}

pub fn run(args: &Show, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let opened = open_record(&global.options(None, ui)?)?;
    let runs = opened.journal.runs()?;
    let found: Vec<_> = runs.iter().filter(|run| run.id.0.contains(&args.run)).collect();
    let run = match found.as_slice() {
        [one] => *one,
        [] => {
            return Err(Failure::error(format!(
                "there is no run '{}' in '{}'",
                args.run, opened.settings.name
            ))
            .help(format!("see them: blackstart runs -e {}", opened.settings.name)));
        }
        several => {
            let ids: Vec<&str> = several.iter().map(|run| run.id.0.as_str()).collect();
            return Err(Failure::error("several runs fit").help(format!("name one: {}", ids.join(", "))));
        }
    };
    for record in opened.journal.records(&run.id) {
        if ui.json {
            ui.reporter.json(&serde_json::to_value(&record).unwrap_or_default());
        } else {
            for line in lines(&record) {
                ui.reporter.say(&line);
            }
        }
    }
    if !ui.json {
        ui.reporter.say(&format!("The journal's head is {}.", opened.journal.head()));
    }
    Ok(Code::Done)
}

/// Where what a record says begins, beside its time.
const MARGIN: usize = 21;

/// A record with its time; what is more than a line stands below its first one.
fn lines(record: &Record) -> Vec<String> {
    let said = said(record);
    let mut rest = said.lines().filter(|line| !line.trim().is_empty());
    let first = rest.next().unwrap_or_default();
    let deep = first.len() - first.trim_start().len() + 2;
    let first = format!("{}  {}", record.at.strftime("%Y-%m-%d %H:%M:%S"), text::one_line(first));
    let below = |line: &str| format!("{}{}", " ".repeat(MARGIN + deep), text::one_line(line));
    std::iter::once(first).chain(rest.map(below)).collect()
}

/// A record in words.
fn said(record: &Record) -> String {
    match &record.body {
        Body::RunStarted { plan, who, .. } => format!("{who} began {plan}"),
        Body::RunResumed { who, .. } => format!("{who} went on with it"),
        Body::Approved { digest, who, how } => format!("approved by {who} {how} (decision {digest})"),
        Body::Denied { digest, who } => format!("not approved by {who} (decision {digest})"),
        Body::GuardSet { step, guard, who } => format!("{who} set the guard of {step} to {guard}"),
        Body::WaveStarted { wave } => format!("wave {wave} began"),
        Body::WaveDone { wave } => format!("wave {wave} done"),
        Body::StepIntended { step, attempt, precondition, .. } => {
            let again = match attempt {
                1 => String::new(),
                attempt => format!(" again (attempt {attempt})"),
            };
            match precondition["patch"]["description"].as_str() {
                Some(description) => format!("  {step}: begun{again}: {}", text::one_line(description)),
                None => format!("  {step}: begun{again}"),
            }
        }
        Body::StepChild { step, pid, .. } => format!("  {step}: process {pid}"),
        Body::StepDone { step, .. } => format!("  {step}: done"),
        Body::StepFailed { step, error, .. } => format!("  {step}: failed: {error}"),
        Body::StepReconciled { step, detail, .. } => format!("  {step}: {detail}"),
        Body::GatePassed { gate, detail, .. } => format!("  gate {gate} passed: {detail}"),
        Body::GateWaived { gate, who, detail, .. } => format!("  gate {gate} passed over by {who}: {detail}"),
        Body::Recorded { name, value } => format!("  recorded {name} = {value}"),
        Body::Answered { question, answer, who } => format!("  {who} answered {answer}: {question}"),
        Body::PatchDropped { job, path, who, how } => {
            format!("  {who}: the patch of {job} {path} is not asked about any more ({how})")
        }
        Body::JobsKept { jobs, .. } => format!("  {} kept as they were", text::count(jobs.len(), "job")),
        Body::RunPaused { reason } => format!("paused: {reason}"),
        Body::RunFailed { reason } => format!("failed: {reason}"),
        Body::RunDone { .. } => "done".into(),
        Body::RunAbandoned { who } => format!("given up by {who}"),
    }
}
