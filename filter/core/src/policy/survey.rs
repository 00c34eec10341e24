//! What the modules define, call and read: the facts that the checks at load are made of.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{
    Expr, ExprRef, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleHead, WithModifier,
};

use super::ahead::{self, Replacing};
use super::awaits::{self, Awaits};
use super::error::PolicyError;
use super::faithful::{Chosen, Statement, Walk};
use super::functions;
use super::loose;
use super::names;
use super::patterns::{self, Taken};
use super::place::Place;
use super::refused::{self, Construct};
use super::walk::{self, Node, Reference, text};
use crate::ordered;

pub(super) use super::scope::{Scope, package_of};

/// A path below `data`, or below `input`, in its constant parts.
pub(super) type Path = Vec<String>;

/// The facts of all modules of a bundle.
#[derive(Default)]
pub(super) struct Survey<'a> {
    /// Every rule by the constant part of its path.
    pub(super) rules: BTreeMap<Path, RuleFacts<'a>>,
    /// The packages, those without a rule included.
    pub(super) packages: BTreeSet<Path>,
    /// The calls of what is not a function of the bundle.
    pub(super) builtin_calls: Vec<BuiltinCall<'a>>,
    /// The calls of the bundle's functions.
    pub(super) function_calls: Vec<FunctionCall<'a>>,
    /// Rules and functions of the bundle that `with` replaces.
    pub(super) replaced: Vec<(&'a Expr, Path)>,
    /// The constant part of every reference to `input`.
    pub(super) inputs: BTreeSet<Path>,
    /// Negations whose operands OPA evaluates outside.
    pub(super) statements: Vec<Statement<'a>>,
    /// Operators and calls that stand for calls of functions of ours.
    pub(super) expressions: Vec<&'a Expr>,
    /// Statements whose `with` puts something in place that has to be evaluated, and what that is.
    pub(super) replacing: Vec<Replacing<'a>>,
    /// Variables that are the value of their own key: `c = xs[c]`.
    pub(super) own_keys: Vec<(&'a LiteralStmt, &'a Expr, &'a Expr)>,
    /// Elements of sets that are given without a body and may be undefined, and whether in Rego v1.
    pub(super) bodiless: Vec<(&'a Rule, bool)>,
    /// Assignments of what could be undefined, and whether they are a whole body.
    pub(super) assignments: Vec<(&'a LiteralStmt, bool)>,
    /// Statements `some x` behind others that may run over something, and the first of those.
    pub(super) late: Vec<(&'a LiteralStmt, &'a LiteralStmt)>,
    /// Comprehensions that may fail before a loop of theirs runs.
    pub(super) loopless: Vec<&'a Query>,
    /// The calls of the builtin `walk`.
    pub(super) walks: Vec<Walk<'a>>,
    /// What `sprintf` is given.
    pub(super) printed: Vec<&'a Expr>,
    /// Values in front of an `else`.
    pub(super) chosen: Vec<Chosen<'a>>,
    /// Each `every` whose variables stand in brackets, or beside `=`.
    pub(super) indexing: Vec<&'a LiteralStmt>,
    /// Each `every` that has to wait for something.
    pub(super) awaits: Vec<Awaits<'a>>,
    /// What is taken apart by an object in a pattern.
    pub(super) taken: Vec<Taken<'a>>,
    /// Functions with such a pattern for an argument, and whether they are of Rego v1.
    pub(super) heads: Vec<(&'a Rule, Vec<&'a ExprRef>, bool)>,
    /// Rules with a part of their names that is computed, and whether they are of Rego v1.
    pub(super) keyed: Vec<(&'a Rule, bool)>,
    /// What is run over, and could be no collection.
    pub(super) collections: Vec<&'a Expr>,
    /// Negations that hold where an operand is undefined.
    pub(super) negated_inside: Vec<Place>,
    /// Numbers that pick something of the data, and where.
    pub(super) numbered: Vec<(Path, Place)>,
    /// What cannot be served.
    pub(super) refused: Vec<(Place, Construct)>,
    /// Where `with` is used, if it is.
    pub(super) with: Option<Place>,
}

/// What is known of one rule.
pub(super) struct RuleFacts<'a> {
    /// The first definition.
    pub(super) at: Place,
    pub(super) definitions: Vec<Definition<'a>>,
    /// What its definitions refer to below `data`, and whether the whole path is constant.
    pub(super) uses: BTreeSet<(Path, bool)>,
    /// How many parts of its path are the package's.
    pub(super) package: usize,
    /// The number of arguments, of a function.
    pub(super) arity: Option<usize>,
}

/// One definition of a rule.
pub(super) struct Definition<'a> {
    pub(super) rule: &'a Rule,
    /// Names that are variables inside the definition, declared or bound by `=`.
    pub(super) locals: BTreeSet<&'a str>,
}

pub(super) struct BuiltinCall<'a> {
    pub(super) at: Place,
    pub(super) name: String,
    pub(super) arguments: &'a [regorus::unstable::ExprRef],
    /// `false` where `with` only names the function.
    pub(super) is_call: bool,
    /// Whether it stands in Rego v1.
    pub(super) is_v1: bool,
}

pub(super) struct FunctionCall<'a> {
    pub(super) at: Place,
    /// The function as it is written.
    pub(super) name: &'a Expr,
    pub(super) function: Path,
    pub(super) given: usize,
}

/// What a reference means.
pub(super) enum Meaning {
    Input(Path),
    Data(Path),
    Local,
}

pub(super) fn survey(modules: &[Ref<Module>]) -> Survey<'_> {
    let mut survey = Survey::default();
    let scopes: Vec<_> = modules.iter().map(|module| Scope::of(module)).collect();
    survey.packages = ordered::set(scopes.iter().map(|scope| scope.package.clone()));
    for (module, scope) in modules.iter().zip(&scopes) {
        for import in &module.imports {
            let Ok(reference) = walk::reference(&import.refr) else { continue };
            let path: Path =
                std::iter::once(reference.root).chain(reference.prefix()).map(str::to_owned).collect();
            survey.refused.extend(refused::import(&path, import, module.rego_v1));
        }
        for rule in &module.policy {
            survey.refused.extend(refused::keyword(rule).filter(|_| module.rego_v1));
            survey.refused.extend(refused::misread(rule, module.rego_v1));
            survey.define(scope, rule);
        }
    }
    for (module, scope) in modules.iter().zip(&scopes) {
        for rule in &module.policy {
            survey.read(scope, rule);
        }
    }
    survey
}

impl<'a> Survey<'a> {
    fn define(&mut self, scope: &Scope<'a>, rule: &'a Rule) {
        let Some(path) = path_of(scope, rule) else { return };
        let arity = match rule {
            Rule::Spec { head: RuleHead::Func { args, .. }, .. } => Some(args.len()),
            Rule::Default { args, .. } if !args.is_empty() => Some(args.len()),
            _ => None,
        };
        let facts = self.rules.entry(path).or_insert_with(|| RuleFacts {
            at: Place::of(rule.span()),
            definitions: Vec::new(),
            uses: BTreeSet::new(),
            package: scope.package.len(),
            arity,
        });
        facts.definitions.push(Definition { rule, locals: names::declared(rule) });
    }

    fn read(&mut self, scope: &Scope<'a>, rule: &'a Rule) {
        let Some(path) = path_of(scope, rule) else { return };
        let locals = names::declared(rule);
        // A name that only a part of the definition declares may mean a rule in the others.
        let fixed = names::arguments(rule);
        let (mut uses, mut undeclared) = (BTreeSet::new(), BTreeSet::new());
        let is_named = |name: &str| self.own(scope, name) || scope.import(name).is_some();
        self.refused.extend(refused::shadowing(rule, is_named));
        if let Rule::Spec { bodies, .. } = rule {
            self.late.extend(bodies.iter().flat_map(|body| loose::late(&body.query)));
        }
        let mut loose = Vec::new();
        self.bodiless.extend(patterns::is_bodiless(rule).then_some((rule, scope.is_v1)));
        if matches!(rule, Rule::Spec { .. }) && !patterns::computed(rule).is_empty() {
            self.keyed.push((rule, scope.is_v1));
        }
        match patterns::arguments(rule) {
            Ok(arguments) if arguments.is_empty() => {}
            Ok(arguments) => self.heads.push((rule, arguments, scope.is_v1)),
            Err(at) => self.refused.push((Place::of(at.span()), Construct::ObjectPattern)),
        }
        self.refused.extend(refused::arguments(rule));
        // Of the object that `object.get` looks into, one member alone is read.
        let mut is_looked_into = false;
        let mut negated: &[regorus::unstable::ExprRef] = &[];
        let mut asked: Option<&Expr> = None;
        walk::rule(rule, &mut |node| match node {
            Node::Reference(_) if std::mem::take(&mut is_looked_into) => {}
            Node::Reference(reference) => match self.resolve(scope, &locals, &reference) {
                Meaning::Input(path) => {
                    self.inputs.insert(path);
                }
                Meaning::Data(path) => {
                    self.numbered.extend(reference.number().map(|at| (path.clone(), at)));
                    uses.insert((path, reference.is_constant()));
                }
                Meaning::Local => {
                    // Elsewhere in the rule the name may still mean what was imported.
                    if let Some(("input", path)) = scope.import(reference.root) {
                        self.inputs.insert(path.to_vec());
                    }
                    undeclared.insert(reference.root);
                }
            },
            Node::Call { function, arguments, span } => {
                let at = Place::of(span);
                match self.function(scope, function) {
                    _ if loose::is_on_next_line(function) => {
                        self.refused.push((at, Construct::Parenthesis));
                    }
                    Ok(path) => {
                        uses.insert((path.clone(), true));
                        let (name, given) = (function, arguments.len());
                        self.function_calls.push(FunctionCall { at, name, function: path, given });
                    }
                    Err(name) => {
                        self.printed.extend(loose::printed(&name, arguments));
                        self.walks.extend(loose::walk_called(&name, span, arguments, negated));
                        if let Some(path) = self.looked_up(scope, &locals, &name, arguments) {
                            self.inputs.insert(path);
                            is_looked_into = true;
                        }
                        let is_v1 = scope.is_v1;
                        self.builtin_calls.push(BuiltinCall { at, name, arguments, is_call: true, is_v1 });
                    }
                }
            }
            Node::Statement(statement) => {
                negated = loose::negated(statement).unwrap_or(negated);
                asked = loose::asks(statement);
                let named_result = self.named_result(scope, statement);
                let is_variable = |name: &Expr| !self.names_a_value(scope, &locals, name);
                match patterns::taken(rule, statement, named_result, &is_variable) {
                    Ok(None) => {
                        // OPA evaluates nothing of it outside, as it does of all other calls, and it may well be undefined.
                        if let (Some(Expr::Call { fcn, .. }), Some(_)) =
                            (named_result, loose::negated(statement))
                            && self.function(scope, fcn).is_ok()
                        {
                            self.refused.push((Place::of(fcn.span()), Construct::NegatedResult));
                        }
                        loose.extend(named_result);
                    }
                    Ok(Some(taken)) => self.taken.push(taken),
                    Err(at) => self.refused.push((Place::of(at.span()), Construct::ObjectPattern)),
                }
                self.indexing.extend(loose::is_asked_of(statement).then_some(statement));
                if let Literal::SomeIn { collection, .. } = &statement.literal
                    && loose::may_be_no_collection(collection)
                {
                    self.collections.push(collection);
                }
                let names_a_value = |name: &Expr| self.names_a_value(scope, &fixed, name);
                let operands = loose::operands(statement, &names_a_value);
                if loose::assigned(statement, &names_a_value).is_some() {
                    self.assignments.push((statement, loose::is_bare(rule, statement)));
                }
                if scope.negates_inside
                    && let Literal::NotExpr { expr, span } = &statement.literal
                {
                    if matches!(expr.as_ref(), Expr::Set { .. } | Expr::SetCompr { .. } | Expr::Object { .. })
                    {
                        self.refused.push((Place::of(span), Construct::NotBody));
                    }
                    if let Expr::AssignExpr { lhs, rhs, .. } = expr.as_ref()
                        && [lhs, rhs].iter().any(|side| matches!(side.as_ref(), Expr::Var { .. }))
                    {
                        self.refused.push((Place::of(span), Construct::NotUnified));
                    }
                    if !operands.is_empty() {
                        self.negated_inside.push(Place::of(span));
                    }
                } else if !operands.is_empty() {
                    let is_bare = loose::is_bare(rule, statement);
                    self.statements.push(Statement { whole: statement, is_bare, operands });
                }
                self.own_keys
                    .extend(loose::own_key(statement).map(|(name, reference)| (statement, name, reference)));
                let is_function = |value: &Expr| match self.function(scope, value) {
                    Ok(path) => self.rules.get(&path).is_none_or(|facts| facts.arity.is_some()),
                    Err(name) => is_builtin_name(&name),
                };
                let computed =
                    |modifier: &&WithModifier| ahead::is_computed(&modifier.r#as, &locals, &is_function);
                let computed: Vec<_> = statement.with_mods.iter().filter(computed).collect();
                if !computed.is_empty() {
                    let is_bare = loose::is_bare(rule, statement);
                    self.replacing.push(Replacing { whole: statement, is_bare, computed });
                }
                for modifier in &statement.with_mods {
                    self.with.get_or_insert_with(|| Place::of(&modifier.span));
                    // `with input as …` puts another input in place, and what stands in for what is not followed.
                    self.inputs.insert(Path::new());
                    if let Ok(path) = self.function(scope, &modifier.refr) {
                        self.replaced.push((&modifier.refr, path));
                    }
                    // `with f as g` calls g wherever f is called, without arguments that could be looked at.
                    for side in [&modifier.refr, &modifier.r#as] {
                        if let Err(name) = self.function(scope, side)
                            && is_builtin_name(&name)
                        {
                            self.builtin_calls.push(BuiltinCall {
                                at: Place::of(side.span()),
                                name,
                                arguments: &[],
                                is_call: false,
                                is_v1: scope.is_v1,
                            });
                        }
                    }
                }
            }
            Node::Operator(operator) if loose::is_loose(operator) => {
                let is_asked = asked.is_some_and(|asked| std::ptr::eq(asked, operator));
                loose.extend((!is_asked).then_some(operator));
            }
            Node::Comprehension { whole } => {
                let mut terms = loose::gathered(whole, &|name| self.names_a_value(scope, &fixed, name));
                self.chosen.append(&mut terms);
                let Some(query) = walk::query_of(whole) else { return };
                self.late.extend(loose::late(query));
                if loose::is_loopless(query)
                    && !query.stmts.first().is_some_and(|first| loose::is_one_turn(&first.literal))
                {
                    self.loopless.push(query);
                }
            }
            Node::Assign { left, declares: true, .. } => {
                let part = loose::not_assignable(left);
                self.refused.extend(part.map(|at| (Place::of(at.span()), Construct::Assigned)));
            }
            Node::Index(_) | Node::Assign { .. } | Node::Literal(_) | Node::Operator(_) => {}
        });
        self.expressions.append(&mut loose);
        self.awaits.extend(awaits::awaits(rule));
        let mut chosen = loose::chosen(rule, &|name| self.names_a_value(scope, &fixed, name));
        self.chosen.append(&mut chosen);
        if let Some(facts) = self.rules.get_mut(&path) {
            facts.uses.append(&mut uses);
            let own = facts.definitions.iter_mut().find(|definition| std::ptr::eq(definition.rule, rule));
            own.into_iter().for_each(|definition| definition.locals.append(&mut undeclared));
        }
    }

    /// An object in a pattern, or what is computed in a name, that is still there.
    pub(super) fn not_taken(&self) -> Option<PolicyError> {
        let keyed = self.keyed.iter().map(|(rule, _)| (rule.span(), Construct::ComputedKey));
        let heads = self.heads.iter().map(|(rule, ..)| (rule.span(), Construct::ObjectPattern));
        let taken = self.taken.iter().map(|taken| (taken.span(), Construct::ObjectPattern));
        let replacing = self.replacing.iter().map(|replacing| (&replacing.whole.span, Construct::With));
        let (at, construct) = taken.chain(heads).chain(keyed).chain(replacing).next()?;
        Some(PolicyError::Construct { at: Place::of(at), construct })
    }

    /// Whether some rule's path has this part.
    pub(super) fn names_part_of_a_rule(&self, name: &str) -> bool {
        self.rules.keys().any(|path| path.iter().any(|part| part == name))
    }

    /// Whether some reference stops above a rule and so reads all that is below.
    pub(super) fn is_read_from_above(&self, rule: &[String]) -> bool {
        let uses = self.rules.values().flat_map(|facts| &facts.uses);
        // `p[x]` takes one of the rules below `p`, or nothing.
        let mut above =
            uses.map(|(path, is_whole)| (path, path.len().saturating_add(usize::from(!is_whole))));
        above.any(|(path, length)| length < rule.len() && rule.starts_with(path))
    }

    pub(super) fn resolve(
        &self,
        scope: &Scope<'_>,
        locals: &BTreeSet<&str>,
        reference: &Reference<'_>,
    ) -> Meaning {
        let rest = || reference.prefix().map(str::to_owned);
        match reference.root {
            "input" => Meaning::Input(rest().collect()),
            "data" => Meaning::Data(rest().collect()),
            root if locals.contains(root) => Meaning::Local,
            root => match scope.imports.get(root).map(|path| path.split_first()) {
                Some(Some((base, path))) if base == "input" => {
                    Meaning::Input(path.iter().cloned().chain(rest()).collect())
                }
                Some(Some((base, path))) if base == "data" => {
                    Meaning::Data(path.iter().cloned().chain(rest()).collect())
                }
                _ => {
                    let own = self.own(scope, root);
                    if own { Meaning::Data(joined(&scope.package, root, rest())) } else { Meaning::Local }
                }
            },
        }
    }

    /// A statement `f(x, y)` for `y = f(x)`, which the interpreter does not know of every function, and where both evaluators
    /// let an object `y` have less in it than the result has.
    fn named_result(&self, scope: &Scope<'_>, statement: &'a LiteralStmt) -> Option<&'a Expr> {
        let (Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. }) = &statement.literal else {
            return None;
        };
        let Expr::Call { fcn, params, .. } = expr.as_ref() else { return None };
        let arity = match self.function(scope, fcn) {
            Err(name) => functions::arity(&name).or_else(|| super::builtins::arity(&name))?,
            Ok(path) => self.rules.get(&path)?.arity?,
        };
        (params.len() == arity.saturating_add(1)).then_some(expr.as_ref())
    }

    /// The path that `object.get(input.a, "b", …)` or `object.get(input.a, ["b", "c"], …)` reads.
    fn looked_up(
        &self,
        scope: &Scope<'_>,
        locals: &BTreeSet<&str>,
        function: &str,
        arguments: &[regorus::unstable::ExprRef],
    ) -> Option<Path> {
        let ("object.get", [object, key, _]) = (function, arguments) else { return None };
        let reference = walk::reference(object).ok().filter(Reference::is_constant)?;
        let Meaning::Input(mut path) = self.resolve(scope, locals, &reference) else { return None };
        let constant = |key: &Expr| match key {
            Expr::String { value, .. } | Expr::RawString { value, .. } => text(value).map(str::to_owned),
            _ => None,
        };
        match key.as_ref() {
            Expr::Array { items, .. } => {
                path.append(&mut items.iter().map(|item| constant(item)).collect::<Option<_>>()?);
            }
            key => path.push(constant(key)?),
        }
        Some(path)
    }

    /// Whether a name stands for a rule or a part of the input, and not for one of these variables.
    fn names_a_value(&self, scope: &Scope<'_>, locals: &BTreeSet<&str>, name: &Expr) -> bool {
        walk::reference(name).is_ok_and(|reference| match self.resolve(scope, locals, &reference) {
            Meaning::Input(path) => !path.is_empty(),
            Meaning::Data(_) => true,
            Meaning::Local => false,
        })
    }

    /// Whether the package has a rule whose path starts with this name.
    fn own(&self, scope: &Scope<'_>, name: &str) -> bool {
        let path = joined(&scope.package, name, std::iter::empty());
        self.rules.range(path.clone()..).next().is_some_and(|(rule, _)| rule.starts_with(&path))
    }

    /// The bundle's own function or rule that an expression names; else the name as it is written.
    pub(super) fn function(&self, scope: &Scope<'_>, function: &Expr) -> Result<Path, String> {
        let Ok(reference) = walk::reference(function) else {
            return Err(function.span().text().to_owned());
        };
        let rest: Path = reference.prefix().map(str::to_owned).collect();
        let mut candidates = Vec::new();
        if reference.root == "data" {
            candidates.push(rest.clone());
        } else {
            if let Some((base, path)) = scope.imports.get(reference.root).and_then(|path| path.split_first())
                && base == "data"
            {
                candidates.push(path.iter().chain(&rest).cloned().collect());
            }
            candidates.push(joined(&scope.package, reference.root, rest.iter().cloned()));
        }
        candidates.into_iter().find(|path| self.rules.contains_key(path)).ok_or_else(|| {
            let parts: Vec<&str> =
                std::iter::once(reference.root).chain(rest.iter().map(String::as_str)).collect();
            parts.join(".")
        })
    }
}

/// Names that mean a function wherever they stand: those of builtins, served or not.
pub(super) fn is_builtin_name(name: &str) -> bool {
    super::functions::find(name).is_some()
        || regorus::unstable::BUILTINS.contains_key(name)
        || super::builtins::refused(name).is_some()
}

fn joined(package: &[String], name: &str, rest: impl Iterator<Item = String>) -> Path {
    package.iter().cloned().chain([name.to_owned()]).chain(rest).collect()
}

pub(super) fn path_of(scope: &Scope<'_>, rule: &Rule) -> Option<Path> {
    let head = walk::reference(walk::head_of(rule)).ok()?;
    Some(joined(&scope.package, head.root, head.prefix().map(str::to_owned)))
}
