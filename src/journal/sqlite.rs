//! The store in a SQLite file: one table, one row a record, every append synced.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::record::{Body, FORMAT, Record};
use super::store::{JournalError, Store};
use crate::base::threads;

/// A journal file, mode 0600 in its environment's state directory.
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file, and makes it where it is not there.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let failed = |e: rusqlite::Error| store_error(path, e);
        if !path.exists() {
            crate::base::paths::write_private(path, b"")
                .map_err(|e| JournalError::Store { path: path.display().to_string(), source: Box::new(e) })?;
        }
        let connection = Connection::open(path).map_err(failed)?;
        connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed)?;
        // FULL with the rollback journal: a record is on the disk when its append returns. The rollback
        // journal is cut, not removed: that spares each append a change of the folder and its sync.
        connection
            .execute_batch(
                "pragma journal_mode = truncate;
                 pragma synchronous = full;
                 create table if not exists records (
                   seq integer primary key, run text not null, at text not null, body text not null,
                   previous text not null, hash text not null) strict;",
            )
            .map_err(failed)?;
        let found: u32 =
            connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
        if found > FORMAT {
            return Err(JournalError::Newer { found, known: FORMAT });
        }
        if found < FORMAT {
            connection.pragma_update(None, "user_version", FORMAT).map_err(failed)?;
        }
        Ok(Self { connection, path: path.to_owned() })
    }
}

impl Store for SqliteStore {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let failed = |e: rusqlite::Error| store_error(&self.path, e);
        let transaction = self.connection.transaction().map_err(failed)?;
        for record in records {
            // Canonical: whoever reads it can hold the text itself against the hash.
            let (at, body) = (record.at.to_string(), record.body_text());
            transaction
                .execute(
                    "insert into records (seq, run, at, body, previous, hash) values (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![record.seq, record.run.0, at, body, record.previous, record.hash],
                )
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    fn read(&self) -> Result<Vec<Record>, JournalError> {
        let failed = |e: rusqlite::Error| store_error(&self.path, e);
        let mut statement = self
            .connection
            .prepare("select seq, run, at, body, previous, hash from records order by seq")
            .map_err(failed)?;
        let rows = statement
            .query_map([], |row| {
                Ok((
                    row.get::<_, u64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, String>(2)?,
                    row.get::<_, String>(3)?,
                    row.get::<_, String>(4)?,
                    row.get::<_, String>(5)?,
                ))
            })
            .map_err(failed)?;
        let rows: Vec<Row> = rows.collect::<Result<_, _>>().map_err(failed)?;
        // It grows with every run, and each command reads it whole.
        let threads = if rows.len() < FEW { 1 } else { threads::cores() };
        let path = &self.path;
        threads::each(threads, &rows, |row| record(path, row)).into_iter().collect()
    }
}

/// Of fewer records than this, more threads would take longer than one.
const FEW: usize = 32;

/// A record as it lies there: its number, run, time, body, and the hashes of the one before and of its own.
type Row = (u64, String, String, String, String, String);

fn record(path: &Path, (seq, run, at, text, previous, hash): &Row) -> Result<Record, JournalError> {
    let body: Body = serde_json::from_str(text).map_err(|e| store_error(path, e))?;
    let at = at.parse().map_err(|e: jiff::Error| store_error(path, e))?;
    let run = crate::base::RunId(run.clone());
    let record = Record { seq: *seq, at, run, body, previous: previous.clone(), hash: hash.clone() };
    // Up to version 0.1.0 the text was not canonical.
    if record.hash_with(text) != record.hash && record.computed_hash() != record.hash {
        return Err(JournalError::BrokenChain { seq: *seq });
    }
    Ok(record)
}

fn store_error(path: &Path, source: impl std::error::Error + Send + Sync + 'static) -> JournalError {
    JournalError::Store { path: path.display().to_string(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::super::store::Journal;
    use super::*;
    use crate::base::{Clock, RunId, Secrets};

    fn open(path: &Path) -> Result<Journal, JournalError> {
        let secrets = Secrets::default();
        secrets.add("hunter2-hunter2");
        Journal::open(Box::new(SqliteStore::open(path)?), Clock::real(), secrets)
    }

    #[test]
    fn an_edit_is_noticed_and_secrets_stay_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let journal = open(&path).unwrap();
        let run = RunId("r".into());
        for reason in ["one", "two hunter2-hunter2"] {
            journal.append(&run, &Body::RunPaused { reason: reason.into() }, |_| Ok(())).unwrap();
        }
        drop(journal);
        assert_eq!(open(&path).unwrap().all().len(), 2);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(7).any(|w| w == b"hunter2"));
        let edit = Connection::open(&path).unwrap();
        edit.execute("update records set body = replace(body, 'one', 'eno')", []).unwrap();
        assert!(matches!(open(&path), Err(JournalError::BrokenChain { seq: 1 })));
    }
}
