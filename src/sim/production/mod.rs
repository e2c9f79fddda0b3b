//! What the environment produces: products of five job types, from input that arrives whether or not the
//! environment is up, through an `SQLite` file that everybody may read and change.

mod database;
mod pipeline;
mod report;
mod types;

pub use database::{ProductionError, Stage};
pub use pipeline::Production;
pub use report::{Report, TypeReport};
