//! Types, as `variable` blocks name them and as conversion needs them.

use std::collections::BTreeMap;
use std::fmt;

use super::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Not settled.
    Any,
    Bool,
    Number,
    String,
    List(Box<Type>),
    Set(Box<Type>),
    Map(Box<Type>),
    Tuple(Vec<Type>),
    Object(BTreeMap<String, Type>),
}

impl Type {
    pub fn list(of: Type) -> Self {
        Self::List(Box::new(of))
    }

    /// The type of a value. Of an empty list, set or map, the element's is not settled.
    pub fn of(value: &Value) -> Self {
        let first =
            |items: &[Value]| items.iter().map(Type::of).find(|of| *of != Type::Any).unwrap_or(Type::Any);
        match value {
            Value::Null | Value::Unknown => Self::Any,
            Value::Bool(_) => Self::Bool,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::String,
            Value::List(items) => Self::List(Box::new(first(items))),
            Value::Set(items) => Self::Set(Box::new(first(items))),
            Value::Tuple(items) => Self::Tuple(items.iter().map(Type::of).collect()),
            Value::Map(map) => {
                let of = map.values().map(Type::of).find(|of| *of != Type::Any).unwrap_or(Type::Any);
                Self::Map(Box::new(of))
            }
            Value::Object(map) => {
                Self::Object(map.iter().map(|(key, value)| (key.clone(), Type::of(value))).collect())
            }
        }
    }
}

/// As it is written in a `type = …`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Bool => f.write_str("bool"),
            Self::Number => f.write_str("number"),
            Self::String => f.write_str("string"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Set(of) => write!(f, "set({of})"),
            Self::Map(of) => write!(f, "map({of})"),
            Self::Tuple(types) => {
                f.write_str("tuple([")?;
                for (i, of) in types.iter().enumerate() {
                    write!(f, "{}{of}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("])")
            }
            Self::Object(types) => {
                f.write_str("object({")?;
                for (i, (name, of)) in types.iter().enumerate() {
                    write!(f, "{}{name} = {of}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("})")
            }
        }
    }
}
