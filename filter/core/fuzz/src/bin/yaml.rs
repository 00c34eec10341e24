//! The target `yaml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{sow, yaml};

fuzz_target!(init: sow(&yaml::seeds(), yaml::check), |data: &[u8]| {
    yaml::check(data);
});
