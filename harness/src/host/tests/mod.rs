//! The host against small guests written in WAT.
#![expect(clippy::arithmetic_side_effects, reason = "sizes of small guests")]

mod abi;
mod calls;
mod foreign;
mod guest;
mod lifecycle;
mod modules;
mod streams;
