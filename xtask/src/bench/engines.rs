//! Evaluation alone, natively, hot in the module and in the proxy: what deciding costs beyond a decision that is remembered.
//! And how many requests a second the harness replays.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::subjects::BODY;
use super::table::{CACHED, INTERPRETED, KNOWN, Row, find};
use crate::scenario::Call;
use crate::workspace;

/// What chooses these measurements among the others.
pub(super) const NAME: &str = "evaluation apart from the proxy";

/// How much longer the bytecode may take in the module than natively.
const WANTED: f64 = 1.5;

/// One request, and the configurations whose policies decide it.
pub(super) struct Compared(Value);

/// Replays a second and a core that are wanted.
const WANTED_REPLAYS: f64 = 40_000.0;

/// How often the two are measured in turn: what disturbs one of them for a while would make a ratio of its own.
const TURNS: usize = 3;

/// Microseconds that an evaluation takes.
struct Evaluations {
    bytecode: f64,
    interpreter: f64,
}

/// What was measured outside the proxy.
pub(super) struct Apart {
    native: Evaluations,
    /// In the module, again and again.
    hot: Evaluations,
    /// Requests a second on one core and on two.
    replays: [f64; 2],
}

impl Evaluations {
    fn or(&self, other: &Self) -> Self {
        Self {
            bytecode: self.bytecode.min(other.bytecode),
            interpreter: self.interpreter.min(other.interpreter),
        }
    }
}

impl Apart {
    /// Of each number the better one: nothing makes a run faster than it is.
    fn or(&self, other: &Self) -> Self {
        let ([one, two], [other_one, other_two]) = (self.replays, other.replays);
        Self {
            native: self.native.or(&other.native),
            hot: self.hot.or(&other.hot),
            replays: [one.max(other_one), two.max(other_two)],
        }
    }
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
        let configuration = |text: &str| serde_json::from_str::<Map<String, Value>>(text);
        let (bytecode, mut interpreter) = (configuration(bytecode)?, configuration(interpreter)?);
        // Each has keys of its own; the request has one token.
        let issuers = bytecode.get("issuers").context("no issuers in the configuration")?;
        interpreter.insert("issuers".to_owned(), issuers.clone());
        Ok(Self(json!({
            "headers": headers,
            "body": body,
            "bytecode": bytecode,
            "interpreter": interpreter,
        })))
    }

    /// The document that `harness/benches/module.rs` reads.
    pub(super) fn document(&self) -> String {
        self.0.to_string()
    }

    /// Runs the measurements that [`build`] has built.
    pub(super) fn measure(&self, folder: &Path, module: &Path) -> Result<Apart> {
        let file = folder.join("engines.json");
        fs::write(&file, self.document()).with_context(|| format!("failed to write {}", file.display()))?;
        let run = |mut command: Command| {
            workspace::output(command.env("REMIT_ENGINES", &file).env("REMIT_MODULE", module))
        };
        let once = || parse(&run(cargo_bench(NATIVE))?, &run(cargo_bench(HOT))?);
        let mut best = once()?;
        for _ in 1..TURNS {
            best = best.or(&once()?);
        }
        Ok(best)
    }
}

/// Builds the measurements, which can take longer than a token lives.
pub(super) fn build() -> Result<()> {
    println!("Building the measurements apart from the proxy.");
    workspace::run(cargo_bench(NATIVE).arg("--no-run"))?;
    workspace::run(cargo_bench(HOT).arg("--no-run"))
}

/// Package and benchmark.
const NATIVE: [&str; 2] = ["remit-core", "engines"];
const HOT: [&str; 2] = ["remit-harness", "module"];

fn cargo_bench([package, bench]: [&str; 2]) -> Command {
    let mut command = workspace::cargo();
    command.args(["bench", "--quiet", "--package", package, "--bench", bench]);
    command
}

/// Lines of a name and a number.
fn parse(native: &str, hot: &str) -> Result<Apart> {
    let number = |output: &str, name: &str| -> Result<f64> {
        let line = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        match line.and_then(|number| number.trim().parse().ok()) {
            Some(number) => Ok(number),
            None => bail!("a measurement does not tell of {name}: {output}"),
        }
    };
    let evaluations = |output: &str| -> Result<Evaluations> {
        Ok(Evaluations { bytecode: number(output, "bytecode")?, interpreter: number(output, "interpreter")? })
    };
    let replays = [number(hot, "replays-1")?, number(hot, "replays-2")?];
    Ok(Apart { native: evaluations(native)?, hot: evaluations(hot)?, replays })
}

pub(super) fn render(rows: &[Row], apart: &Apart) -> String {
    let added = |name| find(rows, name).map(|row| row.added_micros);
    let mut block = format!(
        "{:34}{:>10}{:>10}{:>10}{:>10}{:>10}\n",
        "evaluation, µs", "native", "hot wasm", "ratio", "in Envoy", "ratio"
    );
    let Apart { native, hot, replays } = apart;
    for (engine, row, native, hot) in [
        ("bytecode", CACHED, native.bytecode, hot.bytecode),
        ("interpreter", INTERPRETED, native.interpreter, hot.interpreter),
    ] {
        let ratio = hot / native;
        let verdict = if ratio <= WANTED { "as wanted" } else { "over" };
        let in_envoy = match (added(row), added(KNOWN)) {
            (Some(whole), Some(known)) => {
                format!("{:>10.1}{:>10.2} ×", whole - known, (whole - known) / native)
            }
            _ => String::new(),
        };
        block.push_str(&format!(
            "{engine:34}{native:>10.1}{hot:>10.1}{ratio:>10.2}{in_envoy} hot {verdict}\n"
        ));
    }
    let [one, two] = replays;
    let verdict = if *one >= WANTED_REPLAYS { "as wanted" } else { "under" };
    block.push_str(&format!(
        "\nreplays a second in the harness, evaluated each: {one:.0} on one core, {verdict}; {two:.0} on two ({:.2} ×)\n",
        two / one,
    ));
    block
}

#[cfg(test)]
mod tests {
    use super::{parse, render};
    use crate::bench::table::{CACHED, INTERPRETED, KNOWN, Row};

    const NATIVE: &str = "bytecode 20\ninterpreter 130\n";
    const HOT: &str = "bytecode 30\ninterpreter 390\nreplays-1 18500\nreplays-2 36000\n";

    #[test]
    fn what_the_runs_print_is_read() {
        let apart = parse(NATIVE, HOT).unwrap();
        assert!((apart.native.bytecode - 20.0).abs() < 1e-9 && (apart.hot.interpreter - 390.0).abs() < 1e-9);
        assert!(parse("bytecode 26.5\n", HOT).is_err() && parse(NATIVE, NATIVE).is_err());
    }

    #[test]
    fn the_better_run_counts() {
        let disturbed = parse("bytecode 40\ninterpreter 120\n", HOT).unwrap();
        let best = parse(NATIVE, "bytecode 60\ninterpreter 300\nreplays-1 9000\nreplays-2 40000\n")
            .unwrap()
            .or(&disturbed);
        let seen = [best.native.bytecode, best.native.interpreter, best.hot.bytecode, best.hot.interpreter];
        for (seen, expected) in
            seen.into_iter().chain(best.replays).zip([20.0, 120.0, 30.0, 300.0, 18_500.0, 40_000.0])
        {
            assert!((seen - expected).abs() < 1e-9, "{seen} {expected}");
        }
    }

    #[test]
    fn the_remembered_decision_is_taken_off() {
        let row = |name: &str, added_micros| Row { name: name.into(), added_micros, ..Row::default() };
        let rows = [row(CACHED, 90.0), row(KNOWN, 50.0), row(INTERPRETED, 440.0)];
        let block = render(&rows, &parse(NATIVE, HOT).unwrap());
        let lines: Vec<_> = block.lines().skip(1).collect();
        assert!(
            lines[0].ends_with("20.0      30.0      1.50      40.0      2.00 × hot as wanted"),
            "{block}"
        );
        assert!(lines[1].ends_with("130.0     390.0      3.00     390.0      3.00 × hot over"), "{block}");
        assert!(lines[3].contains("18500 on one core, under; 36000 on two (1.95 ×)"), "{block}");
    }
}
