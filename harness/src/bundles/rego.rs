//! Rego as its author sees it: packages, imports, and the text of each rule.

use regorus::unstable::{Expr, Module as Ast, Rule, RuleHead};
use remit_core::bundle::{Module, RegoVersion};
use remit_core::policy;

/// A module that parses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    /// Its package, without `data.`.
    pub(super) package: String,
    /// Its imports, a line each.
    pub(super) imports: String,
    /// Name and text of each definition, in their order.
    pub(super) definitions: Vec<(String, String)>,
}

/// Parses a module by itself.
///
/// # Errors
///
/// What the parser says, and where, on one line.
pub(super) fn parse(module: &Module) -> Result<Parsed, String> {
    let mut engine = policy::parser();
    policy::add_module(&mut engine, module.rego_version == RegoVersion::V0, &module.path, &module.text)
        .map_err(|error| error.to_string())?;
    let ast = engine.get_modules().first().ok_or("no module")?;
    Ok(taken_apart(ast, &module.text))
}

fn taken_apart(ast: &Ast, text: &str) -> Parsed {
    let starts: Vec<_> = ast.policy.iter().map(|rule| start_of(rule, text)).chain([text.len()]).collect();
    let before = plain(text.get(..starts.iter().min().copied().unwrap_or(0)).unwrap_or_default());
    let imports = before.lines().filter(|line| line.starts_with("import "));
    let definition = |(at, rule): (usize, &Rule)| {
        let name = match rule {
            Rule::Spec { head, .. } => {
                let (RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. }) =
                    head;
                path_of(refr)
            }
            Rule::Default { refr, .. } => path_of(refr),
        };
        let from = starts.get(at).copied().unwrap_or(0);
        let to = starts.get(at.saturating_add(1)).copied().unwrap_or(text.len());
        (name, plain(text.get(from..to).unwrap_or_default()))
    };
    Parsed {
        package: path_of(&ast.package.refr),
        imports: imports.map(|line| format!("{line}\n")).collect(),
        definitions: ast.policy.iter().map(AsRef::as_ref).enumerate().map(definition).collect(),
    }
}

/// Where a rule begins. The parser has template strings written as calls, and every line where it was.
fn start_of(rule: &Rule, text: &str) -> usize {
    let (Rule::Spec { span, .. } | Rule::Default { span, .. }) = rule;
    let at = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    if span.source.get_contents() == text {
        return at(span.start);
    }
    text.split_inclusive('\n').take(at(span.line).saturating_sub(1)).map(str::len).sum()
}

/// The lines without comments of their own, empty ones, and blanks at the ends.
fn plain(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| format!("{line}\n")).collect()
}

/// `a.b` or `a["b"].c`, as written.
fn path_of(reference: &Expr) -> String {
    reference.span().text().split_whitespace().collect()
}
