//! Nomad job files, read as Nomad 2.0.6 reads them, without a server.
//!
//! Guarantees: the JSON is that of `nomad job run -output`; what the language doesn't have is an error
//! with its place, never left out; nothing outside the given root is read, nothing is sent anywhere.
//! Does not: check what only a server can know; hash with a cost of more than 16 (`bcrypt`); read YAML
//! where YAML 1.2 differs from libyaml (`yamldecode`: a quoted text that ends at the start of a line, a tab
//! before a key); count addresses of IPv4 in IPv6's clothes as Nomad miscounts them; round powers beyond
//! 2^53 when they become text; know the type of a null or of an empty list but where it is declared, or
//! named by `convert`: `contains(x, null)` Nomad refuses, though not of a variable that is null.
//!
//! Rules of Nomad that no document tells, found by running it beside this reader:
//! - Of the attributes that its structs call required, only those that can't be null are: an action's
//!   `command` and a lifecycle's `hook`, but not `change_script.command` or `wait.min`.
//! - What is wrong within a group's `vault` or `secret` is forgotten, and the rest of the block counts;
//!   here it becomes a warning. If the group has a secret, a task's own secrets are doubled.
//! - The `max` of a group's scaling must be written, but may be null.
//! - Unsigned fields (a port number of a proxy, a spread's percent, a device's count) drop a fraction
//!   that ends within 64 bits: 1.5 counts as 1, while 2.7 is refused. Signed ones refuse both.
//! - The `labels` of a `dynamic` block are checked even if it makes no block.
//! - A carriage return within a line of a heredoc or a string is refused.
//! - In JSON syntax `meta` and `env` of jobs, groups and tasks are always attributes; a reference that
//!   is kept as text is cut from the file at the offset it would have without escapes.
//! - The `iterator` of a `dynamic` block is a name, in JSON a text that is one.
//! - In a free-form block a map of maps or objects, as a `type` makes it, counts as the list of them.
//! - `coalescelist` takes no set. `cidrsubnets` has no room in a range that begins at address 0;
//!   `cidrsubnet` takes numbers below 0, and tells the magnitude of what they make of the address.
//! - `basename`, `file` and the like take numbers and bools for text, and `~` in front of a path.
//! - `reverse` is a function of text, as `strrev` is; `length` takes no text and no object.

mod check;
mod context;
mod decode;
mod dynamic;
mod edit;
mod envsubst;
mod files;
mod free;
mod hooks;
mod job;
mod json;
mod normal;
mod path;
mod places;
mod print;
mod scalar;
mod schema;
#[cfg(test)]
mod tests;
mod trail;
mod variables;
mod view;

pub use check::check;
pub use edit::{Edit, EditError, Edits, Wanted, apply, edit_at, edits, edits_of, undo};
pub use envsubst::{UNKNOWN, substituted};
pub use job::{Inputs, Job, declared, parse, place_of_depends_on, place_of_namespace};
pub use path::{Change, Path, PathError};
pub use places::{Places, places};
pub use print::print;
pub use schema::spans;
