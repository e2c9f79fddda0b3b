//! Why a value can't be changed by an edit.

use crate::base::{Diagnostic, Diagnostics, Span};
use crate::jobspec::path::PathError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The job can't be read as it is.
    #[error("{0}")]
    Job(Diagnostics),
    #[error("{0}")]
    Path(#[from] PathError),
    /// An expression on the way can't be followed.
    #[error("`{path}` can't be followed to where it is written: {why}")]
    Trace { path: String, why: Diagnostic },
    #[error("`{path}` is set by {what}, which is in no file")]
    Outside { path: String, what: String, at: Span },
    #[error("`{path}` is made by {how}, which no edit can turn round")]
    Made { path: String, how: String, at: Span },
    #[error("a part of `{path}` is filled in by Nomad's agents")]
    Kept { path: String, at: Span },
    #[error("`{path}` is written where the environment's variables are put in")]
    Substituted { path: String, at: Span },
    #[error("`{path}` has no place in the file: {why}")]
    NoPlace { path: String, why: String, at: Option<Span> },
    #[error("`{path}` comes from several places, and the new value doesn't tell which is meant")]
    Unclear { path: String, at: Span },
    #[error("`{first}` and `{second}` come from one place, and are to be different")]
    Conflict { first: String, second: String, at: Option<Span> },
    #[error("an edit for `{path}` would not give what is wanted: {why}")]
    Unproved { path: String, why: String, at: Option<Span> },
}

impl EditError {
    /// The place it is about, in a file as it lies on disk.
    pub fn span(&self) -> Option<Span> {
        let span = match self {
            Self::Job(errors) => errors.0.first()?.span.as_ref()?,
            Self::Path(_) => return None,
            Self::Trace { why, .. } => why.span.as_ref()?,
            Self::Outside { at, .. }
            | Self::Made { at, .. }
            | Self::Kept { at, .. }
            | Self::Substituted { at, .. }
            | Self::Unclear { at, .. } => at,
            Self::NoPlace { at, .. } | Self::Conflict { at, .. } | Self::Unproved { at, .. } => {
                at.as_ref()?
            }
        };
        Some(span.on_disk())
    }

    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Outside { what, .. } => format!("change what sets {what}, or leave it out"),
            Self::Made { .. } => "change the expression by hand".to_owned(),
            Self::Kept { .. } => "change the reference by hand".to_owned(),
            Self::Substituted { .. } => "change the variable of the environment".to_owned(),
            Self::Unclear { .. } => "change it by hand, or one part at a time".to_owned(),
            Self::Conflict { .. } => "give one of them a line of its own".to_owned(),
            _ => return None,
        })
    }

    /// As errors in files are told.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let mut told = Diagnostic::error(self.to_string());
        told.span = self.span();
        told.help = self.help();
        told
    }
}
