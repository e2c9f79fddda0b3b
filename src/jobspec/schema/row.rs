//! What a row of the table says.

/// One struct of the API and how a block fills it.
pub struct Struct {
    /// Its name in Nomad's API, by which hooks find it.
    pub name: &'static str,
    /// Its fields in the order of the API.
    pub fields: &'static [Field],
    /// Blocks that the language has and the struct hasn't; a hook puts them where they belong.
    pub extra: &'static [Field],
}

pub struct Field {
    /// Key in the JSON.
    pub json: &'static str,
    /// Name in a job file; empty where a file can't set it.
    pub name: &'static str,
    pub place: Place,
    pub kind: Kind,
}

/// How a field stands in a block.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An attribute.
    Optional,
    /// An attribute that must be there. Nomad marks more of them so, and asks only for those that
    /// can't be null.
    Required,
    /// The block's label.
    Label,
    /// A block.
    Block,
    /// A block, or an attribute that holds an object.
    Either,
    /// Nowhere: only Nomad itself sets it.
    Hidden,
}

/// What a field holds. A `Maybe` is null when it isn't set; the plain one is empty, false or zero.
#[derive(Clone, Copy)]
pub enum Kind {
    Text,
    MaybeText,
    Flag,
    MaybeFlag,
    Int(Width),
    MaybeInt(Width),
    /// Any number, of which the low eight bits of the whole part are kept; null when it isn't set.
    LowByte,
    /// A length of time: nanoseconds in the JSON.
    Span,
    MaybeSpan,
    Texts,
    /// Whole numbers of 16 bits.
    Ports,
    TextMap,
    /// Text to lists of text.
    TextsMap,
    /// Whatever a driver wants.
    FreeMap,
    /// At most one block.
    One(&'static Struct),
    /// Any number of blocks.
    Many(&'static Struct),
    /// Blocks by their label; of two with one label the later counts.
    ByLabel(&'static Struct),
}

/// The numbers that fit a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Width {
    I8,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl Struct {
    /// The field, or the extra block, of that name in a file.
    pub fn find(&self, name: &str) -> Option<&'static Field> {
        self.all().find(|field| field.name == name && field.place != Place::Label)
    }

    /// What a file can set, fields and extra blocks.
    pub fn all(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().chain(self.extra)
    }

    pub fn label(&self) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.place == Place::Label)
    }
}

impl Kind {
    /// The value of a field that isn't set.
    pub fn empty(&self) -> serde_json::Value {
        match self {
            Self::Text => "".into(),
            Self::Flag => false.into(),
            Self::Int(_) | Self::Span => 0.into(),
            _ => serde_json::Value::Null,
        }
    }

    /// The struct of its blocks.
    pub fn of(&self) -> Option<&'static Struct> {
        match self {
            Self::One(of) | Self::Many(of) | Self::ByLabel(of) => Some(of),
            _ => None,
        }
    }
}

pub const fn optional(json: &'static str, name: &'static str, kind: Kind) -> Field {
    Field { json, name, place: Place::Optional, kind }
}

pub const fn required(json: &'static str, name: &'static str, kind: Kind) -> Field {
    Field { json, name, place: Place::Required, kind }
}

pub const fn label(json: &'static str, kind: Kind) -> Field {
    Field { json, name: "", place: Place::Label, kind }
}

pub const fn block(json: &'static str, name: &'static str, kind: Kind) -> Field {
    Field { json, name, place: Place::Block, kind }
}

pub const fn either(json: &'static str, name: &'static str, kind: Kind) -> Field {
    Field { json, name, place: Place::Either, kind }
}

pub const fn hidden(json: &'static str, kind: Kind) -> Field {
    Field { json, name: "", place: Place::Hidden, kind }
}
