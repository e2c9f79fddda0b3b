//! Which pieces of a text have to change so that the whole becomes another.

use crate::hcl::trace::{Origin, Piece, Place};

/// More cuts than this aren't tried.
const MAX_CUTS: usize = 400;

/// Nor more pieces that may change than this.
const MAX_PIECES: usize = 64;

/// How bad a way to share out the new text is: pieces changed, words cut in two, pieces changed right
/// in the attribute, bytes changed.
type Cost = (usize, usize, usize, usize);

/// The new texts of the pieces; pieces that can't change keep theirs. None where that can't be, or
/// where it would need a guess.
pub fn narrow(pieces: &[Piece], new: &str) -> Option<Vec<String>> {
    let mut texts: Vec<String> = pieces.iter().map(|piece| piece.text.clone()).collect();
    let old: String = texts.concat();
    if old == new {
        return Some(texts);
    }
    // What is the same at both ends stays, but for one piece: what is added may belong to it.
    let mut from = 0;
    let mut start = 0;
    while from < pieces.len() && new[start..].starts_with(&pieces[from].text) {
        start += pieces[from].text.len();
        from += 1;
    }
    if from > 0 {
        from -= 1;
        start -= pieces[from].text.len();
    }
    let (mut to, mut end) = (pieces.len(), new.len());
    while to > from + 1 && new[start..end].ends_with(&pieces[to - 1].text) {
        end -= pieces[to - 1].text.len();
        to -= 1;
    }
    if to < pieces.len() {
        end += pieces[to].text.len();
        to += 1;
    }
    let shared = share(&pieces[from..to], &new[start..end])?;
    texts.splice(from..to, shared);
    Some(texts)
}

fn can_change(piece: &Piece) -> bool {
    matches!(piece.origin, Origin::Literal(_))
}

fn share(pieces: &[Piece], new: &str) -> Option<Vec<String>> {
    if pieces.len() > MAX_PIECES {
        return None;
    }
    if let [only] = pieces {
        return can_change(only).then(|| vec![new.to_owned()]);
    }
    let mut cuts: Vec<usize> = (0..=new.len()).filter(|at| new.is_char_boundary(*at)).collect();
    if cuts.len() > MAX_CUTS {
        let same = |at: &usize| {
            let old: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            let mut offset = 0;
            pieces.iter().any(|piece| {
                offset += piece.text.len();
                offset == *at || old.len() - offset == new.len() - *at
            })
        };
        cuts.retain(|at| *at == 0 || *at == new.len() || same(at));
    }
    let old: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
    let mut borders = vec![0];
    for piece in pieces {
        borders.push(borders.last().copied().unwrap_or_default() + piece.text.len());
    }
    // From the last piece on: the best way to share out what is left from each cut, and its first cut.
    let mut best: Vec<Vec<Option<(Cost, usize)>>> = vec![vec![None; cuts.len()]; pieces.len() + 1];
    best[pieces.len()][cuts.len() - 1] = Some(((0, 0, 0, 0), 0));
    for (i, piece) in pieces.iter().enumerate().rev() {
        for (a, from) in cuts.iter().enumerate() {
            let mut found: Option<(Cost, usize)> = None;
            for (b, to) in cuts.iter().enumerate().skip(a) {
                let Some((rest, _)) = best[i + 1][b] else { continue };
                let Some(own) = cost(piece, &new[*from..*to]) else { continue };
                let cut = usize::from(in_word(new, *to) && !in_word(&old, borders[i + 1]));
                let total = (rest.0 + own.0, rest.1 + cut, rest.2 + own.1, rest.3 + own.2);
                if found.is_none_or(|(least, _)| total < least) {
                    found = Some((total, b));
                }
            }
            best[i][a] = found;
        }
    }
    let (mut texts, mut at) = (Vec::new(), 0);
    for best in &best[..pieces.len()] {
        let (_, next) = best[at]?;
        texts.push(new[cuts[at]..cuts[next]].to_owned());
        at = next;
    }
    Some(texts)
}

/// What it costs to make a piece say this; none where it can't.
fn cost(piece: &Piece, new: &str) -> Option<(usize, usize, usize)> {
    if piece.text == new {
        return Some((0, 0, 0));
    }
    let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
    let (old, new) = (piece.text.as_bytes(), new.as_bytes());
    let head = same(&mut old.iter().copied().zip(new.iter().copied()));
    let tail = same(&mut old[head..].iter().rev().copied().zip(new[head..].iter().rev().copied()));
    let bytes = old.len() + new.len() - 2 * (head + tail);
    can_change(piece).then_some((1, usize::from(piece.place == Place::Literal), bytes))
}

/// Whether a place lies within a word, as names and tags are.
fn in_word(text: &str, at: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    text[..at].ends_with(word) && text[at..].starts_with(word)
}
