//! The subjects: the floor of any filter, what Envoy can do without Remit, and Remit.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::Rows;
use super::engines::{self, Compared};
use super::filter::Filter;
use super::load::Requests;
use super::opa;
use super::subject::Subject;
use super::table::{
    CACHED, ELSEWHERE, EMPTY_ASK, IN_MODULE, INTERPRETED, JWT_CACHED, JWT_NEW, KNOWN, NEW, NO_FILTER,
    ONE_PLACE, OTHERS, SHIPPED, UNIT,
};
use crate::playground::Folder;
use crate::scenario::{self, Call, Setup};
use crate::{build_wasm, go, upstream};

/// The length of the body.
pub(super) const BODY: usize = 2048;

/// Requests a round, but for tokens that are seen once.
pub(super) const PER_ROUND: usize = 1500;

/// Requests a round with a new token each: minting them takes time.
pub(super) const PER_ROUND_UNCACHED: usize = 100;

/// Requests a round where the module checks the signature of each.
pub(super) const PER_ROUND_IN_MODULE: usize = 30;

/// Every public-key algorithm, checked by the module itself: what a host without `verify_signature` would have.
const IN_MODULE_ALGORITHMS: [&str; 9] =
    ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/// Requests a round where a sidecar decides: each takes milliseconds.
const PER_ROUND_SIDECAR: usize = 300;

/// What the budgets speak of: a policy of twenty rules.
const POLICY: &str = "tests/policies/twenty-rules";

/// One rule more, which only the interpreter can evaluate.
const INTERPRETED_RULE: &str = "tests/policies/interpreted";

/// The time budget of an evaluation that is measured.
const PATIENCE_MS: u64 = 1000;

/// The algorithms, the one of the cached token first.
const ALGORITHMS: [&str; 3] = [FIRST_ALGORITHM, "EdDSA", "RS256"];
const FIRST_ALGORITHM: &str = "ES256";

/// What is measured, and what could not be.
pub(super) struct Subjects {
    /// No filter is the first: the others are compared with it.
    pub(super) measured: Vec<Subject>,
    /// Names, with the reasons.
    pub(super) skipped: Vec<(String, String)>,
    /// What is measured natively too.
    pub(super) compared: Option<Compared>,
}

/// What any filter costs.
pub(super) fn floor() -> Result<Subjects> {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: forum.internal.example\r\nauthorization: Bearer {:x<900}\r\n\
         content-type: application/json\r\naccept: application/json\r\ncontent-length: {BODY}\r\n\r\n{:BODY$}",
        "", "{}"
    );
    Ok(Subjects { measured: floor_with(&request.into_bytes())?, skipped: Vec::new(), compared: None })
}

fn floor_with(request: &[u8]) -> Result<Vec<Subject>> {
    let wat = |text: &str| -> Result<Filter> {
        Ok(Filter::Wasm { module: wat::parse_str(text)?, configuration: String::new() })
    };
    Ok(vec![
        repeated(NO_FILTER, Filter::None, request),
        repeated(UNIT, wat(include_str!("../../bench/empty.wat"))?, request),
        repeated("empty, reads headers and body", wat(include_str!("../../bench/reading.wat"))?, request),
        repeated("empty, makes Remit's calls", wat(&calls())?, request),
    ])
}

/// The filter that makes Remit's calls, with a record about as long as one of Remit's.
fn calls() -> String {
    let members: Vec<_> = (0..36).map(|i| format!(r#""member{i:02}":"its value""#)).collect();
    let record = format!("{{{}}}", members.join(","));
    let text = record.replace('"', "\\\"");
    include_str!("../../bench/calls.wat").replace("RECORD", &text).replace("SIZE", &record.len().to_string())
}

/// Everything, all with the same `tools/call` of the scenario; `tokens` new tokens for each algorithm.
/// `fewer` where the module checks them all by itself.
pub(super) fn all(folder: &Folder, rows: Rows<'_>, tokens: usize, fewer: usize) -> Result<Subjects> {
    let module = std::fs::read(build_wasm::build()?)?;
    if rows.has(engines::NAME) {
        engines::build()?;
    }
    let mut setups = Vec::new();
    for algorithm in ALGORITHMS {
        let tokens = if rows.has(&format!("{NEW}{algorithm}")) { tokens } else { 0 };
        println!("Minting {tokens} tokens with {algorithm}.");
        setups.push((algorithm, scenario::scenario_setup(POLICY, algorithm, tokens)?));
    }
    let (_, first) = setups.first().context("no algorithm")?;
    let call = measured_call(first)?;
    let request = call.bytes(BODY, None);

    let mut measured = floor_with(&request)?;
    let mut skipped = Vec::new();
    measured.push(repeated(JWT_CACHED, jwt(first, true)?, &request));
    let server = upstream::start()?;
    measured.push(repeated(EMPTY_ASK, Filter::AskHttp { port: server.port }, &request));
    let name = "opa-envoy-plugin, agent-baseline";
    match go::OPA_ENVOY_PLUGIN.find() {
        go::Found::At(binary) => {
            let (sidecar, port) = opa::start(&binary, &folder.0, &call.id)?;
            let subject = repeated(name, Filter::AskGrpc { port }, &request);
            measured.push(Subject { sidecar: Some(sidecar), per_round: PER_ROUND_SIDECAR, ..subject });
        }
        go::Found::Missing(reason) => skipped.push((name.to_owned(), reason)),
    }
    let remit =
        |setup: &Setup| Filter::Wasm { module: module.clone(), configuration: setup.configuration.clone() };
    let evaluating = |setup: &Setup| -> Result<Filter> {
        Ok(Filter::Wasm { module: module.clone(), configuration: evaluating(&setup.configuration)? })
    };
    measured.push(repeated(CACHED, evaluating(first)?, &request));
    let others: Vec<_> = (0..PER_ROUND).map(|i| numbered(&request, i)).collect();
    let with_others = |name: &str, filter| {
        let requests = Requests::new(others.clone());
        Subject { requests, ..repeated(name, filter, &request) }
    };
    measured.push(with_others(OTHERS, remit(first)));
    let configuration = with_setting(&first.configuration, "audit", "log", false.into())?;
    measured.push(with_others(ONE_PLACE, Filter::Wasm { module: module.clone(), configuration }));
    measured.push(repeated(KNOWN, remit(first), &request));
    let interpreted = scenario::scenario_setup_with(POLICY, INTERPRETED_RULE, FIRST_ALGORITHM)?;
    let interpreted_request = measured_call(&interpreted)?.bytes(BODY, None);
    measured.push(repeated(INTERPRETED, evaluating(&interpreted)?, &interpreted_request));
    let (elsewhere, configuration) = (module.clone(), first.configuration.clone());
    let elsewhere = Filter::WasmElsewhere { module: elsewhere, configuration };
    measured.push(repeated(ELSEWHERE, elsewhere, &request));
    let compared = rows
        .has(engines::NAME)
        .then(|| Compared::new(call, &first.configuration, &interpreted.configuration))
        .transpose()?;
    let shipped = scenario::scenario_setup(scenario::BUNDLE, FIRST_ALGORITHM, 0)?;
    let call = measured_call(&shipped)?;
    measured.push(repeated(SHIPPED, evaluating(&shipped)?, &call.bytes(BODY, None)));
    for (algorithm, setup) in setups.iter().filter(|(_, setup)| !setup.tokens.is_empty()) {
        measured.push(new_tokens(&format!("{JWT_NEW}{algorithm}"), setup, jwt(setup, false)?)?);
        measured.push(new_tokens(&format!("{NEW}{algorithm}"), setup, remit(setup))?);
    }
    let shared_secret = format!("{NEW}HS256");
    if rows.has(&shared_secret) {
        let setup = scenario::scenario_setup(POLICY, "HS256", tokens)?;
        let configuration = without_approvals(&setup.configuration)?;
        let filter = Filter::Wasm { module: module.clone(), configuration };
        measured.push(new_tokens(&shared_secret, &setup, filter)?);
    }
    for algorithm in IN_MODULE_ALGORITHMS {
        if !rows.has(&format!("{IN_MODULE}{algorithm}")) {
            continue;
        }
        println!("Minting {fewer} tokens with {algorithm}.");
        let setup = scenario::scenario_setup(POLICY, algorithm, fewer)?;
        let configuration = with_setting(&setup.configuration, "signatures", "host", false.into())?;
        let filter = Filter::Wasm { module: module.clone(), configuration };
        let subject = new_tokens(&format!("{IN_MODULE}{algorithm}"), &setup, filter)?;
        measured.push(Subject { per_round: PER_ROUND_IN_MODULE, has_workers: false, ..subject });
    }
    measured.retain(|subject| rows.has(&subject.name));
    Ok(Subjects { measured, skipped, compared })
}

/// The request that is measured, and the configurations that decide it, as JSON.
pub(super) fn request() -> Result<String> {
    let setup = scenario::scenario_setup(POLICY, FIRST_ALGORITHM, 0)?;
    Ok(Compared::new(measured_call(&setup)?, &setup.configuration, &setup.configuration)?.document())
}

/// The configuration with the memory of decisions turned off: every call is evaluated, however long a busy machine takes.
fn evaluating(configuration: &str) -> Result<String> {
    let configuration = with_setting(configuration, "limits", "decision_cache_entries", 0.into())?;
    with_setting(&configuration, "limits", "evaluation_ms", PATIENCE_MS.into())
}

fn with_setting(configuration: &str, group: &str, name: &str, value: Value) -> Result<String> {
    let mut configuration: Value = serde_json::from_str(configuration)?;
    let document = configuration.as_object_mut().context("the configuration is no object")?;
    let settings = document.entry(group).or_insert_with(|| Value::Object(Map::new()));
    let settings = settings.as_object_mut().with_context(|| format!("/{group} is no object"))?;
    settings.insert(name.to_owned(), value);
    Ok(configuration.to_string())
}

/// Nobody may approve with a shared secret.
fn without_approvals(configuration: &str) -> Result<String> {
    let mut configuration: Map<String, Value> = serde_json::from_str(configuration)?;
    configuration.remove("approvals");
    Ok(Value::Object(configuration).to_string())
}

fn repeated(name: &str, filter: Filter, request: &[u8]) -> Subject {
    Subject {
        name: name.to_owned(),
        filter,
        sidecar: None,
        requests: Requests::new(vec![request.to_vec()]),
        per_round: PER_ROUND,
        has_workers: true,
    }
}

/// The request with a number in the text of its arguments, of the same length.
fn numbered(request: &[u8], number: usize) -> Vec<u8> {
    String::from_utf8_lossy(request)
        .replacen("what was said before", &format!("what was said {number:06}"), 1)
        .into_bytes()
}

/// Each request with a token of its own, so that each has its signature checked.
fn new_tokens(name: &str, setup: &Setup, filter: Filter) -> Result<Subject> {
    let call = measured_call(setup)?;
    let requests = setup.tokens.iter().map(|token| call.bytes(BODY, Some(token))).collect();
    Ok(Subject {
        name: name.to_owned(),
        filter,
        sidecar: None,
        requests: Requests::new(requests),
        per_round: PER_ROUND_UNCACHED,
        has_workers: true,
    })
}

/// The scenario's first `tools/call`.
fn measured_call(setup: &Setup) -> Result<&Call> {
    let is_tool_call = |call: &&Call| call.body.contains("tools/call");
    setup.calls.iter().find(is_tool_call).context("the scenario has no tools/call to measure")
}

/// What Envoy's own filters can check of the same token.
fn jwt(setup: &Setup, remembers: bool) -> Result<Filter> {
    let configuration: Value = serde_json::from_str(&setup.configuration)?;
    let text = |pointer: &str| {
        let text = configuration.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned).with_context(|| format!("no {pointer} in the configuration"))
    };
    let keys = configuration.pointer("/issuers/0/keys/inline").context("no keys in the configuration")?;
    Ok(Filter::Jwt {
        issuer: text("/issuers/0/issuer")?,
        audience: text("/resource")?,
        keys: keys.to_string(),
        subject: "bea.lindqvist@internal.example".to_owned(),
        remembers,
    })
}

#[cfg(test)]
mod tests {
    use wasmparser::Validator;

    use super::{Filter, floor};

    #[test]
    fn filters_that_do_nothing_are_modules() {
        let subjects = floor().unwrap().measured;
        assert_eq!(subjects.len(), 4);
        for subject in subjects {
            if let Filter::Wasm { module, .. } = subject.filter {
                Validator::new().validate_all(&module).unwrap();
            }
        }
    }
}
