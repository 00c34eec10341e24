//! Tables for terminals: columns as wide as what is in them, the widest giving way where there is no room.

use crate::text::{padded, printable, width, wrapped};

/// Columns that a table takes at most.
pub const COLUMNS: usize = 120;
/// Columns between two cells.
const GAP: usize = 2;

/// How output is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub colours: bool,
}

impl Style {
    /// The text in a colour, by its ANSI number, such as `32` for green.
    #[must_use]
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.colours && !code.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// One column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// What it is called.
    pub heading: &'static str,
    /// How narrow it may become; its cells are wrapped then.
    pub least: usize,
    /// Numbers stand at the right.
    pub is_right: bool,
}

/// A column of text that may become this narrow.
#[must_use]
pub const fn text(heading: &'static str, least: usize) -> Column {
    Column { heading, least, is_right: false }
}

/// A column of numbers.
#[must_use]
pub const fn number(heading: &'static str) -> Column {
    Column { heading, least: usize::MAX, is_right: true }
}

/// One cell. A line feed in it begins a new line; other control characters are shown, not obeyed.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    colour: &'static str,
}

impl Cell {
    /// Plain text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), colour: "" }
    }

    /// Text in a colour, by its ANSI number.
    #[must_use]
    pub fn coloured(text: impl Into<String>, colour: &'static str) -> Self {
        Self { text: text.into(), colour }
    }

    fn lines(&self) -> Vec<String> {
        self.text.split('\n').map(printable).collect()
    }
}

/// A heading and rows.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    #[must_use]
    pub fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: a cell for each column.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text; every line ends with a line feed.
    #[must_use]
    pub fn render(&self, style: Style) -> String {
        let widths = self.widths();
        let headings =
            self.columns.iter().zip(&widths).map(|(column, width)| aligned(*column, column.heading, *width));
        let heading = headings.collect::<Vec<_>>().join(&" ".repeat(GAP));
        let mut out = style.paint("1", heading.trim_end());
        out.push('\n');
        for row in &self.rows {
            self.write_row(&mut out, row, &widths, style);
        }
        out
    }

    fn widths(&self) -> Vec<usize> {
        let natural = |i: usize, column: &Column| {
            let cells = self.rows.iter().filter_map(|row| row.get(i));
            let widest = cells.flat_map(Cell::lines).map(|line| width(&line)).max().unwrap_or_default();
            widest.max(width(column.heading))
        };
        let mut widths: Vec<usize> =
            self.columns.iter().enumerate().map(|(i, column)| natural(i, column)).collect();
        let gaps = GAP.saturating_mul(self.columns.len().saturating_sub(1));
        while widths.iter().fold(gaps, |sum, width| sum.saturating_add(*width)) > COLUMNS {
            let flexible =
                widths.iter_mut().zip(&self.columns).filter(|(width, column)| **width > column.least);
            let Some((widest, _)) = flexible.max_by_key(|(width, _)| **width) else { break };
            *widest = widest.saturating_sub(1);
        }
        widths
    }

    fn write_row(&self, out: &mut String, row: &[Cell], widths: &[usize], style: Style) {
        let cells: Vec<Vec<String>> = row
            .iter()
            .zip(widths)
            .map(|(cell, columns)| cell.lines().iter().flat_map(|line| wrapped(line, *columns)).collect())
            .collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let mut text = String::new();
            let columns = row.iter().zip(&cells).zip(self.columns.iter().zip(widths));
            for (i, ((cell, lines), (column, columns))) in columns.enumerate() {
                let shown = lines.get(line).map(String::as_str).unwrap_or_default();
                text.push_str(if i == 0 { "" } else { "  " });
                // Blanks have no colour, so that a line's end can be cut.
                let blanks = columns.saturating_sub(width(shown));
                let painted = if shown.is_empty() { String::new() } else { style.paint(cell.colour, shown) };
                let blanks = " ".repeat(blanks);
                text.push_str(&if column.is_right { blanks + &painted } else { painted + &blanks });
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
    }
}

fn aligned(column: Column, text: &str, columns: usize) -> String {
    if column.is_right { format!("{text:>columns$}") } else { padded(text, columns) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit() {
        let mut table = Table::new(&[text("name", 4), text("what", 10), number("n")]);
        table.push([Cell::new("a"), Cell::new("word ".repeat(40)), Cell::new("7")]);
        table.push([Cell::coloured("b\u{1b}", "31"), Cell::new("one\ntwo"), Cell::new("10")]);
        let plain = table.render(Style::default());
        assert!(plain.lines().all(|line| width(line) <= COLUMNS && line == line.trim_end()), "{plain}");
        let lines: Vec<_> = plain.lines().collect();
        assert!(lines[0].starts_with("name  what") && lines[0].ends_with("   n"), "{plain}");
        assert!(lines[1].ends_with("   7"), "{plain}");
        assert_eq!(lines[lines.len() - 1].trim(), "two");
        let coloured = table.render(Style { colours: true });
        assert!(coloured.contains("\u{1b}[31mb\u{fffd}\u{1b}[0m"), "{coloured}");
    }
}
