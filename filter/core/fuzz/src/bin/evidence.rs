//! The target `evidence`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{evidence, sow};

fuzz_target!(init: sow(&evidence::seeds(), evidence::check), |data: &[u8]| {
    evidence::check(data);
});
