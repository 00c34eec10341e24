//! `remit scenario`: a scenario as a document, for whoever plays it against a filter that runs elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use remit_core::ids::Now;
use remit_core::keys::Algorithm;
use remit_harness::capture::{Body, Exchange};
use remit_harness::scenario::{Overrides, Scenario};
use serde_json::{Value, json};

use super::{AlwaysJson, Ending, key_file, print, token};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folder of a scenario, or a capture
    scenario: PathBuf,
    /// Folder or archive of a bundle; several are merged [default: what scenario.json names]
    #[arg(long, value_name = "DIR|FILE")]
    bundle: Vec<PathBuf>,
    /// What the scenario's issuers sign with [default: as the capture says]
    #[arg(long, value_parser = token::algorithm)]
    algorithm: Option<Algorithm>,
    /// Number of further tokens, each different
    #[arg(long, value_name = "N", default_value_t = 0)]
    tokens: usize,
    /// Keep the issuers' private keys in this folder, as <kid>.jwk, to sign approvals with
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    _format: AlwaysJson,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    let overrides = Overrides {
        bundles: arguments.bundle.clone(),
        algorithm: arguments.algorithm,
        ..Overrides::default()
    };
    let now = token::now()?;
    let scenario = Scenario::load_with(&arguments.scenario, &overrides)?.rebased(now);
    if let Some(folder) = &arguments.keys {
        keep_keys(&scenario, folder)?;
    }
    print(&format!("{}\n", document(scenario, arguments.tokens, now)?))?;
    Ok(Ending::Good)
}

/// `{"configuration", "calls": [...], "tokens": [...]}`; a call that needs an approval says whose, because there is
/// nothing to approve before an earlier call was held.
fn document(mut scenario: Scenario, tokens: usize, now: Now) -> Result<Value> {
    let exchanges = scenario.capture.exchanges.clone();
    let template = exchanges.iter().find(|exchange| is_tool_call(exchange)).and_then(|e| e.token.as_deref());
    let tokens = match template {
        _ if tokens == 0 => Vec::new(),
        None => bail!("no tools/call with a token, so there is no template for further tokens"),
        Some(template) => (0..tokens)
            .map(|number| scenario.mint_named(template, &format!("{template}-{number}"), now))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let calls: Vec<Value> = exchanges
        .iter()
        .map(|exchange| {
            call(&mut scenario, exchange, now).with_context(|| format!("exchange {}", exchange.id))
        })
        .collect::<Result<_>>()?;
    Ok(json!({"configuration": scenario.plugin_config_document(), "calls": calls, "tokens": tokens}))
}

fn call(scenario: &mut Scenario, exchange: &Exchange, now: Now) -> Result<Value> {
    let request = &exchange.request;
    let body = request.body.as_ref().map(Body::to_bytes).unwrap_or_default();
    let token = exchange.token.as_ref().map(|template| scenario.mint(template, now)).transpose()?;
    let approval = exchange.approval.as_ref().map(|approval| {
        let key = scenario.keys().key(&approval.issuer).context("an approval by an unknown issuer")?;
        anyhow::Ok(json!({
            "challenge_of": approval.challenge_of,
            "issuer": approval.issuer,
            "kid": key.kid(),
            "claims": approval.claims,
        }))
    });
    Ok(json!({
        "id": exchange.id,
        "title": exchange.title.as_ref().unwrap_or(&exchange.id),
        "method": request.method,
        "authority": request.authority,
        "path": request.path,
        "headers": request.headers,
        "body": String::from_utf8(body).context("a body that is no text cannot be printed")?,
        "token": token,
        "approval": approval.transpose()?,
        "expect": exchange.expect,
    }))
}

fn is_tool_call(exchange: &Exchange) -> bool {
    let Some(Body::Json(body)) = &exchange.request.body else { return false };
    body.get("method").is_some_and(|method| method == "tools/call")
}

fn keep_keys(scenario: &Scenario, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for key in scenario.capture.issuers.keys().filter_map(|iss| scenario.keys().key(iss)) {
        // A `kid` is any text; what it may not do here is to leave the folder.
        let name: String = key.kid().chars().map(|c| if c == '/' { '_' } else { c }).collect();
        key_file::write(&folder.join(format!("{name}.jwk")), key)?;
    }
    Ok(())
}
