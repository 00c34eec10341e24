//! Bundles in OCI registries, in the layout that OPA's own OCI downloader reads: an image manifest whose layer of type
//! `application/vnd.oci.image.layer.v1.tar+gzip` is the bundle (OCI distribution specification 1.1).

mod access;
mod reference;
mod transfer;

pub use access::{Credentials, RegistryOptions};
pub use reference::{Reference, ReferenceError};
pub use transfer::{Pulled, Pushed, pull, push};

/// Why a bundle cannot be carried.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// The registry cannot be reached, or the connection broke.
    #[error("{url}: {source}")]
    Http {
        /// What was asked for.
        url: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// The registry answers with another status than it should.
    #[error("{url}: status {status}{hint}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
        /// What to do, where that is known.
        hint: &'static str,
    },
    /// The registry asks for a way of signing in that is not served.
    #[error("{registry}: asks for a way of signing in that is neither Basic nor Bearer")]
    Challenge {
        /// The registry.
        registry: String,
    },
    /// Where tokens are handed out is no place to send a password to.
    #[error("{realm}: the registry sends us there for a token, and it is not https")]
    Realm {
        /// The place.
        realm: String,
    },
    /// Something is larger than allowed.
    #[error("{what} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// What.
        what: String,
        /// The limit in force.
        limit: u64,
    },
    /// What came is not what was asked for.
    #[error("{expected}: what the registry sent has the digest {found}")]
    Digest {
        /// The digest that was asked for.
        expected: String,
        /// The digest of what came.
        found: String,
    },
    /// A manifest that is none, or without a bundle.
    #[error("{reference}: {problem}")]
    Manifest {
        /// What was pulled.
        reference: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The configuration of Docker, where credentials are.
    #[error("{path}: {problem}")]
    DockerConfig {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// `SSL_CERT_FILE`.
    #[error("SSL_CERT_FILE: no certificate could be read from it")]
    Certificates,
}
