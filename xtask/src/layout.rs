//! What a request runs through: its functions, in order, and of their branches the ways that it does not go. `shrink` puts the
//! functions next to each other, and tells the proxy's compiler which ways are unlikely: it moves them behind the others. In
//! the order of the linker they lie scattered over the module and what is compiled from it, and each request has to fetch
//! them from all over memory.
//!
//! Both are recorded by `cargo xtask layout` and kept in `xtask/layout.txt`, a function a line: its name, and behind a tab, for each
//! branch, [`ALWAYS`], [`NEVER`] or [`EITHER`]. A name that the module no longer has is passed over, and so are the branches of
//! a function that has more or fewer of them now; a function that the list does not have comes behind. An old list costs some time, and changes
//! nothing else. The build tells when it is old.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use wasmparser::{BinaryReaderError, ImportSectionReader, KnownCustom, Name, Parser, Payload, TypeRef};

use crate::workspace;

pub(crate) mod trace;

/// What was recorded.
const RECORDED: &str = include_str!("../layout.txt");

/// The condition of a branch held each time, never, or it did sometimes or nobody asked.
const ALWAYS: char = '+';
const NEVER: char = '-';
const EITHER: char = '.';

/// The list is old when fewer of a hundred of its functions are in the module as they were.
const ENOUGH: usize = 85;

/// What was recorded of a module's functions, by their numbers in it.
#[derive(Default)]
pub(crate) struct Layout {
    /// Those that a request runs through, the first first.
    pub(crate) first: Vec<u32>,
    /// Of each branch of a function, in order, whether its condition is likely to hold, where that is known.
    pub(crate) likely: BTreeMap<u32, Vec<Option<bool>>>,
}

/// What was recorded, for this module. Says where the list is old.
///
/// # Errors
/// When the module cannot be read.
pub(crate) fn recorded(module: &[u8]) -> Result<Layout> {
    let (layout, found, all) = read(RECORDED, module)?;
    if found.saturating_mul(100) < all.saturating_mul(ENOUGH) {
        println!(
            "The module has {found} of the {all} functions in xtask/layout.txt as they were: `cargo xtask layout` records those that \
             a request runs through now."
        );
    }
    Ok(layout)
}

/// A list, for this module; how many of its functions the module has with as many branches, and how many there are.
fn read(list: &str, module: &[u8]) -> Result<(Layout, usize, usize)> {
    let names = names(module)?;
    let mut numbers = BTreeMap::<&str, Vec<u32>>::new();
    for (number, name) in &names {
        numbers.entry(name).or_default().push(*number);
    }
    let (imports, branches) = trace::branches(module)?;
    let branches: BTreeMap<u32, u32> = (imports..).zip(branches).collect();
    let (mut layout, mut found, mut all) = (Layout::default(), 0_usize, 0_usize);
    for line in list.lines() {
        let (name, ways) = line.split_once('\t').unwrap_or((line, ""));
        let numbers = numbers.get(name).map(Vec::as_slice).unwrap_or_default();
        let count = u32::try_from(ways.len())?;
        let mut same = numbers.iter().filter(|number| branches.get(number) == Some(&count)).peekable();
        all = all.saturating_add(1);
        found = found.saturating_add(usize::from(same.peek().is_some()));
        layout.first.extend(numbers);
        for number in same {
            layout.likely.entry(*number).or_insert_with(|| ways.chars().map(likely).collect());
        }
    }
    Ok((layout, found, all))
}

fn likely(way: char) -> Option<bool> {
    match way {
        ALWAYS => Some(true),
        NEVER => Some(false),
        _ => None,
    }
}

/// Has a module with names carry the request of this document, see `harness/benches/module.rs`, and writes down what it ran through.
///
/// # Errors
/// When the module cannot be read, or does not carry it.
pub(crate) fn record(linked: &[u8], request: &str) -> Result<()> {
    let folder = workspace::target_dir().join("layout");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let (traced, document) = (folder.join("traced.wasm"), folder.join("request.json"));
    fs::write(&traced, trace::trace(linked)?).with_context(|| traced.display().to_string())?;
    fs::write(&document, request).with_context(|| document.display().to_string())?;
    let mut command: Command = workspace::cargo();
    command.args(["bench", "--quiet", "--package", "remit-harness", "--bench", "module"]);
    command.env("REMIT_ENGINES", &document).env("REMIT_TRACED", &traced);
    let said = workspace::output(&mut command)?;
    let passed: Vec<u32> =
        said.lines().filter_map(|line| line.strip_prefix(trace::LETTER)?.parse().ok()).collect();
    let list = list(linked, &passed)?;
    if list.is_empty() {
        bail!("the module ran through no function: {said}");
    }
    let path = workspace::root().join("xtask/layout.txt");
    let changed = workspace::write_if_changed(&path, list.as_bytes())?;
    println!(
        "{}: {} functions, {}",
        path.display(),
        list.lines().count(),
        if changed { "written" } else { "unchanged" }
    );
    Ok(())
}

/// The lines for a module whose request passed these points, the first first.
fn list(linked: &[u8], passed: &[u32]) -> Result<String> {
    let names: BTreeMap<u32, String> = names(linked)?.into_iter().collect();
    let (imports, branches) = trace::branches(linked)?;
    let places: BTreeMap<u32, usize> = passed.iter().copied().zip(0..).collect();
    let (mut lines, mut entry) = (BTreeMap::new(), 0_u32);
    for (number, branches) in (imports..).zip(branches) {
        let behind = entry.saturating_add(trace::points(branches));
        if let (Some(place), Some(name)) = (places.get(&entry), names.get(&number)) {
            let ways = (entry.saturating_add(1)..behind).step_by(2).map(|holds| {
                match (places.contains_key(&holds), places.contains_key(&holds.saturating_add(1))) {
                    (true, false) => ALWAYS,
                    (false, true) => NEVER,
                    _ => EITHER,
                }
            });
            lines.insert(*place, format!("{name}\t{}\n", ways.collect::<String>()));
        }
        entry = behind;
    }
    Ok(lines.into_values().collect())
}

/// How many functions are imported.
///
/// # Errors
/// When the section cannot be read.
pub(crate) fn functions(imports: ImportSectionReader<'_>) -> Result<u32, BinaryReaderError> {
    let mut count = 0_u32;
    for import in imports.into_imports() {
        count = count.saturating_add(u32::from(matches!(import?.ty, TypeRef::Func(_))));
    }
    Ok(count)
}

/// Each function's number and name, without what the compiler adds to tell apart two of one name.
///
/// # Errors
/// When the module cannot be read.
pub(crate) fn names(module: &[u8]) -> Result<Vec<(u32, String)>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        let Payload::CustomSection(section) = payload.context("not a WebAssembly module")? else { continue };
        let KnownCustom::Name(sections) = section.as_known() else { continue };
        for section in sections {
            if let Name::Function(functions) = section? {
                for naming in functions {
                    let naming = naming?;
                    names.push((naming.index, format!("{:#}", rustc_demangle::demangle(naming.name))));
                }
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::{ALWAYS, EITHER, NEVER, RECORDED, list, names, read};

    /// Two functions with branches, one without, and one that is imported.
    fn module() -> Vec<u8> {
        let text = r#"(module
            (import "env" "f" (func))
            (func $_RNvCsaaaaaaaaaaa_4core1f (param i32)
                (block local.get 0 br_if 0 (if (local.get 0) (then nop)) (br_if 0 (local.get 0))))
            (func $g)
            (func $h (param i32) (if (local.get 0) (then nop))))"#;
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn the_shipped_list_tells_functions_and_branches() {
        let lines: Vec<_> = RECORDED.lines().map(|line| line.split_once('\t').unwrap()).collect();
        assert_eq!(lines.first().map(|(name, _)| *name), Some("proxy_on_request_headers"));
        let ways = || lines.iter().flat_map(|(_, ways)| ways.chars());
        assert!(ways().all(|way| [ALWAYS, NEVER, EITHER].contains(&way)));
        assert!(ways().any(|way| way == ALWAYS) && ways().any(|way| way == NEVER));
    }

    #[test]
    fn names_say_nothing_of_the_build() {
        assert!(names(&module()).unwrap().contains(&(1, "core::f".to_owned())));
        assert!(names(b"no module").is_err());
    }

    #[test]
    fn what_was_passed_becomes_a_list() {
        // The points: 0 is the entry of f, 1 to 6 are its branches, 7 is the entry of g, 8 that of h.
        for (passed, lines) in [
            (&[][..], ""),
            (&[0], "core::f\t...\n"),
            (&[0, 1, 4, 5, 6], "core::f\t+-.\n"),
            (&[8, 10, 7, 0, 2], "h\t-\ng\t\ncore::f\t-..\n"),
        ] {
            assert_eq!(list(&module(), passed).unwrap(), lines, "{passed:?}");
        }
    }

    #[test]
    fn a_list_is_read_as_far_as_the_module_is_the_same() {
        for (list, first, likely, found) in [
            ("", &[][..], &[][..], (0, 0)),
            ("core::f\t+-.\nh\t-\n", &[1, 3], &[(1, "+-."), (3, "-")], (2, 2)),
            ("more branches", &[], &[], (0, 1)),
            ("core::f\t+-.+\nh\t-\n", &[1, 3], &[(3, "-")], (1, 2)),
            ("gone\t--\ng\t\ncore::f\n", &[2, 1], &[(2, "")], (1, 3)),
        ] {
            let (layout, found_now, all) = read(list, &module()).unwrap();
            let way = |likely: &Option<bool>| likely.map_or('.', |likely| if likely { '+' } else { '-' });
            let shown: Vec<_> = layout
                .likely
                .iter()
                .map(|(number, ways)| (*number, ways.iter().map(way).collect::<String>()))
                .collect();
            let expected: Vec<_> =
                likely.iter().map(|(number, ways)| (*number, (*ways).to_owned())).collect();
            assert_eq!(
                (layout.first.as_slice(), shown, (found_now, all)),
                (first, expected, found),
                "{list}"
            );
        }
    }
}
