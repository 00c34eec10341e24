//! Template strings, `$"… {x} …"` and `` $`… {x} …` ``, which the parser does not know: written as calls before it reads them.
//!
//! `$"a {x}"` becomes `remit__template(["a ", {remit_t0 | remit_t0 := x}, ""])`, as OPA compiles it: a set, because it is empty
//! where the expression is undefined. Lines stay where they are.

use regorus::unstable::{AssignOp, Expr, ExprRef, Literal};

use super::error::PolicyError;
use super::functions;
use super::nesting::Inside;
use super::place::Place;
use super::survey::BuiltinCall;
use super::walk::{self, Node};

/// One that is not read to its end.
struct Template {
    at: Place,
    quote: char,
    /// Where it begins in what is written.
    begun: usize,
    has_expressions: bool,
    /// Braces that are open in its expression.
    braces: u32,
}

/// The text with calls in place of template strings; `None` where there are none.
///
/// # Errors
///
/// [`PolicyError::Syntax`] for one that does not end, and for any in Rego v0, which has none.
pub(super) fn written_out(is_v0: bool, path: &str, text: &str) -> Result<Option<String>, PolicyError> {
    if !text.contains("$\"") && !text.contains("$`") {
        return Ok(None);
    }
    let wrong = |at, message: &str| PolicyError::Syntax { at, message: message.to_owned() };
    let mut out = String::with_capacity(text.len());
    let mut open: Vec<Template> = Vec::new();
    let (mut is_part, mut inside) = (false, Inside::Code);
    let (mut line, mut column, mut number) = (1_u32, 0_u32, 0_u32);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        column = column.saturating_add(1);
        let mut next = None;
        match (open.last_mut(), c) {
            (Some(template), '{') if is_part => {
                if !template.has_expressions {
                    out.insert_str(template.begun, &format!("{}([", functions::TEMPLATE));
                }
                template.has_expressions = true;
                out.push(template.quote);
                out.push_str(&format!(", {{remit_t{number} | remit_t{number} := "));
                number = number.saturating_add(1);
                is_part = false;
            }
            (Some(template), '}') if !is_part && inside == Inside::Code && template.braces == 0 => {
                out.push_str("}, ");
                out.push(template.quote);
                is_part = true;
            }
            (Some(template), _) if is_part && c == template.quote => {
                out.push(c);
                out.push_str(if template.has_expressions { "])" } else { "" });
                open.pop();
                is_part = false;
            }
            (Some(template), '\n') if is_part && template.quote == '"' => break,
            (Some(template), '\\') if is_part => {
                next = chars.next_if(|next| *next == '{' || template.quote == '"' && *next != '\n');
                out.extend([c].into_iter().filter(|_| next != Some('{')).chain(next));
            }
            (_, '$') if !is_part && inside == Inside::Code && matches!(chars.peek(), Some('"' | '`')) => {
                let at = Place { file: path.to_owned(), line, column };
                if is_v0 {
                    return Err(wrong(at, "Rego v0 has no template strings: write `sprintf`"));
                }
                next = chars.next();
                let quote = next.unwrap_or_default();
                open.push(Template { at, quote, begun: out.len(), has_expressions: false, braces: 0 });
                out.push(quote);
                is_part = true;
            }
            (template, _) => {
                out.push(c);
                if let (Some(template), Inside::Code, false) = (template, inside, is_part) {
                    match c {
                        '{' => template.braces = template.braces.saturating_add(1),
                        '}' => template.braces = template.braces.saturating_sub(1),
                        _ => {}
                    }
                }
                if !is_part {
                    inside = inside.after(c);
                }
            }
        }
        column = column.saturating_add(u32::from(next.is_some()));
        if c == '\n' {
            (line, column) = (line.saturating_add(1), 0);
        }
    }
    match open.pop() {
        Some(Template { at, .. }) => Err(wrong(at, "a template string that does not end")),
        None => Ok(Some(out)),
    }
}

/// Whether a call is one that [`written_out`] writes: each set of one expression and nothing else.
pub(super) fn is_written(call: &BuiltinCall<'_>) -> bool {
    let is_text = |part: &Expr| matches!(part, Expr::String { .. } | Expr::RawString { .. });
    parts(call.arguments).is_some_and(|parts| parts.iter().all(|part| is_text(part) || shown(part).is_some()))
}

/// The indexes that stand in the expressions of a template, of which none may be what gives a variable its value.
pub(super) fn indexes<'a>(function: &Expr, arguments: &'a [ExprRef]) -> Vec<&'a Expr> {
    let mut found = Vec::new();
    if function.span().text() != functions::TEMPLATE {
        return found;
    }
    for expr in parts(arguments).unwrap_or_default().iter().filter_map(|part| shown(part)) {
        let (mut indexes, mut comprehensions) = (Vec::new(), Vec::new());
        walk::expr(expr, &mut |node| match node {
            Node::Index(index) => indexes.push(index),
            Node::Comprehension { whole } => comprehensions.push(whole.span()),
            _ => {}
        });
        let is_inside =
            |index: &&Expr| comprehensions.iter().any(|at| (at.start..at.end).contains(&index.span().start));
        found.extend(indexes.into_iter().filter(|index| !is_inside(index)));
    }
    found
}

fn parts(arguments: &[ExprRef]) -> Option<&[ExprRef]> {
    match arguments.first()?.as_ref() {
        Expr::Array { items, .. } => Some(items),
        _ => None,
    }
}

/// What an expression's part of a template shows.
fn shown(part: &Expr) -> Option<&Expr> {
    let Expr::SetCompr { term, query, .. } = part else { return None };
    let [statement] = query.stmts.as_slice() else { return None };
    let Literal::Expr { expr, .. } = &statement.literal else { return None };
    let Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } = expr.as_ref() else { return None };
    (lhs.span().text() == term.span().text()).then_some(rhs.as_ref())
}

#[cfg(test)]
mod tests {
    use super::written_out;
    use crate::policy::tests::refusals;

    #[test]
    fn templates_are_written_as_calls() {
        for (rego, expected) in [
            (r#"x := $"a""#, r#"x := "a""#),
            (r#"x := $"a\{b}\"{c}""#, r#"x := remit__template(["a{b}\"", {remit_t0 | remit_t0 := c}, ""])"#),
            ("x := $`\\n{a}\n`", "x := remit__template([`\\n`, {remit_t0 | remit_t0 := a}, `\n`])"),
            (
                r#"x := $"{$"{a}"}""#,
                r#"x := remit__template(["", {remit_t0 | remit_t0 := remit__template(["", {remit_t1 | remit_t1 := a}, ""])}, ""])"#,
            ),
            (r#"x := $"{{"}": 1}}""#, r#"x := remit__template(["", {remit_t0 | remit_t0 := {"}": 1}}, ""])"#),
            (r##"x := "$" # $"{a}""##, r##"x := "$" # $"{a}""##),
            (r#"x := "^a$" == $"}""#, r#"x := "^a$" == "}""#),
        ] {
            let text = written_out(false, "p.rego", rego).unwrap();
            assert_eq!(text.as_deref().unwrap_or(rego), expected, "{rego}");
        }
    }

    #[test]
    fn what_is_no_template_does_not_load() {
        refusals(&[
            ("x := $\"a", Some("p.rego:3:6: a template string that does not end")),
            ("x := $\"a {1", Some("p.rego:3:6: a template string that does not end")),
            ("x := $\"a\\", Some("p.rego:3:6: a template string that does not end")),
            ("x := 1\ny := [\n$`a\n", Some("p.rego:5:1: a template string that does not end")),
            (
                "x := $\"{1; 2}\"",
                Some("p.rego:3:21: in the braces of a template string stands one expression"),
            ),
            (
                "x := $\"{1\n2}\"",
                Some("p.rego:3:21: in the braces of a template string stands one expression"),
            ),
            ("x := $\"{input.a = 1}\"", Some("p.rego:3:")),
            ("x := $\"{not input.a}\"", Some("p.rego:3:")),
            ("x := $\"{}\"", Some("p.rego:3:")),
            ("x := $\"{input.a[_]}\"", Some("p.rego:3:")),
            ("x := $\"{input.a[i]}\"", Some("p.rego:3:")),
            ("x := $\"{input.a[i]}\" if input.b[i]", None),
            ("x := $\"{[y | y := input.a[_]]}\"", None),
            ("f($\"{x}\") := 1 if x := \"a\"", Some("p.rego:3:")),
            ("default x := $\"{1}\"", Some("p.rego:3:")),
            ("x := $1", Some("p.rego:3:6: ")),
        ]);
    }

    #[test]
    fn rego_v0_has_none() {
        let error = written_out(true, "p.rego", "package p\nx = $\"a\"").unwrap_err().to_string();
        assert_eq!(error, "p.rego:2:5: Rego v0 has no template strings: write `sprintf`");
        assert!(written_out(true, "p.rego", "x = \"^a$\"").is_ok());
    }
}
