//! Patterns as OPA reads them (RE2), written so that regorus' engine reads them alike.
//!
//! In RE2 `\d`, `\s`, `\w` and `\b` mean ASCII. In regorus they mean Unicode, and without its tables, which the module
//! does not carry, each of them makes the pattern an error.

use regorus::Value;

/// The arguments of a call with its pattern rewritten; `None` where there is nothing to rewrite.
pub(super) fn rewritten(name: &str, arguments: &[Value]) -> Option<Vec<Value>> {
    let at = match name {
        "regex.replace" => 1,
        // Brackets would be read as the template's own.
        "regex.template_match" if arguments.iter().skip(2).any(has_brackets) => return None,
        name if name.starts_with("regex.") => 0,
        _ => return None,
    };
    let Value::String(pattern) = arguments.get(at)? else { return None };
    if !pattern.contains('\\') {
        return None;
    }
    let mut arguments = arguments.to_vec();
    *arguments.get_mut(at)? = Value::from(in_ascii(pattern));
    Some(arguments)
}

fn has_brackets(delimiter: &Value) -> bool {
    matches!(delimiter, Value::String(text) if text.contains(['[', ']', '^', '-']))
}

/// The pattern with the classes that RE2 calls Perl's spelled out, and word boundaries of ASCII words.
fn in_ascii(pattern: &str) -> String {
    let mut ascii = String::with_capacity(pattern.len().saturating_mul(2));
    let mut in_class = false;
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                let Some(escaped) = rest.next() else {
                    ascii.push(c);
                    break;
                };
                match spelled_out(escaped, in_class) {
                    Some(spelled) => ascii.push_str(spelled),
                    None => ascii.extend([c, escaped]),
                }
            }
            '[' if !in_class => {
                in_class = true;
                ascii.push(c);
                // The first `]` is one of the characters.
                ascii.extend(rest.next_if_eq(&'^'));
                ascii.extend(rest.next_if_eq(&']'));
            }
            // `[:alpha:]`
            '[' if rest.peek() == Some(&':') => {
                ascii.push(c);
                for c in rest.by_ref() {
                    ascii.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            c => {
                in_class &= c != ']';
                ascii.push(c);
            }
        }
    }
    ascii
}

/// What stands for an escape, if that is to be written otherwise. A class may stand within a class.
fn spelled_out(escaped: char, in_class: bool) -> Option<&'static str> {
    match escaped {
        'd' => Some("[0-9]"),
        'D' => Some("[^0-9]"),
        's' => Some(r"[\t\n\f\r ]"),
        'S' => Some(r"[^\t\n\f\r ]"),
        'w' => Some("[0-9A-Za-z_]"),
        'W' => Some("[^0-9A-Za-z_]"),
        'b' if !in_class => Some(r"(?-u:\b)"),
        'B' if !in_class => Some(r"(?-u:\B)"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::policy::functions::tests::both;
    use crate::policy::tests::{decide, interpreted, policy};

    /// Answers of `opa eval`; null where it has none.
    #[test]
    fn patterns_are_read_as_in_opa() {
        for (expression, text, expected) in [
            (r"regex.match(`^\d{2}$`, input.x)", "42", json!(true)),
            (r"regex.match(`^\d+$`, input.x)", "٤٢", json!(false)),
            (r"regex.match(`^\w+$`, input.x)", "é", json!(false)),
            (r"regex.match(`^[\w.-]+$`, input.x)", "a_b-c.d", json!(true)),
            (r"regex.match(`^[^\W\d]+$`, input.x)", "a_b", json!(true)),
            (r"regex.match(`^[^\W\d]+$`, input.x)", "a1", json!(false)),
            (r"regex.match(`\D`, input.x)", "12", json!(false)),
            (r"regex.match(`^\s$`, input.x)", "\u{a0}", json!(false)),
            (r"regex.match(`^\s\S$`, input.x)", " x", json!(true)),
            (r"regex.match(`\brm\b`, input.x)", "sudo rm -r", json!(true)),
            (r"regex.match(`\brm\b`, input.x)", "format", json!(false)),
            (r"regex.match(`\Brm`, input.x)", "farm", json!(true)),
            (r"regex.match(`^a\b`, input.x)", "aé", json!(true)),
            (r"regex.match(`^\\d$`, input.x)", "\\d", json!(true)),
            (r"regex.match(`^[]\d]$`, input.x)", "]", json!(true)),
            (r"regex.match(`^[[:alpha:]\d]$`, input.x)", "7", json!(true)),
            (r"regex.match(`^[\b]$`, input.x)", "b", json!(null)),
            (r"regex.match(`(?i)^DROP\s+table`, input.x)", "drop Table", json!(true)),
            (r"regex.match(`(?i)^DROP`, input.x)", "drop", json!(true)),
            (r"regex.match(`(?i)^[k]$`, input.x)", "\u{212a}", json!(true)),
            (r"regex.is_valid(`\d`)", "", json!(true)),
            (r"regex.is_valid(`\`)", "", json!(false)),
            (r#"regex.replace(input.x, `\d`, "_")"#, "a1b22", json!("a_b__")),
            (r"regex.split(`\s+`, input.x)", "a b  c", json!(["a", "b", "c"])),
            (r"regex.find_n(`\w+`, input.x, -1)", "a-b é", json!(["a", "b"])),
            (
                r"regex.find_all_string_submatch_n(`(\w)(\d)`, input.x, -1)",
                "a1 b2",
                json!([["a1", "a", "1"], ["b2", "b", "2"]]),
            ),
            (r#"regex.template_match(`id-{\d+}`, input.x, "{", "}")"#, "id-17", json!(true)),
            (r"regex.match(`^\p{L}+$`, input.x)", "né", json!(true)),
            (r"regex.match(`^\p{Lu}$`, input.x)", "É", json!(true)),
            (r"regex.match(`^\pN$`, input.x)", "٤", json!(true)),
            (r"regex.match(`^\p{Greek}$`, input.x)", "λ", json!(true)),
            (r"regex.match(`\`, input.x)", "λ", json!(null)),
        ] {
            assert_eq!(both(expression, &json!({ "x": text })), expected, "{expression} {text}");
        }
    }

    #[test]
    fn what_must_not_match_does_not() {
        let denying = || {
            policy(
                r"default decision := true
decision := false if regex.match(`(?i)\bdrop\b`, input.x)",
            )
        };
        for (text, allowed) in [("select 1", true), ("DROP table", false), ("droplet", true)] {
            for policy in [denying(), interpreted(denying())] {
                assert_eq!(decide(&policy, &json!({ "x": text })), Ok(json!(allowed)), "{text}");
            }
        }
    }
}
