use clap::Args;
use serde_json::json;

use super::common::open_to_look;
use super::runs;
use crate::app::{self, Code, Failure};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;
use crate::journal::Run;
use crate::report::Table;

/// Shows an environment at a glance: resources, jobs, last run, downtime
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart status test")]
pub struct Status {
    /// The environment, as blackstart.hcl names it
    #[arg(value_name = "ENV")]
    positional: Option<String>,
}

pub async fn run(args: &Status, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let opened = open_to_look(&global.options(args.positional.as_ref(), ui)?)?;
    let status = app::status(&opened).await?;
    if ui.json {
        ui.reporter.json(&as_json(&status));
        return Ok(Code::Done);
    }
    let reporter = &ui.reporter;
    reporter.say(&format!("{} {}", opened.project.name, opened.settings.name));
    match &status.terraform {
        None => {}
        Some(Err(error)) => reporter.say(&format!("terraform  {error}")),
        Some(Ok(state)) => {
            let below = |address: &str| {
                status.targets.iter().any(|target| address.starts_with(&format!("{target}.")))
            };
            let core = state.resources.iter().filter(|resource| below(&resource.address)).count();
            let others = state.resources.len() - core;
            let tainted = state.resources.iter().filter(|resource| resource.tainted).count();
            let mut line =
                format!("terraform  {} under {}", text::count(core, "resource"), status.targets.join(", "));
            line.push_str(&format!(", {others} elsewhere"));
            if tainted > 0 {
                line.push_str(&format!(", {tainted} left half made"));
            }
            reporter.say(&line);
        }
    }
    match &status.nomad {
        None => {}
        Some(Err(error)) => reporter.say(&format!("nomad      {error}")),
        Some(Ok(jobs)) if jobs.is_empty() => reporter.say("nomad      answers, and has no job"),
        Some(Ok(jobs)) => {
            reporter.say(&format!("nomad      {}", app::glance(jobs)));
            let mut table =
                Table::new(["JOB", "STATUS", "VERSION", "HEALTHY", "IMAGE"]).keeping(["JOB", "IMAGE"]);
            for job in jobs {
                let health = &job.health;
                let images: Vec<&str> = health.images.iter().map(|image| short_image(&image.image)).collect();
                table = table.row([
                    health.id.clone(),
                    health.state.to_string(),
                    health.version.to_string(),
                    format!("{}/{}", health.healthy(), health.desired()),
                    images.join(", "),
                ]);
            }
            reporter.table(&table);
            for job in jobs.iter().filter(|job| !job.health.is_healthy()) {
                if let Some(reason) = &job.health.pending {
                    reporter.say(&format!("{}: {}", job.health.id, text::one_line(reason)));
                }
                for line in job.advice.iter().flat_map(|advice| advice.lines(&status.write_flags)) {
                    reporter.say(&format!("  {line}"));
                }
            }
        }
    }
    match &status.drifted {
        None | Some(Ok(0)) => {}
        Some(Ok(drifted)) => {
            let verb = if *drifted == 1 { "is" } else { "are" };
            let jobs = text::count(*drifted, "job");
            let environment = &opened.settings.name;
            reporter.say(&format!(
                "drift      {jobs} {verb} other than the files say: blackstart drift {environment}"
            ));
        }
        Some(Err(why)) => reporter.say(&format!("drift      not known: {why}")),
    }
    if !status.uncommitted.is_empty() {
        let verb = if status.uncommitted.len() == 1 { "is" } else { "are" };
        reporter.say(&format!(
            "files      {} {verb} not committed",
            text::one_line(&text::list(&status.uncommitted))
        ));
    }
    let runs = status.nomad.iter().flatten().flatten().any(|job| job.health.is_healthy());
    // What a start that failed brought up stays.
    let however = if runs && status.downtime.seconds().is_some_and(|seconds| seconds > 0.0) {
        "; some of it runs, but no start has ended well since"
    } else {
        ""
    };
    reporter.say(&format!("downtime   {}{however}", status.downtime.shown()));
    if let Some(last) = &status.last_run {
        let when = last.started.strftime("%Y-%m-%d %H:%M");
        reporter.say(&format!(
            "last run   {} by {} at {when} UTC: {}",
            last.plan,
            last.who,
            runs::status(last, status.changing.as_ref())
        ));
    }
    if let Some(holder) = &status.changing {
        reporter.say(&format!(
            "running now: {} by {}, process {}, since {}",
            holder.doing,
            holder.who,
            holder.pid,
            holder.since.strftime("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    let over = |run: &&Run| !runs::is_running(run, status.changing.as_ref());
    for run in status.unfinished.iter().filter(over) {
        let next = format!("blackstart resume {} -e {}", run.id, opened.settings.name);
        let line = format!("unfinished {} ({}); go on with it: {next}", run.id, run.plan);
        reporter.say(&format!("{line}; or give it up: the same with --abandon"));
    }
    for patch in &status.unsaved {
        reporter.warning(&format!("unsaved patch: {}", patch.words()), None);
    }
    if !status.unsaved.is_empty() {
        reporter.say(&app::ways_out(&opened.settings.name, &status.write_flags));
    }
    Ok(Code::Done)
}

/// The repository's last part and the tag.
fn short_image(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

fn as_json(status: &app::Status) -> serde_json::Value {
    let jobs = status.nomad.as_ref().and_then(|nomad| nomad.as_ref().ok()).map(|jobs| {
        let one = |job: &app::JobRow| {
            let mut value = serde_json::to_value(&job.health).unwrap_or_default();
            if let Some(advice) = &job.advice {
                let commands: Vec<String> =
                    advice.offers.iter().map(|offer| offer.command(&status.write_flags)).collect();
                value["advice"] =
                    json!({ "groups": advice.groups, "offers": advice.offers, "commands": commands });
            }
            value
        };
        jobs.iter().map(one).collect::<Vec<_>>()
    });
    let resources =
        status.terraform.as_ref().and_then(|terraform| terraform.as_ref().ok()).map(|state| &state.resources);
    let error = |result: Option<&String>| result.cloned();
    json!({
        "resources": resources,
        "terraform_error": error(status.terraform.as_ref().and_then(|t| t.as_ref().err())),
        "jobs": jobs,
        "nomad_error": error(status.nomad.as_ref().and_then(|n| n.as_ref().err())),
        "drift": status.drifted.as_ref().and_then(|found| found.as_ref().ok()),
        "drift_error": error(status.drifted.as_ref().and_then(|found| found.as_ref().err())),
        "uncommitted": status.uncommitted,
        "downtime_seconds": status.downtime.seconds(),
        "last_run": status.last_run.as_ref().map(|run| json!({ "run": run.id, "plan": run.plan, "status": runs::status(run, status.changing.as_ref()) })),
        "unsaved": status.unsaved.iter().map(|patch| json!({
            "job": patch.change.job,
            "path": patch.change.path,
            "old": patch.change.old,
            "new": patch.change.new,
            "at": patch.change.at,
            "who": patch.change.who,
            "run": patch.change.run,
            "certain": patch.change.certain,
            "why": patch.why.words(),
        })).collect::<Vec<_>>(),
        "running": status.changing,
        "unfinished": status.unfinished.iter().filter(|run| !runs::is_running(run, status.changing.as_ref())).map(|run| &run.id).collect::<Vec<_>>(),
    })
}
