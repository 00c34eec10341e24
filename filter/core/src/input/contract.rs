//! What a configuration says of the input, prepared once.

use std::collections::BTreeMap;

use super::Document;
use crate::body::BodyRules;
use crate::config::{InputSettings, Limits};
use crate::proto::Descriptors;
use crate::request::RequestView;

/// What a configuration says of the input.
#[derive(Debug, Default)]
pub struct Contract {
    /// `contextExtensions`, where there are any.
    pub(crate) context_extensions: Option<Document>,
    /// `labels` of the destination, where there are any.
    pub(crate) destination_labels: Option<Document>,
    /// The body is `rawBody`.
    pub(crate) packs_bytes: bool,
    /// There is neither `parsed_body` nor `truncated_body`.
    pub(crate) skips_body: bool,
    /// The messages of gRPC calls.
    pub(crate) descriptors: Option<Descriptors>,
}

impl Contract {
    /// Prepares what can be.
    #[must_use]
    pub fn new(settings: &InputSettings, descriptors: Option<Descriptors>) -> Self {
        Self {
            context_extensions: texts(&settings.context_extensions),
            destination_labels: texts(&settings.destination_labels),
            packs_bytes: settings.pack_as_bytes,
            skips_body: settings.skip_request_body_parse,
            descriptors,
        }
    }

    /// How bodies are read.
    #[must_use]
    pub fn body_rules(&self, limits: &Limits) -> BodyRules<'_> {
        BodyRules {
            depth: limits.json_depth,
            values: limits.body_values,
            descriptors: self.descriptors.as_ref(),
        }
    }

    /// Whether a gRPC call is known to be a stream of messages, which may never end. The content type alone is the client's word.
    #[must_use]
    pub fn is_stream(&self, request: &RequestView) -> bool {
        let [service, method] = request.target.segments.as_slice() else { return false };
        let method = self.descriptors.as_ref().and_then(|known| known.method(service, method));
        request.is_grpc() && method.is_some_and(|method| method.client_streaming)
    }
}

fn texts(named: &BTreeMap<String, String>) -> Option<Document> {
    let texts = named.iter().map(|(name, value)| (name.as_str(), Document::text(value)));
    (!named.is_empty()).then(|| Document::map(texts))
}
