//! Builtins that regorus lacks, or that ours replace: one table for both evaluators.
//!
//! The bytecode compiler knows them as host functions; [`install`] turns those calls into calls of one builtin that looks
//! here, so that the machine runs through without a pause. The interpreter knows them as extensions. A policy that
//! calls none of them has neither.

mod base64;
mod crypto;
mod fractions;
mod glob;
mod graph;
mod jwt;
mod lots;
mod metered;
mod net;
mod old;
mod operators;
mod outside;
mod pairs;
mod patch;
mod paths;
mod regex;
mod sprintf;
mod strings;
mod time;
mod units;
mod urlquery;
mod uuid;
mod values;
mod walked;

use std::cell::RefCell;
use std::time::Duration;

use regorus::rvm::instructions::{BuiltinCallParams, Instruction};
use regorus::rvm::program::{BuiltinInfo, Program};
use regorus::unstable::{BUILTINS, Expr, Ref, Source, Span};
use regorus::{Engine, LimitError, Value};

use self::crypto::Mac;
pub(super) use self::regex::Patterns;
pub(super) use self::time::is_known_zone;
use super::error::EvaluationError;
use super::limits::EvaluationBudget;
use super::surroundings::Surroundings;
use super::survey::Survey;
use crate::keys::Algorithm;
use crate::ordered;

/// A builtin of OPA that Remit implements.
pub(super) struct Function {
    /// As policies write it.
    pub(super) name: &'static str,
    /// How many arguments it takes. None of them is ever undefined.
    pub(super) arity: usize,
    pub(super) body: Body,
    /// Whether equal inputs get equal answers, as long as the configuration stays.
    pub(super) repeats: bool,
}

/// What a function goes by.
pub(super) enum Body {
    /// Its arguments alone. `None` is OPA's builtin error: the call is undefined.
    Pure(fn(&[Value]) -> Option<Value>),
    /// As `Pure`, and a [`Stop`] ends the evaluation.
    Bounded(fn(&[Value]) -> Result<Option<Value>, Stop>),
    /// As `Bounded`, and how much it may make: for results that can be much larger than the arguments.
    Growing(Looking),
    /// What is around the evaluation besides.
    Around(Looking),
    /// Gives what it was given, and has it noted.
    Noting,
    /// As `Around`, and what it gives is an argument, so that nothing is made.
    Same(Looking),
}

type Looking = fn(&[Value], &mut Surroundings) -> Result<Option<Value>, Stop>;

/// The evaluation ends here, whatever the rule around the call makes of it.
pub(super) struct Stop(pub(super) EvaluationError);

fn failed(message: &str) -> Stop {
    Stop(EvaluationError::Failed { at: None, message: message.to_owned() })
}

const fn pure(name: &'static str, arity: usize, call: fn(&[Value]) -> Option<Value>) -> Function {
    Function { name, arity, body: Body::Pure(call), repeats: true }
}

const fn bounded(
    name: &'static str,
    arity: usize,
    call: fn(&[Value]) -> Result<Option<Value>, Stop>,
) -> Function {
    Function { name, arity, body: Body::Bounded(call), repeats: true }
}

/// A token or its signature against keys: the same whenever it is asked, and counted.
const fn signature(name: &'static str, arity: usize, call: Looking) -> Function {
    Function { name, arity, body: Body::Around(call), repeats: true }
}

const fn growing(name: &'static str, arity: usize, call: Looking) -> Function {
    Function { name, arity, body: Body::Growing(call), repeats: true }
}

/// `a & b`; these are what [`super::faithful`] makes of operators.
pub(super) const AND: &str = "remit__and";
/// What a definition gives, noted; see [`super::explain`].
pub(super) const HELD: &str = "remit__held";
/// `k, v in xs`.
pub(super) const HAS: &str = "remit__has";
/// Whether `walk` gives a pair.
pub(super) const HAS_PAIR: &str = "remit__has_pair";
/// The `xs` of `some x in xs`.
pub(super) const ITEMS: &str = "remit__items";
/// `a - b`.
pub(super) const MINUS: &str = "remit__minus";
/// `a | b`.
pub(super) const OR: &str = "remit__or";
/// How two values are ordered: -1, 0 or 1.
pub(super) const ORDER: &str = "remit__order";
/// `a / b`.
pub(super) const OVER: &str = "remit__over";
/// What `walk` gives, as an array; and whether paths are wanted.
pub(super) const PAIRS: &str = "remit__pairs";
/// `a + b`.
pub(super) const PLUS: &str = "remit__plus";
/// The values of `sprintf`, each empty set in them written as OPA writes it.
pub(super) const PRINTABLE: &str = "remit__printable";
/// `a % b`.
pub(super) const REMAINDER: &str = "remit__remainder";
/// The text of a template string; see [`super::templates`].
pub(super) const TEMPLATE: &str = "remit__template";
/// `a * b`.
pub(super) const TIMES: &str = "remit__times";
/// `x in xs` as a value, which is undefined where one of them is.
pub(super) const WITHIN: &str = "remit__within";
/// A value as it is, once it is known that walking it does not take too long.
pub(super) const WALKED: &str = "remit__walked";

/// Sorted by name.
const FUNCTIONS: &[Function] = &[
    pure("all", 1, old::all),
    pure("any", 1, old::any),
    growing("array.flatten", 1, values::flatten),
    pure("base64.decode", 1, base64::decode),
    pure("base64.is_valid", 1, base64::is_valid),
    pure("base64url.decode", 1, base64::decode_url),
    bounded("bits.rsh", 2, operators::shifted),
    pure("cast_array", 1, old::cast_array),
    pure("cast_boolean", 1, |given| old::cast(given, |value| matches!(value, Value::Bool(_)))),
    pure("cast_null", 1, |given| old::cast(given, |value| matches!(value, Value::Null))),
    pure("cast_object", 1, |given| old::cast(given, |value| matches!(value, Value::Object(_)))),
    pure("cast_set", 1, old::cast_set),
    pure("cast_string", 1, |given| old::cast(given, |value| matches!(value, Value::String(_)))),
    pure("crypto.hmac.equal", 2, crypto::hmac_equal),
    pure("crypto.hmac.md5", 2, crypto::hmac_md5),
    pure("crypto.hmac.sha1", 2, crypto::hmac_sha1),
    pure("crypto.hmac.sha256", 2, crypto::hmac_sha256),
    pure("crypto.hmac.sha512", 2, crypto::hmac_sha512),
    pure("crypto.md5", 1, crypto::md5),
    pure("crypto.sha1", 1, crypto::sha1),
    pure("crypto.sha256", 1, crypto::sha256),
    pure("glob.match", 3, glob::matches),
    pure("glob.quote_meta", 1, glob::quote_meta),
    pure("graph.reachable", 2, graph::reachable),
    Function { name: "http.send", arity: 1, body: Body::Around(outside::http_send), repeats: false },
    pure("indexof", 2, strings::index_of),
    growing("io.jwt.decode", 1, jwt::decode),
    Function {
        name: "io.jwt.decode_verify",
        arity: 2,
        body: Body::Around(jwt::decode_verify),
        repeats: false,
    },
    signature("io.jwt.encode_sign", 3, jwt::encode_sign),
    signature("io.jwt.encode_sign_raw", 3, jwt::encode_sign_raw),
    signature("io.jwt.verify_eddsa", 2, |called, around| jwt::verify(called, around, Algorithm::EdDsa)),
    signature("io.jwt.verify_es256", 2, |called, around| jwt::verify(called, around, Algorithm::Es256)),
    signature("io.jwt.verify_es384", 2, |called, around| jwt::verify(called, around, Algorithm::Es384)),
    signature("io.jwt.verify_hs256", 2, |called, around| jwt::verify_mac(called, around, Mac::Hs256)),
    signature("io.jwt.verify_hs384", 2, |called, around| jwt::verify_mac(called, around, Mac::Hs384)),
    signature("io.jwt.verify_hs512", 2, |called, around| jwt::verify_mac(called, around, Mac::Hs512)),
    signature("io.jwt.verify_ps256", 2, |called, around| jwt::verify(called, around, Algorithm::Ps256)),
    signature("io.jwt.verify_ps384", 2, |called, around| jwt::verify(called, around, Algorithm::Ps384)),
    signature("io.jwt.verify_ps512", 2, |called, around| jwt::verify(called, around, Algorithm::Ps512)),
    signature("io.jwt.verify_rs256", 2, |called, around| jwt::verify(called, around, Algorithm::Rs256)),
    signature("io.jwt.verify_rs384", 2, |called, around| jwt::verify(called, around, Algorithm::Rs384)),
    signature("io.jwt.verify_rs512", 2, |called, around| jwt::verify(called, around, Algorithm::Rs512)),
    growing("json.filter", 2, paths::filter),
    pure("json.is_valid", 1, values::is_valid),
    growing("json.patch", 2, patch::patch),
    growing("json.remove", 2, paths::remove),
    growing("json.unmarshal", 1, values::unmarshal),
    pure("net.cidr_contains", 2, net::cidr_contains),
    growing("net.cidr_contains_matches", 2, net::cidr_contains_matches),
    growing("net.cidr_expand", 1, net::cidr_expand),
    pure("net.cidr_intersects", 2, net::cidr_intersects),
    pure("net.cidr_is_valid", 1, net::cidr_is_valid),
    pure("net.cidr_overlap", 2, net::cidr_contains),
    growing("numbers.range", 2, values::range),
    growing("numbers.range_step", 3, values::range_step),
    growing("object.subset", 2, values::subset),
    Function { name: "opa.runtime", arity: 0, body: Body::Around(outside::runtime), repeats: true },
    bounded("product", 1, operators::product),
    Function { name: "rand.intn", arity: 2, body: Body::Around(lots::number), repeats: false },
    growing("re_match", 2, regex::matches),
    growing("regex.find_all_string_submatch_n", 3, regex::find_groups),
    growing("regex.find_n", 3, regex::find),
    growing("regex.is_valid", 1, regex::is_valid),
    growing("regex.match", 2, regex::matches),
    growing("regex.replace", 3, regex::replace),
    growing("regex.split", 2, regex::split),
    growing("regex.template_match", 4, regex::template_matches),
    pure(AND, 2, operators::and),
    pure(HAS, 3, operators::has),
    growing(HAS_PAIR, 2, pairs::has_pair),
    Function { name: HELD, arity: 2, body: Body::Noting, repeats: true },
    Function { name: ITEMS, arity: 1, body: Body::Same(operators::items), repeats: true },
    bounded(MINUS, 2, operators::minus),
    pure(OR, 2, operators::or),
    pure(ORDER, 2, operators::order),
    bounded(OVER, 2, operators::over),
    growing(PAIRS, 2, pairs::pairs),
    bounded(PLUS, 2, operators::plus),
    growing(PRINTABLE, 1, operators::printable),
    bounded(REMAINDER, 2, operators::remainder),
    growing(TEMPLATE, 1, operators::template),
    bounded(TIMES, 2, operators::times),
    Function { name: WALKED, arity: 1, body: Body::Same(walked::walked), repeats: true },
    pure(WITHIN, 2, operators::within),
    pure("set_diff", 2, old::set_diff),
    pure("strings.count", 2, strings::count),
    growing("strings.replace_n", 2, strings::replace_n),
    growing("strings.split_n", 3, strings::split_n),
    bounded("sum", 1, operators::sum),
    bounded("time.add_date", 4, time::add_date),
    bounded("time.clock", 1, time::clock),
    bounded("time.date", 1, time::date),
    bounded("time.diff", 2, time::diff),
    growing("time.format", 1, time::format),
    Function { name: "time.now_ns", arity: 0, body: Body::Around(time::now_ns), repeats: false },
    pure("time.parse_duration_ns", 1, time::parse_duration_ns),
    bounded("time.parse_ns", 2, time::parse_ns),
    bounded("time.parse_rfc3339_ns", 1, time::parse_rfc3339_ns),
    bounded("time.weekday", 1, time::weekday),
    bounded("to_number", 1, strings::to_number),
    Function { name: "trace", arity: 1, body: Body::Around(outside::trace), repeats: true },
    bounded("units.parse", 1, units::parse),
    bounded("units.parse_bytes", 1, units::parse_bytes),
    bounded("urlquery.decode", 1, urlquery::decode),
    bounded("urlquery.decode_object", 1, urlquery::decode_object),
    pure("urlquery.encode", 1, urlquery::encode),
    pure("urlquery.encode_object", 1, urlquery::encode_object),
    pure("uuid.parse", 1, uuid::parse),
    Function { name: "uuid.rfc4122", arity: 1, body: Body::Around(lots::uuid), repeats: false },
    bounded("walk", 1, pairs::walk),
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().and_then(|at| FUNCTIONS.get(at))
}

/// How many arguments a function has that is ours or is metered: one that the interpreter knows by that number alone.
pub(super) fn arity(name: &str) -> Option<usize> {
    if let Some(function) = find(name) {
        return Some(function.arity);
    }
    metered::of::<LimitError>(name)?;
    super::builtins::arity(name)
}

/// The functions that a policy calls.
#[derive(Default)]
pub(super) struct Called(Vec<&'static Function>);

impl Called {
    pub(super) fn of(survey: &Survey<'_>) -> Self {
        let names = ordered::set(survey.builtin_calls.iter().map(|call| call.name.as_str()));
        Self(names.into_iter().filter_map(find).collect())
    }

    /// Whether an evaluation has to know what is around it, and how much it may make.
    pub(super) fn look_around(&self, survey: &Survey<'_>) -> bool {
        !self.0.is_empty()
            || survey.builtin_calls.iter().any(|call| metered::of::<LimitError>(&call.name).is_some())
    }

    /// Whether equal inputs get equal answers from all of them.
    pub(super) fn repeat(&self) -> bool {
        self.0.iter().all(|function| function.repeats)
    }

    /// What the bytecode compiler is told.
    pub(super) fn signatures(&self) -> Vec<(&'static str, usize)> {
        self.0.iter().map(|function| (function.name, function.arity)).collect()
    }

    /// The name of one that the bundle defines itself somewhere: the bytecode compiler would not tell the two apart.
    pub(super) fn redefined(&self, survey: &Survey<'_>) -> Option<&'static str> {
        self.0.iter().map(|function| function.name).find(|name| {
            let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
            survey.rules.keys().any(|rule| rule.ends_with(&parts))
        })
    }

    /// Makes the functions known to an interpreter.
    pub(super) fn extend(&self, engine: &mut Engine, survey: &Survey<'_>) {
        let names = ordered::set(survey.builtin_calls.iter().map(|call| call.name.as_str()));
        for name in names.into_iter().filter(|name| find(name).is_none()) {
            meter(engine, name);
        }
        for function in self.0.iter().copied() {
            let arity = u8::try_from(function.arity).unwrap_or(u8::MAX);
            let call = move |arguments: Vec<Value>| answer(function, &arguments);
            // The only error is a name that is taken, and each comes once.
            let _ = engine.add_extension(function.name.to_owned(), arity, Box::new(call));
        }
    }
}

/// What is called in place of a builtin of regorus' of one argument; [`install`] has the same.
fn instead(name: &str) -> Option<fn(&[Value]) -> Value> {
    match name {
        "ceil" => Some(fractions::ceil),
        "count" => Some(strings::size),
        "floor" => Some(fractions::floor),
        _ => None,
    }
}

/// Has the interpreter call a builtin of regorus' through the meter, or what is OPA's in place of it.
fn meter(engine: &mut Engine, name: &str) {
    let Some((name, (_, arity))) = BUILTINS.get_key_value(name) else { return };
    if let Some(call) = instead(name) {
        let _ = engine.add_extension((*name).to_owned(), 1, Box::new(move |given| Ok(call(&given))));
        return;
    }
    if metered::of::<LimitError>(name).is_none() {
        return;
    }
    let Ok(source) = Source::from_contents("builtin".to_owned(), String::new()) else { return };
    let span = Span { source, line: 1, col: 1, start: 0, end: 0 };
    let expr = Ref::new(Expr::Null { span: span.clone(), value: Value::Null, eidx: 0 });
    let exprs = vec![expr; usize::from(*arity)];
    let name: &'static str = name;
    let call = move |arguments: Vec<Value>| metered::call(name, &span, &exprs, &arguments);
    let _ = engine.add_extension(name.to_owned(), *arity, Box::new(call));
}

/// Makes functions known to an interpreter of somebody else's, such as one that runs unit tests. Those that look at what is
/// around an evaluation see what [`around`] puts there.
pub fn serve(engine: &mut Engine) {
    Called(FUNCTIONS.iter().collect()).extend(engine, &Survey::default());
    BUILTINS.keys().for_each(|name| meter(engine, name));
}

/// The builtins that [`serve`] makes known, with the number of their arguments.
pub fn served() -> impl Iterator<Item = (&'static str, usize)> {
    let is_builtin = |function: &&Function| !function.name.starts_with("remit__");
    FUNCTIONS.iter().filter(is_builtin).map(|function| (function.name, function.arity))
}

/// Runs an evaluation of somebody else's with this around it, and says why a builtin stopped it, if one did.
pub fn around<T>(
    surroundings: &mut Surroundings,
    evaluation: impl FnOnce() -> T,
) -> (T, Option<EvaluationError>) {
    let unbounded =
        EvaluationBudget { bytes: usize::MAX, time: Duration::MAX, ..EvaluationBudget::default() };
    surroundings.begin(&unbounded);
    let outcome = surrounded(surroundings, evaluation);
    (outcome, surroundings.take_stop())
}

/// Turns the calls of host functions into calls of [`dispatch`], which both get the arguments and the name.
pub(super) fn install(program: &mut Program) {
    for (info, (builtin, _)) in program.builtin_info_table.iter().zip(&mut program.resolved_builtins) {
        if let Some(metered) = metered::of(&info.name) {
            *builtin = metered;
            continue;
        }
        match info.name.as_str() {
            "ceil" => *builtin = |_, _, given, _| Ok(fractions::ceil(given)),
            "count" => *builtin = |_, _, given, _| Ok(strings::size(given)),
            "floor" => *builtin = |_, _, given, _| Ok(fractions::floor(given)),
            _ => {}
        }
    }
    // The compiler allows 512.
    let builtin_index = u16::try_from(program.builtin_info_table.len()).unwrap_or(u16::MAX);
    let mut found = false;
    for instruction in &mut program.instructions {
        let Instruction::HostAwait { dest, arg, id } = *instruction else { continue };
        let args = [arg, id, 0, 0, 0, 0, 0, 0];
        let params = BuiltinCallParams { dest, builtin_index, num_args: 2, args };
        let params_index = program.instruction_data.add_builtin_call_params(params);
        *instruction = Instruction::BuiltinCall { params_index };
        found = true;
    }
    if found {
        program.builtin_info_table.push(BuiltinInfo { name: "remit".to_owned(), num_args: 2 });
        program.resolved_builtins.push((dispatch, 2));
        program.has_host_await = false;
    }
}

/// `E` is regorus' own error type.
fn dispatch<E: From<LimitError>>(
    _: &Span,
    _: &[Ref<Expr>],
    arguments: &[Value],
    _: bool,
) -> Result<Value, E> {
    let [Value::Array(arguments), Value::String(name)] = arguments else { return Ok(Value::Undefined) };
    find(name).map_or(Ok(Value::Undefined), |function| answer(function, arguments.as_slice()))
}

thread_local! {
    /// What is around the evaluation that runs: regorus hands builtins their arguments and nothing else.
    /// Between evaluations, where somebody else's interpreter may run, nothing is bounded.
    static SURROUNDINGS: RefCell<Surroundings> = RefCell::new(Surroundings::default().with_room(usize::MAX));
}

/// Runs an evaluation with this around it.
pub(super) fn surrounded<T>(around: &mut Surroundings, evaluation: impl FnOnce() -> T) -> T {
    let swap = |around: &mut Surroundings| {
        SURROUNDINGS.with(|current| std::mem::swap(&mut *current.borrow_mut(), around));
    };
    swap(around);
    let outcome = evaluation();
    swap(around);
    outcome
}

/// Hands on what the interpreter printed.
pub(super) fn printed(lines: Vec<String>) {
    SURROUNDINGS.with(|current| {
        let mut around = current.borrow_mut();
        lines.iter().for_each(|line| around.print(line));
    });
}

fn answer<E: From<LimitError>>(function: &Function, arguments: &[Value]) -> Result<Value, E> {
    SURROUNDINGS.with(|current| {
        let mut around = current.borrow_mut();
        let makes = !matches!(function.body, Body::Same(_));
        let value = match function.body {
            Body::Pure(call) => call(arguments),
            Body::Bounded(call) => match call(arguments) {
                Ok(value) => value,
                Err(Stop(error)) => return stopped(&mut around, error),
            },
            Body::Growing(call) | Body::Around(call) | Body::Same(call) => match call(arguments, &mut around)
            {
                Ok(value) => value,
                Err(Stop(error)) => return stopped(&mut around, error),
            },
            Body::Noting => {
                let [of, value] = arguments else { return Ok(Value::Undefined) };
                around.note(of, value);
                return Ok(value.clone());
            }
        };
        let value = value.unwrap_or(Value::Undefined);
        let size = metered::own_size(&value);
        if makes && !around.makes(size) {
            return full(&mut around);
        }
        let given = arguments.iter().map(metered::own_size).fold(size, usize::saturating_add);
        match around.works(if makes { given } else { 0 }) {
            Ok(()) => Ok(value),
            Err(Stop(error)) => stopped(&mut around, error),
        }
    })
}

/// Ends the evaluation: what builtins made, or would make, is more than there may be.
fn full<E: From<LimitError>>(around: &mut Surroundings) -> Result<Value, E> {
    let bytes = around.bytes();
    stopped(around, EvaluationError::MemoryExhausted { bytes })
}

/// Ends the evaluation.
fn stopped<E: From<LimitError>>(around: &mut Surroundings, error: EvaluationError) -> Result<Value, E> {
    around.stop(error);
    // The one kind of error that no rule swallows. What it says is not read.
    Err(LimitError::MemoryLimitExceeded { usage: 0, limit: 0 }.into())
}

#[cfg(test)]
mod tests;
