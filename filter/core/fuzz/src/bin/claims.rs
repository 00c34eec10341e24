//! The target `claims`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{claims, sow};

fuzz_target!(init: sow(&claims::seeds(), claims::check), |data: &[u8]| {
    claims::check(data);
});
