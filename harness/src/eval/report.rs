//! An evaluation as text and as JSON.

use remit_core::decision::{Decision, Outcome};
use remit_core::policy::EngineKind;
use serde_json::{Value, json};

use super::{Evaluation, Holding};
use crate::table::{Cell, Style, Table, text};
use crate::text::{padded, printable};

/// Columns of a heading.
const HEADING: usize = 10;

impl Evaluation {
    /// For people.
    #[must_use]
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        let mut line = |name: &str, text: &str, colour: &str| {
            let text = style.paint(colour, &printable(text));
            out.push_str(&format!("{}  {text}\n", padded(&printable(name), HEADING)));
        };
        line("rule", &self.rule, "");
        if let EngineKind::Interpreter { why } = &self.engine {
            line("engine", &format!("interpreter: {why}"), "");
        }
        match Decision::from_policy(self.value.clone()) {
            Ok(decision) => {
                let colour = match decision.outcome {
                    Outcome::Allow => "32",
                    Outcome::Deny => "31",
                    _ => "33",
                };
                line("outcome", decision.outcome.as_str(), colour);
                let reasons: Vec<_> = decision.reasons.iter().map(|reason| reason.as_str()).collect();
                let reasons = if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") };
                line("reasons", &reasons, "");
                for (name, value) in self.value.as_object().into_iter().flatten() {
                    if !["allowed", "outcome", "reasons"].contains(&name.as_str()) {
                        line(name, &value.to_string(), "");
                    }
                }
            }
            Err(problem) => {
                line("value", &self.value.to_string(), "");
                line("", &format!("no decision: {problem}"), "");
            }
        }
        for printed in &self.printed {
            line("printed", printed, "");
        }
        if let Some(held) = &self.held {
            out.push('\n');
            out.push_str(&table(held).render(style));
        }
        out
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let decision = Decision::from_policy(self.value.clone()).ok();
        let held = self.held.as_ref().map(|held| held.iter().map(Holding::to_json).collect::<Vec<_>>());
        json!({
            "remit_eval": 1,
            "rule": self.rule,
            "engine": match self.engine {
                EngineKind::Bytecode => "bytecode",
                EngineKind::Interpreter { .. } => "interpreter",
            },
            "value": self.value,
            "outcome": decision.as_ref().map(|decision| decision.outcome.as_str()),
            "reasons": decision.as_ref().map(|decision| &decision.reasons),
            "printed": self.printed,
            "held": held,
        })
    }
}

impl Holding {
    fn to_json(&self) -> Value {
        json!({
            "rule": self.rule,
            "file": self.file,
            "line": self.line,
            "default": self.is_default,
            "value": self.value,
        })
    }
}

fn table(held: &[Holding]) -> Table {
    let mut table = Table::new(&[text("held", 20), text("at", 20), text("value", 20)]);
    for held in held {
        let name = if held.is_default { format!("default {}", held.rule) } else { held.rule.clone() };
        let value = held.value.as_ref().map_or("-".to_owned(), Value::to_string);
        let at = format!("{}:{}", held.file, held.line);
        table.push([
            Cell::coloured(name, if held.is_default { "2" } else { "" }),
            Cell::new(at),
            Cell::new(value),
        ]);
    }
    table
}
