//! Fuzz targets: each feeds bytes to one entrance of the core, and holds what it accepts against a second opinion.
//!
//! The second opinion shares no code with the core: a JSON reader ([`text`]), base64url, and signatures made and checked
//! with the primitives themselves ([`signed`]).

pub mod claims;
pub mod compact;
pub mod config;
pub mod delta;
pub mod evidence;
pub mod json;
pub mod key_set;
pub mod proof;
pub mod signed;
pub mod status_list;
pub mod text;
pub mod yaml;

/// Writes the first inputs of a target to the folder that `REMIT_FUZZ_SEEDS` names, before libFuzzer reads it.
///
/// # Panics
///
/// When none of them is taken: the target would never come past the first check. When the folder cannot be written.
pub fn sow(seeds: &[Vec<u8>], check: fn(&[u8]) -> bool) {
    let taken = seeds.iter().filter(|seed| check(seed)).count();
    assert!(taken > 0, "no seed is taken");
    eprintln!("{taken} of {} seeds are taken", seeds.len());
    let Some(folder) = std::env::var_os("REMIT_FUZZ_SEEDS") else { return };
    for (number, seed) in seeds.iter().enumerate() {
        let path = std::path::Path::new(&folder).join(format!("seed-{number}"));
        if let Err(error) = std::fs::write(&path, seed) {
            panic!("{}: {error}", path.display());
        }
    }
}
