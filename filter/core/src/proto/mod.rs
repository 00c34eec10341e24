//! Protocol Buffers, as far as a policy reads them: messages of a descriptor set as JSON, and the proxy's own metadata.

mod decode;
mod descriptor;
mod known;
mod wire;

#[cfg(test)]
pub(crate) mod tests;

pub use decode::{MessageError, MessageLimits};
pub use descriptor::{DescriptorError, Descriptors, Method};
pub(crate) use known::structure;
pub(crate) use wire::Fields;
