//! Which variable a name means: those that nothing refers to, and those that hide something else.

use std::collections::BTreeSet;

use regorus::unstable::{AssignOp, Expr, Literal, Query, Rule, RuleHead, Span};

use crate::rego::walk;

/// What the names in a rule come to.
#[derive(Default)]
pub(super) struct Names<'a> {
    /// Variables that have to be read and are not, with where they are declared.
    pub(super) unused: Vec<(&'a str, &'a Span)>,
    /// All variables.
    pub(super) declared: Vec<(&'a str, &'a Span)>,
    /// Names that are no variables of the rule: of rules, imports and documents.
    pub(super) free: BTreeSet<&'a str>,
    open: Vec<Vec<Variable<'a>>>,
}

struct Variable<'a> {
    name: &'a str,
    at: &'a Span,
    /// Whether it is read; the outputs of `some … in` need not be.
    is_fine: bool,
}

/// The names of a rule. Each body, comprehension and `every` is a scope within that of the arguments.
pub(super) fn names(rule: &Rule) -> Names<'_> {
    let mut names = Names::default();
    let mut args_of = Vec::new();
    match rule {
        Rule::Default { args, value, .. } => {
            args.iter().for_each(|arg| walk::pattern(arg, &mut args_of));
            names.begin(&args_of, false);
            names.expr(value);
        }
        Rule::Spec { head, bodies, .. } => {
            let mut shown: Vec<&Expr> = Vec::new();
            let assign = match head {
                RuleHead::Compr { refr, assign, .. } => {
                    indexes_of(refr, &mut shown);
                    assign.as_ref()
                }
                RuleHead::Set { refr, key, .. } => {
                    indexes_of(refr, &mut shown);
                    shown.extend(key.iter().map(AsRef::as_ref));
                    None
                }
                RuleHead::Func { args, assign, .. } => {
                    args.iter().for_each(|arg| walk::pattern(arg, &mut args_of));
                    assign.as_ref()
                }
            };
            shown.extend(assign.iter().map(|assign| assign.value.as_ref()));
            names.begin(&args_of, false);
            if bodies.is_empty() {
                shown.iter().for_each(|expr| names.expr(expr));
            }
            for body in bodies {
                match &body.assign {
                    Some(assign) => names.query(&body.query, &[&assign.value]),
                    None => names.query(&body.query, &shown),
                }
            }
        }
    }
    names.end();
    names
}

/// What stands in the brackets of a rule's name.
fn indexes_of<'a>(mut refr: &'a Expr, into: &mut Vec<&'a Expr>) {
    loop {
        match refr {
            Expr::RefDot { refr: inner, .. } => refr = inner,
            Expr::RefBrack { refr: inner, index, .. } => {
                into.push(index);
                refr = inner;
            }
            _ => return,
        }
    }
}

impl<'a> Names<'a> {
    fn begin(&mut self, variables: &[(&'a str, &'a Span)], is_fine: bool) {
        self.open.push(Vec::new());
        self.declare(variables, is_fine);
    }

    fn declare(&mut self, variables: &[(&'a str, &'a Span)], is_fine: bool) {
        self.declared.extend(variables);
        if let Some(scope) = self.open.last_mut() {
            scope.extend(variables.iter().map(|(name, at)| Variable { name, at, is_fine }));
        }
    }

    fn end(&mut self) {
        let ended = self.open.pop().into_iter().flatten().filter(|variable| !variable.is_fine);
        self.unused.extend(
            ended.filter(|variable| variable.name != "_").map(|variable| (variable.name, variable.at)),
        );
    }

    fn read(&mut self, name: &'a str) {
        let found = self.open.iter_mut().rev().flat_map(|scope| scope.iter_mut().rev());
        match found.into_iter().find(|variable| variable.name == name) {
            Some(variable) => variable.is_fine = true,
            None => {
                self.free.insert(name);
            }
        }
    }

    /// A body, and what is evaluated where it holds.
    fn query(&mut self, query: &'a Query, then: &[&'a Expr]) {
        self.begin(&[], false);
        for statement in &query.stmts {
            match &statement.literal {
                Literal::SomeVars { vars, .. } => {
                    let vars: Vec<_> = vars.iter().map(|span| (span.text(), span)).collect();
                    self.declare(&vars, false);
                }
                Literal::SomeIn { key, value, collection, .. } => {
                    self.expr(collection);
                    let mut outputs = Vec::new();
                    key.iter().chain([value]).for_each(|part| walk::pattern(part, &mut outputs));
                    self.declare(&outputs, true);
                    key.iter().chain([value]).for_each(|part| self.expr(part));
                }
                Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => self.expr(expr),
                Literal::Every { key, value, domain, query, .. } => {
                    self.expr(domain);
                    let outputs: Vec<_> = key.iter().chain([value]).map(|span| (span.text(), span)).collect();
                    self.begin(&outputs, false);
                    self.query(query, &[]);
                    self.end();
                }
            }
            for modifier in &statement.with_mods {
                self.expr(&modifier.refr);
                self.expr(&modifier.r#as);
            }
        }
        then.iter().for_each(|expr| self.expr(expr));
        self.end();
    }

    fn expr(&mut self, at: &'a Expr) {
        match at {
            Expr::Var { span, .. } => self.read(span.text()),
            Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                self.query(query, &[term]);
            }
            Expr::ObjectCompr { key, value, query, .. } => self.query(query, &[key, value]),
            // A function is never a variable.
            Expr::Call { fcn, params, .. } => {
                self.free.extend(walk::reference(fcn).map(|function| function.root.text()));
                params.iter().for_each(|param| self.expr(param));
            }
            Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } => {
                self.expr(rhs);
                let mut outputs = Vec::new();
                walk::pattern(lhs, &mut outputs);
                self.declare(&outputs, false);
            }
            _ => walk::inside(at, &mut |inner| self.expr(inner)),
        }
    }
}
