//! The rules of a bundle by their paths: what refers to what, what is never reached, and what can be undefined.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{AssignOp, BoolOp, Expr, Literal, Module, Query, Ref, Rule, RuleHead, Span};

use super::possible::{Possible, literal};
use super::schema::{Found, Schema};
use super::scopes;
use crate::rego::walk::{self, Reference};
use crate::rego::{constant, path_of};

/// A path below `data` that begins with it, such as `data`, `remit`, `authz`, `decision`.
pub(super) type Path = Vec<String>;

type Definition<'a> = (&'a Module, &'a Rule);

/// All rules.
pub(super) struct Rules<'a> {
    by_path: BTreeMap<Path, Vec<Definition<'a>>>,
}

impl<'a> Rules<'a> {
    pub(super) fn of(modules: &'a [Ref<Module>]) -> Self {
        let mut by_path: BTreeMap<Path, Vec<Definition<'a>>> = BTreeMap::new();
        for module in modules {
            for rule in &module.policy {
                by_path.entry(full(path_of(module, rule))).or_default().push((module, rule));
            }
        }
        Self { by_path }
    }

    /// The rules' path that a reference names, and whether all of it is constant.
    pub(super) fn path(&self, module: &Module, reference: &Reference<'_>) -> (Path, bool) {
        let root = reference.root.text();
        let import = module.imports.iter().find(|import| super::alias(import) == Some(root));
        let mut path = match (root, import) {
            ("data", _) => vec!["data".to_owned()],
            (_, Some(import)) => constant(&import.refr),
            _ => full(constant(&module.package.refr)).into_iter().chain([root.to_owned()]).collect(),
        };
        path.extend(reference.segments.iter().map_while(Clone::clone));
        (path, reference.segments.iter().all(Option::is_some))
    }

    /// Whether a call is of a function of the bundle.
    pub(super) fn has_function(&self, module: &Module, function: &Expr) -> bool {
        walk::reference(function)
            .is_some_and(|reference| self.by_path.contains_key(&self.path(module, &reference).0))
    }

    /// What the rule of a path can be.
    pub(super) fn value(&self, path: &Path) -> Possible {
        let Some(definitions) = self.by_path.get(path) else { return Possible::anything() };
        definitions.iter().fold(Possible::nothing(), |some, (_, rule)| some.or(value_of(rule)))
    }

    /// The first definition of a rule.
    pub(super) fn first(&self, path: &Path) -> Option<&'a Span> {
        Some(self.by_path.get(path)?.first()?.1.span())
    }

    /// The first definition of each rule that nothing comes to from `roots`.
    pub(super) fn unreached(&self, roots: &[Path]) -> Vec<(String, &'a Span)> {
        let mut reached: BTreeSet<&Path> = BTreeSet::new();
        let mut next: Vec<Path> = roots.to_vec();
        while let Some(wanted) = next.pop() {
            for (path, definitions) in &self.by_path {
                let meets = path.starts_with(&wanted) || wanted.starts_with(path);
                if !meets || !reached.insert(path) {
                    continue;
                }
                for (module, rule) in definitions {
                    // A name that is a variable in one scope may be a rule in another.
                    let free = scopes::names(rule).free;
                    walk::rule(rule, &mut |expr| {
                        if let Some(reference) = walk::reference(expr)
                            && free.contains(reference.root.text())
                        {
                            next.push(self.path(module, &reference).0);
                        }
                    });
                }
            }
        }
        let rest = self.by_path.iter().filter(|(path, _)| !reached.contains(path));
        rest.filter_map(|(path, definitions)| Some((path.join("."), definitions.first()?.1.span()))).collect()
    }

    /// Why the rule of a path can be undefined, and where; `None` where it cannot, or cannot be shown to be.
    pub(super) fn undefined(&self, path: &Path, schema: &Schema) -> Option<(String, &'a Span)> {
        Certainty { rules: self, schema, open: Vec::new() }.rule(path)
    }
}

fn full(path: Path) -> Path {
    if path.first().is_some_and(|root| root == "data") {
        return path;
    }
    std::iter::once("data".to_owned()).chain(path).collect()
}

fn value_of(rule: &Rule) -> Possible {
    match rule {
        Rule::Default { value, .. } => literal(value),
        Rule::Spec { head: RuleHead::Compr { refr, assign, .. }, bodies, .. } => {
            // `name[x] := y` is an object.
            if !matches!(refr.as_ref(), Expr::Var { .. }) {
                return Possible::anything();
            }
            let first =
                assign.as_ref().map_or_else(|| Possible::value(Value::from(true)), |to| literal(&to.value));
            let others = bodies.iter().filter(|body| body.is_else).map(|body| match &body.assign {
                Some(to) => literal(&to.value),
                None => Possible::value(Value::from(true)),
            });
            others.fold(first, Possible::or)
        }
        Rule::Spec { .. } => Possible::anything(),
    }
}

/// Whether something has a value whatever the input is.
struct Certainty<'r, 'a> {
    rules: &'r Rules<'a>,
    schema: &'r Schema,
    /// The rules that are looked at.
    open: Vec<Path>,
}

/// What can be undefined, and where.
type Doubt<'a> = Option<(String, &'a Span)>;

impl<'a> Certainty<'_, 'a> {
    fn rule(&mut self, path: &Path) -> Doubt<'a> {
        let definitions = self.rules.by_path.get(path)?.clone();
        if self.open.contains(path) {
            return None;
        }
        self.open.push(path.clone());
        let doubt = self.definitions(path, &definitions);
        self.open.pop();
        doubt
    }

    fn definitions(&mut self, path: &Path, definitions: &[Definition<'a>]) -> Doubt<'a> {
        let name = path.join(".");
        let mut first: Doubt<'a> = None;
        for (module, rule) in definitions {
            let doubt = match rule {
                Rule::Default { .. } => return None,
                // A set or an object is empty where nothing applies.
                Rule::Spec { head: RuleHead::Set { .. }, .. } => return None,
                Rule::Spec { head: RuleHead::Func { args, .. }, .. } if args.is_empty() => return None,
                Rule::Spec { head: RuleHead::Func { args, assign, .. }, bodies, span } => {
                    let takes_all = args.iter().all(|arg| matches!(arg.as_ref(), Expr::Var { .. }));
                    match self.spec(module, rule, assign.as_ref().map(|to| to.value.as_ref()), bodies, span) {
                        None if takes_all => None,
                        _ => Some((format!("{name} is undefined for some arguments"), span)),
                    }
                }
                Rule::Spec { head: RuleHead::Compr { refr, assign, .. }, bodies, span } => {
                    if !matches!(refr.as_ref(), Expr::Var { .. }) {
                        return None;
                    }
                    self.spec(module, rule, assign.as_ref().map(|to| to.value.as_ref()), bodies, span)
                }
            };
            match doubt {
                None => return None,
                Some((why, at)) => {
                    let why = if why.is_empty() {
                        format!("{name} is undefined where none of its definitions applies")
                    } else {
                        why
                    };
                    first.get_or_insert((why, at));
                }
            }
        }
        if self.covers(definitions) { None } else { first }
    }

    /// One definition with its `else`; the empty reason is that of a body that may not hold.
    fn spec(
        &mut self,
        module: &'a Module,
        rule: &'a Rule,
        value: Option<&'a Expr>,
        bodies: &'a [regorus::unstable::RuleBody],
        span: &'a Span,
    ) -> Doubt<'a> {
        let locals: BTreeSet<&str> = walk::locals(rule).into_iter().map(|(name, _)| name).collect();
        if bodies.is_empty() {
            return value.and_then(|value| self.expr(module, &locals, value));
        }
        let mut why: Doubt<'a> = None;
        for body in bodies {
            let value =
                body.assign.as_ref().map(|to| to.value.as_ref()).or(if body.is_else { None } else { value });
            if !self.holds(module, &locals, &body.query) {
                continue;
            }
            match value.and_then(|value| self.expr(module, &locals, value)) {
                None => return None,
                doubt => why = why.or(doubt),
            }
        }
        why.or_else(|| Some((String::new(), span)))
    }

    /// Whether a body holds always: it is true, or gives names to what is always there.
    fn holds(&mut self, module: &'a Module, locals: &BTreeSet<&str>, query: &'a Query) -> bool {
        query.stmts.iter().all(|statement| match &statement.literal {
            Literal::SomeVars { .. } => true,
            Literal::Expr { expr, .. } => match expr.as_ref() {
                Expr::Bool { value, .. } => *value == Value::from(true),
                Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                    matches!(lhs.as_ref(), Expr::Var { .. }) && self.expr(module, locals, rhs).is_none()
                }
                _ => false,
            },
            _ => false,
        })
    }

    /// What of an expression can be undefined. A comprehension is never.
    fn expr(&mut self, module: &'a Module, locals: &BTreeSet<&str>, expr: &'a Expr) -> Doubt<'a> {
        match expr {
            Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => return None,
            Expr::Call { fcn, params, .. } => {
                let of_bundle = walk::reference(fcn).map(|reference| self.rules.path(module, &reference).0);
                let called = of_bundle.and_then(|path| self.rule(&path));
                return called.or_else(|| params.iter().find_map(|param| self.expr(module, locals, param)));
            }
            _ => {}
        }
        let Some(reference) = walk::reference(expr) else {
            let mut doubt = None;
            let mut parts: Vec<&'a Expr> = Vec::new();
            walk::inside(expr, &mut |part| parts.push(part));
            for part in parts {
                doubt = doubt.or_else(|| self.expr(module, locals, part));
            }
            return doubt;
        };
        let root = reference.root.text();
        if locals.contains(root) {
            return None;
        }
        let (path, is_whole) = self.rules.path(module, &reference);
        let of_input = match (root, path.first().map(String::as_str)) {
            ("input", _) => Some(reference.segments.clone()),
            (_, Some("input")) => {
                Some(path.iter().skip(1).cloned().map(Some).chain((!is_whole).then_some(None)).collect())
            }
            _ => None,
        };
        if let Some(segments) = of_input {
            let is_certain = matches!(self.schema.find(&segments), Found::Known { always: true, .. });
            return (!is_certain)
                .then(|| (format!("not every input has {}", expr.span().text()), expr.span()));
        }
        if is_whole { self.rule(&path) } else { None }
    }

    /// Whether definitions of one condition each have one for every case: `x if y` and `x if not y`, `x if y == 0` and
    /// `x if y > 0` of a count, or `x if y == "a"` and so on through all that the rule `y` can be.
    fn covers(&mut self, definitions: &[Definition<'a>]) -> bool {
        let mut equal: BTreeMap<Path, BTreeSet<Value>> = BTreeMap::new();
        let (mut holds, mut fails) = (BTreeSet::new(), BTreeSet::new());
        for (module, rule) in definitions {
            let Rule::Spec { bodies, .. } = rule else { continue };
            for body in bodies {
                let [statement] = body.query.stmts.as_slice() else { continue };
                match &statement.literal {
                    Literal::NotExpr { expr, .. } => drop(fails.insert(expr.span().text().to_owned())),
                    Literal::Expr { expr, .. } => {
                        holds.insert(expr.span().text().to_owned());
                        let Expr::BoolExpr { op, lhs, rhs, .. } = expr.as_ref() else { continue };
                        let (left, right) = (lhs.span().text(), rhs.span().text());
                        // Where one side is undefined, neither condition holds.
                        if self.expr(module, &BTreeSet::new(), lhs).is_none()
                            && self.expr(module, &BTreeSet::new(), rhs).is_none()
                        {
                            holds.insert(format!("{left} {op:?} {right}"));
                            let counts = left.starts_with("count(") && right == "0";
                            fails.extend(otherwise(op, counts).map(|op| format!("{left} {op:?} {right}")));
                        }
                        if *op == BoolOp::Eq
                            && let Some(reference) = walk::reference(lhs)
                            && let Some(values) = literal(rhs).values
                        {
                            let (path, _) = self.rules.path(module, &reference);
                            equal.entry(path).or_default().extend(values);
                        }
                    }
                    _ => {}
                }
            }
        }
        !holds.is_disjoint(&fails)
            || equal.iter().any(|(path, values)| {
                let all = self.rules.value(path).values;
                all.is_some_and(|all| all.is_subset(values)) && self.rule(path).is_none()
            })
    }
}

/// The comparison that holds where another does not; that of a count with 0 has no third case.
fn otherwise(op: &BoolOp, is_count_with_zero: bool) -> Option<BoolOp> {
    Some(match op {
        BoolOp::Eq if is_count_with_zero => BoolOp::Gt,
        BoolOp::Eq => BoolOp::Ne,
        BoolOp::Ne => BoolOp::Eq,
        BoolOp::Lt => BoolOp::Ge,
        BoolOp::Ge => BoolOp::Lt,
        BoolOp::Gt => BoolOp::Le,
        BoolOp::Le => BoolOp::Gt,
    })
}
