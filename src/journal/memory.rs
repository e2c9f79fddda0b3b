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
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.0.push(record.clone());
        Ok(())
    }

    fn read(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.0.clone())
    }
}
