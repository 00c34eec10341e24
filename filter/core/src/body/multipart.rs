//! `multipart/form-data` (RFC 7578) in its plain form. What readers could take differently is refused: bare line feeds,
//! folded headers, parts with a transfer encoding, names in the form of RFC 2231.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::form::push;
use super::{BodyError, BodyRules};
use crate::json;

/// The headers of one part, in bytes.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// Parameters of one header.
const MAX_PARAMETERS: usize = 16;

/// Name → list of values: text, or JSON where a part says that it is.
pub(super) fn parse(body: &[u8], boundary: &str, rules: &BodyRules<'_>) -> Result<Value, BodyError> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut form = Map::new();
    let mut rest = preamble(body, &delimiter)?;
    let mut parts = 0_usize;
    let values_left = Cell::new(rules.values);
    while let Some(part) = rest {
        parts = parts.saturating_add(1);
        if parts > rules.values {
            return Err(BodyError::TooMany { limit: rules.values });
        }
        let (headers, content) = headers(part)?;
        let (content, next) = content_of(content, &delimiter)?;
        rest = next;
        let Some(name) = headers.name else { continue };
        let value = if headers.is_json {
            json::parse_some(content, rules.json(), &values_left)?
        } else {
            Value::from(String::from_utf8_lossy(content))
        };
        push(&mut form, name, value);
    }
    Ok(Value::Object(form))
}

/// What stands behind the first delimiter; nothing where the last one comes first.
fn preamble<'a>(body: &'a [u8], delimiter: &[u8]) -> Result<Option<&'a [u8]>, BodyError> {
    let mut rest = body;
    loop {
        if let Some(after) = rest.strip_prefix(delimiter)
            && let Some(next) = end_of_delimiter(after)
        {
            return Ok(next);
        }
        let (_, after) = split_at(rest, b"\r\n").ok_or(BodyError::Multipart("no first boundary"))?;
        rest = after;
    }
}

/// What stands behind a delimiter's own line: a part, or nothing after the last one. `None`: it is no delimiter.
fn end_of_delimiter(after: &[u8]) -> Option<Option<&[u8]>> {
    let blank = |bytes: &[u8]| bytes.iter().all(|byte| b" \t".contains(byte));
    let (line, next) = split_at(after, b"\r\n").unwrap_or((after, &[]));
    if line.strip_prefix(b"--").is_some_and(blank) {
        return Some(None);
    }
    (blank(line) && line.len() < after.len()).then_some(Some(next))
}

/// The content of a part, up to the next delimiter, and what stands behind that.
fn content_of<'a>(from: &'a [u8], delimiter: &[u8]) -> Result<(&'a [u8], Option<&'a [u8]>), BodyError> {
    let cut = || BodyError::Multipart("no last boundary");
    // A part without content is ended by the line break that ends its headers.
    if let Some(after) = from.strip_prefix(delimiter)
        && let Some(next) = end_of_delimiter(after)
    {
        return Ok((&[], next));
    }
    let line = [b"\r\n", delimiter].concat();
    let mut offset = 0_usize;
    loop {
        let rest = from.get(offset..).ok_or_else(cut)?;
        let (content, after) = split_at(rest, &line).ok_or_else(cut)?;
        let end = offset.saturating_add(content.len());
        match after.first() {
            Some(b' ' | b'\t' | b'\r' | b'\n') => {}
            Some(b'-') if after.get(1) == Some(&b'-') => {}
            // A longer word that begins as the boundary does.
            _ => {
                offset = end.saturating_add(1);
                continue;
            }
        }
        let next = end_of_delimiter(after).ok_or(BodyError::Multipart("text behind a boundary"))?;
        return Ok((from.get(..end).unwrap_or_default(), next));
    }
}

struct Headers {
    name: Option<String>,
    is_json: bool,
}

/// The headers of a part, and what follows the empty line.
fn headers(part: &[u8]) -> Result<(Headers, &[u8]), BodyError> {
    let mut rest = part;
    let mut disposition = None;
    let mut content_type = None;
    loop {
        let (line, after) = split_at(rest, b"\r\n").ok_or(BodyError::Multipart("headers without an end"))?;
        rest = after;
        if part.len().saturating_sub(rest.len()) > MAX_HEADER_BYTES {
            return Err(BodyError::Multipart("headers of a part over the limit"));
        }
        if line.is_empty() {
            break;
        }
        let line = std::str::from_utf8(line).map_err(|_| BodyError::Multipart("a header is not UTF-8"))?;
        let malformed = BodyError::Multipart("a malformed header");
        let (name, value) = line.split_once(':').ok_or(malformed)?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) || value.contains(['\r', '\n', '\0']) {
            return Err(BodyError::Multipart("a malformed header"));
        }
        let slot = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut content_type,
            "content-transfer-encoding"
                if !["7bit", "8bit", "binary"].contains(&value.trim().to_ascii_lowercase().as_str()) =>
            {
                return Err(BodyError::Multipart("a part with a transfer encoding"));
            }
            _ => continue,
        };
        if slot.replace(value.trim()).is_some() {
            return Err(BodyError::Multipart("a header of a part comes twice"));
        }
    }
    let is_json = content_type.is_some_and(|value| value.contains("application/json"));
    let name = match disposition.map(parameters).transpose()? {
        Some((kind, parameters)) if kind == "form-data" => {
            if parameters.iter().any(|(name, _)| name.starts_with("name*")) {
                return Err(BodyError::Multipart("an encoded name"));
            }
            parameters.into_iter().find(|(name, _)| name == "name").map(|(_, value)| value)
        }
        _ => None,
    };
    Ok((Headers { name: name.filter(|name| !name.is_empty()), is_json }, rest))
}

/// A value with parameters (RFC 9110 section 5.6.6): names in lower case, none twice.
pub(super) fn parameters(value: &str) -> Result<(String, Vec<(String, String)>), BodyError> {
    let malformed = || BodyError::Multipart("malformed parameters");
    let (kind, mut rest) = value.split_once(';').unwrap_or((value, ""));
    let mut found: Vec<(String, String)> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ';']);
        if rest.is_empty() {
            return Ok((kind.trim().to_ascii_lowercase(), found));
        }
        let (name, after) = rest.split_once('=').ok_or_else(malformed)?;
        let name = name.trim().to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted).ok_or_else(malformed)?,
            None => {
                let end = after.find([';', ' ', '\t']).unwrap_or(after.len());
                let (value, after) = after.split_at(end);
                (value.to_owned(), after)
            }
        };
        if found.len() >= MAX_PARAMETERS {
            return Err(BodyError::Multipart("too many parameters"));
        }
        let ends_well = after.trim_start().is_empty() || after.trim_start().starts_with(';');
        if name.is_empty() || !ends_well || found.iter().any(|(known, _)| *known == name) {
            return Err(malformed());
        }
        found.push((name, value));
        rest = after;
    }
}

/// A quoted string, and what follows it. Browsers write `%22` for a quote and leave backslashes alone, so one that
/// quotes nothing stays, as in Go.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((out, text.get(at.saturating_add(1)..)?)),
            '\\' => match letters.clone().next() {
                Some((_, next)) if r#"()<>@,;:\"/[]?="#.contains(next) => {
                    out.push(next);
                    letters.next();
                }
                _ => out.push('\\'),
            },
            '\r' | '\n' => return None,
            other => out.push(other),
        }
    }
    None
}

fn split_at<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(separator.len()).position(|window| window == separator)?;
    Some((bytes.get(..at)?, bytes.get(at.checked_add(separator.len())?..)?))
}
