//! A walk over syntax trees that shows references whole: `input.a["b"][x]` is one expression, not four.

use regorus::unstable::{AssignOp, Expr, Literal, Query, Rule, RuleHead, Span};

/// A reference, taken apart.
pub(crate) struct Reference<'a> {
    /// The variable that it begins with.
    pub(crate) root: &'a Span,
    /// What follows: a constant name, or `None` for anything else.
    pub(crate) segments: Vec<Option<String>>,
}

/// The expression as a reference that begins with a variable.
pub(crate) fn reference(expr: &Expr) -> Option<Reference<'_>> {
    let (root, segments) = taken_apart(expr);
    match root {
        Expr::Var { span, .. } => Some(Reference { root: span, segments }),
        _ => None,
    }
}

/// What a reference begins with, and the names that follow: a constant one, or `None` for anything else.
pub(crate) fn taken_apart(expr: &Expr) -> (&Expr, Vec<Option<String>>) {
    let mut segments = Vec::new();
    let mut at = expr;
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                segments.push(Some(field.0.text().to_owned()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                segments.push(match index.as_ref() {
                    Expr::String { value, .. } | Expr::RawString { value, .. } => {
                        value.as_string().ok().map(|text| text.to_string())
                    }
                    _ => None,
                });
                at = refr;
            }
            root => {
                segments.reverse();
                return (root, segments);
            }
        }
    }
}

/// Shows every expression of a rule's heads and bodies, a reference as one.
pub(crate) fn rule<'a>(at: &'a Rule, see: &mut dyn FnMut(&'a Expr)) {
    match at {
        Rule::Default { args, value, .. } => {
            args.iter().for_each(|arg| expr(arg, see));
            expr(value, see);
        }
        Rule::Spec { head, bodies, .. } => {
            let (refr, key, args, assign): (_, _, &[_], _) = match head {
                RuleHead::Compr { refr, assign, .. } => (refr, None, &[], assign.as_ref()),
                RuleHead::Set { refr, key, .. } => (refr, key.as_ref(), &[], None),
                RuleHead::Func { refr, args, assign, .. } => (refr, None, args, assign.as_ref()),
            };
            indexes(refr, see);
            key.into_iter().chain(args).for_each(|part| expr(part, see));
            assign.into_iter().for_each(|assign| expr(&assign.value, see));
            for body in bodies {
                body.assign.iter().for_each(|assign| expr(&assign.value, see));
                query(&body.query, see);
            }
        }
    }
}

fn query<'a>(at: &'a Query, see: &mut dyn FnMut(&'a Expr)) {
    for statement in &at.stmts {
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                key.iter().chain([value, collection]).for_each(|part| expr(part, see));
            }
            Literal::Expr { expr: inner, .. } | Literal::NotExpr { expr: inner, .. } => expr(inner, see),
            Literal::Every { domain, query: inside, .. } => {
                expr(domain, see);
                query(inside, see);
            }
        }
        for modifier in &statement.with_mods {
            expr(&modifier.refr, see);
            expr(&modifier.r#as, see);
        }
    }
}

/// What stands in the brackets of a reference.
fn indexes<'a>(at: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    match at {
        Expr::RefDot { refr, .. } => indexes(refr, see),
        Expr::RefBrack { refr, index, .. } => {
            indexes(refr, see);
            expr(index, see);
        }
        Expr::Var { .. } => {}
        other => expr(other, see),
    }
}

/// Shows an expression, then those inside it.
pub(crate) fn expr<'a>(at: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    see(at);
    match at {
        Expr::RefDot { .. } | Expr::RefBrack { .. } => indexes(at, see),
        Expr::ArrayCompr { term, query: body, .. } | Expr::SetCompr { term, query: body, .. } => {
            expr(term, see);
            query(body, see);
        }
        Expr::ObjectCompr { key, value, query: body, .. } => {
            expr(key, see);
            expr(value, see);
            query(body, see);
        }
        other => inside(other, &mut |inner| expr(inner, see)),
    }
}

/// Shows the expressions of which an expression is made: none of a comprehension, whose parts are a scope of their own.
pub(crate) fn inside<'a>(at: &'a Expr, see: &mut dyn FnMut(&'a Expr)) {
    match at {
        Expr::RefDot { refr, .. } => see(refr),
        Expr::RefBrack { refr, index, .. } => {
            see(refr);
            see(index);
        }
        Expr::Call { fcn, params, .. } => {
            see(fcn);
            params.iter().for_each(|param| see(param));
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().for_each(|item| see(item)),
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, key, value)| {
            see(key);
            see(value);
        }),
        Expr::UnaryExpr { expr: inner, .. } => see(inner),
        Expr::AssignExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. } => {
            see(lhs);
            see(rhs);
        }
        Expr::Membership { key, value, collection, .. } => {
            key.iter().chain([value, collection]).for_each(|part| see(part));
        }
        _ => {}
    }
}

/// Shows the queries of a rule: its bodies, and those of comprehensions and `every` in it.
pub(crate) fn queries<'a>(at: &'a Rule, see: &mut dyn FnMut(&'a Query)) {
    fn whole<'a>(at: &'a Query, see: &mut dyn FnMut(&'a Query)) {
        see(at);
        for statement in &at.stmts {
            if let Literal::Every { query, .. } = &statement.literal {
                whole(query, see);
            }
        }
    }
    if let Rule::Spec { bodies, .. } = at {
        bodies.iter().for_each(|body| whole(&body.query, see));
    }
    rule(at, &mut |expr| match expr {
        Expr::ArrayCompr { query, .. } | Expr::SetCompr { query, .. } | Expr::ObjectCompr { query, .. } => {
            whole(query, see);
        }
        _ => {}
    });
}

/// The names that a rule declares: arguments, `:=`, `some`, `every`; with where.
pub(crate) fn locals(at: &Rule) -> Vec<(&str, &Span)> {
    let mut names = Vec::new();
    let args = match at {
        Rule::Spec { head: RuleHead::Func { args, .. }, .. } | Rule::Default { args, .. } => args.as_slice(),
        Rule::Spec { .. } => &[],
    };
    args.iter().for_each(|arg| pattern(arg, &mut names));
    rule(at, &mut |expr| {
        if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr {
            pattern(lhs, &mut names);
        }
    });
    if let Rule::Spec { bodies, .. } = at {
        bodies.iter().for_each(|body| declared(&body.query, &mut names));
    }
    rule(at, &mut |expr| match expr {
        Expr::ArrayCompr { query, .. } | Expr::SetCompr { query, .. } | Expr::ObjectCompr { query, .. } => {
            declared(query, &mut names);
        }
        _ => {}
    });
    names
}

fn declared<'a>(at: &'a Query, names: &mut Vec<(&'a str, &'a Span)>) {
    for statement in &at.stmts {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => names.extend(vars.iter().map(|span| (span.text(), span))),
            Literal::SomeIn { key, value, .. } => {
                key.iter().for_each(|key| pattern(key, names));
                pattern(value, names);
            }
            Literal::Every { key, value, query, .. } => {
                names.extend(key.iter().chain([value]).map(|span| (span.text(), span)));
                declared(query, names);
            }
            Literal::Expr { .. } | Literal::NotExpr { .. } => {}
        }
    }
}

/// The variables of a pattern such as `[x, {"k": y}]`.
pub(crate) fn pattern<'a>(at: &'a Expr, names: &mut Vec<(&'a str, &'a Span)>) {
    match at {
        Expr::Var { span, .. } => names.push((span.text(), span)),
        Expr::Array { items, .. } => items.iter().for_each(|item| pattern(item, names)),
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| pattern(value, names)),
        _ => {}
    }
}
