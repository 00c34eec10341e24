//! Patterns of RE2, written so that regex-syntax reads them alike.
//!
//! In RE2 `\d`, `\s`, `\w` and `\b` mean ASCII. In regex-syntax they mean Unicode, and without its tables, which the module
//! does not carry, each of them makes the pattern an error.

/// The pattern with the classes that RE2 calls Perl's spelled out, and word boundaries of ASCII words.
pub(super) fn in_ascii(pattern: &str) -> String {
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
        // To regex-syntax, escaped, they are ends of words.
        '<' => Some("<"),
        '>' => Some(">"),
        _ => None,
    }
}
