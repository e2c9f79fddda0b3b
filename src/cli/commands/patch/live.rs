use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::super::common::{duration, ended, look_made, open_to_change, open_to_look, pair};
use super::{drop, save};
use crate::app::{self, Code, Failure, OnFailure, Only, Opened, PatchFile, Request, ServiceChange, Wanted};
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Changes running jobs, shown first and followed until healthy
///
/// A job that doesn't become healthy is put back exactly as it was. Jobs come in the order of their
/// meta.depends_on. Without a terminal and an approval the change and the digest to approve are shown, and
/// nothing is changed. Once a job is healthy the change is written into its files as well, so that the
/// next start doesn't undo it.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch image job_creation=git-1a2b3c4d -e test\n  blackstart patch resources worker_pool_management cpu=1000 -e test\n  blackstart patch set web/api count=3 env.LOG=debug -e test --yes\n  blackstart patch apply patches/2026-11-21.hcl -e test --dry-run"
)]
pub struct Patch {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    Image(Image),
    Resources(Resources),
    Set(Set),
    Apply(Apply),
    Save(save::Save),
    Drop(drop::Drop),
}

/// Sets the images of running jobs
///
/// What begins with sha256: is a digest; what else holds '/', ':' or '@' is a whole reference; the rest
/// is a tag. In names, '*' and '?' stand for any text.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch image job_creation=git-1a2b3c4d -e test\n  blackstart patch image 'job_*=git-1a2b3c4d' monitor=git-5e6f7a8b -e test\n  blackstart patch image --all git-1a2b3c4d --repository registry.example.com/cosims -e test\n  blackstart patch image web/api/server=registry.example.com:5000/web@sha256:… -e test --yes"
)]
struct Image {
    /// Which job, group or task becomes what
    #[arg(required_unless_present = "all", value_name = "SERVICE[/GROUP[/TASK]]=TAG|REF", value_parser = image)]
    images: Vec<(String, String)>,
    /// Gives all running jobs that have images this tag
    #[arg(long, value_name = "TAG", conflicts_with = "images")]
    all: Option<String>,
    /// Only images that come from there: registry.example.com/team
    #[arg(long, value_name = "REGISTRY/PATH")]
    repository: Option<String>,
    #[command(flatten)]
    how: How,
}

/// Sets the resources of running jobs
///
/// Every field of a job's resources block: cpu, cores, memory, memory_max, disk, secrets, iops.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch resources worker_pool_management cpu=1000 -e prod\n  blackstart patch resources web/api/server cpu=500 memory=256 -e test"
)]
struct Resources {
    /// Which job, group or task
    #[arg(value_name = "SERVICE[/GROUP[/TASK]]")]
    service: String,
    /// What becomes what
    #[arg(required = true, value_name = "NAME=VALUE", value_parser = pair)]
    values: Vec<(String, String)>,
    #[command(flatten)]
    how: How,
}

/// Sets any values of running jobs
///
/// A PATH has the names of job files, a block's label or name after its kind: count, env.LOG,
/// meta.owner, update.max_parallel, task.server.kill_timeout, service.web.port. Names with dots
/// stand in brackets and quotes. It begins at what SERVICE names; in a job with one group or task it
/// finds them, and a block deeper in it where only one can be meant: check.interval.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch set web count=3 -e test\n  blackstart patch set web/api/server env.LOG=debug kill_timeout=30s -e test\n  blackstart patch set web 'group.api.task.server.config.args=[\"-v\"]' -e test"
)]
struct Set {
    /// Which job, group or task
    #[arg(value_name = "SERVICE[/GROUP[/TASK]]")]
    service: String,
    /// What becomes what
    #[arg(required = true, value_name = "PATH=VALUE", value_parser = pair)]
    values: Vec<(String, String)>,
    #[command(flatten)]
    how: How,
}

/// Does what a patch file says
///
/// A patch file names services and what they become:
///
///   service "job_creation" { image = "git-1a2b3c4d" }
///   service "web/api" {
///     resources { cpu = 500 }
///     set = { count = 3, "env.LOG" = "debug" }
///   }
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  blackstart patch apply patches/2026-11-21.hcl -e test --dry-run\n  blackstart patch apply patches/2026-11-21.hcl -e prod"
)]
struct Apply {
    file: PathBuf,
    #[command(flatten)]
    how: How,
}

/// How a patch is carried out.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Args, Clone, Debug)]
struct How {
    /// Shows what would be changed, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Changes the running jobs and leaves the job files alone
    #[arg(long, conflicts_with = "file_only")]
    live_only: bool,
    /// Changes the job files and leaves the running jobs alone
    #[arg(long)]
    file_only: bool,
    /// Changes the job files although other jobs read the same place
    #[arg(long, conflicts_with = "live_only")]
    shared: bool,
    /// Commits the changed lines of the job files, and pushes them where blackstart.hcl names a branch
    #[arg(long, conflicts_with = "live_only")]
    commit: bool,
    /// Changes at most so many jobs at once [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    parallel: Option<u16>,
    /// How long each job may take to become healthy [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    timeout: Option<Duration>,
    /// What becomes of the jobs that were changed before one failed: stop leaves them, revert-all puts
    /// them back too [default: stop]
    #[arg(long, value_name = "stop|revert-all", value_parser = on_failure)]
    on_failure: Option<OnFailure>,
    /// Approves what will be shown (refused where a protected environment changes, by its files too)
    #[arg(long)]
    yes: bool,
    /// Approves exactly the decision with this digest
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes")]
    approve: Option<String>,
}

fn image(text: &str) -> Result<(String, String), String> {
    let (service, image) = match text.split_once('=') {
        Some(("", _)) => return Err("the service is missing: write job_creation=git-1a2b3c4d".into()),
        Some((service, image)) => (service, image),
        None => (text, ""),
    };
    if image.trim().is_empty() {
        return Err(format!("the image is missing: write {service}=git-1a2b3c4d, or a whole reference"));
    }
    Ok((service.to_owned(), image.to_owned()))
}

fn on_failure(text: &str) -> Result<OnFailure, String> {
    text.parse()
}

impl How {
    fn set_in(&self, wanted: &mut Wanted) {
        wanted.parallel = self.parallel.map(usize::from).or(wanted.parallel);
        wanted.timeout = self.timeout.or(wanted.timeout);
        wanted.on_failure = self.on_failure.unwrap_or(wanted.on_failure);
        if self.live_only {
            wanted.only = Some(Only::Live);
        } else if self.file_only {
            wanted.only = Some(Only::File);
        }
        wanted.shared |= self.shared;
        wanted.commit |= self.commit;
    }
}

pub async fn run(args: &Patch, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let changes = |service: &str| ServiceChange { service: service.to_owned(), ..ServiceChange::default() };
    let (services, how, file) = match &args.what {
        What::Image(args) => {
            let all = args.all.iter().map(|tag| ("*", tag));
            let named = args.images.iter().map(|(service, image)| (service.as_str(), image));
            let one = |(service, image): (&str, &String)| ServiceChange {
                image: Some(image.clone()),
                repository: args.repository.clone(),
                ..changes(service)
            };
            let services: Vec<ServiceChange> = named.chain(all).map(one).collect();
            (services, &args.how, None)
        }
        What::Resources(args) => {
            let values = each_once(&args.values)?.into_iter();
            let set = values.map(|(name, value)| (format!("resources.{name}"), value)).collect();
            (vec![ServiceChange { set, ..changes(&args.service) }], &args.how, None)
        }
        What::Set(args) => {
            let set = each_once(&args.values)?;
            (vec![ServiceChange { set, ..changes(&args.service) }], &args.how, None)
        }
        What::Apply(args) => (Vec::new(), &args.how, Some(&args.file)),
        What::Save(args) => return save::run(args, global, ui).await,
        What::Drop(args) => return drop::run(args, global, ui).await,
    };
    let mut wanted = Wanted { services, ..Wanted::default() };
    how.set_in(&mut wanted);
    let request = Request { yes: how.yes, approve: how.approve.clone(), ..Request::default() };
    let options = global.options(None, ui)?;
    let nobody = !ui.terminal && !request.yes && request.approve.is_none();
    // A patch has no preview of its own: where nobody can approve it, it shows what it would do and the
    // digest to approve, and ends as not approved.
    if nobody || how.dry_run {
        let opened = open_to_look(&options)?;
        let (wanted, file) = read(&opened, wanted, how, file).await?;
        let session = ui.session(&opened.who);
        let chosen = app::patch_plan(&opened, &wanted, file)?;
        return look_made(&opened, &session, &request, chosen, how.dry_run).await;
    }
    let opened = open_to_change(&options, &request, ui, "patch")?;
    let (wanted, file) = read(&opened, wanted, how, file).await?;
    let session = ui.session(&opened.who);
    let chosen = app::patch_plan(&opened, &wanted, file)?;
    let finished = app::start_made(&opened, &session, &request, chosen).await?;
    Ok(ended(&finished, ui))
}

/// What is wanted with what a patch file says; flags go over it. Refused where nothing can be patched: the
/// environment is stopped.
async fn read(
    opened: &Opened,
    wanted: Wanted,
    how: &How,
    file: Option<&PathBuf>,
) -> Result<(Wanted, Option<PatchFile>), Failure> {
    let file = file.map(|path| app::patch_file(opened, path)).transpose()?;
    let mut wanted = file.as_ref().map_or(wanted, |file| file.wanted.clone());
    how.set_in(&mut wanted);
    if wanted.only != Some(Only::File) {
        let otherwise = "or change the job files alone: the same with --file-only";
        app::refuse_stopped(opened, Some(otherwise)).await?;
    }
    Ok((wanted, file))
}

fn each_once(given: &[(String, String)]) -> Result<BTreeMap<String, serde_json::Value>, Failure> {
    let mut values = BTreeMap::new();
    for (name, value) in given {
        if values.insert(name.clone(), value.as_str().into()).is_some() {
            return Err(Failure::error(format!("'{name}' is given twice")));
        }
    }
    Ok(values)
}
