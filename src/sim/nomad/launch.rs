//! Jobs that make other jobs: periodic ones by the clock, parameterized ones when they are dispatched.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::cluster::{Cluster, Happening};
use super::failure::Failure;
use super::records::JobKey;
use super::register::{Registered, Registration};
use super::value::{array, set, text, truthy};

impl Cluster {
    /// Puts the next launch of a periodic job on the agenda.
    pub fn plan_launch(&mut self, key: &JobKey) {
        let Some(job) = self.job(key) else { return };
        if truthy(&job["Stop"]) || !truthy(&job["Periodic"]["Enabled"]) {
            return;
        }
        if let Some(at) = next(&job["Periodic"], self.now) {
            self.at(at, Happening::Launch(key.clone()));
        }
    }

    /// The time of a periodic job has come.
    pub fn launch(&mut self, key: &JobKey) {
        // A newer version has put its own launch on the agenda; one launch a minute is all there is.
        let _ = self.force_launch(key);
        self.plan_launch(key);
    }

    /// Launches a periodic job now.
    pub fn force_launch(&mut self, key: &JobKey) -> Result<Registered, Failure> {
        let job = self.job(key).cloned().ok_or_else(|| Failure::missing("job not found"))?;
        if job["Periodic"].is_null() {
            return Err(Failure::server("can't force launch non-periodic job"));
        }
        let id = format!("{}/periodic-{}", key.id, self.now.as_second());
        let child_key = JobKey { namespace: key.namespace.clone(), id: id.clone() };
        let busy = truthy(&job["Periodic"]["ProhibitOverlap"])
            && self
                .jobs
                .values()
                .any(|j| text(j.spec(), "ParentID") == key.id && text(j.spec(), "Status") != "dead");
        if truthy(&job["Stop"]) || busy || self.jobs.contains_key(&child_key) {
            return Err(Failure::server("nothing was launched"));
        }
        let mut child = job;
        set(&mut child, "ID", json!(id.clone()));
        set(&mut child, "Name", json!(id));
        set(&mut child, "ParentID", json!(key.id));
        set(&mut child, "Periodic", Value::Null);
        self.register(&child, &Registration::default())
    }

    /// Dispatches a parameterized job; answers the new job's ID too.
    pub fn dispatch(
        &mut self,
        key: &JobKey,
        meta: &Value,
        payload: &Value,
    ) -> Result<(String, Registered), Failure> {
        let job = self.job(key).cloned().ok_or_else(|| Failure::missing("parameterized job not found"))?;
        let rules = &job["ParameterizedJob"];
        if rules.is_null() {
            return Err(Failure::server(format!("Specified job {:?} is not a parameterized job", key.id)));
        }
        if truthy(&job["Stop"]) {
            return Err(Failure::server(format!("Specified job {:?} is stopped", key.id)));
        }
        let sent: BTreeSet<&str> = meta.as_object().into_iter().flatten().map(|(k, _)| k.as_str()).collect();
        let names = |field: &str| -> BTreeSet<&str> {
            array(rules, field).iter().filter_map(Value::as_str).collect()
        };
        let (required, optional) = (names("MetaRequired"), names("MetaOptional"));
        let extra: Vec<&str> =
            sent.iter().copied().filter(|k| !required.contains(k) && !optional.contains(k)).collect();
        if !extra.is_empty() {
            return Err(Failure::server(format!(
                "Dispatch request included unpermitted metadata keys: {extra:?}"
            )));
        }
        let lacking: Vec<&str> = required.difference(&sent).copied().collect();
        if !lacking.is_empty() {
            return Err(Failure::server(format!("Dispatch did not provide required meta keys: {lacking:?}")));
        }
        let tail: String = self.id().chars().take(8).collect();
        let id = format!("{}/dispatch-{}-{tail}", key.id, self.now.as_second());
        let mut child = job.clone();
        set(&mut child, "ID", json!(id.clone()));
        set(&mut child, "Name", json!(id.clone()));
        set(&mut child, "ParentID", json!(key.id));
        set(&mut child, "Dispatched", json!(true));
        set(&mut child, "Payload", payload.clone());
        let mut all = child["Meta"].as_object().cloned().unwrap_or_default();
        all.extend(meta.as_object().cloned().unwrap_or_default());
        set(&mut child, "Meta", Value::Object(all));
        let made = self.register(&child, &Registration::default())?;
        Ok((id, made))
    }
}

/// The next launch of a `periodic` block after a time.
pub fn next(periodic: &Value, after: Timestamp) -> Option<Timestamp> {
    let zone = TimeZone::get(text(periodic, "TimeZone")).unwrap_or(TimeZone::UTC);
    let specs = array(periodic, "Specs").iter().filter_map(Value::as_str);
    std::iter::once(text(periodic, "Spec")).chain(specs).filter_map(|spec| cron(spec, after, &zone)).min()
}

/// The next time that a five-field cron line names, within two years.
fn cron(spec: &str, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let spec = match spec.trim() {
        "" => return None,
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other => other,
    };
    let mut fields: Vec<&str> = spec.split_whitespace().collect();
    // Nomad reads six fields as seconds first, seven as with a year; neither extra is weighed here.
    if fields.len() >= 6 {
        fields.remove(0);
    }
    let [minute, hour, day, month, weekday] = fields.get(..5)? else { return None };
    let (minutes, hours) = (numbers(minute, 0, 59)?, numbers(hour, 0, 23)?);
    let (days, months, weekdays) = (numbers(day, 1, 31)?, numbers(month, 1, 12)?, numbers(weekday, 0, 7)?);
    let mut at = after.checked_add(SignedDuration::from_secs(60 - after.as_second().rem_euclid(60))).ok()?;
    at = at
        .round(jiff::TimestampRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Trunc))
        .ok()?;
    for _ in 0..(2 * 366 * 24 * 60) {
        let local = at.to_zoned(zone.clone());
        let sunday_based = local.weekday().to_sunday_zero_offset();
        let by_week = weekdays.contains(&sunday_based) || (sunday_based == 0 && weekdays.contains(&7));
        let by_month = days.contains(&local.day());
        let on_day = match (*day == "*", *weekday == "*") {
            (false, false) => by_week || by_month,
            _ => by_week && by_month,
        };
        if months.contains(&local.month())
            && on_day
            && hours.contains(&local.hour())
            && minutes.contains(&local.minute())
        {
            return Some(at);
        }
        let step = if months.contains(&local.month()) && on_day {
            60
        } else {
            60 * (60 - i64::from(local.minute()))
        };
        at = at.checked_add(SignedDuration::from_secs(step)).ok()?;
    }
    None
}

fn numbers(field: &str, low: i8, high: i8) -> Option<BTreeSet<i8>> {
    let mut out = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = part.split_once('/').map_or((part, 1), |(r, s)| (r, s.parse().unwrap_or(0)));
        if step <= 0 {
            return None;
        }
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let one: i8 = range.parse().ok()?;
                (one, if part.contains('/') { high } else { one })
            }
        };
        let mut n = from;
        while n <= to {
            out.insert(n);
            n = n.checked_add(step)?;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cron_lines() {
        let after: Timestamp = "2026-11-21T03:07:30Z".parse().expect("a time");
        let at = |spec: &str| cron(spec, after, &TimeZone::UTC).map(|t| t.to_string());
        assert_eq!(at("*/15 * * * *").as_deref(), Some("2026-11-21T03:15:00Z"));
        assert_eq!(at("0 2 * * *").as_deref(), Some("2026-11-22T02:00:00Z"));
        assert_eq!(at("30 6 1 * *").as_deref(), Some("2026-12-01T06:30:00Z"));
        assert_eq!(at("@hourly").as_deref(), Some("2026-11-21T04:00:00Z"));
        assert_eq!(at("nonsense"), None);
    }
}
