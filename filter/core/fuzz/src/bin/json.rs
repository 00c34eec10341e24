//! The target `json`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{json, sow};

fuzz_target!(init: sow(&json::seeds(), json::check), |data: &[u8]| {
    json::check(data);
});
