//! What keeps records, and the journal of one environment over it.
//!
//! A journal is read and its chain checked once, when it is opened. What it says from then on is what was
//! read and what this process appended: whoever appends holds the environment's lock, so nobody else does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// Keeps records.
pub trait Store: Send {
    /// Keeps all of them or none; they have reached the disk when it returns.
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError>;
    /// All records, in order, each held against its own hash.
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
    records: Arc<Vec<Record>>,
    /// How many of them the store has.
    stored: usize,
    /// What the records tell of runs, once somebody asked; nothing after the next append.
    runs: Option<Arc<Vec<Run>>>,
    head: String,
}

impl Journal {
    /// Opens a journal and checks its chain.
    pub fn open(store: Box<dyn Store>, clock: Clock, secrets: Secrets) -> Result<Self, JournalError> {
        let records = store.read()?;
        let mut head = String::new();
        for (i, record) in records.iter().enumerate() {
            if record.seq != i as u64 + 1 || record.previous != head {
                return Err(JournalError::BrokenChain { seq: record.seq });
            }
            head.clone_from(&record.hash);
        }
        let stored = records.len();
        let inner = Inner { store, records: Arc::new(records), stored, runs: None, head };
        Ok(Self { inner: Arc::new(Mutex::new(inner)), clock, secrets })
    }

    /// The same journal, written with another clock's times.
    #[must_use]
    pub fn with_clock(&self, clock: Clock) -> Self {
        Self { clock, ..self.clone() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes one record, and those that were noted before it. Secrets are masked in its texts and values
    /// first, and `check` may refuse it before it is written. When it returns they are on the disk.
    pub fn append(
        &self,
        run: &RunId,
        body: &Body,
        check: impl FnOnce(&Record) -> Result<(), Illegal>,
    ) -> Result<Record, JournalError> {
        let record = self.note(run, body, check)?;
        self.flush().inspect_err(|_| self.forget(&record))?;
        Ok(record)
    }

    /// As [`Self::append`], for what announces nothing: it reaches the disk with the next record that is
    /// appended, in one piece, or when it is flushed. A crash before that is one before it was noted.
    pub fn note(
        &self,
        run: &RunId,
        body: &Body,
        check: impl FnOnce(&Record) -> Result<(), Illegal>,
    ) -> Result<Record, JournalError> {
        let body = body.masked(&self.secrets);
        let mut inner = self.inner();
        let seq = inner.records.len() as u64 + 1;
        let record = Record::new(seq, self.clock.now(), run.clone(), body, inner.head.clone());
        check(&record)?;
        inner.head.clone_from(&record.hash);
        inner.runs = None;
        Arc::make_mut(&mut inner.records).push(record.clone());
        Ok(record)
    }

    /// Takes back a record that the store didn't take.
    fn forget(&self, record: &Record) {
        let mut inner = self.inner();
        inner.head.clone_from(&record.previous);
        inner.runs = None;
        Arc::make_mut(&mut inner.records).pop();
    }

    /// Writes what was noted.
    pub fn flush(&self) -> Result<(), JournalError> {
        let mut inner = self.inner();
        let inner = &mut *inner;
        let noted = inner.records.get(inner.stored..).unwrap_or_default();
        if !noted.is_empty() {
            inner.store.append(noted)?;
            inner.stored = inner.records.len();
        }
        Ok(())
    }

    /// The records of one run.
    pub fn records(&self, run: &RunId) -> Vec<Record> {
        self.all().iter().filter(|record| record.run == *run).cloned().collect()
    }

    /// Every record.
    pub fn all(&self) -> Arc<Vec<Record>> {
        Arc::clone(&self.inner().records)
    }

    /// Every run, the oldest first.
    pub fn runs(&self) -> Result<Arc<Vec<Run>>, JournalError> {
        let mut inner = self.inner();
        if let Some(runs) = &inner.runs {
            return Ok(Arc::clone(runs));
        }
        let mut found: BTreeMap<&RunId, usize> = BTreeMap::new();
        let mut by_run: Vec<Vec<&Record>> = Vec::new();
        for record in inner.records.iter() {
            let at = *found.entry(&record.run).or_insert(by_run.len());
            match by_run.get_mut(at) {
                Some(records) => records.push(record),
                None => by_run.push(vec![record]),
            }
        }
        let mut runs = Vec::new();
        for records in by_run {
            runs.extend(Run::replay(records)?);
        }
        let runs = Arc::new(runs);
        inner.runs = Some(Arc::clone(&runs));
        Ok(runs)
    }

    /// The hash of the newest record: kept elsewhere, it shows whether the journal's end was cut off.
    pub fn head(&self) -> String {
        self.inner().head.clone()
    }
}
