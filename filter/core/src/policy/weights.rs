//! How large a value can be at most, seen from the text: what shares its parts takes little room, and as much time to walk
//! as if it shared nothing.
//!
//! `a1 := [a0, a0]`, `a2 := [a1, a1]` and so on doubles with each rule. So every expression has a weight: that of what it is
//! made of, added up, through rules, variables and functions. A variable has one for its whole definition, and an argument
//! one for all calls, so a weight is never too small and often too large.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{ArithOp, Expr, Literal, Module, Ref, Rule, RuleBody, RuleHead};

use super::functions;
use super::graph;
use super::names::pattern;
use super::survey::{self, Meaning, Path, Scope, Survey};
use super::walk::{self, Node, Reference, Segment};

/// The weight of what is written out, each scalar one, up to which a collection may hold it once for each turn of a loop.
pub(super) const SMALL: u32 = 32;
/// Of a part of the input or of the data, and of a collection that a loop has filled with what is small.
const PART: u32 = 1_000;
/// From here on a value can be endless to walk.
pub(super) const HEAVY: u32 = 4 * PART;

/// How often a definition, and how often all of them are read, before all that still grows is taken for heavy.
const ROUNDS: usize = 6;

/// Builtins that give collections, or parts of what they are given; all others that are served give scalars. Sorted.
const COLLECTIONS: &[&str] = &[
    "__builtin_sets.intersection",
    "__builtin_sets.union",
    "array.concat",
    "array.flatten",
    "array.reverse",
    "array.slice",
    "cast_array",
    "cast_object",
    "cast_set",
    "graph.reachable",
    "http.send",
    "indexof_n",
    "intersection",
    "io.jwt.decode",
    "io.jwt.decode_verify",
    "json.filter",
    "json.patch",
    "json.remove",
    "json.unmarshal",
    "max",
    "min",
    "net.cidr_contains_matches",
    "net.cidr_expand",
    "numbers.range",
    "numbers.range_step",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.union",
    "object.union_n",
    "opa.runtime",
    "regex.find_all_string_submatch_n",
    "regex.find_n",
    "regex.split",
    "remit__and",
    "remit__held",
    "remit__items",
    "remit__minus",
    "remit__or",
    "remit__pairs",
    "remit__printable",
    "remit__walked",
    "set_diff",
    "sort",
    "split",
    "strings.split_n",
    "time.clock",
    "time.date",
    "time.diff",
    "union",
    "urlquery.decode_object",
    "uuid.parse",
    "walk",
];

/// The weights of a policy's rules, and of the arguments of its functions.
pub(super) struct Weights<'a, 's> {
    survey: &'s Survey<'a>,
    rules: BTreeMap<&'s Path, u32>,
    arguments: BTreeMap<Path, Vec<u32>>,
    /// What `with` can put in the place of anything.
    least: u32,
}

/// One definition of a rule, and how its names resolve.
pub(super) struct Reading<'a, 's> {
    pub(super) scope: &'s Scope<'a>,
    pub(super) path: Path,
    pub(super) rule: &'a Rule,
    pub(super) locals: &'s BTreeSet<&'a str>,
}

/// The weights of the variables of a definition.
pub(super) type Names<'a> = BTreeMap<&'a str, u32>;

/// All definitions.
pub(super) fn readings<'a, 's>(
    survey: &'s Survey<'a>,
    scopes: &'s [Scope<'a>],
    modules: &'a [Ref<Module>],
) -> Vec<Reading<'a, 's>> {
    let rules = modules.iter().zip(scopes).flat_map(|(module, scope)| {
        module.policy.iter().map(move |rule| -> (&'a Rule, &'s Scope<'a>) { (rule, scope) })
    });
    let readings = rules.filter_map(|(rule, scope)| {
        let path = survey::path_of(scope, rule)?;
        let definitions = &survey.rules.get(&path)?.definitions;
        let own = definitions.iter().find(|definition| std::ptr::eq(definition.rule, rule))?;
        Some(Reading { scope, path, rule, locals: &own.locals })
    });
    readings.collect()
}

impl<'a, 's> Weights<'a, 's> {
    pub(super) fn of(survey: &'s Survey<'a>, readings: &[Reading<'a, 's>]) -> Self {
        let mut weights = Self { survey, rules: BTreeMap::new(), arguments: BTreeMap::new(), least: 0 };
        weights.least = readings.iter().map(|reading| weights.replaced(reading)).max().unwrap_or(0);
        for (path, facts) in &survey.rules {
            if let Some(arity) = facts.arity {
                weights.arguments.insert(path.clone(), vec![0; arity]);
            }
        }
        // A rule that is missing is taken for heavy.
        let order = graph::order(survey, usize::MAX).unwrap_or_default();
        let mut definitions: BTreeMap<&Path, Vec<&Reading<'a, 's>>> = BTreeMap::new();
        for reading in readings {
            definitions.entry(&reading.path).or_default().push(reading);
        }
        for round in 0..=ROUNDS {
            if round == ROUNDS {
                weights.arguments.values_mut().flatten().for_each(|weight| *weight = HEAVY);
            }
            let mut grew = false;
            for path in &order {
                let readings = definitions.get(path).map(Vec::as_slice).unwrap_or_default();
                let weight = readings.iter().map(|reading| weights.read(reading, &mut grew)).max();
                weights.rules.insert(path, weight.unwrap_or(HEAVY));
            }
            if !grew {
                break;
            }
        }
        weights
    }

    /// The weight of a rule.
    pub(super) fn of_rule(&self, path: &Path) -> u32 {
        self.rules.get(path).copied().unwrap_or(HEAVY)
    }

    /// What `with` in a definition can put in the place of something else.
    fn replaced(&self, reading: &Reading<'a, 's>) -> u32 {
        let mut most = 0;
        walk::rule(reading.rule, &mut |node| {
            let Node::Statement(statement) = node else { return };
            for modifier in &statement.with_mods {
                let is_function = match self.survey.function(reading.scope, &modifier.refr) {
                    Ok(path) => self.survey.rules.get(&path).is_some_and(|facts| facts.arity.is_some()),
                    Err(name) => survey::is_builtin_name(&name),
                };
                let is_small = matches!(written(&modifier.r#as), Some(weight) if weight <= SMALL);
                most = most.max(if is_small && !is_function { SMALL } else { HEAVY });
            }
        });
        most
    }

    /// The weight of what a definition gives; what it calls functions with is noted.
    fn read(&mut self, reading: &Reading<'a, 's>, grew: &mut bool) -> u32 {
        let names = self.names(reading);
        let mut given: Vec<(Path, usize, u32)> = Vec::new();
        walk::rule(reading.rule, &mut |node| {
            let Node::Call { function, arguments, .. } = node else { return };
            let Ok(path) = self.survey.function(reading.scope, function) else { return };
            for (at, argument) in arguments.iter().enumerate() {
                given.push((path.clone(), at, self.weight(reading, &names, argument)));
            }
        });
        for (path, at, weight) in given {
            let known = self.arguments.get_mut(&path).and_then(|known| known.get_mut(at));
            if let Some(known) = known.filter(|known| **known < weight) {
                *known = weight;
                *grew = true;
            }
        }
        self.given(reading, &names)
    }

    fn given(&self, reading: &Reading<'a, 's>, names: &Names<'a>) -> u32 {
        let weight = |expr| self.weight(reading, names, expr);
        let (head, bodies) = match reading.rule {
            Rule::Default { value, .. } => return weight(value),
            Rule::Spec { head, bodies, .. } => (head, bodies),
        };
        let keys = || {
            let segments = walk::reference(walk::head_of(reading.rule)).map(|head| head.segments);
            let keys = segments.unwrap_or_default().into_iter().filter_map(|segment| match segment {
                Segment::Dynamic(key) => Some(weight(key)),
                Segment::Constant(_) => None,
            });
            keys.reduce(u32::saturating_add)
        };
        let valued = values(head, bodies).into_iter().map(weight).max().unwrap_or(1);
        match head {
            RuleHead::Func { .. } => valued,
            RuleHead::Compr { .. } => keys().map_or(valued, |key| pairs(key, valued)),
            RuleHead::Set { key, .. } => {
                let elements = distinct(key.as_ref().map_or(1, |key| weight(key)));
                keys().map_or(elements, |_| HEAVY)
            }
        }
    }

    /// The weights of a definition's variables.
    pub(super) fn names(&self, reading: &Reading<'a, 's>) -> Names<'a> {
        let mut names = Names::new();
        if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = reading.rule {
            let given = self.arguments.get(&reading.path).map(Vec::as_slice).unwrap_or_default();
            for (at, argument) in args.iter().enumerate() {
                let weight = given.get(at).copied().unwrap_or(HEAVY);
                bind(argument, weight, &mut names);
            }
        }
        for _ in 0..ROUNDS {
            if !self.bind_all(reading, &mut names) && !unbound(reading, &mut names) {
                return names;
            }
        }
        let mut heavy = Names::new();
        heavy.extend(reading.locals.iter().map(|name| (*name, HEAVY)));
        heavy
    }

    /// Whether a weight grew.
    fn bind_all(&self, reading: &Reading<'a, 's>, names: &mut Names<'a>) -> bool {
        let mut grew = false;
        let mut indexes: BTreeSet<*const Expr> = BTreeSet::new();
        walk::rule(reading.rule, &mut |node| match node {
            Node::Assign { left, right, declares } => {
                let weight = self.weight(reading, names, right);
                grew |= bind(left, weight, names);
                if !declares {
                    let weight = self.weight(reading, names, left);
                    grew |= bind(right, weight, names);
                }
            }
            Node::Statement(statement) => match &statement.literal {
                Literal::SomeIn { key, value, collection, .. } => {
                    let weight = self.weight(reading, names, collection);
                    grew |= key.iter().fold(false, |grew, key| bind(key, weight, names) | grew);
                    grew |= bind(value, weight, names);
                }
                Literal::Every { key, value, domain, .. } => {
                    let weight = self.weight(reading, names, domain);
                    for name in key.iter().chain([value]) {
                        grew |= put(name.text(), weight, names);
                    }
                }
                Literal::SomeVars { .. } | Literal::Expr { .. } | Literal::NotExpr { .. } => {}
            },
            // A variable in brackets runs over what is in front of them.
            Node::Reference(reference) => {
                let weight = self.reference(reading, names, &reference);
                for segment in &reference.segments {
                    if let Segment::Dynamic(index) = segment {
                        indexes.insert(std::ptr::from_ref(*index));
                        grew |= bind(index, weight, names);
                    }
                }
            }
            Node::Index(index) if !indexes.contains(&std::ptr::from_ref(index)) => {
                grew |= bind(index, HEAVY, names);
            }
            // The last argument may be there to take the result.
            Node::Call { function, arguments, .. } => {
                let arity = match self.survey.function(reading.scope, function) {
                    Ok(path) => self.survey.rules.get(&path).and_then(|facts| facts.arity),
                    Err(name) => functions::arity(&name).or_else(|| super::builtins::arity(&name)),
                };
                if arity.is_some_and(|arity| arguments.len() > arity) {
                    grew |= arguments.last().is_some_and(|result| bind(result, HEAVY, names));
                }
            }
            Node::Index(_) | Node::Comprehension { .. } | Node::Literal(_) | Node::Operator(_) => {}
        });
        grew
    }

    /// The weight of an expression; [`HEAVY`] is the most that is told.
    pub(super) fn weight(&self, reading: &Reading<'a, 's>, names: &Names<'a>, expr: &'a Expr) -> u32 {
        let weight = |expr| self.weight(reading, names, expr);
        let sum = |items: &mut dyn Iterator<Item = &'a Expr>| {
            items.fold(0, |sum: u32, item| sum.saturating_add(weight(item)))
        };
        let found = match expr {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => match walk::reference(expr) {
                Ok(reference) => self.reference(reading, names, &reference),
                Err((start, _)) => weight(start),
            },
            Expr::Array { items, .. } | Expr::Set { items, .. } => {
                literal(sum(&mut items.iter().map(|item| item.as_ref())))
            }
            Expr::Object { fields, .. } => {
                literal(sum(&mut fields.iter().flat_map(|(_, key, value)| [key.as_ref(), value.as_ref()])))
            }
            Expr::ArrayCompr { term, .. } => filled(weight(term)),
            Expr::SetCompr { term, .. } => distinct(weight(term)),
            Expr::ObjectCompr { key, value, .. } => pairs(weight(key), weight(value)),
            Expr::Call { fcn, params, .. } => match self.survey.function(reading.scope, fcn) {
                Ok(path) => self.of_rule(&path).max(self.least),
                Err(name) => {
                    let given = || sum(&mut params.iter().map(|param| param.as_ref()));
                    let is_collection = COLLECTIONS.binary_search(&name.as_str()).is_ok();
                    let least = if is_collection { given().max(PART) } else { 1 };
                    least.max(self.least)
                }
            },
            Expr::BinExpr { lhs, rhs, .. } | Expr::ArithExpr { op: ArithOp::Sub, lhs, rhs, .. } => {
                weight(lhs).saturating_add(weight(rhs))
            }
            _ => 1,
        };
        found.min(HEAVY)
    }

    fn reference(&self, reading: &Reading<'a, 's>, names: &Names<'a>, reference: &Reference<'_>) -> u32 {
        let weight = match self.survey.resolve(reading.scope, reading.locals, reference) {
            Meaning::Input(_) => PART,
            Meaning::Data(path) => self.below_data(&path),
            Meaning::Local => names.get(reference.root).copied().unwrap_or(0),
        };
        weight.max(self.least)
    }

    fn below_data(&self, path: &Path) -> u32 {
        let rules = &self.survey.rules;
        let above = (1..=path.len()).filter_map(|length| rules.get_key_value(path.get(..length)?));
        let above = above.map(|(rule, _)| self.of_rule(rule)).max();
        let mut below = rules.range(path.clone()..).map(|(rule, _)| rule).skip_while(|rule| *rule == path);
        let is_above_rules = below.next().is_some_and(|rule| rule.starts_with(path));
        if is_above_rules { HEAVY } else { above.unwrap_or(PART) }
    }
}

/// What a rule without keys in its name gives, by all its bodies.
pub(super) fn values<'a>(head: &'a RuleHead, bodies: &'a [RuleBody]) -> Vec<&'a Expr> {
    let assign = match head {
        RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => assign.as_ref(),
        RuleHead::Set { .. } => None,
    };
    let own = bodies.iter().filter_map(|body| body.assign.as_ref());
    assign.into_iter().chain(own).map(|assign| assign.value.as_ref()).collect()
}

/// The weight of what is written out in the text; `None` for what is computed.
fn written(expr: &Expr) -> Option<u32> {
    match expr {
        Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } => Some(1),
        Expr::Bool { .. } | Expr::Null { .. } => Some(1),
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().try_fold(1, |sum: u32, item| Some(sum.saturating_add(written(item)?)))
        }
        Expr::Object { fields, .. } => fields.iter().try_fold(1, |sum: u32, (_, key, value)| {
            Some(sum.saturating_add(written(key)?).saturating_add(written(value)?))
        }),
        _ => None,
    }
}

/// Of an array, an object or a set that is written out, by the sum of what is in it.
fn literal(sum: u32) -> u32 {
    let sum = sum.saturating_add(1);
    // With one that is not small no loop may fill a collection.
    if sum <= SMALL { sum } else { sum.max(PART.saturating_add(1)) }
}

/// Of an array that a loop fills, by what it is filled with.
fn filled(item: u32) -> u32 {
    if item <= SMALL { PART } else { HEAVY }
}

/// Of a set that a loop fills: no part of the input comes twice.
fn distinct(item: u32) -> u32 {
    if item <= PART { filled(item).min(PART.saturating_mul(2)) } else { HEAVY }
}

/// Of an object that a loop fills.
fn pairs(key: u32, value: u32) -> u32 {
    if value <= SMALL { distinct(key) } else { HEAVY }
}

/// Gives the variables of a pattern at least this weight; whether one grew.
fn bind<'a>(at: &'a Expr, weight: u32, names: &mut Names<'a>) -> bool {
    let mut found = BTreeSet::new();
    pattern(at, &mut found);
    found.into_iter().fold(false, |grew, name| put(name, weight, names) | grew)
}

fn put<'a>(name: &'a str, weight: u32, names: &mut Names<'a>) -> bool {
    let known = names.entry(name).or_insert(0);
    let grew = *known < weight;
    *known = weight.max(*known);
    grew
}

/// What nothing was found to give a value to, could have any.
fn unbound<'a>(reading: &Reading<'a, '_>, names: &mut Names<'a>) -> bool {
    let missing: Vec<&'a str> =
        reading.locals.iter().copied().filter(|name| *name != "_" && !names.contains_key(name)).collect();
    missing.iter().fold(false, |grew, name| put(name, HEAVY, names) | grew)
}

#[cfg(test)]
mod tests {
    use super::super::builtins;
    use super::*;

    /// A new builtin has to be sorted into one of the lists: what is taken for a scalar is never walked.
    const SCALARS: &str = "abs base64.decode base64.encode base64.is_valid base64url.decode base64url.encode \
        base64url.encode_no_pad bits.and bits.lsh bits.negate bits.or bits.rsh bits.xor ceil concat contains count endswith floor \
        format_int hex.decode hex.encode indexof is_array is_boolean is_null is_number is_object is_set is_string json.marshal \
        json.marshal_with_options lower print product regex.is_valid regex.match regex.replace regex.template_match replace round \
        semver.compare semver.is_valid sprintf startswith strings.any_prefix_match strings.any_suffix_match strings.reverse \
        substring sum to_number trim trim_left trim_prefix trim_right trim_space trim_suffix type_name units.parse \
        units.parse_bytes upper crypto.hmac.equal crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256 crypto.hmac.sha512 \
        crypto.md5 crypto.sha1 crypto.sha256 glob.match glob.quote_meta json.is_valid net.cidr_contains net.cidr_intersects \
        net.cidr_is_valid object.subset strings.count strings.replace_n time.add_date time.format time.now_ns \
        time.parse_duration_ns time.parse_ns time.parse_rfc3339_ns time.weekday trace urlquery.decode urlquery.encode \
        urlquery.encode_object rand.intn uuid.rfc4122 all any cast_boolean cast_null cast_string \
        net.cidr_overlap re_match io.jwt.encode_sign io.jwt.encode_sign_raw";

    #[test]
    fn every_builtin_is_known_to_give_a_collection_or_a_scalar() {
        assert!(COLLECTIONS.is_sorted());
        let served = builtins::SERVED.iter().copied().chain(functions::served().map(|(name, _)| name));
        let is_verification = |name: &str| name.starts_with("io.jwt.verify_");
        let others: BTreeSet<&str> =
            served.filter(|name| !COLLECTIONS.contains(name) && !is_verification(name)).collect();
        assert_eq!(others, SCALARS.split_whitespace().collect());
    }
}
