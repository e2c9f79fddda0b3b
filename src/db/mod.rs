//! Databases: a connection by URL, statements with named parameters, rows as JSON values.
//!
//! SQLite here: `sqlite:PATH`, or `sqlite:PATH?schema=NAME` to have its tables under a schema's name,
//! as a PostgreSQL database would.

mod sqlite;

pub use sqlite::{Database, DbError, Params, Row};
