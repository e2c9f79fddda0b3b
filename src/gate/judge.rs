//! From samples to verdicts.

use std::sync::Arc;

use async_trait::async_trait;

use super::probes::{self, Sample};
use crate::dialect::Values;
use crate::engine::Samples;
use crate::environment::Environment;
use crate::event::Verdict;
use crate::hcl::{Expr, Value};
use crate::plan::{Check, Gate, Record};

/// Takes an environment's samples and judges them.
pub struct Gatekeeper(pub Arc<Environment>);

#[async_trait]
impl Samples for Gatekeeper {
    async fn gate(&self, gate: &Gate, scope: &Values) -> (Verdict, String) {
        let mut worst = Verdict::Pass;
        let mut details = Vec::new();
        let samples = gate.probes.iter().map(|probe| probes::sample(&self.0, probe, scope));
        for (probe, sample) in gate.probes.iter().zip(futures::future::join_all(samples).await) {
            let (verdict, detail) = judge(gate, &sample, scope);
            worst = worse(worst, verdict);
            details.push(if gate.probes.len() > 1 { format!("{}: {detail}", probe.name) } else { detail });
        }
        (worst, details.join(", "))
    }

    async fn check(&self, check: &Check, scope: &Values) -> Result<(), String> {
        let mut scope = scope.clone();
        if let Some(probe) = &check.probe {
            match probes::sample(&self.0, probe, &scope).await {
                Sample::Row(row) => scope.set("result", row),
                Sample::NoData(why) => return Err(format!("there is no data: {why}")),
                Sample::Error(why) => return Err(why),
            }
        }
        let place = &check.condition.span;
        match truth(&check.condition, &scope) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let own = check.error.as_ref().and_then(|error| error.eval(&scope).ok());
                let own = own.and_then(|value| value.as_str().map(str::to_owned));
                Err(own.unwrap_or_else(|| format!("its condition is false ({place})")))
            }
            Err((_, why)) => Err(format!("{why} ({place})")),
        }
    }

    async fn record(&self, record: &Record, scope: &Values) -> Result<serde_json::Value, String> {
        match probes::sample(&self.0, &record.probe, scope).await {
            // A row of one column is its value.
            Sample::Row(row) => match row.to_json() {
                serde_json::Value::Object(map) if map.len() == 1 => {
                    let value = map.into_iter().next().map_or(serde_json::Value::Null, |(_, value)| value);
                    if value.is_null() {
                        Err("there is no data: the value is null".into())
                    } else {
                        Ok(value)
                    }
                }
                other => Ok(other),
            },
            Sample::NoData(why) => Err(format!("there is no data: {why}")),
            Sample::Error(why) => Err(why),
        }
    }
}

/// The worse of two verdicts on one gate: all its samples must pass together.
fn worse(a: Verdict, b: Verdict) -> Verdict {
    let rank = |verdict: Verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::NotYet => 1,
        Verdict::NoData => 2,
        Verdict::Error => 3,
        Verdict::Fail => 4,
    };
    if rank(b) > rank(a) { b } else { a }
}

/// What one sample says of a gate. Pure.
fn judge(gate: &Gate, sample: &Sample, scope: &Values) -> (Verdict, String) {
    let row = match sample {
        Sample::Row(row) => row,
        Sample::NoData(why) => return (Verdict::NoData, why.clone()),
        Sample::Error(why) => return (Verdict::Error, why.clone()),
    };
    let scope = scope.clone().with("result", row.clone());
    let shown = shown(gate, row);
    if let Some(fail_when) = &gate.fail_when {
        match truth(fail_when, &scope) {
            Ok(true) => return (Verdict::Fail, shown),
            Ok(false) => {}
            Err((verdict, why)) => return (verdict, why),
        }
    }
    match truth(&gate.until, &scope) {
        Ok(true) => (Verdict::Pass, shown),
        Ok(false) => (Verdict::NotYet, shown),
        Err((verdict, why)) => (verdict, why),
    }
}

fn truth(condition: &Expr, scope: &Values) -> Result<bool, (Verdict, String)> {
    // SQL's null, as min() over no rows gives it, is no data; so is a number that isn't one.
    let nothing = condition.references().iter().any(|reference| {
        let Some(result) = scope.get("result").filter(|_| reference.root.text == "result") else {
            return false;
        };
        let value = reference.path.iter().try_fold(result, |value, name| value.get(&name.text));
        value.is_some_and(|value| value.is_null() || value.as_f64().is_some_and(f64::is_nan))
    });
    if nothing {
        return Err((Verdict::NoData, "the sample is empty".into()));
    }
    match condition.eval(scope) {
        Ok(Value::Bool(truth)) => Ok(truth),
        Ok(other) if !other.is_wholly_known() => Err((Verdict::NoData, "something isn't known yet".into())),
        Ok(other) => {
            Err((Verdict::Error, format!("the condition gives {}, not true or false", other.type_name())))
        }
        Err(problem) => Err((Verdict::Error, problem.to_string())),
    }
}

/// A sample in a few words, by what the gate's conditions look at: `lag 52m 3s`, `newest 1203`.
fn shown(gate: &Gate, row: &Value) -> String {
    let serde_json::Value::Object(map) = row.to_json() else { return row.to_json().to_string() };
    let conditions = [Some(&gate.until), gate.fail_when.as_ref()];
    let named: Vec<String> = conditions
        .into_iter()
        .flatten()
        .flat_map(Expr::references)
        .filter(|reference| reference.root.text == "result")
        .filter_map(|reference| reference.path.first().map(|name| name.text.clone()))
        .collect();
    let mut parts = Vec::new();
    for (name, value) in map.iter().filter(|(name, _)| named.is_empty() || named.contains(name)).take(4) {
        let timed = name.contains("lag") || name.contains("age") || name.ends_with("_seconds");
        let text = match value {
            serde_json::Value::Number(number) if timed => {
                let seconds = number.as_f64().unwrap_or_default().max(0.0);
                let length =
                    std::time::Duration::try_from_secs_f64(seconds).unwrap_or(std::time::Duration::MAX);
                crate::base::text::duration(length)
            }
            serde_json::Value::String(text) => crate::base::text::one_line(text),
            other => crate::base::text::one_line(&other.to_string()),
        };
        let text: String = text.chars().take(40).collect();
        parts.push(format!("{} {text}", crate::base::text::one_line(name)));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::{Secrets, Source, Span};
    use crate::plan::OnDeadline;

    fn verdict(until: &str, fail_when: Option<&str>, row: &serde_json::Value) -> Verdict {
        let parse = |text: &str| crate::hcl::parse_expression(&Source::new("t", text)).unwrap();
        let gate = Gate {
            name: "g".into(),
            probes: Vec::new(),
            until: parse(until),
            fail_when: fail_when.map(parse),
            every: Duration::from_secs(1),
            consecutive: 1,
            deadline: Duration::from_secs(1),
            on_deadline: OnDeadline::Fail,
            span: Span::new(&Source::new("t", ""), 0..0),
        };
        let scope = Values::new(crate::dialect::functions(&Secrets::default()));
        judge(&gate, &Sample::Row(Value::from_json(row)), &scope).0
    }

    #[test]
    fn only_true_passes() {
        use serde_json::json;
        let until = "result.lag < duration(\"1h\")";
        assert_eq!(verdict(until, None, &json!({"lag": 10})), Verdict::Pass);
        assert_eq!(verdict(until, None, &json!({"lag": 3600})), Verdict::NotYet);
        assert_eq!(verdict(until, None, &json!({"lag": null})), Verdict::NoData);
        assert_eq!(verdict(until, None, &json!({"log": 1})), Verdict::Error);
        assert_eq!(verdict("result.lag", None, &json!({"lag": 1})), Verdict::Error);
        assert_eq!(verdict("result.lag", None, &json!({"lag": "true"})), Verdict::Error);
        assert_eq!(verdict(until, Some("result.lag > 9"), &json!({"lag": 10})), Verdict::Fail);
    }
}
