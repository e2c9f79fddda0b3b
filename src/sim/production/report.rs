//! What an observer of the simulated environment sees. Demo and tests show it; no plan can ask for it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::database::{self, ProductionError, Stage};
use super::pipeline::Production;
use super::types::TYPES;

/// One job type since the database last came up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeReport {
    #[serde(rename = "type")]
    pub name: String,
    pub enabled: bool,
    pub generated: u64,
    /// Products made without all they are made of.
    pub degraded: u64,
    /// Products that nobody will make: they fell between a search window and the last product before it.
    pub missing: u64,
    /// When its first work began.
    pub started_at: Option<Timestamp>,
    /// When it was first generated, published and indexed up to date.
    pub caught_up_at: Option<Timestamp>,
    /// Age of the newest complete product time, in seconds, by stage.
    pub generated_lag: i64,
    pub published_lag: i64,
    pub indexed_lag: i64,
}

/// All of it. Empty while the database is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub now: Timestamp,
    pub types: Vec<TypeReport>,
    pub degraded: u64,
    /// Days without their gap-filled daily product.
    pub missing_days: u64,
}

impl Production {
    pub fn report(&self, now: Timestamp) -> Result<Report, ProductionError> {
        let mut report = Report { now, types: Vec::new(), degraded: 0, missing_days: 0 };
        let Some(db) = &self.db else { return Ok(report) };
        let enabled = database::parameters(db)?.enabled;
        let count = |sql: &str, name: &str, since: i64| -> Result<u64, ProductionError> {
            Ok(db.prepare_cached(sql)?.query_row((name, since), |row| row.get(0))?)
        };
        for t in &TYPES {
            let lag = |stage| database::horizon(db, t, stage).map(|h| now.as_second() - h);
            let time = |at: Option<&i64>| at.and_then(|s| Timestamp::from_second(*s).ok());
            let degraded = count(
                "select count(*) from jobs where type = ?1 and generated_at >= ?2 and quality = 'degraded'",
                t.name,
                self.opened,
            )?;
            report.degraded += degraded;
            report.types.push(TypeReport {
                name: t.name.to_owned(),
                enabled: enabled.iter().any(|e| e == t.name),
                generated: count(
                    "select count(*) from jobs where type = ?1 and generated_at >= ?2",
                    t.name,
                    self.opened,
                )?,
                degraded,
                missing: count(
                    "select (max(product_time) - min(product_time)) / ?2 + 1 - count(*) from jobs where type = ?1",
                    t.name,
                    t.every,
                )?,
                started_at: time(self.started.get(t.name)),
                caught_up_at: time(self.caught_up.get(t.name)),
                generated_lag: lag(Stage::Generated)?,
                published_lag: lag(Stage::Published)?,
                indexed_lag: lag(Stage::Indexed)?,
            });
        }
        report.missing_days = db.query_row(
            "select coalesce(max(day) - min(day) + 1 - count(*), 0) from daily_jobs",
            (),
            |row| row.get(0),
        )?;
        Ok(report)
    }
}
