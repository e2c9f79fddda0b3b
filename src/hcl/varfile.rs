//! Var files: names and constants. They may hold secrets, so that their errors quote names and places, never
//! values.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Diagnostic, Diagnostics, Source, Span};
use crate::hcl::{Body, Functions, Item, Root, Scope, Value, parse};

/// A scope without names or functions: constants only.
pub fn constants() -> impl Scope {
    Constants(Functions::none())
}

struct Constants(Functions);

impl Scope for Constants {
    fn root(&self, _: &str) -> Root {
        Root::Missing
    }

    fn root_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn functions(&self) -> &Functions {
        &self.0
    }
}

/// The values of a var file with the place of each. A file whose first character other than a space
/// is `{` is read as JSON. Every error in the file is told.
pub fn var_file(source: &Arc<Source>) -> Result<BTreeMap<String, (Value, Span)>, Diagnostics> {
    read(source).map_err(|found| without_values(source, found))
}

/// The tree of a var file. Its errors may quote values.
pub fn var_file_body(source: &Arc<Source>) -> Result<Body, Diagnostics> {
    if source.text.trim_start_matches(' ').starts_with('{') {
        crate::hcl::json_syntax::parse(source)
    } else {
        parse(source)
    }
}

fn read(source: &Arc<Source>) -> Result<BTreeMap<String, (Value, Span)>, Diagnostics> {
    let body = var_file_body(source)?;
    let constants = constants();
    let mut values = BTreeMap::new();
    let mut errors = Diagnostics::default();
    for item in &body.items {
        match item {
            // Comments, which HCL's JSON has under this name.
            Item::Attribute(attribute) if attribute.name.text == "//" => {}
            Item::Attribute(attribute) => match attribute.expr.eval(&constants) {
                // Of HCL's syntax the parser has said it.
                Ok(_) if values.contains_key(&attribute.name.text) => errors.push(
                    Diagnostic::error(format!("`{}` is set twice", attribute.name.text))
                        .at(&attribute.name.span),
                ),
                Ok(value) => {
                    values.insert(attribute.name.text.clone(), (value, attribute.span.clone()));
                }
                Err(error) => errors.push(error),
            },
            Item::Block(block) => errors.push(
                Diagnostic::error(format!(
                    "a var file holds `name = value` lines, not a `{}` block",
                    block.kind.text
                ))
                .at(&block.kind.span),
            ),
        }
    }
    errors.into_result(values)
}

/// Errors whose source shows stars in the place of every value, and whose words quote none of one.
fn without_values(source: &Arc<Source>, found: Diagnostics) -> Diagnostics {
    let (mut starred, mut hidden) = (String::with_capacity(source.text.len()), String::new());
    for line in source.text.split_inclusive('\n') {
        let is_name = |text: &str| {
            let name = text.trim().trim_matches('"');
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
        };
        let shown = line.find('=').filter(|at| is_name(&line[..*at])).map_or(0, |at| at + 1);
        starred.push_str(&line[..shown]);
        hidden.push_str(&line[shown..]);
        // As many bytes as there were: places stay where they are.
        for c in line[shown..].chars() {
            if c.is_whitespace() {
                starred.push(c);
            } else {
                starred.extend(std::iter::repeat_n('*', c.len_utf8()));
            }
        }
    }
    let starred = Source::new(source.name.clone(), starred);
    let clean = |text: &str| {
        let quoted = |c| matches!(c, '`' | '\'' | '"');
        let mut clean = String::with_capacity(text.len());
        for (i, piece) in text.split_inclusive(quoted).enumerate() {
            let inner = piece.trim_end_matches(quoted);
            let is_value = i % 2 == 1 && inner.chars().count() > 2 && hidden.contains(inner);
            clean.push_str(if is_value { "…" } else { inner });
            clean.push_str(&piece[inner.len()..]);
        }
        clean
    };
    let cleaned = found.0.into_iter().map(|mut diagnostic| {
        diagnostic.message = clean(&diagnostic.message);
        diagnostic.help = diagnostic.help.as_deref().map(clean);
        if let Some(span) = diagnostic.span.as_mut().filter(|span| Arc::ptr_eq(&span.source, source)) {
            span.source = Arc::clone(&starred);
        }
        diagnostic
    });
    Diagnostics(cleaned.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_quote_names_and_places_but_no_value() {
        for text in [
            "a = \"canary1\"\nb = \"canary2\n",
            "b = canary2\n",
            "b \"canary2\"\n",
            "b = <<EOT\ncanary2 é\n",
            "b = \"canary1\" \"canary2\"\n",
            "canary2 {\n}\n",
            "{\"b\": canary2}\n",
            "b = upper(\"canary2\")\n",
            "b = { canary2 = canary3 }\n",
        ] {
            let source = Source::new("secrets.tfvars", text);
            let found = var_file(&source).unwrap_err();
            for diagnostic in &found.0 {
                let span = diagnostic.span.as_ref().unwrap();
                let shown = format!("{diagnostic} {:?} {}", diagnostic.help, span.source.text);
                assert!(!shown.contains("canary"), "{text:?}: {shown}");
                assert_eq!(span.source.text.len(), text.len());
                assert_eq!(span.to_string(), Span::new(&source, span.range.clone()).to_string());
            }
        }
    }
}
