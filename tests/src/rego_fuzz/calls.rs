//! Calls of builtins with arguments of the types that OPA declares, and now and then of others.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::words::{FAMILIES, NUMBERS, SMALL, WORDS};
use super::{Difference, Server, decide, load, same};
use crate::opa_cases::{Opa, Outcome};

/// What answers differently each time, asks others, writes to the log, is a relation, or would take all of OPA's memory
/// (`net.cidr_expand` of a large network).
const LEFT_OUT: &[&str] = &[
    "http.send",
    "net.cidr_expand",
    "opa.runtime",
    "print",
    "rand.intn",
    "time.now_ns",
    "trace",
    "uuid.rfc4122",
    "walk",
];

/// A builtin of OPA.
#[derive(Debug)]
pub struct Builtin {
    /// As policies write it.
    pub name: String,
    /// The types of its arguments, in OPA's own form.
    arguments: Vec<Value>,
}

/// What the comparison of a builtin came to.
#[derive(Debug, Default)]
pub struct Called {
    /// How many calls were compared.
    pub calls: u64,
    /// How many of them have a value in OPA.
    pub valued: u64,
    /// How many end the evaluation here with a message that says why.
    pub ended: Vec<(Value, String)>,
    /// Those that differ.
    pub differences: Vec<Difference>,
}

/// The builtins of an OPA.
///
/// # Errors
/// When it does not tell them.
pub fn builtins(opa: &Opa) -> Result<Vec<Builtin>> {
    let told = Command::new(opa.path()).args(["capabilities", "--current"]).output()?;
    let told: Value = serde_json::from_slice(&told.stdout)?;
    let mut all = Vec::new();
    for builtin in told.get("builtins").and_then(Value::as_array).context("OPA names no builtins")? {
        let name = builtin["name"].as_str().context("a builtin without a name")?;
        if !LEFT_OUT.contains(&name) && builtin["infix"].is_null() && !name.starts_with("internal.") {
            let arguments =
                builtin.pointer("/decl/args").and_then(Value::as_array).cloned().unwrap_or_default();
            all.push(Builtin { name: name.to_owned(), arguments });
        }
    }
    Ok(all)
}

impl Builtin {
    /// Compares so many calls; `None` where Remit refuses them at load.
    ///
    /// # Errors
    /// When OPA does not answer, or refuses a call.
    pub fn compare(&self, calls: usize, seed: u64, opa: &mut Server) -> Result<Option<Called>> {
        let mut dice =
            Dice(self.name.bytes().fold(seed, |sum, b| sum.wrapping_mul(31).wrapping_add(u64::from(b))));
        let mut called = Called::default();
        let mut rest = calls;
        while rest > 0 {
            let turn = rest.min(50);
            rest = rest.saturating_sub(turn);
            let forms: Vec<&str> = self.arguments.iter().map(|argument| form(argument, &mut dice)).collect();
            let written = |of: &str| {
                let places = (0_u32..).zip(&forms);
                let all: Vec<String> =
                    places.map(|(at, form)| form.replace('X', &format!("{of}[{at}]"))).collect();
                format!("{}({})", self.name, all.join(", "))
            };
            let text = format!("package fuzz\n\ndecision := {}\n", written("input.x"));
            let Ok(policy) = load(&text) else { return Ok(None) };
            let interpreted = load(&text)?.interpreted();
            let cases: Vec<Vec<Value>> = (0..turn).map(|_| self.some(&mut dice)).collect();
            let all = format!(
                "package fuzz\n\ndecision[i] := v if {{\n\tsome i, x in input.all\n\tv := {}\n}}\n",
                written("x")
            );
            opa.load(&all)?.map_err(anyhow::Error::msg)?;
            let answers = opa.decide(&json!({ "all": cases }))?;
            for (at, case) in cases.into_iter().enumerate() {
                let wanted = match &answers {
                    Outcome::Value(answers) => answers.get(at.to_string()).cloned(),
                    // One of them ends OPA's evaluation.
                    _ => match opa.decide(&json!({ "all": [case] }))? {
                        Outcome::Value(answer) => answer.get("0").cloned(),
                        _ => continue,
                    },
                };
                let wanted = wanted.map_or(Outcome::Undefined, Outcome::Value);
                let input = json!({ "x": case });
                let (bytecode, interpreter) = (decide(&policy, &input), decide(&interpreted, &input));
                called.calls = called.calls.saturating_add(1);
                called.valued = called.valued.saturating_add(u64::from(wanted != Outcome::Undefined));
                if let (Outcome::Error(why), Outcome::Error(_)) = (&bytecode, &interpreter) {
                    called.ended.push((json!(case), why.clone()));
                } else if [&bytecode, &interpreter]
                    .into_iter()
                    .any(|got| !same(&wanted, got) && !is_near(&wanted, got, &input))
                {
                    let policy = text.clone();
                    let bytecode = Some(bytecode);
                    called.differences.push(Difference { policy, input, opa: wanted, bytecode, interpreter });
                }
            }
        }
        Ok(Some(called))
    }

    fn some(&self, dice: &mut Dice) -> Vec<Value> {
        let words = FAMILIES.iter().find(|(family, _)| self.name.starts_with(family));
        let words = words.map_or(WORDS, |(_, words)| words);
        // OPA makes a range of any length.
        let is_range = self.name.starts_with("numbers.range");
        let one = |argument| match is_range {
            true => number(dice, SMALL),
            false => value(dice, argument, words, 3),
        };
        let arguments: Vec<Value> = self.arguments.iter().map(one).collect();
        // OPA keeps how a number was written, and writes it so again.
        let is_writer = self.name.starts_with("json.marshal") || self.name == "sprintf";
        let written = json!(arguments).to_string();
        if is_writer && (written.contains(".0") || written.contains("e-")) {
            self.some(dice)
        } else {
            arguments
        }
    }
}

/// Whether two numbers differ by no more than OPA's 64 bits and a double's 53 do, after a few steps with these arguments.
fn is_near(wanted: &Outcome, got: &Outcome, arguments: &Value) -> bool {
    let number = |outcome: &Outcome| match outcome {
        Outcome::Value(value) => value.as_f64(),
        _ => None,
    };
    number(wanted)
        .zip(number(got))
        .is_some_and(|(a, b)| (a - b).abs() <= largest(arguments).max(a.abs()) * 1e-15)
}

fn largest(value: &Value) -> f64 {
    match value {
        Value::Array(items) => items.iter().map(largest).fold(0.0, f64::max),
        Value::Object(fields) => fields.values().map(largest).fold(0.0, f64::max),
        value => value.as_f64().unwrap_or_default().abs(),
    }
}

/// How an argument is written, `X` being what the input has: JSON has no sets.
fn form(argument: &Value, dice: &mut Dice) -> &'static str {
    let is_set = |of: &Value| of["type"] == "set";
    let set = match argument["type"].as_str() {
        Some("set") if is_set(&argument["of"]) => return "{{e | some e in s} | some s in X}",
        Some("array") if is_set(&argument["dynamic"]) => return "[{e | some e in s} | some s in X]",
        Some("set") => true,
        Some("any") => match argument["of"].as_array() {
            Some(of) => of.iter().any(is_set) && dice.chance(5),
            None => dice.chance(1),
        },
        _ => false,
    };
    if set { "{e | some e in X}" } else { "X" }
}

/// A value of a type, or of another one; the elements of a set are an array.
fn value(dice: &mut Dice, of: &Value, words: &[&str], depth: usize) -> Value {
    let any = json!({"type": "any"});
    let below = depth.saturating_sub(1);
    if dice.roll(20) == 0 {
        return value(dice, &any, words, below);
    }
    let text = |dice: &mut Dice| {
        let from = if dice.chance(7) { words } else { WORDS };
        let one = dice.pick(from).to_owned();
        if dice.chance(1) { one + dice.pick(WORDS) } else { one }
    };
    match of["type"].as_str() {
        Some("string") => Value::from(text(dice)),
        Some("number") => number(dice, NUMBERS),
        Some("boolean") => json!(dice.chance(5)),
        Some("array" | "set") => {
            if let Some(all) = of["static"].as_array() {
                return all.iter().map(|of| value(dice, of, words, below)).collect();
            }
            let element = of.get("dynamic").or(of.get("of")).unwrap_or(&any);
            (0..dice.roll(4)).map(|_| value(dice, element, words, below)).collect()
        }
        Some("object") => {
            let mut fields = Map::new();
            for field in of["static"].as_array().into_iter().flatten() {
                if dice.chance(8) {
                    let key = field["key"].as_str().unwrap_or_default().to_owned();
                    fields.insert(key, value(dice, &field["value"], words, below));
                }
            }
            for _ in 0..dice.roll(4) {
                let element = of["dynamic"].get("value").unwrap_or(&any);
                fields.insert(text(dice), value(dice, element, words, below));
            }
            Value::Object(fields)
        }
        Some("any") => match of["of"].as_array() {
            Some(all) => {
                let at = dice.roll(all.len());
                all.get(at).map_or(Value::Null, |of| value(dice, of, words, below))
            }
            None => match dice.roll(if depth == 0 { 4 } else { 6 }) {
                0 => Value::Null,
                1 => json!(dice.chance(5)),
                2 => number(dice, NUMBERS),
                3 => Value::from(text(dice)),
                4 => value(dice, &json!({"type": "array"}), words, below),
                _ => value(dice, &json!({"type": "object"}), words, below),
            },
        },
        _ => Value::Null,
    }
}

fn number(dice: &mut Dice, of: &[&str]) -> Value {
    serde_json::from_str(dice.pick(of)).unwrap_or_default()
}
