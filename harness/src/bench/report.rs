//! A measurement as a table with bars, and as JSON.

use std::time::Duration;

use remit_core::policy::EngineKind;
use serde_json::{Value, json};

use super::{Benchmark, Outcome, Timed};
use crate::table::{Cell, Style, Table, number, text};

/// Columns of a bar as long as the longest.
const BAR: f64 = 20.0;

impl Benchmark {
    /// For people.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut table = Table::new(&[
            text("rule", 30),
            text("at", 20),
            number("median µs"),
            number("of the whole"),
            text("", 20),
        ]);
        let all = || std::iter::once(&self.decision).chain(&self.rules);
        let longest = all().filter_map(Timed::median).max().unwrap_or_default();
        for timed in all() {
            let (time, share, bar) = match &timed.result {
                Outcome::Median { median, engine, undefined } => {
                    let mut bar = bar(*median, longest);
                    if let EngineKind::Interpreter { .. } = engine {
                        bar.push_str(" interpreter");
                    }
                    if *undefined > 0 {
                        bar.push_str(&format!("\nundefined on {undefined}"));
                    }
                    let share = self.share(*median) * 100.0;
                    (format!("{:.1}", micros(*median)), format!("{share:.0} %"), bar)
                }
                Outcome::Failed(problem) => ("-".to_owned(), "-".to_owned(), problem.clone()),
            };
            let colour = if matches!(timed.result, Outcome::Failed(_)) { "31" } else { "36" };
            table.push([
                Cell::new(&timed.rule),
                Cell::new(&timed.at),
                Cell::new(time),
                Cell::new(share),
                Cell::coloured(bar, colour),
            ]);
        }
        let inputs = if self.inputs == 1 { "1 input".to_owned() } else { format!("{} inputs", self.inputs) };
        format!("{}\n{} runs of each rule on {inputs}, natively\n", table.render(style), self.runs)
    }

    /// For programs. Times are in microseconds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let shown = |timed: &Timed| match &timed.result {
            Outcome::Median { median, engine, undefined } => json!({
                "rule": timed.rule,
                "at": timed.at,
                "median_us": micros(*median),
                "ratio": self.share(*median),
                "engine": match engine {
                    EngineKind::Bytecode => "bytecode",
                    EngineKind::Interpreter { .. } => "interpreter",
                },
                "undefined": undefined,
            }),
            Outcome::Failed(problem) => {
                json!({ "rule": timed.rule, "at": timed.at, "error": problem })
            }
        };
        json!({
            "remit_bench": 1,
            "runs": self.runs,
            "inputs": self.inputs,
            "decision": shown(&self.decision),
            "rules": self.rules.iter().map(shown).collect::<Vec<_>>(),
        })
    }

    fn share(&self, time: Duration) -> f64 {
        let whole = self.decision.median().unwrap_or_default().as_secs_f64();
        if whole > 0.0 { time.as_secs_f64() / whole } else { 0.0 }
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn bar(time: Duration, longest: Duration) -> String {
    let columns = if longest.is_zero() { 0.0 } else { time.as_secs_f64() / longest.as_secs_f64() * BAR };
    let mut bar = String::new();
    let mut at = 0.5;
    while at <= columns {
        bar.push('█');
        at += 1.0;
    }
    if bar.is_empty() { "▏".to_owned() } else { bar }
}
