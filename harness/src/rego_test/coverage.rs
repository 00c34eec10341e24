//! Which lines tests reached, counted as OPA does: heads that came to their end and statements that were begun cover
//! their lines; those that did not, miss them. A line with both counts twice. `some …` is never missed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::rego::{Kind, Marked};
use crate::table::{Cell, Style, Table, number, text};

/// The lines of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileCoverage {
    /// Lines that were reached.
    pub covered: BTreeSet<u32>,
    /// Lines that were not, or not wholly.
    pub missed: BTreeSet<u32>,
}

/// The lines of all files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By file.
    pub files: BTreeMap<String, FileCoverage>,
}

impl FileCoverage {
    fn percent(&self) -> f64 {
        percent(self.covered.len(), self.missed.len())
    }
}

fn percent(covered: usize, missed: usize) -> f64 {
    match covered.saturating_add(missed) {
        0 => 0.0,
        all => covered as f64 * 100.0 / all as f64,
    }
}

impl Coverage {
    pub(super) fn of(marked: &Marked, reached: &BTreeSet<usize>) -> Self {
        let mut files: BTreeMap<String, FileCoverage> =
            marked.files.iter().map(|file| (file.path.clone(), FileCoverage::default())).collect();
        for (i, mark) in marked.marks.iter().enumerate() {
            let file = marked.definitions.get(mark.definition).map(|definition| definition.file.as_str());
            let Some(file) = file.and_then(|file| files.get_mut(file)) else { continue };
            if reached.contains(&i) {
                file.covered.extend(mark.row..=mark.end);
            } else if mark.kind != (Kind::Statement { declares: true }) {
                file.missed.extend(mark.row..=mark.end);
            }
        }
        Self { files }
    }

    /// Lines that were reached, in percent of all that could be.
    #[must_use]
    pub fn percent(&self) -> f64 {
        let (covered, missed) = self.lines();
        percent(covered, missed)
    }

    /// How many lines were reached, and how many were not.
    fn lines(&self) -> (usize, usize) {
        let sum =
            |count: fn(&FileCoverage) -> usize| self.files.values().map(count).fold(0, usize::saturating_add);
        (sum(|file| file.covered.len()), sum(|file| file.missed.len()))
    }

    /// As `opa test --coverage` writes it, with rows and no columns.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let ranges = |rows: &BTreeSet<u32>| {
            let range = |(from, to)| json!({"start": {"row": from}, "end": {"row": to}});
            spans(rows).into_iter().map(range).collect::<Vec<_>>()
        };
        let file = |file: &FileCoverage| {
            json!({
                "covered": ranges(&file.covered),
                "not_covered": ranges(&file.missed),
                "covered_lines": file.covered.len(),
                "not_covered_lines": file.missed.len(),
                "coverage": file.percent(),
            })
        };
        let files: serde_json::Map<String, Value> =
            self.files.iter().map(|(path, lines)| (path.clone(), file(lines))).collect();
        let (covered, missed) = self.lines();
        json!({
            "files": files,
            "covered_lines": covered,
            "not_covered_lines": missed,
            "coverage": self.percent(),
        })
    }

    /// Names and values: the whole in percent and in lines, and the percentage of each file.
    #[must_use]
    pub fn properties(&self) -> Vec<(String, String)> {
        let (covered, missed) = self.lines();
        let mut properties = vec![
            ("coverage".to_owned(), format!("{:.2}", self.percent())),
            ("coverage.lines".to_owned(), covered.saturating_add(missed).to_string()),
            ("coverage.lines.covered".to_owned(), covered.to_string()),
        ];
        let of_file = |(path, file): (&String, &FileCoverage)| {
            (format!("coverage.file:{path}"), format!("{:.2}", file.percent()))
        };
        properties.extend(self.files.iter().map(of_file));
        properties
    }

    /// The files with what is missed, and the whole.
    #[must_use]
    pub fn table(&self, style: Style) -> String {
        let mut table =
            Table::new(&[text("file", 30), number("lines"), number("covered"), text("not covered", 20)]);
        for (path, file) in &self.files {
            let all = file.covered.len().saturating_add(file.missed.len());
            let missed: Vec<String> = spans(&file.missed)
                .into_iter()
                .map(|(from, to)| if from == to { from.to_string() } else { format!("{from}-{to}") })
                .collect();
            let colour = if missed.is_empty() { "32" } else { "33" };
            table.push([
                Cell::new(path.clone()),
                Cell::new(all.to_string()),
                Cell::coloured(format!("{:.1} %", file.percent()), colour),
                Cell::new(missed.join(" ")),
            ]);
        }
        format!("{}\ncoverage: {:.2} %\n", table.render(style), self.percent())
    }
}

/// Rows that follow each other, as one.
fn spans(rows: &BTreeSet<u32>) -> Vec<(u32, u32)> {
    let mut spans: Vec<(u32, u32)> = Vec::new();
    for row in rows {
        match spans.last_mut() {
            Some((_, to)) if to.saturating_add(1) == *row => *to = *row,
            _ => spans.push((*row, *row)),
        }
    }
    spans
}
