//! The values of a configuration: variables, locals, outputs, and what each resource's instances are given.
//! What isn't known before an apply is unknown.

use std::collections::BTreeMap;

use super::config::{Module, Node, join};
use super::state::Stored;
use crate::hcl::{Block, Expr, Functions, Root, Scope, Value};

/// An instance that the configuration asks for.
#[derive(Debug)]
pub struct Wanted {
    pub address: String,
    pub node: Node,
    /// The path of its module with indexes.
    pub module: String,
    pub index: Option<Value>,
    /// What the block's attributes say.
    pub attributes: BTreeMap<String, Value>,
}

/// All that a configuration comes to with these variables and this state.
#[derive(Debug, Default)]
pub struct Picture {
    pub wanted: Vec<Wanted>,
    pub outputs: BTreeMap<String, Value>,
    /// Attributes that couldn't be counted: `count` or `for_each` unknown.
    pub problems: Vec<String>,
}

/// Reads a configuration with these variables and this state.
pub fn picture(
    root: &Module,
    variables: &BTreeMap<String, Value>,
    state: &BTreeMap<String, Stored>,
) -> Picture {
    let mut picture = Picture::default();
    picture.outputs = module(root, "", variables, state, &mut picture);
    picture
}

fn module(
    module_: &Module,
    path: &str,
    given: &BTreeMap<String, Value>,
    state: &BTreeMap<String, Stored>,
    picture: &mut Picture,
) -> BTreeMap<String, Value> {
    let mut names = Names::new(path);
    let mut variables = BTreeMap::new();
    for (name, variable) in &module_.variables {
        let value =
            given.get(name).cloned().or_else(|| variable.default.as_ref().and_then(|d| d.eval(&names).ok()));
        variables.insert(name.clone(), value.unwrap_or(Value::Null));
    }
    names.roots.insert("var".into(), Value::Object(variables));
    for block in &module_.resources {
        if let Some(node) = Node::of(module_, block) {
            names.put(&node.kind, &node.name, made(path, &node, block, state));
        }
    }
    names.locals(&module_.locals);
    // A call may use another call's outputs, in whatever order they stand.
    let mut below = Picture::default();
    for _ in 0..=module_.calls.len() {
        below = Picture::default();
        for call in &module_.calls {
            let mut results = Vec::new();
            let keys = match keys(&call.block, &names) {
                Ok(keys) => keys,
                Err(problem) => {
                    below.problems.push(format!("module.{}: {problem}", call.name));
                    continue;
                }
            };
            for (key, extra) in &keys {
                let path =
                    format!("{}{}", join(path, &format!("module.{}", call.name)), shown_index(key.as_ref()));
                let inner = names.with(extra.clone());
                let given: BTreeMap<String, Value> = call
                    .block
                    .body
                    .attributes()
                    .filter(|a| {
                        !matches!(
                            a.name.text.as_str(),
                            "source" | "version" | "count" | "for_each" | "depends_on" | "providers"
                        )
                    })
                    .map(|a| (a.name.text.clone(), a.expr.eval(&inner).unwrap_or(Value::Unknown)))
                    .collect();
                results.push((
                    key.clone(),
                    Value::Object(module(&call.module, &path, &given, state, &mut below)),
                ));
            }
            names.put("module", &call.name, collected(&call.block, results));
        }
        names.locals(&module_.locals);
    }
    picture.wanted.append(&mut below.wanted);
    picture.problems.append(&mut below.problems);
    for block in &module_.resources {
        let Some(node) = Node::of(module_, block) else { continue };
        match keys(block, &names) {
            Ok(keys) => {
                for (key, extra) in keys {
                    let inner = names.with(extra);
                    let attributes = block
                        .body
                        .attributes()
                        .filter(|a| {
                            !matches!(a.name.text.as_str(), "count" | "for_each" | "depends_on" | "provider")
                        })
                        .map(|a| (a.name.text.clone(), a.expr.eval(&inner).unwrap_or(Value::Unknown)))
                        .collect();
                    let address = format!(
                        "{}{}",
                        join(path, &format!("{}.{}", node.kind, node.name)),
                        shown_index(key.as_ref())
                    );
                    picture.wanted.push(Wanted {
                        address,
                        node: node.clone(),
                        module: path.to_owned(),
                        index: key,
                        attributes,
                    });
                }
            }
            Err(problem) => picture.problems.push(format!("{}: {problem}", node.address())),
        }
    }
    let value = |expr: Option<&Expr>| expr.map_or(Value::Null, |e| e.eval(&names).unwrap_or(Value::Unknown));
    module_.outputs.iter().map(|(name, output)| (name.clone(), value(output.value.as_ref()))).collect()
}

/// An instance's key, and what `count` and `each` are in it.
type Instance = (Option<Value>, BTreeMap<String, Value>);

/// The instances of a block: their keys, and what `count`, `each` stand for in them.
fn keys(block: &Block, names: &Names) -> Result<Vec<Instance>, String> {
    let eval = |name: &str| block.body.attribute(name).map(|a| a.expr.eval(names).map_err(|e| e.message));
    if let Some(count) = eval("count") {
        let count = count?.as_i64().ok_or("count is not known before an apply")?;
        return Ok((0..count)
            .map(|i| {
                let extra = BTreeMap::from([("count".to_owned(), object([("index", Value::from(i))]))]);
                (Some(Value::from(i)), extra)
            })
            .collect());
    }
    if let Some(each) = eval("for_each") {
        let pairs: Vec<(String, Value)> = match each? {
            Value::Map(map) | Value::Object(map) => map.into_iter().collect(),
            Value::Set(items) | Value::List(items) | Value::Tuple(items) => items
                .into_iter()
                .filter_map(|item| item.as_str().map(str::to_owned).map(|key| (key, item.clone())))
                .collect(),
            _ => return Err("for_each is not known before an apply".into()),
        };
        return Ok(pairs
            .into_iter()
            .map(|(key, value)| {
                let each = object([("key", Value::string(key.clone())), ("value", value)]);
                (Some(Value::string(key)), BTreeMap::from([("each".to_owned(), each)]))
            })
            .collect());
    }
    Ok(vec![(None, BTreeMap::new())])
}

/// What a resource is in other expressions: its attributes, as far as they are made.
fn made(path: &str, node: &Node, block: &Block, state: &BTreeMap<String, Stored>) -> Value {
    let base = join(path, &format!("{}.{}", node.kind, node.name));
    let found: Vec<(Option<Value>, Value)> = state
        .iter()
        .filter(|(address, _)| **address == base || address.starts_with(&format!("{base}[")))
        .map(|(_, stored)| (stored.index.clone(), stored.value()))
        .collect();
    if found.is_empty() { Value::Unknown } else { collected(block, found) }
}

fn collected(block: &Block, items: Vec<(Option<Value>, Value)>) -> Value {
    if block.body.attribute("count").is_some() {
        return Value::Tuple(items.into_iter().map(|(_, v)| v).collect());
    }
    if block.body.attribute("for_each").is_some() {
        let named = items.into_iter().filter_map(|(k, v)| Some((k?.as_str()?.to_owned(), v)));
        return Value::Object(named.collect());
    }
    items.into_iter().next().map_or(Value::Unknown, |(_, v)| v)
}

/// `[0]`, `["a"]` or nothing.
fn shown_index(key: Option<&Value>) -> String {
    match key {
        None => String::new(),
        Some(value) => match value.as_str() {
            Some(text) => format!("[{text:?}]"),
            None => format!("[{}]", value.as_i64().unwrap_or_default()),
        },
    }
}

fn object<const N: usize>(items: [(&str, Value); N]) -> Value {
    Value::Object(items.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
}

/// The names an expression of a module may use.
#[derive(Clone)]
struct Names {
    roots: BTreeMap<String, Value>,
    functions: Functions,
}

impl Names {
    fn new(path: &str) -> Self {
        let roots = BTreeMap::from([
            ("path".to_owned(), object([("module", Value::string(path)), ("root", Value::string("."))])),
            ("terraform".to_owned(), object([("workspace", Value::string("default"))])),
        ]);
        Self { roots, functions: Functions::standard() }
    }

    fn put(&mut self, root: &str, name: &str, value: Value) {
        let entry = self.roots.entry(root.to_owned()).or_insert_with(|| Value::Object(BTreeMap::new()));
        if let Value::Object(map) = entry {
            map.insert(name.to_owned(), value);
        }
    }

    fn with(&self, extra: BTreeMap<String, Value>) -> Self {
        let mut inner = self.clone();
        inner.roots.extend(extra);
        inner
    }

    /// Evaluates locals until nothing more becomes known.
    fn locals(&mut self, locals: &BTreeMap<String, Expr>) {
        let mut values: BTreeMap<String, Value> =
            locals.keys().map(|k| (k.clone(), Value::Unknown)).collect();
        for _ in 0..=locals.len() {
            self.roots.insert("local".into(), Value::Object(values.clone()));
            let next: BTreeMap<String, Value> =
                locals.iter().map(|(k, e)| (k.clone(), e.eval(self).unwrap_or(Value::Unknown))).collect();
            if next == values {
                break;
            }
            values = next;
        }
        self.roots.insert("local".into(), Value::Object(values));
    }
}

impl Scope for Names {
    fn root(&self, name: &str) -> Root {
        // Data sources and whatever else isn't followed here are known after an apply.
        Root::Value(self.roots.get(name).cloned().unwrap_or(Value::Unknown))
    }

    fn root_names(&self) -> Vec<String> {
        self.roots.keys().cloned().collect()
    }

    fn functions(&self) -> &Functions {
        &self.functions
    }
}
