//! OPA's own conformance cases: every case that Remit loads gives what OPA gives, on both evaluators and in the module.

use std::collections::BTreeMap;

use remit_harness::host::Module;
use remit_tests::opa_cases::{
    self as suite, Builtin, Case, Opa, Out, Passed, Want, builtins, cases, folder, in_module, load, native,
    opa,
};
use remit_tests::proxy::compiled_module;
use remit_tests::world::now;

/// Cases that load and differ. None of them gives another decision in silence: an error denies.
const KNOWN: &[(&str, &str)] = &[
    ("sprintf/float/exponent", "a number keeps its value and not how it was written: 1e2 is 100"),
    ("jsonbuiltins/unmarshal number beyond the supported exponent is undefined", "such a number is an error"),
    ("jsonbuiltins/unmarshal number with too big an exponent is undefined", "such a number is an error"),
    ("jsonbuiltins/unmarshal number with large exponent within limits", "such a number is an error"),
    ("jwtencodesign/https://tools.ietf.org/html/rfc7515#appendix-A.2", "signing with RSA is an error"),
    ("jwtencodesignraw/https://tools.ietf.org/html/rfc7515#appendix-A.2", "signing with RSA is an error"),
    ("jwtencodesign/EdDSA", "signing with Ed25519 is an error"),
    ("jwtencodesignraw/EdDSA", "signing with Ed25519 is an error"),
    ("jwtencodesignheadererrors/Unknown signature algorithm", "a header that is malformed is an error"),
];

#[derive(Debug, Default)]
struct Counts {
    agree: usize,
    in_module: usize,
    passed: Passed,
    known: usize,
    refused_as_in_opa: usize,
    without_opa: usize,
    out: BTreeMap<String, usize>,
    differences: Vec<String>,
}

#[test]
fn every_case_that_loads_gives_what_opa_gives() {
    struct Around<'a> {
        opa: Option<&'a Opa>,
        temporary: &'a std::path::Path,
        module: &'a Module,
        builtins: &'a [Builtin],
    }
    fn count(case: &Case, around: &Around<'_>, counts: &mut Counts) {
        let Around { opa, temporary, module, builtins } = *around;
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
            match in_module(module, case, now()) {
                Ok(got) if got.agrees(&want, case) => {
                    counts.in_module += 1;
                    suite::count(case, builtins, &mut counts.passed);
                }
                Ok(got) => {
                    let (group, note) = (&case.group, &case.note);
                    counts
                        .differences
                        .push(format!("{group} {note}: {want:?} in OPA, {got:?} in the module"));
                }
                Err(why) => {
                    counts.differences.push(format!("{} {}: in the module {why}", case.group, case.note));
                }
            }
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
    let module = compiled_module().unwrap();
    let cases = cases(&folder).unwrap();
    let temporary = std::env::temp_dir().join(format!("remit-opa-cases-{}", std::process::id()));
    let mut counts = Counts::default();
    let builtins = builtins(&folder).unwrap();
    let around = Around { opa: opa.as_ref(), temporary: &temporary, module: &module, builtins: &builtins };
    for case in &cases {
        count(case, &around, &mut counts);
    }
    let _ = std::fs::remove_dir_all(&temporary);
    for (why, number) in &counts.out {
        println!("out {number:4}  {why}");
    }
    println!(
        "{} cases: {} agree, in the module {}; {} differ as listed, {} refused as in OPA, {} without OPA, {} out",
        cases.len(),
        counts.agree,
        counts.in_module,
        counts.known,
        counts.refused_as_in_opa,
        counts.without_opa,
        counts.out.values().sum::<usize>(),
    );
    assert!(counts.agree > 2_000, "most cases are played");
    assert!(counts.differences.is_empty(), "{}", counts.differences.join("\n"));
    // Without OPA some cases are not played, and another version has others.
    let version = suite::version(&folder);
    let committed = std::fs::read_to_string(suite::file()).unwrap_or_default();
    if opa.is_none() {
        println!("skipped: the table of builtins, without OPA");
    } else if std::env::var_os("REMIT_WRITE_BUILTINS").is_some() {
        std::fs::write(suite::file(), suite::table(&version, &builtins, &counts.passed)).unwrap();
    } else if !committed.contains(&format!("OPA {version},")) {
        println!("skipped: the table of builtins, which is not of OPA {version}");
    } else {
        let current = suite::table(&version, &builtins, &counts.passed);
        assert!(
            committed == current,
            "policy-bundles/BUILTINS.md is not current: run `cargo xtask builtins`"
        );
    }
}
