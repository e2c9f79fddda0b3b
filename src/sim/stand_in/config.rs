//! The blocks of a Terraform configuration: a root module and those it calls, as far as resources go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::base::{Diagnostics, Source};
use crate::hcl::{Block, Expr, Reference, parse};

/// One module's blocks.
#[derive(Debug, Default)]
pub struct Module {
    /// `module.core` or, for the root, nothing.
    pub path: String,
    pub variables: BTreeMap<String, Variable>,
    pub locals: BTreeMap<String, Expr>,
    pub resources: Vec<Block>,
    pub calls: Vec<Call>,
    pub outputs: BTreeMap<String, OutputBlock>,
}

#[derive(Debug)]
pub struct Variable {
    pub default: Option<Expr>,
}

#[derive(Debug)]
pub struct OutputBlock {
    pub value: Option<Expr>,
    pub sensitive: bool,
}

/// A `module` block with the module it calls.
#[derive(Debug)]
pub struct Call {
    pub name: String,
    pub block: Block,
    pub module: Module,
}

/// Why a configuration couldn't be read.
#[derive(Debug)]
pub enum ConfigError {
    NoFiles(String),
    Invalid(Diagnostics),
    Unreadable(String),
}

/// A resource without its index: the path of its module, its kind and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    pub module: String,
    pub kind: String,
    pub name: String,
}

impl Node {
    pub fn of(module: &Module, block: &Block) -> Option<Self> {
        let [kind, name] = block.labels.as_slice() else { return None };
        Some(Self { module: module.path.clone(), kind: kind.text.clone(), name: name.text.clone() })
    }

    pub fn address(&self) -> String {
        join(&self.module, &format!("{}.{}", self.kind, self.name))
    }
}

/// A path below a module's.
pub fn join(module: &str, rest: &str) -> String {
    if module.is_empty() { rest.to_owned() } else { format!("{module}.{rest}") }
}

impl Module {
    /// Reads the module in a folder, and those it calls by a path.
    pub fn read(dir: &Path, path: &str) -> Result<Self, ConfigError> {
        let mut module = Self { path: path.to_owned(), ..Self::default() };
        let entries =
            std::fs::read_dir(dir).map_err(|e| ConfigError::Unreadable(format!("{}: {e}", dir.display())))?;
        let mut files: Vec<_> = entries
            .filter_map(Result::ok)
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "tf"))
            .collect();
        files.sort();
        if files.is_empty() {
            return Err(ConfigError::NoFiles(dir.display().to_string()));
        }
        for file in files {
            let text = std::fs::read_to_string(&file)
                .map_err(|e| ConfigError::Unreadable(format!("{}: {e}", file.display())))?;
            let source = Source::new(file.display().to_string(), text);
            let body = parse(&source).map_err(ConfigError::Invalid)?;
            for block in body.all_blocks() {
                module.take(block, dir)?;
            }
        }
        Ok(module)
    }

    fn take(&mut self, block: &Block, dir: &Path) -> Result<(), ConfigError> {
        let label = block.labels.first().map(|l| l.text.clone()).unwrap_or_default();
        let flag = |name: &str| {
            block
                .body
                .attribute(name)
                .and_then(|a| a.expr.eval(&crate::hcl::constants()).ok())
                .and_then(|v| v.as_bool())
                .unwrap_or_default()
        };
        let expr = |name: &str| block.body.attribute(name).map(|a| a.expr.clone());
        match block.kind.text.as_str() {
            "variable" => {
                self.variables.insert(label, Variable { default: expr("default") });
            }
            "locals" => {
                self.locals.extend(block.body.attributes().map(|a| (a.name.text.clone(), a.expr.clone())));
            }
            "output" => {
                self.outputs
                    .insert(label, OutputBlock { value: expr("value"), sensitive: flag("sensitive") });
            }
            "resource" => self.resources.push(block.clone()),
            "module" => {
                let source = expr("source").and_then(|e| e.as_plain_string()).unwrap_or_default();
                let path = join(&self.path, &format!("module.{label}"));
                let module = Self::read(&dir.join(source), &path)?;
                self.calls.push(Call { name: label, block: block.clone(), module });
            }
            _ => {}
        }
        Ok(())
    }

    /// This module and all below it.
    pub fn all(&self) -> Vec<&Self> {
        let mut out = vec![self];
        for call in &self.calls {
            out.extend(call.module.all());
        }
        out
    }

    /// What each resource needs, directly or through locals, variables and outputs.
    pub fn dependencies(&self) -> BTreeMap<Node, BTreeSet<Node>> {
        let mut out = BTreeMap::new();
        self.gather(&[], &mut out);
        out
    }

    fn gather<'a>(&'a self, above: &[(&'a Self, &'a Call)], out: &mut BTreeMap<Node, BTreeSet<Node>>) {
        for block in &self.resources {
            let Some(node) = Node::of(self, block) else { continue };
            let mut found = BTreeSet::new();
            let mut seen = BTreeSet::new();
            for expr in expressions(block) {
                for reference in expr.references() {
                    self.follow(&reference, above, &mut found, &mut seen);
                }
            }
            found.remove(&node);
            out.insert(node, found);
        }
        for call in &self.calls {
            let mut chain = above.to_vec();
            chain.push((self, call));
            call.module.gather(&chain, out);
        }
    }

    fn follow(
        &self,
        reference: &Reference,
        above: &[(&Self, &Call)],
        found: &mut BTreeSet<Node>,
        seen: &mut BTreeSet<String>,
    ) {
        let root = reference.root.text.as_str();
        let first = reference.path.first().map(|i| i.text.as_str()).unwrap_or_default();
        let second = reference.path.get(1).map(|i| i.text.as_str());
        if !seen.insert(format!("{}/{root}.{first}.{}", self.path, second.unwrap_or_default())) {
            return;
        }
        let mut each = |module: &Self, expr: &Expr, above: &[(&Self, &Call)]| {
            for inner in expr.references() {
                module.follow(&inner, above, found, seen);
            }
        };
        match root {
            "local" => {
                if let Some(expr) = self.locals.get(first) {
                    each(self, expr, above);
                }
            }
            "var" => {
                if let Some(((parent, call), rest)) = above.split_last()
                    && let Some(argument) = call.block.body.attribute(first)
                {
                    each(parent, &argument.expr, rest);
                }
            }
            "module" => {
                let Some(call) = self.calls.iter().find(|c| c.name == first) else { return };
                let mut chain = above.to_vec();
                chain.push((self, call));
                match second.and_then(|name| call.module.outputs.get(name)) {
                    Some(output) => {
                        if let Some(value) = &output.value {
                            each(&call.module, value, &chain);
                        }
                    }
                    None => found.extend(
                        call.module
                            .all()
                            .iter()
                            .flat_map(|m| m.resources.iter().filter_map(|b| Node::of(m, b))),
                    ),
                }
            }
            kind => {
                let known = self
                    .resources
                    .iter()
                    .filter_map(|b| Node::of(self, b))
                    .find(|n| n.kind == kind && n.name == first);
                found.extend(known);
            }
        }
    }
}

fn expressions(block: &Block) -> Vec<&Expr> {
    let mut out: Vec<&Expr> = block.body.attributes().map(|a| &a.expr).collect();
    for inner in block.body.all_blocks() {
        out.extend(expressions(inner));
    }
    out
}
