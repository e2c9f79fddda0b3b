use clap::Args;

use super::super::common::{ended, look_made, open_to_change, open_to_look};
use crate::app::{self, Code, Failure, Opened, Request, Saving};
use crate::base::text;
use crate::cli::args::Global;
use crate::cli::ui::Ui;

/// Takes live changes into the job files that don't have them yet
///
/// Each value is written to where it comes from: the attribute, a local, a variable's default, or the
/// line of a var file. What runs is left as it is.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  blackstart patch save -e test\n  blackstart patch save job_creation --commit -e test --yes"
)]
pub struct Save {
    /// Only patches of these; all where none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    write: Write,
}

/// How files are written.
#[derive(Args, Clone, Debug)]
pub struct Write {
    /// Commits the changed lines, and pushes them where blackstart.hcl names a branch
    #[arg(long)]
    pub commit: bool,
    /// Changes the files although other jobs read the same place
    #[arg(long)]
    pub shared: bool,
    /// Approves what will be shown (refused where a protected environment changes, by its files too)
    #[arg(long)]
    pub yes: bool,
    /// Approves exactly the decision with this digest
    #[arg(long, value_name = "DIGEST", conflicts_with = "yes")]
    pub approve: Option<String>,
}

impl Write {
    fn request(&self) -> Request {
        Request { yes: self.yes, approve: self.approve.clone(), ..Request::default() }
    }
}

pub async fn run(args: &Save, global: &Global, ui: &Ui) -> Result<Code, Failure> {
    let Write { commit, shared, .. } = args.write;
    let saving = async |opened: &Opened| app::to_save(opened, &args.services, commit, shared).await;
    write(&args.write, global, ui, "patch save", saving).await
}

/// Shows what is to be written, asks, and writes it; says what can't be.
pub async fn write(
    args: &Write,
    global: &Global,
    ui: &Ui,
    doing: &str,
    saving: impl AsyncFn(&Opened) -> Result<Saving, Failure>,
) -> Result<Code, Failure> {
    let request = args.request();
    let options = global.options(None, ui)?;
    let nobody = !ui.terminal && !request.yes && request.approve.is_none();
    let opened =
        if nobody { open_to_look(&options)? } else { open_to_change(&options, &request, ui, doing)? };
    let session = ui.session(&opened.who);
    let Saving { wanted, written, left } = saving(&opened).await?.or_refused()?;
    let teller = session.teller(&opened.clock, None, opened.settings.simulated);
    for line in &left {
        teller.warn(format!("this can't be written: {}", text::one_line(line)));
    }
    for line in &written {
        teller.note(text::one_line(line));
    }
    let Some(wanted) = wanted else {
        teller.note(if written.is_empty() {
            "nothing to do: the files have it all".to_owned()
        } else {
            let name = &opened.settings.name;
            format!("nothing to write; commit it: git commit, or blackstart {doing} --commit -e {name}")
        });
        return Ok(if written.is_empty() { Code::Done } else { Code::Changes });
    };
    let open = !left.is_empty() || !written.is_empty();
    let chosen = app::patch_plan(&opened, &wanted, None)?;
    if nobody {
        let code = look_made(&opened, &session, &request, chosen, false).await?;
        return Ok(if open { Code::Changes } else { code });
    }
    let finished = app::start_made(&opened, &session, &request, chosen).await?;
    let code = ended(&finished, ui);
    // What could not be taken is still to be done by a person.
    Ok(if code == Code::Done && open { Code::Changes } else { code })
}
