//! Patterns of RE2, written so that regex-syntax reads them alike.
//!
//! In RE2 `\d`, `\s`, `\w` and `\b` mean ASCII. In regex-syntax they mean Unicode, and without its tables, which the module
//! does not carry, each of them makes the pattern an error.

//!
//! RE2 knows no operators in classes, takes a brace that counts nothing for itself and what stands between `\Q` and `\E` as
//! it is, and refuses a repetition of a repetition.

/// What is no pattern to either.
const MALFORMED: &str = "(";

/// Nobody repeats as often as a longer count says: RE2 knows none over 1000.
const LONGEST_COUNT: usize = 16;

/// The pattern with the classes that RE2 calls Perl's spelled out, and word boundaries of ASCII words.
pub(super) fn in_ascii(pattern: &str) -> String {
    let mut ascii = String::with_capacity(pattern.len().saturating_mul(2));
    let mut in_class = false;
    let mut repeats = false;
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        let repeated = std::mem::take(&mut repeats);
        match c {
            '*' | '+' | '?' if !in_class => {
                if repeated {
                    return MALFORMED.to_owned();
                }
                // Of `(?` and what follows, nothing is repeated.
                repeats = !ascii.ends_with('(') || ascii.ends_with("\\(");
                ascii.push(c);
                ascii.extend(rest.next_if(|next| repeats && *next == '?'));
            }
            '{' if !in_class => match counted(&rest.clone().take(LONGEST_COUNT).collect::<String>()) {
                Some(_) if repeated => return MALFORMED.to_owned(),
                Some(count) => {
                    ascii.push(c);
                    ascii.extend(rest.by_ref().take(count));
                    ascii.extend(rest.next_if_eq(&'?'));
                    repeats = true;
                }
                None => ascii.push_str("\\{"),
            },
            '\\' if !in_class && rest.peek() == Some(&'Q') => {
                rest.next();
                while let Some(c) = rest.next() {
                    if c == '\\' && rest.next_if_eq(&'E').is_some() {
                        break;
                    }
                    if c.is_ascii_punctuation() {
                        ascii.push('\\');
                    }
                    ascii.push(c);
                }
            }
            '\\' => {
                let Some(escaped) = rest.next() else {
                    ascii.push(c);
                    break;
                };
                match spelled_out(escaped, in_class) {
                    Some(spelled) => ascii.push_str(spelled),
                    None => ascii.extend([c, escaped]),
                }
                // `\p{Greek}`
                if matches!(escaped, 'p' | 'P' | 'x') && rest.peek() == Some(&'{') {
                    for c in rest.by_ref() {
                        ascii.push(c);
                        if c == '}' {
                            break;
                        }
                    }
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
            '[' | '&' | '~' if in_class => ascii.extend(['\\', c]),
            c => {
                in_class &= c != ']';
                ascii.push(c);
            }
        }
    }
    ascii
}

/// How many characters of `2,3}` and what follows say how often something is repeated. A count that goes on and on is handed to
/// the parser, which refuses it.
fn counted(rest: &str) -> Option<usize> {
    let inside = rest.split_once('}').map_or(rest, |(inside, _)| inside);
    if inside.len() == rest.len() && rest.chars().count() < LONGEST_COUNT {
        return None;
    }
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (!least.is_empty() && is_number(least) && is_number(most)).then(|| inside.len().saturating_add(1))
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
