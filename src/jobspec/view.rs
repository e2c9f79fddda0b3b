//! A block's body as the table sees it: attributes and blocks by name, `dynamic` blocks expanded.

use crate::base::{Diagnostic, Diagnostics, Span, text};
use crate::hcl::{Attribute, Block, Body, Ident, Item};
use crate::jobspec::context::Context;
use crate::jobspec::dynamic;
use crate::jobspec::schema::{Field, Kind, Place, Struct};

/// A body, the names it knows, and the place to blame for what it lacks.
#[derive(Clone)]
pub struct View<'a> {
    pub body: &'a Body,
    pub context: Context<'a>,
    pub header: &'a Span,
}

/// A block after expansion.
pub struct Found<'a> {
    pub field: &'static Field,
    pub labels: Vec<Ident>,
    pub view: View<'a>,
}

/// What a body holds for one struct.
pub struct Content<'a> {
    pub attributes: Vec<(&'static Field, &'a Attribute)>,
    /// In the order of the file.
    pub blocks: Vec<Found<'a>>,
}

impl<'a> View<'a> {
    pub fn of(block: &'a Block, context: &Context<'a>) -> Self {
        Self { body: &block.body, context: context.clone(), header: &block.kind.span }
    }

    /// Sorts the body's items by the fields of `of`. What has no field is an error.
    pub fn content(&self, of: &'static Struct, errors: &mut Diagnostics) -> Content<'a> {
        let mut content = Content { attributes: Vec::new(), blocks: Vec::new() };
        for item in &self.body.items {
            match item {
                Item::Attribute(attribute) => match of.find(&attribute.name.text) {
                    Some(field) if field.place == Place::Block => errors.push(
                        Diagnostic::error(format!("`{}` is a block here, not an attribute", field.name))
                            .at(&attribute.name.span)
                            .help(format!("write {} {{ … }} without =", field.name)),
                    ),
                    Some(field) => content.attributes.push((field, attribute)),
                    None => errors.push(unknown(&attribute.name, of)),
                },
                Item::Block(block) if block.kind.text == "dynamic" => {
                    dynamic::expand(block, of, &self.context, &mut content.blocks, errors);
                }
                Item::Block(block) => {
                    let Some(field) = block_field(&block.kind, of, errors) else { continue };
                    if labels_fit(field, &block.kind, &block.labels, errors) {
                        let view = View::of(block, &self.context);
                        content.blocks.push(Found { field, labels: block.labels.clone(), view });
                    }
                }
            }
        }
        content
    }
}

/// The field that blocks of this kind fill.
pub fn block_field(kind: &Ident, of: &'static Struct, errors: &mut Diagnostics) -> Option<&'static Field> {
    match of.find(&kind.text) {
        Some(field) if matches!(field.place, Place::Block | Place::Either) => Some(field),
        Some(field) => {
            errors.push(
                Diagnostic::error(format!("`{}` is an attribute here, not a block", field.name))
                    .at(&kind.span)
                    .help(format!("write {} = …", field.name)),
            );
            None
        }
        None => {
            errors.push(unknown(kind, of));
            None
        }
    }
}

/// How many labels blocks of a field have.
pub fn label_count(field: &Field) -> usize {
    match field.kind {
        Kind::One(of) | Kind::Many(of) | Kind::ByLabel(of) => usize::from(of.label().is_some()),
        _ => 0,
    }
}

fn labels_fit(field: &Field, kind: &Ident, labels: &[Ident], errors: &mut Diagnostics) -> bool {
    let wanted = label_count(field);
    if labels.len() == wanted {
        return true;
    }
    errors.push(if let Some(extra) = labels.get(wanted) {
        let error = Diagnostic::error(format!("`{}` has {} here", field.name, text::count(wanted, "label")));
        error.at(&extra.span).help("remove this one")
    } else {
        Diagnostic::error(format!("`{}` needs a label", field.name))
            .at(&kind.span)
            .help(format!("write {} \"name\" {{ … }}", field.name))
    });
    false
}

fn unknown(name: &Ident, of: &'static Struct) -> Diagnostic {
    let names: Vec<&str> = of.all().map(|field| field.name).filter(|name| !name.is_empty()).collect();
    let error = Diagnostic::error(format!("`{}` means nothing here", name.text)).at(&name.span);
    match text::nearest(&name.text, names.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None if names.is_empty() => error.help("this block holds nothing"),
        None if names.len() <= 12 => error.help(format!("there are {}", text::list(&names))),
        None => error,
    }
}
