//! The target `proof`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{proof, sow};

fuzz_target!(init: sow(&proof::seeds(), proof::check), |data: &[u8]| {
    proof::check(data);
});
