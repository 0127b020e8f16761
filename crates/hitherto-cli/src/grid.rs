//! Tables: a heading, a rule, rows; no lines that carry nothing.

use std::fmt;

use comfy_table::{CellAlignment, ContentArrangement, Table};

/// What a column holds, which decides its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words stand left.
    Text,
    /// Numbers stand right, so that their digits line up.
    Number,
}

/// Rows under headings.
pub struct Grid {
    table: Table,
}

/// Borders of a [`Grid`] in comfy-table's notation: only the rule under the
/// headings.
const BORDERS: &str = "     ──            ";

impl Grid {
    /// An empty table with these columns.
    pub fn new<const N: usize>(columns: [(&str, Side); N]) -> Self {
        Self::with_columns(columns.map(|(name, side)| (name.to_owned(), side)).to_vec())
    }

    /// The same, for columns known only at run time.
    pub fn with_columns(columns: Vec<(String, Side)>) -> Self {
        let mut table = Table::new();
        table.load_preset(BORDERS).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(|(name, _)| name));
        for (index, (_, side)) in columns.iter().enumerate() {
            let Some(column) = table.column_mut(index) else { continue };
            // One more comes from the rule's own width between columns.
            let gap = if index + 1 < columns.len() { 1 } else { 0 };
            column.set_padding((0, gap));
            column.set_cell_alignment(match side {
                Side::Text => CellAlignment::Left,
                Side::Number => CellAlignment::Right,
            });
        }
        Self { table }
    }

    /// Appends a row; one cell for each column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Self {
        self.table.add_row(cells.into_iter());
        self
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.table.lines().map(|line| line.trim_end().to_owned()).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests;
