//! The target `delta`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{delta, sow};

fuzz_target!(init: sow(&delta::seeds(), delta::check), |data: &[u8]| {
    delta::check(data);
});
