//! Reading, pointing at and setting the value of a path.

use serde_json::{Map, Value as Json};

use super::syntax::Path;
use super::walk::{Leaf, PathError, Token, Walked, other_list, walk};
use crate::base::{Source, text};
use crate::hcl::{Value, constants, parse_expression};
use crate::jobspec::scalar;
use crate::jobspec::schema::{Kind, Struct};

/// As the conversion says it, which never quotes a value.
const NO_NUMBER: &str = "a number is needed, and this text is not one";

impl Path {
    /// The value there; none where the path leads to nothing. What isn't set may be null.
    pub fn get<'j>(&self, job: &'j Json) -> Option<&'j Json> {
        walk(self, job).ok()?.value
    }

    /// The path without short forms, as `Display` and other paths to the same value have it.
    pub fn canonical(&self, job: &Json) -> Result<Self, PathError> {
        walk(self, job).map(|walked| walked.path)
    }

    /// A pointer into the API's JSON (RFC 6901), to where the value stands or would stand.
    pub fn pointer(&self, job: &Json) -> Option<String> {
        let walked = walk(self, job).ok()?;
        let tokens = walked.tokens.iter().map(|token| match token {
            Token::Field(field, _) => field.json.to_owned(),
            Token::Key(key) => key.replace('~', "~0").replace('/', "~1"),
            Token::Index(index) => index.to_string(),
        });
        Some(tokens.map(|token| format!("/{token}")).collect())
    }

    /// Whether it is a name, or something below one, that the file chooses and no table knows: in `env`, `meta`,
    /// a task's `config` and the like.
    pub fn is_free(&self, job: &Json) -> bool {
        let Ok(Walked { tokens, leaf, .. }) = walk(self, job) else { return false };
        let of_map = tokens.iter().rev().find(|token| !matches!(token, Token::Index(_)));
        matches!(leaf, Leaf::Free) || matches!(of_map, Some(Token::Key(_)))
    }

    /// The value as it is meant, of one that a person gave: where nothing stands yet and no table knows the
    /// type, a text that is written as a list or a map is one (a map of a block as the list of it, as job files
    /// give it); one that is hardly anything else is refused.
    pub fn meant(&self, job: &Json, value: &Json) -> Result<Json, PathError> {
        let Json::String(given) = value else { return Ok(value.clone()) };
        let Walked { tokens, path, leaf: Leaf::Free, value: None | Some(Json::Null | Json::Array(_)) } =
            walk(self, job)?
        else {
            return Ok(value.clone());
        };
        let trimmed = given.trim();
        let looks = trimmed.starts_with('[') && trimmed.ends_with(']')
            || trimmed.starts_with('{') && trimmed.ends_with('}') && !trimmed.starts_with("{{");
        if !looks {
            return Ok(value.clone());
        }
        let read = collection(given).map_err(|_| PathError::Value {
            path: path.to_string(),
            why: format!(
                "{given:?} looks like a list or a map, and can't be read as one (as in '[\"a\", \"b\"]')"
            ),
        })?;
        let of_block = matches!(tokens.as_slice(), [.., Token::Field(..), Token::Key(_)]);
        Ok(if of_block && read.is_object() { Json::Array(vec![read]) } else { read })
    }

    /// Sets the value, converted to the field's type as a job file's would be ("30s" to nanoseconds,
    /// "3" to 3, a text of JSON to a list or a map), and gives the old one, null where there was none.
    /// Null unsets a field and takes a name out of a map: setting the old value undoes a change.
    pub fn set(&self, job: &mut Json, value: &Json) -> Result<Json, PathError> {
        let Walked { tokens, path, leaf, value: old } = walk(self, job)?;
        let old = old.cloned().unwrap_or_default();
        let wrong = |why: String| {
            let path = path.to_string();
            PathError::Value { why: with_text(why, &path, value), path }
        };
        let new = match leaf {
            // A name is taken out of its map.
            Leaf::Value(_) if value.is_null() && matches!(tokens.last(), Some(Token::Key(_))) => Json::Null,
            Leaf::Value(kind) => typed(value, kind).map_err(wrong)?,
            Leaf::Free => alike(value, &old).map_err(wrong)?,
            Leaf::Block(known) => return Err(PathError::Block { path: path.to_string(), known }),
        };
        put(job, &tokens, new).ok_or_else(|| wrong("the job holds something else here".to_owned()))?;
        if let Some(at) = tokens.iter().rposition(|token| matches!(token, Token::Index(_)))
            && at > 0
            && let Token::Field(list, holder) = tokens[at - 1]
            && holder.name == "NetworkResource"
            && matches!(list.json, "DynamicPorts" | "ReservedPorts")
        {
            sort_port(job, &tokens[..=at], holder);
        }
        Ok(old)
    }
}

/// Why a text is no number, with the text, which a person has just given, and the unit that is wanted.
fn with_text(why: String, path: &str, value: &Json) -> String {
    let Some(text) = value.as_str().filter(|_| why == NO_NUMBER) else { return why };
    let unit = match path.rsplit('.').next() {
        Some("cpu") => " (of MHz, without a unit)",
        Some("memory" | "memory_max") => " (of MB, without a unit)",
        _ => "",
    };
    format!("a number is needed{unit}, not '{}'", text::one_line(text))
}

/// A value as a field of this kind holds it.
fn typed(value: &Json, kind: Kind) -> Result<Json, String> {
    if value.is_null() {
        return Ok(kind.empty());
    }
    let value = match (kind, value) {
        (Kind::Texts | Kind::Ports | Kind::TextMap | Kind::TextsMap, Json::String(text)) => {
            &collection(text)?
        }
        _ => value,
    };
    match (kind, value) {
        // HCL would normalise its characters: what a job holds already comes back exactly.
        (Kind::Text | Kind::MaybeText, Json::String(_)) => Ok(value.clone()),
        (Kind::Texts, Json::Array(items)) if items.iter().all(Json::is_string) => Ok(value.clone()),
        (Kind::TextMap, Json::Object(map)) if map.values().all(Json::is_string) => Ok(value.clone()),
        (Kind::TextsMap, Json::Object(map)) => {
            map.iter().map(|(name, texts)| Ok((name.clone(), typed(texts, Kind::Texts)?))).collect()
        }
        _ => scalar::decode_value(&Value::from_json(value), kind),
    }
}

/// A value in a free-form block, of the type that stood there: no table knows another.
fn alike(value: &Json, old: &Json) -> Result<Json, String> {
    Ok(match (old, value) {
        (Json::Bool(_), Json::String(_)) => scalar::decode_value(&Value::from_json(value), Kind::Flag)?,
        (Json::Number(_), Json::String(text)) => match serde_json::from_str(text) {
            Ok(number @ Json::Number(_)) => number,
            _ => return Err(format!("a number is needed, not {text:?}")),
        },
        (Json::String(_), Json::Number(_) | Json::Bool(_)) => value.to_string().into(),
        (Json::Array(_) | Json::Object(_), Json::String(text)) => collection(text)?,
        (Json::Array(_) | Json::Object(_), Json::Number(_) | Json::Bool(_)) => {
            return Err(format!("a list or a map is needed, not {value}"));
        }
        _ => value.clone(),
    })
}

/// A list or a map, in JSON or as job files have it.
fn collection(text: &str) -> Result<Json, String> {
    let written = || Some(parse_expression(&Source::new("", text)).ok()?.eval(&constants()).ok()?.to_json());
    match serde_json::from_str(text).ok().or_else(written) {
        Some(json @ (Json::Array(_) | Json::Object(_))) => Ok(json),
        _ => Err(format!("a list or a map is needed, such as '[\"a\", \"b\"]', not {text:?}")),
    }
}

/// Puts the value where the tokens lead; single blocks and maps that aren't there yet are made.
fn put(job: &mut Json, tokens: &[Token], value: Json) -> Option<()> {
    let (last, before) = tokens.split_last()?;
    let mut here = job;
    for token in before {
        here = inside(here, token)?;
    }
    match last {
        Token::Key(key) if value.is_null() => {
            here.as_object_mut()?.remove(key);
        }
        token => *inside(here, token)? = value,
    }
    Some(())
}

fn inside<'j>(here: &'j mut Json, token: &Token) -> Option<&'j mut Json> {
    if here.is_null() {
        *here = match token {
            Token::Field(_, of) => unset(of),
            Token::Key(_) => Json::Object(Map::new()),
            Token::Index(_) => return None,
        };
    }
    match token {
        Token::Field(field, _) => Some(here.as_object_mut()?.entry(field.json).or_insert(Json::Null)),
        Token::Key(key) => Some(here.as_object_mut()?.entry(key.as_str()).or_insert(Json::Null)),
        Token::Index(index) => here.get_mut(*index),
    }
}

/// A block with nothing in it.
fn unset(of: &Struct) -> Json {
    of.all().map(|field| (field.json.to_owned(), field.kind.empty())).collect()
}

/// Ports with a number of their own are in one list, the others in the other.
fn sort_port(job: &mut Json, tokens: &[Token], holder: &'static Struct) {
    let [before @ .., Token::Field(list, _), Token::Index(index)] = tokens else { return };
    let mut network = job;
    for token in before {
        match inside(network, token) {
            Some(next) => network = next,
            None => return,
        }
    }
    let dynamic = list.json == "DynamicPorts";
    let fixed = network[list.json][*index]["Value"].as_i64().is_some_and(|value| value > 0);
    if dynamic != fixed {
        return;
    }
    let other = match other_list(list, holder) {
        Some(other) => other.json,
        None => "DynamicPorts",
    };
    let Some(from) = network[list.json].as_array_mut() else { return };
    let port = from.remove(*index);
    if from.is_empty() {
        network[list.json] = Json::Null;
    }
    match network[other].as_array_mut() {
        Some(ports) => ports.push(port),
        None => network[other] = Json::Array(vec![port]),
    }
}
