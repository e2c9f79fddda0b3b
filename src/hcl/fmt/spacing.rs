//! Whether a blank stands between two tokens of one line.

use super::token::{Kind, Token};

/// The kind at the start of a row, where nothing comes before.
const NOTHING: Kind = Kind::End;

/// Whether a blank stands between `here` and `after`; `before` is what comes before `here` in its cell.
pub fn blank_between(before: Option<&Token<'_>>, here: &Token<'_>, after: &Token<'_>) -> bool {
    let before = before.map_or(NOTHING, |token| token.kind);
    if let Some(decided) = tight(here.kind, after.kind) {
        return decided;
    }
    if here.kind == Kind::Word && here.text == "in" && before == Kind::Word {
        // `for x in [1, 2]`: not an index.
        return true;
    }
    match (here.kind, after.kind) {
        (Kind::Word | Kind::Number, Kind::OpenBracket) => false,
        (closing, Kind::OpenBracket) if closing.opens() < 0 => false,
        (Kind::Bang, _) => false,
        (Kind::Minus, _) => !begins_operand(before),
        (Kind::OpenBrace, Kind::CloseBrace) => false,
        (Kind::OpenBrace, _) | (_, Kind::CloseBrace) => true,
        // An object alone in an interpolation keeps a distance from the interpolation's own braces.
        (Kind::OpenTemplate, Kind::OpenBrace) | (Kind::CloseBrace, Kind::CloseTemplate) => true,
        (Kind::CloseTemplate, Kind::OpenTemplate) => false,
        (here, after) => here.opens() <= 0 && after.opens() >= 0,
    }
}

/// What is decided whatever else stands around.
fn tight(here: Kind, after: Kind) -> Option<bool> {
    let none = match (here, after) {
        (_, Kind::LineEnd) => true,
        (Kind::Word, Kind::OpenParen | Kind::DoubleColon) | (Kind::DoubleColon, Kind::Word) => true,
        (Kind::Dot, _) | (_, Kind::Dot | Kind::Comma | Kind::Ellipsis) => true,
        (Kind::Comma, _) => return Some(true),
        (Kind::Text | Kind::OpenQuote | Kind::OpenHeredoc, _) => true,
        (_, Kind::Text | Kind::CloseQuote | Kind::CloseHeredoc) => true,
        _ => false,
    };
    none.then_some(false)
}

/// Whether a minus behind it is a sign. Behind `=>` and `${` HashiCorp's formatter takes it for a
/// subtraction.
fn begins_operand(before: Kind) -> bool {
    matches!(
        before,
        NOTHING
            | Kind::OpenParen
            | Kind::OpenBrace
            | Kind::OpenBracket
            | Kind::Equal
            | Kind::Colon
            | Kind::Comma
            | Kind::Question
            | Kind::Operator
            | Kind::Minus
            | Kind::Bang
    )
}
