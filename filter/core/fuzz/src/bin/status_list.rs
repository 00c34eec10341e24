//! The target `status_list`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use remit_fuzz::{sow, status_list};

fuzz_target!(init: sow(&status_list::seeds(), status_list::check), |data: &[u8]| {
    status_list::check(data);
});
