//! Scalars of one line, and what they are in JSON.

use super::YamlFault;
use crate::approval::ecmascript_double;

type Result<T> = std::result::Result<T, YamlFault>;

/// The key that a line begins with, and what follows its colon; `None` where the line is no entry of a mapping.
pub(super) fn key(content: &str) -> Result<Option<(String, &str)>> {
    if content.starts_with(['"', '\'']) {
        let (key, rest) = quoted(content)?;
        let rest = rest.trim_start_matches(' ');
        return Ok(rest.strip_prefix(':').filter(|rest| ends_key(rest)).map(|rest| (key, rest)));
    }
    if content.starts_with(['[', '{', '|', '>']) {
        return Ok(None);
    }
    let Some(end) = plain_end(content) else { return Ok(None) };
    let (plain, rest) = content.split_at_checked(end).unwrap_or((content, ""));
    let Some(rest) = rest.strip_prefix(':') else { return Ok(None) };
    Ok(Some((plain_key(plain)?, rest)))
}

/// The text that a plain key is; what OPA would turn into text from something else is refused where it would change.
pub(super) fn plain_key(plain: &str) -> Result<String> {
    let plain = plain.trim_end_matches(' ');
    if plain == "<<" {
        return Err(YamlFault::Merge);
    }
    let mut json = String::new();
    plain_value(plain, &mut json)?;
    // Text, or what is written as OPA writes it: `true`, `-5`.
    let is_own_text = json == plain && plain != "null" && !plain.contains(['.', 'e', 'E'])
        || matches!(json.as_str(), "true" | "false") && json == plain;
    if json.starts_with('"') || is_own_text { Ok(plain.to_owned()) } else { Err(YamlFault::Key) }
}

fn ends_key(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(' ')
}

/// Where a plain scalar ends: before `: `, ` #`, a last `:`. `None` for the end of the line.
fn plain_end(content: &str) -> Option<usize> {
    let mut before = ' ';
    for (at, c) in content.char_indices() {
        let rest = content.get(at.saturating_add(c.len_utf8())..).unwrap_or_default();
        if c == ':' && ends_key(rest) {
            return Some(at);
        }
        if c == '#' && before == ' ' {
            return Some(at);
        }
        before = c;
    }
    None
}

/// Writes the scalar that a line begins with, and gives what follows it.
pub(super) fn value<'c>(content: &'c str, out: &mut String) -> Result<&'c str> {
    if content.starts_with(['"', '\'']) {
        let (text, rest) = quoted(content)?;
        quote(&text, out);
        // libyaml takes this for a comment, the specification does not.
        return if rest.starts_with('#') { Err(YamlFault::Value) } else { Ok(rest) };
    }
    let (plain, rest) = match plain_end(content) {
        Some(end) => content.split_at_checked(end).unwrap_or((content, "")),
        None => (content, ""),
    };
    if rest.starts_with(':') {
        return Err(YamlFault::Value);
    }
    plain_value(plain.trim_end_matches(' '), out)?;
    Ok(rest)
}

/// Writes what a plain scalar is: as in OPA, which is YAML 1.2's core schema with a few numbers more.
pub(super) fn plain_value(plain: &str, out: &mut String) -> Result<()> {
    let first = plain.chars().next();
    match first {
        Some('&' | '*') => return Err(YamlFault::Anchor),
        Some('!') => return Err(YamlFault::Tag),
        Some('%' | '@' | '`') => return Err(YamlFault::Reserved),
        Some(',' | ']' | '}' | '[' | '{' | '#' | '|' | '>' | '"' | '\'') => return Err(YamlFault::Value),
        Some('-' | '?' | ':')
            if plain.get(1..).is_none_or(|rest| rest.is_empty() || rest.starts_with(' ')) =>
        {
            return Err(YamlFault::Value);
        }
        _ => {}
    }
    if plain.contains('\t') {
        return Err(YamlFault::Tab);
    }
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => out.push_str("null"),
        "true" | "True" | "TRUE" => out.push_str("true"),
        "false" | "False" | "FALSE" => out.push_str("false"),
        _ if first.is_some_and(|c| matches!(c, '0'..='9' | '+' | '-' | '.')) => match number(plain)? {
            Some(number) => out.push_str(&number),
            None => quote(plain, out),
        },
        _ => quote(plain, out),
    }
    Ok(())
}

/// The JSON of a number; `None` for a text that only begins like one.
fn number(plain: &str) -> Result<Option<String>> {
    let (is_negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.strip_prefix('+').unwrap_or(plain)),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return Err(YamlFault::Number);
    }
    let sign = if is_negative { "-" } else { "" };
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = digits.strip_prefix(prefix) {
            if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
                return refused_if(digits.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
            }
            let value = u64::from_str_radix(digits, radix).map_err(|_| YamlFault::Number)?;
            if is_negative && value > i64::MIN.unsigned_abs() {
                return Err(YamlFault::Number);
            }
            return Ok(Some(if value == 0 { "0".to_owned() } else { format!("{sign}{value}") }));
        }
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() {
        // 0777 is octal for some, and 1_000 a number: nobody should have to guess.
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(YamlFault::Number);
        }
        let fits = if is_negative {
            format!("-{digits}").parse::<i64>().is_ok()
        } else {
            digits.parse::<u64>().is_ok()
        };
        if fits {
            return Ok(Some(if digits == "0" { digits.to_owned() } else { format!("{sign}{digits}") }));
        }
    }
    if !is_decimal(digits) {
        // Groups of digits, binary and upper-case prefixes: numbers for OPA and texts for YAML 1.2.
        let looks = digits.contains(|c: char| c.is_ascii_digit())
            && (is_decimal(&digits.replace('_', "")) || prefixed(digits));
        return refused_if(looks);
    }
    let value: f64 = digits.parse().map_err(|_| YamlFault::Number)?;
    if !value.is_finite() {
        return Err(YamlFault::Number);
    }
    Ok(Some(format!("{sign}{}", ecmascript_double(value))))
}

fn refused_if(is_odd: bool) -> Result<Option<String>> {
    if is_odd { Err(YamlFault::Number) } else { Ok(None) }
}

/// `0b`, and prefixes in capitals.
fn prefixed(digits: &str) -> bool {
    let mut chars = digits.chars();
    chars.next() == Some('0')
        && matches!(chars.next(), Some('b' | 'B' | 'X' | 'O'))
        && chars.all(|c| c.is_ascii_hexdigit() || c == '_')
}

/// `1.5e3`, `.5`, `5.`, without a sign.
fn is_decimal(digits: &str) -> bool {
    let (mantissa, exponent) = match digits.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, rest) = digits.split_at_checked(at).unwrap_or((digits, ""));
            let exponent = rest.get(1..).unwrap_or_default();
            (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
        }
        None => (digits, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !whole.is_empty() || !fraction.is_empty();
    has_digits
        && all_digits(whole)
        && all_digits(fraction)
        && exponent.is_none_or(|e| !e.is_empty() && all_digits(e))
}

/// The text of a quoted scalar that is first, and what follows it.
pub(super) fn quoted(content: &str) -> Result<(String, &str)> {
    let mut text = String::new();
    let mut chars = content.chars();
    let is_double = chars.next() == Some('"');
    while let Some(c) = chars.next() {
        match c {
            '"' if is_double => return Ok((text, chars.as_str())),
            '\\' if is_double => text.push(escape(&mut chars)?),
            '\'' if !is_double => match chars.as_str().strip_prefix('\'') {
                Some(rest) => {
                    text.push('\'');
                    chars = rest.chars();
                }
                None => return Ok((text, chars.as_str())),
            },
            c => text.push(c),
        }
    }
    Err(YamlFault::Unclosed)
}

/// YAML 1.2 section 5.7.
fn escape(chars: &mut std::str::Chars<'_>) -> Result<char> {
    let digits = match chars.next().ok_or(YamlFault::Unclosed)? {
        '0' => return Ok('\0'),
        'a' => return Ok('\u{7}'),
        'b' => return Ok('\u{8}'),
        't' | '\t' => return Ok('\t'),
        'n' => return Ok('\n'),
        'v' => return Ok('\u{b}'),
        'f' => return Ok('\u{c}'),
        'r' => return Ok('\r'),
        'e' => return Ok('\u{1b}'),
        // Not `/`, which the YAML 1.1 of others does not know.
        c @ (' ' | '"' | '\\') => return Ok(c),
        'N' => return Ok('\u{85}'),
        '_' => return Ok('\u{a0}'),
        'L' => return Ok('\u{2028}'),
        'P' => return Ok('\u{2029}'),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return Err(YamlFault::Escape),
    };
    let mut code = 0_u32;
    for _ in 0..digits {
        let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or(YamlFault::Escape)?;
        code = code.checked_mul(16).and_then(|code| code.checked_add(digit)).ok_or(YamlFault::Escape)?;
    }
    char::from_u32(code).ok_or(YamlFault::Escape)
}

/// Writes a text as JSON.
pub(super) fn quote(text: &str, out: &mut String) {
    // A string always serialises.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}
