use clap::{Args, Subcommand};

use super::{diff, fmt, graph, parse, validate};
use crate::app::{Code, Failure};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Reads, checks, formats and compares Nomad job files, without a server
///
/// No blackstart.hcl and no environment are needed. Variables come from the shell's NOMAD_VAR_NAME, from -var-file
/// and from -var, as the stock client takes them; with -e ENV, the environment's var files come before these.
/// A folder stands for the job files in it and below: *.nomad, *.nomad.hcl, *.nomad.json, and *.hcl with a job block.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart job validate nomad-jobs\n  blackstart job parse web.nomad.hcl -var tag=git-1a2b3c4d\n  blackstart job fmt --check nomad-jobs\n  blackstart job diff web.nomad.hcl job:web\n  blackstart job graph nomad-jobs --dot | dot -Tsvg >jobs.svg"
)]
pub struct Job {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Parse(parse::Parse),
    Validate(validate::Validate),
    Fmt(fmt::Fmt),
    Diff(diff::Diff),
    Graph(graph::Graph),
}

pub fn run(args: &Job, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    match &args.verb {
        Verb::Parse(args) => parse::run(args, global, ui),
        Verb::Validate(args) => validate::run(args, global, ui),
        Verb::Fmt(args) => fmt::run(args, global, ui),
        Verb::Diff(args) => diff::run(args, global, ui),
        Verb::Graph(args) => graph::run(args, global, ui),
    }
}
