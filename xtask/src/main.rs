//! Builds, demonstrates, tests and measures Remit.
fn main() {}
