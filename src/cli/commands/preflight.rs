use std::path::PathBuf;

use clap::Args;

use super::common::{inputs, open_to_look, pair};
use crate::app::{self, Code, Failure, JobFit, Request, WaveFit};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Says whether the jobs of a plan's waves fit the cluster now, added up; changes nothing
///
/// Jobs are put onto the nodes' free room one after another, wave after wave; what runs as its file says
/// takes none. Which nodes a job may use, the server says. What fits here may still be refused for ports or
/// devices. Ends with exit code 3 where a wave doesn't fit.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  blackstart preflight start -e test")]
pub struct Preflight {
    /// The plan's name, or its file
    plan: String,
    /// A value for a variable of the plan
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    var: Vec<(String, String)>,
    /// Values for variables of the plan, from a var file; --var goes over it
    #[arg(long = "var-file", value_name = "FILE")]
    var_file: Vec<PathBuf>,
}

pub async fn run(args: &Preflight, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let opened = open_to_look(&global.options(None, ui)?)?;
    let request = Request {
        plan: Some(args.plan.clone()),
        inputs: inputs(&args.var_file, &args.var)?,
        ..Request::default()
    };
    let found = app::preflight(&opened, &request).await?;
    let code = if found.fits { Code::Done } else { Code::Refused };
    if ui.json {
        ui.reporter.json(&serde_json::to_value(&found).unwrap_or_default());
        return Ok(code);
    }
    let say = |line: &str| ui.reporter.say(line);
    say(&format!("{} on {}: {}", found.plan, opened.settings.name, taking(found.nodes.len())));
    for node in &found.nodes {
        let name = text::one_line(&node.name);
        say(&format!("  {name}: {} of {} free", node.free, node.total));
    }
    for wave in &found.waves {
        say(&shown(wave));
        for line in details(wave) {
            say(&format!("  {line}"));
        }
    }
    for unknown in &found.unknown {
        say(&format!("not known: {unknown}"));
    }
    say(if found.fits { "it fits" } else { "it doesn't fit" });
    Ok(code)
}

fn taking(nodes: usize) -> String {
    if nodes == 1 { "1 node takes work".into() } else { format!("{nodes} nodes take work") }
}

fn shown(wave: &WaveFit) -> String {
    let name = &wave.wave;
    let needed: u64 = wave.jobs.iter().flat_map(|job| &job.groups).map(|group| group.count).sum();
    let needed = text::count(usize::try_from(needed).unwrap_or(usize::MAX), "allocation");
    match wave.fits {
        None => format!("wave {name}: not looked at, since a wave before it doesn't fit"),
        Some(false) => format!("wave {name}: DOES NOT FIT ({needed} to place)"),
        Some(true) if wave.jobs.is_empty() => format!("wave {name}: no jobs"),
        Some(true) if wave.jobs.iter().all(|job| job.groups.is_empty()) => format!("wave {name}: all there"),
        Some(true) => format!("wave {name}: fits ({needed} to place)"),
    }
}

fn details(wave: &WaveFit) -> Vec<String> {
    let mut lines: Vec<String> = wave.jobs.iter().filter(|job| !job.groups.is_empty()).map(needs).collect();
    let Some(shortage) = &wave.shortage else { return lines };
    let (job, group) = (text::one_line(&shortage.job), text::one_line(&shortage.group));
    lines.push(format!(
        "the first without room: group '{group}' of {job}, {} of {} placed",
        shortage.placed, shortage.of
    ));
    match &shortage.on {
        None => lines.push("  no node may take it (constraints, drivers, datacenters or node pool)".into()),
        Some(node) => {
            let node = text::one_line(node);
            for (dimension, asked, left) in &shortage.lacks {
                let unit = dimension.unit();
                let lacks = asked - left;
                lines.push(format!(
                    "  {dimension}: {asked} {unit} asked, {left} {unit} left on {node}, which comes nearest: {lacks} {unit} short"
                ));
            }
        }
    }
    if wave.fits_largest_first {
        lines.push("with the largest first all would fit: they come in another order".into());
    }
    lines
}

fn needs(job: &JobFit) -> String {
    let groups: Vec<String> =
        job.groups.iter().map(|group| format!("{} × {}", group.count, group.each)).collect();
    let name = text::one_line(&job.job);
    format!("{name} {}: {}", if job.state == "changes" { "changes" } else { "to place" }, groups.join("; "))
}
