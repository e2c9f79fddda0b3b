//! Where each value of a job was written.
//!
//! Guarantees: blocks made by `dynamic`, inherited from the job or moved by a rule of Nomad's have the
//! place of the block in the file. Does not: follow a value through variables and locals; the place is
//! that of the attribute in the job.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Diagnostics, Source, Span};
use crate::hcl::{Body, Expr, ExprKind, ObjectKey};
use crate::jobspec::context::Context;
use crate::jobspec::envsubst;
use crate::jobspec::job::{self, Inputs};
use crate::jobspec::schema::{Struct, words};
use crate::jobspec::trail::{Holds, Site, Trail, push};

/// The places of a job's values, by JSON pointers into its JSON (`/TaskGroups/0/Count`).
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<String, Span>);

impl Places {
    /// The place of a value: its expression, or a block's kind or label; of what wasn't written, that of
    /// the nearest thing around it that was. None only where a pointer doesn't begin with `/`.
    pub fn of(&self, pointer: &str) -> Option<&Span> {
        let mut pointer = pointer;
        loop {
            if let Some(span) = self.0.get(pointer) {
                return Some(span);
            }
            pointer = &pointer[..pointer.rfind('/')?];
        }
    }
}

/// Reads a job file for the places of its values. [`parse`](crate::jobspec::parse) is faster: it keeps
/// none.
pub fn places(source: &Arc<Source>, inputs: &Inputs) -> Result<Places, Diagnostics> {
    let source = &envsubst::substituted(source, inputs)?;
    let body = job::body(source)?;
    let names = job::names(&body, inputs, &mut |_, _| ())?;
    let trail = Trail::default();
    let block = job::job_block(&body)?;
    let (mut json, _) = job::assemble(block, &Context::tracked(&names, &trail))?;
    let mut found = Places::default();
    for label in &block.labels {
        found.put("", "ID", &label.span);
        found.put("", "Name", &label.span);
    }
    for (pointer, site) in trail.collect(&mut json) {
        found.site(&pointer, &site);
    }
    Ok(found)
}

impl Places {
    fn put(&mut self, pointer: &str, name: &str, span: &Span) -> String {
        let mut inner = pointer.to_owned();
        push(&mut inner, name);
        self.0.insert(inner.clone(), span.clone());
        inner
    }

    fn site(&mut self, pointer: &str, site: &Site<'_>) {
        self.0.insert(pointer.to_owned(), site.view.header.clone());
        match site.holds {
            Holds::Struct(of) => {
                if let (Some(field), Some(label)) = (of.label(), site.labels.first()) {
                    self.put(pointer, field.json, &label.span);
                }
                // Of shorthands for one field the last counts, and `value` before all of them.
                let mut written: Vec<(&str, &Expr)> =
                    site.view.body.attributes().map(|a| (a.name.text.as_str(), &a.expr)).collect();
                written.sort_by_key(|(name, _)| precedence(of, name));
                for (name, expr) in written {
                    if let Some(key) = key_of(of, name) {
                        self.value(pointer, key, expr);
                    }
                }
            }
            Holds::Texts => {
                for attribute in site.view.body.attributes() {
                    self.value(pointer, &attribute.name.text, &attribute.expr);
                }
            }
            Holds::Free => self.free(pointer, site.view.body),
        }
    }

    fn value(&mut self, pointer: &str, name: &str, expr: &Expr) {
        let inner = self.put(pointer, name, &expr.span);
        match &without_parens(expr).kind {
            ExprKind::Tuple(items) => {
                for (i, item) in items.iter().enumerate() {
                    self.value(&inner, &i.to_string(), item);
                }
            }
            ExprKind::Object(items) => {
                for item in items {
                    let key = match &item.key {
                        ObjectKey::Name(name) => Some(name.text.clone()),
                        ObjectKey::Expr(key) => key.as_plain_string(),
                    };
                    if let Some(key) = key {
                        self.value(&inner, &key, &item.value);
                    }
                }
            }
            _ => {}
        }
    }

    /// A free-form body, whose blocks are lists of objects, and so are objects in its attributes.
    fn free(&mut self, pointer: &str, body: &Body) {
        for attribute in body.attributes() {
            let name = &attribute.name.text;
            let inner = self.put(pointer, name, &attribute.expr.span);
            if matches!(attribute.expr.kind, ExprKind::Object(_)) {
                self.value(&inner, "0", &attribute.expr);
            } else {
                self.value(pointer, name, &attribute.expr);
            }
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for block in body.all_blocks() {
            let kind = block.kind.text.as_str();
            let count = counts.entry(kind).or_default();
            if *count == 0 {
                self.put(pointer, kind, &block.kind.span);
            }
            let mut inner = pointer.to_owned();
            push(&mut inner, kind);
            inner = self.put(&inner, &count.to_string(), &block.kind.span);
            *count += 1;
            for label in &block.labels {
                inner = self.put(&inner, &label.text, &label.span);
                inner = self.put(&inner, "0", &label.span);
            }
            self.free(&inner, &block.body);
        }
    }
}

fn without_parens(mut expr: &Expr) -> &Expr {
    while let ExprKind::Parens(inner) = &expr.kind {
        expr = inner;
    }
    expr
}

/// The key in a struct's JSON that an attribute of its block fills.
pub fn key_of(of: &'static Struct, name: &str) -> Option<&'static str> {
    if !matches!(of.name, "Constraint" | "Affinity") {
        return of.find(name).map(|field| field.json);
    }
    words(of).find(name)?;
    Some(match name {
        "attribute" | "distinct_property" => "LTarget",
        "operator" => "Operand",
        "weight" => "Weight",
        _ => "RTarget",
    })
}

/// The order in which the words of a block set one field: the last of them counts.
pub fn precedence(of: &'static Struct, name: &str) -> usize {
    const LATER: [&str; 9] = [
        "version",
        "semver",
        "regexp",
        "set_contains_any",
        "set_contains_all",
        "set_contains",
        "distinct_hosts",
        "distinct_property",
        "",
    ];
    if !matches!(of.name, "Constraint" | "Affinity") {
        return 0;
    }
    LATER.iter().position(|later| *later == name).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"variable "ports" {
  default = ["http", "admin"]
}
job "web" {
  vault { role = "r" }
  task "lone" { driver = "raw_exec" }
  group "g" {
    constraint {
      value   = "x"
      version = "> 1"
    }
    network {
      dynamic "port" {
        for_each = var.ports
        labels   = [port.value]
        content {
          static = 80 + port.key
        }
      }
    }
    task "t" {
      driver = "docker"
      config {
        image  = "a"
        args   = ["-b", "c"]
        labels = { x = "y" }
        mount "l" { type = "bind" }
      }
      env = { A = "1" }
      identity { file = true }
      meta { k = 1 }
    }
  }
}
"#;

    fn place(found: &Places, pointer: &str) -> String {
        let span = found.of(pointer).unwrap();
        format!("{} {}", span.source.position(span.range.start).0, span.text())
    }

    #[test]
    fn values_have_the_place_they_were_written_at() {
        let text = JOB;
        let found = places(&Source::new("f", text), &Inputs::default()).unwrap();
        let task = "/TaskGroups/1/Tasks/0";
        for (pointer, wanted) in [
            ("", "4 job"),
            ("/ID", "4 \"web\""),
            ("/Priority", "4 job"),
            ("/TaskGroups/0/Tasks/0/Driver", "6 \"raw_exec\""),
            ("/TaskGroups/0/Tasks/0/Vault/Role", "5 \"r\""),
            ("/TaskGroups/1/Name", "7 \"g\""),
            ("/TaskGroups/1/Constraints/0/RTarget", "10 \"> 1\""),
            ("/TaskGroups/1/Networks/0/ReservedPorts/1/Value", "17 80 + port.key"),
            ("/TaskGroups/1/Networks/0/ReservedPorts/1/Label", "15 port.value"),
            (&format!("{task}/Config/image"), "24 \"a\""),
            (&format!("{task}/Config/args/1"), "25 \"c\""),
            (&format!("{task}/Config/labels/0/x"), "26 \"y\""),
            (&format!("{task}/Config/mount/0/l/0/type"), "27 \"bind\""),
            (&format!("{task}/Env/A"), "29 \"1\""),
            (&format!("{task}/Identity/File"), "30 true"),
            (&format!("{task}/Meta/k"), "31 1"),
            (&format!("{task}/Resources/CPU"), "21 task"),
        ] {
            assert_eq!(place(&found, pointer), wanted, "{pointer}");
        }
    }

    #[test]
    fn json_files_have_places_too() {
        let text = r#"{"job": {"web": {"group": {"g": {"count": 2, "task": {"t": {"driver": "docker", "config": {"image": "a"}}}}}}}}"#;
        let found = places(&Source::new("f.json", text), &Inputs::default()).unwrap();
        assert_eq!(found.of("/TaskGroups/0/Count").unwrap().text(), "2");
        assert_eq!(found.of("/TaskGroups/0/Tasks/0/Config/image").unwrap().text(), "\"a\"");
        assert_eq!(found.of("/TaskGroups/0/Tasks/0/Name").unwrap().text(), "\"t\"");
    }
}
