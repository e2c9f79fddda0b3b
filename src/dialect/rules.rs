//! Tables of what may stand where.

/// What an attribute's value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    Bool,
    /// A whole number, not negative.
    Number,
    /// Seconds, or a string such as "3d".
    Duration,
    Strings,
    Object,
    /// Anything.
    Any,
    /// `[step.a, step.b]`: names and not values.
    Names,
}

/// When an attribute has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// At once, on loading.
    Load,
    /// When first needed.
    Late,
}

#[derive(Clone, Copy, Debug)]
pub struct AttributeRule {
    pub name: &'static str,
    pub r#type: Type,
    pub phase: Phase,
    pub required: bool,
}

/// A block, and what may stand in it.
#[derive(Clone, Copy, Debug)]
pub struct BlockRule {
    pub kind: &'static str,
    /// What its labels are, for messages.
    pub labels: &'static [&'static str],
    pub attributes: &'static [AttributeRule],
    pub blocks: &'static [BlockRule],
}

pub const fn load(name: &'static str, r#type: Type) -> AttributeRule {
    AttributeRule { name, r#type, phase: Phase::Load, required: false }
}

pub const fn late(name: &'static str, r#type: Type) -> AttributeRule {
    AttributeRule { name, r#type, phase: Phase::Late, required: false }
}

pub const fn required(rule: AttributeRule) -> AttributeRule {
    AttributeRule { required: true, ..rule }
}

pub const fn block(
    kind: &'static str,
    labels: &'static [&'static str],
    attributes: &'static [AttributeRule],
    blocks: &'static [BlockRule],
) -> BlockRule {
    BlockRule { kind, labels, attributes, blocks }
}
