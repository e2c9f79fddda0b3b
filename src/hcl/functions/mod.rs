//! Functions that expressions can call.

mod call;
mod collection;
mod csv;
mod dates;
mod encoding;
mod floats;
mod format;
mod hashes;
mod network;
mod numeric;
mod regexes;
mod registry;
mod rsa;
mod sets;
mod strings;
mod yaml_decode;
mod yaml_encode;

pub use call::call;
pub use encoding::{base64, json_string};
pub use registry::Functions;
