//! What is wrong with a policy that loads: what `opa check --strict` finds, what the input's schema rules out, and what
//! authors forget to say.

mod possible;
mod rules;
mod schema;
mod scopes;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use regorus::unstable::{Expr, Module, Rule, RuleHead, Span};
use serde_json::{Value, json};

use crate::annotations::{Annotation, annotations};
use crate::rego::walk;
use crate::rego::{RegoError, Sources, constant, path_of};
use rules::Rules;
use schema::Schema;
use values::Values;

/// Builtins that OPA's strict mode refuses.
const DEPRECATED: [&str; 11] = [
    "all",
    "any",
    "cast_array",
    "cast_boolean",
    "cast_null",
    "cast_object",
    "cast_set",
    "cast_string",
    "net.cidr_overlap",
    "re_match",
    "set_diff",
];

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Two imports go by one name.
    DuplicateImport,
    /// An import that nothing refers to.
    UnusedImport,
    /// A variable or an argument that nothing refers to.
    UnusedLocal,
    /// A variable or an import named `input` or `data`.
    ShadowedDocument,
    /// A rule or a variable that has the name of an import.
    ShadowedImport,
    /// A builtin that is going away.
    DeprecatedBuiltin,
    /// A reference to what no input has.
    UnknownInput,
    /// A condition that holds for no input.
    NeverTrue,
    /// A comparison that holds whatever the input is.
    AlwaysTrue,
    /// A comparison of different kinds, or an argument of a kind that a builtin does not take.
    WrongType,
    /// A rule that nothing comes to from the decision.
    UnreachableRule,
    /// A package or a rule that decides does not say what it is.
    MissingMetadata,
    /// The decision has no value where no definition applies.
    UndefinedDecision,
}

impl Code {
    /// Its name in output.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateImport => "duplicate-import",
            Self::UnusedImport => "unused-import",
            Self::UnusedLocal => "unused-local",
            Self::ShadowedDocument => "shadowed-document",
            Self::ShadowedImport => "shadowed-import",
            Self::DeprecatedBuiltin => "deprecated-builtin",
            Self::UnknownInput => "unknown-input",
            Self::NeverTrue => "never-true",
            Self::AlwaysTrue => "always-true",
            Self::WrongType => "wrong-type",
            Self::UnreachableRule => "unreachable-rule",
            Self::MissingMetadata => "missing-metadata",
            Self::UndefinedDecision => "undefined-decision",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub code: Code,
    /// The file, as the command line named its folder.
    pub file: String,
    /// 1-based line.
    pub row: u32,
    /// 1-based column.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, row, column, message, remedy, code } = self;
        write!(f, "{file}:{row}:{column}: {}: {message}; {remedy}", code.as_str())
    }
}

impl Finding {
    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "code": self.code.as_str(),
            "location": {"file": self.file, "row": self.row, "col": self.column},
            "message": self.message,
            "remedy": self.remedy,
        })
    }
}

/// Looks at bundles; `decision` is the path of the rule that decides, such as `remit/authz/decision`.
///
/// # Errors
///
/// See [`RegoError`]: what cannot be read is not looked at.
pub fn lint(paths: &[PathBuf], decision: &str) -> Result<Vec<Finding>, RegoError> {
    let mut sources = Sources::load(paths)?;
    sources.files.retain(|file| !file.path.ends_with("_test.rego"));
    let modules = sources.parse()?;
    let (rules, schema) = (Rules::of(&modules), Schema::of_input());
    let blocks: BTreeMap<&str, Vec<Annotation>> =
        sources.files.iter().map(|file| (file.path.as_str(), annotations(&file.path, &file.text))).collect();
    let decision = crate::eval::path(decision);
    let decision: Vec<&str> = decision.split('/').collect();
    let mut findings = Findings::default();
    for module in &modules {
        findings.imports(module);
        for rule in &module.policy {
            findings.variables(module, rule);
            findings.deprecated(rule);
            Values::new(&schema, &rules, module, rule).look(rule, &mut findings);
        }
        findings.metadata(module, &blocks, &decision);
    }
    findings.packages(modules.iter().map(|module| module.as_ref()), &blocks);
    let decision: Vec<String> = std::iter::once("data").chain(decision).map(str::to_owned).collect();
    let marked = entrypoints(&modules, &blocks);
    if let Some(at) = rules.first(&decision)
        && !marked.contains(&decision)
    {
        let message = "the decision is not marked as what is asked for".to_owned();
        findings.find(Code::MissingMetadata, at, message, "add `# entrypoint: true` to its METADATA");
    }
    if let Some((why, at)) = rules.undefined(&decision, &schema) {
        let message = format!("the decision can be undefined: {why}");
        findings.find(
            Code::UndefinedDecision,
            at,
            message,
            "add a `default`, or an `else` without a condition",
        );
    }
    let roots: Vec<_> = std::iter::once(decision).chain(marked).collect();
    for (name, at) in rules.unreached(&roots) {
        let message = format!("the decision never comes to {name}");
        let remedy = "remove it, or say `entrypoint: true` in the METADATA of the rule that is asked for it";
        findings.find(Code::UnreachableRule, at, message, remedy);
    }
    let mut findings = findings.0;
    findings.sort_by(|a, b| (&a.file, a.row, a.column, a.code).cmp(&(&b.file, b.row, b.column, b.code)));
    findings.dedup();
    Ok(findings)
}

/// The rules that are marked as entrypoints, and tests.
fn entrypoints(
    modules: &[regorus::unstable::Ref<Module>],
    blocks: &BTreeMap<&str, Vec<Annotation>>,
) -> Vec<Vec<String>> {
    let is_marked = |span: &Span| {
        let blocks = blocks.get(span.source.get_path().as_str()).map(Vec::as_slice).unwrap_or_default();
        blocks.iter().any(|block| block.about == span.line && block.is_entrypoint)
    };
    let mut found = Vec::new();
    for module in modules {
        for rule in &module.policy {
            let path = path_of(module, rule);
            let is_test =
                path.last().is_some_and(|name| name.starts_with("test_") || name.starts_with("todo_test_"));
            if is_test || is_marked(rule.span()) {
                found.push(std::iter::once("data".to_owned()).chain(path).collect());
            }
        }
    }
    found
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn find(&mut self, code: Code, at: &Span, message: String, remedy: impl Into<String>) {
        self.0.push(Finding {
            code,
            file: at.source.get_path().clone(),
            row: at.line,
            column: at.col,
            message,
            remedy: remedy.into(),
        });
    }

    fn imports(&mut self, module: &Module) {
        let free: BTreeSet<&str> = module.policy.iter().flat_map(|rule| scopes::names(rule).free).collect();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for import in &module.imports {
            let path = import.refr.span().text();
            let Some(name) = alias(import) else { continue };
            if import.r#as.is_some() && matches!(name, "input" | "data") {
                let message = format!("the import hides the document {name}");
                self.find(Code::ShadowedDocument, &import.span, message, "give it another name");
            }
            if !seen.insert(name) {
                let message = format!("the name {name} is imported already");
                let remedy = "remove one, or give it another name with `as`";
                self.find(Code::DuplicateImport, &import.span, message, remedy);
            }
            if !free.contains(name) {
                let message = format!("nothing refers to {path}");
                self.find(Code::UnusedImport, &import.span, message, "remove the import");
            }
        }
        for rule in &module.policy {
            let own = path_of(module, rule);
            let name = own.get(constant(&module.package.refr).len()).map(String::as_str).unwrap_or_default();
            if seen.contains(name) {
                let message = format!("the rule {name} has the name of an import");
                self.find(Code::ShadowedImport, rule.span(), message, "give one of them another name");
            }
        }
    }

    fn variables(&mut self, module: &Module, rule: &Rule) {
        let imported: BTreeSet<&str> = module.imports.iter().filter_map(alias).collect();
        let names = scopes::names(rule);
        for (name, span) in names.declared {
            if matches!(name, "input" | "data") {
                let message = format!("the variable {name} hides the document");
                self.find(Code::ShadowedDocument, span, message, "give it another name");
            } else if imported.contains(name) {
                let message = format!("the variable {name} hides an import");
                self.find(Code::ShadowedImport, span, message, "give one of them another name");
            }
        }
        for (name, span) in names.unused {
            if !matches!(name, "input" | "data") {
                let message = format!("nothing refers to {name}");
                self.find(Code::UnusedLocal, span, message, "remove it, or write _");
            }
        }
    }

    fn deprecated(&mut self, rule: &Rule) {
        walk::rule(rule, &mut |expr| {
            if let Expr::Call { fcn, span, .. } = expr
                && DEPRECATED.contains(&fcn.span().text())
            {
                let message = format!("{} is deprecated", fcn.span().text());
                let remedy = "write what it does with `some`, `every` or a newer builtin";
                self.find(Code::DeprecatedBuiltin, span, message, remedy);
            }
        });
    }

    /// Rules that announce a reason, or are the decision, say what they are.
    fn metadata(&mut self, module: &Module, blocks: &BTreeMap<&str, Vec<Annotation>>, decision: &[&str]) {
        let file = module.package.span.source.get_path().clone();
        let blocks = blocks.get(file.as_str()).map(Vec::as_slice).unwrap_or_default();
        let package = constant(&module.package.refr);
        let block = |row: u32| blocks.iter().find(|block| block.about == row);
        let mut described: BTreeSet<Vec<String>> = BTreeSet::new();
        for rule in &module.policy {
            let (refr, reason) = match rule.as_ref() {
                Rule::Default { refr, .. } => (refr, None),
                Rule::Spec { head, .. } => match head {
                    RuleHead::Set { refr, key: Some(key), .. } => (
                        refr,
                        matches!(key.as_ref(), Expr::String { .. }).then(|| key.span().text().to_owned()),
                    ),
                    RuleHead::Compr { refr, .. }
                    | RuleHead::Set { refr, .. }
                    | RuleHead::Func { refr, .. } => (refr, None),
                },
            };
            let path: Vec<String> = package.iter().cloned().chain(constant(refr)).collect();
            let span = rule.span();
            let is_decision = path.iter().map(String::as_str).eq(decision.iter().copied());
            if let Some(block) = block(span.line) {
                self.described(block, is_decision, reason.as_deref(), span);
                described.insert(path);
                continue;
            }
            let remedy = "put a `# METADATA` block with title and description above it";
            if let Some(reason) = reason {
                let message = format!("the reason {reason:?} is not described");
                self.find(Code::MissingMetadata, span, message, format!("{remedy}, and custom.reason_code"));
            } else if is_decision && described.insert(path) {
                self.find(Code::MissingMetadata, span, "the decision is not described".to_owned(), remedy);
            }
        }
    }

    /// What a block of METADATA leaves out.
    fn described(&mut self, block: &Annotation, is_decision: bool, reason: Option<&str>, span: &Span) {
        if !is_decision && reason.is_none() {
            return;
        }
        let mut lacks = |message: &str, remedy: String| {
            self.find(Code::MissingMetadata, span, message.to_owned(), remedy);
        };
        if block.title.is_none() {
            lacks("the METADATA has no title", "add `# title: …`".to_owned());
        }
        match (reason, block.reason_code.as_deref()) {
            (Some(reason), Some(code)) if code != reason => {
                lacks(
                    &format!("the reason {reason:?} is announced as {code:?}"),
                    format!("write `reason_code: {reason}`"),
                );
            }
            (Some(reason), None) => lacks(
                &format!("the reason {reason:?} is not announced"),
                format!("add `# custom:` and `#   reason_code: {reason}` to its METADATA"),
            ),
            _ => {}
        }
    }

    /// A package says once what it is.
    fn packages<'a>(
        &mut self,
        modules: impl Iterator<Item = &'a Module>,
        blocks: &BTreeMap<&str, Vec<Annotation>>,
    ) {
        let mut packages: BTreeMap<&str, (&Span, bool)> = BTreeMap::new();
        for module in modules {
            let span = &module.package.span;
            let file = span.source.get_path();
            let blocks = blocks.get(file.as_str()).map(Vec::as_slice).unwrap_or_default();
            let is_described = blocks.iter().any(|block| block.about == span.line);
            packages.entry(module.package.refr.span().text()).or_insert((span, false)).1 |= is_described;
        }
        for (package, (span, is_described)) in packages {
            if !is_described {
                let message = format!("the package {package} is not described");
                let remedy = "put a `# METADATA` block with scope: package, title and description above it";
                self.find(Code::MissingMetadata, span, message, remedy);
            }
        }
    }
}

/// The name that an import goes by; `None` for `rego.v1` and the like.
fn alias(import: &regorus::unstable::Import) -> Option<&str> {
    let path = import.refr.span().text();
    if path.starts_with("rego.") || path.starts_with("future.") {
        return None;
    }
    let last = path.rsplit('.').next()?;
    Some(import.r#as.as_ref().map_or(last, |alias| alias.text()))
}
