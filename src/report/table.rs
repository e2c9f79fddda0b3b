//! Aligned columns.

use unicode_width::UnicodeWidthStr;

use super::page::Page;
use super::styled::{Role, Styled, clean, cut_middle};
use crate::base::Secrets;

/// Between columns.
const GAP: usize = 2;

/// A column that must give way keeps at least this much.
const NARROWEST: usize = 8;

/// Rows under headers. On a page too narrow for it the widest columns lose the middle of their texts;
/// off a terminal nothing is cut.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headers: Vec<String>,
    rows: Vec<Vec<(Role, String)>>,
    /// Headers of columns whose texts are never cut.
    kept: Vec<String>,
}

impl Table {
    pub fn new<S: AsRef<str>>(headers: impl IntoIterator<Item = S>) -> Self {
        Self {
            headers: headers.into_iter().map(|h| clean(h.as_ref())).collect(),
            rows: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Never cuts what stands under these headers: what is to be copied from there, and dates.
    #[must_use]
    pub fn keeping<S: Into<String>>(mut self, headers: impl IntoIterator<Item = S>) -> Self {
        self.kept = headers.into_iter().map(Into::into).collect();
        self
    }

    #[must_use]
    pub fn row<S: AsRef<str>>(self, cells: impl IntoIterator<Item = S>) -> Self {
        self.styled(cells.into_iter().map(|cell| (Role::Plain, cell)))
    }

    /// A row whose cells have roles.
    #[must_use]
    pub fn styled<S: AsRef<str>>(mut self, cells: impl IntoIterator<Item = (Role, S)>) -> Self {
        self.rows.push(cells.into_iter().map(|(role, cell)| (role, clean(cell.as_ref()))).collect());
        self
    }

    /// With secrets masked, before any text is cut.
    #[must_use]
    pub(super) fn masked(mut self, secrets: &Secrets) -> Self {
        for (_, cell) in self.rows.iter_mut().flatten() {
            *cell = secrets.mask(cell);
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The headers and rows as lines.
    pub fn lines(&self, page: &Page) -> Vec<Styled> {
        let widths = self.widths(page);
        let headers: Vec<(Role, String)> = self.headers.iter().map(|h| (Role::Strong, h.clone())).collect();
        std::iter::once(&headers).chain(&self.rows).map(|row| line(row, &widths)).collect()
    }

    fn widths(&self, page: &Page) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).chain([self.headers.len()]).max().unwrap_or(0);
        let widest = |column: usize| {
            let header = self.headers.get(column).map_or(0, |h| h.width());
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|(_, cell)| cell.width());
            cells.fold(header, usize::max)
        };
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        let Some(room) = page.width else { return widths };
        let room = room.saturating_sub(if page.simulated { super::styled::SIMULATED.len() } else { 0 });
        while widths.iter().sum::<usize>() + GAP * columns.saturating_sub(1) > room {
            let gives = |column: &usize| !self.headers.get(*column).is_some_and(|h| self.kept.contains(h));
            let giving = widths.iter_mut().enumerate().filter(|(column, _)| gives(column));
            let widest = giving.map(|(_, width)| width).max().filter(|width| **width > NARROWEST);
            let Some(widest) = widest else { break };
            *widest -= 1;
        }
        widths
    }
}

fn line(row: &[(Role, String)], widths: &[usize]) -> Styled {
    let mut line = Styled::new(0);
    for (column, (role, cell)) in row.iter().enumerate() {
        let width = widths.get(column).copied().unwrap_or_default();
        let cell = cut_middle(cell, width);
        let gap = if column + 1 == row.len() { 0 } else { width + GAP - cell.width().min(width) };
        line = line.with(*role, cell).plain(" ".repeat(gap));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &Page) -> String {
        let table = Table::new(["RUN", "PLAN", "ENDED"])
            .row(["20261121-013005-k3fq", "cold-start", "done"])
            .row(["20261121-013005-aaaa", "stop", "refused: the guard\u{1b}[31m of step core allows less"]);
        let lines = table.lines(page);
        lines.iter().flat_map(|line| line.lay_out(page)).map(|row| format!("{row}|\n")).collect()
    }

    #[test]
    fn columns_are_aligned() {
        insta::assert_snapshot!(shown(&Page::default()));
        insta::assert_snapshot!(shown(&Page { width: Some(60), ..Page::default() }));
    }

    #[test]
    fn what_is_to_be_copied_is_never_cut() {
        let narrow = Page { width: Some(40), ..Page::default() };
        let id = "20261121-013005-k3fq";
        let cells = [id, "cold-start", "somebody@some-machine"];
        let of = |table: Table| -> Vec<String> {
            table.row(cells).lines(&narrow).iter().flat_map(|line| line.lay_out(&narrow)).collect()
        };
        let lines = of(Table::new(["RUN", "PLAN", "WHO"]).keeping(["RUN"]));
        assert!(lines[1].starts_with(&format!("{id}  co")), "{lines:?}");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(!of(Table::new(["RUN", "PLAN", "WHO"]))[1].contains(id));
    }
}
