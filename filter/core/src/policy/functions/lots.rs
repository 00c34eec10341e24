//! `rand.intn` and `uuid.rfc4122`: the same within one decision, as in OPA, and drawn from the random bytes of its request.

use regorus::Value;
use sha2::{Digest, Sha256};

use super::Stop;
use super::crypto::hex;
use crate::policy::surroundings::Surroundings;

/// A whole number from 0 to below the second argument, whose sign does not count.
pub(super) fn number(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::String(key), Value::Number(below)] = arguments else { return Ok(None) };
    let Some(below) = below.as_i64().map(i64::unsigned_abs) else { return Ok(None) };
    let [a, b, c, d, e, f, g, h, ..] = drawn(around, &format!("rand.intn {below} {key}"));
    let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    Ok(Some(Value::from(number.checked_rem(below).unwrap_or(0))))
}

/// A random UUID (RFC 4122 section 4.4).
pub(super) fn uuid(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::String(key)] = arguments else { return Ok(None) };
    let [a, b, c, d, e, f, version, g, variant, h, i, j, k, l, m, n, ..] =
        drawn(around, &format!("uuid.rfc4122 {key}"));
    let (version, variant) = (version & 0x0f | 0x40, variant & 0x3f | 0x80);
    let parts: [&[u8]; 5] = [&[a, b, c, d], &[e, f], &[version, g], &[variant, h], &[i, j, k, l, m, n]];
    Ok(Some(Value::from(parts.map(hex).join("-"))))
}

fn drawn(around: &Surroundings, of: &str) -> [u8; 32] {
    Sha256::new().chain_update(around.lots()).chain_update(of).finalize().into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::policy::tests::policy;
    use crate::policy::{Document, EvaluationBudget, Policy, Surroundings};

    fn decided(policy: &Policy, lots: u8) -> Json {
        let mut around = Surroundings::default().drawing([lots; 16]);
        let input = Document::from_json(&json!({"k": "k", "n": -10}));
        policy.evaluate_in(&mut around, input, &EvaluationBudget::default()).unwrap().value.to_json().unwrap()
    }

    #[test]
    fn a_decision_draws_each_lot_once() {
        let rego = "decision := [rand.intn(input.k, 1000000), rand.intn(\"k\", 1000000), rand.intn(\"l\", 1000000), \
                    uuid.rfc4122(input.k), uuid.rfc4122(\"k\"), uuid.rfc4122(\"l\")]";
        for policy in [policy(rego), policy(rego).interpreted()] {
            assert!(policy.looks_around() && policy.reads().around);
            let drawn = decided(&policy, 1);
            assert_eq!((&drawn[0], &drawn[3]), (&drawn[1], &drawn[4]));
            assert!(drawn[0] != drawn[2] && drawn[3] != drawn[5], "{drawn}");
            let again = decided(&policy, 2);
            assert!(again[0] != drawn[0] && again[3] != drawn[3], "{drawn} {again}");
        }
    }

    #[test]
    fn lots_are_in_their_range_and_of_their_form() {
        let policy = policy(
            "decision := {\"range\": [x | some n in numbers.range(1, 200); x := rand.intn(sprintf(\"%d\", [n]), input.n)], \
             \"none\": rand.intn(\"k\", 0), \"form\": uuid.parse(uuid.rfc4122(\"k\")), \
             \"wrong\": [1 | some n in [1.5, \"1\", null]; rand.intn(\"k\", n)]}",
        );
        let decided = decided(&policy, 7);
        let range: Vec<i64> = serde_json::from_value(decided["range"].clone()).unwrap();
        assert!(
            (0..10).all(|n| range.contains(&n)) && range.iter().all(|n| (0..10).contains(n)),
            "{range:?}"
        );
        assert_eq!(decided["none"], 0);
        assert_eq!(decided["form"], json!({"version": 4, "variant": "RFC4122"}));
        assert_eq!(decided["wrong"], json!([]));
    }
}
