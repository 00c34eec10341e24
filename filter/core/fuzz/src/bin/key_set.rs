//! The target `key_set`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{key_set, sow};

fuzz_target!(init: sow(&key_set::seeds(), key_set::check), |data: &[u8]| {
    key_set::check(data);
});
