//! The host against small guests written in WAT.
mod abi;
mod calls;
mod foreign;
mod guest;
mod lifecycle;
mod modules;
mod streams;

pub(super) use guest::Guest;
