use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;

use super::common::{duration, ended, pair, variables};
use crate::app::{self, Code, Failure, Rehearsal, Rehearsed, Session};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::prompt::Nobody;
use crate::cli::ui::Ui;
use crate::event::{Event, What};
use crate::report::Table;

/// Runs a plan in virtual time against a simulated environment: hours in milliseconds
///
/// The same engine, steps and gates, with no child and no socket. It ends with when each wave started and
/// caught up, and how many products were made without their inputs (degraded).
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart rehearse cold-start --downtime 3d --seed 7")]
pub struct Rehearse {
    /// The plan's name, or its file
    plan: String,
    /// How long the environment was down: 90m, 3d
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    downtime: Option<Duration>,
    /// Another seed is another story
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A value for a variable of the plan
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    var: Vec<(String, String)>,
}

/// When a wave began and ended.
struct WaveTimes {
    name: String,
    began: Timestamp,
    done: Option<Timestamp>,
}

pub fn run(args: &Rehearse, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let mut options = global.options(None, ui)?;
    let project = app::project(&options)?;
    if options.environment.is_none() {
        options.environment = project.simulated().map(|environment| environment.name.clone());
    }
    let environment = app::choose(&project, &options)?;
    let waves: Arc<Mutex<Vec<WaveTimes>>> = Arc::default();
    let (reporter, seen) = (ui.reporter.clone(), Arc::clone(&waves));
    let sink = move |event: &Event| {
        let mut waves = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.event {
            What::WaveStarted { wave, .. } => {
                waves.push(WaveTimes { name: wave.clone(), began: event.at, done: None });
            }
            What::WaveDone { wave, .. } => {
                if let Some(times) = waves.iter_mut().find(|times| times.name == *wave) {
                    times.done = Some(event.at);
                }
            }
            _ => {}
        }
        reporter.event(event);
    };
    let session = Session {
        sink: Arc::new(sink),
        approver: Arc::new(Nobody),
        interrupts: watch::Sender::new(0).subscribe(),
    };
    let rehearsal = Rehearsal {
        plan: args.plan.clone(),
        inputs: variables(&args.var)?,
        downtime: args.downtime,
        seed: args.seed,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .map_err(|error| Failure::error(format!("the runtime can't be started: {error}")))?;
    let rehearsed = runtime.block_on(app::rehearse(&project, environment, &options, &session, &rehearsal))?;
    let waves = waves.lock().unwrap_or_else(PoisonError::into_inner);
    show(&rehearsed, &waves, ui);
    ended(&rehearsed.finished, ui);
    Ok(rehearsed.code())
}

fn show(rehearsed: &Rehearsed, waves: &[WaveTimes], ui: &Ui) {
    let after = |at: Timestamp| {
        text::duration(Duration::try_from(at.duration_since(rehearsed.began)).unwrap_or_default())
    };
    let report = &rehearsed.report;
    if ui.json {
        let waves: Vec<_> = waves
            .iter()
            .map(|w| json!({ "wave": w.name, "started": w.began, "caught_up": w.done }))
            .collect();
        ui.reporter.json(&json!({
            "rehearsal": { "began": rehearsed.began, "waves": waves, "report": report, "degraded": report.degraded },
        }));
        return;
    }
    let mut table = Table::new(["WAVE", "STARTED AFTER", "CAUGHT UP AFTER"]);
    for wave in waves {
        let done = wave.done.map_or_else(|| "not".to_owned(), after);
        table = table.row([wave.name.clone(), after(wave.began), done]);
    }
    if !waves.is_empty() {
        ui.reporter.table(&table);
    }
    if !report.types.is_empty() {
        let mut table = Table::new(["JOB TYPE", "PRODUCTS", "DEGRADED", "MISSING"]);
        for one in &report.types {
            let counts = [one.generated, one.degraded, one.missing].map(|count| count.to_string());
            let [generated, degraded, missing] = counts;
            table = table.row([one.name.clone(), generated, degraded, missing]);
        }
        ui.reporter.table(&table);
    }
    ui.reporter.say(&format!(
        "{} degraded.",
        text::count(usize::try_from(report.degraded).unwrap_or(usize::MAX), "product")
    ));
}
