//! Policies as their authors write them, on both evaluators and on OPA. Each file of `tests/idioms/` holds cases: a line
//! `=== name`, modules, and lines `data {…}` and `input {…}`; what is decided is the rule `decision` of the first module.
//! Those of files named `v0…` are Rego v0.

use std::path::Path;

use anyhow::Context;
use remit_core::bundle::{Bundle, BundleLimits};
use remit_core::policy::{EngineKind, Policy, PolicyLimits};
use remit_tests::opa_cases::opa;
use remit_tests::rego_fuzz::{Server, decide, same};
use serde_json::{Value, json};

struct Idiom {
    name: String,
    is_v0: bool,
    modules: Vec<String>,
    data: Value,
    inputs: Vec<Value>,
}

fn idioms(file: &Path) -> anyhow::Result<Vec<Idiom>> {
    let text = std::fs::read_to_string(file)?;
    let is_v0 = file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("v0"));
    let mut idioms = Vec::new();
    for case in text.split("\n=== ").skip(1) {
        let (name, rest) = case.split_once('\n').context("a case has lines")?;
        let read = |line: &str| serde_json::from_str(line).with_context(|| format!("{name}: {line}"));
        let (mut modules, mut data, mut inputs) = (Vec::<String>::new(), json!({}), Vec::new());
        for line in rest.lines() {
            if let Some(members) = line.strip_prefix("data {") {
                data = read(&format!("{{{members}"))?;
            } else if let Some(input) = line.strip_prefix("input ") {
                inputs.push(read(input)?);
            } else {
                let module = modules.pop().unwrap_or_default();
                if line.starts_with("package ") && !module.is_empty() {
                    modules.extend([module, format!("{line}\n")]);
                } else {
                    modules.push(format!("{module}{line}\n"));
                }
            }
        }
        idioms.push(Idiom { name: name.to_owned(), is_v0, modules, data, inputs });
    }
    Ok(idioms)
}

#[test]
fn policies_of_authors_decide_as_in_opa() {
    let Some(opa) = opa() else { return };
    let folder = std::env::var("REMIT_IDIOMS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/idioms").to_owned());
    let mut files: Vec<_> =
        std::fs::read_dir(Path::new(&folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut faults, mut bytecode, mut played, mut decided) = (Vec::new(), 0, 0, 0);
    let mut servers = [&[] as &[_], &["--v0-compatible"]]
        .map(|more| Server::start_with(opa.path(), more, &json!({})).unwrap());
    for idiom in files.iter().flat_map(|file| idioms(file).unwrap()) {
        let name = &idiom.name;
        let server = &mut servers[usize::from(idiom.is_v0)];
        server.know(&idiom.data).unwrap();
        let package =
            idiom.modules[0].lines().next().unwrap().trim_start_matches("package ").replace('.', "/");
        let path = format!("{package}/decision");
        let manifest = json!({ "rego_version": u8::from(!idiom.is_v0) }).to_string();
        let mut files = vec![
            ("data.json".to_owned(), idiom.data.to_string().into_bytes()),
            (".manifest".to_owned(), manifest.into_bytes()),
        ];
        // From the last on, as the first may import the others.
        let mut by_opa = Ok(());
        for (at, module) in idiom.modules.iter().enumerate().rev() {
            by_opa = by_opa.and(server.load_as(&format!("m{at}"), module).unwrap());
            files.push((format!("m{at}.rego"), module.clone().into_bytes()));
        }
        let bundle = Bundle::from_files(
            files.iter().map(|(path, text)| (path.as_str(), text.clone())),
            &BundleLimits::default(),
        )
        .unwrap();
        let policy = Policy::compile(&bundle, &path, &PolicyLimits::default());
        match (&by_opa, policy) {
            (Ok(()), Ok(policy)) => {
                let is_bytecode = policy.engine() == EngineKind::Bytecode;
                bytecode += u32::from(is_bytecode);
                played += 1;
                let first: Vec<_> =
                    idiom.inputs.iter().map(|input| is_bytecode.then(|| decide(&policy, input))).collect();
                let policy = policy.interpreted();
                for (input, bytecode) in idiom.inputs.iter().zip(first) {
                    let wanted = server.decide_at(&path, input).unwrap();
                    decided += 1;
                    for (who, got) in [("bytecode", bytecode), ("interpreter", Some(decide(&policy, input)))]
                    {
                        let Some(got) = got else { continue };
                        if !same(&wanted, &got) {
                            faults.push(format!("{name}: {input}\n  opa {wanted:?}\n  {who} {got:?}"));
                        }
                    }
                }
            }
            (Ok(()), Err(why)) => faults.push(format!("{name}: refused: {why}")),
            (Err(why), Ok(_)) => faults.push(format!("{name}: OPA refuses: {why}")),
            (Err(why), Err(_)) => println!("{name}: both refuse: {why}"),
        }
        for at in 0..idiom.modules.len() {
            server.load_as(&format!("m{at}"), "").unwrap().ok();
        }
        let gone: serde_json::Map<String, Value> =
            idiom.data.as_object().unwrap().keys().map(|key| (key.clone(), json!({}))).collect();
        server.know(&Value::Object(gone)).unwrap();
    }
    println!("{played} policies, {bytecode} of them in bytecode, {decided} decisions");
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}
