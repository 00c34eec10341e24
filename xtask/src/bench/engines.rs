//! Evaluation alone, in the proxy and natively: what deciding costs beyond a decision that is remembered.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::subjects::BODY;
use super::table::{CACHED, INTERPRETED, KNOWN, Row, find};
use crate::scenario::Call;
use crate::workspace;

/// How much longer the bytecode may take in the module than natively.
const WANTED: f64 = 1.5;

/// One request, and the configurations whose policies decide it.
pub(super) struct Compared(Value);

/// Microseconds that an evaluation takes natively.
pub(super) struct Native {
    bytecode: f64,
    interpreter: f64,
}

impl Compared {
    pub(super) fn new(call: &Call, bytecode: &str, interpreter: &str) -> Result<Self> {
        let request = String::from_utf8(call.bytes(BODY, None)).context("a request is not UTF-8")?;
        let (head, body) = request.split_once("\r\n\r\n").context("a request without an end of its head")?;
        let mut headers = vec![
            (":method", call.method.as_str()),
            (":scheme", "http"),
            (":authority", call.authority.as_str()),
            (":path", call.path.as_str()),
        ];
        headers.extend(head.lines().skip(2).filter_map(|line| line.split_once(": ")));
        let configuration = |text: &str| serde_json::from_str::<Value>(text);
        Ok(Self(json!({
            "headers": headers,
            "body": body,
            "bytecode": configuration(bytecode)?,
            "interpreter": configuration(interpreter)?,
        })))
    }

    /// Runs the native measurement, which [`build`] has built.
    pub(super) fn measure(&self, folder: &Path) -> Result<Native> {
        let file = folder.join("engines.json");
        fs::write(&file, self.0.to_string())
            .with_context(|| format!("failed to write {}", file.display()))?;
        parse(&workspace::output(cargo_bench().env("REMIT_ENGINES", &file))?)
    }
}

/// Builds the native measurement, which can take longer than a token lives.
pub(super) fn build() -> Result<()> {
    println!("Building the native measurement.");
    workspace::run(cargo_bench().arg("--no-run"))
}

fn cargo_bench() -> Command {
    let mut command = workspace::cargo();
    command.args(["bench", "--quiet", "--package", "remit-core", "--bench", "engines"]);
    command
}

/// Lines of a name and a number.
fn parse(output: &str) -> Result<Native> {
    let micros = |engine: &str| -> Result<f64> {
        let line = output.lines().find_map(|line| line.strip_prefix(engine)?.strip_prefix(' '));
        match line.and_then(|number| number.trim().parse().ok()) {
            Some(micros) => Ok(micros),
            None => bail!("the native measurement does not tell of {engine}: {output}"),
        }
    };
    Ok(Native { bytecode: micros("bytecode")?, interpreter: micros("interpreter")? })
}

pub(super) fn render(rows: &[Row], native: &Native) -> String {
    let added = |name| find(rows, name).map(|row| row.added_micros);
    let mut block = format!("{:50}{:>10}{:>10}{:>10}\n", "evaluation, µs", "in Envoy", "native", "ratio");
    for (engine, row, native) in
        [("bytecode", CACHED, native.bytecode), ("interpreter", INTERPRETED, native.interpreter)]
    {
        let (Some(whole), Some(known)) = (added(row), added(KNOWN)) else { continue };
        let (micros, ratio) = (whole - known, (whole - known) / native);
        let verdict = if ratio <= WANTED { "as wanted" } else { "over" };
        block.push_str(&format!("{engine:50}{micros:>10.1}{native:>10.1}{ratio:>10.2} × {verdict}\n"));
    }
    block
}

#[cfg(test)]
mod tests {
    use super::{Native, parse, render};
    use crate::bench::table::{CACHED, INTERPRETED, KNOWN, Row};

    #[test]
    fn what_the_native_run_prints_is_read() {
        let native = parse("bytecode 26.5\ninterpreter 130\n").unwrap();
        assert!((native.bytecode - 26.5).abs() < 1e-9 && (native.interpreter - 130.0).abs() < 1e-9);
        assert!(parse("bytecode 26.5\n").is_err());
    }

    #[test]
    fn the_remembered_decision_is_taken_off() {
        let row = |name: &str, added_micros| Row { name: name.into(), added_micros, ..Row::default() };
        let rows = [row(CACHED, 80.0), row(INTERPRETED, 250.0), row(KNOWN, 50.0)];
        let block = render(&rows, &Native { bytecode: 25.0, interpreter: 100.0 });
        let lines: Vec<&str> = block.lines().collect();
        assert!(lines[1].ends_with("30.0      25.0      1.20 × as wanted"), "{block}");
        assert!(lines[2].ends_with("200.0     100.0      2.00 × over"), "{block}");
    }
}
