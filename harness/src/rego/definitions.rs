//! Which rules a bundle has, and where each of their definitions stands.

use regorus::unstable::{Rule, RuleHead};
use remit_core::bundle::{Bundle, RegoVersion};
use remit_core::policy;

use super::constant;

/// One definition of a rule, or a default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Definition {
    /// The rule, as `data.remit.authz.deny`.
    pub rule: String,
    /// Path in the bundle.
    pub file: String,
    /// 1-based.
    pub line: u32,
    /// Whether it takes arguments.
    pub is_function: bool,
}

/// All definitions of a bundle's modules, in their order. A module that does not parse has none: who compiles the bundle
/// says so.
#[must_use]
pub fn definitions(bundle: &Bundle) -> Vec<Definition> {
    let mut found = Vec::new();
    for module in bundle.modules() {
        let mut engine = policy::parser();
        let is_v0 = module.rego_version == RegoVersion::V0;
        if policy::add_module(&mut engine, is_v0, &module.path, &module.text).is_err() {
            continue;
        }
        for ast in engine.get_modules().iter() {
            let package = plain(ast.package.refr.span().text());
            for rule in &ast.policy {
                let (span, refr, is_function) = match rule.as_ref() {
                    Rule::Spec { span, head: RuleHead::Func { refr, .. }, .. } => (span, refr, true),
                    Rule::Spec {
                        span,
                        head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. },
                        ..
                    }
                    | Rule::Default { span, refr, .. } => (span, refr, false),
                };
                // `by_path[path]` is a rule `by_path`.
                let name = constant(refr).join(".");
                found.push(Definition {
                    rule: format!("data.{package}.{name}"),
                    file: module.path.clone(),
                    line: span.line,
                    is_function,
                });
            }
        }
    }
    found
}

/// Whether the modules are Rego from before OPA 1.0, all of them.
pub(crate) fn parses_as_old(bundle: &Bundle) -> bool {
    bundle
        .modules()
        .iter()
        .all(|module| policy::add_module(&mut policy::parser(), true, &module.path, &module.text).is_ok())
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect()
}
