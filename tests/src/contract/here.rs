//! Requests to the core itself and to the module in wasmtime.

use anyhow::{Context, Result};
use remit_harness::capture::Response;
use remit_harness::host::Module;
use remit_harness::replay::{Native, Observed, Subject, Wasm, WasmOptions, WireRequest};

use super::case::{Case, Group, Outcome, Received};
use crate::world::now;

/// What a group's requests come to natively.
///
/// # Errors
/// When the configuration is refused.
pub fn native(group: &Group) -> Result<Vec<(Case, Outcome)>> {
    let mut subject = Native::new(&group.configuration()?, 1).with_context(|| group.policy().to_owned())?;
    carry(&mut subject, group)
}

/// What a group's requests come to in the module.
///
/// # Errors
/// When the configuration is refused.
pub fn wasm(module: &Module, group: &Group) -> Result<Vec<(Case, Outcome)>> {
    let options = WasmOptions { start: now(), ..WasmOptions::default() };
    let mut subject =
        Wasm::new(module, &group.configuration()?, &options).with_context(|| group.policy().to_owned())?;
    carry(&mut subject, group)
}

fn carry(subject: &mut dyn Subject, group: &Group) -> Result<Vec<(Case, Outcome)>> {
    let response = Response { status: 200, ..Response::default() };
    let cases = group.cases.iter().filter(|case| !case.needs_proxy);
    cases
        .map(|case| {
            let observed = subject.carry(&wire(case), &response, now())?;
            Ok((case.clone(), outcome(observed).with_context(|| case.name.clone())?))
        })
        .collect()
}

fn wire(case: &Case) -> WireRequest {
    let request = case.request.clone();
    let mut headers = request.headers;
    if let Some(body) = &request.body {
        headers.push(("content-length".to_owned(), body.len().to_string()));
    }
    WireRequest {
        method: request.method,
        scheme: "http".to_owned(),
        authority: request.authority,
        path: request.path,
        headers,
        body: request.body.unwrap_or_default(),
    }
}

fn outcome(observed: Observed) -> Result<Outcome> {
    if let Some(fault) = observed.fault {
        anyhow::bail!(fault);
    }
    let (headers, body) = match (observed.reply, &observed.forwarded) {
        (Some(reply), _) => (reply.headers, reply.body),
        (None, Some(forwarded)) => (forwarded.response_headers.clone(), Vec::new()),
        (None, None) => (Vec::new(), Vec::new()),
    };
    let upstream = observed.forwarded.map(|forwarded| Received {
        path: forwarded.header(":path").unwrap_or_default().to_owned(),
        headers: forwarded.headers,
        body: forwarded.body,
    });
    Ok(Outcome { status: observed.status, headers, body, upstream })
}
