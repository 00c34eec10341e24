//! Reads captures and logs a line at a time. A line that should be a record and is none is named, and the next one read.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use remit_core::ids::Now;
use remit_core::json;
use serde::Deserialize;
use serde_json::Value;

use super::{Facts, Inventory, Sighting};
use crate::capture::{Exchange, IssuerKey, Template, VERSION};
use crate::time;

/// The longest line that is read, in bytes; of a longer one the rest is skipped.
pub(super) const MAX_LINE: usize = 32 << 20;
/// Nesting of JSON in a line.
const DEPTH: usize = 64;
/// How the filter's audit lines begin, wherever in a line of a log they do.
const AUDIT: &str = r#"{"audit":"remit.audit/"#;
/// How a compressed file begins (RFC 1952 section 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// What audit lines are.
const NAME: &str = "remit.audit/";

/// A line that should be a record and is none.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Malformed {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

/// Told now and then how many lines were read.
pub type Progress<'a> = &'a mut dyn FnMut(u64);

/// A file, or what stands for one.
pub struct Source<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its content.
    pub content: &'a mut dyn BufRead,
}

/// The first line of a capture.
#[derive(Deserialize)]
struct Header {
    remit_capture: u32,
    start: String,
    #[serde(default)]
    issuers: BTreeMap<String, IssuerKey>,
    #[serde(default)]
    tokens: BTreeMap<String, Template>,
}

/// What the lines of a capture refer to.
struct Capture {
    start: Now,
    issuers: BTreeMap<String, IssuerKey>,
    tokens: BTreeMap<String, Template>,
}

impl Inventory {
    /// Takes a capture or a log in: which of both, its first line with something in it says.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read(&mut self, source: Source<'_>, facts: &Facts, progress: Progress<'_>) -> io::Result<()> {
        let mut line = Vec::new();
        let mut number = 0_u64;
        let mut capture = None;
        let mut is_first = true;
        if source.content.fill_buf()?.starts_with(GZIP) {
            let message = "compressed: unpack it first, as `gzip -d` does";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        while let Some(is_whole) = next_line(source.content, &mut line)? {
            number = number.saturating_add(1);
            progress(number);
            if is_whole && line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let taken = if !is_whole {
                Err(format!("longer than {MAX_LINE} bytes"))
            } else if is_first && contains(&line, b"\"remit_capture\"") {
                header(&line).map(|header| {
                    capture = Some(header);
                    None
                })
            } else if let Some(capture) = &capture {
                exchange(&line, capture, facts).map(Some)
            } else {
                record(&line).transpose().map_or_else(
                    || {
                        self.other_lines = self.other_lines.saturating_add(1);
                        Ok(None)
                    },
                    |record| record.map(Some),
                )
            };
            is_first = false;
            match taken {
                Ok(Some(sighting)) => self.add(sighting),
                Ok(None) => {}
                Err(problem) => {
                    self.refuse(Malformed { file: source.name.to_owned(), line: number, problem })
                }
            }
        }
        Ok(())
    }
}

/// The next line without its end, and whether all of it is there; `None` at the end.
fn next_line(content: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let (mut is_whole, mut any) = (true, false);
    loop {
        let buffer = match content.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            return Ok(any.then_some(is_whole));
        }
        any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        if line.len().saturating_add(piece.len()) <= MAX_LINE {
            line.extend_from_slice(piece);
        } else {
            is_whole = false;
        }
        let used = piece.len().saturating_add(usize::from(end.is_some()));
        content.consume(used);
        if end.is_some() {
            return Ok(Some(is_whole));
        }
    }
}

fn contains(line: &[u8], what: &[u8]) -> bool {
    line.windows(what.len()).any(|window| window == what)
}

fn parsed(line: &[u8]) -> Result<Value, String> {
    json::parse(line, DEPTH).map_err(|error| error.to_string())
}

fn header(line: &[u8]) -> Result<Capture, String> {
    let header: Header = serde_json::from_value(parsed(line)?).map_err(|error| error.to_string())?;
    if header.remit_capture != VERSION {
        return Err(format!("a capture of version {}, not {VERSION}", header.remit_capture));
    }
    let start = time::parse(&header.start).map_err(|error| format!("start: {error}"))?;
    Ok(Capture { start, issuers: header.issuers, tokens: header.tokens })
}

fn exchange(line: &[u8], capture: &Capture, facts: &Facts) -> Result<Sighting, String> {
    let exchange: Exchange = serde_json::from_value(parsed(line)?).map_err(|error| error.to_string())?;
    let token = match &exchange.token {
        None => None,
        Some(name) => Some(capture.tokens.get(name).ok_or("token: not one of the capture's tokens")?),
    };
    Ok(Sighting::of_exchange(&exchange, capture.start, token, &capture.issuers, &facts.catalog))
}

/// The record in a line of a log: behind whatever the proxy puts before it, or as text in a JSON access log.
fn record(line: &[u8]) -> Result<Option<Sighting>, String> {
    let text = String::from_utf8_lossy(line);
    if let Some(record) = text.find(AUDIT).and_then(|at| text.get(at..)) {
        return Sighting::of_audit(record.trim_end()).map(Some);
    }
    // What comes now went through another program: members in another order, or a text with its quotes escaped.
    let Some(document) = text.find('{').and_then(|at| text.get(at..)).filter(|_| text.contains(NAME)) else {
        return Ok(None);
    };
    let value = parsed(document.trim_end().as_bytes())?;
    if value.get("audit").and_then(Value::as_str).is_some_and(|audit| audit.starts_with(NAME)) {
        return Sighting::of_audit(document.trim_end()).map(Some);
    }
    let texts = value.as_object().into_iter().flat_map(|members| members.values());
    let record = texts.filter_map(Value::as_str).find(|text| text.starts_with(AUDIT));
    record.map(Sighting::of_audit).transpose()
}
