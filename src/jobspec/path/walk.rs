//! Following a path through a job by the table.

use serde_json::Value as Json;

use super::syntax::{Part, Path};
use crate::base::text;
use crate::jobspec::schema::{Field, JOB, Kind, Place, Struct};

/// Why a path leads to nothing, or a value can't stand there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    #[error("{path:?} is not a path: {why}, at character {column}")]
    Syntax { path: String, column: usize, why: &'static str },
    #[error("`{name}` means nothing in {within}{}", help(.near.as_ref(), .known))]
    Unknown { name: String, within: String, near: Option<String>, known: Vec<String> },
    #[error("there is no {kind} '{name}' in {within}{}", help(.near.as_ref(), .known))]
    Absent { kind: String, name: String, within: String, near: Option<String>, known: Vec<String> },
    #[error("{within} has several {kind} blocks named '{name}' (give a number, such as {kind}[0])")]
    Several { kind: String, name: String, within: String },
    #[error("nothing stands below `{path}`, which holds one value")]
    Deeper { path: String },
    #[error("`{path}` is a block, not a value{}", help(None, .known))]
    Block { path: String, known: Vec<String> },
    #[error("`{path}` may be {}: say which", text::list(.candidates))]
    Ambiguous { path: String, candidates: Vec<String> },
    #[error("`{path}` stands deeper: is `{meant}` meant? (then write that)")]
    Deep { path: String, meant: String },
    #[error("`{name}` stands in a {block} block, and {within} has none")]
    NoBlock { name: String, block: String, within: String },
    #[error("for `{path}`, {why}")]
    Value { path: String, why: String },
}

fn help(near: Option<&String>, known: &[String]) -> String {
    match (near, known) {
        (Some(near), _) => format!(" (did you mean '{near}'?)"),
        (None, []) => String::new(),
        (None, [one]) => format!(" (there is {one})"),
        (None, known) => format!(" (there are {})", text::list(known)),
    }
}

/// A step into the JSON, and what to make of nothing where it is taken.
pub(super) enum Token {
    /// A field of a struct.
    Field(&'static Field, &'static Struct),
    /// A name in a map.
    Key(String),
    Index(usize),
}

/// What stands at the end.
pub(super) enum Leaf {
    /// A field or an element of this kind.
    Value(Kind),
    /// Something in a free-form block.
    Free,
    Block(Vec<String>),
}

pub(super) struct Walked<'j> {
    pub tokens: Vec<Token>,
    /// The path without short forms.
    pub path: Path,
    pub leaf: Leaf,
    /// None where there is nothing yet.
    pub value: Option<&'j Json>,
}

/// Where the walk stands: what the next part means.
#[derive(Clone, Copy)]
enum Here {
    Struct(&'static Struct),
    /// Blocks of one kind, which lie in one list, or, a network's ports, in two.
    Blocks(&'static Field, &'static Struct, &'static Struct),
    ByLabel(&'static Field, &'static Struct),
    Map(Kind),
    List(Kind),
    Free,
    Value(Kind),
}

/// The other list in which a network's ports are.
pub(super) fn other_list(field: &Field, of: &'static Struct) -> Option<&'static Field> {
    let ports = of.name == "NetworkResource" && field.json == "DynamicPorts";
    if ports { of.fields.iter().find(|other| other.json == "ReservedPorts") } else { None }
}

/// The field that a block's name or label is in.
pub(super) fn naming(of: &Struct) -> Option<&'static str> {
    let field = of.label().or_else(|| of.find("name"))?;
    Some(field.json)
}

/// The name that a block was given; none where it has none, or one that the server made up for a check: its
/// file has none then, and a path is to lead to it in both.
pub(super) fn given_name<'j>(of: &Struct, block: &'j Json) -> &'j str {
    let name = naming(of).and_then(|key| block.get(key)?.as_str()).unwrap_or_default();
    let made_up = of.name == "ServiceCheck" && name.starts_with("service: \"") && name.ends_with("\" check");
    if made_up { "" } else { name }
}

/// Whether a path can name the field.
pub(super) fn is_named(field: &Field) -> bool {
    !field.name.is_empty() && !matches!(field.place, Place::Label | Place::Hidden)
}

pub(super) fn walk<'j>(path: &Path, job: &'j Json) -> Result<Walked<'j>, PathError> {
    let mut walk = Walk { tokens: Vec::new(), parts: Vec::new(), here: Here::Struct(&JOB), value: Some(job) };
    for part in &path.parts {
        walk.take(part)?;
    }
    let leaf = match walk.here {
        Here::Struct(of) => Leaf::Block(names(of)),
        Here::Blocks(..) | Here::ByLabel(..) => Leaf::Block(Vec::new()),
        Here::Map(element) => {
            Leaf::Value(if matches!(element, Kind::Texts) { Kind::TextsMap } else { Kind::TextMap })
        }
        Here::List(Kind::Int(_)) => Leaf::Value(Kind::Ports),
        Here::List(_) => Leaf::Value(Kind::Texts),
        Here::Free => Leaf::Free,
        Here::Value(kind) => Leaf::Value(kind),
    };
    Ok(Walked { tokens: walk.tokens, path: Path { parts: walk.parts }, leaf, value: walk.value })
}

struct Walk<'j> {
    tokens: Vec<Token>,
    parts: Vec<Part>,
    here: Here,
    value: Option<&'j Json>,
}

impl<'j> Walk<'j> {
    fn take(&mut self, part: &Part) -> Result<(), PathError> {
        match (self.here, part) {
            (Here::Struct(of), Part::Name(name)) => self.field(of, name),
            (Here::Struct(of), Part::Index(index)) => Err(self.unknown(&index.to_string(), names(of))),
            (Here::Blocks(field, of, holder), part) => self.block(field, of, holder, part),
            (Here::ByLabel(field, of), part) => {
                let name = shown(part);
                let Some(value) = self.value.and_then(|blocks| blocks.get(&name)) else {
                    let labels = self.value.and_then(Json::as_object).into_iter().flatten();
                    let labels = labels.map(|(label, _)| label.as_str());
                    return Err(self.absent(field.name, &name, labels));
                };
                self.step(Token::Key(name.clone()), Part::Name(name), Here::Struct(of), Some(value));
                Ok(())
            }
            (Here::Map(element), Part::Name(name)) => {
                let value = self.value.and_then(|map| map.get(name));
                let here = if matches!(element, Kind::Texts) {
                    Here::List(Kind::Text)
                } else {
                    Here::Value(element)
                };
                self.step(Token::Key(name.clone()), part.clone(), here, value);
                Ok(())
            }
            (Here::Map(_), Part::Index(index)) => Err(self.unknown(&index.to_string(), Vec::new())),
            (Here::List(element), part) => {
                let Some((index, value)) = self.element(part) else { return Err(self.no_element(part)) };
                self.step(Token::Index(index), Part::Index(index), Here::Value(element), Some(value));
                Ok(())
            }
            (Here::Free, part) => self.free(part),
            (Here::Value(_), _) => Err(PathError::Deeper { path: self.path() }),
        }
    }

    fn field(&mut self, of: &'static Struct, name: &str) -> Result<(), PathError> {
        let Some(field) = of.fields.iter().find(|field| is_named(field) && field.name == name) else {
            return Err(self.unknown(name, names(of)));
        };
        let value = self.value.and_then(|value| value.get(field.json));
        let here = match field.kind {
            Kind::Many(inner) => {
                // The token is known once the list is.
                self.parts.push(Part::Name(name.to_owned()));
                self.here = Here::Blocks(field, inner, of);
                return Ok(());
            }
            Kind::One(inner) => Here::Struct(inner),
            Kind::ByLabel(inner) => Here::ByLabel(field, inner),
            Kind::TextMap => Here::Map(Kind::Text),
            Kind::TextsMap => Here::Map(Kind::Texts),
            Kind::FreeMap => Here::Free,
            Kind::Texts => Here::List(Kind::Text),
            Kind::Ports => Here::List(Kind::Int(crate::jobspec::schema::Width::U16)),
            kind => Here::Value(kind),
        };
        self.step(Token::Field(field, of), Part::Name(name.to_owned()), here, value);
        Ok(())
    }

    /// One of the blocks of a kind: by its name, else by its number; the only one may stay unnamed.
    fn block(
        &mut self,
        field: &'static Field,
        of: &'static Struct,
        holder: &'static Struct,
        part: &Part,
    ) -> Result<(), PathError> {
        let holding = self.value;
        let lists = std::iter::once(field).chain(other_list(field, holder));
        let blocks: Vec<(&'static Field, usize, &'j Json)> = lists
            .flat_map(|list| {
                let items = holding.and_then(|value| value.get(list.json)).and_then(Json::as_array);
                items.into_iter().flatten().enumerate().map(move |(i, item)| (list, i, item))
            })
            .collect();
        let name_of =
            |block: &Json| naming(of).and_then(|key| block.get(key)?.as_str()).unwrap_or_default().to_owned();
        let named: Vec<usize> = match part {
            Part::Name(name) => (0..blocks.len()).filter(|i| name_of(blocks[*i].2) == *name).collect(),
            Part::Index(_) => Vec::new(),
        };
        let numbered = match part {
            Part::Name(name) => name.parse().ok(),
            Part::Index(index) => Some(*index),
        };
        let at = match (named.as_slice(), numbered) {
            ([at], _) => Some(*at),
            ([_, _, ..], _) => {
                self.parts.pop();
                let within = self.within();
                return Err(PathError::Several { kind: field.name.to_owned(), name: shown(part), within });
            }
            ([], Some(index)) if index < blocks.len() => Some(index),
            _ => None,
        };
        let skipped = at.is_none()
            && blocks.len() == 1
            && matches!(part, Part::Name(name) if of.fields.iter().any(|f| is_named(f) && f.name == name));
        let Some(at) = at.or(skipped.then_some(0)) else {
            let names: Vec<String> = blocks.iter().map(|(_, _, block)| name_of(block)).collect();
            let names = names.iter().map(String::as_str).filter(|name| !name.is_empty());
            return Err(self.absent(field.name, &shown(part), names));
        };
        let (list, index, block) = blocks[at];
        let name = given_name(of, block);
        let unique = blocks.iter().filter(|(_, _, block)| given_name(of, block) == name).count() == 1;
        let part_here =
            if unique && !name.is_empty() { Part::Name(name.to_owned()) } else { Part::Index(at) };
        self.tokens.push(Token::Field(list, holder));
        self.step(Token::Index(index), part_here, Here::Struct(of), Some(block));
        if skipped { self.take(part) } else { Ok(()) }
    }

    /// Blocks in a free-form block are lists of objects: the only one of a kind may stay unnumbered.
    fn free(&mut self, part: &Part) -> Result<(), PathError> {
        match (self.value, part) {
            (Some(Json::Object(map)), Part::Name(name)) => {
                self.step(Token::Key(name.clone()), part.clone(), Here::Free, map.get(name));
                Ok(())
            }
            (Some(Json::Array(items)), part) => {
                if let Some((index, value)) = self.element(part) {
                    self.step(Token::Index(index), Part::Index(index), Here::Free, Some(value));
                    return Ok(());
                }
                match (items.as_slice(), part) {
                    ([only @ Json::Object(_)], Part::Name(_)) => {
                        self.step(Token::Index(0), Part::Index(0), Here::Free, Some(only));
                        self.take(part)
                    }
                    _ => Err(self.no_element(part)),
                }
            }
            (None | Some(Json::Null), Part::Name(name))
                if matches!(self.tokens.last(), Some(Token::Field(..))) =>
            {
                self.step(Token::Key(name.clone()), part.clone(), Here::Free, None);
                Ok(())
            }
            (None | Some(Json::Null), _) => {
                let name = self.parts.pop().map(|part| shown(&part)).unwrap_or_default();
                Err(PathError::Absent {
                    kind: "block".to_owned(),
                    name,
                    within: self.within(),
                    near: None,
                    known: Vec::new(),
                })
            }
            (Some(Json::Object(_)), Part::Index(_)) => Err(self.no_element(part)),
            _ => Err(PathError::Deeper { path: self.path() }),
        }
    }

    /// An element of the list here, by its number.
    fn element(&self, part: &Part) -> Option<(usize, &'j Json)> {
        let index = match part {
            Part::Index(index) => *index,
            Part::Name(name) => name.parse().ok()?,
        };
        Some((index, self.value?.get(index)?))
    }

    fn step(&mut self, token: Token, part: Part, here: Here, value: Option<&'j Json>) {
        self.tokens.push(token);
        self.parts.push(part);
        self.here = here;
        self.value = value;
    }

    fn path(&self) -> String {
        Path { parts: self.parts.clone() }.to_string()
    }

    /// What a part was looked for in.
    fn within(&self) -> String {
        if self.parts.is_empty() { "the job".to_owned() } else { self.path() }
    }

    fn unknown(&self, name: &str, known: Vec<String>) -> PathError {
        let near = text::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        PathError::Unknown { name: name.to_owned(), within: self.within(), near, known }
    }

    /// There is no block of that kind and name; the kind is the last part so far.
    fn absent<'a>(&mut self, kind: &str, name: &str, known: impl Iterator<Item = &'a str>) -> PathError {
        self.parts.pop();
        let known: Vec<String> = known.map(str::to_owned).collect();
        let near = text::nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
        PathError::Absent { kind: kind.to_owned(), name: name.to_owned(), within: self.within(), near, known }
    }

    fn no_element(&self, part: &Part) -> PathError {
        let why = match self.value {
            Some(Json::Array(items)) => {
                format!("it has {}, numbered from 0", text::count(items.len(), "element"))
            }
            _ => "it is not a list".to_owned(),
        };
        PathError::Value { path: self.path(), why: format!("there is no element {}: {why}", shown(part)) }
    }
}

fn shown(part: &Part) -> String {
    match part {
        Part::Name(name) => name.clone(),
        Part::Index(index) => index.to_string(),
    }
}

/// What can be named in a struct.
pub(super) fn names(of: &Struct) -> Vec<String> {
    of.fields.iter().filter(|field| is_named(field)).map(|field| field.name.to_owned()).collect()
}
