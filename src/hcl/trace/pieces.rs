//! The pieces of a text, each with the place it was written at.

use std::ops::Range;

use crate::base::{Diagnostic, Span};
use crate::hcl::eval::{elements, truth};
use crate::hcl::trace::frame::{Frame, Key, Place};
use crate::hcl::trace::stand::{Stand, maker, stand};
use crate::hcl::tree::{Expr, ExprKind, Part, Unary};
use crate::hcl::value::{Type, Value, convert};

/// How many texts within texts are followed; more count as made there.
const MAX_TEXTS: usize = 100;

/// More pieces than this are an error.
const MAX_PIECES: usize = 10_000;

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    pub origin: Origin,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Literal(Literal),
    /// Given from outside of all files: what by (`-var tag`), and where it is used.
    Outside {
        what: String,
        at: Span,
    },
    /// A reference that stays in the text, for Nomad's agents.
    Kept(Span),
    /// Made by a function, an operator or the like.
    Made {
        how: String,
        at: Span,
    },
}

/// Text that stands in a file: a number, `true`, or what is between quotes or in a heredoc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// The bytes: of a number or a JSON string all of it, of a template what stands between its
    /// interpolations.
    pub span: Span,
    /// The template that it is a part of.
    pub template: Option<Span>,
    /// What those bytes say.
    pub text: String,
    /// Which part of the text is meant: functions may have cut off the rest.
    pub cut: Range<usize>,
}

impl Literal {
    fn new(span: &Span, template: Option<&Span>, text: &str) -> Self {
        Self { span: span.clone(), template: template.cloned(), text: text.to_owned(), cut: 0..text.len() }
    }
}

/// The pieces that make up the text of the value at `path` within `expr`; together they are that text.
/// Numbers and bools count as their text. An error where the value is none of these.
pub fn pieces<'a>(expr: &'a Expr, frame: &Frame<'a>, path: Vec<Key>) -> Result<Vec<Piece>, Diagnostic> {
    let mut all = Vec::new();
    gather(expr, frame, path, 0, &mut all)?;
    Ok(all)
}

fn gather<'a>(
    expr: &'a Expr,
    frame: &Frame<'a>,
    path: Vec<Key>,
    depth: usize,
    all: &mut Vec<Piece>,
) -> Result<(), Diagnostic> {
    if all.len() >= MAX_PIECES {
        return Err(Diagnostic::error("this text comes from too many places").at(&expr.span));
    }
    // What a reference gives is known even where it can't be followed.
    let whole = frame.eval(expr)?;
    let value = path.iter().try_fold(&whole, |value, key| key.within(value)).unwrap_or(&Value::Null);
    let piece = |origin: Origin| {
        let text = convert(value, &Type::String).unwrap_or_default();
        Piece { text: text.as_str().unwrap_or_default().to_owned(), origin, place: frame.place.clone() }
    };
    let (expr, frame) = match stand(expr, frame, path.clone())? {
        Stand::Written(expr, frame) => (expr, frame),
        Stand::Outside { what, at } => {
            all.push(piece(Origin::Outside { what, at }));
            return Ok(());
        }
        Stand::Kept(at) => {
            all.push(piece(Origin::Kept(at)));
            return Ok(());
        }
        Stand::Made { how, at } => {
            all.push(piece(Origin::Made { how, at }));
            return Ok(());
        }
    };
    let text = text_of(expr, &frame)?;
    let from = all.len();
    let made = |how: String| Origin::Made { how, at: expr.span.clone() };
    let mut why = maker(expr);
    if depth < MAX_TEXTS {
        match &expr.kind {
            ExprKind::Literal(_) => {
                let origin = Origin::Literal(Literal::new(&expr.span, None, &text));
                all.push(Piece { text: text.clone(), origin, place: frame.place.clone() });
            }
            ExprKind::Unary { operator: Unary::Negate, operand }
                if matches!(operand.kind, ExprKind::Literal(_)) =>
            {
                let origin = Origin::Literal(Literal::new(&expr.span, None, &text));
                all.push(Piece { text: text.clone(), origin, place: frame.place.clone() });
            }
            // Alone, its characters may be put together as Unicode has it: all of it counts.
            ExprKind::Template(parts) if matches!(parts.as_slice(), [Part::Literal(..)]) => {
                if let [Part::Literal(written, span)] = parts.as_slice() {
                    let origin = Origin::Literal(Literal::new(span, Some(&expr.span), written));
                    all.push(Piece { text: text.clone(), origin, place: frame.place.clone() });
                }
            }
            ExprKind::Template(parts) => {
                parts_of(parts, &expr.span, &frame, depth, all)?;
                "characters that belong together".clone_into(&mut why);
            }
            ExprKind::Call { name, args, expand: false } => {
                call(name.text.as_str(), args, &frame, &text, depth, all)?;
            }
            _ => {}
        }
    } else {
        "more texts within texts than can be followed".clone_into(&mut why);
    }
    let same = all[from..].iter().map(|piece| piece.text.len()).sum::<usize>() == text.len()
        && all[from..].iter().flat_map(|piece| piece.text.bytes()).eq(text.bytes());
    if !same || (all.len() == from && !matches!(expr.kind, ExprKind::Template(_))) {
        all.truncate(from);
        all.push(Piece { text, origin: made(why), place: frame.place.clone() });
    } else if all.len() == from {
        // Of a template without parts, the place between its quotes.
        let literal = Literal::new(&expr.span, Some(&expr.span), "");
        all.push(Piece { text, origin: Origin::Literal(literal), place: frame.place.clone() });
    }
    Ok(())
}

fn text_of(expr: &Expr, frame: &Frame<'_>) -> Result<String, Diagnostic> {
    let value = frame.eval(expr)?;
    match convert(&value, &Type::String) {
        Ok(Value::String(text)) => Ok(text),
        _ => Err(Diagnostic::error(format!("{} is no text", value.described())).at(&expr.span)),
    }
}

fn parts_of<'a>(
    parts: &'a [Part],
    template: &Span,
    frame: &Frame<'a>,
    depth: usize,
    all: &mut Vec<Piece>,
) -> Result<(), Diagnostic> {
    for part in parts {
        match part {
            Part::Literal(text, span) => {
                frame.spend(1 + text.len() / 16, span)?;
                let origin = Origin::Literal(Literal::new(span, Some(template), text));
                all.push(Piece { text: text.clone(), origin, place: frame.place.clone() });
            }
            Part::Interpolation(expr) => gather(expr, frame, Vec::new(), depth + 1, all)?,
            Part::If { condition, yes, no } => {
                match truth(&frame.eval(condition)?, &condition.span, "the condition of `if`")? {
                    Some(true) => parts_of(yes, template, frame, depth, all)?,
                    Some(false) => parts_of(no, template, frame, depth, all)?,
                    None => {}
                }
            }
            Part::For { key_name, value_name, over, body } => {
                let collection = frame.eval(over)?;
                for (key, value) in elements(&collection, &over.span)?.into_iter().flatten() {
                    frame.spend(1, &over.span)?;
                    let is_set = matches!(collection, Value::Set(_));
                    let step = if is_set { Key::Equal(value.clone()) } else { Key::of(&key) };
                    let key = key_name.as_ref().map(|name| (name.text.as_str(), key));
                    let turn = frame.turn(key, (&value_name.text, value), (over, step));
                    parts_of(body, template, &turn, depth, all)?;
                }
            }
        }
    }
    Ok(())
}

/// The pieces of what a function of texts makes, where it only puts texts together or cuts them.
fn call<'a>(
    name: &str,
    args: &'a [Expr],
    frame: &Frame<'a>,
    result: &str,
    depth: usize,
    all: &mut Vec<Piece>,
) -> Result<(), Diagnostic> {
    match (name, args) {
        ("join", [separator, lists @ ..]) => {
            let mut first = true;
            for list in lists {
                let count = frame.eval(list)?.as_list().map_or(0, <[Value]>::len);
                for at in 0..count {
                    if !std::mem::take(&mut first) {
                        gather(separator, frame, Vec::new(), depth + 1, all)?;
                    }
                    let at = Key::At(at);
                    gather(list, frame, vec![at], depth + 1, all)?;
                }
            }
        }
        ("format", [pattern, args @ ..]) => {
            let mut written = Vec::new();
            gather(pattern, frame, Vec::new(), depth + 1, &mut written)?;
            let text = text_of(pattern, frame)?;
            let (mut from, mut at, mut args) = (0, 0, args.iter());
            while let Some(found) = text[at..].find('%') {
                at += found;
                let verb = text.as_bytes().get(at + 1);
                cut(&written, from..at + usize::from(verb == Some(&b'%')), all);
                if matches!(verb, Some(b's' | b'd' | b'v'))
                    && let Some(arg) = args.next()
                {
                    gather(arg, frame, Vec::new(), depth + 1, all)?;
                } else if verb != Some(&b'%') {
                    // Verbs that change what they print: the whole counts as made.
                    return Ok(());
                }
                at += 2;
                from = at;
            }
            cut(&written, from..text.len(), all);
        }
        ("trimspace" | "chomp" | "trimprefix" | "trimsuffix" | "trim", [arg, ..]) => {
            let mut written = Vec::new();
            gather(arg, frame, Vec::new(), depth + 1, &mut written)?;
            let whole = text_of(arg, frame)?;
            let from = match name {
                "trimprefix" => whole.len().saturating_sub(result.len()),
                "trimspace" | "trim" => whole.find(result).unwrap_or_default(),
                _ => 0,
            };
            cut(&written, from..from + result.len(), all);
        }
        _ => {}
    }
    Ok(())
}

/// Adds the part of some pieces that a range of their text covers.
fn cut(pieces: &[Piece], range: Range<usize>, all: &mut Vec<Piece>) {
    let mut at = 0;
    for piece in pieces {
        let here = at..at + piece.text.len();
        at = here.end;
        let (from, to) = (range.start.max(here.start), range.end.min(here.end));
        let Some(text) = (from < to).then(|| piece.text.get(from - here.start..to - here.start)).flatten()
        else {
            continue;
        };
        let mut part = Piece { text: text.to_owned(), ..piece.clone() };
        if let Origin::Literal(literal) = &mut part.origin {
            if part.text.len() < piece.text.len() && piece.text != literal.text[literal.cut.clone()] {
                let how = "characters that belong together".to_owned();
                part.origin = Origin::Made { how, at: literal.span.clone() };
                all.push(part);
                continue;
            }
            let start = literal.cut.start + from - here.start;
            if part.text.len() < piece.text.len() {
                literal.cut = start..start + text.len();
            }
        }
        all.push(part);
    }
}
