//! Bounds on everything that a guest can make the host hold.

/// Bounds on what the host keeps for its guests. A host call that would exceed one fails with `InternalFailure`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLimits {
    /// Linear memory of one instance in bytes (Envoy: 1 GiB).
    pub memory_bytes: usize,
    /// Elements of one table of one instance.
    pub table_elements: usize,
    /// Open streams of one instance.
    pub streams: usize,
    /// Headers in one map (Envoy: 1024 pairs).
    pub header_count: usize,
    /// Names and values of one map in bytes (Envoy: 1 MiB).
    pub header_bytes: usize,
    /// Buffered body of one direction of one stream in bytes; beyond it the stream gets 413 (request) or 500.
    pub body_bytes: usize,
    /// Keys and values of all shared data in bytes.
    pub shared_data_bytes: usize,
    /// Shared queues.
    pub queues: usize,
    /// Items waiting in all shared queues in bytes (each counts at least 64).
    pub queue_bytes: usize,
    /// Metrics by name, and metric ids of one instance.
    pub metrics: usize,
    /// Length of a metric's name in bytes.
    pub metric_name_bytes: usize,
    /// Values kept of one histogram; later ones only count.
    pub histogram_values: usize,
    /// Log lines kept; the oldest go first.
    pub log_lines: usize,
    /// Bytes kept of one log line.
    pub log_line_bytes: usize,
    /// Outstanding calls of one instance.
    pub callouts: usize,
    /// Body of one call, or messages of one gRPC stream not yet taken, in bytes.
    pub callout_bytes: usize,
    /// Filter state of one stream (names and values) in bytes.
    pub filter_state_bytes: usize,
}

impl Default for HostLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            table_elements: 100_000,
            streams: 10_000,
            header_count: 1024,
            header_bytes: 1 << 20,
            body_bytes: 16 << 20,
            shared_data_bytes: 64 << 20,
            queues: 1024,
            queue_bytes: 16 << 20,
            metrics: 10_000,
            metric_name_bytes: 4096,
            histogram_values: 10_000,
            log_lines: 10_000,
            log_line_bytes: 64 << 10,
            callouts: 1024,
            callout_bytes: 16 << 20,
            filter_state_bytes: 1 << 20,
        }
    }
}
