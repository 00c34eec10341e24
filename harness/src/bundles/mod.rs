//! Bundles as their authors handle them: built, signed, looked into, compared, and carried to a registry and back.

mod build;
mod delta;
mod diff;
mod inspect;
pub mod oci;
mod rego;
mod sign;
#[cfg(test)]
mod tests;

pub(crate) use build::outside_roots;
pub use build::{BuildError, BuildOptions, build};
pub use delta::{DeltaError, delta};
pub use diff::{Change, Changes, Kind};
pub use inspect::Inspection;
pub use sign::{sign, signed};

/// Where a signature stands in a bundle.
pub const SIGNATURES: &str = ".signatures.json";
