use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::app::{Failure, JobOptions};
use crate::cli::args::Global;
use crate::cli::commands::common::pair;
use crate::cli::ui::Ui;
use crate::report::diagnostics_json;

/// What job files are read with.
#[derive(Args, Clone, Debug, Default)]
pub struct Inputs {
    /// A value for a variable of the job files (-var works too)
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    var: Vec<(String, String)>,
    /// Values for variables of the job files, from an HCL or JSON file (-var-file works too)
    #[arg(long = "var-file", value_name = "FILE")]
    var_file: Vec<PathBuf>,
    /// Lets functions such as file() read outside of the project
    #[arg(long)]
    allow_outside: bool,
}

impl Inputs {
    pub fn options(&self, global: &Global, ui: &Ui) -> Result<JobOptions, Failure> {
        Ok(JobOptions {
            place: global.options(None, ui)?,
            variables: self.var.clone(),
            var_files: self.var_file.clone(),
            outside: self.allow_outside,
        })
    }
}

/// A document with the diagnostics in it.
pub fn with_diagnostics(mut document: Value, found: &crate::base::Diagnostics) -> Value {
    document["diagnostics"] = diagnostics_json(found);
    document
}
