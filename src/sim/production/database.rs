//! The environment's database: an `SQLite` file with `system_parameters` (one row), `jobs`, and the view
//! `enabled_types`. It is the truth: what somebody changes in it takes effect with the next look.
//!
//! All times in it are whole seconds since 1970, UTC.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

use super::types::{JobType, TYPES};

/// The database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProductionError {
    #[error("the simulated environment's database could not be used")]
    Sql(#[from] rusqlite::Error),
    #[error("{path} could not be {what}")]
    File { path: PathBuf, what: &'static str, source: std::io::Error },
}

/// How far a product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Generated,
    Published,
    Indexed,
}

impl Stage {
    /// The column that says when.
    pub fn column(self) -> &'static str {
        match self {
            Self::Generated => "generated_at",
            Self::Published => "published_at",
            Self::Indexed => "indexed_at",
        }
    }
}

const SCHEMA: &str = "
create table if not exists system_parameters (
    id integer primary key check (id = 1),
    job_types_list text not null,
    max_number_of_worker_instances integer not null,
    rlies1s2_min_search_window_days integer not null,
    rlies1s2_max_search_window_days integer not null,
    gfsc_daily_jobs_creation_start_date text
);
insert or ignore into system_parameters values
    (1, '[''fsc_rlie_job'', ''rlies1_job'', ''rlies1s2_job'', ''sws_wds_job'', ''gfsc_job'']', 8, 5, 10, null);
create table if not exists product_types (type text primary key, every integer not null);
create table if not exists jobs (
    id integer primary key,
    type text not null,
    status text not null,
    product_time integer not null,
    created_at integer not null,
    generated_at integer,
    published_at integer,
    indexed_at integer,
    quality text
);
create unique index if not exists jobs_by_time on jobs (type, product_time);
create index if not exists jobs_not_generated on jobs (type, product_time) where generated_at is null;
create index if not exists jobs_not_published on jobs (type, product_time) where published_at is null;
create index if not exists jobs_not_indexed on jobs (type, product_time) where indexed_at is null;
create table if not exists daily_jobs (day integer primary key, created_at integer not null);
create view if not exists enabled_types as
    select t.type as type,
        coalesce(
            (select min(j.product_time) - t.every from jobs j where j.type = t.type and j.generated_at is null),
            (select max(j.product_time) from jobs j where j.type = t.type),
            0) as newest
    from product_types t
    where instr((select job_types_list from system_parameters), '''' || t.type || '''') > 0
       or instr((select job_types_list from system_parameters), '\"' || t.type || '\"') > 0;
";

/// What the services read from `system_parameters` before each piece of work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    pub enabled: Vec<String>,
    pub workers: i64,
    pub search_window_days: i64,
    pub daily_start: Option<String>,
}

/// The path of the backup beside a database file.
pub fn backup_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".backup");
    PathBuf::from(name)
}

/// Opens the database, making what isn't there.
pub fn open(path: &Path) -> Result<Connection, ProductionError> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(10))?;
    // The file needs to outlive this process, not the machine.
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "off")?;
    db.execute_batch(SCHEMA)?;
    for t in &TYPES {
        db.execute("insert or ignore into product_types values (?1, ?2)", (t.name, t.every))?;
    }
    Ok(db)
}

/// Fills an empty database with a day of what was done before the environment was stopped.
pub fn fill_history(db: &mut Connection, stopped: i64) -> Result<(), ProductionError> {
    if db.query_row("select exists (select 1 from jobs)", (), |row| row.get::<_, bool>(0))? {
        return Ok(());
    }
    let mut rows: Vec<(i64, &'static str)> = Vec::new();
    for t in &TYPES {
        let last = stopped - stopped.rem_euclid(t.every);
        rows.extend((0..86_400 / t.every).map(|i| (last - i * t.every, t.name)));
    }
    rows.sort_unstable();
    let work = db.transaction()?;
    for (at, name) in rows {
        work.prepare_cached(
            "insert into jobs (type, status, product_time, created_at, generated_at, published_at, indexed_at, quality)
             values (?1, 'done', ?2, ?2, min(?2 + 600, ?3), min(?2 + 1200, ?3), min(?2 + 1800, ?3), 'nominal')",
        )?
        .execute((name, at, stopped))?;
    }
    work.execute("insert into daily_jobs values (?1, ?2)", (stopped.div_euclid(86_400) - 1, stopped))?;
    work.commit()?;
    Ok(())
}

/// Ends the use of a database: its file goes, a backup of it stays.
pub fn put_away(db: Connection, path: &Path) -> Result<(), ProductionError> {
    db.query_row("pragma wal_checkpoint(truncate)", (), |_| Ok(()))?;
    db.close().map_err(|(_, error)| error)?;
    let backup = backup_path(path);
    std::fs::rename(path, &backup).map_err(|source| ProductionError::File {
        path: path.to_owned(),
        what: "put aside",
        source,
    })?;
    for tail in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(tail);
        let _ = std::fs::remove_file(PathBuf::from(name));
    }
    Ok(())
}

/// Brings the backup back where there is one.
pub fn bring_back(path: &Path) -> Result<(), ProductionError> {
    let backup = backup_path(path);
    if backup.exists() && !path.exists() {
        std::fs::copy(&backup, path).map_err(|source| ProductionError::File {
            path: backup,
            what: "restored",
            source,
        })?;
    }
    Ok(())
}

pub fn parameters(db: &Connection) -> Result<Parameters, ProductionError> {
    let read = db
        .prepare_cached(
            "select job_types_list, max_number_of_worker_instances, rlies1s2_min_search_window_days,
                gfsc_daily_jobs_creation_start_date from system_parameters",
        )?
        .query_row((), |row| {
            let list: String = row.get(0)?;
            Ok(Parameters {
                enabled: list_items(&list),
                workers: row.get(1)?,
                search_window_days: row.get(2)?,
                daily_start: row.get::<_, Option<String>>(3)?,
            })
        })
        .optional()?;
    Ok(read.unwrap_or(Parameters {
        enabled: Vec::new(),
        workers: 0,
        search_window_days: 0,
        daily_start: None,
    }))
}

/// The product time up to which everything of a type has reached a stage.
pub fn horizon(db: &Connection, t: &JobType, stage: Stage) -> Result<i64, ProductionError> {
    let column = stage.column();
    let sql = format!(
        "select coalesce(
            (select min(product_time) - ?2 from jobs where type = ?1 and {column} is null),
            (select max(product_time) from jobs where type = ?1), 0)"
    );
    Ok(db.prepare_cached(&sql)?.query_row((t.name, t.every), |row| row.get(0))?)
}

/// The items of a list as Python writes it: `['a', 'b']`.
fn list_items(list: &str) -> Vec<String> {
    list.trim()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .split(',')
        .map(|item| item.trim().trim_matches(['\'', '"']).to_owned())
        .filter(|item| !item.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_python_list() {
        assert_eq!(list_items("['a_job', \"b_job\"]"), ["a_job", "b_job"]);
        assert!(list_items("[]").is_empty());
    }
}
