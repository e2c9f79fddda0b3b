//! What a patch wants: read from a step's or a patch file's blocks, or put together by a command.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::Span;
use crate::dialect::{Reader, object_items};
use crate::hcl::{Block, Body};
use crate::jobspec::Path;

/// The name of the text that a command makes of its arguments: nobody wrote it, so no error points there.
pub const MADE: &str = "the patch";

/// Changes of services, and how they are carried out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wanted {
    pub services: Vec<ServiceChange>,
    /// Jobs changed at once.
    pub parallel: Option<usize>,
    pub on_failure: OnFailure,
    pub only: Option<Only>,
    /// Files may be changed where other jobs read the same place.
    pub shared: bool,
    /// The changed lines of the files are committed.
    pub commit: bool,
    /// For each job to become healthy.
    pub timeout: Option<Duration>,
    /// What it is for, in a person's words.
    pub description: Option<String>,
    /// The values run already and only the files lack them: until those are saved, they are unsaved patches.
    pub running: bool,
}

/// What one job, group or task becomes, or each of several (`*` and `?` stand for any text).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceChange {
    /// `JOB[/GROUP[/TASK]]`
    pub service: String,
    /// A tag, a digest or a whole reference.
    pub image: Option<String>,
    /// Only images whose reference begins with this.
    pub repository: Option<String>,
    /// By their paths, from what `service` names on.
    pub set: BTreeMap<String, Value>,
    /// Where it was written.
    #[serde(skip)]
    pub place: Option<Span>,
}

/// What becomes of the jobs that were changed before one failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They stay as they are now; nothing more is begun.
    #[default]
    Stop,
    /// They are put back too.
    RevertAll,
}

impl OnFailure {
    pub const NAMES: [&str; 2] = ["stop", "revert-all"];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::RevertAll => "revert-all",
        }
    }
}

impl std::str::FromStr for OnFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "revert-all" => Ok(Self::RevertAll),
            _ => Err(format!("it is \"{}\" or \"{}\", not {text:?}", Self::NAMES[0], Self::NAMES[1])),
        }
    }
}

/// One side of a patch, where not both are meant: the running jobs, or the job files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    Live,
    File,
}

impl Only {
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::File => "file",
        }
    }
}

impl std::str::FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "live" => Ok(Self::Live),
            "file" => Ok(Self::File),
            _ => Err(format!("it is \"live\" or \"file\", not {text:?}")),
        }
    }
}

impl Wanted {
    /// Reads what the blocks say. What is wrong is kept by the reader, with its place.
    pub fn read(reader: &mut Reader<'_>, body: &Body) -> Self {
        let mut wanted = Self {
            parallel: reader.number(body, "parallel").and_then(|n| usize::try_from(n).ok()),
            on_failure: word(reader, body, "on_failure").unwrap_or_default(),
            only: word(reader, body, "only"),
            shared: reader.bool(body, "shared").unwrap_or_default(),
            commit: reader.bool(body, "commit").unwrap_or_default(),
            timeout: reader.duration(body, "timeout"),
            description: reader.string(body, "description").filter(|text| !text.trim().is_empty()),
            running: reader.bool(body, "running").unwrap_or_default(),
            services: Vec::new(),
        };
        if wanted.parallel == Some(0)
            && let Some(attribute) = body.attribute("parallel")
        {
            reader.error("0 at once never ends", &attribute.expr.span, None);
        }
        if let Some(images) = reader.string_map(body, "images") {
            let place = body.attribute("images").map(|attribute| attribute.expr.span.clone());
            let one = |(service, image)| ServiceChange {
                service,
                image: Some(image),
                place: place.clone(),
                ..ServiceChange::default()
            };
            wanted.services.extend(images.into_iter().map(one));
        }
        wanted.services.extend(body.blocks("service").filter_map(|block| service(reader, block)));
        if wanted.services.is_empty() && reader.unknown.is_empty() && !reader.problems.has_errors() {
            let help = "add a service \"NAME\" { … } block, or images = { … }".to_owned();
            reader.error("this patch changes nothing", &body.span, Some(help));
        }
        wanted
    }
}

fn word<T: std::str::FromStr<Err = String>>(reader: &mut Reader<'_>, body: &Body, name: &str) -> Option<T> {
    let text = reader.string(body, name)?;
    match text.parse() {
        Ok(word) => Some(word),
        Err(why) => {
            if let Some(attribute) = body.attribute(name) {
                reader.error(why, &attribute.expr.span, None);
            }
            None
        }
    }
}

fn service(reader: &mut Reader<'_>, block: &Block) -> Option<ServiceChange> {
    let (label, body) = (block.labels.first()?, &block.body);
    let mut change = ServiceChange {
        service: label.text.clone(),
        image: reader.string(body, "image"),
        repository: reader.string(body, "repository"),
        place: Some(label.span.clone()),
        ..ServiceChange::default()
    };
    // What a command made of its arguments is judged when it is set.
    let written = label.span.source.name != MADE;
    if let (Some(image), Some(attribute)) = (&change.image, body.attribute("image"))
        && written
        && let Some(flaw) = crate::nomad::image_flaw(image)
    {
        reader.error(format!("{image:?} {flaw}"), &attribute.expr.span, None);
    }
    if let (Some(attribute), None) = (body.attribute("repository"), body.attribute("image")) {
        let help = "it says which images `image` is for".to_owned();
        reader.error("`repository` means nothing without `image`", &attribute.name.span, Some(help));
    }
    if let Some(set) = reader.object(body, "set") {
        let whole = body.attribute("set").map_or(&label.span, |attribute| &attribute.expr.span);
        let items = body.attribute("set").and_then(|attribute| object_items(&attribute.expr));
        for (path, value) in set {
            if let Err(error) = path.parse::<Path>()
                && written
            {
                let item = items.iter().flatten().find(|(name, _)| *name == path);
                let span = item.map_or(whole, |(_, expr)| &expr.span);
                reader.error(error.to_string(), span, None);
            }
            change.set.insert(path, value);
        }
    }
    for resources in body.blocks("resources") {
        for attribute in resources.body.attributes() {
            let name = attribute.name.text.as_str();
            if let Some(value) = reader.any(&resources.body, name)
                && change.set.insert(format!("resources.{name}"), value).is_some()
            {
                reader.error(format!("`{name}` is set twice"), &attribute.name.span, None);
            }
        }
    }
    let empty = ["image", "set", "resources"]
        .iter()
        .all(|name| body.attribute(name).is_none() && body.blocks(name).next().is_none());
    if empty {
        let help = "write image = …, resources { … } or set = { … } in it".to_owned();
        reader.error("this service is not changed", &label.span, Some(help));
    }
    Some(change)
}
