//! What keeps records, and the journal of one environment over it.

use std::sync::{Arc, Mutex, PoisonError};

use super::record::{Body, Record};
use super::state::{Illegal, Run};
use crate::base::{Clock, RunId, Secrets};

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal {path} can't be used")]
    Store { path: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("record {seq} of the journal was changed after it was written, or one before it is gone")]
    BrokenChain { seq: u64 },
    #[error("the journal was written by a newer version (format {found}; this one reads {known})")]
    Newer { found: u32, known: u32 },
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

/// Keeps records. An append has reached the disk when it returns.
pub trait Store: Send {
    fn append(&mut self, record: &Record) -> Result<(), JournalError>;
    /// All records, in order.
    fn read(&self) -> Result<Vec<Record>, JournalError>;
}

/// The journal of one environment. Cheap to clone; clones write to the same store.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
    clock: Clock,
    secrets: Secrets,
}

struct Inner {
    store: Box<dyn Store>,
    seq: u64,
    head: String,
}

impl Journal {
    /// Opens a journal and checks its chain.
    pub fn open(store: Box<dyn Store>, clock: Clock, secrets: Secrets) -> Result<Self, JournalError> {
        let records = store.read()?;
        let mut head = String::new();
        for (i, record) in records.iter().enumerate() {
            let in_order = record.seq == i as u64 + 1;
            if !in_order || record.previous != head || record.computed_hash() != record.hash {
                return Err(JournalError::BrokenChain { seq: record.seq });
            }
            head.clone_from(&record.hash);
        }
        let inner = Inner { store, seq: records.len() as u64, head };
        Ok(Self { inner: Arc::new(Mutex::new(inner)), clock, secrets })
    }

    /// The same journal, written with another clock's times.
    #[must_use]
    pub fn with_clock(&self, clock: Clock) -> Self {
        Self { clock, ..self.clone() }
    }

    /// Writes one record. Secrets are masked in its texts and values first, and `check` may refuse it
    /// before it is written. When it returns the record is on the disk.
    pub fn append(
        &self,
        run: &RunId,
        body: &Body,
        check: impl FnOnce(&Record) -> Result<(), Illegal>,
    ) -> Result<Record, JournalError> {
        let body = body.masked(&self.secrets);
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record::new(inner.seq + 1, self.clock.now(), run.clone(), body, inner.head.clone());
        check(&record)?;
        inner.store.append(&record)?;
        inner.seq = record.seq;
        inner.head.clone_from(&record.hash);
        Ok(record)
    }

    /// The records of one run.
    pub fn records(&self, run: &RunId) -> Result<Vec<Record>, JournalError> {
        Ok(self.all()?.into_iter().filter(|record| record.run == *run).collect())
    }

    /// Every record.
    pub fn all(&self) -> Result<Vec<Record>, JournalError> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).store.read()
    }

    /// Every run, the oldest first.
    pub fn runs(&self) -> Result<Vec<Run>, JournalError> {
        let mut by_run: Vec<(RunId, Vec<Record>)> = Vec::new();
        for record in self.all()? {
            match by_run.iter_mut().find(|(id, _)| *id == record.run) {
                Some((_, records)) => records.push(record),
                None => by_run.push((record.run.clone(), vec![record])),
            }
        }
        let mut runs = Vec::new();
        for (_, records) in &by_run {
            runs.extend(Run::replay(records)?);
        }
        Ok(runs)
    }

    /// The hash of the newest record: kept elsewhere, it shows whether the journal's end was cut off.
    pub fn head(&self) -> String {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).head.clone()
    }
}
