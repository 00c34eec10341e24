//! What is wrong with a policy that loads: what `opa check --strict` finds, what the input's schema rules out, and what
//! authors forget to say.

mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use regorus::unstable::{BoolOp, Expr, Module, Rule, RuleHead, Span};
use serde_json::{Value, json};

use crate::annotations::{Annotation, annotations};
use crate::rego::walk;
use crate::rego::{RegoError, Sources, constant};
use schema::{Found, Schema};

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
    /// A variable named `input` or `data`.
    ShadowedDocument,
    /// A builtin that is going away.
    DeprecatedBuiltin,
    /// A reference to what no input has.
    UnknownInput,
    /// A comparison with a value that the input never has.
    NeverTrue,
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
            Self::DeprecatedBuiltin => "deprecated-builtin",
            Self::UnknownInput => "unknown-input",
            Self::NeverTrue => "never-true",
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
    let mut linter = Linter { schema: Schema::of_input(), findings: Vec::new() };
    let blocks: BTreeMap<&str, Vec<Annotation>> =
        sources.files.iter().map(|file| (file.path.as_str(), annotations(&file.path, &file.text))).collect();
    let decision: Vec<&str> = decision.split('/').collect();
    for module in &modules {
        linter.imports(module);
        for rule in &module.policy {
            linter.locals(rule);
            linter.references(module, rule);
        }
        linter.metadata(module, &blocks, &decision);
    }
    linter.packages(modules.iter().map(|module| module.as_ref()), &blocks);
    linter.decision(modules.iter().map(|module| module.as_ref()), &decision);
    let mut findings = linter.findings;
    findings.sort_by(|a, b| (&a.file, a.row, a.column, a.code).cmp(&(&b.file, b.row, b.column, b.code)));
    findings.dedup();
    Ok(findings)
}

struct Linter {
    schema: Schema,
    findings: Vec<Finding>,
}

impl Linter {
    fn find(&mut self, code: Code, at: &Span, message: String, remedy: impl Into<String>) {
        self.findings.push(Finding {
            code,
            file: at.source.get_path().clone(),
            row: at.line,
            column: at.col,
            message,
            remedy: remedy.into(),
        });
    }

    fn imports(&mut self, module: &Module) {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for import in &module.imports {
            let path = import.refr.span().text();
            let Some(name) = alias(import) else { continue };
            if !seen.insert(name) {
                let message = format!("the name {name} is imported already");
                self.find(
                    Code::DuplicateImport,
                    &import.span,
                    message,
                    "remove one, or give it another name with `as`",
                );
            }
            let mut is_used = false;
            for rule in &module.policy {
                walk::rule(rule, &mut |expr| {
                    is_used |= walk::reference(expr).is_some_and(|reference| reference.root.text() == name);
                });
            }
            if !is_used {
                self.find(
                    Code::UnusedImport,
                    &import.span,
                    format!("nothing refers to {path}"),
                    "remove the import",
                );
            }
        }
    }

    fn locals(&mut self, rule: &Rule) {
        let locals = walk::read_locals(rule);
        let declared: BTreeSet<u32> = locals.iter().map(|(_, span)| span.start).collect();
        let mut read: BTreeSet<&str> = BTreeSet::new();
        let see = |expr: &'_ Expr| -> Option<String> {
            let reference = walk::reference(expr)?;
            (!declared.contains(&reference.root.start)).then(|| reference.root.text().to_owned())
        };
        let mut names: BTreeSet<String> = BTreeSet::new();
        walk::rule(rule, &mut |expr| names.extend(see(expr)));
        read.extend(names.iter().map(String::as_str));
        for (name, span) in locals {
            if matches!(name, "input" | "data") {
                let message = format!("the variable {name} hides the document");
                self.find(Code::ShadowedDocument, span, message, "give it another name");
            } else if name != "_" && !read.contains(name) {
                self.find(
                    Code::UnusedLocal,
                    span,
                    format!("nothing refers to {name}"),
                    "remove it, or write _",
                );
            }
        }
    }

    fn references(&mut self, module: &Module, rule: &Rule) {
        let aliases = input_aliases(module);
        let locals: BTreeSet<&str> = walk::locals(rule).into_iter().map(|(name, _)| name).collect();
        let path = |expr: &Expr| -> Option<Vec<Option<String>>> {
            let reference = walk::reference(expr)?;
            let root = reference.root.text();
            if root == "input" {
                return Some(reference.segments);
            }
            let prefix = aliases.get(root).filter(|_| !locals.contains(root))?;
            Some(prefix.iter().cloned().map(Some).chain(reference.segments).collect())
        };
        walk::rule(rule, &mut |expr| {
            if let Expr::Call { fcn, span, .. } = expr
                && DEPRECATED.contains(&fcn.span().text())
            {
                let message = format!("{} is deprecated", fcn.span().text());
                self.find(
                    Code::DeprecatedBuiltin,
                    span,
                    message,
                    "write what it does with `some`, `every` or a newer builtin",
                );
            }
            if let Some(path) = path(expr)
                && let Found::Unknown { at, name, nearest } = self.schema.find(&path)
            {
                let remedy = match nearest {
                    Some(nearest) => format!("did you mean {nearest}?"),
                    None => "see `remit schema input` for what there is".to_owned(),
                };
                self.find(Code::UnknownInput, expr.span(), format!("{at} never has {name}"), remedy);
            }
            if let Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, span, .. } = expr {
                for (reference, value) in [(lhs, rhs), (rhs, lhs)] {
                    let (Some(path), Expr::String { value, .. }) = (path(reference), value.as_ref()) else {
                        continue;
                    };
                    let Ok(value) = value.as_string() else { continue };
                    if let Found::OneOf(values) = self.schema.find(&path)
                        && !values.iter().any(|known| known.as_str() == value.as_ref())
                    {
                        let message = format!("{} is never {:?}", reference.span().text(), value.as_ref());
                        self.find(
                            Code::NeverTrue,
                            span,
                            message,
                            format!("it is one of {}", values.join(", ")),
                        );
                    }
                }
            }
        });
    }

    /// Rules that announce a reason, or are the decision, say what they are.
    fn metadata(&mut self, module: &Module, blocks: &BTreeMap<&str, Vec<Annotation>>, decision: &[&str]) {
        let file = module.package.span.source.get_path().clone();
        let blocks = blocks.get(file.as_str()).map(Vec::as_slice).unwrap_or_default();
        let package = constant(&module.package.refr);
        let is_described = |row: u32| blocks.iter().any(|block| block.about == row);
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
            if is_described(span.line) {
                described.insert(path);
                continue;
            }
            let remedy = "put a `# METADATA` block with title and description above it";
            if let Some(reason) = reason {
                let message = format!("the reason {reason:?} is not described");
                self.find(Code::MissingMetadata, span, message, format!("{remedy}, and custom.reason_code"));
            } else if path.iter().map(String::as_str).eq(decision.iter().copied()) && described.insert(path) {
                self.find(Code::MissingMetadata, span, "the decision is not described".to_owned(), remedy);
            }
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

    /// The decision has a value whatever the input is.
    fn decision<'a>(&mut self, modules: impl Iterator<Item = &'a Module>, decision: &[&str]) {
        let mut first: Option<&Span> = None;
        for module in modules {
            let package = constant(&module.package.refr);
            for rule in &module.policy {
                let (refr, is_certain) = match rule.as_ref() {
                    Rule::Default { refr, .. } => (refr, true),
                    Rule::Spec { head, bodies, .. } => match head {
                        RuleHead::Compr { refr, .. } => {
                            (refr, bodies.is_empty() || bodies.iter().any(|body| body.query.stmts.is_empty()))
                        }
                        // A set or an object is empty where nothing applies.
                        RuleHead::Set { refr, .. } => (refr, true),
                        RuleHead::Func { refr, .. } => (refr, false),
                    },
                };
                let path = package.iter().cloned().chain(constant(refr));
                if !path.eq(decision.iter().map(|part| (*part).to_owned())) {
                    continue;
                }
                if is_certain {
                    return;
                }
                first.get_or_insert(rule.span());
            }
        }
        if let Some(span) = first {
            let message = "the decision is undefined where none of its definitions applies".to_owned();
            self.find(
                Code::UndefinedDecision,
                span,
                message,
                "add a `default`, or an `else` without a condition",
            );
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

/// Imports of parts of the input.
fn input_aliases(module: &Module) -> BTreeMap<&str, Vec<String>> {
    let of = |import: &'_ regorus::unstable::Import| {
        let path = constant(&import.refr);
        let (root, rest) = path.split_first()?;
        (root == "input").then(|| rest.to_vec())
    };
    module.imports.iter().filter_map(|import| Some((alias(import)?, of(import)?))).collect()
}
