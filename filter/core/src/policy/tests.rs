//! Policies as tables: what loads, what is refused, what is decided.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::bundle::BundleLimits;

fn bundle(files: &[(&str, &str)]) -> Bundle {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec()));
    Bundle::from_files(files, &BundleLimits::default()).unwrap()
}

fn load(files: &[(&str, &str)]) -> Result<Policy, PolicyError> {
    Policy::compile(&bundle(files), "p/decision", &PolicyLimits::default())
}

fn policy(rego: &str) -> Policy {
    load(&[("p.rego", &format!("package p\n{rego}\n"))]).unwrap()
}

fn decide(policy: &Policy, input: Json) -> Result<Json, EvaluationError> {
    let evaluated = policy.evaluate(Document::from_json_owned(input), &EvaluationBudget::default())?;
    Ok(evaluated.value.to_json().unwrap())
}

#[test]
fn probe() {
    for (rego, input) in [
        ("decision := x if { some x in input.xs }", json!({"xs":[1,2]})),
        ("d := x if { some x in input.xs }\ndecision := d", json!({"xs":[1,2]})),
        ("d := {k: v | some [k, v] in input.xs}\ndecision := d", json!({"xs":[["a",1],["a",2]]})),
        ("d[k] := v if { some [k, v] in input.xs }\ndecision := d", json!({"xs":[["a",1],["a",2]]})),
        ("d := 1 if input.a\nd := 2 if input.b\ndecision := d", json!({"a":true,"b":true})),
        ("d := 1 if input.a\nd := 2 if input.b\ndefault decision := false\ndecision if not d", json!({"a":true,"b":true})),
        ("f(x) := 1 if x > 1\nf(x) := 2 if x > 2\ndecision := f(input.x)", json!({"x":3})),
        ("default decision := false\ndecision := 1 if input.a\ndecision := 2 if input.b", json!({"a":true,"b":true})),
        ("default f(_) := 7\nf(x) := 1 if x > 1\ndecision := f(input.x)", json!({"x":0})),
        ("decision := 1 if print(\"x\", input.x)", json!({"x":0})),
        ("decision := to_number(input.x)", json!({"x":"1e999999999"})),
        ("decision := input.x + 1", json!({"x":"a"})),
        ("decision := 1 if not input.x + 1", json!({"x":"a"})),
        ("decision := 1 / input.x", json!({"x":0})),
        ("decision := data.q[input.x]", json!({"x":"a"})),
        ("decision := input.x == 1", json!({"x":1.0})),
        ("decision := {\"a\": input.y}", json!({"x":1.0})),
        ("decision.allowed := true", json!({"x":1.0})),
        ("decision := count(walked) if { walked := [1|input.x[_][_]] }", json!({"x":[[1,2],[3]]})),
        ("decision := {x | some x in input.x}", json!({"x":[2,1,2]})),
        ("decision := input.x with input as {\"x\": 3}", json!({"x":1})),
    ] {
        for forced in [false, true] {
            let outcome = load(&[("p.rego", &format!("package p\n{rego}\n"))]).map(|mut policy| {
                let compiled = policy.interpreter.compile_with_entrypoint(&Rc::from("data.p.decision")).unwrap();
                if forced {
                    policy.evaluator = Evaluator::Interpreter(Fallback::Unsupported { at: None, message: String::new() });
                } else {
                    match Bytecode::compile(&compiled, "data.p.decision", policy.data.clone()) {
                        Ok(b) => {
                            let v = b.run(Document::from_json(&input).0, &EvaluationBudget::default());
                            println!("   raw: {v:?}");
                            policy.evaluator = Evaluator::Bytecode(Box::new(b));
                        }
                        Err(NoBytecode::Unsupported{message,..}) => println!("   unsupported {message}"),
                        Err(NoBytecode::Wrong{message,..}) => println!("   wrong {message}"),
                    }
                }
                (policy.engine(), decide(&policy, input.clone()))
            });
            println!("{forced} {rego}: {outcome:?}");
        }
    }
}
