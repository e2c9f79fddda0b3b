//! The spanned tree of an HCL file. Every node knows the bytes it was written with.

use crate::base::Span;
use crate::hcl::Value;

/// A file, or what stands between the braces of a block.
#[derive(Clone, Debug)]
pub struct Body {
    pub items: Vec<Item>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Item {
    Attribute(Attribute),
    Block(Block),
}

/// `name = expr`
#[derive(Clone, Debug)]
pub struct Attribute {
    pub name: Ident,
    pub expr: Expr,
    pub span: Span,
}

/// A name with its place; for a quoted label the span covers the quotes and the text does not.
#[derive(Clone, Debug)]
pub struct Ident {
    pub text: String,
    pub span: Span,
}

/// `kind "label" { … }`
#[derive(Clone, Debug)]
pub struct Block {
    pub kind: Ident,
    pub labels: Vec<Ident>,
    pub body: Body,
    pub span: Span,
}

impl Body {
    /// The attribute of that name (there is at most one: the parser refuses a second).
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes().find(|attribute| attribute.name.text == name)
    }

    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.items.iter().filter_map(|item| match item {
            Item::Attribute(attribute) => Some(attribute),
            Item::Block(_) => None,
        })
    }

    /// The blocks of one kind, in the order of the file.
    pub fn blocks<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Block> {
        self.all_blocks().filter(move |block| block.kind.text == kind)
    }

    pub fn all_blocks(&self) -> impl Iterator<Item = &Block> {
        self.items.iter().filter_map(|item| match item {
            Item::Block(block) => Some(block),
            Item::Attribute(_) => None,
        })
    }
}

#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// A number, `true`, `false`, `null`, or a value that a caller put in.
    Literal(Value),
    /// A quoted string or heredoc. One interpolation alone keeps its value's type.
    Template(Vec<Part>),
    Tuple(Vec<Expr>),
    Object(Vec<ObjectItem>),
    /// A root name and the constant steps that follow it at once: `var.a`, `x["y"].z`, `l[0]`.
    Traversal {
        root: Ident,
        steps: Vec<Step>,
    },
    /// Constant steps after something that isn't a name: `f(x).a`.
    Relative {
        base: Box<Expr>,
        steps: Vec<Step>,
    },
    /// `base[key]` where the key is not constant.
    Index {
        base: Box<Expr>,
        key: Box<Expr>,
    },
    /// `base[*].each` or `base.*.each`; in `each`, [`ExprKind::Item`] stands for the element.
    Splat {
        base: Box<Expr>,
        each: Box<Expr>,
    },
    /// The element of the innermost splat.
    Item,
    Call {
        name: Ident,
        args: Vec<Expr>,
        /// `f(x, list...)`
        expand: bool,
    },
    Conditional {
        condition: Box<Expr>,
        yes: Box<Expr>,
        no: Box<Expr>,
    },
    Unary {
        operator: Unary,
        operand: Box<Expr>,
    },
    Binary {
        operator: Binary,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    For(Box<For>),
    Parens(Box<Expr>),
}

/// `[for k, v in over : value if condition]` or `{for k, v in over : key => value... if condition}`
#[derive(Clone, Debug)]
pub struct For {
    pub key_name: Option<Ident>,
    pub value_name: Ident,
    pub over: Expr,
    /// Present where the result is an object.
    pub key: Option<Expr>,
    pub value: Expr,
    pub condition: Option<Expr>,
    /// `...`: values of one key are collected in a tuple.
    pub group: bool,
}

#[derive(Clone, Debug)]
pub struct ObjectItem {
    pub key: ObjectKey,
    pub value: Expr,
}

#[derive(Clone, Debug)]
pub enum ObjectKey {
    /// A bare name stands for its own text.
    Name(Ident),
    Expr(Expr),
}

/// One constant step of a traversal.
#[derive(Clone, Debug)]
pub enum Step {
    /// `.name`
    Name(Ident),
    /// `["key"]`, `[0]` or the old `.0`
    Key(Value, Span),
}

impl Step {
    pub fn span(&self) -> &Span {
        match self {
            Self::Name(ident) => &ident.span,
            Self::Key(_, span) => span,
        }
    }
}

/// A piece of a template.
#[derive(Clone, Debug)]
pub enum Part {
    Literal(String, Span),
    Interpolation(Expr),
    /// `%{ if … }…%{ else }…%{ endif }`
    If {
        condition: Expr,
        yes: Vec<Part>,
        no: Vec<Part>,
    },
    /// `%{ for k, v in … }…%{ endfor }`
    For {
        key_name: Option<Ident>,
        value_name: Ident,
        over: Expr,
        body: Vec<Part>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unary {
    Negate,
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    Or,
    And,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

impl Binary {
    /// As it is written between its operands.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
        }
    }
}

/// An absolute traversal: which root an expression reads, and what of it.
#[derive(Clone, Debug)]
pub struct Reference {
    pub root: Ident,
    /// The leading `.name` and `["name"]` steps; what follows an index by number is left out.
    pub path: Vec<Ident>,
    pub span: Span,
}
