//! Functions without a value and without a body, `f("x")`: regorus refuses them, or reads them otherwise than OPA. They are written with
//! the value that they have.

use regorus::Engine;
use regorus::unstable::{Rule, RuleHead};

use super::nesting::Inside;

/// How many of them a module of Rego v1 may have: it is read again for each.
pub(super) const MOST: u64 = 64;

/// What regorus says of one in Rego v1.
pub(super) const REFUSED: &str = "rule must have a body or assignment";

/// The text with a value for the function whose head begins on a line, 1-based; `None` where there is none.
pub(super) fn with_value(text: &str, line: u32) -> Option<String> {
    let before = usize::try_from(line).ok()?.checked_sub(1)?;
    let begun: usize = text.split_inclusive('\n').take(before).map(str::len).sum();
    let (mut inside, mut open) = (Inside::Code, 0_u32);
    for (at, c) in text.get(begun..)?.char_indices() {
        match (inside, c) {
            (Inside::Code, '(' | '[') => open = open.saturating_add(1),
            (Inside::Code, ')' | ']') => open = open.saturating_sub(1),
            (Inside::Code, '\n') if open == 0 => return None,
            _ => {}
        }
        if (inside, c, open) == (Inside::Code, ')', 0) {
            let end = begun.checked_add(at)?.checked_add(1)?;
            let rest = text.get(end..)?.trim_start_matches([' ', '\t', '\r']);
            if !rest.is_empty() && !rest.starts_with(['\n', '#']) {
                return None;
            }
            return Some(format!("{} = true{}", text.get(..end)?, text.get(end..)?));
        }
        inside = inside.after(c);
    }
    None
}

/// The text of the engine's one module of Rego v0 with a value for each; `None` where there are none.
///
/// # Errors
///
/// The line of one that something else follows.
pub(super) fn with_values(engine: &mut Engine) -> Result<Option<String>, u32> {
    let modules = engine.get_modules();
    let Some(module) = modules.first() else { return Ok(None) };
    let is_fact = |rule: &Rule| match rule {
        Rule::Spec { head: RuleHead::Func { span, assign: None, .. }, bodies, .. } if bodies.is_empty() => {
            Some(span.line)
        }
        _ => None,
    };
    let lines: Vec<u32> = module.policy.iter().filter_map(|rule| is_fact(rule)).collect();
    let mut text = module.package.span.source.get_contents().clone();
    for line in &lines {
        text = with_value(&text, *line).ok_or(*line)?;
    }
    Ok((!lines.is_empty()).then_some(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{decide, interpreted, policy};
    use super::with_value;

    #[test]
    fn functions_without_a_value_give_true() {
        let rego = "\nf(null)\n\tg(_, [\"b)\", 1]) # c\nf(\"any\")\ndecision := [f(null), f(\"any\"), g(1, [\"b)\", 1])]\n";
        for policy in [policy(rego), interpreted(policy(rego))] {
            assert_eq!(decide(&policy, &json!({})), Ok(json!([true, true, true])));
        }
    }

    #[test]
    fn only_heads_of_functions_get_a_value() {
        for (text, line, expected) in [
            ("f(1)", 1, Some("f(1) = true")),
            ("a\nf([\n(1)]) # x\n", 2, Some("a\nf([\n(1)]) = true # x\n")),
            ("a\nb(1)", 1, None),
            ("a[\"f(1)\"]\n", 1, None),
            ("f(\")\"", 1, None),
            ("f(1)[2]", 1, None),
            ("f(1)", 7, None),
        ] {
            assert_eq!(with_value(text, line).as_deref(), expected, "{text}");
        }
    }
}
