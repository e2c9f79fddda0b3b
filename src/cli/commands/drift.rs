use clap::Args;
use serde_json::{Value, json};

use super::common::open_to_look;
use super::patch::{Write, write};
use crate::app::{self, Code, Drift as Found, Drifted, Failure, How, Opened};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Holds the job files against what runs, whoever changed it
///
/// The server itself compares them, so that what a file leaves out counts as the default it stands for.
/// Exit code 2 where something differs, 0 where nothing does. Changes nothing.
/// Jobs that others own are left out where blackstart.hcl names them: `nomad { ignore = ["other-*"] }`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart drift test\n  blackstart drift -e test --json\n  blackstart drift test --save --commit"
)]
pub struct Drift {
    /// The environment, as blackstart.hcl names it
    #[arg(value_name = "ENV")]
    positional: Option<String>,
    /// Takes what runs into the files where an edit can, and says what can't be taken
    #[arg(long)]
    save: bool,
    #[command(flatten)]
    write: Write,
}

pub async fn run(args: &Drift, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    if args.save {
        let Write { commit, shared, .. } = args.write;
        let saving = async |opened: &Opened| {
            let found = app::drift(opened).await?;
            app::drift_to_save(opened, &found, commit, shared).await
        };
        let named =
            Global { environment: args.positional.clone().or(global.environment.clone()), ..global.clone() };
        let code = write(&args.write, &named, ui, "drift --save", saving).await?;
        if code != Code::Done {
            return Ok(code);
        }
        // What had no place is drift still.
        let opened = open_to_look(&named.options(None, ui)?)?;
        let left = app::drift(&opened).await?.unsaved().count();
        return Ok(if left == 0 { Code::Done } else { Code::Changes });
    }
    let Write { commit, shared, yes, approve } = &args.write;
    if *commit || *shared || *yes || approve.is_some() {
        return Err(Failure::error("--commit, --shared, --yes and --approve are for drift --save"));
    }
    let opened = open_to_look(&global.options(args.positional.as_ref(), ui)?)?;
    let found = app::drift(&opened).await?;
    let code = if found.jobs.is_empty() { Code::Done } else { Code::Changes };
    if ui.json {
        ui.reporter.json(&as_json(&found));
        return Ok(unless_unreadable(&found, code));
    }
    let environment = &opened.settings.name;
    for job in &found.jobs {
        for line in described(job, environment) {
            ui.reporter.say(&line);
        }
    }
    for (_, problems) in &found.unreadable {
        ui.reporter.diagnostics(problems);
    }
    ui.reporter.say(&match found.jobs.len() {
        0 => format!("{}: as the files say", text::count(found.same, "job")),
        n => format!("{} as the files say, {n} not", text::count(found.same, "job")),
    });
    Ok(unless_unreadable(&found, code))
}

/// Of a job whose file can't be read nobody can say that it is as it should be.
fn unless_unreadable(found: &Found, code: Code) -> Code {
    if found.unreadable.is_empty() { code } else { Code::Error }
}

/// A job in lines: the first says how it differs, those below it in what.
fn described(job: &Drifted, environment: &str) -> Vec<String> {
    let id = text::one_line(&job.id);
    let file = job.file.as_deref().unwrap_or_default();
    let when = job.when().map(|when| format!(" ({when})")).unwrap_or_default();
    let first = match job.how {
        How::Differs => format!("{id} runs other than {file} says{when}"),
        How::NoFile => format!("{id} runs and no file holds it{when}"),
        How::Stopped => format!("{id} is stopped{when}; {file} holds it"),
        How::NotRegistered => format!("{id} is not registered; {file} holds it"),
    };
    let mut lines = vec![first];
    lines.extend(job.differences().into_iter().map(|line| format!("    {line}")));
    if matches!(job.how, How::Stopped | How::NotRegistered) {
        lines.push(format!("    run it again: blackstart service start {id} -e {environment}"));
    }
    lines
}

fn as_json(found: &Found) -> Value {
    let job = |job: &Drifted| {
        json!({
            "job": job.id,
            "how": job.how.word(),
            "file": job.file,
            "version": job.version,
            "since": job.since,
            "token": job.token,
            "differences": job.lines,
        })
    };
    let unreadable: Vec<Value> = found
        .unreadable
        .iter()
        .map(|(file, problems)| json!({ "file": file, "error": problems.to_string() }))
        .collect();
    json!({
        "drift": found.jobs.iter().map(job).collect::<Vec<_>>(),
        "same": found.same,
        "unreadable": unreadable,
    })
}
