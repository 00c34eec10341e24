//! YAML data against real OPA: what is accepted here means the same there.
#![expect(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test that fails says where")]

use anyhow::{Context as _, Result};
use remit_core::bundle::{Bundle, BundleLimits};
use remit_tests::scratch::{Opa, Scratch};
use serde_json::Value;

/// Documents in all, in so many batches.
const DOCUMENTS: usize = 8_000;
const BATCH: usize = 300;

/// A random number generator that gives the same numbers everywhere (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0) % end.max(1)
    }

    fn of<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

const SCALARS: &[&str] = &[
    "a",
    "b c",
    "1",
    "-1",
    "0",
    "007",
    "1.5",
    "1.0",
    "-0.0",
    "1e3",
    "1E-7",
    ".5",
    "5.",
    "+3",
    "0x1f",
    "0o17",
    "0b1",
    "1_000",
    "12345678901234567890",
    "123456789012345678901234567890",
    "1e400",
    "true",
    "True",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "null",
    "~",
    "Null",
    "''",
    "\"\"",
    "'it''s'",
    "'x: y'",
    "\"a\\tb\\u00e9\\x41\"",
    "\"\\/\"",
    "'# no'",
    "a#b",
    "a:b",
    "http://x/y?z#w",
    "12:30",
    "2026-01-02",
    "2026-01-02T03:04:05Z",
    ".inf",
    ".nan",
    "-",
    "- a",
    "?",
    ":",
    "x:",
    "a: b",
    "@a",
    "`a",
    "%a",
    "&a b",
    "*a",
    "!a b",
    "!!str 1",
    "|",
    ">",
    "[",
    "]",
    "{",
    "}",
    ",",
    "a, b",
    "a]",
    "{a: 1}",
    "[1, 2]",
    "[a, 'b', \"c\"]",
    "{\"a\":1}",
    "{a: , b: 2}",
    "[1, 2,]",
    "[]",
    "{}",
    "[[1], {a: [b]}]",
    "[a b, c:d]",
    "[http://x/y]",
    "{a: b: c}",
    "{a}",
    "é",
    "日本",
    "1.2.3",
    "--",
    "---x",
    "...x",
    "\"unclosed",
    "'unclosed",
    "a\\b",
    "-x",
    "?x",
    ":x",
    "x - y",
    "a  b",
    "0.1",
    "1e",
    "e1",
    "1-1",
    "0x",
    "0xfg",
    "+",
    "-.5",
    "+.5e1",
    "._1",
    "=",
    "<<",
    "a'b",
    "a\"b",
    "'a' b",
    "\"a\" # c",
    "a # c",
    "a #",
    "#c",
];

const KEYS: &[&str] = &[
    "a",
    "b",
    "c",
    "d e",
    "1",
    "-2",
    "1.5",
    "true",
    "yes",
    "null",
    "~",
    "'q'",
    "\"q r\"",
    "'a: b'",
    "x y",
    "<<",
    "?",
    "- k",
    "é",
    "a#b",
    "a:b",
    "[k]",
    "{k: 1}",
    "&k a",
    "0x1",
    "k.k",
    "k-k",
    "2026-01-02",
    "\"\\u0041\"",
    "''",
    "=",
];

fn value(random: &mut Random, out: &mut String, indent: usize, levels: usize) {
    let pad = " ".repeat(indent);
    match random.below(if levels == 0 { 3 } else { 8 }) {
        0..=2 => {
            out.push(' ');
            out.push_str(random.of(SCALARS));
            out.push_str(random.of(&["\n", "\n", "\n", "  # c\n", " \n", "\n\n"]));
        }
        3 => {
            let header = random.of(&["|", ">", "|-", ">-", "|+", ">+", "|2", ">1-", "| # c"]);
            out.push_str(&format!(" {header}\n"));
            for _ in 0..random.below(5) {
                let line = random.of(&["x", "x y", " x", "", "", "# no", "- a", "k: v", "\tx", "  deep"]);
                out.push_str(&format!("{pad}{}{line}\n", random.of(&["  ", "  ", "  ", " ", ""])));
            }
        }
        4 => {
            let opening = random.of(&["[1,\n", "[\n", "[ # c\n", "[a,\n\n"]);
            out.push_str(&format!(
                " {opening}{pad}  {}\n{pad}{}\n",
                random.of(SCALARS),
                random.of(&["]", " ]", ", ]", "],"])
            ));
        }
        5 | 6 => {
            out.push_str(random.of(&["\n", "\n", "  # c\n", "\n\n"]));
            let deeper = random.of(&["  ", "  ", " ", "    ", ""]).len();
            mapping(random, out, indent + deeper, levels - 1);
        }
        _ => {
            out.push_str(random.of(&["\n", "\n", " # c\n"]));
            let deeper = random.of(&["", "  ", " "]).len();
            sequence(random, out, indent + deeper, levels - 1);
        }
    }
}

fn mapping(random: &mut Random, out: &mut String, indent: usize, levels: usize) {
    for _ in 0..=random.below(3) {
        let key =
            if random.below(4) == 0 { random.of(KEYS).to_owned() } else { format!("k{}", random.below(50)) };
        out.push_str(&format!(
            "{}{key}{}",
            " ".repeat(indent),
            random.of(&[":", ":", ":", ":", ":", ":", " :"])
        ));
        value(random, out, indent, levels);
    }
}

fn sequence(random: &mut Random, out: &mut String, indent: usize, levels: usize) {
    for _ in 0..=random.below(3) {
        out.push_str(&format!("{}-", " ".repeat(indent)));
        if random.below(4) == 0 && levels > 0 {
            let mut inner = String::new();
            mapping(random, &mut inner, indent + 2, levels - 1);
            out.push(' ');
            out.push_str(inner.trim_start());
        } else {
            value(random, out, indent, levels);
        }
    }
}

/// What Remit reads in a document of YAML, or why it does not.
fn read(document: &str) -> Result<Value, String> {
    let files = [("d/data.yaml", document.as_bytes().to_vec())];
    let bundle = Bundle::from_files(files, &BundleLimits::default()).map_err(|error| error.to_string())?;
    Ok(bundle.data()["d"].clone())
}

#[test]
fn what_is_accepted_means_what_opa_reads() -> Result<()> {
    let Some(opa) = Opa::find() else { return Ok(()) };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = Vec::new();
    for _ in 0..DOCUMENTS {
        let mut document = random.of(&["", "", "", "---\n", "# c\n"]).to_owned();
        match random.below(5) {
            0 => sequence(&mut random, &mut document, 0, 3),
            1 => document.push_str(random.of(SCALARS)),
            _ => mapping(&mut random, &mut document, 0, 3),
        }
        if random.below(6) == 0 {
            document.truncate(document.trim_end().len());
        }
        if let Ok(value) = read(&document) {
            accepted.push((document, value));
        }
    }
    assert!(accepted.len() > DOCUMENTS / 8, "only {} documents are accepted", accepted.len());
    let mut differences = Vec::new();
    for batch in accepted.chunks(BATCH) {
        let scratch = Scratch::new(&[])?;
        for (at, (document, _)) in batch.iter().enumerate() {
            scratch.write(&format!("b/d{at}/data.yaml"), document.as_bytes())?;
        }
        // One document that OPA refuses hides the others of its batch, so it is taken out.
        let data = loop {
            let error = match opa.data(&scratch.path(""), "b") {
                Ok(data) => break data,
                Err(error) => format!("{error:#}"),
            };
            let folder = error.split_once("b/d").and_then(|(_, rest)| rest.split('/').next());
            let at: usize = folder.with_context(|| error.clone())?.parse().with_context(|| error.clone())?;
            let reason =
                error.lines().find(|line| line.contains("message")).unwrap_or_default().trim().to_owned();
            differences.push(format!("{:?}\n  {reason}", batch[at].0));
            std::fs::remove_dir_all(scratch.path(&format!("b/d{at}")))?;
        };
        for (at, (document, value)) in batch.iter().enumerate() {
            let there = data.get(format!("d{at}"));
            if there.is_some_and(|there| there != value) {
                differences.push(format!("{document:?}\n  {value}\n  {}", there.unwrap_or(&Value::Null)));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    println!("{} of {DOCUMENTS} documents are accepted, and mean the same to OPA", accepted.len());
    Ok(())
}
