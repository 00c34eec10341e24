//! The decision pipeline of Remit, sans I/O: events in, steps out. No host call, clock, randomness or I/O.
#![forbid(unsafe_code)]

pub mod bundle;
pub mod ids;
pub mod json;
pub mod policy;
