//! Names of runs.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Names one run: its start to the second in UTC and four random characters, so that names sort by
/// time and are easy to say. `20261121-013005-k3fq`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl RunId {
    pub fn new(start: Timestamp) -> Self {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let random = rand::random::<u32>();
        let tail: String = (0..4).map(|i| char::from(LETTERS[(random >> (5 * i)) as usize & 31])).collect();
        Self(format!("{}-{tail}", start.strftime("%Y%m%d-%H%M%S")))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
