//! SQLite through rusqlite, off the async threads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{Value as Sql, ValueRef};
use rusqlite::{Connection, OpenFlags, Statement};
use serde_json::Value;

/// Values of named parameters, by their names without the colon.
pub type Params = BTreeMap<String, Value>;

/// One row: columns by name, in no order.
pub type Row = serde_json::Map<String, Value>;

#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("'{shown}' is not a database URL that can be used; sqlite:PATH and sqlite:PATH?schema=NAME are")]
    Url { shown: String },
    #[error("there is no database file {0}")]
    Missing(PathBuf),
    #[error("the database refused the statement: {reason}")]
    Statement { reason: String },
    #[error("the statement names :{name}, which has no value; add it to params")]
    Parameter { name: String },
    #[error("the statement would change {changed} rows instead of {expected}; nothing was changed")]
    Rows { changed: usize, expected: u64 },
    /// The commit failed, or was cut off.
    #[error("whether the statement took effect is not known: {reason}")]
    Unclear { reason: String },
    #[error("the database can't be opened: {reason}")]
    Open { reason: String },
}

/// A database that can be spoken to; opened anew for each statement, since it may go away with the
/// environment and come back as another file.
#[derive(Clone, Debug)]
pub struct Database {
    path: PathBuf,
    schema: Option<String>,
}

impl Database {
    /// From its URL. The password of a URL never enters an error.
    pub fn from_url(url: &str) -> Result<Self, DbError> {
        let refused = || {
            let scheme = url.split(':').next().unwrap_or_default();
            DbError::Url { shown: format!("{scheme}:…") }
        };
        let rest = url.strip_prefix("sqlite:").ok_or_else(refused)?;
        let (path, query) = rest.split_once('?').map_or((rest, None), |(p, q)| (p, Some(q)));
        let path = path.strip_prefix("//").unwrap_or(path);
        let schema = match query {
            None => None,
            Some(query) => {
                let name = query.strip_prefix("schema=").ok_or_else(refused)?;
                let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if name.is_empty() || !name.chars().all(plain) {
                    return Err(refused());
                }
                Some(name.to_owned())
            }
        };
        if path.is_empty() {
            return Err(refused());
        }
        Ok(Self { path: PathBuf::from(path), schema })
    }

    /// The rows that a query gives. A query that would write is refused by the database.
    pub async fn query(&self, query: &str, params: &Params) -> Result<Vec<Row>, DbError> {
        let (database, query, params) = (self.clone(), query.to_owned(), params.clone());
        blocking(move || {
            let connection = database.open()?;
            connection.pragma_update(None, "query_only", true).map_err(|e| open_error(&e))?;
            let mut statement = connection.prepare(&query).map_err(|e| refused(&e))?;
            bind(&mut statement, &params)?;
            rows(&mut statement)
        })
        .await
    }

    /// Runs one statement in a transaction of its own and says how many rows it changed. Another number
    /// than `expected` is an error, and nothing is changed then; so it is for every error but
    /// [`DbError::Unclear`].
    pub async fn execute(
        &self,
        statement: &str,
        params: &Params,
        expected: Option<u64>,
    ) -> Result<usize, DbError> {
        let (database, text, params) = (self.clone(), statement.to_owned(), params.clone());
        blocking(move || {
            let mut connection = database.open()?;
            let transaction = connection.transaction().map_err(|e| refused(&e))?;
            let mut statement = transaction.prepare(&text).map_err(|e| refused(&e))?;
            bind(&mut statement, &params)?;
            let changed = statement.raw_execute().map_err(|e| refused(&e))?;
            drop(statement);
            if let Some(expected) = expected.filter(|expected| *expected != changed as u64) {
                return Err(DbError::Rows { changed, expected });
            }
            transaction.commit().map_err(|e| DbError::Unclear { reason: e.to_string() })?;
            Ok(changed)
        })
        .await
    }

    fn open(&self) -> Result<Connection, DbError> {
        if !self.path.exists() {
            return Err(DbError::Missing(self.path.clone()));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = match &self.schema {
            None => Connection::open_with_flags(&self.path, flags),
            Some(schema) => Connection::open_in_memory().and_then(|connection| {
                attach(&connection, &self.path, schema)?;
                Ok(connection)
            }),
        };
        let connection = connection.map_err(|e| open_error(&e))?;
        connection.busy_timeout(Duration::from_secs(5)).map_err(|e| open_error(&e))?;
        Ok(connection)
    }
}

fn attach(connection: &Connection, path: &Path, schema: &str) -> rusqlite::Result<()> {
    // The schema's name was checked to be a plain word; it can't be a parameter.
    connection.execute(&format!("attach database ?1 as {schema}"), [path.to_string_lossy()])?;
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DbError> + Send + 'static,
) -> Result<T, DbError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(DbError::Unclear { reason: e.to_string() }))
}

fn bind(statement: &mut Statement<'_>, params: &Params) -> Result<(), DbError> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).map(|n| n[1..].to_owned()).unwrap_or_default();
        let value = params.get(&name).ok_or(DbError::Parameter { name })?;
        statement.raw_bind_parameter(index, to_sql(value)).map_err(|e| refused(&e))?;
    }
    Ok(())
}

fn to_sql(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Bool(b) => Sql::Integer(i64::from(*b)),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| Sql::Real(n.as_f64().unwrap_or(f64::NAN)), Sql::Integer)
        }
        Value::String(s) => Sql::Text(s.clone()),
        other => Sql::Text(other.to_string()),
    }
}

fn rows(statement: &mut Statement<'_>) -> Result<Vec<Row>, DbError> {
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut found = Vec::new();
    let mut cursor = statement.raw_query();
    while let Some(row) = cursor.next().map_err(|e| refused(&e))? {
        let mut out = Row::new();
        for (i, name) in names.iter().enumerate() {
            let value = match row.get_ref(i).map_err(|e| refused(&e))? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(n) => n.into(),
                ValueRef::Real(x) => x.into(),
                ValueRef::Text(t) => String::from_utf8_lossy(t).into_owned().into(),
                ValueRef::Blob(b) => format!("({} bytes)", b.len()).into(),
            };
            out.insert(name.clone(), value);
        }
        found.push(out);
    }
    Ok(found)
}

fn refused(error: &rusqlite::Error) -> DbError {
    DbError::Statement { reason: error.to_string() }
}

fn open_error(error: &rusqlite::Error) -> DbError {
    DbError::Open { reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tables_stand_under_the_schemas_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.db");
        Connection::open(&path)
            .unwrap()
            .execute_batch("create table p (v text); insert into p values ('a')")
            .unwrap();
        let database = Database::from_url(&format!("sqlite:{}?schema=cosims", path.display())).unwrap();
        let params = Params::from([("v".into(), "b'; drop table p; --".into())]);
        assert_eq!(database.execute("update cosims.p set v = :v", &params, Some(1)).await.unwrap(), 1);
        let wrong = database.execute("insert into cosims.p values ('x')", &Params::new(), Some(2)).await;
        assert!(matches!(wrong, Err(DbError::Rows { changed: 1, expected: 2 })));
        let count = database.query("select count(*) as n from cosims.p", &Params::new()).await.unwrap();
        assert_eq!(count[0]["n"], 1, "nothing is changed by a refused statement");
        let rows = database.query("select v from cosims.p", &Params::new()).await.unwrap();
        assert_eq!(rows[0]["v"], "b'; drop table p; --");
        let write = database.query("delete from cosims.p returning v", &Params::new()).await;
        assert!(matches!(write, Err(DbError::Statement { .. })));
        let missing = database.query("select :x as x", &Params::new()).await;
        assert!(matches!(missing, Err(DbError::Parameter { name }) if name == "x"));
    }

    #[test]
    fn passwords_stay_out_of_errors() {
        let error = Database::from_url("postgres://u:hunter2@h/d").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
