//! The target `config`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{config, sow};

fuzz_target!(init: sow(&config::seeds(), config::check), |data: &[u8]| {
    config::check(data);
});
