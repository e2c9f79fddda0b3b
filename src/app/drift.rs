//! What runs, held against the job files.

use super::failure::{Failure, chain};
use super::open::Opened;
use super::stopped::{nothing_there, stopped};
use crate::lasting::{self, Drift, DriftError};

/// Holds the environment's job files against its Nomad. Changes nothing.
pub async fn drift(opened: &Opened) -> Result<Drift, Failure> {
    let environment = opened.environment(std::collections::BTreeMap::new(), None)?;
    let client = environment.nomad().await.map_err(|error| {
        if error.help().is_some() {
            return Failure::from(error);
        }
        Failure::error(format!("Nomad can't be spoken to: {}", chain(&error)))
            .help("where nothing is up, there is no drift to look at")
    })?;
    let found = lasting::drift(&environment, &client).await.map_err(|error| match error {
        DriftError::Files(found) => found.into(),
        DriftError::Nomad(error) => {
            let help = error.help().map(str::to_owned);
            if let Some(failure) = nothing_there(&error).and_then(|cause| stopped(opened, &cause)) {
                return failure;
            }
            Failure { help, ..Failure::error(chain(&error)) }
        }
    })?;
    if !found.has_files {
        let name = &opened.settings.name;
        return Err(Failure::error(format!("'{name}' has no job files to hold against what runs")).help(
            "name them: nomad { files = [\"nomad-jobs/*.nomad.hcl\"] }, or in a nomad_job step of a plan",
        ));
    }
    Ok(found)
}
