use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::arguments::{Inputs, with_diagnostics};
use crate::app::{self, Code, Failure, JobGraph, Why};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Shows which job waits for which, in the order in which they can start
///
/// A job waits for those that its `meta { depends_on = "a, b" }` names, and for those that offer a service which it
/// looks for: an upstream of its Connect sidecar, or a name in a template (nomadService, service, connect). Jobs that
/// wait for one another are named, and an error.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart job graph nomad-jobs\n  blackstart job graph nomad-jobs --dot | dot -Tsvg >jobs.svg"
)]
pub struct Graph {
    /// Job files, and folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Prints Graphviz's DOT: an arrow leads from a job to one that it waits for
    #[arg(long)]
    dot: bool,
    #[command(flatten)]
    inputs: Inputs,
}

pub fn run(args: &Graph, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let graph = app::job_graph(&args.paths, &args.inputs.options(global, ui)?)?;
    if ui.json {
        let document = json!({ "levels": graph.levels, "cycles": graph.cycles });
        ui.reporter.json(&with_diagnostics(document, &graph.problems));
    } else {
        ui.reporter.diagnostics(&graph.problems);
        if args.dot {
            ui.reporter.document(&dot(&graph));
        } else {
            levels(&graph, ui);
        }
    }
    Ok(if graph.problems.has_errors() { Code::Error } else { Code::Done })
}

fn levels(graph: &JobGraph, ui: &Ui) {
    for (i, level) in graph.levels.iter().enumerate() {
        for (row, job) in level.iter().enumerate() {
            let number = if row == 0 { format!("{}", i + 1) } else { String::new() };
            let mut line = format!("{number:<4}{}", job.id);
            let waits: Vec<String> = job
                .after
                .iter()
                .map(|wait| match &wait.why {
                    Why::DependsOn => wait.job.clone(),
                    Why::Service(service) => format!("{} (service {service})", wait.job),
                })
                .collect();
            if !waits.is_empty() {
                line.push_str(&format!(" after {}", text::list(&waits)));
            }
            if !job.outside.is_empty() {
                line.push_str(&format!("; looks for {}, which no job here offers", text::list(&job.outside)));
            }
            ui.reporter.say(&line);
        }
    }
}

fn dot(graph: &JobGraph) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = String::from("digraph jobs {\n  rankdir = RL\n  node [shape = box]\n");
    for level in &graph.levels {
        let names: Vec<String> = level.iter().map(|job| quoted(&job.id)).collect();
        out.push_str(&format!("  {{ rank = same; {} }}\n", names.join("; ")));
    }
    for job in graph.levels.iter().flatten() {
        for wait in &job.after {
            let style = match &wait.why {
                Why::DependsOn => String::new(),
                Why::Service(service) => format!(" [style = dashed, label = {}]", quoted(service)),
            };
            out.push_str(&format!("  {} -> {}{style}\n", quoted(&job.id), quoted(&wait.job)));
        }
    }
    out.push_str("}\n");
    out
}
