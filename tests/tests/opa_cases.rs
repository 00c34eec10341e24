//! OPA's own conformance cases: every case that Remit loads gives what OPA gives, on both evaluators.

use std::collections::BTreeMap;

use remit_tests::opa_cases::{Case, Opa, Out, Want, cases, folder, load, native, opa};

/// Cases that load and differ. None of them gives another decision in silence: an error denies.
const KNOWN: &[(&str, &str)] = &[
    ("sprintf/float/exponent", "a number keeps its value and not how it was written: 1e2 is 100"),
    ("jsonbuiltins/unmarshal number beyond the supported exponent is undefined", "such a number is an error"),
    ("jsonbuiltins/unmarshal number with too big an exponent is undefined", "such a number is an error"),
    ("jsonbuiltins/unmarshal number with large exponent within limits", "such a number is an error"),
    ("time.now_ns/consistent value for same evaluation", "played without a clock, which is an error"),
    ("with: ndb_cache-issue", "played without a clock, which is an error"),
];

#[derive(Debug, Default)]
struct Counts {
    agree: usize,
    known: usize,
    refused_as_in_opa: usize,
    without_opa: usize,
    out: BTreeMap<String, usize>,
    differences: Vec<String>,
}

#[test]
fn every_case_that_loads_gives_what_opa_gives() {
    fn count(case: &Case, opa: Option<&Opa>, temporary: &std::path::Path, counts: &mut Counts) {
        let want = case.want();
        let loaded = match load(case) {
            Ok(loaded) => loaded,
            Err(_) if want == Want::Refused => {
                counts.refused_as_in_opa += 1;
                return;
            }
            Err(out) => {
                let why = match out {
                    Out::Builtin { name, .. } => name,
                    Out::Refused(_) => "a construct".to_owned(),
                };
                *counts.out.entry(why).or_default() += 1;
                return;
            }
        };
        if KNOWN.iter().any(|(note, _)| *note == case.note) {
            counts.known += 1;
            return;
        }
        let want = match (want, opa) {
            (Want::Exactly(want), _) => want,
            (Want::AskOpa, Some(opa)) => opa.ask(case, temporary).unwrap(),
            (Want::AskOpa, None) => {
                counts.without_opa += 1;
                return;
            }
            (Want::Refused, _) => {
                counts.differences.push(format!("{} {}: OPA refuses it", case.group, case.note));
                return;
            }
        };
        let played = native(loaded);
        let by_bytecode = played.bytecode.as_ref().is_none_or(|got| got.agrees(&want, case));
        if by_bytecode && played.interpreter.agrees(&want, case) {
            counts.agree += 1;
        } else {
            let (group, note) = (&case.group, &case.note);
            counts.differences.push(format!("{group} {note}: {want:?} in OPA, {played:?} here"));
        }
    }

    let Some(folder) = folder() else {
        println!("skipped: no Go, or no OPA in its module cache");
        return;
    };
    let opa = opa();
    let cases = cases(&folder).unwrap();
    let temporary = std::env::temp_dir().join(format!("remit-opa-cases-{}", std::process::id()));
    let mut counts = Counts::default();
    for case in &cases {
        count(case, opa.as_ref(), &temporary, &mut counts);
    }
    let _ = std::fs::remove_dir_all(&temporary);
    for (why, number) in &counts.out {
        println!("out {number:4}  {why}");
    }
    println!(
        "{} cases: {} agree, {} differ as listed, {} refused as in OPA, {} without OPA, {} out",
        cases.len(),
        counts.agree,
        counts.known,
        counts.refused_as_in_opa,
        counts.without_opa,
        counts.out.values().sum::<usize>(),
    );
    assert!(counts.agree > 2_000, "most cases are played");
    assert!(counts.differences.is_empty(), "{}", counts.differences.join("\n"));
}
