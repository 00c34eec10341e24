//! The target `compact`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{compact, sow};

fuzz_target!(init: sow(&compact::seeds(), compact::check), |data: &[u8]| {
    compact::check(data);
});
