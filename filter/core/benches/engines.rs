//! What an evaluation takes by each of the evaluators: the whole way of a request, less the same with its decision known.
//!
//! `REMIT_ENGINES` names a JSON file with `headers`, `body` and a plugin configuration for each evaluator; prints one line
//! for each, in microseconds. `cargo xtask bench` makes the file; without it there is nothing to measure.

#![expect(clippy::disallowed_types, reason = "what is measured is time, by a host")]
#![expect(clippy::indexing_slicing, reason = "a missing member is null, and the run ends with an error")]

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use remit_core::config::Config;
use remit_core::engine::Engine;
use remit_core::exchange::{Body, Event, Exchange, Need, Nonce, Step};
use remit_core::ids::Now;
use remit_core::request::Circumstances;
use serde_json::Value;

type Failure = Box<dyn std::error::Error>;

/// Requests a round; the fastest of the rounds counts, because nothing makes a round faster than it is.
const REQUESTS: u32 = 50;
const ROUNDS: usize = 200;

fn main() -> Result<(), Failure> {
    let Some(path) = std::env::var_os("REMIT_ENGINES") else {
        println!("skipped: REMIT_ENGINES names no file; run `cargo xtask bench`");
        return Ok(());
    };
    let document: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let headers: Vec<(String, String)> = serde_json::from_value(document["headers"].clone())?;
    let body = document["body"].as_str().ok_or("no body")?.as_bytes().to_vec();
    let measured = |evaluator: &str, remembered: u64| -> Result<f64, Failure> {
        let mut configuration = document[evaluator].clone();
        configuration["limits"]["decision_cache_entries"] = remembered.into();
        // A busy machine is no reason to stop.
        configuration["limits"]["evaluation_ms"] = 1000.into();
        let mut engine = Engine::with_config(Config::parse(configuration.to_string().as_bytes())?)?;
        fastest(&mut engine, &headers, &body)
    };
    // Of the one policy that is remembered, as in the table: the other is that policy and one rule more.
    let known = measured("bytecode", 64)?;
    for evaluator in ["bytecode", "interpreter"] {
        println!("{evaluator} {:.2}", measured(evaluator, 0)? - known);
    }
    Ok(())
}

/// Microseconds of one request, in the fastest round.
fn fastest(engine: &mut Engine, headers: &[(String, String)], body: &[u8]) -> Result<f64, Failure> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..REQUESTS {
            decide(engine, headers, body)?;
        }
        best = best.min(begun.elapsed());
    }
    Ok(best.as_secs_f64() * 1e6 / f64::from(REQUESTS))
}

/// The whole way of a request, whose signature is taken for good.
fn decide(engine: &mut Engine, headers: &[(String, String)], body: &[u8]) -> Result<(), Failure> {
    let now = Now(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?);
    let pairs = headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let mut exchange = Exchange::new(Nonce::new(&[7; 32]));
    let mut event = Event::Headers { pairs, ends: false, circumstances: Circumstances::default() };
    loop {
        event = match exchange.advance(engine, event, now) {
            Step::Need(Need::Body { .. }) => Event::Body(Body::Whole(body.to_vec())),
            Step::Need(Need::Signature(_)) => Event::Signature(Some(true)),
            Step::Need(need) => return Err(format!("unforeseen: {need:?}").into()),
            Step::Done(conclusion) => {
                let line = black_box(conclusion.record.to_line());
                return if conclusion.outcome.allows() { Ok(()) } else { Err(line.into()) };
            }
        };
    }
}
