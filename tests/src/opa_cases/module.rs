//! A case in the filter's module: its policy as an inline bundle, its input as the body of a request.

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_core::ids::Now;
use remit_core::policy::{add_module, parser};
use remit_harness::capture::Response;
use remit_harness::host::Module;
use remit_harness::pack::Files;
use remit_harness::replay::{Subject, Wasm, WasmOptions, WireRequest};
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::play::{files, question};
use super::read::Case;

/// The denial's body is what the case asks for.
const HEAD: &str = "decision := {\"allowed\": false, \"body\": json.marshal({\"v\": remit_v})}";

/// What the module makes of a case; an error is why a request cannot carry it.
///
/// # Errors
/// When the module refuses the configuration, or the request before the policy sees it.
pub fn in_module(module: &Module, case: &Case, now: Now) -> Result<Outcome, String> {
    let options = WasmOptions { start: now, ..WasmOptions::default() };
    let config = configuration(case).map_err(|error| format!("{error:#}"))?;
    let mut wasm = Wasm::new(module, &config, &options).map_err(|error| format!("{error:#}"))?;
    let body = case.input.clone().unwrap_or_else(|| json!({})).to_string().into_bytes();
    let request = WireRequest {
        method: "POST".to_owned(),
        scheme: "http".to_owned(),
        authority: "case.example".to_owned(),
        path: "/".to_owned(),
        headers: vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("content-length".to_owned(), body.len().to_string()),
        ],
        body,
    };
    let observed = wasm.carry(&request, &Response::default(), now).map_err(|error| format!("{error:#}"))?;
    if let Some(fault) = observed.fault {
        return Ok(Outcome::Error(fault));
    }
    let audit = observed.audit.map(|audit| audit.line).unwrap_or_default();
    let record: Value = serde_json::from_str(&audit).unwrap_or_default();
    match record.pointer("/reasons/0").and_then(Value::as_str) {
        Some("decision_undefined") => return Ok(Outcome::Undefined),
        Some("decision_conflict") => return Ok(Outcome::Conflict),
        Some(code) if code.ends_with("_exhausted") || code == "evaluation_failed" => {
            return Ok(Outcome::Error(code.to_owned()));
        }
        Some(code) => return Err(format!("{code}: {audit}")),
        None => {}
    }
    let body = observed.reply.map(|reply| reply.body).unwrap_or_default();
    let answer: Option<Value> = serde_json::from_slice(&body).ok();
    let value = answer.as_ref().and_then(|answer| answer.get("v")).cloned();
    Ok(value.map_or_else(
        || Outcome::Error(format!("{} {audit}", String::from_utf8_lossy(&body))),
        Outcome::Value,
    ))
}

fn configuration(case: &Case) -> anyhow::Result<String> {
    let mut bundle = Files::default();
    for (name, content) in files(case, &question(case, HEAD)) {
        let content = match name.ends_with(".rego") {
            true => below_body(&written_out(&name, &String::from_utf8(content)?)?).into_bytes(),
            false => content,
        };
        bundle.add(&name, content)?;
    }
    Ok(json!({
        "version": 1,
        "bundle": {"inline": STANDARD.encode(bundle.to_targz()?)},
        "decision": "remit_case/decision",
        "failures": {"token_missing": "decide_without"},
        "denials": {"body": "policy"},
        "limits": {"evaluation_ms": 1000, "instructions": 10_000_000, "json_depth": 64},
    })
    .to_string())
}

/// A module with calls in place of its template strings, as the parser gets it: there is code in them.
fn written_out(name: &str, module: &str) -> anyhow::Result<String> {
    let mut engine = parser();
    if !module.contains("$\"") && !module.contains("$`")
        || add_module(&mut engine, false, name, module).is_err()
    {
        return Ok(module.to_owned());
    }
    let module = engine.get_modules().first().context("it was added")?.clone();
    Ok(module.package.span.source.get_contents().clone())
}

/// A module that reads `input.parsed_body` wherever it read `input`; texts and comments stay.
fn below_body(module: &str) -> String {
    let mut moved = String::new();
    let mut rest = module;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => quoted(rest),
            '`' => rest
                .get(1..)
                .and_then(|inner| inner.find('`'))
                .map_or(rest.len(), |end| end.saturating_add(2)),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (part, after) = rest.split_at(length);
        moved.push_str(part);
        if part == "input" && before != '.' {
            moved.push_str(".parsed_body");
        }
        before = part.chars().last().unwrap_or(' ');
        rest = after;
    }
    moved
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The length of the text that begins here, quotes and all.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at.saturating_add(1),
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_moves_below_the_body() {
        for (module, moved) in [
            ("p if input.x", "p if input.parsed_body.x"),
            ("p if data.input.x # input", "p if data.input.x # input"),
            ("p := \"an \\\"input\" + input", "p := \"an \\\"input\" + input.parsed_body"),
            ("p := `input` in input_b", "p := `input` in input_b"),
            ("p if f with input as input.y", "p if f with input.parsed_body as input.parsed_body.y"),
        ] {
            assert_eq!(below_body(module), moved);
        }
    }
}
