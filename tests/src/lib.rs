//! Scenarios, parity and end-to-end tests on real parts.
