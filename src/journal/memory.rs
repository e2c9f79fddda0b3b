//! A store that forgets: for rehearsals.

use super::record::Record;
use super::store::{JournalError, Store};

#[derive(Debug, Default)]
pub struct MemoryStore(Vec<Record>);

impl MemoryStore {
    /// Starts with records made elsewhere.
    pub fn with(records: Vec<Record>) -> Self {
        Self(records)
    }
}

impl Store for MemoryStore {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        self.0.extend_from_slice(records);
        Ok(())
    }

    fn read(&self) -> Result<Vec<Record>, JournalError> {
        match self.0.iter().find(|record| record.computed_hash() != record.hash) {
            Some(record) => Err(JournalError::BrokenChain { seq: record.seq }),
            None => Ok(self.0.clone()),
        }
    }
}
