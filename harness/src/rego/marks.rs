//! Rego with marks in it: each statement of a rule, and each rule that comes to its end, tells so. Lines stay where they
//! are, so that whatever else the evaluator says of a place is right, and values are those of the text without marks.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Expr, Module, Query, Ref, Rule, RuleHead, Span};

use super::{Source, walk};

/// The function that marks call: the number of the mark.
pub(super) const MARK: &str = "remit_harness_mark";
/// The function that says which case of a test begins: the number of the definition, and the case.
pub(super) const CASE: &str = "remit_harness_case";

/// What a mark stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A rule or an `else` that came to its end.
    Head,
    /// A statement that was begun.
    Statement {
        /// `some …`: counted where it was begun, never missed.
        declares: bool,
    },
    /// A default value that was taken.
    Default,
}

/// A place that can be reached.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) kind: Kind,
    /// The definition that it is in.
    pub(crate) definition: usize,
    /// First row, 1-based.
    pub(crate) row: u32,
    /// Last row.
    pub(crate) end: u32,
}

/// One definition of a rule: a head with its bodies, or a default.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    /// Path of the rule below `data`, in its constant parts.
    pub(crate) path: Vec<String>,
    pub(crate) file: String,
    pub(crate) row: u32,
    /// The mark of its default value.
    pub(crate) default: Option<usize>,
}

/// Sources with marks, and what these mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marked {
    pub(crate) files: Vec<Source>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) definitions: Vec<Definition>,
}

/// Puts marks into sources; `modules` are what they parse to.
pub(crate) fn mark(files: &[Source], modules: &[Ref<Module>]) -> Marked {
    let mut marked = Marked { files: files.to_vec(), ..Marked::default() };
    let mut with_definitions: BTreeMap<Vec<String>, bool> = BTreeMap::new();
    for (module, rule) in rules(modules) {
        let is_spec = matches!(rule, Rule::Spec { .. });
        *with_definitions.entry(path_of(module, rule)).or_default() |= is_spec;
    }
    for module in modules {
        let file = module.package.span.source.get_path().clone();
        let Some(position) = marked.files.iter().position(|source| source.path == file) else { continue };
        // As the parser had it, which its places are of.
        let text = module.package.span.source.get_contents().as_str();
        let keyword = if module.rego_v1 || !files.get(position).is_some_and(|source| source.is_v0) {
            " if"
        } else {
            ""
        };
        let mut marker = Marker { marked: &mut marked, text, keyword, edits: Vec::new() };
        marker.imports(module);
        for rule in &module.policy {
            let path = path_of(module, rule);
            let is_alone = !with_definitions.get(&path).copied().unwrap_or_default();
            marker.rule(&file, path, rule, is_alone);
        }
        let text = edited(text, marker.edits);
        if let Some(source) = marked.files.get_mut(position) {
            source.text = text;
        }
    }
    marked
}

fn rules(modules: &[Ref<Module>]) -> impl Iterator<Item = (&Module, &Rule)> {
    modules.iter().flat_map(|module| module.policy.iter().map(|rule| (module.as_ref(), rule.as_ref())))
}

/// What takes the place of the bytes of a range; most ranges are empty.
pub(super) type Edit = (std::ops::Range<usize>, String);

/// The text with its edits, those of one place in their order.
pub(super) fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len().saturating_mul(2));
    let mut from = 0;
    for (range, instead) in edits {
        out.push_str(text.get(from..range.start).unwrap_or_default());
        out.push_str(&instead);
        from = range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

struct Marker<'a> {
    marked: &'a mut Marked,
    text: &'a str,
    /// What goes before a body that was not there.
    keyword: &'static str,
    edits: Vec<Edit>,
}

impl Marker<'_> {
    /// Writes references through an import of data whole. The evaluator would evaluate all rules of a package that it
    /// reaches by an alias, and tell of marks that nobody asked for.
    fn imports(&mut self, module: &Module) {
        let aliases: BTreeMap<&str, &str> = module
            .imports
            .iter()
            .filter_map(|import| {
                let path = import.refr.span().text();
                let last = path.rsplit('.').next()?;
                let is_plain = path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
                (is_plain && path.starts_with("data."))
                    .then(|| (import.r#as.as_ref().map_or(last, |alias| alias.text()), path))
            })
            .collect();
        if aliases.is_empty() {
            return;
        }
        for rule in &module.policy {
            let locals: BTreeSet<&str> = walk::locals(rule).into_iter().map(|(name, _)| name).collect();
            walk::rule(rule, &mut |expr| {
                let Some(reference) =
                    walk::reference(expr).filter(|reference| !reference.segments.is_empty())
                else {
                    return;
                };
                let name = reference.root.text();
                if let Some(path) = aliases.get(name).filter(|_| !locals.contains(name)) {
                    self.edits.push((start(reference.root)..end_of(reference.root), (*path).to_owned()));
                }
            });
        }
    }

    fn rule(&mut self, file: &str, path: Vec<String>, rule: &Rule, is_alone: bool) {
        let definition = self.marked.definitions.len();
        let span = rule.span();
        self.marked.definitions.push(Definition {
            path,
            file: file.to_owned(),
            row: span.line,
            default: None,
        });
        match rule {
            Rule::Default { refr, value, args, .. } => {
                let (row, end) = (span.line, last_row(value.span()));
                let mark = self.mark(Kind::Default, definition, row, end);
                if is_alone && args.is_empty() {
                    // Nothing else tells that it was taken, so it becomes a rule that does.
                    let keyword = start(span)..start(refr.span());
                    if self.text.get(keyword.clone()).is_some_and(|word| word.trim() == "default") {
                        self.edits.push((keyword, String::new()));
                        let at = self.end(end_of(span));
                        self.insert(at, format!("{} {{ {MARK}({mark}) }}", self.keyword));
                    }
                } else if let Some(this) = self.marked.definitions.get_mut(definition) {
                    this.default = Some(mark);
                }
            }
            Rule::Spec { head, bodies, .. } => self.spec(definition, span, head, bodies),
        }
    }

    fn spec(
        &mut self,
        definition: usize,
        span: &Span,
        head: &RuleHead,
        bodies: &[regorus::unstable::RuleBody],
    ) {
        let (refr, cases) = (head_of(head), cases(head));
        let head_end = self.end(head_end(head));
        let case =
            cases.map(|cases| format!("{CASE}({definition}, [{}]); ", cases.join(", "))).unwrap_or_default();
        if bodies.iter().all(|body| body.query.stmts.is_empty()) && bodies.len() < 2 {
            let mark = self.mark(Kind::Head, definition, span.line, last_row_at(self.text, refr, head_end));
            // Of the last brackets and parentheses the span of the rule alone knows.
            let head_end = self.end(end_of(span));
            self.insert(head_end, format!("{} {{ {case}{MARK}({mark}) }}", self.keyword));
            return;
        }
        for (i, body) in bodies.iter().enumerate() {
            let (row, end) = match (&body.assign, i) {
                (_, 0) => (span.line, last_row_at(self.text, refr, head_end)),
                (Some(assign), _) => (body.span.line, last_row(assign.value.span())),
                (None, _) => (body.span.line, body.span.line),
            };
            let mark = self.mark(Kind::Head, definition, row, end);
            let case = if i == 0 { case.as_str() } else { "" };
            if body.query.stmts.is_empty() {
                if body.assign.is_some() {
                    let at = self.end(end_of(&body.span));
                    self.insert(at, format!("{} {{ {MARK}({mark}) }}", self.keyword));
                }
                continue;
            }
            self.query(definition, &body.query, mark, case);
        }
    }

    fn query(&mut self, definition: usize, query: &Query, head: usize, case: &str) {
        let first = query.stmts.first().map(|statement| self.start(&statement.span)).unwrap_or_default();
        let is_open = opens(self.text, first);
        let last = query.stmts.len().saturating_sub(1);
        let known = if case.is_empty() { 0 } else { self.known_after(query, case) };
        for (i, statement) in query.stmts.iter().enumerate() {
            let declares = matches!(
                statement.literal,
                regorus::unstable::Literal::SomeVars { .. } | regorus::unstable::Literal::SomeIn { .. }
            );
            let end = self.end(statement.with_mods.iter().fold(end_of(&statement.span), |end, modifier| {
                end.max(end_of(&modifier.span)).max(end_of(modifier.r#as.span()))
            }));
            let rows = (statement.span.line, last_row_at(self.text, &statement.span, end));
            let mark = self.mark(Kind::Statement { declares }, definition, rows.0, rows.1);
            let brace = if i == 0 && !is_open { "{ " } else { "" };
            let begins = if i == known { case } else { "" };
            self.insert(self.start(&statement.span), format!("{brace}{begins}{MARK}({mark}); "));
            if i == last {
                let brace = if is_open { "" } else { " }" };
                let begins = if known > last { case } else { "" };
                self.insert(end, format!("; {begins}{MARK}({head}){brace}"));
            }
        }
    }

    /// The number of statements after which the names in a case are bound: those up to the first that has them.
    fn known_after(&self, query: &Query, case: &str) -> usize {
        let names = words(case).filter(|name| !name.starts_with(|c: char| c.is_ascii_digit()));
        let first = |name: &str| {
            let binds = |statement: &regorus::unstable::LiteralStmt| {
                let declares = matches!(statement.literal, regorus::unstable::Literal::SomeVars { .. });
                !declares && words(statement.span.text()).any(|word| word == name)
            };
            query.stmts.iter().position(binds).map_or(0, |at| at.saturating_add(1))
        };
        names.map(first).max().unwrap_or_default()
    }

    /// Where something begins: of a text its quote, which the parser leaves out.
    fn start(&self, span: &Span) -> usize {
        let at = start(span);
        let before = at.saturating_sub(1);
        if self.text.get(before..at).is_some_and(is_quote) { before } else { at }
    }

    /// Where something ends, likewise. Nothing but a text is followed by a quote.
    fn end(&self, at: usize) -> usize {
        let after = at.saturating_add(1);
        if self.text.get(at..after).is_some_and(is_quote) { after } else { at }
    }

    fn mark(&mut self, kind: Kind, definition: usize, row: u32, end: u32) -> usize {
        self.marked.marks.push(Mark { kind, definition, row, end });
        self.marked.marks.len().saturating_sub(1)
    }

    fn insert(&mut self, at: usize, text: String) {
        self.edits.push((at..at, text));
    }
}

fn is_quote(text: &str) -> bool {
    matches!(text, "\"" | "`")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Whether a body's braces are open before its first statement.
fn opens(text: &str, first: usize) -> bool {
    let mut before = text.get(..first).unwrap_or_default();
    loop {
        before = before.trim_end();
        if before.ends_with('{') {
            return true;
        }
        // A comment between the brace and the statement.
        let line = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        match before.get(line..).and_then(|line| line.find('#')) {
            Some(comment) => before = before.get(..line.saturating_add(comment)).unwrap_or_default(),
            None => return false,
        }
    }
}

fn head_of(head: &RuleHead) -> &Span {
    refr_of(head).span()
}

fn refr_of(head: &RuleHead) -> &Expr {
    match head {
        RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => refr,
    }
}

/// Where a head ends.
fn head_end(head: &RuleHead) -> usize {
    match head {
        RuleHead::Compr { refr, assign, .. } => {
            assign.as_ref().map_or_else(|| end_of(refr.span()), |assign| end_of(assign.value.span()))
        }
        RuleHead::Set { refr, key, .. } => key
            .as_ref()
            .map_or_else(|| end_of(refr.span()), |key| end_of(key.span()).max(end_of(refr.span()))),
        RuleHead::Func { refr, args, assign, .. } => {
            let args = args.iter().map(|arg| end_of(arg.span()).saturating_add(1)).max().unwrap_or_default();
            assign
                .as_ref()
                .map_or_else(|| args.max(end_of(refr.span())), |assign| end_of(assign.value.span()))
        }
    }
}

/// The cases of a test's head, `a, b` of `test_x[a][b]`, where they are not constant.
fn cases(head: &RuleHead) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut at = refr_of(head);
    loop {
        match at {
            Expr::RefBrack { refr, index, .. } => {
                names.push(index.span().text().to_owned());
                at = refr;
            }
            Expr::RefDot { refr, field, .. } => {
                if is_test(field.0.text()) {
                    break;
                }
                names.push(format!("{:?}", field.0.text()));
                at = refr;
            }
            Expr::Var { span, .. } => {
                if !is_test(span.text()) {
                    return None;
                }
                break;
            }
            _ => return None,
        }
    }
    if names.is_empty() {
        return None;
    }
    names.reverse();
    Some(names)
}

pub(crate) fn is_test(name: &str) -> bool {
    name.starts_with("test_")
}

pub(super) fn start(span: &Span) -> usize {
    usize::try_from(span.start).unwrap_or(usize::MAX)
}

pub(super) fn end_of(span: &Span) -> usize {
    usize::try_from(span.end).unwrap_or(usize::MAX)
}

fn last_row(span: &Span) -> u32 {
    let breaks = span.text().matches('\n').count();
    span.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX))
}

/// The row in which what begins with a span ends.
fn last_row_at(text: &str, from: &Span, end: usize) -> u32 {
    let breaks = text.get(start(from)..end).unwrap_or_default().matches('\n').count();
    from.line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX))
}

/// The constant parts of a rule's path, its package first.
pub(crate) fn path_of(module: &Module, rule: &Rule) -> Vec<String> {
    let refr = match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec { head, .. } => refr_of(head),
    };
    let mut path = constant(&module.package.refr);
    path.extend(constant(refr));
    path
}

/// The constant segments that a reference begins with.
pub(crate) fn constant(refr: &Expr) -> Vec<String> {
    let (root, segments) = walk::taken_apart(refr);
    let root = root.span().text().to_owned();
    std::iter::once(root).chain(segments.into_iter().map_while(|segment| segment)).collect()
}
