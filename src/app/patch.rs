//! Patches, as plans of one step: so they are shown, approved, journaled and resumed like any run.

use std::path::Path;
use std::sync::Arc;

use super::failure::Failure;
use super::open::Opened;
use super::plans::Chosen;
use crate::base::Source;
use crate::base::secret::MASK;
use crate::dialect::{Reader, Values};
use crate::hcl::{self, Body, Value};
use crate::journal;
use crate::plan::{self, PATCH_FILE};
use crate::step::{MADE, Wanted};

/// The one step of a patch.
const STEP: &str = "patch";

/// A patch file as it was read: what it wants, and how its errors find their places.
pub struct PatchFile {
    pub wanted: Wanted,
    body: Body,
}

/// Reads a patch file, every error in one go.
pub fn patch_file(opened: &Opened, path: &Path) -> Result<PatchFile, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::error(format!("the patch file {name} can't be read: {error}")))?;
    let body = hcl::parse(&Source::new(name, text))?;
    let scope = Values::new(Arc::clone(&opened.functions));
    let mut reader = Reader::new(&scope);
    reader.check_whole(&body, &PATCH_FILE, &body.span);
    let wanted = Wanted::read(&mut reader, &body);
    let wanted = reader.finish(wanted)?;
    Ok(PatchFile { wanted, body })
}

/// The plan that does what a patch wants. What a file says keeps its places: errors found among the
/// running jobs point there.
pub fn patch_plan(opened: &Opened, wanted: &Wanted, file: Option<PatchFile>) -> Result<Chosen, Failure> {
    let mut chosen = made(opened, wanted)?;
    if let Some(PatchFile { body: written, .. }) = file
        && let Some(step) = chosen.plan.waves.first_mut().and_then(|wave| wave.steps.first_mut())
    {
        let services = step.body.all_blocks().cloned().zip(written.blocks("service"));
        let services: Vec<hcl::Item> = services
            .map(|(block, written)| hcl::Item::Block(hcl::Block { labels: written.labels.clone(), ..block }))
            .collect();
        step.body.items.retain(|item| matches!(item, hcl::Item::Attribute(_)));
        step.body.items.extend(services);
    }
    Ok(chosen)
}

fn made(opened: &Opened, wanted: &Wanted) -> Result<Chosen, Failure> {
    let source = Source::new(MADE, text_of(wanted));
    let scope = opened.plan_scope(Value::Unknown, None);
    let plans = plan::load(&source, &scope)?;
    let plan = plans.into_iter().next().ok_or_else(|| Failure::error("there is nothing to patch"))?;
    Ok(Chosen { plan, source })
}

/// What a patch wants, as a plan's text: the same for the same patch.
fn text_of(wanted: &Wanted) -> String {
    let description = wanted
        .description
        .as_ref()
        .map(|text| format!("description = {}\n", hcl::edit::text(&text.as_str().into())));
    let description = description.unwrap_or_default();
    let mut text =
        format!("plan \"patch\" {{\n  {description}  operation = \"patch\"\n  wave \"patch\" {{\n");
    text.push_str(&format!("    step \"nomad_patch\" \"{STEP}\" {{\n"));
    text.push_str(&format!("      on_failure = \"{}\"\n", wanted.on_failure.name()));
    text.push_str(&format!("      {description}"));
    if let Some(parallel) = wanted.parallel {
        text.push_str(&format!("      parallel = {parallel}\n"));
    }
    if let Some(timeout) = wanted.timeout {
        text.push_str(&format!("      timeout = {}\n", timeout.as_secs_f64()));
    }
    if let Some(only) = wanted.only {
        text.push_str(&format!("      only = \"{}\"\n", only.name()));
    }
    let flags = [("shared", wanted.shared), ("commit", wanted.commit), ("running", wanted.running)];
    for (name, _) in flags.iter().filter(|(_, set)| *set) {
        text.push_str(&format!("      {name} = true\n"));
    }
    for service in &wanted.services {
        text.push_str(&format!("      service {} {{\n", label(&service.service)));
        for (name, value) in [("image", &service.image), ("repository", &service.repository)] {
            if let Some(value) = value {
                text.push_str(&format!("        {name} = {}\n", hcl::edit::text(&value.as_str().into())));
            }
        }
        if !service.set.is_empty() {
            text.push_str("        set = {\n");
            for (path, value) in &service.set {
                text.push_str(&format!(
                    "          {} = {}\n",
                    hcl::edit::text(&path.as_str().into()),
                    hcl::edit::text(value)
                ));
            }
            text.push_str("        }\n");
        }
        text.push_str("      }\n");
    }
    text.push_str("    }\n  }\n}\n");
    text
}

/// Labels are no templates.
fn label(text: &str) -> String {
    hcl::edit::text(&text.into()).replace("$${", "${").replace("%%{", "%{")
}

/// Whether a run is, by its name, one that `patch` made.
pub(super) fn is_one(run: &journal::Run) -> bool {
    run.operation.as_deref() == Some("patch") && run.plan == STEP
}

/// Whether a run is one that `patch` made, where a file holds a plan of its name.
pub(super) fn is_made(run: &journal::Run, of_file: &Chosen) -> bool {
    is_one(run) && run.plan_hash != super::runs::hash(of_file.source.text.as_bytes())
}

/// The plan of a patch that was journaled: what it wants stands in the intent, or else it never began.
pub(super) fn again(opened: &Opened, run: &journal::Run) -> Result<Chosen, Failure> {
    let intent = run.intents.get(STEP).and_then(|all| all.last());
    let wanted = intent.map(|intent| intent.precondition["patch"].clone());
    let kept = wanted.filter(|wanted| !wanted.to_string().contains(MASK));
    let wanted = kept.and_then(|wanted| serde_json::from_value::<Wanted>(wanted).ok());
    let wanted = wanted.ok_or_else(|| {
        Failure::error(format!("the run {} changed nothing yet", run.id)).help("give the patch again")
    })?;
    made(opened, &wanted)
}
