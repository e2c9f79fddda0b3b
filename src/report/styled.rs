//! One logical line with roles in place of colours, laid out for a page when it is printed.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use super::page::Page;
use crate::base::{Secrets, text};

/// What a piece of a line is; the page decides what that looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Plain,
    Strong,
    Dim,
    Good,
    Warn,
    Bad,
    Change,
}

impl Role {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "1",
            Self::Dim => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Change => "36",
        }
    }
}

/// One line. Its text is harmless: whatever goes in is stripped of what could steer a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Styled {
    pieces: Vec<(Role, String)>,
    /// Columns before the first piece.
    indent: usize,
    /// Columns before what goes over onto further lines.
    hang: usize,
    /// On a terminal: whether a word that doesn't fit may lose its middle. Otherwise it goes on in the
    /// next line, because what is approved must be seen whole.
    cut: bool,
    pub(super) simulated: bool,
}

impl Styled {
    pub fn new(indent: usize) -> Self {
        Self { indent, hang: indent + 2, ..Self::default() }
    }

    /// An empty line.
    pub fn blank() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn with(mut self, role: Role, text: impl AsRef<str>) -> Self {
        let text = clean(text.as_ref());
        if !text.is_empty() {
            self.pieces.push((role, text));
        }
        self
    }

    #[must_use]
    pub fn plain(self, text: impl AsRef<str>) -> Self {
        self.with(Role::Plain, text)
    }

    /// Where further lines begin.
    #[must_use]
    pub fn hanging(mut self, columns: usize) -> Self {
        self.hang = columns;
        self
    }

    /// A word too long for the terminal may lose its middle.
    #[must_use]
    pub fn cutting(mut self) -> Self {
        self.cut = true;
        self
    }

    /// With secrets masked in each piece.
    #[must_use]
    pub(super) fn masked(mut self, secrets: &Secrets) -> Self {
        for (_, text) in &mut self.pieces {
            *text = secrets.mask(text);
        }
        self
    }

    /// The text alone.
    pub fn text(&self) -> String {
        let text: String = self.pieces.iter().map(|(_, text)| text.as_str()).collect();
        format!("{}{text}", " ".repeat(self.indent))
    }

    /// The lines to print, without line ends.
    pub fn lay_out(&self, page: &Page) -> Vec<String> {
        let prefix = if self.simulated || page.simulated { SIMULATED } else { "" };
        let wide = || self.pieces.iter().map(|(_, text)| text.width()).sum::<usize>();
        let fits = |width: &usize| prefix.len() + self.indent + wide() <= *width;
        let Some(width) = page.width.filter(|width| !fits(width)) else {
            let pieces = self.pieces.iter().map(|(role, text)| (*role, text.as_str()));
            return vec![row(page, prefix, self.indent, pieces)];
        };
        let width = width.saturating_sub(prefix.len()).max(20);
        let hang = self.hang.min(width / 2);
        let room = width - self.indent.min(width / 2);
        let cells = self.cells(if self.cut { room } else { usize::MAX });
        let mut rows = Vec::new();
        let (mut rest, mut indent) = (cells.as_slice(), self.indent.min(width / 2));
        loop {
            let (fits, after) = split(rest, width - indent, width - hang);
            let pieces = fits.iter().map(|cell| (cell.role, cell.text.as_str()));
            rows.push(row(page, prefix, indent, pieces));
            if after.is_empty() {
                return rows;
            }
            (rest, indent) = (after, hang);
        }
    }

    /// Graphemes with their roles and widths. Where all of them don't fit into `room`, the longest word
    /// loses as much of its middle as it can spare.
    fn cells(&self, room: usize) -> Vec<Cell> {
        let wide: usize = self.pieces.iter().map(|(_, text)| text.width()).sum();
        let words = self.pieces.iter().flat_map(|(_, text)| text.split(' '));
        let longest = words.map(UnicodeWidthStr::width).max().unwrap_or_default();
        let most = match wide.checked_sub(room) {
            Some(over) if over > 0 => longest.saturating_sub(over).max(SHORTEST_CUT).min(room),
            _ => usize::MAX,
        };
        let mut cells = Vec::new();
        for (role, text) in &self.pieces {
            let fitted: Vec<String> = text.split(' ').map(|word| cut_middle(word, most)).collect();
            cells.extend(fitted.join(" ").graphemes(true).map(|text| Cell {
                role: *role,
                width: text.width(),
                text: text.to_owned(),
            }));
        }
        cells
    }
}

fn row<'a>(
    page: &Page,
    prefix: &str,
    indent: usize,
    pieces: impl Iterator<Item = (Role, &'a str)>,
) -> String {
    let mut out = prefix.to_owned();
    let mut role = Role::Plain;
    for (at, (piece, text)) in pieces.enumerate() {
        if at == 0 {
            out.push_str(&" ".repeat(indent));
        }
        if page.color && piece != role {
            if role != Role::Plain {
                out.push_str("\u{1b}[0m");
            }
            if piece != Role::Plain {
                out.push_str(&format!("\u{1b}[{}m", piece.code()));
            }
            role = piece;
        }
        out.push_str(text);
    }
    if role != Role::Plain {
        out.push_str("\u{1b}[0m");
    }
    out
}

/// What every line of a simulated run begins with.
pub(super) const SIMULATED: &str = "[simulated] ";

/// What is left of a word says at least this much.
const SHORTEST_CUT: usize = 24;

/// Behind these a word that has to be broken is: between the parts of an image or an address.
const JOINTS: [&str; 5] = ["/", ",", ";", "@", "&"];

struct Cell {
    role: Role,
    width: usize,
    text: String,
}

/// What fits into `width`, and what comes after it: broken between words. A word that is too long for a line of
/// its own, of `whole` columns, is broken behind one of its parts.
fn split(cells: &[Cell], width: usize, whole: usize) -> (&[Cell], &[Cell]) {
    let mut used = 0;
    let fits = cells.iter().take_while(|cell| {
        used += cell.width;
        used <= width
    });
    let fits = fits.count();
    if fits == cells.len() {
        return (cells, &[]);
    }
    let is_space = |cell: &Cell| cell.text == " ";
    let word_begun = |end: usize| !cells[..end].iter().all(is_space);
    let space = (1..=fits).rev().find(|at| is_space(&cells[*at]) && word_begun(*at));
    let word = space.map_or(0, |at| at + 1).min(fits);
    let long = cells[word..].iter().take_while(|cell| !is_space(cell)).map(|cell| cell.width).sum::<usize>();
    let joint = (word + 1..=fits).rev().find(|at| JOINTS.contains(&cells[at - 1].text.as_str()));
    let end = match (joint.filter(|_| long > whole), space) {
        (Some(joint), _) => joint,
        (None, Some(space)) => space,
        (None, None) => fits.max(1),
    };
    let after = &cells[end..];
    let skipped = after.iter().take_while(|cell| is_space(cell)).count();
    (&cells[..end], &after[skipped..])
}

/// `text` on one line and without anything that could steer a terminal or hide a line end.
pub(super) fn clean(text: &str) -> String {
    text::one_line(text)
}

/// `text` in at most `width` columns: what doesn't fit is taken out of the middle, more of it from
/// the front, because the ends of addresses differ most.
pub(super) fn cut_middle(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(1);
    let front = room * 2 / 5;
    let head = fitting(text.graphemes(true), front);
    let used: usize = head.iter().map(|part| part.width()).sum();
    let mut tail = fitting(text.graphemes(true).rev(), room - used);
    tail.reverse();
    format!("{}…{}", head.concat(), tail.concat())
}

fn fitting<'a>(parts: impl Iterator<Item = &'a str>, room: usize) -> Vec<&'a str> {
    let mut used = 0;
    parts
        .take_while(|part| {
            used += part.width();
            used <= room
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(width: usize) -> Page {
        Page { width: Some(width), color: false, unicode: true, simulated: false }
    }

    #[test]
    fn words_go_over_and_addresses_stay_whole() {
        let address = "module.core.terraform_data.instance[\"a-very-long-name-of-an-instance\"]";
        let line = Styled::new(2).with(Role::Good, "+ ").plain(format!("create {address}"));
        let rows = line.lay_out(&page(40));
        assert!(rows.len() > 1 && rows.iter().all(|row| row.width() <= 40), "{rows:?}");
        let whole: String = rows.iter().map(|row| row.trim()).collect();
        assert!(whole.contains(address), "{whole}");
        let rows = line.cutting().lay_out(&page(40));
        assert!(rows.concat().contains('…') && rows.concat().ends_with("instance\"]"), "{rows:?}");
        assert!(rows.iter().all(|row| row.width() <= 40), "{rows:?}");
    }

    #[test]
    fn a_word_longer_than_a_line_is_broken_between_its_parts() {
        let image = "registry.example.com/a-long-team-name/another-long-name/api:git-1a2b3c4d5e6f";
        let line = Styled::new(4).plain(format!("→ \"{image}\"")).hanging(6);
        let rows = line.lay_out(&page(50));
        assert_eq!(
            rows,
            [
                "    → \"registry.example.com/a-long-team-name/",
                "      another-long-name/api:git-1a2b3c4d5e6f\"",
            ]
        );
        // One that has a line of its own stays whole.
        let line = Styled::new(0).plain(format!("the image is now {image}"));
        assert_eq!(line.lay_out(&page(80)), ["the image is now", &format!("  {image}")]);
    }

    #[test]
    fn off_a_terminal_nothing_is_cut() {
        let line = Styled::new(0).plain("x".repeat(500)).cutting();
        assert_eq!(line.lay_out(&Page::default()), ["x".repeat(500)]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_the_page(text in "\\PC{0,200}", indent in 0_usize..60, cut: bool, simulated: bool) {
            let mut line = Styled::new(indent).with(Role::Bad, text);
            line.simulated = simulated;
            let line = if cut { line.cutting() } else { line };
            for row in line.lay_out(&page(80)) {
                prop_assert!(row.width() <= 80, "{} {row:?}", row.width());
                prop_assert_eq!(row.starts_with(SIMULATED), simulated);
            }
        }
    }
}
