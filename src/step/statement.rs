//! `sql`: one statement with named parameters, in a transaction of its own.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::build::{Inputs, Known};
use crate::base::text;
use crate::db::DbError;
use crate::engine::{Context, Horizon, Outcome, Preview, Reconciled, Step, StepError, Touched};
use crate::event::Line;
use crate::journal::Intent;

pub struct Statement(pub Inputs);

struct Wanted {
    database: String,
    statement: String,
    params: Map<String, Value>,
    rows: Option<u64>,
}

impl Statement {
    fn wanted(&self, cx: &Context) -> Result<Known<Wanted>, StepError> {
        Ok(self.0.read(cx, |reader, body| {
            let params = reader.object(body, "params").unwrap_or_default();
            let rows = reader.number(body, "rows");
            let (database, statement) = (reader.string(body, "database")?, reader.string(body, "statement")?);
            Some(Wanted { database, statement, params, rows })
        })?)
    }
}

#[async_trait]
impl Step for Statement {
    async fn preview(&self, cx: &Context, horizon: &Horizon) -> Result<Preview, StepError> {
        let wanted = match self.wanted(cx)? {
            Known::All(wanted) => wanted,
            Known::Not(what) => {
                let summary = format!("a statement with {what}, which is known later");
                let later = Some(format!("{what} is known then"));
                return Ok(Preview { later, ..Preview::new(summary, json!({ "unknown": what })) });
            }
        };
        let mut lines = vec![Line::plain(text::one_line(wanted.statement.trim()))];
        for (name, value) in &wanted.params {
            lines.push(Line::new(
                crate::event::Mark::Plain,
                1,
                format!(":{name} = {}", text::one_line(&value.to_string())),
            ));
        }
        let later = match horizon {
            Horizon::Later(why) => Some(why.clone()),
            Horizon::Now => None,
        };
        let decision =
            json!({ "database": wanted.database, "statement": wanted.statement, "params": wanted.params });
        let summary = format!("one statement on the database '{}'", wanted.database);
        let bound = Some(decision.clone());
        Ok(Preview { lines, later, bound, precondition: decision.clone(), ..Preview::new(summary, decision) })
    }

    async fn execute(&self, cx: &Context, _: Preview) -> Result<Outcome, StepError> {
        let wanted = match self.wanted(cx)? {
            Known::All(wanted) => wanted,
            Known::Not(what) => return Err(StepError::untouched(format!("{what} has no value"))),
        };
        let environment = &self.0.environment;
        let database = environment
            .database(&wanted.database)
            .await
            .map_err(|e| StepError::untouched("the database can't be spoken to").because(e))?;
        let params = environment.params(wanted.params);
        let rows = database.execute(&wanted.statement, &params, wanted.rows).await.map_err(failed)?;
        let summary = format!("{} changed", text::count(rows, "row"));
        let evidence = json!({ "rows": rows });
        Ok(Outcome { summary, output: evidence.clone(), evidence })
    }

    async fn reconcile(&self, cx: &Context, _: &Intent) -> Result<Reconciled, StepError> {
        let repeatable =
            self.0.now(cx, |reader, body| Some(reader.bool(body, "repeatable").unwrap_or(false)))?;
        Ok(if repeatable {
            Reconciled::NotDone("it may be repeated; doing it again".into())
        } else {
            Reconciled::Undecided(
                "a statement leaves no trace to look at (say repeatable = true where one may)".into(),
            )
        })
    }
}

fn failed(error: DbError) -> StepError {
    let help = match &error {
        DbError::Missing(_) => Some("is the environment up?".to_owned()),
        _ => None,
    };
    let touched = if matches!(error, DbError::Unclear { .. }) { Touched::Unknown } else { Touched::Nothing };
    StepError { help, ..StepError::new(error.to_string(), touched) }
}
