//! blackstart.hcl: which environments there are, and what each is made of.
//!
//! Loading reads that one file and nothing else: no var file, no env file, no state. What needs more
//! (late addresses, credentials) is resolved once an environment is chosen, by [`env_file`] and `app`.

pub mod env_file;
mod load;
mod model;

pub use load::{FILE_NAME, find_root, load, read, unknown_roots};
pub use model::{Environment, GitSettings, NomadSettings, Project, TerraformSettings, TokenSource};
