//! A walk over regorus' syntax tree that shows references whole: `input.a["b"][x]` is one node, not four.

use super::place::Place;
use regorus::Value;
use regorus::unstable::{Expr, ExprRef, Literal, LiteralStmt, Query, Rule, RuleBody, RuleHead, Span};

/// One step of the walk, outermost first.
pub(super) enum Node<'a> {
    /// A variable, alone or with what follows it.
    Reference(Reference<'a>),
    /// What stands in brackets and is no string; it follows. A variable there may run over a collection.
    Index(&'a Expr),
    /// A function call; its arguments follow.
    Call { function: &'a Expr, arguments: &'a [ExprRef], span: &'a Span },
    /// `left := right` and `left = right`; both sides follow.
    Assign { left: &'a Expr, right: &'a Expr, declares: bool },
    /// A statement of a query; its expressions follow.
    Statement(&'a LiteralStmt),
    /// A comprehension; what is inside follows.
    Comprehension { whole: &'a Expr },
    /// An array, an object or a set that is written out; what is in it follows.
    Literal(&'a Expr),
    /// `+ - * / %`, `| &`, `== <` and so on, `in`, and `-` alone; what they stand between follows.
    Operator(&'a Expr),
}

/// `root.a["b"][x]`.
pub(super) struct Reference<'a> {
    /// The variable's name.
    pub(super) root: &'a str,
    /// Where the name stands.
    pub(super) at: &'a Span,
    /// What follows.
    pub(super) segments: Vec<Segment<'a>>,
}

pub(super) enum Segment<'a> {
    Constant(&'a str),
    Dynamic(&'a Expr),
}

impl Reference<'_> {
    /// The constant segments before the first dynamic one.
    pub(super) fn prefix(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map_while(|segment| match segment {
            Segment::Constant(name) => Some(*name),
            Segment::Dynamic(_) => None,
        })
    }

    /// Where the first part that is written as a number is.
    pub(super) fn number(&self) -> Option<Place> {
        self.segments.iter().find_map(|segment| match segment {
            Segment::Dynamic(Expr::Number { span, .. }) => Some(Place::of(span)),
            _ => None,
        })
    }

    pub(super) fn is_constant(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment, Segment::Constant(_)))
    }
}

/// The text of a string value.
pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_string().ok().map(|text| text.as_ref())
}

/// The expression as a reference; `Err` holds the expression that it starts from when that is not a variable.
pub(super) fn reference(expr: &Expr) -> Result<Reference<'_>, (&Expr, Vec<Segment<'_>>)> {
    let mut segments = Vec::new();
    let mut at = expr;
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                segments.push(Segment::Constant(text(&field.1).unwrap_or_default()));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                segments.push(match index.as_ref() {
                    Expr::String { value, .. } | Expr::RawString { value, .. } => {
                        text(value).map_or(Segment::Dynamic(index), Segment::Constant)
                    }
                    _ => Segment::Dynamic(index),
                });
                at = refr;
            }
            Expr::Var { value, span, .. } => {
                segments.reverse();
                let root = text(value).unwrap_or_default();
                return Ok(Reference { root, at: span, segments });
            }
            other => return Err((other, segments)),
        }
    }
}

/// Walks an expression. The depth is bounded by the parser's own limit on nesting.
pub(super) fn expr<'a>(at: &'a Expr, see: &mut dyn FnMut(Node<'a>)) {
    match at {
        Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
            let segments = match reference(at) {
                Ok(reference) => {
                    let dynamic: Vec<_> = dynamic(&reference.segments);
                    see(Node::Reference(reference));
                    dynamic
                }
                Err((start, segments)) => {
                    expr(start, see);
                    dynamic(&segments)
                }
            };
            segments.into_iter().for_each(|index| {
                see(Node::Index(index));
                expr(index, see);
            });
        }
        Expr::Call { fcn, params, span, .. } => {
            see(Node::Call { function: fcn, arguments: params, span });
            params.iter().for_each(|param| expr(param, see));
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            see(Node::Literal(at));
            items.iter().for_each(|item| expr(item, see));
        }
        Expr::Object { fields, .. } => {
            see(Node::Literal(at));
            fields.iter().for_each(|(_, key, value)| {
                expr(key, see);
                expr(value, see);
            });
        }
        Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => {
            see(Node::Comprehension { whole: at });
            inside(at, see);
        }
        Expr::UnaryExpr { expr: inner, .. } => {
            see(Node::Operator(at));
            expr(inner, see);
        }
        Expr::AssignExpr { op, lhs, rhs, .. } => {
            let declares = matches!(op, regorus::unstable::AssignOp::ColEq);
            see(Node::Assign { left: lhs, right: rhs, declares });
            expr(lhs, see);
            expr(rhs, see);
        }
        Expr::ArithExpr { lhs, rhs, .. }
        | Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. } => {
            see(Node::Operator(at));
            expr(lhs, see);
            expr(rhs, see);
        }
        Expr::Membership { key, value, collection, .. } => {
            see(Node::Operator(at));
            key.iter().for_each(|key| expr(key, see));
            expr(value, see);
            expr(collection, see);
        }
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. } => {}
    }
}

/// Walks what is inside a comprehension.
pub(super) fn inside<'a>(at: &'a Expr, see: &mut dyn FnMut(Node<'a>)) {
    match at {
        Expr::ArrayCompr { term, query: body, .. } | Expr::SetCompr { term, query: body, .. } => {
            expr(term, see);
            query(body, see);
        }
        Expr::ObjectCompr { key, value, query: body, .. } => {
            expr(key, see);
            expr(value, see);
            query(body, see);
        }
        _ => {}
    }
}

fn dynamic<'a>(segments: &[Segment<'a>]) -> Vec<&'a Expr> {
    segments
        .iter()
        .filter_map(|segment| match segment {
            Segment::Dynamic(index) => Some(*index),
            Segment::Constant(_) => None,
        })
        .collect()
}

/// Walks the statements of a query.
pub(super) fn query<'a>(at: &'a Query, see: &mut dyn FnMut(Node<'a>)) {
    for statement in &at.stmts {
        see(Node::Statement(statement));
        match &statement.literal {
            Literal::SomeVars { .. } => {}
            Literal::SomeIn { key, value, collection, .. } => {
                key.iter().for_each(|key| expr(key, see));
                expr(value, see);
                expr(collection, see);
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

/// Walks a rule: what its head computes, then its bodies.
pub(super) fn rule<'a>(at: &'a Rule, see: &mut dyn FnMut(Node<'a>)) {
    match at {
        Rule::Default { args, value, .. } => {
            args.iter().for_each(|arg| expr(arg, see));
            expr(value, see);
        }
        Rule::Spec { head, bodies, .. } => {
            let (key, args, assign): (_, &[ExprRef], _) = match head {
                RuleHead::Compr { assign, .. } => (None, &[], assign.as_ref()),
                RuleHead::Set { key, .. } => (key.as_ref(), &[], None),
                RuleHead::Func { args, assign, .. } => (None, args, assign.as_ref()),
            };
            if let Ok(head) = reference(head_of(at)) {
                dynamic(&head.segments).into_iter().for_each(|index| expr(index, see));
            }
            key.iter().for_each(|key| expr(key, see));
            args.iter().for_each(|arg| expr(arg, see));
            assign.iter().for_each(|assign| expr(&assign.value, see));
            bodies.iter().for_each(|body| self::body(body, see));
        }
    }
}

fn body<'a>(at: &'a RuleBody, see: &mut dyn FnMut(Node<'a>)) {
    at.assign.iter().for_each(|assign| expr(&assign.value, see));
    query(&at.query, see);
}

/// The reference that names a rule.
pub(super) fn head_of(rule: &Rule) -> &Expr {
    match rule {
        Rule::Default { refr, .. } => refr,
        Rule::Spec { head, .. } => match head {
            RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } | RuleHead::Func { refr, .. } => refr,
        },
    }
}
/// The query of a comprehension.
pub(super) fn query_of(comprehension: &Expr) -> Option<&Query> {
    match comprehension {
        Expr::ArrayCompr { query, .. } | Expr::SetCompr { query, .. } | Expr::ObjectCompr { query, .. } => {
            Some(query)
        }
        _ => None,
    }
}
