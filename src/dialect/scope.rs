//! Named values, and the functions that HCL doesn't have.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Secrets, text};
use crate::hcl::{Functions, Root, Scope, Value};

/// Values by the root they are called by. Cheap to clone.
#[derive(Clone)]
pub struct Values {
    roots: BTreeMap<String, Value>,
    functions: Arc<Functions>,
}

impl Values {
    pub fn new(functions: Arc<Functions>) -> Self {
        Self { roots: BTreeMap::new(), functions }
    }

    #[must_use]
    pub fn with(mut self, root: &str, value: Value) -> Self {
        self.set(root, value);
        self
    }

    pub fn set(&mut self, root: &str, value: Value) {
        self.roots.insert(root.to_owned(), value);
    }

    pub fn get(&self, root: &str) -> Option<&Value> {
        self.roots.get(root)
    }
}

impl Scope for Values {
    fn root(&self, name: &str) -> Root {
        self.roots.get(name).map_or(Root::Missing, |value| Root::Value(value.clone()))
    }

    fn root_names(&self) -> Vec<String> {
        self.roots.keys().cloned().collect()
    }

    fn functions(&self) -> &Functions {
        &self.functions
    }
}

/// The day of a time in seconds since 1970, UTC: `2026-11-21`.
fn date(value: &Value) -> Result<String, String> {
    let seconds = value.as_f64().ok_or("date takes seconds since 1970, as `now` gives them")?;
    #[expect(clippy::cast_possible_truncation, reason = "times outside of i64 are refused by jiff")]
    let at = jiff::Timestamp::from_second(seconds as i64).map_err(|error| error.to_string())?;
    Ok(at.strftime("%Y-%m-%d").to_string())
}

/// HCL's functions, `date(now)`, `duration("3d")` in seconds, and `sensitive(x)`, which keeps its value out of all output.
pub fn functions(secrets: &Secrets) -> Arc<Functions> {
    let mut functions = Functions::standard();
    functions.add("duration", |args: &[Value]| match args {
        [Value::Unknown] => Ok(Value::Unknown),
        [value] => duration_of(value).map(|d| Value::from(d.as_secs_f64())),
        _ => Err("duration takes one argument, such as \"3d\"".into()),
    });
    functions.add("date", |args: &[Value]| match args {
        [Value::Unknown] => Ok(Value::Unknown),
        [value] => date(value).map(|date| Value::from(date.as_str())),
        _ => Err("date takes one argument, seconds since 1970".into()),
    });
    let secrets = secrets.clone();
    functions.add("sensitive", move |args: &[Value]| match args {
        [value] => {
            if let Some(text) = value.as_str() {
                secrets.add(text);
                add_password(&secrets, text);
            }
            Ok(value.clone())
        }
        _ => Err("sensitive takes one argument".into()),
    });
    Arc::new(functions)
}

/// The password of a URL is a secret of its own: servers repeat it without the rest.
fn add_password(secrets: &Secrets, url: &str) {
    let Some((_, rest)) = url.split_once("://") else { return };
    let authority = rest.split('/').next().unwrap_or_default();
    if let Some((_, password)) = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')) {
        secrets.add(password);
    }
}

/// A duration from seconds or from text such as "3d".
pub fn duration_of(value: &Value) -> Result<Duration, String> {
    if let Some(seconds) = value.as_f64() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| "a duration can't be negative".into());
    }
    let written = value.as_str().ok_or_else(|| {
        format!("a duration is a number of seconds or text such as \"3d\", not {}", value.type_name())
    })?;
    text::parse_duration(written)
        .ok_or_else(|| format!("'{written}' is not a duration; write it like \"90s\", \"12h\" or \"3d\""))
}
