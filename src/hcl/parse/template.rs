//! Quoted strings and heredocs: first a flat row of pieces as they stand in the text, white space
//! trimmed where markers say so, then the tree.

use std::sync::Arc;

use crate::base::{Diagnostic, Source, Span};
use crate::hcl::parse::constructor::for_intro;
use crate::hcl::parse::cursor::{Cursor, Parsed};
use crate::hcl::parse::expr::expression;
use crate::hcl::tree::{Expr, ExprKind, Ident, Part};

/// A piece of a template before its directives are matched up.
enum Piece {
    Literal(String, Span),
    Interpolation(Expr),
    If(Expr, Span),
    For(Option<Ident>, Ident, Expr, Span),
    Else(Span),
    EndIf(Span),
    EndFor(Span),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End<'a> {
    Quote,
    /// A line that holds nothing but this marker.
    Marker(&'a str),
    Text,
}

/// Reads a text that is a template from end to end, as strings are in JSON syntax.
pub fn parse_template(source: &Arc<Source>) -> Result<Expr, Diagnostic> {
    let mut cursor = Cursor::new(source);
    let pieces = pieces(&mut cursor, End::Text)?;
    let span = Span::new(source, 0..source.text.len());
    Ok(Expr { kind: ExprKind::Template(tree(&mut cursor, pieces)?), span })
}

/// `"…"`
pub fn quoted(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take("\"");
    let pieces = pieces(cursor, End::Quote)?;
    let span = cursor.span(from);
    Ok(Expr { kind: ExprKind::Template(tree(cursor, pieces)?), span })
}

/// A quoted string in which nothing is interpolated: a label.
pub fn plain_string(cursor: &mut Cursor<'_>) -> Parsed<Ident> {
    let expr = quoted(cursor)?;
    match expr.as_plain_string() {
        Some(text) => Ok(Ident { text, span: expr.span }),
        None => Err(Diagnostic::error("a label can't hold an interpolation")
            .at(&expr.span)
            .help("write ${ as $${ if the text itself is meant")),
    }
}

/// `<<EOT` or `<<-EOT`, up to and without the line end behind the closing marker.
pub fn heredoc(cursor: &mut Cursor<'_>) -> Parsed<Expr> {
    let from = cursor.at;
    cursor.take("<<");
    let flush = cursor.take("-");
    let Some(marker) = cursor.word() else {
        return cursor.fail("expected the marker of a heredoc, such as EOT, after `<<`");
    };
    let open = cursor.span(from);
    if !cursor.take("\n") && !cursor.take("\r\n") {
        return cursor.fail(format!("expected a line end after `<<{}`", marker.text));
    }
    let mut pieces = pieces(cursor, End::Marker(&marker.text)).map_err(|error| {
        if error.message == UNCLOSED { unclosed_heredoc(&open, &marker.text) } else { error }
    })?;
    if flush {
        unindent(&mut pieces);
    }
    let span = cursor.span(from);
    Ok(Expr { kind: ExprKind::Template(tree(cursor, pieces)?), span })
}

const UNCLOSED: &str = "this string is not closed";

fn unclosed_heredoc(open: &Span, marker: &str) -> Diagnostic {
    Diagnostic::error(format!("this heredoc is not closed by a line {marker}"))
        .at(open)
        .help(format!("{marker} must stand alone on its line, with a line end after it"))
}

fn pieces(cursor: &mut Cursor<'_>, end: End<'_>) -> Parsed<Vec<Piece>> {
    let start = cursor.at;
    let mut pieces = Vec::new();
    let mut trim_next = false;
    // Only the literal right before a `${~` gives up its trailing white space.
    let mut after_literal = false;
    let mut line_start = true;
    loop {
        match end {
            End::Quote if cursor.take("\"") => return Ok(pieces),
            End::Marker(marker) if line_start && take_marker(cursor, marker) => return Ok(pieces),
            End::Text if cursor.done() => return Ok(pieces),
            _ if cursor.done() => {
                let from = if end == End::Quote { start - 1 } else { start };
                return Err(Diagnostic::error(UNCLOSED).at(&Span::new(cursor.source, from..start)));
            }
            _ => {}
        }
        let trim = std::mem::take(&mut trim_next);
        let trims_before = std::mem::take(&mut after_literal);
        if cursor.starts("${") || cursor.starts("%{") {
            line_start = false;
            let directive = cursor.starts("%{");
            let from = cursor.at;
            cursor.at += 2;
            if cursor.take("~")
                && trims_before
                && let Some(Piece::Literal(text, _)) = pieces.last_mut()
            {
                text.truncate(text.trim_end().len());
            }
            let piece = cursor.within(false, |cursor| {
                if directive {
                    directive_piece(cursor, from)
                } else {
                    expression(cursor).map(Piece::Interpolation)
                }
            })?;
            trim_next = close(cursor, from, directive)?;
            pieces.push(piece);
            continue;
        }
        let from = cursor.at;
        let mut text = literal(cursor, end)?;
        line_start = text.ends_with('\n');
        if trim {
            text.drain(..text.len() - text.trim_start().len());
        }
        pieces.push(Piece::Literal(text, cursor.span(from)));
        after_literal = true;
    }
}

/// The `}` or `~}` of an interpolation; whether it had the `~`.
fn close(cursor: &mut Cursor<'_>, from: usize, directive: bool) -> Parsed<bool> {
    cursor.within(false, Cursor::skip)?;
    if cursor.take("~}") {
        return Ok(true);
    }
    if cursor.take("}") {
        return Ok(false);
    }
    if cursor.done() {
        let open = Span::new(cursor.source, from..from + 2);
        return Err(Diagnostic::error("this interpolation is not closed").at(&open).help("end it with }"));
    }
    let found = cursor.found();
    let what = if directive { "directive" } else { "interpolation" };
    let sign = if directive { '%' } else { '$' };
    Err(Diagnostic::error(format!("expected `}}` at the end of the {what}, found {found}"))
        .at(&cursor.here())
        .help(format!("if the text itself is meant, as in a shell script, write {sign}{sign}{{")))
}

fn directive_piece(cursor: &mut Cursor<'_>, from: usize) -> Parsed<Piece> {
    cursor.skip()?;
    let Some(word) = cursor.word() else {
        return cursor.fail("expected if, else, endif, for or endfor after `%{`");
    };
    let span = cursor.span(from);
    Ok(match word.text.as_str() {
        "if" => Piece::If(expression(cursor)?, span),
        "else" => Piece::Else(span),
        "endif" => Piece::EndIf(span),
        "for" => {
            let (key, value, over) = for_intro(cursor)?;
            Piece::For(key, value, over, span)
        }
        "endfor" => Piece::EndFor(span),
        other => {
            return Err(Diagnostic::error(format!("unknown template directive `{other}`"))
                .at(&word.span)
                .help("there are if, else, endif, for and endfor"));
        }
    })
}

/// Literal text up to the next interpolation or end; in a heredoc, up to and with the line end.
fn literal(cursor: &mut Cursor<'_>, end: End<'_>) -> Parsed<String> {
    let mut text = String::new();
    loop {
        let rest = cursor.rest();
        let Some(next) = rest.chars().next() else { return Ok(text) };
        match next {
            '"' if end == End::Quote => return Ok(text),
            '\n' | '\r' if end == End::Quote => {
                return Err(Diagnostic::error("a quoted string ends on its own line")
                    .at(&cursor.here())
                    .help("close it with \", write \\n for a line break, or use a heredoc (<<EOT)"));
            }
            '\r' if end != End::Text && !rest.starts_with("\r\n") => {
                return Err(Diagnostic::error("a carriage return can't stand within a line")
                    .at(&cursor.here())
                    .help("delete it"));
            }
            '\n' => {
                cursor.at += 1;
                text.push('\n');
                if end != End::Text {
                    return Ok(text);
                }
            }
            '\\' if end == End::Quote => escape(cursor, &mut text)?,
            '$' | '%' => {
                let doubled = if next == '$' { "$${" } else { "%%{" };
                if rest.starts_with(doubled) {
                    cursor.at += 3;
                    text.push_str(&doubled[1..]);
                } else if rest[1..].starts_with('{') {
                    return Ok(text);
                } else {
                    cursor.at += 1;
                    text.push(next);
                }
            }
            _ => {
                cursor.at += next.len_utf8();
                text.push(next);
            }
        }
    }
}

fn escape(cursor: &mut Cursor<'_>, text: &mut String) -> Parsed<()> {
    let from = cursor.at;
    cursor.take("\\");
    let selector = cursor.peek();
    cursor.at += selector.map_or(0, char::len_utf8);
    let simple = match selector {
        Some('n') => Some('\n'),
        Some('r') => Some('\r'),
        Some('t') => Some('\t'),
        Some('"' | '\\') => selector,
        _ => None,
    };
    if let Some(c) = simple {
        text.push(c);
        return Ok(());
    }
    let digits = match selector {
        Some('u') => 4,
        Some('U') => 8,
        _ => {
            return Err(Diagnostic::error(format!("unknown escape `{}`", cursor.span(from).text()))
                .at(&cursor.span(from))
                .help("there are \\n, \\r, \\t, \\\", \\\\, \\uXXXX and \\UXXXXXXXX; a backslash itself is \\\\"));
        }
    };
    let hex = cursor.rest().get(..digits).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let c = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
    let Some(c) = c else {
        return Err(Diagnostic::error("this escape names no character")
            .at(&cursor.span(from))
            .help("\\u is followed by four hexadecimal digits, \\U by eight"));
    };
    cursor.at += digits;
    text.push(c);
    Ok(())
}

/// Goes past a line of the marker alone, where that comes next. A line end must follow it.
fn take_marker(cursor: &mut Cursor<'_>, marker: &str) -> bool {
    let rest = cursor.rest();
    let Some(end) = rest.find('\n') else { return false };
    let line = &rest[..end];
    if line.trim() != marker {
        return false;
    }
    cursor.at += if line.ends_with('\r') { end - 1 } else { end };
    true
}

/// Takes the white space that all lines of a `<<-` heredoc begin with off each of them. Lines of
/// white space alone don't count and keep what they have.
fn unindent(pieces: &mut [Piece]) {
    use unicode_segmentation::UnicodeSegmentation;
    let mut least = usize::MAX;
    let mut line_start = true;
    let mut starts = Vec::new();
    for (i, piece) in pieces.iter().enumerate() {
        let literal = if let Piece::Literal(text, _) = piece { Some(text) } else { None };
        if std::mem::take(&mut line_start) {
            match literal {
                Some(text) if text.ends_with('\n') && text.trim_start().is_empty() => {}
                Some(text) => {
                    let blank = &text[..text.len() - text.trim_start().len()];
                    least = least.min(blank.graphemes(true).count());
                    starts.push(i);
                }
                None => least = 0,
            }
        }
        line_start = literal.is_some_and(|text| text.ends_with('\n'));
    }
    for i in starts {
        if let Piece::Literal(text, _) = &mut pieces[i] {
            let cut: usize = text.graphemes(true).take(least).map(str::len).sum();
            text.drain(..cut);
        }
    }
}

fn tree(cursor: &mut Cursor<'_>, pieces: Vec<Piece>) -> Parsed<Vec<Part>> {
    let mut pieces = pieces.into_iter();
    let (parts, closer) = parts(cursor, &mut pieces)?;
    match closer {
        None => Ok(parts),
        Some((name, span)) => {
            Err(Diagnostic::error(format!("`{name}` has no `%{{ if }}` or `%{{ for }}` before it")).at(&span))
        }
    }
}

type Closer = Option<(&'static str, Span)>;

/// Parts up to a directive that closes or splits what is open.
fn parts(cursor: &mut Cursor<'_>, pieces: &mut std::vec::IntoIter<Piece>) -> Parsed<(Vec<Part>, Closer)> {
    let mut parts: Vec<Part> = Vec::new();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Literal(text, span) => {
                if let Some(Part::Literal(before, whole)) = parts.last_mut() {
                    before.push_str(&text);
                    whole.range.end = span.range.end;
                } else {
                    parts.push(Part::Literal(text, span));
                }
            }
            Piece::Interpolation(expr) => parts.push(Part::Interpolation(expr)),
            Piece::If(condition, span) => {
                let (yes, closer) = cursor.deeper(|cursor| self::parts(cursor, pieces))?;
                let mut no = Vec::new();
                let mut closer = closer;
                if matches!(closer, Some(("else", _))) {
                    (no, closer) = cursor.deeper(|cursor| self::parts(cursor, pieces))?;
                }
                expect("endif", "if", closer, &span)?;
                parts.push(Part::If { condition, yes, no });
            }
            Piece::For(key_name, value_name, over, span) => {
                let (body, closer) = cursor.deeper(|cursor| self::parts(cursor, pieces))?;
                expect("endfor", "for", closer, &span)?;
                parts.push(Part::For { key_name, value_name, over, body });
            }
            Piece::Else(span) => return Ok((parts, Some(("else", span)))),
            Piece::EndIf(span) => return Ok((parts, Some(("endif", span)))),
            Piece::EndFor(span) => return Ok((parts, Some(("endfor", span)))),
        }
    }
    Ok((parts, None))
}

fn expect(wanted: &str, opener: &str, closer: Closer, open: &Span) -> Parsed<()> {
    match closer {
        Some((name, _)) if name == wanted => Ok(()),
        Some((name, span)) => Err(Diagnostic::error(format!("expected `%{{ {wanted} }}`, found `{name}`"))
            .at(&span)
            .help(format!("the `%{{ {opener}` at {open} is still open"))),
        None => Err(Diagnostic::error(format!("this `%{{ {opener}` is not closed"))
            .at(open)
            .help(format!("end it with %{{ {wanted} }}"))),
    }
}
