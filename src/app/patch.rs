//! Changes of images, as plans of one step: so they are shown, approved, journaled and resumed like any run.

use std::collections::BTreeMap;

use super::failure::Failure;
use super::open::Opened;
use super::plans::Chosen;
use crate::base::Source;
use crate::base::secret::MASK;
use crate::hcl::Value;
use crate::journal;
use crate::plan;

/// A plan that sets images: selectors `JOB[/GROUP[/TASK]]` and what each becomes.
pub fn patch_plan(opened: &Opened, images: &BTreeMap<String, String>) -> Result<Chosen, Failure> {
    let quoted = |text: &str| {
        let json = serde_json::Value::String(text.to_owned()).to_string();
        json.replace("${", "$${").replace("%{", "%%{")
    };
    let mut text = String::from(
        "plan \"patch-image\" {\n  operation = \"patch\"\n  wave \"patch\" {\n    step \"nomad_patch\" \"image\" {\n      images = {\n",
    );
    for (selector, image) in images {
        text.push_str(&format!("        {} = {}\n", quoted(selector), quoted(image)));
    }
    text.push_str("      }\n    }\n  }\n}\n");
    let source = Source::new("the patch", text);
    let scope = opened.plan_scope(Value::Unknown, None);
    let plans = plan::load(&source, &scope)?;
    let plan = plans.into_iter().next().ok_or_else(|| Failure::error("there is nothing to patch"))?;
    Ok(Chosen { plan, source })
}

/// The plan of a patch that was journaled: its images stand in the intent, or else it never began.
pub(super) fn again(opened: &Opened, run: &journal::Run) -> Result<Chosen, Failure> {
    let intent = run.intents.get("image").and_then(|all| all.last());
    let images = intent.and_then(|intent| {
        serde_json::from_value::<BTreeMap<String, String>>(intent.precondition["images"].clone()).ok()
    });
    let kept = |images: &BTreeMap<String, String>| images.values().all(|image| !image.contains(MASK));
    let images = images.filter(kept).ok_or_else(|| {
        Failure::error(format!("the run {} changed nothing yet", run.id)).help("give the patch again")
    })?;
    patch_plan(opened, &images)
}
